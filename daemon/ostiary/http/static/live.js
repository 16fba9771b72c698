/* The live page: the picture, what is said of it, and the last decisions. */

import { ask } from "./api.js";
import { numbersOf, startStream, wordsOf } from "./stream.js";
import { element, say, timeOf } from "./texts.js";

const SHOWN = 8;
const LOOK_EVERY_MS = 1500;
const said = document.getElementById("said");
let spoken = "";

function speak(kind, main, detail = "") {
  // The numbers change all the time; a screen reader is told only when the words do.
  if (`${kind} ${main}` !== spoken) {
    spoken = `${kind} ${main}`;
    said.className = `said ${kind}`;
    const numbers = element("p", "detail", detail);
    numbers.setAttribute("aria-live", "off");
    said.replaceChildren(element("p", "main", main), numbers);
  } else {
    said.querySelector(".detail")?.replaceChildren(detail);
  }
}

function told(picture) {
  if (picture.stale) return speak("", say("live.stale"));
  if (picture.view !== "clear") return speak("denied", say(`guidance.${picture.view}`));
  if (picture.faces.length === 0) return speak("", say("verdict.nobody"));
  if (picture.prompt) return speak("asked", say(`prompt.${picture.prompt}`));
  const face = picture.faces.find((each) => each.success !== null) ?? picture.faces[0];
  if (face.success === null) {
    if (picture.faces.length > 1) return speak("denied", say("reason.several_faces"));
    return speak("", say("verdict.looking"), numbersOf(face));
  }
  const kind = face.success ? "granted" : "denied";
  const main = face.success
    ? `${say("verdict.granted")} — ${say("verdict.welcome", { name: face.username })}`
    : `${say("verdict.denied")} — ${wordsOf(face)}`;
  speak(kind, main, numbersOf(face));
}

startStream(told);

const list = document.getElementById("decisions");
const template = { granted: "M5 13l4 4L19 7", denied: "M6 6l12 12M18 6L6 18" };
let newest = null;

function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(space, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

function row(event) {
  const kind = event.success ? "granted" : "denied";
  const who = element("span", "who", event.username ? element("bdi", "", event.username) : "");
  const when = element("span", "small", timeOf(event.timestamp));
  const verdict = element("span", `verdict ${kind}`, icon(template[kind]));
  verdict.append(say(`reason.${event.reason}`));
  return element("li", event.seq > (newest ?? Infinity) ? "new" : "", verdict, who, when);
}

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      const { events } = await ask("GET", `./api/v1/events?kind=login&limit=${SHOWN}`);
      if (events.length && events[0].seq !== newest) {
        list.replaceChildren(...events.map(row));
        newest = events[0].seq;
        document.getElementById("no-decisions").hidden = true;
      }
    } catch {
      // The stream says that the connection is lost.
    }
  }
  setTimeout(refresh, LOOK_EVERY_MS);
}
refresh();
