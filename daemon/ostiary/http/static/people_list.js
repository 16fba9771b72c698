/* A list of people: the daemon reads it, then each line is sent with its photo. */

import { ask, base64, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { element, say } from "./texts.js";

const form = document.getElementById("import");
const outcome = document.getElementById("list-outcome");
const report = document.getElementById("list-report");

async function take(line, photos) {
  if (line.problem) return { bad: line.problem };
  try {
    const photo = line.photo && photos.get(line.photo.split(/[\\/]/).pop());
    if (line.photo && !photo) return { bad: say("list.no_photo", { photo: line.photo }) };
    const answer = await ask("POST", "/api/v1/people/line", {
      username: line.username,
      groups: line.groups,
      valid_from: line.valid_from,
      valid_until: line.valid_until,
      image: photo ? await base64(photo) : null,
    });
    return { good: say(answer.registered ? "list.registered" : "list.changed") };
  } catch (problem) {
    return { bad: explain(problem) };
  }
}

function told(line, { good, bad }) {
  const said = element("span", `verdict ${bad ? "denied" : "granted"}`, bad ?? good);
  const item = element("li", "");
  item.append(element("div", "", `${line.line}. `, element("bdi", "", line.username)), said);
  report.append(item);
}

onSubmit(form, async () => {
  const button = form.querySelector("button");
  button.disabled = true;
  report.replaceChildren();
  try {
    const csv = await document.getElementById("list-file").files[0].text();
    const photos = new Map(
      [...document.getElementById("list-photos").files].map((file) => [file.name, file]),
    );
    const { lines } = await ask("POST", "/api/v1/people/read", { csv });
    let taken = 0;
    for (const [index, line] of lines.entries()) {
      outcome.replaceChildren(
        element("p", "notice", say("list.working", { at: index + 1, of: lines.length })),
      );
      const result = await take(line, photos);
      told(line, result);
      if (!result.bad) taken += 1;
    }
    const kind = taken === lines.length ? "good" : "bad";
    const words = say("list.done", { taken, refused: lines.length - taken });
    outcome.replaceChildren(element("p", `notice ${kind}`, words));
  } catch (problem) {
    outcome.replaceChildren(element("p", "notice bad", explain(problem)));
  } finally {
    button.disabled = false;
  }
});
