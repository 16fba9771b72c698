/* Holidays: the list as a whole is set anew. */

import { ask, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { element } from "./texts.js";

const list = document.getElementById("holiday-list");
const form = document.getElementById("holiday");

async function set(holidays, near) {
  try {
    await ask("PUT", "./api/v1/holidays", { holidays });
    location.reload();
  } catch (problem) {
    near.querySelector(".notice")?.remove();
    const notice = element("p", "notice bad all", explain(problem));
    notice.setAttribute("role", "alert");
    near.append(notice);
  }
}

function known() {
  return [...list.children].map(({ dataset }) => ({ date: dataset.date, name: dataset.name }));
}

onSubmit(form, () => {
  const date = form.elements.date.value;
  const others = known().filter((each) => each.date !== date);
  set([...others, { date, name: form.elements.name.value.trim() }], form);
});

list.addEventListener("click", (event) => {
  const item = event.target.closest("[data-remove]")?.closest("li");
  if (item) set(known().filter((each) => each.date !== item.dataset.date), form);
});
list.inert = false;
