// Colours of a log line as nodes; the twin of ansi.py. Text only ever becomes text nodes.

const MAX_LINE = 4000;
const ESCAPES =
  /\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]?/g;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g;

export function appendLine(parent, raw) {
  let line = raw.replace(/\r+$/, "");
  line = line.slice(line.lastIndexOf("\r") + 1);
  const cut = line.length > MAX_LINE;
  line = line.slice(0, MAX_LINE);
  let style = {};
  let at = 0;
  for (const match of line.matchAll(ESCAPES)) {
    appendText(parent, line.slice(at, match.index), style);
    at = match.index + match[0].length;
    if (match[1] !== undefined) style = restyled(style, match[1]);
  }
  appendText(parent, line.slice(at), style);
  if (cut) {
    const note = document.createElement("span");
    note.className = "cut";
    note.textContent = " … line cut";
    parent.append(note);
  }
  parent.append("\n");
}

function appendText(parent, text, style) {
  if (!text) return;
  const shown = text
    .replace(BIDI, (c) => `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`)
    .replace(CONTROLS, "");
  const classes = Object.keys(style).sort().map((name) => style[name]).join(" ");
  if (!classes) {
    parent.append(shown);
    return;
  }
  const span = document.createElement("span");
  span.className = classes;
  span.textContent = shown;
  parent.append(span);
}

function restyled(style, codes) {
  let next = { ...style };
  const numbers = codes.split(";").map((code) => (/^\d+$/.test(code) ? Number(code) : 0));
  while (numbers.length) {
    const code = numbers.shift();
    if (code === 0) next = {};
    else if (code === 1) next.bold = "b";
    else if (code === 22) delete next.bold;
    else if (code === 38 || code === 48) numbers.splice(0, numbers[0] === 5 ? 2 : 4);
    else if (code === 39) delete next.front;
    else if (code === 49) delete next.ground;
    else Object.assign(next, colour(code));
  }
  return next;
}

function colour(code) {
  for (const [base, first] of [[30, 0], [90, 8]]) {
    if (code >= base && code < base + 8) return { front: `f${code - base + first}` };
    if (code >= base + 10 && code < base + 18) return { ground: `g${code - base - 10 + first}` };
  }
  return {};
}
