// One camera: its picture, the surest facts on it, the probability strip below, everything else behind a menu.
import { drawStrip } from "./chart.js";
import { icon, make, setText } from "./dom.js";
import { chanceOf, incidentName } from "./incidents.js";
import { may } from "./shell.js";
import { shortName, spanOf, timeOf, word } from "./words.js";

const SHOWN_S = 180;
const UNJUDGED = ["dropped", "skipped"];

/** What a card shows; `told` is the camera as the service describes it. */
export class CameraCard {
  #service;
  #expected = null;

  constructor(told, { onMenu, onHold, onZoom }) {
    this.told = this.#service = told;
    this.points = [];
    this.tiers = told.tiers;
    this.event = null;
    this.alarm = null;
    this.isKnown = true;
    this.isJudged = true;
    this.heardMs = performance.now();
    this.lostMs = 0;
    this.#build({ onMenu, onHold, onZoom });
  }

  #build({ onMenu, onHold, onZoom }) {
    this.canvas = make("canvas", { class: "card-picture", hidden: true, "aria-hidden": "true" });
    this.name = make("b", { class: "card-name" });
    this.place = make("span", { class: "card-place" });
    this.badge = make("span", { class: "card-badge" });
    this.nothing = make("div", { class: "card-nothing" });
    this.said = make("span", {});
    this.words = make("p", { class: "card-words" }, this.said);
    this.observation = make("p", { class: "card-observation", hidden: true });
    this.strip = make("canvas", { class: "card-strip", role: "img", "aria-label": word("watch.strip") });
    this.times = make("span", { class: "card-times" });
    this.lag = make("span", { class: "card-lag" });
    this.drops = make("span", { class: "card-drops" });
    this.hold = make("button", { type: "button", class: "card-button card-hold", hidden: true });
    this.hold.addEventListener("click", () => !this.#expected && onHold(this));
    this.hold.append(icon("pause"), icon("resume"));
    this.menu = make("button", { type: "button", class: "card-button card-menu", "aria-haspopup": "menu", "aria-expanded": "false" }, "⋯");
    this.menu.addEventListener("click", () => onMenu(this));
    const view = make("div", { class: "card-view" }, this.canvas, this.nothing);
    view.append(make("div", { class: "card-title" }, this.name, this.place), this.badge, this.words);
    view.addEventListener("dblclick", () => onZoom(this));
    this.element = make("article", { class: "card", tabindex: "0" }, view, this.observation, this.strip);
    this.element.append(make("footer", { class: "card-foot" }, this.lag, this.drops, this.times, make("span", { class: "card-acts" }, this.hold, this.menu)));
    this.element.dataset.camera = this.told.id;
  }

  get id() {
    return this.told.id;
  }

  /** alarm, review, normal or unknown. */
  get tone() {
    if (!this.isKnown) return "unknown";
    if (this.alarm) return "alarm";
    if (!this.told.is_current || !this.isJudged) return "unknown";
    if (this.told.open_event === "high") return "alarm";
    if (this.told.open_event) return "review";
    return this.p == null ? "unknown" : "normal";
  }

  /** 0 alarming, 1 to be reviewed, 2 all others: the order of the grid. */
  get rank() {
    return { alarm: 0, review: 1 }[this.tone] ?? 2;
  }

  get p() {
    return this.told.is_current && this.isJudged && this.isKnown ? this.told.p_alarm : null;
  }

  /** Takes a new description of the camera. */
  take(told) {
    const wasLost = this.isLost;
    this.#service = told;
    this.told = { ...told, ...this.#expected };
    this.tiers = told.tiers;
    if (this.isLost && !wasLost) this.lostMs = Date.now();
    this.element.dataset.name = told.name;
    this.draw();
  }

  /** Shows what a press will bring about until the service has answered; null shows what it said last. */
  expect(values) {
    this.#expected = values;
    this.take(this.#service);
  }

  get isLost() {
    return ["lost", "unreadable"].includes(this.told.status);
  }

  /** Takes the last minutes' windows. */
  takeHistory({ tiers, verdicts }) {
    this.tiers = tiers;
    this.points = verdicts;
    this.drawStrip();
  }

  /** Takes one more window. */
  takeVerdict({ end_s: endS, p_alarm: p, cause }) {
    if (this.points.length && endS < this.points.at(-1).end_s) this.points = [];
    this.points.push({ end_s: endS, p_alarm: p, cause });
    while (this.points[0].end_s < endS - SHOWN_S - 10) this.points.shift();
    this.heardMs = performance.now();
    if (!UNJUDGED.includes(cause)) this.told.p_alarm = p;
    this.draw();
    this.drawStrip();
  }

  /** Takes a line of the semantic log. */
  takeObservation({ text }) {
    this.#service.observation = this.told.observation = text;
    this.draw();
  }

  drawStrip() {
    if (!this.element.isConnected) return;
    const last = this.points.at(-1)?.end_s ?? SHOWN_S;
    // What nobody has told since is not known.
    const silentS = this.points.length ? (performance.now() - this.heardMs) / 1000 : 0;
    const toS = last + (silentS > 10 ? silentS : 0);
    drawStrip(this.strip, this.points, { fromS: toS - SHOWN_S, toS, tiers: this.tiers });
  }

  draw() {
    const { told, element, tone } = this;
    element.className = `card is-${tone}`;
    element.classList.toggle("is-stale", !told.is_current || !this.isKnown);
    element.classList.toggle("is-lost", this.isLost || !this.isKnown);
    setText(this.name, shortName(told.name));
    this.name.title = told.name;
    setText(this.place, told.place);
    setText(this.badge, this.#badgeText(tone));
    setText(this.said, this.#words());
    this.words.hidden = !this.said.textContent;
    // What a model said of a picture: shown as text, whatever stands in it.
    setText(this.observation, told.is_current && this.isKnown ? told.observation : "");
    this.observation.title = this.observation.textContent;
    this.observation.hidden = !this.observation.textContent;
    setText(this.nothing, this.#nothing());
    this.nothing.hidden = told.is_current && this.isKnown && !this.canvas.hidden;
    const lag = told.lag_s == null || !this.isKnown || !this.isJudged ? "–" : word("watch.seconds", { seconds: told.lag_s.toFixed(1) });
    setText(this.lag, word("watch.lag", { lag }));
    setText(this.drops, this.#drops());
    this.#drawTimes();
    element.setAttribute("aria-label", [told.name, told.place, this.badge.textContent].filter(Boolean).join(", "));
    this.menu.setAttribute("aria-label", word("watch.menu", { name: told.name }));
    this.#drawHold();
  }

  #drawHold() {
    const label = word(this.told.is_paused ? "watch.resume_of" : "watch.pause_of", { name: this.told.name });
    this.hold.hidden = !may.operator || !this.told.is_live;
    this.hold.classList.toggle("is-paused", this.told.is_paused);
    this.hold.setAttribute("aria-label", label);
    this.hold.title = label;
  }

  // Outside of its schedule a camera rings for nobody: that is said where it is looked at.
  #drawTimes() {
    const { schedule, timezone, is_scheduled: isOpen } = this.told;
    setText(this.times, schedule && !isOpen ? word("watch.no_alarms_now") : "");
    this.times.title = [schedule, timezone].filter(Boolean).join(" ");
  }

  #badgeText(tone) {
    if (tone === "unknown") return this.#stage();
    // Of an alarm its peak: what is red with a low figure says two things at once.
    const p = this.alarm ? this.alarm.peak : this.p;
    const figure = p == null ? "" : chanceOf(p);
    const name = { alarm: this.alarm ? incidentName(this.alarm) : word("watch.alarm"), review: word("watch.to_review") };
    return `${name[tone] || word("watch.normal")} ${figure}`.trim();
  }

  #stage() {
    if (!this.isKnown) return word("console.stage_unknown");
    if (this.told.is_current && !this.isJudged) return word("console.stage_unjudged");
    return this.told.is_current ? word("watch.no_verdict") : word(`console.stage_${this.told.status}`);
  }

  #words() {
    const event = this.alarm || this.event;
    if (!event?.text) return "";
    return event.end_s == null ? event.text : `${timeOf(event.onset_utc)} · ${event.text}`;
  }

  #nothing() {
    if (!this.isKnown) return word("console.stage_unknown");
    if (this.isLost) {
      const since = this.lostMs ? word("watch.lost_for", { time: spanOf((Date.now() - this.lostMs) / 1000) }) : "";
      return [since || word(`console.stage_${this.told.status}`), this.told.detail].filter(Boolean).join("\n");
    }
    return this.told.is_current ? word("watch.no_picture") : word(`console.stage_${this.told.status}`);
  }

  #drops() {
    const causes = Object.entries(this.told.unknown).sort((a, b) => b[1] - a[1]);
    this.drops.title = causes.map(([cause, count]) => `${word(`console.cause_${cause}`)} ${count}`).join(", ");
    const total = causes.reduce((sum, [cause, count]) => sum + (cause === "skipped" ? 0 : count), 0);
    this.drops.classList.toggle("is-some", total > 0);
    return total ? word("watch.drops", { count: total, cause: this.#mainCause(causes) }) : word("watch.no_drops");
  }

  #mainCause(causes) {
    const [cause] = causes.find(([name]) => name !== "skipped");
    return word(`console.cause_${cause}`);
  }
}
