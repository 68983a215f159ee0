// Figures that follow a range before the page runs. They are asked for, the next ones while these are drawn, until they
// show its last value; when the finger rests, the turn is reported, so that the page follows. It runs at once where
// figures cannot come alone, because something must be trained first, say. While nothing happens, the figures one step
// to either side are fetched ahead. Stands before live_chart.js in one module.

const PATIENCE = 500; // ms that figures may take before the page runs instead, with its progress bar
const REST = 100; // ms without a turn after which the page follows the figures
export const followers = (window.vivaFollowers ??= {}); // by the key of the charts: how a range finds those it turns

export class Follower {
  #page = {}; // what Python said last: address, knobs, version, number of the last turn it knows
  #number = 0; // of the last turn
  #turned = {};
  #near = []; // what may be turned next
  #asked = new Map(); // by query: the written figures, on their way or here, since the page ran

  constructor(show) {
    this.show = show; // draws figures, promises when they are drawn
  }

  take(page, report) {
    this.report = report;
    const isPreset = page.version !== this.#page.version;
    if (page.number < this.#number && !isPreset) return false; // made before the last turn
    this.stop();
    if (isPreset) this.#near = [];
    this.#page = page;
    this.#turned = {};
    this.#lookAhead(this.#number);
    return true;
  }

  turn(name, values, place) {
    this.#number = Math.max(Date.now(), this.#number + 1);
    this.#turned[name] = values[place];
    this.#near = [place + 1, place - 1].filter((next) => next in values).map((next) => ({ [name]: values[next] }));
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
      const { version } = this.#page;
      figures = JSON.parse(await this.#written(this.#turned)); // anew each time: Plotly changes what it is given
      if (figures && version === this.#page.version) drawn = this.show(figures);
    } while (figures && asked !== this.#number);
    if (!figures) this.#near = []; // nor can those beside it come alone
    await drawn;
    this.asking = false;
    if (asked !== this.#number) return this.#follow();
    this.rest = setTimeout(() => this.#report(), figures ? REST : 0);
  }

  #written(turned) {
    const query = `${new URLSearchParams({ ...this.#page.knobs, ...turned })}`;
    if (!this.#asked.has(query)) {
      const answer = fetch(`${this.#page.address}?${query}`, { signal: AbortSignal.timeout(PATIENCE) });
      const found = answer.then((response) => (response.status === 200 ? response.text() : null)).catch(() => null);
      this.#asked.set(query, found);
    }
    return this.#asked.get(query);
  }

  async #lookAhead(number) {
    this.#asked.clear();
    for (const turned of this.#near) {
      if (number !== this.#number) return; // the learner goes on
      await this.#written(turned);
    }
  }

  #report() {
    this.report("turns", { number: this.#number, version: this.#page.version, values: this.#turned });
  }
}
