/* The page's words, in the page's language. */

const words = JSON.parse(document.getElementById("texts").textContent);

export function say(key, values = {}) {
  const text = words[key];
  if (text === undefined) return key.split(".").pop().replaceAll("_", " ");
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const clock = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "medium",
  timeStyle: "medium",
});
const today = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" });

const day = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "medium",
  timeZone: "UTC", // as it is written, wherever the visitor is
});

/* A <time> of UTC as the visitor's own: only the hour where that is today. A date stays that date. */
export function tell(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  if (time.dateTime.length === 10) {
    time.textContent = day.format(moment);
    return;
  }
  const near = moment.toDateString() === new Date().toDateString();
  time.textContent = (near ? today : clock).format(moment);
  time.title = clock.format(moment);
}

export function timeOf(timestamp) {
  const time = document.createElement("time");
  time.dateTime = timestamp;
  tell(time);
  return time;
}
