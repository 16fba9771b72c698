/* What a person may: groups, a first and a last moment. */

import { ask, confirmed, explain } from "./api.js";
import { onSubmit } from "./forms.js";
import { element } from "./texts.js";

const form = document.getElementById("access");
const outcome = document.getElementById("access-outcome");

onSubmit(form, async () => {
  const groups = [...form.querySelectorAll("[name=groups]:checked")].map((each) => each.value);
  const body = {
    groups,
    valid_from: form.elements.valid_from.value || null,
    valid_until: form.elements.valid_until.value || null,
  };
  try {
    if (await confirmed((confirm) => ask("PUT", form.dataset.url, { ...body, confirm }))) {
      location.reload();
    }
  } catch (problem) {
    outcome.replaceChildren(element("p", "notice bad", explain(problem)));
  }
});
