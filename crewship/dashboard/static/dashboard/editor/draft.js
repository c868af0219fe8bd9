// What was typed in the editor, kept in this tab until a save of it succeeded.

const PREFIX = "crewship-draft ";
const UNKEPT = new Set(["csrfmiddlewaretoken", "crew", "image", "action"]);

export class Draft {
  constructor(form) {
    this.form = form;
    this.key = `${PREFIX}${form.dataset.user} ${location.pathname}`;
  }

  /** The values of the form by name; a box that is not ticked has none. */
  values() {
    const entries = [...new FormData(this.form)].filter(([name, value]) => typeof value === "string" && !UNKEPT.has(name));
    return Object.fromEntries(entries);
  }

  keep(more = {}) {
    write(this.key, { values: this.values(), at: new Date().toISOString(), ...more });
  }

  /** Offers what this tab left unsaved: signed out, gone back. ``unsaved``: the form shows it already. */
  offer({ unsaved, panes, restored }) {
    if (unsaved) return this.keep(); // refused: no save of it succeeded
    const kept = read(this.key);
    if (!kept || !differ(kept.values, this.values())) return this.drop();
    const place = document.getElementById("draft");
    place.querySelector("time").textContent = new Date(kept.at).toLocaleString();
    place.hidden = false;
    place.addEventListener("click", (event) => {
      const choice = event.target.closest("button[data-draft]")?.dataset.draft;
      if (!choice) return;
      place.hidden = true;
      this.form.elements.name.focus();
      if (choice === "drop") return this.drop();
      this.restore(kept.values, panes);
      restored();
    });
  }

  // With the state they were written for: what somebody else saved meanwhile is told by the server.
  restore(values, panes) {
    for (const [field, pane] of panes) pane.replace(values[field] ?? "");
    for (const element of this.form.elements) {
      if (!element.name || panes.has(element.name)) continue;
      if (element.type === "checkbox") element.checked = element.name in values;
      else if (element.name in values) element.value = values[element.name];
    }
  }

  drop() {
    sessionStorage.removeItem(this.key);
  }
}

/** The draft that was sent last is stored now. */
export function dropSent() {
  for (const key of keys()) if (read(key)?.sent) sessionStorage.removeItem(key);
}

export function dropAll() {
  for (const key of keys()) sessionStorage.removeItem(key);
}

function keys() {
  return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
}

function differ(some, others) {
  const names = new Set([...Object.keys(some), ...Object.keys(others)]);
  names.delete("state");
  return [...names].some((name) => some[name] !== others[name]);
}

function read(key) {
  return JSON.parse(sessionStorage.getItem(key));
}

function write(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full: the form itself still has everything, and asks before it is left.
  }
}
