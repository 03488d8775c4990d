// The latest alarms and events to review, with what can be done about them at once.
import { ask, change, urlOf } from "./api.js";
import { alarms } from "./alarms.js";
import { pageOf } from "./alarm_strip.js";
import { make, setText, tell } from "./dom.js";
import { chanceOf, incidentName } from "./incidents.js";
import { live } from "./live.js";
import { onceMore } from "./once_more.js";
import { may } from "./shell.js";
import { shortName, spanOf, timeOf, word } from "./words.js";

const SHOWN = 30;
const SETTLE_MS = 1500;
const SOON_MS = 200;

class QueueRow {
  constructor(event, acts) {
    this.picture = make("img", { class: "queue-picture", alt: "", hidden: true, loading: "lazy" });
    this.picture.addEventListener("error", () => {
      this.picture.hidden = true;
    });
    this.title = make("b", {});
    this.meta = make("span", { class: "queue-meta" });
    this.words = make("p", { class: "queue-words" });
    this.seen = make("span", { class: "queue-seen" });
    this.ack = make("button", { type: "button", class: "button", onclick: () => acts.acknowledge(this.event) }, word("console.acknowledge"));
    this.wrong = make("button", { type: "button", class: "button", onclick: () => acts.markFalse(this.event) }, word("watch.false_alarm"));
    this.open = make("a", { class: "button" }, word("watch.open"));
    this.top = make("a", { class: "queue-top" }, this.picture, make("span", { class: "queue-lines" }, this.title, this.meta, this.words));
    this.element = make("li", { class: "queue-row" }, this.top, make("div", { class: "queue-acts" }, this.ack, this.wrong, this.open, this.seen));
    this.take(event);
  }

  take(event) {
    this.event = event;
    this.element.dataset.event = event.event;
    const isWaiting = event.state === "alarm" || event.state === "to_review";
    this.element.className = `queue-row is-${event.state} tier-${event.tier}`;
    const camera = alarms.cameraOf(event);
    const name = event.tier === "high" ? incidentName(event) : word("watch.to_review");
    setText(this.title, `${name} ${chanceOf(event.peak)}`);
    const lasts = event.end_s == null ? word("watch.ongoing") : spanOf(event.end_s - event.onset_s);
    setText(this.meta, [shortName(camera.name), camera.place, timeOf(event.onset_utc), lasts].filter(Boolean).join(" · "));
    setText(this.words, event.text || "");
    this.ack.hidden = this.wrong.hidden = !isWaiting || !may.operator;
    setText(this.seen, this.#seen(event));
    for (const link of [this.open, this.top]) link.href = pageOf(event.event);
    this.#showPicture(event);
  }

  #seen({ state, mark, marked_by: marker, acknowledged_by: who, acknowledged_utc: when }) {
    if (state === "reviewed") return word(`watch.mark_${mark}`, { who: marker });
    return state === "acknowledged" ? word("watch.seen_by", { who, when: timeOf(when) }) : "";
  }

  #showPicture({ event, media = [] }) {
    if (this.picture.src || !media.some((url) => url.endsWith("/snapshot"))) return;
    this.picture.src = urlOf(`events/${event}/snapshot`);
    this.picture.hidden = false;
  }
}

/** The list at the side of the room; `onUpdate` is called when events came or changed. */
export class AlarmQueue {
  #rows = new Map();
  #timers = new Map();
  #turns = new Map();

  constructor({ onUpdate }) {
    this.onUpdate = onUpdate;
    this.list = make("ol", { class: "queue-list", "aria-label": word("watch.queue") });
    this.count = make("span", { class: "queue-count" });
    this.quiet = make("p", { class: "queue-quiet" }, word("watch.quiet"));
    const head = make("h2", {}, word("watch.queue"), this.count);
    this.element = make("aside", { class: "queue" }, head, this.quiet, this.list);
  }

  start() {
    live.addEventListener("change", ({ detail }) => this.#follow(detail));
    live.addEventListener("up", () => this.load());
    alarms.addEventListener("update", () => this.#drawAll());
    alarms.addEventListener("resolved", ({ detail }) => this.#lookSoon(detail.event, SOON_MS));
  }

  /** The latest event of a camera, if there is one. */
  latestOf(cameraId) {
    return this.#sorted().find(({ event }) => event.camera_id === cameraId)?.event ?? null;
  }

  /** Asks for the latest events. */
  load = onceMore(() => this.#load());

  async #load() {
    const turns = new Map(this.#turns);
    const isNewer = (id) => this.#turns.has(id) && turns.get(id) !== this.#turns.get(id);
    try {
      const { events } = await ask("events", { query: { limit: SHOWN } });
      const known = new Set(events.map(({ event }) => event));
      // What came or changed meanwhile is newer than the answer.
      for (const [id, row] of this.#rows) if (!known.has(id) && !isNewer(id)) this.#drop(id, row);
      events.filter(({ event }) => !isNewer(event)).forEach((event) => this.#take(event));
      this.#arrange();
    } catch (problem) {
      setText(this.quiet, problem.message);
    }
  }

  #turn(id) {
    this.#turns.set(id, (this.#turns.get(id) ?? 0) + 1);
    return this.#turns.get(id);
  }

  #follow({ event }) {
    this.#turn(event.event);
    const known = this.#rows.get(event.event)?.event;
    const state = known?.state ?? (event.tier === "high" ? "alarm" : "to_review");
    this.#take({ ...known, state, ...event });
    this.#arrange();
    // Its picture is written while it happens, and what people said of it is not in the news.
    this.#lookSoon(event.event, known ? SOON_MS : SETTLE_MS);
  }

  #lookSoon(id, ms) {
    clearTimeout(this.#timers.get(id));
    this.#timers.set(
      id,
      setTimeout(() => this.#look(id), ms),
    );
  }

  async #look(id) {
    this.#timers.delete(id);
    if (!this.#rows.has(id)) return;
    const turn = this.#turn(id);
    const event = await ask(`events/${id}`).catch(() => null);
    // A later look, or news, are newer than this answer; after news there is another look.
    if (!event || !this.#rows.has(id) || turn !== this.#turns.get(id)) return;
    this.#take(event);
    this.#arrange();
  }

  #take(event) {
    const row = this.#rows.get(event.event);
    if (row) row.take(event);
    else this.#rows.set(event.event, new QueueRow(event, this));
  }

  #drop(id, row) {
    row.element.remove();
    this.#rows.delete(id);
    this.#turns.delete(id);
  }

  #drawAll() {
    for (const row of this.#rows.values()) row.take(row.event);
  }

  #sorted() {
    const isWaiting = ({ event }) => event.state === "alarm";
    const order = (a, b) => Number(isWaiting(b)) - Number(isWaiting(a)) || (a.event.event < b.event.event ? 1 : -1);
    return [...this.#rows.values()].sort(order);
  }

  #arrange() {
    const rows = this.#sorted();
    rows.slice(SHOWN).forEach((row) => this.#drop(row.event.event, row));
    rows.slice(0, SHOWN).forEach((row, index) => {
      if (this.list.children[index] !== row.element) this.list.insertBefore(row.element, this.list.children[index] || null);
    });
    this.quiet.hidden = rows.length > 0;
    this.onUpdate();
  }

  /** Says how many wait for somebody. */
  showCount(count) {
    setText(this.count, count ? String(count) : "");
  }

  async acknowledge({ event }) {
    await this.#do(() => alarms.acknowledge(event), event);
  }

  async markFalse({ event }) {
    await this.#do(() => change("POST", `events/${event}/marks`, { mark: "false_alarm" }), event);
  }

  async #do(act, id) {
    try {
      await act();
      await this.#look(id);
    } catch (problem) {
      tell(word("console.not_done", { why: problem.message }), { isProblem: true });
    }
  }
}
