/* One rule, with a week to draw on: by pointer, by keyboard, or by exact times. */

import { ask, confirmed, explain } from "./api.js";
import { momentOf, onSubmit } from "./forms.js";
import { element, say } from "./texts.js";
import { DAY, hoursOf, minutesOf, timeText } from "./week.js";

const form = document.getElementById("rule");
const always = document.getElementById("always");
const editor = document.getElementById("week-editor");
const said = document.getElementById("week-said");
const exact = document.getElementById("exact");
const outcome = document.getElementById("outcome");
const rows = [...document.querySelectorAll(".week-row")];
const CELL = 30;
const CELLS = DAY / CELL;

const week = minutesOf(JSON.parse(form.dataset.hours) ?? []);
let cells = [];
let at = [0, 16];

function isOpen(day, index) {
  const [start, end] = [index * CELL, (index + 1) * CELL];
  const covered = week[day].reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(end, to) - Math.max(start, from)), 0,
  );
  return covered === 0 ? "" : covered === CELL ? "open" : "partly";
}

/* Open or shut a part of a day; what is beside it stays as it is, to the minute. */
function paint(day, start, end, open) {
  const kept = week[day].flatMap(([from, to]) => [
    [from, Math.min(to, start)], [Math.max(from, end), to],
  ]).filter(([from, to]) => from < to);
  if (open) kept.push([start, end]);
  kept.sort((one, other) => one[0] - other[0]);
  week[day] = kept.reduce((joined, [from, to]) => {
    const last = joined.at(-1);
    if (last && last[1] >= from) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
    return joined;
  }, []);
}

function draw() {
  rows.forEach((row, number) => {
    cells[number].forEach((cell, index) => {
      const state = isOpen(row.dataset.day, index);
      cell.className = `week-cell ${state} ${index % 2 ? "half" : "full"}`;
      cell.setAttribute("aria-selected", String(state !== ""));
    });
  });
  exact.replaceChildren(...rows.flatMap((row) =>
    week[row.dataset.day].map(([from, to]) => {
      const day = say(`week.${row.dataset.day}`);
      const text = `${day} ${timeText(from)}–${timeText(to)}`;
      const button = element("button", "quiet danger", say("rules.remove"));
      button.type = "button";
      button.setAttribute("aria-label", `${say("rules.remove")} ${text}`);
      button.addEventListener("click", () => {
        paint(row.dataset.day, from, to, false);
        draw();
      });
      return element("li", "", element("span", "", text), button);
    }),
  ));
}

function tellAt(number, index) {
  const day = say(`week.${rows[number].dataset.day}`);
  const state = say(isOpen(rows[number].dataset.day, index) ? "week.open" : "week.shut");
  said.textContent = `${day} ${timeText(index * CELL)}–${timeText((index + 1) * CELL)}: ${state}`;
}

function go(number, index) {
  cells[at[0]][at[1]].tabIndex = -1;
  at = [number, index];
  cells[number][index].tabIndex = 0;
  cells[number][index].focus();
  tellAt(number, index);
}

function made(number, index) {
  const cell = element("span", "week-cell");
  cell.setAttribute("role", "gridcell");
  cell.setAttribute(
    "aria-label",
    `${say(`week.${rows[number].dataset.day}`)} ${timeText(index * CELL)}`,
  );
  cell.tabIndex = number === at[0] && index === at[1] ? 0 : -1;
  cell.dataset.at = `${number} ${index}`;
  return cell;
}

rows.forEach((row, number) => {
  cells.push(Array.from({ length: CELLS }, (_, index) => made(number, index)));
  const track = element("span", "week-track");
  track.setAttribute("role", "presentation");
  track.append(...cells[number]);
  row.append(track);
});
draw();

/* by pointer: what the first cell becomes, all become that are drawn over */

const grid = document.getElementById("week");
let drawing = null;

function under(event) {
  const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest(".week-cell");
  return cell ? cell.dataset.at.split(" ").map(Number) : null;
}

function over(place) {
  const [number, index] = place;
  const [[fromRow, fromCell], open, before] = [drawing.start, drawing.open, drawing.before];
  for (const row of rows) week[row.dataset.day] = before[row.dataset.day].map((each) => [...each]);
  const [top, bottom] = [Math.min(fromRow, number), Math.max(fromRow, number)];
  const [left, right] = [Math.min(fromCell, index), Math.max(fromCell, index)];
  for (let row = top; row <= bottom; row += 1) {
    paint(rows[row].dataset.day, left * CELL, (right + 1) * CELL, open);
  }
  draw();
  const day = say(`week.${rows[number].dataset.day}`);
  said.textContent = `${day} ${timeText(left * CELL)}–${timeText((right + 1) * CELL)}`;
}

grid.addEventListener("pointerdown", (event) => {
  const place = under(event);
  if (!place || event.button !== 0) return;
  event.preventDefault();
  grid.setPointerCapture(event.pointerId);
  drawing = {
    start: place,
    open: isOpen(rows[place[0]].dataset.day, place[1]) !== "open",
    before: structuredClone(week),
  };
  over(place);
});
grid.addEventListener("pointermove", (event) => {
  const place = drawing && under(event);
  if (place) over(place);
});
for (const end of ["pointerup", "pointercancel"]) {
  grid.addEventListener(end, () => { drawing = null; });
}

/* by keyboard: arrows go, with Shift they draw on; space turns */

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

grid.addEventListener("keydown", (event) => {
  const [number, index] = at;
  const day = rows[number].dataset.day;
  const step = STEPS[event.key];
  if (step) {
    const open = isOpen(day, index) !== "";
    const next = [
      Math.min(Math.max(number + step[0], 0), rows.length - 1),
      Math.min(Math.max(index + step[1], 0), CELLS - 1),
    ];
    if (event.shiftKey) {
      paint(rows[next[0]].dataset.day, next[1] * CELL, (next[1] + 1) * CELL, open);
      draw();
    }
    go(...next);
  } else if (event.key === "Home" || event.key === "End") {
    go(number, event.key === "Home" ? 0 : CELLS - 1);
  } else if (event.key === " " || event.key === "Enter") {
    paint(day, index * CELL, (index + 1) * CELL, isOpen(day, index) !== "open");
    draw();
    go(number, index);
  } else {
    return;
  }
  event.preventDefault();
});

/* whole weeks, and exact times */

for (const button of document.querySelectorAll("[data-fill]")) {
  button.addEventListener("click", () => {
    const works = button.dataset.fill === "work";
    rows.forEach((row, number) => {
      week[row.dataset.day] = works && number < 5 ? [[8 * 60, 18 * 60]] : [];
    });
    draw();
  });
}

document.getElementById("exact-add").addEventListener("click", () => {
  const [day, from, to] = ["exact-day", "exact-start", "exact-end"].map(
    (id) => document.getElementById(id).value,
  );
  for (const [name, spans] of Object.entries(minutesOf([{ days: [day], start: from, end: to }]))) {
    for (const [start, end] of spans) paint(name, start, end, true);
  }
  draw();
});

always.addEventListener("change", () => { editor.hidden = always.checked; });

function picked(name) {
  return [...form.querySelectorAll(`[name=${name}]`)];
}

function ruleOf() {
  const doors = picked("doors");
  const chosen = doors.filter((each) => each.checked).map((each) => each.value);
  const values = {
    name: form.elements.name.value,
    groups: picked("groups").filter((each) => each.checked).map((each) => each.value),
    doors: chosen.length === doors.length ? null : chosen,
    hours: always.checked ? null : hoursOf(week),
    needs: form.elements.needs.value,
    valid_from: momentOf(form, "valid_from"),
    valid_until: momentOf(form, "valid_until"),
  };
  for (const option of ["step_up", "two_person", "anti_passback"]) {
    values[option] = form.elements[option].checked;
  }
  return values;
}

/* What can be seen to be missing, before the daemon is asked. */
function missing(rule) {
  if (!rule.name.trim()) return "rules.need_name";
  if (!rule.groups.length) return "rules.need_group";
  if (rule.doors !== null && !rule.doors.length) return "rules.need_door";
  return rule.hours !== null && !rule.hours.length ? "rules.need_hours" : null;
}

onSubmit(form, async () => {
  const rule = ruleOf();
  const wrong = missing(rule);
  if (wrong) {
    outcome.replaceChildren(element("p", "notice bad", say(wrong)));
    return;
  }
  const replaces = form.dataset.replaces || null;
  try {
    const done = await confirmed((confirm) => ask("PUT", "./api/v1/rules", { rule, replaces, confirm }));
    if (done) location.assign("./rules");
  } catch (problem) {
    outcome.replaceChildren(element("p", "notice bad", explain(problem)));
  }
});
