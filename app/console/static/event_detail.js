// The event that is shown: its title and words at once, then its clip, curve and windows, and beside them marks, why it
// alarmed, who was told and what was done. What arrives late for an event that is not shown any more is dropped.
import { ask, urlOf } from "./api.js";
import { addressOf } from "./event_address.js";
import { make, setText, tell } from "./dom.js";
import { factsOf, fill, historyLines, section, toldLines, whyLines } from "./event_facts.js";
import { EventPlayer } from "./event_player.js";
import { duration, happened, within, zone } from "./event_times.js";
import { badgeOf } from "./event_list.js";
import { classOf, incidentName } from "./incidents.js";
import { JudgedWindows } from "./judged_windows.js";
import { ProbabilityChart } from "./probability_chart.js";
import { may } from "./shell.js";
import { word } from "./words.js";

const AGAIN_MS = 2500;
const SETTLES_MS = 80; // so many later it is asked for what belongs to an event: who goes on at once asks for nothing
const GROWS = new Set(["open", "expected", "coming"]);
const MARKS = [["true", "T"], ["false_alarm", "F"], ["unsure", "U"], ["", "⌫"]];

export class EventDetail extends EventTarget {
  event = null;
  #asked = null;
  #why = null;
  #shown = "";
  #timer = 0;
  #notes = new Map();
  #cameraOf;
  #readRecord;
  #title = make("h1", { class: "detail-title", id: "detail-title", tabindex: "-1" });
  #line = make("p", { class: "detail-line", id: "detail-line" });
  #problem = make("p", { class: "notice is-problem", role: "alert", hidden: true });
  #facts = make("dl", { class: "fact-pairs", id: "event-pairs" });
  #why_ = make("ul", { class: "fact-lines", id: "why-lines" });
  #told = make("ul", { class: "fact-lines", id: "told-lines" });
  #history = make("ol", { class: "history", id: "history-lines" });
  #buttons = new Map();
  #acknowledge = make("button", { type: "button", class: "button is-wide", id: "acknowledge" });
  #undo = make("button", { type: "button", class: "button is-wide", id: "undo" });
  #note = make("textarea", { id: "note", rows: "3", maxlength: "4000", placeholder: word("events.note_hint") });
  #class = make("select", { id: "mark-class", "aria-label": word("events.correct_class") });
  #classField = make("label", { class: "field", id: "class-field", hidden: true }, word("events.correct_class"), this.#class);
  #saveNote = make("button", { type: "button", class: "button", id: "save-note", disabled: true }, word("events.save_note"));
  #downloads = make("div", { class: "downloads" });

  /** `cameraOf(event)` is what is known of its camera; `read(id)` asks for its record, and may resolve to null. */
  constructor({ cameraOf, read }) {
    super();
    this.#cameraOf = cameraOf;
    this.#readRecord = read;
    this.player = new EventPlayer({ onTime: (second) => this.#follow(second) });
    this.chart = new ProbabilityChart({ onSeek: (second) => this.#seek(second) });
    this.windows = new JudgedWindows({ onSeek: (second) => this.#seek(second) });
    this.player.onLength(() => this.#measured());
    this.middle = make("article", { class: "detail", id: "event-detail", "aria-labelledby": "detail-title" },
      make("header", { class: "detail-head" }, make("div", {}, this.#title, this.#line)), this.#problem,
      this.player.element, this.chart.element, this.windows.element);
    this.side = make("div", { class: "side-event", id: "event-side" }, ...this.#marking(),
      section("why", word("events.why"), this.#why_), section("told", word("events.told"), this.#told),
      section("history", word("events.history"), this.#history),
      make("section", { class: "facts" }, make("h3", {}, word("events.facts")), this.#facts), this.#downloads);
  }

  /** Shows an event at once as far as its record says; the rest follows. */
  open(event) {
    const isOther = this.event?.event !== event.event;
    if (isOther) this.#leaveNote();
    this.#show(event);
    if (!isOther) return;
    this.#problem.hidden = true;
    this.player.open(event);
    this.chart.show(null);
    this.windows.clear();
    this.#why = null;
    this.#offerClasses([]);
    fill(this.#why_, [word("events.loading")]);
    fill(this.#told, [word("events.loading")]);
    this.#note.value = this.#notes.get(event.event) ?? lastNote(event);
    this.#noteChanged();
    this.middle.toggleAttribute("data-late", true);
    this.#asked?.abort();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), SETTLES_MS);
  }

  /** Shows the record anew, if it is of the event that is shown. */
  update(event) {
    if (this.event?.event !== event.event) return;
    const before = this.event;
    this.#show(event);
    this.player.say(event);
    if (this.#note.value.trim() === lastNote(before)) this.#note.value = lastNote(event);
    this.#noteChanged();
    const grew = before.end_s !== event.end_s || before.peak !== event.peak || before.media.length !== event.media.length;
    if (grew) this.#readSoon(0);
  }

  /** Says that there is no such event, or what else went wrong. */
  fail(message) {
    this.close();
    setText(this.#title, word("events.not_opened"));
    setText(this.#problem, message);
    this.#problem.hidden = false;
  }

  /** Shows nothing. */
  close() {
    this.#leaveNote();
    this.#asked?.abort();
    clearTimeout(this.#timer);
    this.event = null;
    this.#shown = "";
    this.player.close();
    this.chart.show(null);
    this.windows.clear();
    this.#problem.hidden = true;
    setText(this.#title, "");
    setText(this.#line, "");
  }

  /** The class that goes with the mark "true": what is chosen, if the event says another. */
  get label() {
    return this.#class.value === this.event?.label ? "" : this.#class.value;
  }

  /** The note that goes with the next mark of the event that is shown. */
  get note() {
    return this.#note.value.trim();
  }

  /** Puts the cursor into the note. */
  write() {
    if (may.operator) this.#note.focus();
  }

  /** The note was saved with a mark: it is no draft any more. */
  noteSaved(id) {
    this.#notes.delete(id);
    this.#keepNotes();
    this.#noteChanged();
  }

  /** Says whether there is a mark to undo. */
  showUndo(canUndo) {
    this.#undo.disabled = !canUndo;
  }

  #show(event) {
    const told = JSON.stringify(event);
    this.event = event;
    if (told === this.#shown) return;
    this.#shown = told;
    if (this.#why) this.#offerClasses(this.#why.classes);
    this.middle.dataset.event = event.event;
    const camera = this.#cameraOf(event);
    const where = camera?.place ? word("console.where", { name: event.source, place: camera.place }) : event.source;
    this.#title.replaceChildren(make("span", { class: `tier-mark tier-${event.tier}`, role: "img", "aria-label": word(`events.tier_${event.tier}`) }),
      make("span", {}, `${incidentName(event)} ${event.peak.toFixed(2)} · ${where}`), badgeOf(event));
    setText(this.#line, this.#says(event));
    this.#facts.replaceChildren(...factsOf(event, camera));
    fill(this.#history, historyLines(event));
    for (const [mark, button] of this.#buttons) button.setAttribute("aria-pressed", String(Boolean(mark) && event.mark === mark));
    if (may.operator) this.#buttons.get("").disabled = !event.mark;
    const isSeen = Boolean(event.acknowledged_by);
    this.#acknowledge.disabled = isSeen;
    if (isSeen) this.#acknowledge.replaceChildren(word("events.acknowledged_by", { name: event.acknowledged_by }));
    else this.#acknowledge.replaceChildren(word("events.acknowledge"), make("kbd", {}, "A"));
    if (this.#why) fill(this.#why_, whyLines(event, this.#why));
    this.#showDownloads(event);
  }

  #says(event) {
    const after = event.announced_s == null ? "" : word("events.after_onset", { seconds: (event.announced_s - event.onset_s).toFixed(1) });
    return [happened(event, { full: true }), event.epoch_s == null ? "" : zone, duration(event), after].filter(Boolean).join(" · ");
  }

  async #read() {
    clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    const { event } = this;
    try {
      const path = `events/${event.event}`;
      const [why, frames] = await Promise.all([ask(`${path}/why`, { signal }), ask(`${path}/frames`, { signal })]);
      if (signal.aborted) return;
      this.#showWhy(event, why, frames.frames);
      const told = await ask(`${path}/deliveries`, { signal });
      if (!signal.aborted) fill(this.#told, toldLines(told));
    } catch (problem) {
      if (signal.aborted) return;
      setText(this.#problem, `${word("events.not_opened")} ${problem.message}`);
      this.#problem.hidden = false;
    }
  }

  #showWhy(event, why, frames) {
    this.#why = why;
    this.#problem.hidden = true;
    this.#offerClasses(why.classes);
    fill(this.#why_, whyLines(event, why));
    this.player.show(event, why.clip);
    this.windows.show(event, why, frames);
    this.#draw();
    this.#measured();
    this.middle.removeAttribute("data-late");
    if (GROWS.has(why.clip.state) || event.end_s == null) this.#readSoon(AGAIN_MS);
  }

  // An event that goes on, or whose clip is still to come, is looked at again until it is whole.
  #readSoon(waitMs) {
    clearTimeout(this.#timer);
    const id = this.event.event;
    this.#timer = setTimeout(() => this.event?.event === id && (document.hidden ? this.#readSoon(AGAIN_MS) : this.#readNow()), waitMs);
  }

  async #readNow() {
    const { event } = this;
    const now = await this.#readRecord(event.event);
    if (now && this.event?.event === event.event) this.dispatchEvent(new CustomEvent("news", { detail: now }));
    if (this.event?.event === event.event) await this.#read();
  }

  // An event that says no class may still have one, which only people know.
  #offerClasses(classes) {
    this.#class.replaceChildren(...[...new Set([classOf(this.event), ...classes])].map((name) => make("option", { value: name }, name || "–")));
    this.#class.value = classOf(this.event);
    this.#classField.hidden = !classes.length;
  }

  #measured() {
    const { span } = this.player;
    if (!span || !this.#why) return;
    this.#draw();
    this.windows.useClip(this.player.clipUrl, span);
  }

  #draw() {
    const { event } = this;
    this.chart.show({ windows: this.#why.windows, tiers: this.#why.tiers, onsetS: event.onset_s, endS: event.end_s,
      announcedS: event.announced_s, clip: this.player.span, label: (second) => within(event, second) });
  }

  #follow(second) {
    this.chart.play(second);
    this.windows.play(second);
  }

  #seek(second) {
    if (!this.player.seek(second)) this.#follow(second);
  }

  #marking() {
    if (!may.operator) return [make("p", { class: "quiet only-look" }, word("events.only_look"))];
    const buttons = MARKS.map(([mark, key]) => {
      const button = make("button", { type: "button", class: `button mark-button do-${mark || "none"}`, id: `mark-${mark || "none"}`,
        "aria-pressed": "false", "aria-keyshortcuts": mark ? key : "Backspace",
        onclick: () => this.dispatchEvent(new CustomEvent("mark", { detail: mark })) },
      word(`events.do_${mark || "none"}`), make("kbd", {}, key));
      this.#buttons.set(mark, button);
      return button;
    });
    this.#acknowledge.addEventListener("click", () => this.dispatchEvent(new Event("acknowledge")));
    this.#undo.append(word("events.undo"), make("kbd", {}, "Z"));
    this.#undo.addEventListener("click", () => this.dispatchEvent(new Event("undo")));
    this.#note.addEventListener("input", () => this.#noteChanged());
    this.#note.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#saveNote.click();
    });
    this.#saveNote.addEventListener("click", () => this.dispatchEvent(new Event("note")));
    this.#class.addEventListener("change", () => this.dispatchEvent(new CustomEvent("mark", { detail: "true" })));
    const label = make("label", { class: "field note", for: "note" }, word("events.note"));
    return [make("div", { class: "marking", role: "group", "aria-label": word("events.marking") }, ...buttons), this.#classField,
      this.#acknowledge, make("div", { class: "noting" }, label, this.#note, this.#saveNote), this.#undo];
  }

  #noteChanged() {
    if (!this.event) return;
    const isDraft = this.note !== lastNote(this.event);
    this.#saveNote.disabled = !isDraft;
    if (isDraft) this.#notes.set(this.event.event, this.#note.value);
    else this.#notes.delete(this.event.event);
    this.#keepNotes();
  }

  #leaveNote() {
    if (this.event && document.activeElement === this.#note) this.#note.blur();
  }

  // A reload keeps what was written and not saved.
  #keepNotes() {
    try {
      sessionStorage.setItem("vigil-notes", JSON.stringify([...this.#notes].slice(-50)));
    } catch {
      // A browser that keeps nothing keeps it until the page is left.
    }
  }

  /** Takes up the notes that were not saved before a reload. */
  readNotes() {
    try {
      this.#notes = new Map(JSON.parse(sessionStorage.getItem("vigil-notes") || "[]"));
    } catch {
      this.#notes = new Map();
    }
  }

  #showDownloads(event) {
    const has = (kind) => event.media.some((url) => url.endsWith(`/${kind}`));
    const link = (id, path, name, text) =>
      make("a", { class: "button", id, href: urlOf(path).href, download: name }, text);
    const address = addressOf({ event: event.event }).href;
    const copy = make("button", { type: "button", class: "button", id: "copy-link",
      onclick: () => copyText(address) }, word("events.copy_link"));
    this.#downloads.replaceChildren(...[copy,
      has("clip") ? link("get-clip", `events/${event.event}/clip`, "", word("events.get_clip")) : null,
      has("frames") ? link("get-frames", `events/${event.event}/frames.zip`, "", word("events.get_frames")) : null,
      has("snapshot") ? link("get-snapshot", `events/${event.event}/snapshot`, `${event.event}.jpg`, word("events.get_snapshot")) : null,
      link("get-json", `events/${event.event}`, `${event.event}.json`, word("events.get_json"))].filter(Boolean));
  }
}

/** The note that was said last; a mark that was taken back took its note along. */
const lastNote = (event) => event.marks.at(-1)?.note ?? event.note ?? "";

const copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    tell(word("events.copied"));
  } catch {
    // Without https browsers have no clipboard; the address can be taken from here.
    prompt(word("events.copy_by_hand"), text);
  }
};
