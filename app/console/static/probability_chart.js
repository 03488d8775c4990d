// The probability of alarm around an event, in time with its clip: windows as steps, thresholds, the onset, the span of
// the event and of the clip, hatching where nothing is known. A click seeks.
import { make } from "./dom.js";
import { colourOf, colours, hatch, keepDrawn, sharpen } from "./strip_drawing.js";
import { word } from "./words.js";

const TOP_PX = 14;
const BOTTOM_PX = 18;
const TICK_PX = 110;

export class ProbabilityChart {
  #shown = null;
  #draw;

  /** `onSeek(second)` is called with the second that was pressed. */
  constructor({ onSeek }) {
    this.canvas = make("canvas", { class: "chart-canvas", role: "img" });
    this.head = make("div", { class: "chart-head", hidden: true });
    this.element = make("div", { class: "chart", id: "event-chart" }, this.canvas, this.head);
    this.#draw = keepDrawn(this.canvas, () => this.#paint());
    this.element.addEventListener("click", ({ clientX }) => this.#shown && onSeek(this.#secondAt(clientX)));
  }

  /** Shows windows; `shown` has windows, tiers, onsetS, endS, announcedS, clip ([from, to] or null) and label(second). */
  show(shown) {
    this.#shown = shown;
    this.head.hidden = true;
    this.canvas.setAttribute("aria-label", shown ? this.#summary() : "");
    this.#draw();
  }

  /** Moves the play head to a second. */
  play(second) {
    if (!this.#shown) return;
    const { fromS, toS } = this.#span();
    this.head.hidden = second < fromS || second > toS;
    this.head.style.transform = `translateX(${((second - fromS) / (toS - fromS)) * this.canvas.clientWidth}px)`;
  }

  #summary() {
    const { windows, label } = this.#shown;
    const known = windows.filter((each) => each.p_alarm != null);
    if (!known.length) return word("events.chart_empty");
    const top = known.reduce((one, other) => (other.p_alarm > one.p_alarm ? other : one));
    return word("events.chart_says", { windows: windows.length, p: top.p_alarm.toFixed(2), when: label(top.start_s) });
  }

  #span() {
    const { windows, clip, onsetS, endS } = this.#shown;
    const from = [onsetS, ...windows.map((each) => each.start_s), ...(clip ? [clip[0]] : [])];
    const to = [endS ?? onsetS + 1, ...windows.map((each) => each.end_s), ...(clip ? [clip[1]] : [])];
    const [fromS, toS] = [Math.min(...from), Math.max(...to)];
    return { fromS, toS: Math.max(toS, fromS + 1) };
  }

  #secondAt(clientX) {
    const { left, width } = this.canvas.getBoundingClientRect();
    const { fromS, toS } = this.#span();
    return fromS + Math.min(1, Math.max(0, (clientX - left) / width)) * (toS - fromS);
  }

  #paint() {
    if (!this.#shown) return;
    const { context, width, height } = sharpen(this.canvas);
    const { fromS, toS } = this.#span();
    const palette = colours();
    const x = (second) => ((second - fromS) / (toS - fromS)) * width;
    const y = (p) => TOP_PX + (1 - p) * (height - TOP_PX - BOTTOM_PX);
    const view = { context, width, height, palette, x, y, fromS, toS };
    this.#paintEvent(view);
    this.#paintUnknown(view);
    this.#paintSteps(view);
    this.#paintThresholds(view);
    this.#paintMarks(view);
    this.#paintTicks(view);
  }

  #paintEvent({ context, palette, x, y, toS }) {
    const { onsetS, endS, clip } = this.#shown;
    context.globalAlpha = 0.13;
    context.fillStyle = palette.alarm;
    context.fillRect(x(onsetS), y(1), Math.max(2, x(endS ?? toS) - x(onsetS)), y(0) - y(1));
    context.globalAlpha = 1;
    if (!clip) return;
    context.fillStyle = palette.focus;
    context.fillRect(x(clip[0]), y(0), x(clip[1]) - x(clip[0]), 2);
  }

  #paintUnknown({ context, palette, x, y, fromS, toS }) {
    let knownUntilS = fromS;
    const gap = (from, to) => to - from > 0.05 && hatch(context, x(from), y(1), x(to) - x(from), y(0) - y(1), palette.hatch);
    for (const each of this.#shown.windows) {
      gap(knownUntilS, each.start_s);
      if (each.p_alarm != null) knownUntilS = Math.max(knownUntilS, each.end_s);
      else knownUntilS = Math.max(knownUntilS, each.start_s);
    }
    gap(knownUntilS, toS);
  }

  #paintSteps({ context, palette, x, y }) {
    const { windows, tiers } = this.#shown;
    windows.forEach((each, at) => {
      if (each.p_alarm == null) return;
      const next = windows[at + 1];
      const end = next && next.start_s < each.end_s ? next.start_s : each.end_s;
      context.fillStyle = colourOf(each.p_alarm, tiers, palette);
      const top = Math.min(y(each.p_alarm), y(0) - 2);
      context.fillRect(x(each.start_s) + 0.5, top, Math.max(1, x(end) - x(each.start_s) - 1), y(0) - top);
      if (!each.voted) return;
      context.fillStyle = palette.ink;
      context.beginPath();
      context.arc((x(each.start_s) + x(end)) / 2, y(each.p_alarm) - 5, 2.5, 0, 7);
      context.fill();
    });
  }

  #paintThresholds({ context, width, palette, y }) {
    context.font = "10px system-ui, sans-serif";
    context.setLineDash([3, 3]);
    for (const [name, colour] of [["low", palette.review], ["medium", palette.review], ["high", palette.alarm]]) {
      const p = this.#shown.tiers[name];
      context.strokeStyle = colour;
      context.globalAlpha = 0.75;
      context.beginPath();
      context.moveTo(0, y(p));
      context.lineTo(width, y(p));
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #paintMarks({ context, palette, x, y, width }) {
    const { onsetS, announcedS } = this.#shown;
    const flag = (second, text, colour) => {
      const left = second == null ? Infinity : x(second);
      if (left > width) return;
      context.fillStyle = colour;
      context.fillRect(left - 0.75, y(1) - 3, 1.5, y(0) - y(1) + 3);
      const wide = context.measureText(text).width + 6;
      const at = left + wide > width ? left - wide - 4 : left;
      context.fillText(text, at + 4, 10);
    };
    context.font = "10.5px system-ui, sans-serif";
    const near = announcedS != null && Math.abs(x(announcedS) - x(onsetS)) < 70;
    flag(onsetS, word("events.onset"), palette.ink);
    flag(announcedS, near ? "" : word("events.announced"), palette.soft);
  }

  #paintTicks({ context, palette, x, height, width, fromS, toS }) {
    const count = Math.max(2, Math.floor(width / TICK_PX));
    context.fillStyle = palette.faint;
    context.font = "10.5px system-ui, sans-serif";
    for (let tick = 0; tick < count; tick += 1) {
      const second = fromS + ((toS - fromS) * tick) / count;
      context.fillText(this.#shown.label(second), x(second) + 2, height - 5);
    }
  }
}
