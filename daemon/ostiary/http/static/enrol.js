/* Enrol from the camera, with guidance, or from a file. */

import { ask, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { pictureOf } from "./picture.js";
import { chosenCamera, startStream } from "./stream.js";
import { element, say } from "./texts.js";

const form = document.getElementById("enrol");
const guidance = document.getElementById("guidance");
const outcome = document.getElementById("outcome");
const known = form.dataset.known;
let working = false;

/* Which checks a guidance leaves open; those after it are not known yet. */
const ORDER = ["face", "size", "light", "sharp", "live"];
const OPEN = {
  no_face: "face", several_faces: "face", covered: "face", frozen: "face", overexposed: "face",
  too_small: "size", cut_off: "size", too_dark: "light", over_exposed: "light",
  blurred: "sharp", turned_away: "sharp", not_live: "live", ready: null,
  look_front: null, look_left: null, look_right: null,
};

function told(picture) {
  const word = picture.stale ? "frozen" : picture.guidance;
  const text = say(`guidance.${word}`);
  const asked = word.startsWith("look_");
  if (guidance.textContent !== text && (asked || !working)) guidance.textContent = text;
  guidance.classList.toggle("ready", asked || word === "ready");
  const open = OPEN[word];
  const met = open === null ? ORDER.length : ORDER.indexOf(open);
  document.querySelectorAll("[data-check]").forEach((item) => {
    item.classList.toggle("met", ORDER.indexOf(item.dataset.check) < met);
  });
}

startStream(told);

function link(href, text) {
  const made = element("a", "", text);
  made.href = href;
  return made;
}

function succeeded(answer) {
  const name = answer.username;
  const notice = element("div", "notice good");
  notice.append(element("p", "", say(known ? "enrol.done_more" : "enrol.done", { name })));
  if (!answer.verified) notice.append(element("p", "", say("enrol.unverified")));
  if (answer.looks_like) {
    notice.append(element("p", "", say("enrol.looks_like", { name: answer.looks_like })));
  }
  if (answer.missing?.length) {
    const lacks = answer.missing.map((what) => say(`enrol.missing_${what}`)).join(" ");
    notice.append(element("p", "", `${say("enrol.missing")} ${lacks}`));
  }
  const quoted = encodeURIComponent(name);
  const onward = element("p", "row");
  onward.append(link(`./person?name=${quoted}`, say("enrol.to_person", { name })));
  if (!known) {
    onward.append(
      link(`./enrol?name=${quoted}`, say("enrol.more", { name })),
      link("./enrol", say("enrol.another")),
    );
  }
  notice.append(onward);
  outcome.replaceChildren(notice);
}

/* Who looks alike may be two people: the operator says so, and tries again. */
function offerTwin() {
  const label = element("label", "tick", say("enrol.twin"));
  const tick = element("input", "");
  tick.type = "checkbox";
  tick.id = "twin";
  label.prepend(tick, " ");
  outcome.append(label);
}

document.getElementById("until-date")?.addEventListener("input", () => {
  form.querySelector('input[name="until"][value=""]').checked = true;
});

onSubmit(form, async (event) => {
  const fromFile = event.submitter?.value === "file";
  const file = document.getElementById("file").files[0];
  if (!known && !form.elements.username.reportValidity()) return;
  if (fromFile && !file) {
    document.getElementById("file").focus();
    outcome.replaceChildren(element("p", "notice bad", say("problem.image_invalid")));
    return;
  }
  const date = document.getElementById("until-date");
  if (date && !form.elements.until.value && !date.value) {
    date.focus();
    return;
  }
  working = true;
  const twin = document.getElementById("twin")?.checked;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  const doing = say(fromFile ? "enrol.uploading" : "enrol.taking");
  outcome.replaceChildren(element("p", "notice", doing));
  try {
    const body = fromFile ? { image: await pictureOf(file, Number(form.dataset.most)) } : { source: "camera", camera: chosenCamera() };
    if (twin) body.allow_twin = true;
    if (document.getElementById("this-door")?.checked) body.scope = "door";
    const path = known ? `./api/v1/users/${encodeURIComponent(known)}/templates` : "./api/v1/users";
    if (!known) {
      body.username = form.elements.username.value;
      const group = document.getElementById("group")?.value;
      if (group) body.groups = [group];
      const until = form.elements.until;
      if (until) body.valid_until = until.value || document.getElementById("until-date").value;
    }
    succeeded(await ask("POST", path, body));
  } catch (problem) {
    outcome.replaceChildren(element("p", "notice bad", explain(problem)));
    if (problem.code === "already_registered") offerTwin();
  } finally {
    working = false;
    buttons.forEach((button) => { button.disabled = false; });
  }
});
form.elements.username?.focus();
