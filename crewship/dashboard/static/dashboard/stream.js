// A server-sent event stream that only runs while its tab is seen, comes back by itself, and says
// when it cannot work, so that its user polls instead.
//
// Browsers open at most six connections to a host over HTTP/1.1; a stream in every hidden tab
// would use them up and the seventh request would wait for ever.

import { checkAccess } from "./access.js";
import { back, doubt } from "./connection.js";

const BACK_OFF_MS = [500, 1000, 2000, 5000, 10000];

export class Stream {
  // address() is asked at every connect, so that it can name the place to go on from.
  constructor({ address, kinds, onEvent, onDown = () => {}, onUp = () => {} }) {
    Object.assign(this, { address, kinds, onEvent, onDown, onUp });
    this.failures = 0;
    this.closed = false;
    this.seen = () => (document.hidden ? this.disconnect() : this.connect());
    document.addEventListener("visibilitychange", this.seen);
    this.online = () => this.reconnectNow();
    window.addEventListener("online", this.online);
    document.addEventListener("crewship:back", this.online);
    document.addEventListener("crewship:no-access", () => this.close(), { once: true });
    if (!document.hidden) this.connect();
  }

  connect() {
    if (this.closed || this.source) return;
    clearTimeout(this.timer);
    const source = new EventSource(this.address());
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      back();
      this.onUp();
    };
    source.onerror = () => {
      if (this.source !== source) return;
      if (source.readyState === EventSource.CLOSED) checkAccess(); // an answer, and a refusing one
      this.disconnect();
      this.failures += 1;
      if (this.failures > 1) {
        this.onDown();
        doubt();
      }
      // Not all pages at the same moment, when a server comes back.
      const wait = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length) - 1] * (0.5 + Math.random());
      this.timer = setTimeout(() => !document.hidden && this.connect(), wait);
    };
    for (const kind of this.kinds) {
      source.addEventListener(kind, (event) => this.onEvent(kind, JSON.parse(event.data)));
    }
  }

  disconnect() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  reconnectNow() {
    if (this.closed || document.hidden) return;
    if (this.source?.readyState === EventSource.OPEN) return;
    this.disconnect();
    this.connect();
  }

  close() {
    this.closed = true;
    this.disconnect();
    document.removeEventListener("visibilitychange", this.seen);
    window.removeEventListener("online", this.online);
    document.removeEventListener("crewship:back", this.online);
  }
}
