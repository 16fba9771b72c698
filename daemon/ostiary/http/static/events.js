/* Pictures of events, in large; and where it is safe, one more picture of somebody. */

import { ask, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { element, say } from "./texts.js";

const dialog = document.getElementById("picture");
const picture = dialog.querySelector("img");
const form = document.getElementById("add-picture");
const outcome = document.getElementById("add-outcome");
let seq = null;

for (const link of document.querySelectorAll(".enlarge")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const small = link.querySelector("img");
    picture.src = link.href;
    picture.alt = small.alt;
    document.getElementById("picture-title").textContent = small.alt;
    seq = link.dataset.addable ?? null;
    if (form) {
      outcome.replaceChildren();
      form.hidden = document.getElementById("add-lead").hidden = seq === null;
    }
    dialog.showModal();
  });
}

document.getElementById("picture-close").addEventListener("click", () => dialog.close());

if (form) {
  onSubmit(form, async () => {
    try {
      const body = { username: form.elements.username.value };
      const { username } = await ask("POST", `./api/v1/events/${seq}/template`, body);
      outcome.replaceChildren(element("p", "notice good", say("enrol.done_more", { name: username })));
      form.hidden = true;
      document.querySelector(`[data-addable="${seq}"]`).remove();  // it has no picture any more
    } catch (problem) {
      outcome.replaceChildren(element("p", "notice bad", explain(problem)));
    }
  });
}
