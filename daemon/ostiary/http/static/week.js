/* Hours of a rule as minutes of each day, and back. */

export const DAY = 24 * 60;
const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAYS = [...WEEK, "holiday"];

function minute(text) {
  const [hour, minutes] = text.split(":").map(Number);
  return hour * 60 + minutes;
}

export function timeText(minutes) {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/* {mon: [[480, 1080]], …}. What goes over midnight is in both days; of a holiday the day after is
   not known, and so the part after midnight is left out. */
export function minutesOf(hours) {
  const days = Object.fromEntries(DAYS.map((day) => [day, []]));
  for (const { days: names, start, end } of hours) {
    const [from, to] = [minute(start), minute(end)];
    for (const day of names) {
      if (to > from) days[day].push([from, to]);
      else {
        days[day].push([from, DAY]);
        if (day !== "holiday" && to > 0) days[WEEK[(WEEK.indexOf(day) + 1) % 7]].push([0, to]);
      }
    }
  }
  for (const day of DAYS) {
    days[day].sort((one, other) => one[0] - other[0]);
    days[day] = days[day].reduce((joined, [from, to]) => {
      const last = joined.at(-1);
      if (last && last[1] >= from) last[1] = Math.max(last[1], to);
      else joined.push([from, to]);
      return joined;
    }, []);
  }
  return days;
}

/* Nights are one again: what ends a day at midnight and begins the next, for less than a day. Days
   with the same hours stand together. */
export function hoursOf(week) {
  const days = structuredClone(week);
  const nights = [];
  WEEK.forEach((day, number) => {
    const next = WEEK[(number + 1) % 7];
    const [evening, morning] = [week[day].at(-1), week[next][0]];
    if (!evening || !morning) return;
    const joins = evening[1] === DAY && evening[0] > 0 && morning[0] === 0 && morning[1] < DAY;
    if (!joins || morning[1] >= evening[0]) return;
    nights.push([day, evening[0], morning[1]]);
    days[day] = days[day].filter(([from]) => from !== evening[0]);
    days[next] = days[next].filter(([from]) => from !== 0);
  });
  const found = new Map();
  const add = (day, from, to) => {
    const key = `${from} ${to}`;
    if (!found.has(key)) found.set(key, { days: [], start: timeText(from), end: timeText(to) });
    found.get(key).days.push(day);
  };
  for (const day of DAYS) days[day].forEach(([from, to]) => add(day, from, to));
  nights.forEach(([day, from, to]) => add(day, from, to));
  return [...found.values()];
}
