/* A list of people: the daemon reads it, then each line is sent with its photo. */

import { ask, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { pictureOf } from "./picture.js";
import { element, say } from "./texts.js";

const form = document.getElementById("import");
const outcome = document.getElementById("list-outcome");
const report = document.getElementById("list-report");

/* Other capitals or another normal form, where that is one file only. */
function photoOf(name, photos) {
  const folded = (text) => text.normalize("NFC").toLowerCase();
  const alike = photos.filter((file) => folded(file.name) === folded(name));
  return photos.find((file) => file.name === name) ?? (alike.length === 1 ? alike[0] : undefined);
}

/* What is no UTF gets U+FFFD, which the daemon refuses. */
async function textOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const mark = `${bytes[0]} ${bytes[1]}`;
  const encoding = { "255 254": "utf-16le", "254 255": "utf-16be" }[mark] ?? "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

async function take(line, photos) {
  if (line.problem) return { bad: line.problem };
  try {
    const photo = line.photo && photoOf(line.photo.split(/[\\/]/).pop(), photos);
    if (line.photo && !photo) return { bad: say("list.no_photo", { photo: line.photo }) };
    const answer = await ask("POST", "./api/v1/people/line", {
      username: line.username,
      groups: line.groups, // undefined, and so not sent, where the list has no such column
      valid_from: line.valid_from,
      valid_until: line.valid_until,
      image: photo ? await pictureOf(photo, Number(form.dataset.most)) : null,
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
    const csv = await textOf(document.getElementById("list-file").files[0]);
    const photos = [...document.getElementById("list-photos").files];
    const { lines } = await ask("POST", "./api/v1/people/read", { csv });
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
