// The part about health renews itself. While the server does not answer it says so, and stays.

const EVERY_MS = 5000;

async function renew() {
  const old = document.getElementById("health");
  document.getElementById("health-lost")?.remove();
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(EVERY_MS) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("health");
    if (!answer.ok || answer.redirected || !fresh) throw new Error(`${answer.status}`);
    if (!old.contains(document.activeElement)) old.replaceWith(document.importNode(fresh, true));
  } catch {
    const lost = Object.assign(document.createElement("p"), { id: "health-lost", className: "errornote" });
    lost.textContent = "The server does not answer, or you are signed out: what this page shows is old.";
    old.before(lost);
  }
}

setInterval(renew, EVERY_MS);
