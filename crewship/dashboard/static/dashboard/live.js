// The header's badge, the banner of health and the overview's rows follow the workspace's event stream.

import { Stream } from "./stream.js";
import { fetchPart, swap } from "./swap.js";

const GATHER_MS = 150;
const POLL_MS = 4000;
const { live, events } = document.body.dataset;
const known = new Map(); // crew id -> what it looked like
const changed = new Set();
let gathering = null;
let polling = null;

function row(crewId) {
  return document.getElementById(`row-${crewId}`);
}

function onEvent(kind, data) {
  if (kind === "crew") {
    const now = [
      data.status,
      data.step ?? 0,
      data.queue_position ?? "",
      data.agents_pending_restart,
      data.message ?? "",
    ].join(" ");
    const before = known.get(data.crew_id) ?? row(data.crew_id)?.dataset.signature;
    known.set(data.crew_id, now);
    document.dispatchEvent(new CustomEvent("crewship:crew", { detail: data }));
    if (before === now) return;
    // The stream begins with all crews: what was not known before is no change.
    if (before === undefined) return;
  }
  if (kind === "gone") row(data.crew_id)?.remove();
  if (kind === "agents") document.dispatchEvent(new CustomEvent("crewship:agents", { detail: data }));
  changed.add(data.crew_id ?? "");
  gathering ??= setTimeout(refresh, GATHER_MS);
}

async function refresh() {
  gathering = null;
  const ids = [...changed].filter((id) => id && row(id));
  changed.clear();
  const query = ids.map((id) => `crew=${encodeURIComponent(id)}`).join("&");
  try {
    const parts = await fetchPart(`${live}?${query}`);
    swap("badge", parts);
    swap("health", parts);
    for (const id of ids) swap(`row-${id}`, parts);
  } catch {
    for (const id of ids) changed.add(id); // the stream's or the poll's next turn tries again
  }
}

function poll() {
  for (const item of document.querySelectorAll("tr[data-crew]")) changed.add(item.dataset.crew);
  if (!document.hidden) refresh();
}

document.addEventListener("crewship:no-access", () => {
  clearInterval(polling);
  clearTimeout(gathering);
});

if (live) {
  new Stream({
    address: () => events,
    kinds: ["crew", "gone", "agents", "images", "health"],
    onEvent,
    onDown: () => (polling ??= setInterval(poll, POLL_MS)),
    onUp: () => {
      clearInterval(polling);
      polling = null;
      // The stream tells of changes: what changed before it was there is in no event.
      gathering ??= setTimeout(refresh, GATHER_MS);
    },
  });
}
