/* The live picture: each is asked for when the last was drawn, so that a slow phone never lags. */

import { say } from "./texts.js";

const COLOURS = { granted: "#4ade80", denied: "#ff8a80", open: "#7dd3fc" };
const AGAIN_MS = 2000;

function kindOf(face) {
  if (face.success === null) return "open";
  return face.success ? "granted" : "denied";
}

export function wordsOf(face) {
  if (face.success === null) return say("verdict.looking");
  if (face.success) return face.username;
  return say(`reason.${face.reason}`);
}

function numbersOf(face) {
  const parts = [];
  if (face.liveness !== null) parts.push(`${say("live.liveness")} ${face.liveness.toFixed(2)}`);
  if (face.distance !== null) parts.push(`${say("live.distance")} ${face.distance.toFixed(2)}`);
  return parts.join("  ·  ");
}

function drawFace(context, face, width, height) {
  const [x, y, w, h] = [
    face.box[0] * width, face.box[1] * height, face.box[2] * width, face.box[3] * height,
  ];
  const unit = Math.max(width, 480) / 480;
  const colour = COLOURS[kindOf(face)];
  for (const [style, thick] of [["rgb(0 0 0 / 45%)", 5], [colour, 3]]) {
    context.lineWidth = thick * unit;
    context.strokeStyle = style;
    context.beginPath();
    context.roundRect(x, y, w, h, 10 * unit);
    context.stroke();
  }
  const lines = [[wordsOf(face), 600, 17 * unit], [numbersOf(face), 400, 13 * unit]].filter(
    ([text]) => text,
  );
  const pad = 6 * unit;
  let tall = pad;
  let wide = 0;
  for (const [text, weight, size] of lines) {
    context.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
    wide = Math.max(wide, context.measureText(text).width);
    tall += size * 1.3;
  }
  const left = Math.max(0, Math.min(x, width - wide - 2 * pad));
  const top = y + h + tall + pad <= height ? y + h + pad : Math.max(0, y - tall - 2 * pad);
  context.fillStyle = "rgb(8 14 18 / 82%)";
  context.beginPath();
  context.roundRect(left, top, wide + 2 * pad, tall + pad, 8 * unit);
  context.fill();
  let line = top + pad;
  for (const [text, weight, size] of lines) {
    context.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = weight === 600 ? colour : "#e8eef1";
    context.textBaseline = "top";
    context.fillText(text, left + pad, line);
    line += size * 1.3;
  }
}

/* Show a camera on a stage; `told` is called with what is said of each picture. */
export class Stream {
  constructor(stage, told) {
    this.canvas = stage.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.curtain = stage.querySelector(".curtain");
    this.camera = stage.dataset.camera;
    this.told = told;
    this.socket = null;
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", () => this.look());
    this.look();
  }

  /* Watch while the page is seen, and not otherwise. */
  look() {
    if (document.visibilityState !== "visible") this.close();
    else if (this.socket === null) this.open();
  }

  show(camera) {
    this.camera = camera;
    this.canvas.setAttribute("aria-label", say("live.picture", { name: camera }));
    this.close();
    this.look();
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  open() {
    const address = new URL(
      `./api/v1/cameras/${encodeURIComponent(this.camera)}/live`, location.href,
    );
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "blob";
    this.socket = socket;
    let picture = null;
    socket.onopen = () => socket.send("next");
    socket.onmessage = async ({ data }) => {
      if (this.socket !== socket) return;
      if (typeof data === "string") {
        picture = JSON.parse(data);
        if (!picture.stale) return; // its image follows
        this.cover(say("live.stale"));
      } else {
        await this.draw(picture, data);
        this.cover(null);
      }
      this.told(picture);
      if (socket.readyState === WebSocket.OPEN) socket.send("next");
    };
    socket.onclose = ({ reason }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (reason === "not_signed_in") return location.reload();
      this.cover(say(reason === "busy" ? "live.full" : "live.lost"));
      setTimeout(() => this.look(), AGAIN_MS);
    };
  }

  async draw(picture, blob) {
    const image = await createImageBitmap(blob);
    const { canvas, context } = this;
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    context.drawImage(image, 0, 0);
    image.close();
    for (const face of picture.faces) drawFace(context, face, canvas.width, canvas.height);
  }

  cover(text) {
    this.curtain.hidden = text === null;
    if (text !== null) this.curtain.textContent = text;
  }
}

/* A stage of the page, with the choice of cameras where there are several. */
export function startStream(told) {
  const stage = document.querySelector(".stage");
  if (!stage) return null;
  const stream = new Stream(stage, told);
  document.getElementById("camera")?.addEventListener("change", ({ target }) => {
    stream.show(target.value);
  });
  return stream;
}

/* The camera that is shown, by its name; undefined where there is none. */
export function chosenCamera() {
  return document.getElementById("camera")?.value
    ?? document.querySelector(".stage")?.dataset.camera;
}

export { numbersOf };
