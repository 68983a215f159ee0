// Figures that follow a range before the page runs. They are asked for, the next ones while these are drawn, until they
// show its last value; when the finger rests, the turn is reported, so that the page follows. It runs at once where
// figures cannot come alone, because something must be trained first, say. Stands before live_chart.js in one module.

const PATIENCE = 500; // ms that figures may take before the page runs instead, with its progress bar
const REST = 100; // ms without a turn after which the page follows the figures
export const followers = (window.vivaFollowers ??= {}); // by the key of the charts: how a range finds those it turns

export class Follower {
  #page = {}; // what Python said last: address, knobs, version, number of the last turn it knows, how to report
  #number = 0; // of the last turn
  #turned = {};

  constructor(show) {
    this.show = show; // draws figures, promises when they are drawn
  }

  take(page) {
    const overtaken = page.number < this.#number && page.version === this.#page.version; // made before the last turn
    if (overtaken) return false;
    this.stop();
    this.#page = page;
    this.#turned = {};
    return true;
  }

  turn(name, value) {
    this.#number = Math.max(Date.now(), this.#number + 1);
    this.#turned[name] = value;
    this.#follow();
  }

  stop() {
    clearTimeout(this.rest);
  }

  async #follow() {
    this.stop();
    if (this.asking) return;
    this.asking = true;
    let asked, figures, drawn;
    do {
      asked = this.#number;
      const { address, knobs, version } = this.#page;
      const query = new URLSearchParams({ ...knobs, ...this.#turned });
      const answer = fetch(`${address}?${query}`, { signal: AbortSignal.timeout(PATIENCE) });
      figures = await answer.then((found) => (found.status === 200 ? found.json() : null)).catch(() => null);
      if (figures && version === this.#page.version) drawn = this.show(figures);
    } while (figures && asked !== this.#number);
    await drawn;
    this.asking = false;
    if (asked !== this.#number) return this.#follow();
    this.rest = setTimeout(() => this.#report(), figures ? REST : 0);
  }

  #report() {
    this.#page.report("turns", { number: this.#number, version: this.#page.version, values: this.#turned });
  }
}
