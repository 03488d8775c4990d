// The questions of a camera in the dialog of its rules: those that it has, and one more from a sentence or a preset.
import { field } from "./dialogs.js";
import { make } from "./dom.js";
import { word } from "./words.js";

const LONGEST_SENTENCE = 500;
const LONGEST_NAME = 60;
const FIRST_ALARMS = { question: "", label: "alarm", p_from: 0.5, holds: true };

// What the service takes; the rest is what it tells.
const formOf = ({ question, ask, name, ask_when }) => ({ question, ask, name, ask_when });

const noteOf = ({ text, calibration, ask_when: askWhen }) =>
  [
    !text && word("watch.ask_refused"),
    askWhen && word("watch.ask_follows", { question: askWhen.question || word("watch.ask_first"), p: askWhen.p_from }),
    calibration?.is_calibrated && word("watch.ask_calibrated", { n: calibration.marks }),
    calibration && !calibration.is_calibrated && word("watch.ask_uncalibrated", { n: calibration.marks, needed: calibration.needed }),
  ]
    .filter(Boolean)
    .join(" · ");

/** A text field for a sentence to ask. */
export const sentenceField = () =>
  field(word("watch.ask"), make("input", { name: "ask", maxlength: LONGEST_SENTENCE, autocomplete: "off", placeholder: word("watch.ask_example") }));

/** The questions of a camera; `presets` are those that can be chosen, `onChange` is called when one is taken away. */
export class CameraQuestions {
  #kept;
  #rows = make("ul", { class: "questions" });

  constructor(camera, presets, onChange) {
    this.#kept = [...camera.tasks];
    this.onChange = onChange;
    const options = [["", word("watch.ask_preset_none")], ...presets.map(({ name, title }) => [name, title])];
    const choice = make("select", { name: "preset" }, ...options.map(([value, text]) => make("option", { value }, text)));
    const follows = make("label", { class: "rule-name" }, make("input", { type: "checkbox", name: "follows" }), word("watch.ask_follow_up"));
    this.element = make(
      "fieldset",
      { class: "own-questions" },
      make("legend", { class: "rule-name" }, word("watch.questions")),
      make("p", { class: "dialog-hint" }, word("watch.questions_hint")),
      this.#rows,
      make("div", { class: "two" }, sentenceField(), field(word("watch.ask_preset"), choice)),
      follows,
    );
    this.#draw();
  }

  #draw() {
    this.#rows.replaceChildren(
      ...this.#kept.map((task) => {
        const name = task.title || task.ask || task.question;
        const remove = make("button", { type: "button", class: "button", "aria-label": word("watch.ask_remove", { name }) }, "×");
        remove.addEventListener("click", () => this.#remove(task));
        return make("li", {}, make("span", { class: "question-name" }, name), make("span", { class: "dialog-hint" }, noteOf(task)), remove);
      }),
    );
  }

  #remove(task) {
    this.#kept = this.#kept.filter((each) => each !== task);
    this.#draw();
    this.onChange();
  }

  /** The names of the rules of the questions that are left. */
  get ruleNames() {
    return this.#kept.map(({ rule }) => rule).filter(Boolean);
  }

  /** What is to be asked now, with what was typed: the tasks, and the name of the rule of a new one, or "". */
  asked({ ask = "", preset = "", follows }) {
    const sentence = ask.trim();
    const askWhen = follows ? FIRST_ALARMS : null;
    const short = sentence.length > LONGEST_NAME ? `${sentence.slice(0, LONGEST_NAME - 1)}…` : sentence;
    const added = [
      sentence && { question: "", ask: sentence, name: short, ask_when: askWhen },
      preset && { question: preset, ask: "", name: "", ask_when: askWhen },
    ].filter(Boolean);
    return { tasks: [...this.#kept.map(formOf), ...added], names: [...this.ruleNames, ...added.map((each) => each.name || each.question)] };
  }
}
