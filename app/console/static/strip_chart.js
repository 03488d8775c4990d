// The verdicts of a camera over minutes or a day: bars from the lowest to the highest probability of each stretch, its
// events above, missed incidents below. A click chooses a moment, a drag a span; the arrow keys move.
import { make } from "./dom.js";
import { tickTime } from "./event_times.js";
import { colourOf, colours, hatch, keepDrawn, sharpen } from "./strip_drawing.js";
import { word } from "./words.js";

const TOP_PX = 10;
const BOTTOM_PX = 18;
const TICK_PX = 120;
const DRAG_PX = 4;
const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };

export class StripChart {
  #strip = null;
  #chosen = null;
  #pressed = null;
  #draw;
  #onChoose;

  /** `onChoose([fromMs, toMs])` is called with a moment (both are the same) or a span. */
  constructor({ onChoose }) {
    this.#onChoose = onChoose;
    this.canvas = make("canvas", { class: "strip-canvas", id: "strip-canvas", tabindex: "0", role: "slider",
      "aria-label": word("events.strip_label"), "aria-orientation": "horizontal" });
    this.#draw = keepDrawn(this.canvas, () => this.#paint());
    this.canvas.addEventListener("pointerdown", (event) => this.#press(event));
    this.canvas.addEventListener("pointermove", (event) => this.#drag(event));
    this.canvas.addEventListener("pointerup", (event) => this.#release(event));
    this.canvas.addEventListener("pointercancel", () => (this.#pressed = null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows the strip as the service tells it. */
  show(strip) {
    this.#strip = strip && { ...strip, fromMs: Date.parse(strip.from_utc), toMs: Date.parse(strip.to_utc) };
    if (strip) {
      this.canvas.setAttribute("aria-valuemin", this.#strip.fromMs / 1000);
      this.canvas.setAttribute("aria-valuemax", this.#strip.toMs / 1000);
    }
    this.choose(this.#chosen);
  }

  /** Shows what is chosen: [fromMs, toMs], or null. */
  choose(span) {
    this.#chosen = span;
    if (span) {
      this.canvas.setAttribute("aria-valuenow", span[0] / 1000);
      this.canvas.setAttribute("aria-valuetext", new Date(span[0]).toLocaleTimeString(document.documentElement.lang));
    }
    this.#draw();
  }

  #msAt(clientX) {
    const { left, width } = this.canvas.getBoundingClientRect();
    const { fromMs, toMs } = this.#strip;
    return fromMs + Math.min(1, Math.max(0, (clientX - left) / width)) * (toMs - fromMs);
  }

  #press(event) {
    if (!this.#strip || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#pressed = event.clientX;
  }

  #drag(event) {
    if (this.#pressed == null || Math.abs(event.clientX - this.#pressed) < DRAG_PX) return;
    this.choose(this.#between(event));
  }

  #release(event) {
    if (this.#pressed == null) return;
    const at = this.#msAt(this.#pressed);
    const isSpan = Math.abs(event.clientX - this.#pressed) >= DRAG_PX;
    const span = isSpan ? this.#between(event) : [at, at];
    this.#pressed = null;
    this.choose(span);
    this.#onChoose(span);
  }

  #between(event) {
    return [this.#msAt(this.#pressed), this.#msAt(event.clientX)].sort((one, other) => one - other);
  }

  #key(event) {
    const by = KEYS[event.key];
    if (!by || !this.#strip || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { fromMs, toMs, bucket_s: bucketS } = this.#strip;
    const at = (this.#chosen?.[0] ?? (fromMs + toMs) / 2) + by * Math.max(1, bucketS) * 1000;
    const moved = Math.min(Math.max(at, fromMs), toMs);
    this.choose([moved, moved]);
    this.#onChoose([moved, moved]);
  }

  #paint() {
    const { context, width, height } = sharpen(this.canvas);
    if (!this.#strip) return;
    const { fromMs, toMs } = this.#strip;
    const palette = colours();
    const x = (ms) => ((ms - fromMs) / (toMs - fromMs)) * width;
    const y = (p) => TOP_PX + (1 - p) * (height - TOP_PX - BOTTOM_PX);
    const view = { context, width, height, palette, x, y };
    this.#paintBuckets(view);
    this.#paintEvents(view);
    this.#paintMissed(view);
    this.#paintChosen(view);
    this.#paintTicks(view);
  }

  #paintBuckets({ context, width, palette, x, y }) {
    const { buckets, bucket_s: bucketS, tiers, fromMs } = this.#strip;
    context.fillStyle = palette.line;
    context.fillRect(0, y(0), width, 1);
    for (const each of buckets) {
      const left = x(fromMs + each.at_s * 1000);
      const wide = Math.max(1, x(fromMs + (each.at_s + bucketS) * 1000) - left - (bucketS > 3 ? 0 : 0.5));
      if (each.unknown) hatch(context, left, y(1), wide, y(0) - y(1), palette.hatch);
      if (each.p_most == null) continue;
      context.fillStyle = colourOf(each.p_most, tiers, palette);
      const top = Math.min(y(each.p_most), y(0) - 2);
      context.globalAlpha = 0.55;
      context.fillRect(left, top, wide, y(0) - top);
      context.globalAlpha = 1;
      context.fillRect(left, top, wide, Math.max(1.5, y(each.p_least) - top));
    }
  }

  #paintEvents({ context, palette, x, y, width }) {
    for (const each of this.#strip.events) {
      const left = Math.max(0, x(Date.parse(each.onset_utc)));
      const right = each.end_utc ? x(Date.parse(each.end_utc)) : width;
      context.fillStyle = each.tier === "high" ? palette.alarm : palette.review;
      context.fillRect(left, 1, Math.max(4, right - left), 5);
      context.globalAlpha = 0.12;
      context.fillRect(left, y(1), Math.max(4, right - left), y(0) - y(1));
      context.globalAlpha = 1;
    }
  }

  #paintMissed({ context, palette, x, y }) {
    context.strokeStyle = palette.focus;
    for (const each of this.#strip.missed) {
      const left = x(Date.parse(each.from_utc));
      const wide = Math.max(4, x(Date.parse(each.to_utc)) - left);
      hatch(context, left, y(0) - 7, wide, 7, palette.focus);
      context.strokeRect(left, y(0) - 7, wide, 7);
    }
  }

  #paintChosen({ context, palette, x, y }) {
    if (!this.#chosen) return;
    const [left, right] = this.#chosen.map(x);
    context.fillStyle = palette.focus;
    context.globalAlpha = 0.25;
    context.fillRect(left, 0, right - left, y(0));
    context.globalAlpha = 1;
    context.fillRect(left - 0.75, 0, 1.5, y(0));
    context.fillRect(right - 0.75, 0, 1.5, y(0));
  }

  #paintTicks({ context, palette, x, height, width }) {
    const { fromMs, toMs } = this.#strip;
    const count = Math.max(2, Math.floor(width / TICK_PX));
    context.fillStyle = palette.faint;
    context.font = "10.5px system-ui, sans-serif";
    for (let tick = 0; tick < count; tick += 1) {
      const ms = fromMs + ((toMs - fromMs) * tick) / count;
      context.fillText(tickTime(ms, toMs - fromMs), x(ms) + 2, height - 5);
    }
  }
}
