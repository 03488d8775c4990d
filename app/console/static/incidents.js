// What an event is called: the title of the question that was asked, in the language in which it was asked.
import { ask } from "./api.js";
import { live } from "./live.js";
import { percentOf } from "./words.js";

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

/** The name of an incident: its class, what was asked for, or the rule that found it. */
export const incidentName = (event) => classOf(event) || titles.get(event.task) || event.task || event.rule || "–";
