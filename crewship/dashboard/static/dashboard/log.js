// The log pane: appends events, loads earlier ones, follows, wraps, searches.

import { appendLine } from "./ansi.js";
import { tell } from "./connection.js";
import { Follower } from "./follower.js";

const CHUNK_LINES = 200;
const LOAD_ALL_UNDER = 20; // portions; a longer log waits until somebody asks
const MAX_FOUND = 5000;

export class Log {
  constructor(root) {
    this.root = root;
    this.pane = root.querySelector("#log");
    this.body = this.pane.querySelector(".log-body");
    this.earlier = this.pane.querySelector(".earlier");
    this.first = Number(this.pane.dataset.first);
    this.found = [];
    this.abort = new AbortController();
    this.wireTools(root.querySelector("crew-log-tools"));
    this.follower.scrollDown();
    if (this.pane.dataset.earlier === "true") this.loadAll(LOAD_ALL_UNDER);
  }

  close() {
    this.abort.abort();
  }

  wireTools(tools) {
    const { signal } = this.abort;
    const follow = tools.querySelector("[data-toggle=follow]");
    const wrap = tools.querySelector("[data-toggle=wrap]");
    this.search = tools.querySelector(".log-search");
    this.input = this.search.querySelector("input");
    this.output = this.search.querySelector("output");
    for (const item of [this.search, follow.parentElement, wrap.parentElement]) item.hidden = false;
    this.follower = new Follower(this.pane, follow, signal);
    wrap.addEventListener("change", () => this.pane.classList.toggle("wrap", wrap.checked), { signal });
    this.pane.addEventListener("scroll", () => {
      if (this.pane.scrollTop < 200 && this.follower.goesUpByHand) this.loadAll(1);
    }, { signal, passive: true });
    this.earlier.addEventListener("click", async () => (await this.loadEarlier()) || tell(), { signal });
    this.input.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(), 200);
    }, { signal });
    this.search.addEventListener("submit", (event) => {
      event.preventDefault();
      this.step(1);
    }, { signal });
    this.search.addEventListener("click", (event) => {
      const button = event.target.closest("[data-step]");
      if (button) this.step(Number(button.dataset.step));
    }, { signal });
  }

  // -- lines
  append(event) {
    const last = this.body.lastElementChild;
    const node = place(event, last);
    if (node) this.body.append(node);
    if (this.follower.on) this.follower.scrollSoon();
    if (this.input.value) {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(false), 500);
    }
  }

  async loadAll(portions) {
    for (let n = 0; n < portions && this.pane.dataset.earlier === "true"; n += 1) {
      if (!(await this.loadEarlier())) return;
    }
  }

  async loadEarlier() {
    this.loading ??= this.fetchEarlier().finally(() => (this.loading = null));
    return this.loading;
  }

  async fetchEarlier() {
    let answer;
    try {
      answer = await fetch(`${this.root.dataset.portion}?before=${this.first}`, { signal: this.abort.signal });
    } catch {
      return false;
    }
    if (!answer.ok) return false;
    const { events, earlier } = await answer.json();
    const fromEnd = this.pane.scrollHeight - this.pane.scrollTop;
    const fragment = document.createDocumentFragment();
    for (const event of events) {
      const node = place(event, fragment.lastElementChild);
      if (node) fragment.append(node);
    }
    this.body.prepend(fragment);
    if (events.length) this.first = events[0].seq;
    this.pane.dataset.earlier = String(earlier);
    this.earlier.hidden = !earlier;
    if (this.follower.on) this.follower.scrollDown();
    else this.pane.scrollTop = this.pane.scrollHeight - fromEnd;
    return true;
  }

  // -- searching: ranges and highlights, the log's nodes stay as they are
  async find(jump = true) {
    const wanted = this.input.value.toLowerCase();
    this.found = [];
    if (wanted && jump) await this.loadAll(Infinity);
    if (wanted) this.collect(wanted);
    this.current = -1;
    if (globalThis.CSS?.highlights) {
      CSS.highlights.set("log-found", new Highlight(...this.found));
      CSS.highlights.delete("log-current");
    }
    this.tell();
    if (jump && this.found.length) this.step(1);
  }

  // Block by block, over the borders of colours.
  collect(wanted) {
    for (const block of this.body.children) {
      const text = block.textContent.toLowerCase();
      let at = text.indexOf(wanted);
      if (at < 0) continue;
      const nodes = textNodes(block);
      for (; at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        if (this.found.length >= MAX_FOUND) return;
        const range = new Range();
        range.setStart(...placeAt(nodes, at, false));
        range.setEnd(...placeAt(nodes, at + wanted.length, true));
        this.found.push(range);
      }
    }
  }

  step(by) {
    if (!this.found.length) return;
    this.current = (this.current + by + this.found.length) % this.found.length;
    const range = this.found[this.current];
    if (globalThis.CSS?.highlights) CSS.highlights.set("log-current", new Highlight(range));
    this.follower.stop();
    range.startContainer.parentElement.scrollIntoView({ block: "nearest" });
    const box = range.getBoundingClientRect();
    const frame = this.pane.getBoundingClientRect();
    this.pane.scrollTop += box.top - frame.top - this.pane.clientHeight / 2;
    this.tell();
  }

  tell() {
    const count = this.found.length;
    if (!this.input.value) this.output.textContent = "";
    else if (!count) this.output.textContent = "nothing found";
    else this.output.textContent = `${this.current + 1} of ${count}${count >= MAX_FOUND ? "+" : ""}`;
  }
}

// The node for an event, or null when its lines went into the block before it. What is a line of
// ours shows by structure, from the event's kind; a script's text is only ever text in a <pre>.
function place(event, before) {
  const { kind, step, data } = event;
  if (kind === "log.output") return output(data.lines, before, event.seq);
  if (kind === "log.system") return line("line-system", data.text, event.seq, "crewship");
  if (kind === "log_gap") return line("line-system", gapText(data), event.seq, "crewship");
  if (kind === "step.started") return line("line-step", `Step ${step} · ${data.message}`, event.seq);
  if (kind === "step.failed") return line("line-system bad", data.error, event.seq, "failed");
  if (kind === "cache.hit") return line("line-system", `The image ${data.tag} was there.`, event.seq, "crewship");
  if (kind === "job.state") return line("line-state", data.state, event.seq);
  return null;
}

// As gap_line in provisioning/pipeline/output.py.
function gapText({ lines, bytes }) {
  return `Missing here: ${lines} lines, ${bytes} bytes. The log was too long.`;
}

function output(lines, before, seq) {
  let block = before;
  let made = null;
  if (!block?.classList.contains("out") || Number(block.dataset.lines ?? CHUNK_LINES) >= CHUNK_LINES) {
    made = block = document.createElement("pre");
    block.className = "out";
    block.dataset.seq = seq;
    block.dataset.lines = 0;
  }
  const fragment = document.createDocumentFragment();
  for (const text of lines) appendLine(fragment, text);
  block.append(fragment);
  block.dataset.lines = Number(block.dataset.lines) + lines.length;
  return made;
}

function line(className, text, seq, who = "") {
  const item = document.createElement("p");
  item.className = className;
  item.dataset.seq = seq;
  if (who) {
    const mark = document.createElement("span");
    mark.className = "who";
    mark.textContent = who;
    item.append(mark, " ");
  }
  item.append(text ?? "");
  return item;
}

// [node, where it begins in the block's text] of every text node.
function textNodes(block) {
  const nodes = [];
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  for (let begin = 0; walker.nextNode(); begin += walker.currentNode.length) {
    nodes.push([walker.currentNode, begin]);
  }
  return nodes;
}

function placeAt(nodes, at, isEnd) {
  let low = 0;
  let high = nodes.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const begin = nodes[middle][1];
    if (isEnd ? begin < at : begin <= at) low = middle;
    else high = middle - 1;
  }
  return [nodes[low][0], at - nodes[low][1]];
}
