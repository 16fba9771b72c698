/* A picture as it is sent: made smaller here, so that a large one and a slow line do. */

import { base64, Problem } from "./api.js";
import { say } from "./texts.js";

const ENOUGH_BYTES = 150_000; // ten seconds at 20 kB/s
const LONGEST = [1600, 1280, 1024, 800]; // pixels; a face of 250 is enough
const QUALITY = 0.85;
const MB = 1_000_000;

/* In base64. Throws a Problem, before anything is sent, for one that stays larger than `most` bytes. */
export async function pictureOf(file, most) {
  const sent = await smaller(file);
  if (sent.size > most) {
    const values = { size: (sent.size / MB).toFixed(1), most: (most / MB).toFixed(1) };
    throw new Problem("image_too_large", say("form.too_large", values), true);
  }
  return base64(sent);
}

/* The file itself where it is small, or is none that a browser reads: the daemon says what that is. */
async function smaller(file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    return file;
  }
  const longest = Math.max(image.width, image.height);
  let best = file;
  if (file.size > ENOUGH_BYTES || longest > LONGEST[0]) {
    for (const side of LONGEST) {
      best = await drawn(image, Math.min(1, side / longest));
      if (best.size <= ENOUGH_BYTES) break;
    }
  }
  image.close();
  return best;
}

function drawn(image, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Problem("image_invalid", "", true))), "image/jpeg", QUALITY);
  });
}
