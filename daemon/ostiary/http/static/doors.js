/* The doors on the live page: how they are, and for an operator what is to be done with them. */

import { agreed, ask, explain } from "./api.js";
import { follow, look } from "./door_states.js";
import { element, say } from "./texts.js";

const KINDS = { locked: "granted", forced: "denied", held_open: "denied", fault: "denied" };
const section = document.getElementById("doors");
const list = document.getElementById("door-list");
const failure = document.getElementById("door-failure");
const operator = "operator" in section.dataset;
let shown = "";

/* By mode: what can be done, and how the button says it. */
const ACTIONS = {
  normal: [["open", "open"], ["unlock", "unlock"], ["lockdown", "lockdown"]],
  unlocked: [["lock", "lock"], ["lockdown", "lockdown"]],
  lockdown: [["lock", "end_lockdown"]],
};

function button(door, action, words) {
  const made = element("button", action === "lockdown" ? "danger" : "", say(`doors.${words}`));
  made.type = "button";
  made.dataset.action = `${door.door} ${action}`;
  made.setAttribute("aria-label", `${say(`doors.${words}`)}: ${door.door}`);
  made.addEventListener("click", () => act(door.door, action, words, made));
  return made;
}

function row(door) {
  const kind = door.alarm ? "denied" : (KINDS[door.state] ?? "");
  const facts = [say(`door_mode.${door.mode}`)];
  if (door.alarm) facts.push(say("doors.alarm"));
  for (const fault of door.faults) facts.push(say(`door_fault.${fault}`));
  const told = element(
    "div",
    "",
    element("bdi", "", door.door),
    " ",
    element("span", `verdict ${kind}`, say(`door_state.${door.state}`)),
    element("p", "small", facts.join(" · ")),
  );
  if (!operator) return element("li", "", told);
  const actions = ACTIONS[door.mode].map(([action, words]) => button(door, action, words));
  if (door.alarm) actions.unshift(button(door, "silence", "silence"));
  return element("li", "", told, element("div", "row", ...actions));
}

function show(doors) {
  const now = JSON.stringify(doors);
  if (now === shown) return;
  shown = now;
  const focused = document.activeElement?.dataset.action;
  list.replaceChildren(...doors.map(row));
  section.hidden = doors.length === 0;
  if (focused) (list.querySelector(`[data-action="${CSS.escape(focused)}"]`) ?? list.querySelector("button"))?.focus();
}

/* What opens a door to somebody, or shuts it to everybody, is asked for twice. */
const ASKED_TWICE = ["open", "unlock", "lockdown", "end_lockdown"];

async function act(door, action, words, pressed) {
  if (ASKED_TWICE.includes(words)) {
    const title = say(`doors.ask_${words}`, { name: door });
    if (!(await agreed(title, say(`doors.ask_${words}_lead`), say(`doors.${words}`)))) return;
  }
  pressed.setAttribute("aria-busy", "true");
  failure.hidden = true;
  try {
    await ask("POST", `./api/v1/doors/${encodeURIComponent(door)}`, { action });
    await look();
  } catch (problem) {
    failure.textContent = explain(problem);
    failure.hidden = false;
  } finally {
    pressed.removeAttribute("aria-busy");
  }
}

follow(show);
