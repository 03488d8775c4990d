// What the model saw: one tile for each judged window, with its probability. Its frames are those that were kept or,
// where none were, pictures of the clip at the same times. Pressed, a window shows all its frames.
import { urlOf } from "./api.js";
import { ClipFrames } from "./clip_frames.js";
import { make, setText } from "./dom.js";
import { within } from "./event_times.js";
import { word } from "./words.js";

const FRAMES = 6;
const TILE_PX = 160;

export class JudgedWindows {
  #event = null;
  #tiles = [];
  #frames = new Map();
  #clip = new ClipFrames();
  #list = make("div", { class: "window-tiles", role: "list" });
  #line = make("span", { class: "quiet" });
  #onSeek;

  constructor({ onSeek }) {
    this.#onSeek = onSeek;
    const heading = make("h3", {}, word("events.seen"));
    this.element = make("section", { class: "windows", id: "event-windows" },
      make("header", {}, heading, this.#line), this.#list);
    this.#dialog = makeDialog();
    document.body.append(this.#dialog.element);
  }

  #dialog;

  /** Shows the windows of an event; `frames` are those that were kept. */
  show(event, why, frames) {
    this.#event = event;
    this.#frames = new Map();
    for (const frame of frames) this.#frames.set(frame.window, [...(this.#frames.get(frame.window) ?? []), frame]);
    setText(this.#line, this.#says(why));
    this.#tiles = why.windows.map((window) => this.#tile(window));
    this.#list.replaceChildren(...this.#tiles.map(({ element }) => element));
    const first = this.#tiles.find(({ window }) => window.part === "within")?.element;
    this.#list.scrollLeft = first ? first.offsetLeft - TILE_PX : 0;
  }

  /** Draws pictures of the clip for the windows whose frames were not kept. */
  useClip(url, span) {
    this.#span = span;
    this.#url = url;
    if (this.#opened && this.#dialog.element.open) this.#open(this.#opened);
    else this.#drawTiles();
  }

  #drawTiles() {
    const [from, to] = this.#span ?? [Infinity, -Infinity];
    const missing = this.#tiles.filter(({ window, canvas, element }) =>
      canvas && element.classList.contains("has-no-frame") && window.end_s > from && window.start_s < to);
    // Of a window that the clip cuts off, the picture of it that is nearest to its middle.
    this.#clip.read(this.#url, missing.map(({ window, canvas, element }) => ({
      second: Math.min(Math.max(middle(window), from), to) - from, canvas, onDrawn: () => element.classList.remove("has-no-frame"),
    })));
  }

  #span = null;
  #url = "";
  #seen = null;
  #opened = null;

  /** Highlights the window that is seen now. */
  play(second) {
    let seen = null;
    for (const tile of this.#tiles) if (tile.window.start_s <= second && second < tile.window.end_s) seen = tile;
    if (seen === this.#seen) return;
    this.#seen = seen;
    for (const tile of this.#tiles) tile.element.classList.toggle("is-now", tile === seen);
    if (seen && !this.#list.matches(":hover, :focus-within")) this.#bringIntoSight(seen.element);
  }

  #bringIntoSight(element) {
    const { scrollLeft, clientWidth } = this.#list;
    const right = element.offsetLeft + element.offsetWidth;
    if (element.offsetLeft < scrollLeft || right > scrollLeft + clientWidth) this.#list.scrollLeft = element.offsetLeft - TILE_PX;
  }

  /** Shows nothing, and reads no clip any more. */
  clear() {
    this.#clip.stop();
    this.#span = null;
    this.#seen = this.#opened = null;
    this.#tiles = [];
    this.#list.replaceChildren();
    setText(this.#line, "");
  }

  #says(why) {
    const known = why.windows.length > 0;
    const kept = why.windows.some((window) => window.frames > 0);
    const logged = why.are_kept ? "" : ` ${word("events.windows_own")}`;
    if (!known) return word("events.windows_none");
    return (kept ? word("events.frames_kept") : word("events.frames_of_clip")) + logged;
  }

  #tile(window) {
    const kept = this.#frames.get(window.window) ?? [];
    const canvas = kept.length ? null : make("canvas", { width: TILE_PX, height: 90 });
    const picture = kept.length
      ? make("img", { alt: "", loading: "lazy", decoding: "async", src: small(kept[Math.floor(kept.length / 2)].url) })
      : canvas;
    const p = window.p_alarm == null ? word(`console.cause_${window.cause ?? "fault"}`) : window.p_alarm.toFixed(2);
    const when = within(this.#event, window.start_s, { tenths: this.#event.epoch_s == null });
    const label = word("events.window_says", { when, p, part: word(`events.part_${window.part}`) });
    const button = make("button", { type: "button", "aria-label": label, onclick: () => this.#open(window) },
      make("span", { class: "window-picture" }, picture),
      make("span", { class: "window-line" }, make("span", {}, when), make("b", {}, p)));
    const names = ["window-tile", `tier-${window.tier ?? "none"}`, `is-${window.part}`];
    if (window.voted) names.push("is-voter");
    if (window.p_alarm == null) names.push("is-unknown");
    if (canvas) names.push("has-no-frame");
    const element = make("div", { role: "listitem", class: names.join(" "), "data-window": window.window }, button);
    return { element, canvas, window };
  }

  #open(window) {
    if (this.#opened !== window) this.#onSeek(window.start_s);
    this.#opened = window;
    const kept = this.#frames.get(window.window) ?? [];
    const when = within(this.#event, window.start_s);
    const p = window.p_alarm == null ? word(`console.cause_${window.cause ?? "fault"}`) : window.p_alarm.toFixed(3);
    const votes = window.voted ? ` · ${word("events.voted")}` : "";
    const pictures = kept.length
      ? kept.map((frame) => make("img", { alt: word("events.frame", { number: frame.number + 1 }), src: urlAt(frame.url) }))
      : this.#ofClip(window);
    const about = kept.length ? "events.frames_kept" : pictures.length ? "events.frames_of_clip" : "events.no_frames";
    this.#dialog.show(`${when} · ${p}${votes}`, window.text ?? "", pictures, word(about));
  }

  #ofClip(window) {
    const span = this.#span;
    if (!span) return [];
    const wanted = [];
    const pictures = [];
    for (let number = 0; number < FRAMES; number += 1) {
      const second = window.start_s + ((window.end_s - window.start_s) * number) / (FRAMES - 1);
      if (second < span[0] || second > span[1]) continue;
      const canvas = make("canvas", { width: 640, height: 360, role: "img", "aria-label": word("events.frame", { number: number + 1 }) });
      wanted.push({ second: second - span[0], canvas });
      pictures.push(canvas);
    }
    // The tiles whose pictures were still to be drawn come after those that somebody waits for.
    this.#clip.read(this.#url, wanted).then((isOver) => isOver && this.#drawTiles());
    return pictures;
  }
}

const middle = (window) => (window.start_s + window.end_s) / 2;
const urlAt = (url) => new URL(url, location.origin).href;
const small = (url) => `${urlAt(url)}?width=${TILE_PX}`;

/** A dialog with the frames of one window. */
const makeDialog = () => {
  const title = make("h2", { id: "window-title" });
  const text = make("p", { class: "clip-said" });
  const note = make("p", { class: "quiet" });
  const pictures = make("div", { class: "window-frames" });
  const close = make("button", { type: "button", class: "button", onclick: () => element.close() }, word("events.close"));
  const element = make("dialog", { class: "window-dialog", id: "window-dialog", "aria-labelledby": "window-title" },
    make("header", {}, title, close), pictures, text, note);
  element.addEventListener("click", ({ target }) => target === element && element.close());
  return {
    element,
    show(told, said, shown, about) {
      setText(title, told);
      setText(text, said);
      setText(note, about);
      pictures.replaceChildren(...shown);
      if (!element.open) element.showModal();
    },
  };
};
