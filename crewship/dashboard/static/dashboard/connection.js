// Whether the server answers. While it does not, a strip says so, nothing leaves the page, and what
// was clicked is said not to have happened.

const NOT_DONE = "The server does not answer; nothing was done. Try again when it is back.";
const IN_TIME = "The server did not answer in time. It may not have been done: look before you try again.";
const UNREADABLE = "The answer did not come from this service; nothing on the page was changed. Try again later.";
const ASK_MS = 2000;
const PATIENCE_MS = 5000;
let lost = false;
let doubting = false;

export async function answers() {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(document.body.dataset.ping, { cache: "no-store", redirect: "manual", signal });
    return answer.status === 204;
  } catch {
    return false;
  }
}

// -- the strip

/** A stream broke twice: that may be of its own, or nothing answers any more. */
export async function doubt() {
  if (lost || doubting) return;
  doubting = true;
  if (!(await answers())) lose();
  doubting = false;
}

/** Something came from the server. */
export function back() {
  if (!lost) return;
  lost = false;
  const strip = document.getElementById("connection");
  strip.replaceChildren();
  document.querySelector(".flash.not-done")?.remove();
  document.dispatchEvent(new CustomEvent("crewship:back"));
}

function lose() {
  lost = true;
  const strip = document.createElement("div");
  strip.className = "strip warn";
  strip.append("Connection lost, trying again… What this page shows may be old.");
  document.getElementById("connection").replaceChildren(strip);
  askAgain();
}

function askAgain() {
  setTimeout(async () => {
    if (!lost) return;
    if (!document.hidden && (await answers())) back();
    else askAgain();
  }, ASK_MS);
}

// -- the notice

/** Shown where the person is: in the open dialog, else on top of the page. */
export function tell(text = NOT_DONE) {
  document.querySelector(".flash.not-done")?.remove();
  const flash = Object.assign(document.createElement("div"), { className: "flash error not-done" });
  flash.setAttribute("role", "alert");
  flash.append(text);
  const place = document.querySelector("dialog[open] > form, dialog[open] > div") ?? document.getElementById("flashes");
  place.prepend(flash);
  flash.scrollIntoView({ block: "nearest" });
}

// -- what htmx sends

function mainOf(text) {
  return new DOMParser().parseFromString(text, "text/html").querySelector("main#main");
}

// A refusal's page takes the place of the page that asked. What is no page of ours never does, and a
// failure of the server neither: what was typed stays.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target } = event.detail;
  if (target.id !== "main") {
    if (/<html|<body/i.test(xhr.responseText)) event.detail.shouldSwap = false;
    return;
  }
  const main = mainOf(xhr.responseText);
  event.detail.shouldSwap = main !== null && xhr.status < 500;
  if (event.detail.shouldSwap) return;
  if (main) tell([...main.querySelectorAll("h1, h1 ~ p:not(:has(a))")].map((part) => part.textContent.trim()).join(" "));
  else if (xhr.status === 504) tell(IN_TIME);
  else tell(xhr.status >= 400 ? NOT_DONE : UNREADABLE);
});

for (const [kind, text] of [["htmx:sendError", NOT_DONE], ["htmx:timeout", IN_TIME]]) {
  document.addEventListener(kind, (event) => {
    if (event.detail.target?.id === "main") tell(text);
    doubt();
  });
}

// -- what leaves the page: the browser would show its own error in place of it

const sure = new WeakSet();

// Capturing, and before all others: a form that is not sent changes nothing, in drafts neither.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  const method = form.getAttribute("method")?.toLowerCase() ?? "";
  const leaves = method === "post" || (method === "get" && lost);
  if (!leaves || form.hasAttribute("hx-boost") || sure.delete(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (form.ariaBusy === "true") return; // pressed twice
  form.ariaBusy = "true";
  const fine = await answers();
  form.ariaBusy = null;
  if (!fine) {
    tell();
    return doubt();
  }
  back();
  sure.add(form);
  form.requestSubmit(submitter?.isConnected ? submitter : undefined);
  sure.delete(form); // it was not valid after all
}, true);

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[href]");
  if (!lost || !link || link.target || link.hasAttribute("download") || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (await answers()) location.assign(link.href);
  else tell("The server does not answer; the page stays.");
}, true);
