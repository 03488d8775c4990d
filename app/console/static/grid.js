// The grid of cameras: 1, 4, 9 or 16 on a page, those that alarm first, and live pictures of those in sight.
import { make, setText } from "./dom.js";
import { LivePictures } from "./pictures.js";
import { word } from "./words.js";

const SIZES = [1, 4, 9, 16];
const KEPT = "vigil-grid";
const ARROWS = { ArrowRight: 1, ArrowLeft: -1 };

const FOOT_PX = 62; // strip, figures and frame of a card

/** In how many columns so many cameras of 16:9 are seen largest in a space. */
export const columnsFor = (count, width, height) => {
  const scaleOf = (columns) => {
    const rows = Math.ceil(count / columns);
    return Math.min(width / columns / 16, Math.max(40, height / rows - FOOT_PX) / 9);
  };
  const choices = Array.from({ length: Math.max(1, count) }, (_, index) => index + 1);
  return choices.reduce((best, each) => (scaleOf(each) > scaleOf(best) * 1.01 ? each : best), 1);
};

/** The smallest size that holds so many cameras. */
const fitting = (count) => SIZES.find((size) => size >= count) ?? SIZES.at(-1);

export class CameraGrid {
  #cards = [];
  #page = 0;
  #zoomed = "";
  #visible = new Set();
  #order = "";

  constructor() {
    this.pictures = new LivePictures();
    this.element = make("div", { class: "grid" });
    this.sizes = SIZES.map((size) => make("button", { type: "button", class: "size", onclick: () => this.choose(size) }, String(size)));
    this.before = make("button", { type: "button", class: "size", "aria-label": word("watch.page_before"), onclick: () => this.turn(-1) }, "‹");
    this.after = make("button", { type: "button", class: "size", "aria-label": word("watch.page_after"), onclick: () => this.turn(1) }, "›");
    this.where = make("span", { class: "grid-page", role: "status" });
    const sizes = make("span", { class: "sizes", role: "group", "aria-label": word("watch.grid") }, ...this.sizes);
    this.chooser = make("span", { class: "chooser" }, sizes, this.before, this.where, this.after);
    this.observer = new IntersectionObserver((seen) => this.#see(seen));
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  get size() {
    if (this.#zoomed) return 1;
    const chosen = Number(localStorage.getItem(KEPT));
    return SIZES.includes(chosen) ? chosen : fitting(this.#cards.length);
  }

  get pages() {
    return Math.max(1, Math.ceil(this.#cards.length / this.size));
  }

  /** Keeps a size in this browser. */
  choose(size) {
    this.#zoomed = "";
    localStorage.setItem(KEPT, String(size));
    this.#page = 0;
    this.#draw();
  }

  /** Shows one camera alone, or all again. */
  zoom(id) {
    this.#zoomed = this.#zoomed ? "" : id;
    this.#draw();
  }

  turn(step) {
    this.#zoomed = "";
    this.#page = Math.max(0, Math.min(this.pages - 1, this.#page + step));
    this.#draw();
  }

  /** Brings what stands first into sight. */
  showFirst() {
    this.#zoomed = "";
    this.#page = 0;
    this.#draw();
    this.element.parentElement?.scrollTo({ top: 0 });
  }

  /** Takes the cards in the order of the service: those that alarm come first, then those to be reviewed. */
  arrange(cards) {
    const order = cards.map((card, index) => [card, index]).sort((a, b) => a[0].rank - b[0].rank || a[1] - b[1]);
    this.#cards = order.map(([card]) => card);
    this.#draw();
  }

  #onPage() {
    const zoomed = this.#cards.filter(({ id }) => id === this.#zoomed);
    if (zoomed.length) return zoomed;
    this.#zoomed = "";
    this.#page = Math.min(this.#page, this.pages - 1);
    return this.#cards.slice(this.#page * this.size, (this.#page + 1) * this.size);
  }

  #draw() {
    const shown = this.#onPage();
    this.#drawChooser();
    const space = this.element.parentElement ?? this.element;
    const columns = columnsFor(shown.length, space.clientWidth, space.clientHeight);
    const order = `${columns} ${shown.map(({ id }) => id).join("\n")}`;
    if (order === this.#order) return;
    this.#order = order;
    this.element.style.setProperty("--columns", columns);
    this.element.style.setProperty("--rows", Math.ceil(shown.length / columns) || 1);
    this.#place(shown);
  }

  // What has the focus keeps it where its card moves.
  #place(shown) {
    const focused = document.activeElement;
    const elements = new Set(shown.map(({ element }) => element));
    for (const gone of [...this.element.children].filter((child) => !elements.has(child))) {
      this.observer.unobserve(gone);
      this.#visible.delete(gone);
      gone.remove();
    }
    shown.forEach(({ element }, index) => {
      if (this.element.children[index] !== element) this.element.insertBefore(element, this.element.children[index] || null);
      this.observer.observe(element);
    });
    if (focused !== document.activeElement && this.element.contains(focused)) focused.focus();
    requestAnimationFrame(() => shown.forEach((card) => card.drawStrip()));
    this.#showPictures();
  }

  #resize() {
    this.#draw();
    for (const card of this.#onPage()) card.drawStrip();
  }

  #drawChooser() {
    this.sizes.forEach((button, index) => button.setAttribute("aria-pressed", String(SIZES[index] === this.size)));
    const hasPages = this.pages > 1 && !this.#zoomed;
    for (const part of [this.before, this.after, this.where]) part.hidden = !hasPages;
    setText(this.where, `${this.#page + 1} / ${this.pages}`);
    this.before.disabled = this.#page === 0;
    this.after.disabled = this.#page >= this.pages - 1;
  }

  #see(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.#visible.add(target);
      else this.#visible.delete(target);
    }
    this.#showPictures();
  }

  #showPictures() {
    const inSight = this.#cards.filter(({ element }) => this.#visible.has(element));
    this.pictures.show(new Map(inSight.map(({ id, canvas }) => [id, canvas])));
  }

  /** Takes a key; returns whether it was one of the grid's. */
  press({ key, target }) {
    const card = target instanceof Element ? target.closest(".card") : null;
    if (/^[1-4]$/.test(key)) this.choose(SIZES[Number(key) - 1]);
    else if (key === "PageDown" || key === "]") this.turn(1);
    else if (key === "PageUp" || key === "[") this.turn(-1);
    else if (key === "Escape" && this.#zoomed) this.zoom(this.#zoomed);
    else if (key === "Enter" && card === target && card) this.zoom(card.dataset.camera);
    else if (card && ARROWS[key]) this.#focus(card, ARROWS[key]);
    else return false;
    return true;
  }

  #focus(card, step) {
    const cards = [...this.element.children];
    cards[(cards.indexOf(card) + step + cards.length) % cards.length].focus();
  }
}
