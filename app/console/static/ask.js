// Questions to the past: what was understood and found is shown at once, the model's answer as it arrives, and last each
// sentence with the records that it rests on. What records say goes in as text, as everything does.
import { changeByLines, root } from "./api.js";
import { make, setText, tell } from "./dom.js";
import { fullTime } from "./event_times.js";
import { addressQuery, isReady } from "./shell.js";
import { shortName, word } from "./words.js";

const SPANS = ["", "24h", "7d", "30d"];
const language = document.body.dataset.language;

function howSearched({ meaning, unindexed }) {
  if (meaning === "not_installed") return word("ask.by_words_not_installed");
  if (meaning === "off") return word("ask.by_words");
  return unindexed ? word("ask.by_meaning_partly", { count: unindexed }) : word("ask.by_meaning");
}

class AskPage {
  #asking = null;
  #found = null;

  constructor(main) {
    this.text = make("textarea", { id: "ask-question", rows: 2, maxlength: 2000, required: true, placeholder: word("ask.hint") });
    this.since = make("select", { id: "ask-since" }, ...SPANS.map((span) => make("option", { value: span }, word(span ? `ask.since_${span}` : "ask.since_question"))));
    this.button = make("button", { class: "button is-main", id: "ask-send" }, word("ask.ask"));
    this.form = make("form", { class: "ask-form", id: "ask-form" },
      make("label", { class: "field" }, word("ask.question"), this.text),
      make("label", { class: "field is-short" }, word("ask.since"), this.since), this.button);
    this.state = make("p", { class: "ask-quiet", id: "ask-state", role: "status" });
    this.searched = make("p", { class: "ask-quiet", id: "ask-searched" });
    this.answer = make("div", { class: "ask-answer", id: "ask-answer" });
    this.notes = make("div", { class: "ask-quiet", id: "ask-notes" });
    this.heading = make("h2", { class: "visually-hidden" }, word("ask.records"));
    this.records = make("ol", { class: "ask-records", id: "ask-records" });
    main.replaceChildren(make("section", { class: "ask" }, make("h1", {}, word("ask.title")), make("p", { class: "ask-quiet" }, word("ask.about")),
      this.form, this.state, this.searched, this.answer, this.notes, this.heading, this.records));
    this.form.addEventListener("submit", (submitted) => this.#submitted(submitted));
    this.text.addEventListener("keydown", (pressed) => {
      if (pressed.key !== "Enter" || pressed.shiftKey || pressed.isComposing) return;
      pressed.preventDefault();
      this.form.requestSubmit();
    });
  }

  /** Shows the question of the address, without asking it: a link asks nothing. */
  start() {
    this.text.value = addressQuery().get("q") || "";
    this.text.focus();
    isReady();
  }

  #submitted(submitted) {
    submitted.preventDefault();
    if (this.#asking) this.#asking.abort();
    else if (this.text.value.trim()) this.#ask();
  }

  async #ask() {
    const asking = new AbortController();
    this.#asking = asking;
    this.#clear();
    setText(this.button, word("ask.stop"));
    setText(this.state, word("ask.searching"));
    const body = { question: this.text.value.trim(), since: this.since.value };
    let isWhole = false;
    try {
      await changeByLines("ask/stream", body, { signal: asking.signal, onLine: (line) => { isWhole = this.#show(line) || isWhole; } });
      if (!isWhole) tell(word("ask.broken_off"), { isProblem: true });
    } catch (problem) {
      if (!asking.signal.aborted) tell(word("ask.failed", { why: problem.message }), { isProblem: true });
    } finally {
      this.#asking = null;
      setText(this.button, word("ask.ask"));
      setText(this.state, "");
    }
  }

  #clear() {
    for (const each of [this.answer, this.notes, this.records, this.searched]) each.replaceChildren();
    this.answer.classList.remove("is-arriving");
  }

  // Whether this line ends the answer.
  #show(line) {
    if (line.found) this.#showFound(line.found);
    else if (line.piece) this.#showPiece(line.piece);
    else if (line.answer) this.#showAnswer(line.answer);
    else if (line.problem) tell(word("ask.failed", { why: line.problem }), { isProblem: true });
    return Boolean(line.answer || line.problem);
  }

  #showFound(found) {
    this.#found = found;
    const { since_utc: since, until_utc: until } = found;
    const when = since || until
      ? word("ask.from_to", { since: since ? fullTime(since) : word("ask.the_beginning"), until: until ? fullTime(until) : word("ask.now") })
      : word("ask.all_time");
    const where = found.cameras.map(({ name }) => shortName(name)).join(", ") || word("ask.all_cameras");
    const { events, observations } = found;
    const searched = word("ask.searched", { words: found.words || word("ask.everything"), when, where, events, observations });
    setText(this.searched, found.words ? `${searched} · ${howSearched(found)}` : searched);
    this.#showRecords([]);
    setText(this.state, found.records.length ? word("ask.answering") : "");
  }

  #showPiece(piece) {
    this.answer.classList.add("is-arriving");
    this.answer.append(piece);
  }

  #showAnswer(answer) {
    this.answer.classList.remove("is-arriving");
    this.answer.replaceChildren(...this.#sentences(answer));
    this.#showRecords(answer.sentences.flatMap(({ refs }) => refs));
    const notes = [];
    if (answer.outcome === "records_only") notes.push(word("ask.records_only", { why: answer.trouble }));
    if (answer.unknown_refs.length) notes.push(word("ask.unknown", { refs: answer.unknown_refs.join(", ") }));
    if (answer.left_out) notes.push(word("ask.left_out", { count: answer.left_out }));
    this.notes.replaceChildren(...notes.map((note) => make("p", {}, note)));
  }

  #sentences(answer) {
    const { events, observations, watches } = answer;
    if (answer.outcome === "nothing_recorded") {
      const kind = events || observations ? "ask.nothing_matches" : watches ? "ask.nothing" : "ask.nothing_unwatched";
      return [make("p", { class: "ask-nothing", id: "ask-nothing" }, word(kind, { events, observations }))];
    }
    return answer.sentences.map(({ text, refs }) => make("p", { class: refs.length ? "ask-sentence" : "ask-sentence is-unsupported" }, text,
      ...refs.map((ref) => this.#refLink(ref)), refs.length ? null : make("span", { class: "ask-unsupported" }, word("ask.unsupported"))));
  }

  #refLink(ref) {
    const show = (pressed) => {
      pressed.preventDefault();
      for (const each of this.records.children) each.classList.toggle("is-shown", each.dataset.ref === ref);
      this.records.querySelector(".is-shown")?.scrollIntoView({ block: "center" });
    };
    return make("a", { class: "ask-ref", href: `#record-${ref}`, onclick: show }, ref);
  }

  #showRecords(cited) {
    this.records.replaceChildren(...this.#found.records.map((record) => this.#record(record, cited.includes(record.ref))));
  }

  #record(record, isCited) {
    const camera = record.place ? word("console.where", { name: shortName(record.camera), place: record.place }) : shortName(record.camera);
    const isEvent = record.kind === "event";
    const kind = isEvent ? `${record.rule} · ${word(`console.tier_${record.tier}`)}${record.mark ? ` · ${word(`ask.mark_${record.mark}`)}` : ""}` : word("ask.observation");
    const link = isEvent && make("a", { href: new URL(`${language}/events/${encodeURIComponent(record.id)}`, root).href }, word("ask.open_event"));
    return make("li", { class: `ask-record${isEvent ? ` tier-${record.tier}` : ""}${isCited ? " is-cited" : ""}`, id: `record-${record.ref}`, "data-ref": record.ref, "data-id": record.id },
      make("b", {}, record.ref), make("span", {}, `${fullTime(record.happened_utc)} · ${camera} · ${kind}`), link || make("span", {}),
      make("span", { class: "ask-text" }, record.text || word("ask.not_described")));
  }
}

new AskPage(document.getElementById("main")).start();
