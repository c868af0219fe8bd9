// Keeps a scrolling pane at its end while new lines come, until a person scrolls up; the checkbox
// says so and changes it.

export class Follower {
  constructor(pane, box, signal) {
    this.pane = pane;
    this.box = box;
    this.on = true;
    box.addEventListener("change", () => {
      this.on = box.checked;
      this.scrollDown();
    }, { signal });
    // Blocks that were not laid out yet change the height, and with it the position: only what a
    // person does ends the following.
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      pane.addEventListener(kind, () => (this.acted = performance.now()), { signal, passive: true });
    }
    pane.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
  }

  stop() {
    this.on = this.box.checked = false;
  }

  scrollDown() {
    if (this.on) this.pane.scrollTop = this.pane.scrollHeight;
  }

  scrollSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.scrollDown();
    });
  }

  scrolled() {
    const atEnd = this.pane.scrollHeight - this.pane.scrollTop - this.pane.clientHeight < 40;
    const goingUp = this.pane.scrollTop < (this.lastTop ?? 0);
    this.lastTop = this.pane.scrollTop;
    const byHand = performance.now() - (this.acted ?? -Infinity) < 1000;
    this.goesUpByHand = goingUp && byHand;
    if (atEnd && byHand) this.on = true;
    else if (this.goesUpByHand) this.on = false;
    else if (this.on && !atEnd) this.scrollSoon();
    this.box.checked = this.on;
  }
}
