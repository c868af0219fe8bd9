// Parts of the page, made by the server, put in place of the old ones by their ids.

import { checkAccess, hasAccess } from "./access.js";
import { refreshAges } from "./shell.js";

export async function fetchPart(url) {
  if (!hasAccess()) throw new Error(`${url}: no access`);
  const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    // The session ended. A page with unsaved edits says so and stays.
    if (document.dispatchEvent(new CustomEvent("crewship:signed-out", { cancelable: true }))) location.reload();
    throw new Error(`${url}: signed out`);
  }
  if (answer.status === 403 || answer.status === 404) checkAccess();
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Leaves alone what did not change, keeps opened details open and the focus where it was.
export function swap(id, from) {
  const old = document.getElementById(id);
  const found = from.getElementById(id);
  if (!old || !found) return;
  const fresh = document.importNode(found, true);
  const markup = fresh.outerHTML;
  if (old.dataset.swapped === undefined ? old.outerHTML === markup : marks.get(old) === markup) return;
  const opened = [...old.querySelectorAll("details")].map((item) => item.open);
  const place = old.contains(document.activeElement) ? placeOf(document.activeElement, old) : null;
  fresh.dataset.swapped = "";
  marks.set(fresh, markup);
  old.replaceWith(fresh);
  [...fresh.querySelectorAll("details")].forEach((item, index) => (item.open ||= opened[index] ?? false));
  refreshAges(fresh);
  window.htmx?.process(fresh);
  document.dispatchEvent(new CustomEvent("crewship:swapped"));
  if (place) (findPlace(place, fresh) ?? document.getElementById("main")).focus({ preventScroll: true });
}

const marks = new WeakMap();
const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";

function placeOf(element, root) {
  const text = element.textContent.trim();
  const alike = [...root.querySelectorAll(FOCUSABLE)].filter((x) => x.textContent.trim() === text);
  return { text, index: alike.indexOf(element) };
}

function findPlace({ text, index }, root) {
  return [...root.querySelectorAll(FOCUSABLE)].filter((x) => x.textContent.trim() === text)[index];
}
