// Whether this page still is its reader's. A removed member is told so once, and nothing asks again.

import { answers } from "./connection.js";

let lost = false;
let asking = null;

/** Asks after a refusal, which may be of one crew only, or of a proxy whose server is away; tells by
    the event crewship:no-access. */
export function checkAccess() {
  const { live } = document.body.dataset;
  if (lost || !live) return;
  asking ??= fetch(live)
    .then(async ({ status }) => (status === 403 || status === 404) && (await answers()) && tell())
    .catch(() => {}) // offline: whoever asks next sees
    .finally(() => (asking = null));
}

export function hasAccess() {
  return !lost;
}

function tell() {
  lost = true;
  const flash = Object.assign(document.createElement("div"), { className: "flash error" });
  flash.setAttribute("role", "alert");
  flash.append("You have no access to this workspace any more. What this page shows may be old.");
  document.getElementById("flashes")?.prepend(flash);
  document.dispatchEvent(new CustomEvent("crewship:no-access"));
}
