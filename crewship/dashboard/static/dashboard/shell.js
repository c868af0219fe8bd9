// What every page does: menus that close, dialogs that open, ages that stay true.

import "./connection.js"; // first: its listeners come before all others
import { dropAll, dropSent } from "./editor/draft.js";

if (document.querySelector(".flash.saved")) dropSent();

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  // For browsers without invoker commands; with them this has happened already.
  const opener = event.target.closest("button[commandfor]");
  if (opener && !("command" in HTMLButtonElement.prototype)) {
    const dialog = document.getElementById(opener.getAttribute("commandfor"));
    if (opener.getAttribute("command") === "show-modal") dialog?.showModal();
    else dialog?.close();
  }
  const copier = event.target.closest("button[data-copy]");
  if (copier) copy(copier);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A dialog gives the focus back to the button that opened it; that button may have been swapped for
// a new one meanwhile. (`close` does not bubble.)
document.addEventListener("close", ({ target }) => {
  requestAnimationFrame(() => {
    if (document.activeElement !== document.body) return;
    document.querySelector(`button[command="show-modal"][commandfor="${target.id}"]`)?.focus();
  });
}, true);

// Whoever signs in again, in another tab too, has a new CSRF token; the forms of an open page still
// hold the old one. So each is sent with the cookie's. (Capturing: before htmx reads the form.)
document.addEventListener("submit", ({ target }) => {
  const method = target.getAttribute("method")?.toLowerCase();
  if (new URL(target.action, location).pathname === "/sign-out") dropAll();
  if (method === "post" && new URL(target.action, location).origin === location.origin) renewToken(target);
}, true);

export function renewToken(form) {
  const held = form.elements.csrfmiddlewaretoken;
  const cookie = document.cookie.split("; ").find((item) => item.startsWith("csrftoken="));
  if (held && cookie) held.value = cookie.slice("csrftoken=".length);
}

async function copy(button) {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 2000);
}

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

export function ago(seconds) {
  if (seconds < 10) return "just now";
  for (const [size, unit] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}

export function refreshAges(root = document) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(refreshAges, 10_000);

// As the template filter `duration`.
export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

// A form that was sent without a reload: whoever uses the keyboard goes on from the new content.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "main") document.getElementById("main").focus({ preventScroll: true });
});
