// What an event is called: its class, the title of the question in the language in which it was asked, or the rule.
import { ask } from "./api.js";
import { live } from "./live.js";
import { percentOf, word } from "./words.js";

const titles = new Map();
let asked = null;

/** Asks for the titles, once; they are shown from then on. */
export const learnNames = () => {
  asked ??= ask("questions").then(
    ({ questions }) => questions.forEach(({ name, title }) => titles.set(name, title)),
    () => {
      asked = null;
    },
  );
  return asked;
};

/** A probability for people: in per cent where it is calibrated, and so means what it says. */
export const chanceOf = (p) => (p == null ? "–" : live.status?.is_calibrated ? percentOf(p) : `p ${p.toFixed(2)}`);

/** The class of an event, as people corrected it; empty where its question has two labels only. */
export const classOf = ({ label = "", marked_label: corrected = "" }) => corrected || label;

// A rule that is named after its question has that question's title; those that come with Vigil are named in both languages.
const ruleName = ({ rule, task }) => {
  if (!rule || rule === task) return titles.get(task) || task || "";
  const key = `console.rule_${rule.replaceAll(" ", "_")}`;
  const said = word(key);
  return said === key ? titles.get(rule) || rule : said;
};

/** The name of an incident: its class, or what the rule that found it looks for. */
export const incidentName = (event) => classOf(event) || ruleName(event) || "–";
