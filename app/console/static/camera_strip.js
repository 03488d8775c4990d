// A camera at any moment, whether anything alarmed or not: its strip over minutes to a day, what was judged at the moment
// that is chosen, the pictures that are still kept of it, and the form that says that something was missed.
import { ask, change } from "./api.js";
import { addressOf } from "./event_address.js";
import { make, setText, tell } from "./dom.js";
import { clockTime, fullTime, localInput, utcOf, zone } from "./event_times.js";
import { may } from "./shell.js";
import { StripChart } from "./strip_chart.js";
import { word } from "./words.js";

const SPANS_S = [["10m", 600], ["1h", 3600], ["6h", 21600], ["24h", 86400]];
const AROUND_MS = 5000;
const MOST_BUCKETS = 900;
const FEWEST_S = 2;
const SETTLES_MS = 150;

export class CameraStrip extends EventTarget {
  #camera = "";
  #centreMs = Date.now();
  #spanS = 3600;
  #asked = null;
  #askedMoment = null;
  #chosen = null;
  #timer = 0;
  #onOpen;
  #select = make("select", { id: "strip-camera", "aria-label": word("events.camera") });
  #spans = make("div", { class: "segments", role: "group", "aria-label": word("events.strip_span") });
  #notice = make("p", { class: "quiet", role: "status", id: "strip-notice" });
  #moment = make("div", { class: "moment", id: "moment", hidden: true });
  #form = make("form", { class: "missed-form", id: "missed-form", hidden: true });
  #from = make("input", { type: "datetime-local", step: "1", id: "missed-from", required: true });
  #to = make("input", { type: "datetime-local", step: "1", id: "missed-to", required: true });
  #note = make("input", { type: "text", maxlength: "4000", id: "missed-note", placeholder: word("events.missed_note") });

  /** `onOpen(event id)` opens an event of the strip. */
  constructor({ onOpen }) {
    super();
    this.#onOpen = onOpen;
    this.chart = new StripChart({ onChoose: (span) => this.choose(span) });
    this.element = make("section", { class: "strip-panel", id: "camera-strip" },
      make("header", {}, make("h3", {}, word("events.strip")), this.#select, this.#spans, this.#arrows()),
      this.chart.canvas, this.#notice, this.#moment, this.#form);
    for (const [name, seconds] of SPANS_S) this.#spans.append(this.#spanButton(name, seconds));
    this.#select.addEventListener("change", () => this.show(this.#select.value, this.#centreMs));
    this.#makeForm();
  }

  /** The cameras that can be looked at. */
  offer(cameras) {
    const chosen = this.#camera;
    this.#select.replaceChildren(...cameras.map(({ id, name, place }) =>
      make("option", { value: id }, place ? `${name} · ${place}` : name)));
    this.#select.value = chosen;
  }

  /** Shows a camera around a time; nothing without a camera. */
  show(camera, centreMs, { chosen = null } = {}) {
    this.#camera = camera;
    this.#select.value = camera;
    this.#centreMs = centreMs;
    this.#chosen = null;
    this.chart.choose(null);
    this.#moment.hidden = this.#form.hidden = true;
    this.#asked?.abort();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), SETTLES_MS);
    if (chosen) this.choose(chosen);
  }

  /** The strip of a file: it has no clock. */
  showNone() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#camera = "";
    this.chart.show(null);
    this.#moment.hidden = this.#form.hidden = true;
    setText(this.#notice, word("events.strip_file"));
  }

  /** Reads the strip again: something of it has changed. */
  refresh() {
    if (this.#camera) this.#read();
  }

  /** Brings the strip into sight and the keyboard to it. */
  focus() {
    this.element.scrollIntoView({ block: "nearest" });
    this.chart.canvas.focus();
  }

  /** Shows what is known of a moment or a span, and offers to say that something was missed there. */
  choose(span) {
    const isMoment = span[1] - span[0] < 1000;
    this.#chosen = isMoment ? [span[0] - AROUND_MS, span[0] + AROUND_MS] : span;
    this.chart.choose(span);
    this.#from.value = localInput(this.#chosen[0]);
    this.#to.value = localInput(Math.min(this.#chosen[1], Date.now()));
    this.#form.hidden = !may.operator;
    this.#readMoment((span[0] + span[1]) / 2, Math.max(6, (span[1] - span[0]) / 2000 + 2));
  }

  async #read() {
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    if (!this.#camera) return;
    for (const button of this.#spans.children)
      button.setAttribute("aria-pressed", String(Number(button.dataset.seconds) === this.#spanS));
    const toMs = Math.min(this.#centreMs + this.#spanS * 500, Date.now());
    const fromMs = toMs - this.#spanS * 1000;
    const buckets = Math.max(1, Math.min(MOST_BUCKETS, Math.floor(this.#spanS / FEWEST_S)));
    try {
      const strip = await ask(`cameras/${encodeURIComponent(this.#camera)}/strip`, {
        query: { since: new Date(fromMs).toISOString(), until: new Date(toMs).toISOString(), buckets }, signal });
      if (signal.aborted) return;
      this.chart.show(strip);
      setText(this.#notice, this.#says(strip));
    } catch (problem) {
      if (signal.aborted) return;
      this.chart.show(null);
      setText(this.#notice, `${word("events.strip_failed")} ${problem.message}`);
    }
  }

  #says(strip) {
    if (!strip.has_clock) return word("events.strip_file");
    const windows = strip.buckets.reduce((sum, each) => sum + each.windows, 0);
    const unknown = strip.buckets.reduce((sum, each) => sum + each.unknown, 0);
    const told = word("events.strip_says", { from: fullTime(strip.from_utc), to: fullTime(strip.to_utc), windows,
      events: strip.events.length, missed: strip.missed.length });
    if (!windows) return `${told} ${word("events.strip_empty")}`;
    return unknown ? `${told} ${word("events.strip_unknown", { unknown })}` : told;
  }

  async #readMoment(atMs, marginS) {
    this.#askedMoment?.abort();
    this.#askedMoment = new AbortController();
    const { signal } = this.#askedMoment;
    this.#moment.hidden = false;
    this.#moment.replaceChildren(make("p", { class: "quiet" }, word("events.loading")));
    try {
      const moment = await ask(`cameras/${encodeURIComponent(this.#camera)}/moment`, {
        query: { at: new Date(atMs).toISOString(), margin_s: Math.min(marginS, 600) }, signal });
      if (!signal.aborted) this.#showMoment(moment);
    } catch (problem) {
      if (!signal.aborted) this.#moment.replaceChildren(make("p", { class: "notice is-problem" }, problem.message));
    }
  }

  #showMoment(moment) {
    const windows = moment.windows.slice(0, 60).map((window) => {
      const p = window.p_alarm == null ? word(`console.cause_${window.cause ?? "fault"}`) : window.p_alarm.toFixed(2);
      const tier = window.p_alarm == null ? "none" : tierOf(window.p_alarm, moment.tiers);
      return make("li", { class: `moment-window tier-${tier}`, title: window.text ?? "" },
        make("span", {}, clockTime(window.start_utc)), make("b", {}, p));
    });
    const words = moment.windows.map((window) => window.text).filter(Boolean);
    const parts = [
      make("h4", {}, `${fullTime(moment.at_utc)} ${zone}`),
      windows.length ? make("ul", { class: "moment-windows" }, ...windows) : make("p", { class: "quiet" }, word("events.moment_empty")),
      words.length ? make("p", { class: "moment-words" }, [...new Set(words)].join(" · ")) : null,
      this.#pictures(moment), ...moment.missed.map((span) => this.#missed(span)),
    ];
    this.#moment.replaceChildren(...parts.filter(Boolean));
  }

  #pictures(moment) {
    if (!moment.events.length) return make("p", { class: "quiet", id: "moment-pictures" }, word("events.moment_no_pictures"));
    const links = moment.events.map((event) => {
      const kinds = moment.pictures.filter((picture) => picture.event === event.event).map((picture) => word(`events.kind_of_${picture.kind}`));
      const what = kinds.length ? kinds.join(", ") : word("events.moment_pictures_gone");
      return make("a", { class: "button", href: addressOf({ event: event.event }).href, onclick: (pressed) => {
        if (pressed.ctrlKey || pressed.metaKey || pressed.shiftKey) return;
        pressed.preventDefault();
        this.#onOpen(event.event);
      } }, `${clockTime(event.onset_utc)} · ${event.peak.toFixed(2)} · ${what}`);
    });
    return make("p", { class: "moment-links", id: "moment-pictures" }, word("events.moment_events"), ...links);
  }

  #missed(span) {
    const take = make("button", { type: "button", class: "button", onclick: () => this.takeBack(span.missed) }, word("events.take_back"));
    return make("p", { class: "moment-missed" }, make("span", { class: "badge mark-missed" }, word("events.mark_missed")),
      ` ${clockTime(span.from_utc)} – ${clockTime(span.to_utc)} · ${span.marked_by}${span.note ? ` · ${span.note}` : ""} `, may.operator ? take : null);
  }

  /** Takes a missed incident back. */
  async takeBack(id) {
    try {
      const span = await change("DELETE", `missed/${encodeURIComponent(id)}`);
      tell(word("events.missed_taken_back"));
      this.#changed(span);
    } catch (problem) {
      tell(`${word("events.not_marked")} ${problem.message}`, { isProblem: true });
    }
  }

  async #add() {
    const [since, until] = [utcOf(this.#from.value), utcOf(this.#to.value)];
    try {
      const span = await change("POST", `cameras/${encodeURIComponent(this.#camera)}/missed`, { since, until, note: this.#note.value.trim() });
      this.#note.value = "";
      tell(word("events.missed_added"));
      this.#changed(span);
    } catch (problem) {
      tell(`${word("events.not_marked")} ${problem.message}`, { isProblem: true });
    }
  }

  #changed(span) {
    this.dispatchEvent(new CustomEvent("missed", { detail: span }));
    // Somebody may look at another camera by now.
    if (this.#camera !== (span.camera_id || span.source)) return;
    this.#read();
    const [from, to] = [Date.parse(span.from_utc), Date.parse(span.to_utc)];
    this.#readMoment((from + to) / 2, Math.max(6, (to - from) / 2000 + 2));
  }

  #makeForm() {
    const field = (name, input) => make("label", { class: "field" }, word(name), input);
    this.#form.append(field("events.missed_from", this.#from), field("events.missed_to", this.#to),
      field("events.note", this.#note), make("button", { type: "submit", class: "button is-main", id: "missed-add" }, word("events.missed_add")));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
  }

  #spanButton(name, seconds) {
    return make("button", { type: "button", class: "segment", "data-seconds": seconds, "aria-pressed": "false", onclick: () => {
      this.#spanS = seconds;
      this.#read();
    } }, word(`events.span_${name}`));
  }

  #arrows() {
    const move = (by) => () => {
      this.#centreMs = Math.min(this.#centreMs + by * this.#spanS * 500, Date.now());
      this.#read();
    };
    return make("div", { class: "segments" },
      make("button", { type: "button", class: "segment", "aria-label": word("events.earlier"), onclick: move(-1) }, "‹"),
      make("button", { type: "button", class: "segment", "aria-label": word("events.later"), onclick: move(1) }, "›"));
  }
}

const tierOf = (p, tiers) => (p >= tiers.high ? "high" : p >= tiers.medium ? "medium" : p >= tiers.low ? "low" : "none");
