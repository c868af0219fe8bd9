// The crew editor: checks as one types, pickers and forms that change just their part of the text.

import { renewToken } from "../shell.js";
import { Draft } from "./draft.js";
import { Pane } from "./pane.js";

const form = document.getElementById("editor");
const panes = new Map([...form.querySelectorAll(".code")].map((root) => [root.dataset.field, new Pane(root)]));
const said = document.getElementById("said");
const refused = document.getElementById("refused");
const ask = document.getElementById("ask");
const draft = new Draft(form);
const filled = new Map();
let checking = null;
let planning = null;
let timer = 0;
let planTimer = 0;
let dirty = form.dataset.unsaved === "true" || form.elements.crew.value === "" && form.elements.name.value !== "";

for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;

function posted(more = {}) {
  renewToken(form);
  const data = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (typeof value === "string" && name !== "image") data.append(name, value);
  for (const [name, value] of Object.entries(more)) data.set(name, value);
  return data;
}

const NOT_OURS = "The answer did not come from this service. What you typed is still here.";
const SIGNED_OUT = "You are signed out. Open the sign-in page in another tab, then go on here.";

async function askServer(url, options = {}) {
  const response = await fetch(url, { headers: { "X-Requested-With": "fetch" }, ...options });
  if (response.redirected) throw new Error(SIGNED_OUT);
  if (response.ok) return response;
  if (response.status === 404) throw new Error("The crew is gone, or you have no access to this workspace any more.");
  throw new Error(response.status === 403 ? "You may not edit crews here any more." : `The server answered ${response.status}.`);
}

// A page in place of a part is some proxy's, whatever its status says.
async function partOf(response) {
  const text = await response.text();
  if (/<html|<body/i.test(text)) throw new Error(NOT_OURS);
  return text;
}

async function jsonOf(response) {
  if (!response.headers.get("Content-Type")?.startsWith("application/json")) throw new Error(NOT_OURS);
  return response.json();
}

function complain(error) {
  if (error.name === "AbortError") return;
  refused.textContent = error instanceof TypeError ? "The server can't be reached. What you typed is still here." : error.message;
  refused.hidden = false;
}

// Checks as typed: one at a time, the newest wins.

function checkSoon() {
  dirty = true;
  draft.keep();
  clearTimeout(timer);
  timer = setTimeout(() => check().catch(complain), 300);
}

async function check(eager = false) {
  clearTimeout(timer);
  checking?.abort();
  checking = new AbortController();
  const response = await askServer(form.dataset.check, { method: "POST", body: posted(), signal: checking.signal });
  const found = await jsonOf(response);
  refused.hidden = true;
  for (const name of ["findings", "features", "tools"]) fill(name, found[name]);
  show(found);
  showImage(found.image.trim());
  clearTimeout(planTimer);
  if (found.problems === 0) planTimer = setTimeout(() => plan().catch(complain), eager ? 0 : 900);
  else fill("plan", '<p class="card-note">There is no plan for a config with problems.</p>');
}

function fill(id, html) {
  const element = document.getElementById(id);
  if (filled.get(id) === html) return; // focus stays where it is
  filled.set(id, html);
  element.innerHTML = html; // rendered and escaped by the server
  for (const hidden of element.querySelectorAll("[data-script]")) hidden.hidden = false;
}

function show({ marks, summary }) {
  const status = document.getElementById("summary");
  if (status.textContent !== summary) status.textContent = summary;
  for (const [field, pane] of panes) {
    const own = marks.filter((mark) => mark.field === field);
    pane.mark(own);
    pane.area.setAttribute("aria-invalid", own.some((mark) => mark.problem));
  }
  for (const place of form.querySelectorAll(".errors[data-field]")) {
    const messages = marks.filter((mark) => mark.field === place.dataset.field);
    place.replaceChildren(...messages.map(({ message }) => Object.assign(document.createElement("p"), { textContent: message })));
    const input = form.elements[place.dataset.field];
    input.setAttribute("aria-invalid", messages.length > 0);
    input.setAttribute("aria-describedby", [`id_${place.dataset.field}_helptext`, place.id].filter((id) => document.getElementById(id)).join(" "));
  }
}

let shownImage = document.getElementById("base-image").value;

function showImage(image) {
  const select = document.getElementById("base-image");
  if (image === shownImage) return; // what somebody is about to choose stays chosen
  shownImage = image;
  let own = select.querySelector("[data-own]");
  const known = [...select.options].some((option) => option !== own && option.value === image);
  if (image && !known) {
    own ??= select.appendChild(Object.assign(document.createElement("option"), { hidden: true }));
    own.dataset.own = "";
    own.value = own.textContent = image;
  } else own?.remove();
  select.value = image;
}

async function plan() {
  planning?.abort();
  planning = new AbortController();
  const card = document.getElementById("plan-card");
  card.setAttribute("aria-busy", "true");
  try {
    const response = await askServer(form.dataset.plan, { method: "POST", body: posted(), signal: planning.signal });
    fill("plan", await partOf(response));
  } finally {
    card.setAttribute("aria-busy", "false");
  }
}

form.addEventListener("pane-change", checkSoon);
form.addEventListener("input", (event) => {
  if (event.target.matches(".code-text, [type=file], #base-image")) return;
  checkSoon();
});

// A problem leads to its place.

document.getElementById("findings").addEventListener("click", (event) => {
  const link = event.target.closest("a.finding");
  if (!link) return;
  event.preventDefault();
  const { field, start, end } = link.dataset;
  const input = form.elements[field] ?? panes.get("devcontainer_config").area;
  input.closest("details")?.setAttribute("open", "");
  if (start !== undefined && panes.has(field)) panes.get(field).select(Number(start), Number(end));
  else input.focus();
});

// Acts that change one text.

async function change(more) {
  refused.hidden = true;
  const response = await askServer(form.dataset.change, { method: "POST", body: posted(more) });
  const changed = await jsonOf(response);
  if (changed.refused) throw new Error(changed.refused);
  panes.get(changed.field).replace(changed.text);
  said.textContent = changed.message;
  await check(true);
}

function act(more, then = () => {}) {
  return change(more).then(then).catch(complain);
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const { act: name, ref = "", tool = "", versions = "" } = button.dataset;
  if (name === "options") openOptions(ref);
  else if (name === "versions") openVersions(tool, versions === "default" ? "" : versions);
  else act({ edit: name, ref, tool }, () => document.getElementById(tool ? "add-tool" : "add-feature").focus());
});

async function openAsk(response) {
  ask.innerHTML = await partOf(await response); // rendered and escaped by the server
  ask.showModal();
  ask.querySelector("input, select, button")?.focus();
}

function openOptions(ref) {
  return openAsk(askServer(form.dataset.options, { method: "POST", body: posted({ ref }) })).catch(complain);
}

function openVersions(tool, versions = "") {
  return openAsk(askServer(`${form.dataset.versions}?${new URLSearchParams({ tool, versions })}`)).catch(complain);
}

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  const { edit, ref = "", tool = "" } = event.target.dataset;
  const values = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => typeof value === "string"));
  ask.close();
  act({ ...values, edit, ref, tool }, () => focusRow(ref, tool));
});

function focusRow(ref, tool) {
  const buttons = [...form.querySelectorAll("button[data-act]")];
  const own = buttons.find((button) => (ref ? button.dataset.ref === ref : button.dataset.tool === tool));
  (own ?? document.getElementById(tool ? "add-tool" : "add-feature")).focus();
}

// Pickers: search, categories, arrow keys.

function picker(id, url, choose) {
  const dialog = document.getElementById(id);
  const [input, list] = [dialog.querySelector("input[type=search]"), dialog.querySelector(".picker-list")];
  let latest = null;
  let wait = 0;
  const load = async () => {
    latest?.abort();
    latest = new AbortController();
    list.setAttribute("aria-busy", "true");
    const category = dialog.querySelector("input[type=radio]:checked").value;
    const response = await askServer(`${url}?${new URLSearchParams({ q: input.value, category })}`, { signal: latest.signal });
    list.innerHTML = await partOf(response); // rendered and escaped by the server
    list.setAttribute("aria-busy", "false");
    const present = new Set([...document.querySelectorAll("#features [data-resource]")].map((row) => row.dataset.resource));
    for (const entry of list.querySelectorAll("[data-resource]")) entry.disabled = present.has(entry.dataset.resource);
  };
  const loadSoon = (delay) => {
    clearTimeout(wait);
    wait = setTimeout(() => load().catch(complain), delay);
  };
  dialog.addEventListener("input", (event) => loadSoon(event.target === input ? 150 : 0));
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target.type === "radio") return;
    const stops = [input, ...list.querySelectorAll(".entry:enabled")];
    const next = stops[stops.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  list.addEventListener("click", (event) => {
    const entry = event.target.closest(".entry");
    if (!entry) return;
    dialog.close();
    choose(entry.dataset);
  });
  return () => {
    input.value = "";
    dialog.querySelector("input[type=radio]").checked = true;
    dialog.showModal();
    input.focus();
    load().catch(complain);
  };
}

const openFeatures = picker("feature-picker", form.dataset.features, ({ ref }) => act({ edit: "add_feature", ref }, () => focusRow(ref, "")));
const openTools = picker("tool-picker", form.dataset.tools, ({ tool }) => openVersions(tool));
document.getElementById("add-feature").addEventListener("click", openFeatures);
document.getElementById("add-tool").addEventListener("click", openTools);

// Base image, file, plan: what the buttons of the plain form do, without a new page.

form.addEventListener("submit", (event) => {
  const value = event.submitter?.value;
  if (value === "set_image" || value === "check") event.preventDefault();
  else {
    dirty = false;
    draft.keep({ sent: true });
  }
  if (value === "set_image") {
    const image = document.getElementById("base-image").value;
    if (image) act({ edit: "set_image", image });
  }
  if (value === "check") check(true).catch(complain);
});

document.getElementById("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  try {
    if (file.size > 102400) throw new Error(`The file has ${file.size} bytes; at most 102400 are possible.`);
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer());
    form.elements.devcontainer_crlf.value = text.includes("\r\n") ? "1" : "";
    panes.get("devcontainer_config").replace(text.replace(/\r\n?/g, "\n"));
    said.textContent = `${file.name} was loaded into the text.`;
    await check();
  } catch (error) {
    complain(error instanceof TypeError ? new Error("The file is no UTF-8 text.") : error);
  }
  event.target.value = "";
});

// A slug from the name, until somebody writes one.

const slug = form.elements.slug;
let suggests = form.elements.crew.value === "" && slug.value === "";
draft.offer({ unsaved: dirty, panes, restored: () => { suggests = false; checkSoon(); } });
slug.addEventListener("input", () => (suggests = slug.value === ""));
form.elements.name.addEventListener("input", (event) => {
  if (!suggests) return;
  slug.value = event.target.value.normalize("NFKD").replace(/[^\w\s-]/g, "").trim().toLowerCase().replace(/[-\s]+/g, "-").slice(0, 50);
});

document.addEventListener("crewship:signed-out", (event) => {
  if (!dirty) return;
  event.preventDefault();
  complain(new Error(SIGNED_OUT));
});

window.addEventListener("beforeunload", (event) => {
  if (dirty) event.preventDefault();
});

check(true).catch(complain);
