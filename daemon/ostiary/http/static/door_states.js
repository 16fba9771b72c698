/* How the doors are, asked once for whoever on this page wants to know. */

import { ask } from "./api.js";

const LOOK_EVERY_MS = 3000;
const followers = [];

export function follow(told) {
  followers.push(told);
}

export async function look() {
  const { doors } = await ask("GET", "./api/v1/doors");
  followers.forEach((told) => told(doors));
}

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      await look();
    } catch {
      // What was known stays: on the live page the stream says that the connection is lost.
    }
  }
  setTimeout(refresh, LOOK_EVERY_MS);
}
refresh();
