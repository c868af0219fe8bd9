// The rows of an agent's environment: one more at a button's press instead of spare empty ones.

class AgentEnv extends HTMLElement {
  connectedCallback() {
    this.rows = this.querySelector(".env-rows");
    this.next = this.rows.children.length;
    this.rows.querySelectorAll("[data-spare]").forEach((row) => row.remove());
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "button small";
    this.button.textContent = "Add variable";
    this.button.addEventListener("click", () => this.add());
    this.append(this.button);
    this.addEventListener("change", ({ target }) => {
      if (!target.name.endsWith("-secret")) return;
      target.closest("li").querySelector("textarea").classList.toggle("hidden-text", target.checked);
    });
  }

  disconnectedCallback() {
    this.button?.remove();
  }

  add() {
    const row = this.querySelector("template").content.firstElementChild.cloneNode(true);
    for (const field of row.querySelectorAll("[name]")) field.name = field.name.replace("NEW", this.next);
    this.next += 1;
    this.rows.append(row);
    row.querySelector("input").focus();
  }
}

customElements.define("agent-env", AgentEnv);
