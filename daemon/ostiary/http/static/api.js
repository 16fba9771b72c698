/* Requests to /api/v1 with the session's token. A refusal is thrown as a Problem. */

import { say } from "./texts.js";

const SAYS_MORE = new Set([
  "already_registered", "group_invalid", "group_unknown", "image_too_large", "not_this_person",
  "people_list_invalid", "period_invalid", "pin_weak", "request_malformed", "schedule_invalid",
  "schedule_overlaps", "setting_invalid", "too_many_attempts", "username_invalid",
]);

export class Problem extends Error {
  /* `said`: whether `detail` is in the page's language. */
  constructor(code, detail, said) {
    super(said ? detail : "");
    this.code = code;
  }

  /* In the page's words; what only the daemon, or the page, can know as well. */
  get words() {
    const known = say(`problem.${this.code}`);
    return SAYS_MORE.has(this.code) && this.message ? `${known} (${this.message})` : known;
  }
}

/* Where the daemon wants the password once more, the person is asked for it. */
export async function ask(method, path, body) {
  for (;;) {
    try {
      return await send(method, path, body);
    } catch (problem) {
      if (problem.code !== "confirmation_needed" || !(await passwordSaid())) throw problem;
    }
  }
}

async function send(method, path, body) {
  const language = document.documentElement.lang;
  const headers = { Accept: "application/json", "Accept-Language": language };
  const csrf = document.querySelector('meta[name="csrf"]')?.content;
  if (csrf) headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem("offline", "", true);
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const said = answer.headers.get("Content-Language") === language;
    throw new Problem(found.code ?? "internal_error", found.detail, said);
  }
  return found;
}

/* A file, as a request carries it. */
export function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

/* Whether the person said their password, or rather not. */
async function passwordSaid() {
  const dialog = document.getElementById("confirmation");
  const password = document.getElementById("confirmation-password");
  const failure = document.getElementById("confirmation-failure");
  document.getElementById("confirmation-no").onclick = () => dialog.close("no");
  failure.hidden = true;
  for (;;) {
    password.value = "";
    dialog.returnValue = "no";
    dialog.showModal();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    if (dialog.returnValue !== "yes") return false;
    try {
      await send("POST", "./api/v1/confirmation", { password: password.value });
      return true;
    } catch (problem) {
      failure.textContent = explain(problem);
      failure.hidden = false;
    } finally {
      password.value = "";
    }
  }
}

export function explain(problem) {
  if (!(problem instanceof Problem)) throw problem;
  return problem.code === "offline" ? say("form.offline") : problem.words;
}

/* Do something; where nobody could pass a door then, ask the person and do it all the same. Whether
   it was done. */
export async function confirmed(act) {
  try {
    await act(false);
    return true;
  } catch (problem) {
    if (problem.code !== "locks_everybody_out") throw problem;
    if (!(await agreed(problem.words, problem.message, say("form.all_the_same")))) return false;
    await act(true);
    return true;
  }
}

/* Whether the person presses `yes`, asked in a dialogue. */
export async function agreed(title, text, yes) {
  const dialog = document.getElementById("question");
  document.getElementById("question-title").textContent = title;
  document.getElementById("question-text").textContent = text;
  document.getElementById("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "yes";
}
