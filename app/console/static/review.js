// The review: a list of events, the one that is shown, and beside it what can be done about it. List and detail always
// stand on the same event: one is opened in one place (`open`), whoever asks for it.
import { alarms } from "./alarms.js";
import { ask, urlOf } from "./api.js";
import { isOfMissed, missedQueryOf, queryOf, readAddress, writeAddress } from "./event_address.js";
import { CameraStrip } from "./camera_strip.js";
import { make, setText, tell } from "./dom.js";
import { EventDetail } from "./event_detail.js";
import { EventFilters } from "./event_filters.js";
import { EventList } from "./event_list.js";
import { EventMarks } from "./event_marks.js";
import { fullTime, offsetOf, zone } from "./event_times.js";
import { learnNames } from "./incidents.js";
import { live } from "./live.js";
import { onceMore } from "./once_more.js";
import { listen, makeHelp } from "./review_keys.js";
import { isReady, may } from "./shell.js";
import { word } from "./words.js";

const REFRESH_MS = 800;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const COUNT_MS = 300;
const NARROW = matchMedia("(max-width: 720px)");

class Review {
  #cameras = [];
  #shown = { event: "", missed: "" };
  #filters = new EventFilters();
  #marks = new EventMarks();
  #count = make("span", { class: "quiet", id: "events-found", role: "status" });
  #chosen = make("div", { class: "chosen-bar", id: "chosen-bar", hidden: true });
  #refreshSoon = onceMore(() => this.#refresh());
  #isShownStale = false;
  #markings = 0;
  #asked = 0;
  #answered = 0;
  #counting = 0;
  #opening = null;

  constructor(main) {
    this.detail = new EventDetail({ cameraOf: (event) => this.#cameraOf(event), read: (id) => this.#readRecord(id) });
    this.strip = new CameraStrip({ onOpen: (id) => this.openById(id) });
    this.help = makeHelp();
    this.left = make("section", { class: "list-panel", id: "list-panel", "aria-label": word("events.list") },
      make("header", { class: "list-head" }, this.#count, this.#exports()), this.#chosen);
    this.list = new EventList(this.left);
    this.#layOut(main);
    this.#connect();
  }

  /** Shows what the address names. */
  async start() {
    const { event, missed, filters } = readAddress();
    this.detail.readNotes();
    this.#filters.show(filters);
    const shown = { event, missed };
    this.#shown = shown;
    const reading = this.list.read(filters);
    await this.#readChoices();
    // Who has opened another one meanwhile stays there.
    if (event && this.#shown === shown) await this.openById(event);
    const isRead = await reading;
    if (isRead && !event && this.#shown === shown) this.#openFirst(missed);
    this.#countSoon();
    isReady();
  }

  /** Shows an event of this id, in the list or not. */
  async openById(id) {
    const item = this.list.get(id);
    if (item) return this.open(item);
    this.#opening?.abort();
    const opening = new AbortController();
    this.#opening = opening;
    try {
      const record = await ask(`events/${encodeURIComponent(id)}`, { signal: opening.signal });
      if (opening.signal.aborted) return undefined;
      return this.open({ id, isMissed: false, record });
    } catch (problem) {
      if (opening.signal.aborted) return undefined;
      this.#shown = { event: id, missed: "" };
      this.list.select(id);
      this.#write();
      this.#showKind("failed");
      this.detail.fail(problem.status === 404 ? word("events.no_such_event", { id }) : problem.message);
      return undefined;
    }
  }

  /** Shows an item: the ring in the list, the detail and the address go there together. */
  open(item, { narrow = true } = {}) {
    this.#opening?.abort();
    this.#shown = item.isMissed ? { event: "", missed: item.id } : { event: item.id, missed: "" };
    this.list.select(item.id);
    this.#write();
    if (item.isMissed) this.#openMissed(item.record);
    else this.#openEvent(item.record);
    if (narrow && NARROW.matches) this.#turn("detail");
  }

  #openEvent(event) {
    const isOther = this.detail.event?.event !== event.event;
    this.#showKind("event");
    this.detail.open(event);
    if (!isOther) return;
    if (event.onset_utc) this.strip.show(event.camera_id || event.source, Date.parse(event.onset_utc));
    else this.strip.showNone();
  }

  #openMissed(span) {
    this.detail.close();
    this.#showKind("missed");
    const [from, to] = [Date.parse(span.from_utc), Date.parse(span.to_utc)];
    setText(this.missedTitle, `${word("events.mark_missed")} · ${span.source}`);
    setText(this.missedLine, `${fullTime(span.from_utc)} – ${fullTime(span.to_utc)} · ${span.marked_by}`);
    setText(this.missedNote, span.note);
    this.strip.show(span.camera_id || span.source, (from + to) / 2, { chosen: [from, to] });
  }

  #openFirst(missed) {
    const named = missed && this.list.get(missed);
    // On a phone the list comes first, and no clip is loaded that nobody sees.
    if (NARROW.matches && !named) return;
    const item = named || this.list.items[0];
    if (item) this.open(item, { narrow: Boolean(missed) });
    else this.#showNothing();
  }

  #showNothing() {
    this.detail.close();
    this.list.select("");
    this.#shown = { event: "", missed: "" };
    this.#write();
    this.#showKind("nothing");
    const camera = this.#filters.now.camera || this.#cameras[0]?.id;
    if (camera) this.strip.show(camera, Date.now());
  }

  #showKind(kind) {
    this.page.dataset.kind = kind;
  }

  #turn(view) {
    this.page.dataset.view = view;
    if (view === "detail") scrollTo({ top: 0 });
    else document.querySelector(".event-row.is-shown .event-open")?.focus();
  }

  #write() {
    writeAddress({ ...this.#shown, filters: this.#filters.now });
  }

  #layOut(main) {
    const back = make("button", { type: "button", class: "button back", id: "to-list", onclick: () => this.#turn("list") }, `‹ ${word("events.list")}`);
    this.missedTitle = make("h1", { class: "detail-title" });
    this.missedLine = make("p", { class: "detail-line" });
    this.missedNote = make("p", {});
    const missed = make("article", { class: "missed-detail", id: "missed-detail" }, this.missedTitle, this.missedLine, this.missedNote);
    if (may.operator) missed.append(make("button", { type: "button", class: "button", onclick: () => this.strip.takeBack(this.#shown.missed) }, word("events.take_back")));
    const nothing = make("p", { class: "nothing", id: "review-nothing" }, word("events.pick"));
    const help = make("button", { type: "button", class: "button", id: "keys", "aria-keyshortcuts": "?", title: word("events.keys"), onclick: () => this.help() }, "?");
    const bar = make("header", { class: "review-bar" }, this.#filters.element, help);
    const middle = make("div", { class: "middle", id: "middle" }, back, nothing, missed, this.detail.middle, this.strip.element);
    const side = make("aside", { class: "side", "aria-label": word("events.beside") }, this.detail.side);
    this.page = make("div", { class: "review", "data-view": "list", "data-kind": "nothing" }, bar, this.left, middle, side);
    main.replaceChildren(this.page);
    setText(this.left.querySelector(".zone"), word("events.zone", { zone, offset: offsetOf(Date.now()) }));
  }

  #exports() {
    const links = make("div", { class: "menu" });
    const menu = make("details", { class: "export", id: "export" }, make("summary", { class: "button" }, word("events.export")), links);
    const link = (path, query, text) => make("a", { href: urlOf(path, query).href, download: "" }, text);
    menu.addEventListener("toggle", () => {
      const filters = this.#filters.now;
      const events = isOfMissed(filters) ? missedQueryOf(filters) : queryOf(filters);
      links.replaceChildren(link("events/export.csv", events, word("events.export_csv")), link("events/export.json", events, word("events.export_json")),
        link("missed/export.csv", missedQueryOf(filters), word("events.export_missed")));
    });
    const all = make("button", { type: "button", class: "button", id: "choose-all", onclick: () => this.list.chooseAll(!this.list.chosen.size) }, word("events.choose_all"));
    const zoneLine = make("span", { class: "zone quiet" });
    return make("div", { class: "list-tools" }, zoneLine, may.operator ? all : null, menu);
  }

  #connect() {
    this.#filters.addEventListener("change", () => this.#filtered());
    this.list.addEventListener("open", ({ detail }) => this.open(this.list.get(detail)));
    this.list.addEventListener("choose", () => this.#showChosen());
    this.#marks.addEventListener("update", ({ detail }) => this.#updated(detail));
    this.#marks.addEventListener("change", () => {
      this.#markings += 1;
      this.detail.showUndo(this.#marks.canUndo);
    });
    this.#marks.addEventListener("refused", () => this.#refreshSoon());
    this.#marks.addEventListener("many", () => this.#refreshSoon());
    this.detail.addEventListener("mark", ({ detail }) => this.#markShown(detail));
    this.detail.addEventListener("acknowledge", () => this.acknowledge());
    this.detail.addEventListener("undo", () => this.undo());
    this.detail.addEventListener("note", () => this.saveNote());
    this.detail.addEventListener("news", ({ detail }) => this.#updated(detail));
    this.strip.addEventListener("missed", ({ detail }) => this.#missedChanged(detail));
    this.detail.showUndo(false);
    live.addEventListener("change", ({ detail }) => this.#news(detail));
    live.addEventListener("up", () => this.#refreshSoon());
    document.addEventListener("visibilitychange", () => document.hidden || this.#refreshSoon());
    addEventListener("popstate", () => location.hash !== "#main" && this.start());
    document.addEventListener("pointerdown", ({ target }) => {
      for (const open of document.querySelectorAll("details.export[open], details.own-range[open]")) if (!open.contains(target)) open.open = false;
    });
    this.#connectKeys();
  }

  #connectKeys() {
    const { player } = this.detail;
    const marking = (mark) => () => this.mark(mark);
    const move = (by) => () => this.move(by);
    listen({
      j: move(1), ArrowDown: move(1), k: move(-1), ArrowUp: move(-1),
      t: marking("true"), f: marking("false_alarm"), u: marking("unsure"), Backspace: marking(""),
      z: () => this.undo(), n: () => this.detail.write(), a: () => this.#acknowledgeByKey(), x: () => this.#chooseShown(),
      m: () => this.strip.focus(), "/": () => this.#filters.text.focus(), "?": () => this.help(), Escape: () => this.#escape(),
      " ": () => player.toggle(), ArrowLeft: () => player.step({ seconds: -1 }), ArrowRight: () => player.step({ seconds: 1 }),
      ",": () => player.step({ frames: -1 }), ".": () => player.step({ frames: 1 }), c: () => player.toggleWords(),
    });
  }

  /** Goes so many rows on. */
  move(by) {
    const item = this.list.neighbour(by);
    if (item && item.id !== this.list.selected) this.open(item);
  }

  /** Marks what is chosen or, if nothing is, the event that is shown; then the next one is shown. */
  mark(mark) {
    if (!may.operator) return;
    if (this.list.chosen.size) this.#markChosen(mark);
    else if (this.detail.event) this.#markShown(mark);
    else if (this.#shown.missed && mark === "") this.strip.takeBack(this.#shown.missed);
  }

  #markShown(mark) {
    const { event } = this.detail;
    if (!may.operator || !event || (!mark && !event.mark)) return;
    const { note } = this.detail;
    const next = mark ? this.#following(event.event) : null;
    this.#marks.mark([event], mark, { note, label: mark === "true" ? this.detail.label : "" });
    this.detail.noteSaved(event.event);
    if (next) this.open(next, { narrow: false });
    this.#countSoon();
  }

  /** The item that follows an event, before it leaves the list; at its end the one before, if the event leaves. */
  #following(id) {
    const at = this.list.items.findIndex((item) => item.id === id);
    if (at < 0) return this.list.neighbour(1);
    const leaves = !this.#isWanted({ ...this.detail.event, mark: "x", state: "reviewed" });
    return this.list.items[at + 1] ?? (leaves ? this.list.items[at - 1] : null);
  }

  #markChosen(mark) {
    const records = [...this.list.chosen].map((id) => this.list.get(id)?.record).filter(Boolean);
    this.list.chooseAll(false);
    tell(word("events.marked_many", { count: records.length }));
    this.#marks.mark(records, mark, { note: "" });
    this.#countSoon();
  }

  /** Takes the last marks back, and goes back to their event. */
  undo() {
    if (!may.operator || !this.#marks.canUndo) return;
    const [first] = this.#marks.undo((id) => this.list.get(id)?.record ?? (this.detail.event?.event === id ? this.detail.event : null));
    tell(word("events.undone"));
    this.openById(first);
    this.#refreshSoon();
  }

  /** Saves the note with the mark that is valid. */
  saveNote() {
    const { event, note } = this.detail;
    if (!event || !may.operator) return;
    this.#marks.mark([event], event.mark, { note, label: event.marked_label, forUndo: false });
    this.detail.noteSaved(event.event);
  }

  /** Says that somebody has seen the event that is shown. */
  acknowledge() {
    const { event } = this.detail;
    if (!may.operator || !event || event.acknowledged_by) return false;
    this.#marks.acknowledge(event);
    return true;
  }

  // While an alarm rings, the key is that of the strip above, as on every page.
  #acknowledgeByKey() {
    return alarms.list.length === 0 && this.acknowledge();
  }

  #chooseShown() {
    if (may.operator && this.list.selected) this.list.choose(this.list.selected);
  }

  #escape() {
    if (this.list.chosen.size) this.list.chooseAll(false);
    else if (NARROW.matches) this.#turn("list");
  }

  #showChosen() {
    const count = this.list.chosen.size;
    this.#chosen.hidden = !count;
    if (!count || !may.operator) return;
    const button = (mark, key) => make("button", { type: "button", class: `button do-${mark || "none"}`, "data-mark": mark || "none", onclick: () => this.mark(mark) },
      word(`events.do_${mark || "none"}`), make("kbd", {}, key));
    this.#chosen.replaceChildren(make("b", { role: "status" }, word("events.chosen", { count })),
      button("true", "T"), button("false_alarm", "F"), button("unsure", "U"), button("", "⌫"),
      make("button", { type: "button", class: "button", onclick: () => this.list.chooseAll(false) }, word("events.choose_none")));
  }

  async #filtered() {
    this.#write();
    this.#countSoon();
    this.list.chooseAll(false);
    if (!(await this.list.read(this.#filters.now))) return;
    // What is shown stays, also if it is not of this list; an empty detail takes the first one.
    if (this.page.dataset.kind === "nothing" && this.list.items.length) this.#openFirst("");
    else this.list.select(this.#shown.event || this.#shown.missed);
  }

  #isWanted(event) {
    const { mark, state } = this.#filters.now;
    if (mark === "unmarked" && event.mark) return false;
    if (mark && mark !== "unmarked" && event.mark !== mark) return false;
    return !state || event.state === state;
  }

  #updated(record) {
    if (this.list.get(record.event) && !this.#isWanted(record)) this.list.remove(record.event);
    else this.list.update(record);
    this.detail.update(record);
  }

  #missedChanged(span) {
    if (isOfMissed(this.#filters.now))
      this.list.read(this.#filters.now).then((isRead) => isRead && this.#openFirst(span.taken_back_utc ? "" : span.missed));
    this.#countSoon();
  }

  #news({ event }) {
    // The record of a change has neither windows nor files: what is shown is asked for whole.
    if (event && event.event === this.detail.event?.event) this.#readShown();
    this.#refreshSoon();
  }

  async #readShown() {
    const shown = this.detail.event;
    const record = shown && (await this.#readRecord(shown.event));
    if (record) this.#updated(record);
  }

  /** The record of an event as it is now; null if it cannot be had, or was overtaken by a mark or a later answer. */
  async #readRecord(id) {
    const number = ++this.#asked;
    const markings = this.#markings;
    const record = await ask(`events/${encodeURIComponent(id)}`).catch(() => null);
    if (record && (this.#marks.isBusy || markings !== this.#markings)) {
      this.#isShownStale = true;
      this.#refreshSoon();
      return null;
    }
    if (!record || number < this.#answered) return null;
    this.#answered = number;
    return record;
  }

  // Again where marks or another list came meanwhile: what was asked for before them is not of now.
  async #refresh() {
    await pause(REFRESH_MS);
    const markings = this.#markings;
    const isLate = () => this.#marks.isBusy || markings !== this.#markings;
    if (isLate() || !(await this.list.refresh(isLate))) return void this.#refreshSoon();
    if (this.page.dataset.kind === "nothing" && this.list.items.length) this.#openFirst("");
    this.#countSoon();
    if (!this.#isShownStale) return undefined;
    this.#isShownStale = false;
    return this.#readShown();
  }

  #countSoon() {
    clearTimeout(this.#counting);
    this.#counting = setTimeout(() => this.#readCount(), COUNT_MS);
  }

  async #readCount() {
    const filters = this.#filters.now;
    const query = isOfMissed(filters) ? missedQueryOf(filters) : queryOf(filters);
    try {
      const { events, missed } = await ask("events/count", { query });
      setText(this.#count, word("events.found", { events, missed }));
    } catch {
      setText(this.#count, "");
    }
  }

  async #readChoices() {
    try {
      const choices = await ask("events/choices");
      this.#cameras = choices.cameras;
      this.#filters.offer(choices);
      this.strip.offer(choices.cameras);
    } catch (problem) {
      tell(problem.message, { isProblem: true });
    }
  }

  #cameraOf(event) {
    return this.#cameras.find(({ id, name }) => id === event.camera_id || (!event.camera_id && name === event.source));
  }
}

// What incidents are called is known before the first one is shown.
await learnNames();
new Review(document.getElementById("main")).start();
