// A text area with line numbers, colours and marks behind it. The text area stays the real one:
// typing, selecting, undo, find, spell and screen readers are the browser's own.

import { Colors } from "./colors.js";
import { isToml } from "./tokens.js";

const LINE = 20; // px; as in editor.css

export class Pane {
  constructor(root) {
    this.area = root.querySelector("textarea");
    this.field = root.dataset.field;
    this.marks = [];
    this.leaving = true; // Tab leaves: Escape was pressed, or nothing since it came here
    this.numbers = part(root, "code-lines");
    this.back = part(root, "code-back");
    this.text = document.createTextNode("");
    this.back.append(this.text);
    this.colors = new Colors(this.text);
    this.lenses = [];
    root.classList.add("on");
    this.before = this.area.value;
    this.area.addEventListener("scroll", () => this.scroll());
    this.area.addEventListener("input", () => this.changed());
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("focus", () => (this.leaving = true));
    this.area.addEventListener("pointerup", () => (this.leaving = false));
    this.area.form.addEventListener("reset", () => setTimeout(() => this.changed()));
    for (const name of ["keyup", "pointerup", "input", "focus"]) {
      this.area.addEventListener(name, () => this.showCaret());
    }
    this.paint();
  }

  /** Only the stretch that differs is replaced, so that undo and the caret's place stay useful. */
  replace(text) {
    const old = this.area.value;
    if (text === old) return;
    const [start, end, tail] = difference(old, text);
    const focused = document.activeElement;
    const caret = this.area.selectionStart;
    this.area.focus({ preventScroll: true });
    this.area.setSelectionRange(start, end);
    const piece = text.slice(start, text.length - tail);
    const done = document.execCommand(piece ? "insertText" : "delete", false, piece);
    if (!done || this.area.value !== text) this.area.setRangeText(text.slice(start, text.length - (this.area.value.length - end)), start, end, "end");
    if (this.area.value !== text) this.area.value = text;
    if (focused !== this.area) {
      this.area.setSelectionRange(Math.min(caret, text.length), Math.min(caret, text.length));
      focused?.focus({ preventScroll: true });
    }
    this.changed();
    this.reveal(start);
  }

  select(start, end) {
    this.area.focus();
    this.area.setSelectionRange(start, end);
    this.reveal(start);
    this.showCaret();
  }

  reveal(offset) {
    const top = this.lineAt(offset) * LINE;
    const { scrollTop, clientHeight } = this.area;
    if (top < scrollTop || top > scrollTop + clientHeight - 3 * LINE) {
      this.area.scrollTop = Math.max(0, top - clientHeight / 3);
    }
  }

  mark(marks) {
    this.marks = marks.filter((mark) => mark.start !== null);
    this.paint();
    this.showCaret();
  }

  changed() {
    // Marks move with the text until the server says where they are now.
    const now = this.area.value;
    if (now === this.before) return;
    const [start, end] = difference(this.before, now);
    const shift = now.length - this.before.length;
    this.marks = this.marks
      .filter((mark) => mark.end <= start || mark.start >= end)
      .map((mark) => (mark.start >= end ? { ...mark, start: mark.start + shift, end: mark.end + shift } : mark));
    this.before = now;
    this.paint();
    this.area.dispatchEvent(new CustomEvent("pane-change", { bubbles: true }));
  }

  paint() {
    const text = this.area.value;
    this.text.data = `${text}\n`;
    const lines = text.split("\n").length;
    if (this.lines !== lines) {
      this.lines = lines;
      this.numbers.firstChild?.remove();
      this.numbers.prepend(Array.from({ length: lines }, (_, index) => index + 1).join("\n"));
      this.numbers.parentElement.style.minWidth = `calc(${String(lines).length}ch + 28px)`;
    }
    this.colors.paint(this.field === "mise_config" && isToml(text), this.marks);
    this.paintLenses();
    this.scroll();
  }

  paintLenses() {
    for (const element of this.lenses) element.remove();
    this.lenses = [];
    const lines = new Map(); // the worst of each line says what it is about
    for (const mark of this.marks) {
      const line = this.lineAt(mark.start);
      if (!lines.has(line) || (mark.problem && !lines.get(line).problem)) lines.set(line, mark);
    }
    const origin = this.back.getBoundingClientRect();
    for (const [line, mark] of lines) {
      const kind = mark.problem ? "problem" : "warning";
      const row = document.createElement("div");
      row.className = `mark ${kind}`;
      row.style.top = `${line * LINE}px`;
      this.numbers.append(row);
      const lens = document.createElement("div");
      lens.className = `code-lens ${kind}`;
      lens.textContent = mark.message;
      const range = document.createRange();
      const end = this.text.data.indexOf("\n", mark.start);
      range.setStart(this.text, end);
      range.setEnd(this.text, end);
      lens.style.top = `${line * LINE + 1}px`;
      lens.style.left = `${range.getBoundingClientRect().left - origin.left}px`;
      this.back.append(lens);
      this.lenses.push(row, lens);
    }
  }

  scroll() {
    this.back.style.transform = `translate(${-this.area.scrollLeft}px, ${-this.area.scrollTop}px)`;
    this.numbers.style.transform = `translateY(${-this.area.scrollTop}px)`;
  }

  lineAt(offset) {
    let line = 0;
    for (let at = this.area.value.indexOf("\n"); at >= 0 && at < offset; at = this.area.value.indexOf("\n", at + 1)) line += 1;
    return line;
  }

  showCaret() {
    const out = document.querySelector(`[data-caret="${this.field}"]`);
    const at = this.area.selectionStart;
    const start = this.area.value.lastIndexOf("\n", at - 1) + 1;
    const line = this.lineAt(at);
    const here = this.marks.find((mark) => this.lineAt(mark.start) === line);
    out.textContent = here ? here.message : `Line ${line + 1}, column ${[...this.area.value.slice(start, at)].length + 1}`;
    out.classList.toggle("bad-text", Boolean(here?.problem));
  }

  key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Tab" && !event.shiftKey && !this.leaving) {
      event.preventDefault();
      this.insert(/^\t/m.test(this.area.value) ? "\t" : "  ");
    } else if (event.key === "Enter" && !event.shiftKey) {
      const before = this.area.value.slice(0, this.area.selectionStart);
      const indent = /[ \t]*/.exec(before.slice(before.lastIndexOf("\n") + 1))[0];
      event.preventDefault();
      this.insert(`\n${indent}`);
    }
    if (event.key !== "Tab" && event.key !== "Shift") this.leaving = event.key === "Escape";
  }

  insert(text) {
    if (!document.execCommand("insertText", false, text)) {
      this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
      this.changed();
    }
  }
}

function part(root, name) {
  const outer = document.createElement("div");
  outer.className = name;
  outer.setAttribute("aria-hidden", "true");
  const inner = document.createElement("div");
  outer.append(inner);
  root.append(outer);
  return inner;
}

/** Start and end of what differs in `before`, and how long the equal end is. */
export function difference(before, after) {
  let start = 0;
  const most = Math.min(before.length, after.length);
  while (start < most && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < most - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  return [start, before.length - tail, tail];
}
