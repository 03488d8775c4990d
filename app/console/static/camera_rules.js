// The dialog in which a camera gets rules, thresholds and questions of its own, and times at which its alarms count.
import { ask, change } from "./api.js";
import { CameraQuestions } from "./camera_questions.js";
import { field, openForm } from "./dialogs.js";
import { make } from "./dom.js";
import { word } from "./words.js";

const TIERS = ["low", "medium", "high"];
const SHARES = ["keep_from", "p_from"];
const WHOLE = ["k", "n", "times"];
const OF_KIND = {
  hysteresis: ["k", "n", "keep_from", "quiet_s"],
  duration: ["p_from", "for_s", "gap_s"],
  sequence: ["within_s", "quiet_s"],
  count: ["p_from", "times", "within_s", "gap_s"],
  observation: ["times"],
  camera: ["for_s", "gap_s"],
};

const numberIn = (input) => (input.value.trim() === "" ? null : Number(input.value));

/** One rule: whether it applies, and thresholds; an empty field is what the rule has. That of a question always applies. */
class RuleFields {
  #inputs = new Map();
  #tiers = new Map();

  constructor(rule, camera) {
    this.rule = rule;
    this.isOfQuestion = camera.tasks.some((task) => task.rule === rule.name);
    const own = camera.thresholds.find((each) => each.rule === rule.name) ?? {};
    const isChosen = !camera.rules.length || camera.rules.includes(rule.name);
    this.box = make("input", { type: "checkbox", checked: isChosen });
    // What is wrong with a camera is shown or not: it has one tier, and no thresholds of it.
    for (const name of rule.type === "camera" ? [] : TIERS) this.#tiers.set(name, this.#input(name, own.tiers?.[name], rule.tiers[name]));
    // What several terms come to together has no probability of its own to begin from.
    const names = OF_KIND[rule.type].filter((name) => name !== "p_from" || !rule.all?.length);
    for (const name of names) this.#inputs.set(name, this.#input(name, own[name], rule[name]));
    const fields = [...this.#tiers, ...this.#inputs].map(([name, input]) => field(word(`watch.rule_${name}`), input));
    const title = make("label", { class: "rule-name" }, !this.isOfQuestion && this.box, rule.name || word("watch.rule_unnamed"));
    this.element = make("fieldset", { class: "rule" }, title, make("div", { class: "rule-fields" }, ...fields));
  }

  #input(name, value, usual) {
    const isShare = TIERS.includes(name) || SHARES.includes(name);
    const limits = isShare ? { min: 0, max: 1 } : { min: WHOLE.includes(name) ? 1 : 0 };
    const step = WHOLE.includes(name) ? 1 : "any";
    return make("input", { type: "number", inputmode: "decimal", step, value, placeholder: usual, "data-key": name, ...limits });
  }

  get isChosen() {
    return this.box.checked;
  }

  /** The thresholds that differ from the rule's, or null. */
  get thresholds() {
    const told = {};
    for (const [name, input] of this.#inputs) if (numberIn(input) !== null) told[name] = numberIn(input);
    const tiers = {};
    for (const [name, input] of this.#tiers) if (numberIn(input) !== null) tiers[name] = numberIn(input);
    if (Object.keys(tiers).length) told.tiers = tiers;
    return Object.keys(told).length ? { rule: this.rule.name, ...told } : null;
  }
}

const asked = (rules, questions, { schedule, timezone, ...typed }) => {
  const { tasks, names } = questions.asked(typed);
  const ofWatch = rules.filter(({ isOfQuestion }) => !isOfQuestion);
  const chosen = ofWatch.filter(({ isChosen }) => isChosen);
  // Nothing chosen would mean all rules to the service: say so instead of doing the opposite of what is shown.
  if (!chosen.length && !names.length) throw new Error(word("watch.rules_none"));
  const isHeld = ({ isOfQuestion, rule }) => !isOfQuestion || questions.ruleNames.includes(rule.name);
  const named = chosen.length ? chosen.map(({ rule }) => rule.name) : names.slice(0, 1);
  return {
    rules: chosen.length === ofWatch.length ? [] : named,
    tasks,
    thresholds: rules.filter(isHeld).map(({ thresholds }) => thresholds).filter(Boolean),
    schedule: schedule.trim(),
    timezone: schedule.trim() ? timezone.trim() : "",
  };
};

const times = (camera) => {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  const schedule = make("input", { name: "schedule", value: camera.schedule, maxlength: 500, autocomplete: "off", spellcheck: "false", placeholder: "mon-fri 20:00-06:00, sat sun 00:00-24:00" });
  const timezone = make("input", { name: "timezone", value: camera.timezone || (camera.schedule ? "" : here), maxlength: 64, autocomplete: "off", spellcheck: "false", placeholder: word("watch.timezone_server") });
  return [
    make("div", { class: "two" }, field(word("watch.schedule"), schedule), field(word("watch.timezone"), timezone)),
    make("p", { class: "dialog-hint" }, word("watch.schedule_hint")),
  ];
};

/** The dialog of a camera's rules; `done` gets the camera as it is then. */
export const openRules = async ({ id }, done) => {
  // Asked anew, as marks may have come in since the page was told of the camera.
  const asking = [ask(`cameras/${encodeURIComponent(id)}`), ask("rules", { query: { camera: id } }), ask("questions")];
  const [camera, told, known] = await Promise.all(asking);
  const rules = told.rules.map((rule) => new RuleFields(rule, camera));
  const names = told.rules.map(({ name }) => name);
  const presets = known.questions.filter(({ name, labels }) => labels.length && !names.includes(name));
  const questions = new CameraQuestions(camera, presets, () => {
    for (const { isOfQuestion, rule, element } of rules) element.hidden = isOfQuestion && !questions.ruleNames.includes(rule.name);
  });
  const hint = make("p", { class: "dialog-hint" }, word("watch.rules_hint"));
  const fields = [hint, ...rules.map(({ element }) => element), questions.element, ...times(camera)];
  const save = async (typed) => done(await change("PATCH", `cameras/${encodeURIComponent(camera.id)}`, asked(rules, questions, typed)));
  const dialog = openForm(word("watch.rules_of", { name: camera.name }), fields, { save, label: word("watch.save") });
  dialog.classList.add("is-wide");
};
