/* What other thresholds would have done, while they are being chosen. */

import { ask, explain } from "./api.js";
import { valuesOf } from "./forms.js";
import { element, say, timeOf } from "./texts.js";

const form = document.getElementById("thresholds");
const effect = document.getElementById("effect");
const SETTLE_MS = 250;
const LISTED = 8;
let settling;
let asked = 0;

for (const range of form.querySelectorAll("input[type=range]")) {
  const number = document.getElementById(range.dataset.twin);
  range.addEventListener("input", () => { number.value = range.value; });
  number.addEventListener("input", () => { range.value = number.value; });
}

function listed(change) {
  const words = {
    before: say(`reason.${change.before}`), after: say(`reason.${change.after}`),
  };
  const kind = change.after === "granted" ? "granted" : "denied";
  const item = element("li", "", element("span", `verdict ${kind}`, say("thresholds.effect_row", words)));
  if (change.username) item.append(element("bdi", "who", change.username));
  item.append(element("span", "small", timeOf(change.timestamp)));
  return item;
}

function show(preview) {
  const near = element("p", "", say("thresholds.effect_distance", {
    distance: preview.threshold.toFixed(3),
    strangers: Math.round(1 / preview.risk).toLocaleString(document.documentElement.lang),
  }));
  if (preview.turns_most_away) near.append(" ", say("thresholds.turns_most_away"));
  if (preview.judged === 0) return effect.replaceChildren(near, say("thresholds.effect_none"));
  const count = preview.changes.length;
  const key = count ? "thresholds.effect_changed" : "thresholds.effect_same";
  const parts = [near, element("p", "", element("strong", "", say(key, { ...preview, count })))];
  parts.push(element("p", "small", say("thresholds.effect_granted", {
    before: preview.granted_before, after: preview.granted_after,
  })));
  if (preview.unknown) {
    parts.push(element("p", "small", say("thresholds.effect_unknown", { count: preview.unknown })));
  }
  if (count) parts.push(element("ol", "decisions", ...preview.changes.slice(0, LISTED).map(listed)));
  effect.replaceChildren(...parts);
}

async function refresh() {
  const turn = ++asked;
  try {
    const preview = await ask("POST", "./api/v1/settings/preview", valuesOf(form));
    if (turn === asked) show(preview);
  } catch (problem) {
    if (turn === asked) effect.replaceChildren(element("p", "notice bad", explain(problem)));
  }
}

form.addEventListener("input", () => {
  clearTimeout(settling);
  settling = setTimeout(refresh, SETTLE_MS);
});
refresh();
