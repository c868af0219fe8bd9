// A crew's page: the checklist and the log follow the crew's event stream. What was shown is known
// by job and seq, so that reloads, cuts and restarts neither lose nor repeat a line.

import { Log } from "./log.js";
import { duration } from "./shell.js";
import { Stream } from "./stream.js";
import { fetchPart, swap } from "./swap.js";

const KINDS = [
  "job.state", "step.started", "step.message", "step.done", "step.failed",
  "log.system", "log.output", "log_gap", "layer", "cache.hit", "end",
];
const PARTS = ["crew-head", "crew-build", "crew-more", "crew-side"];
const OF_LOG_ONLY = new Set(["log.system", "log.output", "log_gap"]);
const GATHER_MS = 150;
const POLL_MS = 2000;

class CrewLive extends HTMLElement {
  connectedCallback() {
    this.job = this.dataset.job;
    this.seq = Number(this.dataset.seq);
    this.log = this.querySelector("#log") ? new Log(this) : null;
    this.onCrew = (event) => this.heard(event.detail);
    this.onAgents = (event) => event.detail.crew_id === this.dataset.crew && this.refreshSoon();
    document.addEventListener("crewship:crew", this.onCrew);
    document.addEventListener("crewship:agents", this.onAgents);
    document.addEventListener("crewship:no-access", () => this.stop(), { once: true });
    this.ticking = setInterval(() => this.tick(), 1000);
    this.tick();
    if (this.dataset.active === "true") this.follow();
  }

  disconnectedCallback() {
    document.removeEventListener("crewship:crew", this.onCrew);
    document.removeEventListener("crewship:agents", this.onAgents);
    this.stop();
    this.log?.close();
  }

  stop() {
    clearInterval(this.ticking);
    clearInterval(this.polling);
    clearTimeout(this.gathering);
    this.stream?.close();
    this.stream = this.polling = null;
  }

  follow() {
    const join = this.dataset.events.includes("?") ? "&" : "?";
    this.stream = new Stream({
      address: () => `${this.dataset.events}${join}after=${this.job}:${this.seq}`,
      kinds: KINDS,
      onEvent: (kind, data) => (kind === "end" ? this.ended() : this.take(data)),
      onDown: () => (this.polling ??= setInterval(() => this.poll(), POLL_MS)),
      onUp: () => {
        clearInterval(this.polling);
        this.polling = null;
      },
    });
  }

  take(event) {
    if (event.job_id !== this.job) return this.reload(); // a newer job began
    if (event.seq <= this.seq) return; // shown already
    this.seq = event.seq;
    this.log?.append(event);
    if (!OF_LOG_ONLY.has(event.kind)) this.refreshSoon();
  }

  async poll() {
    if (document.hidden) return;
    try {
      const answer = await fetch(`${this.dataset.portion}?after=${this.seq}`);
      if (!answer.ok) return;
      const { events, more, ended } = await answer.json();
      events.forEach((event) => this.take(event));
      if (more && this.polling) return await this.poll();
      if (ended) this.ended();
      else this.refreshSoon();
    } catch {
      // offline: the next turn tries again
    }
  }

  ended() {
    this.stream?.close();
    this.stream = null;
    clearInterval(this.polling);
    this.dataset.active = "false";
    this.refreshSoon();
  }

  // The workspace's stream told of this crew: another job, or a message that is no event.
  heard(crew) {
    if (crew.crew_id !== this.dataset.crew || this.dataset.latest !== "true") return;
    if (crew.job_id && crew.job_id !== this.job) this.reload();
    else if (this.lastMessage !== crew.message) this.refreshSoon();
    this.lastMessage = crew.message;
  }

  refreshSoon() {
    this.gathering ??= setTimeout(() => this.refresh(), GATHER_MS);
  }

  async refresh() {
    this.gathering = null;
    const ask = this.dataset.latest === "true" ? "" : `?job=${this.job}`;
    try {
      const parts = await fetchPart(this.dataset.live + ask);
      const head = parts.getElementById("crew-head");
      if (ask === "" && head.dataset.job !== this.job) return this.reload();
      PARTS.forEach((id) => swap(id, parts));
      this.say(head.dataset.said, head.dataset.short);
      this.tick();
    } catch {
      if (this.stream || this.polling) this.gathering = setTimeout(() => this.refresh(), POLL_MS);
    }
  }

  // Progress for who does not see it, once per change; and in the tab's title.
  say(text, short) {
    this.pageTitle ??= document.title;
    document.title = short ? `${short} ${this.pageTitle}` : this.pageTitle;
    const place = this.querySelector("#announce");
    if (place && place.textContent !== text) place.textContent = text;
  }

  reload() {
    if (this.leaving || document.querySelector("dialog[open]")) return;
    this.leaving = true;
    location.replace(location.pathname);
  }

  tick() {
    for (const item of this.querySelectorAll("[data-since]")) {
      item.textContent = duration((Date.now() - Date.parse(item.dataset.since)) / 1000);
    }
  }
}

customElements.define("crew-live", CrewLive);
