/* What a person may: groups, a first and a last moment. */

import { ask, confirmed, explain } from "./api.js";
import { momentOf, onSubmit } from "./forms.js";
import { element } from "./texts.js";

const form = document.getElementById("access");
const outcome = document.getElementById("access-outcome");

onSubmit(form, async () => {
  const groups = [...form.querySelectorAll("[name=groups]:checked")].map((each) => each.value);
  const body = {
    groups,
    valid_from: momentOf(form, "valid_from"),
    valid_until: momentOf(form, "valid_until"),
  };
  try {
    if (await confirmed((confirm) => ask("PUT", form.dataset.url, { ...body, confirm }))) {
      location.reload();
    }
  } catch (problem) {
    outcome.replaceChildren(element("p", "notice bad", explain(problem)));
  }
});
