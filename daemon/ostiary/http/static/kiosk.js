/* The tablet at the door. Its token stands behind the #, which no browser sends to anybody. */

import { say } from "./texts.js";

const TOLD_MS = 3000; // what became of a PIN
const PAD_MS = 20_000; // a pad that nobody touches is put away
const AGAIN_MS = 2000;
const SILENT_MS = 12_000; // the door says something every few seconds
const LONGEST = 12;

const { door, digits } = document.body.dataset;
const token = location.hash.slice(1);
const base = `./api/v1/kiosks/${encodeURIComponent(door)}`;
const pad = document.getElementById("pad");
const openPad = document.getElementById("open-pad");
const speak = document.getElementById("speak");
let typed = "";
let said = "";
let held = 0; // until then what became of a PIN stays
let padTimer;
let latest = { shows: "offline" };

function show({ shows, word }) {
  document.body.dataset.shows = shows;
  const wanted = shows === "move" ? word : shows;
  for (const sign of document.querySelectorAll("[data-sign]")) sign.hidden = sign.dataset.sign !== wanted;
  if (shows === "pin") usePad(true);
  const text = textOf(shows, word);
  if (text === said) return;
  said = text;
  document.getElementById("words").textContent = text;
  if (speak.getAttribute("aria-pressed") === "true" && shows !== "idle") pronounce(text);
}

function textOf(shows, word) {
  if (shows === "move" && word !== "move") return say(`prompt.${word}`);
  return say(`kiosk.${word ?? shows}`);
}

function pronounce(text) {
  speechSynthesis.cancel();
  const spoken = new SpeechSynthesisUtterance(text);
  spoken.lang = document.documentElement.lang;
  speechSynthesis.speak(spoken);
}

/* What the door shows now, unless what became of a PIN is to be read first. */
function told(state) {
  latest = state;
  if (Date.now() >= held) show(state);
}

function connect() {
  const address = new URL(base, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  let silent;
  const alive = () => {
    clearTimeout(silent);
    silent = setTimeout(() => socket.close(), SILENT_MS);
  };
  alive();
  socket.onopen = () => socket.send(token);
  socket.onmessage = ({ data }) => {
    alive();
    told(JSON.parse(data));
    openPad.hidden = !pad.hidden || latest.shows === "lockdown";
  };
  socket.onclose = ({ reason }) => {
    clearTimeout(silent);
    usePad(false);
    openPad.hidden = true;
    told({ shows: "offline", word: reason === "not_signed_in" ? reason : null });
    setTimeout(connect, AGAIN_MS);
  };
}

function usePad(used) {
  clearTimeout(padTimer);
  pad.hidden = !used;
  openPad.hidden = used;
  document.body.classList.toggle("typing", used);
  if (used) padTimer = setTimeout(() => usePad(false), PAD_MS);
  else type("");
}

function type(text) {
  typed = text.slice(0, LONGEST);
  const output = document.getElementById("typed");
  output.textContent = "•".repeat(typed.length);
  output.setAttribute("aria-label", say("kiosk.typed", { count: typed.length }));
}

async function enter() {
  if (typed.length < Number(digits)) return;
  const pin = typed;
  usePad(false);
  let shows = { shows: "denied", word: "wrong" };
  try {
    const answer = await fetch(`${base}/pin`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify({ pin }),
    });
    const { outcome, code } = await answer.json();
    if (outcome === "granted") shows = { shows: "granted" };
    else if (outcome === "waiting") shows = { shows: "looking", word: "waiting" };
    else if (code === "busy" || code === "too_many_attempts") shows = { shows: "denied", word: "wait" };
    else if (!answer.ok) shows = { shows: "broken" };
  } catch {
    shows = { shows: "offline" };
  }
  held = Date.now() + TOLD_MS;
  show(shows);
  setTimeout(() => told(latest), TOLD_MS);
}

pad.addEventListener("click", ({ target }) => {
  const key = target.closest("[data-digit]");
  if (!key) return;
  usePad(true);
  type(typed + key.dataset.digit);
});
pad.addEventListener("submit", (event) => {
  event.preventDefault();
  enter();
});
document.getElementById("clear").addEventListener("click", () => (typed ? type("") : usePad(false)));
document.addEventListener("keydown", ({ key }) => {
  if (!/^[0-9]$/.test(key) || (pad.hidden && openPad.hidden)) return;
  usePad(true);
  type(typed + key);
});
openPad.addEventListener("click", () => usePad(true));
speak.addEventListener("click", () => {
  const on = speak.getAttribute("aria-pressed") !== "true";
  speak.setAttribute("aria-pressed", String(on));
  if (on) pronounce(said);
});
speak.hidden = !("speechSynthesis" in window);
document.querySelector("[data-keep]").addEventListener("click", ({ target }) => { target.hash = token; });
navigator.wakeLock?.request("screen").catch(() => {}); // a tablet may be set to stay on itself
pad.inert = false;
connect();
