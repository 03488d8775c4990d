// The list: events or missed incidents, newest first, read page by page while it is scrolled. Rows are kept by id, so
// that news change what they are about and nothing else moves.
import { ask, urlOf } from "./api.js";
import { isOfMissed, missedQueryOf, queryOf } from "./event_address.js";
import { make, setText } from "./dom.js";
import { duration, happened, lasting, shortTime } from "./event_times.js";
import { classOf, incidentName } from "./incidents.js";
import { word } from "./words.js";

const PAGE = 50;
const MARGIN_PX = 600;

/** One item of the list: an event, or a missed incident. */
const itemOf = (record) => ({ id: record.event ?? record.missed, isMissed: record.event === undefined, record });

export class EventList extends EventTarget {
  items = [];
  selected = "";
  chosen = new Set();
  #rows = new Map();
  #filters = {};
  #next = null;
  #asked = null;
  #isReading = false;
  #place = 0;
  #lastChosen = "";
  #box = make("div", { class: "event-rows", role: "list", id: "event-rows", "aria-label": word("events.list") });
  #end = make("div", { class: "event-end", role: "status" });
  #newer = make("button", { type: "button", class: "event-newer", hidden: true, onclick: () => this.#toTop() });

  constructor(parent) {
    super();
    this.scroller = make("div", { class: "event-scroller", id: "event-scroller" }, this.#newer, this.#box, this.#end);
    parent.append(this.scroller);
    this.#box.addEventListener("click", (event) => this.#press(event));
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#readOn(), {
      rootMargin: `${MARGIN_PX}px`, scrollMargin: `${MARGIN_PX}px`,
    }).observe(this.#end);
  }

  /** Reads the list anew under these filters; true once its first page is there, false if a later call replaced this. */
  async read(filters) {
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.#filters = filters;
    this.#isReading = true;
    this.scroller.classList.add("is-reading");
    if (!this.items.length) setText(this.#end, word("events.loading"));
    try {
      const page = await this.#page("", signal);
      if (signal.aborted) return false;
      this.#isReading = false;
      this.#place = 0;
      this.scroller.scrollTop = 0;
      this.#next = page.next;
      this.#show(page.items);
    } catch (problem) {
      if (signal.aborted) return false;
      this.#isReading = false;
      this.#next = null;
      this.#show([]);
      this.#fail(problem);
    }
    this.scroller.classList.remove("is-reading");
    return true;
  }

  /**
   * Reads the newest page again and puts in what is new, while what is looked at stays where it is. `isLate()` tells
   * whether the answer was overtaken by something that was done here; false is returned if nothing was put in.
   */
  async refresh(isLate = () => false) {
    if (this.#isReading || !this.#asked) return false;
    const { signal } = this.#asked;
    let page = null;
    try {
      page = await this.#page("", signal);
    } catch {
      return true; // The next news tries again; the strip of alarms says that the server is away.
    }
    if (signal.aborted || this.#isReading || isLate()) return false;
    const fresh = new Set(page.items.map((item) => item.id));
    const last = page.items.at(-1)?.id;
    const at = page.next ? this.items.findIndex((item) => item.id === last) : this.items.length - 1;
    const known = new Set(this.items.map((item) => item.id));
    const count = page.items.filter((item) => !known.has(item.id)).length;
    const older = this.items.filter((item, number) => number > at && !fresh.has(item.id));
    if (at < 0 && this.items.length) this.#next = page.next;
    this.#keepPlace(() => this.#show(at < 0 && this.items.length ? page.items : [...page.items, ...older]));
    if (count && this.scroller.scrollTop > 0) this.#sayNewer(count);
    return true;
  }

  /** The record of an item, or undefined. */
  get(id) {
    return this.items.find((item) => item.id === id);
  }

  /** Marks the row of an event as the one that is shown, and brings it into sight. */
  select(id) {
    this.selected = id;
    const at = this.items.findIndex((item) => item.id === id);
    if (at >= 0) this.#place = at;
    for (const [key, row] of this.#rows) row.ring(key === id);
    const row = this.#rows.get(id)?.element;
    row?.scrollIntoView({ block: "nearest" });
    if (row && this.#box.contains(document.activeElement)) row.querySelector(".event-open").focus({ preventScroll: true });
    if (at >= this.items.length - 5) this.#readOn();
  }

  /** The item so many rows after the one that is shown; one that has left the list stands where it was. */
  neighbour(by) {
    const at = this.items.findIndex((item) => item.id === this.selected);
    const next = at < 0 ? (by > 0 ? this.#place : this.#place - 1) : at + by;
    return this.items[Math.min(Math.max(next, 0), this.items.length - 1)];
  }

  /** Shows a record anew, if it is in the list. */
  update(record) {
    const at = this.items.findIndex((item) => item.id === (record.event ?? record.missed));
    if (at < 0) return;
    this.items[at] = itemOf(record);
    this.#rows.get(this.items[at].id)?.show(this.items[at]);
  }

  /** Takes an item out; its neighbour stands in its place. */
  remove(id) {
    const at = this.items.findIndex((item) => item.id === id);
    if (at < 0) return;
    if (id === this.selected) this.#place = at;
    this.#show(this.items.filter((item) => item.id !== id));
    this.#readOn();
  }

  /** Chooses an item for marks of many, or no longer. */
  choose(id, isChosen = !this.chosen.has(id)) {
    if (!this.get(id) || this.get(id).isMissed) return;
    if (isChosen) this.chosen.add(id);
    else this.chosen.delete(id);
    this.#lastChosen = id;
    this.#rows.get(id)?.choose(isChosen);
    this.dispatchEvent(new Event("choose"));
  }

  /** Chooses all items that are in the list, or none. */
  chooseAll(isChosen) {
    for (const { id } of this.items) this.choose(id, isChosen);
    if (!isChosen) this.chosen.clear();
    this.dispatchEvent(new Event("choose"));
  }

  #press(event) {
    const row = event.target.closest(".event-row");
    if (!row) return;
    const { id } = row.dataset;
    if (event.target.closest(".event-pick")) {
      if (event.shiftKey) this.#chooseTo(id);
      else this.choose(id, row.querySelector("input").checked);
    } else if (event.shiftKey) this.#chooseTo(id);
    else if (event.ctrlKey || event.metaKey) this.choose(id);
    else this.dispatchEvent(new CustomEvent("open", { detail: id }));
  }

  #chooseTo(id) {
    const at = this.items.findIndex((item) => item.id === id);
    const from = this.items.findIndex((item) => item.id === (this.#lastChosen || this.selected || id));
    const [first, last] = [Math.min(at, from < 0 ? at : from), Math.max(at, from)];
    for (const item of this.items.slice(first, last + 1)) this.choose(item.id, true);
  }

  async #page(cursor, signal) {
    const ofMissed = isOfMissed(this.#filters);
    const filters = ofMissed ? missedQueryOf(this.#filters) : queryOf(this.#filters);
    const page = await ask(ofMissed ? "missed" : "events", { query: { ...filters, limit: PAGE, cursor }, signal });
    return { items: (ofMissed ? page.missed : page.events).map(itemOf), next: page.next };
  }

  async #readOn() {
    if (this.#isReading || !this.#next) return;
    this.#isReading = true;
    setText(this.#end, word("events.loading"));
    const { signal } = this.#asked;
    try {
      const page = await this.#page(this.#next, signal);
      if (signal.aborted) return;
      this.#next = page.next;
      const known = new Set(this.items.map((item) => item.id));
      this.#isReading = false;
      this.#show([...this.items, ...page.items.filter((item) => !known.has(item.id))]);
    } catch (problem) {
      if (signal.aborted) return;
      this.#isReading = false;
      this.#fail(problem, () => this.#readOn());
    }
  }

  #fail(problem, again = () => this.read(this.#filters)) {
    const retry = make("button", { type: "button", class: "button", onclick: again }, word("events.again"));
    this.#end.replaceChildren(make("span", {}, `${word("events.not_listed")} ${problem.message}`), retry);
  }

  #show(items) {
    this.items = items;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
      this.chosen.delete(id);
    }
    let before = null;
    for (const item of items) {
      const row = this.#rows.get(item.id) ?? this.#make(item);
      row.show(item);
      const place = before ? before.nextSibling : this.#box.firstChild;
      if (place !== row.element) this.#box.insertBefore(row.element, place);
      before = row.element;
    }
    this.#sayEnd();
    this.dispatchEvent(new Event("choose"));
    this.dispatchEvent(new Event("change"));
  }

  #make(item) {
    const row = new Row(item.id);
    row.ring(item.id === this.selected);
    this.#rows.set(item.id, row);
    return row;
  }

  #sayEnd() {
    if (this.items.length) return setText(this.#end, this.#next ? word("events.loading") : "");
    if (isOfMissed(this.#filters)) return setText(this.#end, word("events.no_missed"));
    const isFiltered = Object.keys(this.#filters).length > 0;
    return setText(this.#end, word(isFiltered ? "events.nothing_found" : "events.nothing"));
  }

  // What is looked at stays where it is on the screen, whatever comes above it.
  #keepPlace(act) {
    const anchor = this.#rows.get(this.selected)?.element ?? (this.scroller.scrollTop > 0 ? this.#firstSeen() : null);
    const before = anchor?.offsetTop;
    act();
    if (anchor?.isConnected) this.#scrollBy(anchor.offsetTop - before);
  }

  // A list that is shorter than its box is given room below, so that it can be scrolled at all.
  #scrollBy(byPx) {
    const { scroller } = this;
    const wanted = scroller.scrollTop + byPx;
    const least = scroller.clientHeight + wanted - this.#end.offsetTop;
    if (byPx > 0 && this.#end.offsetHeight < least) this.#end.style.minHeight = `${least}px`;
    scroller.scrollTop = wanted;
  }

  #firstSeen() {
    const top = this.scroller.scrollTop;
    return [...this.#rows.values()].find(({ element }) => element.offsetTop + element.offsetHeight > top)?.element ?? null;
  }

  #sayNewer(count) {
    const total = count + Number(this.#newer.dataset.count || 0);
    this.#newer.dataset.count = total;
    setText(this.#newer, word("events.newer", { count: total }));
    this.#newer.hidden = false;
  }

  #toTop() {
    this.scroller.scrollTo({ top: 0, behavior: "smooth" });
  }

  #scrolled() {
    if (this.scroller.scrollTop > 4) return;
    this.#end.style.minHeight = "";
    this.#newer.hidden = true;
    delete this.#newer.dataset.count;
  }
}

class Row {
  #told = "";
  #image = null;
  #input = make("input", { type: "checkbox" });
  #lines = make("span", { class: "event-lines" });
  #picture = make("span", { class: "event-thumb" });
  #open = make("button", { type: "button", class: "event-open" }, this.#picture, this.#lines);

  constructor(id) {
    this.element = make("div", { class: "event-row", role: "listitem", "data-id": id },
      make("label", { class: "event-pick" }, this.#input), this.#open);
  }

  ring(isShown) {
    if (isShown) this.#open.setAttribute("aria-current", "true");
    else this.#open.removeAttribute("aria-current");
    this.element.classList.toggle("is-shown", isShown);
  }

  choose(isChosen) {
    this.#input.checked = isChosen;
    this.element.classList.toggle("is-chosen", isChosen);
  }

  show(item) {
    const told = JSON.stringify(item.record);
    if (told === this.#told) return;
    this.#told = told;
    if (item.isMissed) this.#showMissed(item.record);
    else this.#showEvent(item.record);
  }

  #showEvent(event) {
    const isOver = event.state === "acknowledged" || event.state === "reviewed";
    this.element.className = `event-row tier-${event.tier} state-${event.state}${isOver ? " is-over" : ""}`
      + `${this.#open.hasAttribute("aria-current") ? " is-shown" : ""}${this.#input.checked ? " is-chosen" : ""}`;
    this.#input.setAttribute("aria-label", word("events.choose", { camera: event.source, when: happened(event) }));
    this.#lines.replaceChildren(
      make("span", { class: "event-first" },
        make("b", { class: "event-p" }, event.peak.toFixed(2)),
        make("b", { class: "event-camera" }, event.source),
        event.end_s == null ? make("span", { class: "badge is-open" }, word("events.open")) : null,
        event.end_s == null && !isOver ? null : badgeOf(event)),
      make("span", { class: "event-when" }, `${happened(event)} · ${duration(event)}`),
      make("span", { class: "event-words" }, [classOf(event), event.text].filter(Boolean).join(" · ") || incidentName(event)));
    const isPictured = event.media.some((url) => /\/(snapshot|frames)$/.test(url));
    this.#showPicture(isPictured ? urlOf(`events/${event.event}/thumbnail`, { width: 192, of: event.peak_s }).href : "");
  }

  #showMissed(span) {
    this.element.className = `event-row is-missed${this.#open.hasAttribute("aria-current") ? " is-shown" : ""}`;
    this.#input.parentElement.hidden = true;
    const seconds = (new Date(span.to_utc) - new Date(span.from_utc)) / 1000;
    this.#lines.replaceChildren(
      make("span", { class: "event-first" }, make("b", { class: "event-camera" }, span.source),
        make("span", { class: "badge mark-missed" }, word("events.mark_missed"))),
      make("span", { class: "event-when" }, `${shortTime(span.from_utc)} · ${lasting(seconds)}`),
      make("span", { class: "event-words" }, span.note || span.marked_by));
    this.#showPicture("");
  }

  #showPicture(url) {
    if (!url) {
      this.#image?.remove();
      this.#image = null;
    } else if (this.#image?.src !== url) {
      const image = make("img", { alt: "", loading: "lazy", decoding: "async", src: url });
      image.addEventListener("error", () => image.remove());
      this.#picture.replaceChildren(image);
      this.#image = image;
    }
  }
}

/** The valid mark of an event as a badge, or what it asks for. */
export const badgeOf = (event) => {
  if (event.mark) return make("span", { class: `badge mark-${event.mark}` }, word(`events.mark_${event.mark}`));
  if (event.state === "acknowledged") return make("span", { class: "badge is-seen" }, word("events.state_acknowledged"));
  return make("span", { class: `badge is-${event.state}` }, word(`events.state_${event.state}`));
};
