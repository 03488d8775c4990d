// The strip over every page: who rings, where, since when, and the buttons that end it; below it what else is wrong.
// Red is an alarm, hatched is what is not known. It is as high as what it says, and gone when there is nothing to say.
import { root, whoAmI } from "./api.js";
import { alarms } from "./alarms.js";
import { isTyped, make, setText, tell } from "./dom.js";
import { incidentName } from "./incidents.js";
import { live } from "./live.js";
import { sound } from "./sound.js";
import { shortName, spanOf, timeOf, word } from "./words.js";

const TOLD_MS = 12000;
const SECOND_MS = 1000;
const language = () => (document.documentElement.lang || "en").slice(0, 2);

/** The address of an event's page. */
export const pageOf = (id) => new URL(`${language()}/events/${encodeURIComponent(id)}`, root).href;

const button = (text, key, pressed, kind = "") => {
  const label = key ? [text, make("kbd", {}, key)] : [text];
  return make("button", { type: "button", class: `strip-button ${kind}`, onclick: pressed }, ...label);
};

const row = (kind, ...parts) => make("div", { class: `strip-row is-${kind}`, hidden: true }, ...parts);

class AlarmStrip {
  #title = document.title;
  #mayActKnown = false;
  #mayAct = false;
  #timer = 0;
  #toldTimer = 0;
  #shownAlarm = "";

  constructor() {
    this.#buildAlarm();
    this.#buildTroubles();
    this.#buildSound();
    this.told = row("told", make("span", { class: "strip-text" }));
    this.element = make(
      "section",
      { class: "vigil-strip", "aria-label": word("console.strip") },
      ...[this.alarm, this.troubles, this.blocked, this.silent, this.told],
    );
  }

  #buildAlarm() {
    this.name = make("strong", {});
    this.where = make("a", {});
    this.since = make("span", { class: "strip-since" });
    this.lasts = make("span", { class: "strip-lasts", "aria-hidden": "true" });
    this.more = make("span", { class: "strip-more" });
    this.mute = button(word("console.mute"), "", () => alarms.silence());
    this.muted = make("span", { class: "strip-more" }, word("console.muted"));
    this.all = button("", "", () => this.#acknowledge(alarms.list));
    this.one = button(word("console.acknowledge"), "A", () => this.acknowledge(), "is-main");
    const text = make("p", { class: "strip-text", role: "alert" }, this.name, this.where, this.since);
    const acts = make("div", { class: "strip-acts" }, this.muted, this.mute, this.all, this.one);
    this.alarm = row("alarm", make("i", { class: "strip-lamp", "aria-hidden": "true" }), text, this.lasts, this.more, acts);
  }

  #buildTroubles() {
    this.troubleText = make("p", { class: "strip-text", role: "alert" });
    this.troubleLasts = make("span", { class: "strip-lasts", "aria-hidden": "true" });
    this.troubleMute = button(word("console.silence"), "", () => alarms.silence());
    const acts = make("div", { class: "strip-acts" }, this.troubleMute);
    this.troubles = row("trouble", this.troubleText, this.troubleLasts, acts);
  }

  #buildSound() {
    const text = make("p", { class: "strip-text", role: "alert" }, word("console.sound_blocked"));
    const test = button(word("console.sound_test"), "", () => sound.test(), "is-main");
    // The press itself lets the page sound, and this line is gone before the finger is up again.
    test.addEventListener("pointerdown", () => sound.test());
    this.blocked = row("blocked", text, make("div", { class: "strip-acts" }, test));
    const on = button(word("console.sound_switch_on"), "S", () => sound.switch(true));
    const off = make("p", { class: "strip-text" }, word("console.sound_is_off"));
    this.silent = row("silent", off, make("div", { class: "strip-acts" }, on));
  }

  start() {
    document.body.prepend(this.element);
    new ResizeObserver(() => {
      document.documentElement.style.setProperty("--strip-height", `${this.element.offsetHeight}px`);
    }).observe(this.element);
    for (const source of [alarms, sound]) source.addEventListener("update", () => this.draw());
    for (const kind of ["up", "down"]) live.addEventListener(kind, () => this.draw());
    live.addEventListener("up", () => this.#askWhoIAm());
    alarms.addEventListener("resolved", ({ detail }) => this.#tellResolved(detail));
    document.addEventListener("visibilitychange", () => this.#tick());
    if (document.body.dataset.page) addEventListener("keydown", (event) => this.#press(event));
    this.#askWhoIAm();
    this.draw();
  }

  async #askWhoIAm() {
    if (this.#mayActKnown) return;
    const me = await whoAmI().catch(() => null);
    if (!me) return;
    this.#mayActKnown = true;
    this.#mayAct = me.role !== "viewer";
    this.draw();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyped(event.target)) return;
    if (event.key === "a") this.acknowledge();
    else if (event.key === "s") sound.switch();
  }

  /** Acknowledges the alarm that is shown. */
  acknowledge() {
    const shown = alarms.list.slice(0, 1);
    // A key that is pressed again while the first press is under way is not for the same alarm once more.
    if (shown.length && this.#mayAct && !this.one.disabled) this.#acknowledge(shown);
  }

  async #acknowledge(events) {
    for (const each of [this.one, this.all]) each.disabled = true;
    try {
      await alarms.acknowledge(...events.map(({ event }) => event));
    } catch (problem) {
      this.#say(word("console.not_done", { why: problem.message }));
      tell(word("console.not_done", { why: problem.message }), { isProblem: true });
    } finally {
      for (const each of [this.one, this.all]) each.disabled = false;
    }
  }

  #tellResolved(event) {
    const { acknowledged_by: who, acknowledged_utc: when } = event;
    const marker = event.marked_by ? { who: event.marked_by, when: event.marked_utc } : { who, when };
    if (!marker.who) return;
    const camera = shortName(alarms.cameraOf(event).name);
    const key = event.marked_by ? "console.marked_by" : "console.acknowledged_by";
    this.#say(word(key, { who: marker.who, when: timeOf(marker.when), camera }));
  }

  #say(text) {
    setText(this.told.firstChild, text);
    this.told.hidden = false;
    clearTimeout(this.#toldTimer);
    this.#toldTimer = setTimeout(() => {
      this.told.hidden = true;
    }, TOLD_MS);
  }

  /** Draws everything anew from what is known. */
  draw() {
    const { list, ringing } = alarms;
    this.#drawAlarm(list, ringing.alarms);
    this.#drawTroubles(alarms.troubles, ringing.troubles);
    this.blocked.hidden = !sound.isBlocked;
    this.silent.hidden = sound.isWanted;
    const title = list.length ? `(${list.length}) ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
    this.element.classList.toggle("is-away", live.isUp === false);
    this.#tick();
  }

  #drawAlarm(list, rings) {
    const [first] = list;
    this.alarm.hidden = !first;
    this.#shownAlarm = first?.onset_utc || "";
    if (!first) return;
    const camera = alarms.cameraOf(first);
    setText(this.name, incidentName(first));
    const name = shortName(camera.name);
    setText(this.where, camera.place ? word("console.where", { name, place: camera.place }) : name);
    this.where.href = pageOf(first.event);
    const going = first.end_s == null ? "console.since" : "console.was_at";
    setText(this.since, word(going, { time: timeOf(first.onset_utc) }));
    setText(this.more, list.length > 1 ? word("console.more", { count: list.length - 1 }) : "");
    setText(this.all, word("console.acknowledge_all", { count: list.length }));
    this.one.hidden = !this.#mayAct;
    this.all.hidden = !this.#mayAct || list.length < 2;
    this.mute.hidden = !rings.length || !sound.isWanted;
    this.muted.hidden = rings.length > 0;
    this.alarm.classList.toggle("is-ringing", rings.length > 0);
  }

  #drawTroubles(all, rings) {
    this.troubles.hidden = !all.length;
    if (!all.length) return;
    const told = all.slice(0, 3).map(({ kind, name, sinceMs }) => word(`console.trouble_${kind}`, { name: shortName(name), time: timeOf(sinceMs) }));
    if (all.length > 3) told.push(word("console.more", { count: all.length - 3 }));
    setText(this.troubleText, told.join(" · "));
    this.troubleText.title = all.map(({ detail }) => detail).filter(Boolean).join("\n");
    this.troubleMute.hidden = !rings.length || !sound.isWanted;
  }

  // Seconds are counted only while they are seen.
  #tick() {
    const [first] = alarms.troubles;
    const nowMs = Date.now();
    if (this.#shownAlarm) setText(this.lasts, spanOf((nowMs - Date.parse(this.#shownAlarm)) / 1000));
    if (first) setText(this.troubleLasts, spanOf((nowMs - first.sinceMs) / 1000));
    clearTimeout(this.#timer);
    if ((this.#shownAlarm || first) && !document.hidden) this.#timer = setTimeout(() => this.#tick(), SECOND_MS);
  }
}

/** The strip of this page. */
export const strip = new AlarmStrip();
