// An agent's log while it is written: the API's text stream, read only while its tab is seen. Each
// connect begins with the newest lines again and puts them in place of what was shown. What an
// agent printed is only ever text.

import { appendLine } from "./ansi.js";
import { Follower } from "./follower.js";
import { fetchPart, swap } from "./swap.js";

const BLOCK_LINES = 200;
const MAX_BLOCKS = 25; // older lines leave the page; Download has them
const BACK_OFF_MS = [500, 1000, 2000, 5000, 10000];
const FINAL = new Set([400, 401, 403, 404]); // asking again changes nothing
const GATHER_MS = 150;

class AgentLog extends HTMLElement {
  connectedCallback() {
    this.pane = this.querySelector(".log");
    this.reload = this.querySelector("[data-reload]");
    this.failures = 0;
    this.gone = new AbortController();
    const { signal } = this.gone;
    const follow = this.querySelector("[data-toggle=follow]");
    follow.parentElement.hidden = false;
    this.follower = new Follower(this.pane, follow, signal);
    document.addEventListener("visibilitychange", () => this.seen(), { signal });
    document.addEventListener("crewship:agents", ({ detail }) => {
      if (detail.crew_id === this.dataset.crew) this.gathering ??= setTimeout(() => this.refresh(), GATHER_MS);
    }, { signal });
    // A page that is kept for the back button gets a new stream when it is shown again.
    window.addEventListener("pagehide", () => this.disconnect(), { signal });
    window.addEventListener("pageshow", () => this.seen(), { signal });
    this.follower.scrollDown();
    this.seen();
  }

  disconnectedCallback() {
    this.gone.abort();
    this.disconnect();
    clearTimeout(this.gathering);
  }

  seen() {
    if (document.hidden) this.disconnect();
    else this.connect();
  }

  disconnect() {
    clearTimeout(this.timer);
    this.stream?.abort();
    this.stream = null;
  }

  async connect() {
    if (this.stream || this.over) return;
    clearTimeout(this.timer);
    const stream = new AbortController();
    this.stream = stream;
    try {
      const answer = await fetch(this.dataset.stream, { signal: stream.signal });
      this.over = FINAL.has(answer.status) || answer.redirected;
      if (answer.ok && !this.over) await this.read(answer.body, stream);
    } catch {
      // cut off, or ended by us
    }
    if (this.stream !== stream) return; // the page was hidden, or has a newer stream
    this.stream = null;
    this.failures += 1;
    this.reload.hidden = false;
    const wait = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length) - 1];
    if (!this.over) this.timer = setTimeout(() => this.seen(), wait);
  }

  async read(body, stream) {
    this.reload.hidden = true;
    let fresh = true;
    let rest = "";
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.stream !== stream) return;
      this.failures = 0;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      if (!lines.length) continue;
      if (fresh) this.pane.replaceChildren();
      fresh = false;
      this.append(lines);
    }
  }

  append(lines) {
    const top = this.pane.scrollTop;
    for (let at = 0; at < lines.length; ) {
      const block = this.block();
      const room = BLOCK_LINES - block.dataset.lines;
      const some = lines.slice(at, at + room);
      const fragment = document.createDocumentFragment();
      for (const line of some) appendLine(fragment, line);
      block.append(fragment);
      block.dataset.lines = Number(block.dataset.lines) + some.length;
      at += some.length;
    }
    while (this.pane.childElementCount > MAX_BLOCKS) this.pane.firstElementChild.remove();
    if (this.follower.on) this.follower.scrollSoon();
    else if (this.pane.scrollTop === 0) this.pane.scrollTop = top;
  }

  block() {
    const last = this.pane.lastElementChild;
    if (last?.dataset.lines < BLOCK_LINES) return last;
    const block = document.createElement("pre");
    block.className = "out";
    block.dataset.lines = 0;
    this.pane.append(block);
    return block;
  }

  // The crew's agents changed: the page's head says how this one stands.
  async refresh() {
    this.gathering = null;
    if (document.hidden || document.querySelector("dialog[open]")) return;
    try {
      swap("agent-head", await fetchPart(this.reload.href));
    } catch {
      // gone or offline: the next event, or a reload, shows it
    }
  }
}

customElements.define("agent-log", AgentLog);
