// Colours without elements: the CSS Custom Highlight API. Browsers that lack it show plain text.

import { tokens } from "./tokens.js";

const KINDS = ["key", "string", "number", "comment", "problem", "warning"];
const highlights = new Map();
if (window.Highlight && CSS.highlights) {
  for (const kind of KINDS) {
    highlights.set(kind, new Highlight());
    CSS.highlights.set(`code-${kind}`, highlights.get(kind));
  }
}

/** The colours of one text node; `paint` takes the former ones away. */
export class Colors {
  constructor(node) {
    this.node = node;
    this.ranges = [];
  }

  paint(toml, marks = []) {
    this.clear();
    if (!highlights.size) return;
    for (const [kind, start, end] of tokens(this.node.data, toml)) this.add(kind, start, end);
    for (const mark of marks) this.add(mark.problem ? "problem" : "warning", mark.start, Math.max(mark.end, mark.start + 1));
  }

  clear() {
    for (const [kind, range] of this.ranges) highlights.get(kind).delete(range);
    this.ranges = [];
  }

  add(kind, start, end) {
    const range = new StaticRange({ startContainer: this.node, startOffset: start, endContainer: this.node, endOffset: Math.min(end, this.node.length) });
    highlights.get(kind).add(range);
    this.ranges.push([kind, range]);
  }
}
