// Texts that are only read: their colours.

import { Colors } from "./colors.js";
import { isToml } from "./tokens.js";

const painted = new Map(); // pre -> its colours

function paint() {
  for (const [pre, colors] of painted) {
    if (pre.isConnected) continue;
    colors.clear();
    painted.delete(pre);
  }
  for (const pre of document.querySelectorAll("pre.source")) {
    if (!pre.firstChild || painted.has(pre)) continue;
    painted.set(pre, new Colors(pre.firstChild));
    painted.get(pre).paint("mise" in pre.dataset && isToml(pre.textContent));
  }
}

document.addEventListener("crewship:swapped", paint); // the parts that live.js renews
paint();
