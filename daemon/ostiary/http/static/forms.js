/* Forms that change something: <form inert data-api=PATH data-method=METHOD data-then=reload|PATH>.
   Every form that a script sends is `inert` until `onSubmit`, so that no press is lost. */

import { agreed, ask, confirmed, explain } from "./api.js";
import { element, say, tell } from "./texts.js";

document.querySelectorAll("time").forEach(tell);

export function onSubmit(form, act) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    return act(event);
  });
  form.inert = false;
}

async function sure(form) {
  const { ask: title, askText: text } = form.dataset;
  return !title || (await agreed(title, text, form.querySelector("button").textContent));
}

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  return Number(field.value) !== Number(field.defaultValue);
}

/* With data-changed: only what is not as the page came. */
export function valuesOf(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if ("changed" in form.dataset && !isChanged(field)) continue;
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.type === "number") values[field.name] = Number(field.value);
    else values[field.name] = field.value;
  }
  return values;
}

/* What `period` of parts.html asks: a date, with a time where one was given. */
export function momentOf(form, name) {
  const [date, time] = [form.elements[name].value, form.elements[`${name}_time`].value];
  return (time ? `${date}T${time}` : date) || null;
}

/* A password can be seen while it is typed, and is compared where it is asked for twice. */
for (const secret of document.querySelectorAll("input[type=password]")) {
  const shown = element("button", "quiet", say("form.show"));
  shown.type = "button";
  shown.setAttribute("aria-pressed", "false");
  shown.addEventListener("click", () => {
    const hidden = secret.type === "password";
    secret.type = hidden ? "text" : "password";
    shown.setAttribute("aria-pressed", String(hidden));
    shown.textContent = say(hidden ? "form.hide" : "form.show");
    secret.focus();
  });
  const pair = element("div", "secret");
  const isTyped = document.activeElement === secret;
  secret.replaceWith(pair);
  pair.append(secret, shown);
  if (isTyped) secret.focus();  // who began before this script came goes on
  const first = document.getElementById(secret.dataset.same);
  const compare = () => {
    secret.setCustomValidity(secret.value === first.value ? "" : say("problem.passwords_differ"));
  };
  if (first) for (const each of [first, secret]) each.addEventListener("input", compare);
}

function tellIn(form, kind, text) {
  let notice = form.querySelector(":scope > .notice[role]");
  if (!notice) {
    notice = element("p", "notice all");
    notice.setAttribute("role", "alert");
    form.append(notice);
  }
  notice.className = `notice all ${kind}`;
  notice.textContent = text;
}

function goOn(form, found) {
  const then = form.dataset.then;
  if (form.dataset.show) {
    const shown = form.querySelector("[data-shown]");
    const made = found[form.dataset.show];
    shown.querySelector("code").textContent = made.startsWith("/") ? new URL(`.${made}`, location.href).href : made;
    shown.hidden = false;
  } else if (then === "reload") {
    location.reload();
  } else {
    location.assign(then.replace(/\{(\w+)\}/g, (_, key) => encodeURIComponent(found[key])));
  }
}

for (const form of document.querySelectorAll("form[data-api]")) {
  onSubmit(form, async (event) => {
    if (!(await sure(form))) return;
    const button = event.submitter ?? form.querySelector("button");
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      const body = form.dataset.method === "DELETE" ? undefined : valuesOf(form);
      let found = null;
      const act = async (confirm) => {
        const path = confirm ? `${form.dataset.api}?confirm=true` : form.dataset.api;
        found = await ask(form.dataset.method, path, body);
      };
      if (!("confirm" in form.dataset)) await act(false);
      else if (!(await confirmed(act))) return;
      if (form.dataset.done) tellIn(form, "good", form.dataset.done);
      goOn(form, found);
    } catch (problem) {
      const late = problem.code === "timed_out" && form.dataset.timedOut;
      tellIn(form, "bad", late || explain(problem));
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
}
