/* The red bar of a lockdown, on every page. */

import { follow } from "./door_states.js";
import { say } from "./texts.js";

const bar = document.getElementById("lockdown");

follow((doors) => {
  const names = doors.filter((door) => door.mode === "lockdown").map((door) => door.door);
  const text = say("doors.locked_down", { names: names.join(", ") });
  if (names.length) bar.querySelector("span").textContent = text;
  bar.hidden = names.length === 0;
});
