// The filters of the list: what is typed and chosen, told as "change" with only those that are set.
import { make, setText } from "./dom.js";
import { localInput, utcOf } from "./event_times.js";
import { word } from "./words.js";

const TYPING_MS = 250;
const PRESETS = ["", "1h", "24h", "7d"];
const CHOICES = {
  tier: ["low", "medium", "high"],
  state: ["alarm", "to_review", "acknowledged", "reviewed"],
  mark: ["unmarked", "true", "false_alarm", "unsure", "missed"],
};

const option = (value, text) => make("option", { value }, text);

export class EventFilters extends EventTarget {
  #filters = {};
  #timer = 0;
  #selects = new Map();
  #presets = make("div", { class: "segments", role: "group", id: "filter-presets", "aria-label": word("events.time") });
  #own = make("details", { class: "own-range", id: "filter-own" });
  #since = make("input", { type: "datetime-local", step: "1", id: "filter-since" });
  #until = make("input", { type: "datetime-local", step: "1", id: "filter-until" });
  #clear = make("button", { type: "button", class: "button", id: "filter-clear", hidden: true, onclick: () => this.#become({}) }, word("events.clear"));

  constructor() {
    super();
    this.text = make("input", { type: "search", class: "input", id: "filter-text", maxlength: "200", "aria-label": word("events.search"), placeholder: word("events.search_hint"), autocomplete: "off" });
    this.text.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#set("text", this.text.value.trim()), TYPING_MS);
    });
    this.text.addEventListener("keydown", (event) => this.#clearText(event));
    this.element = make("form", { class: "filters", id: "filters", role: "search", "aria-label": word("events.filters") },
      this.text, this.#presets, this.#own, ...this.#lists(), this.#clear);
    this.element.addEventListener("submit", (event) => event.preventDefault());
    this.#makeTimes();
  }

  /** The filters that are set, by name. */
  get now() {
    return { ...this.#filters };
  }

  // With what was typed a moment ago and is not told yet.
  get #typed() {
    return { ...this.#filters, text: this.text.value.trim() };
  }

  /** Shows filters without telling of a change. */
  show(filters) {
    this.#filters = { ...filters };
    if (document.activeElement !== this.text) this.text.value = filters.text ?? "";
    for (const [name, select] of this.#selects) this.#pick(select, filters[name] ?? "");
    const since = filters.since ?? "";
    const isPreset = PRESETS.includes(since) && !filters.until;
    for (const button of this.#presets.children) button.setAttribute("aria-pressed", String(isPreset && button.dataset.since === since));
    this.#own.classList.toggle("is-set", !isPreset);
    this.#since.value = isPreset ? "" : localInput(since);
    this.#until.value = localInput(filters.until ?? "");
    const count = Object.keys(filters).length;
    this.#clear.hidden = count === 0;
  }

  /** Offers the cameras, places, rules and classes that events have; without classes there is nothing to choose. */
  offer({ cameras, places, rules, labels }) {
    const names = cameras.map(({ id, name, place }) => [id, place ? `${name} · ${place}` : name]);
    this.#offer("camera", names);
    this.#offer("place", places.map((each) => [each, each]));
    this.#offer("rule", rules.map((each) => [each, each]));
    this.#offer("label", labels.map((each) => [each, each]));
    this.#selects.get("label").hidden = !labels.length && !this.#filters.label;
  }

  // The first Escape clears what is typed, the next one leaves the field.
  #clearText(event) {
    if (event.key !== "Escape" || !this.text.value) return;
    event.preventDefault();
    event.stopPropagation();
    this.text.value = "";
    clearTimeout(this.#timer);
    this.#set("text", "");
  }

  #offer(name, pairs) {
    const select = this.#selects.get(name);
    select.replaceChildren(option("", word(`events.all_${name}`)), ...pairs.map(([value, text]) => option(value, text)));
    this.#pick(select, this.#filters[name] ?? "");
  }

  // An address may name what is no choice (any more): it is shown as it is, and finds what it finds.
  #pick(select, value) {
    if (value && ![...select.options].some((each) => each.value === value)) select.append(option(value, value));
    select.value = value;
    select.classList.toggle("is-set", Boolean(value));
  }

  #lists() {
    return ["camera", "place", "tier", "state", "mark", "rule", "label"].map((name) => {
      const values = (CHOICES[name] ?? []).map((value) => option(value, word(`events.${name === "tier" ? "from" : name}_${value}`)));
      const select = make("select", { id: `filter-${name}`, "aria-label": word(`events.${name}`) }, option("", word(`events.all_${name}`)), ...values);
      select.addEventListener("change", () => this.#set(name, select.value));
      this.#selects.set(name, select);
      return select;
    });
  }

  #makeTimes() {
    for (const since of PRESETS) {
      const text = word(since ? `events.since_${since}` : "events.since_ever");
      this.#presets.append(make("button", { type: "button", class: "segment", "data-since": since, "aria-pressed": "false",
        onclick: () => this.#become({ ...this.#typed, since, until: "" }) }, text));
    }
    const apply = make("button", { type: "button", class: "button is-main", onclick: () => this.#takeOwn() }, word("events.apply"));
    const summary = make("summary", { class: "segment" });
    setText(summary, word("events.own_range"));
    this.#own.append(summary, make("div", { class: "own-fields" },
      make("label", { class: "field" }, word("events.since"), this.#since),
      make("label", { class: "field" }, word("events.until"), this.#until), apply));
  }

  #takeOwn() {
    this.#own.open = false;
    this.#become({ ...this.#typed, since: utcOf(this.#since.value), until: utcOf(this.#until.value) });
  }

  #set(name, value) {
    if ((this.#filters[name] ?? "") !== value) this.#become({ ...this.#typed, [name]: value });
  }

  #become(filters) {
    clearTimeout(this.#timer);
    const set = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
    if (!set.text) this.text.value = "";
    this.show(set);
    this.dispatchEvent(new Event("change"));
  }
}
