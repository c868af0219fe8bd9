// Texts that are only read: their colours.

import { Colors } from "./colors.js";
import { isToml } from "./tokens.js";

for (const pre of document.querySelectorAll("pre.source")) {
  if (pre.firstChild) new Colors(pre.firstChild).paint("mise" in pre.dataset && isToml(pre.textContent));
}
