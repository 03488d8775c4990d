// Beside an event: why it alarmed, who was told, and everything that people did about it.
import { make, setText } from "./dom.js";
import { duration, fullTime, happened, shortTime, within } from "./event_times.js";
import { classOf } from "./incidents.js";
import { hasWord, word } from "./words.js";

const CLOSED = { quiet: "quiet", "the schedule ended": "schedule", "the camera was paused": "paused", paused: "paused",
  removed: "removed", stopped: "stopped", "the watcher stopped": "watcher_stopped", "the source ended": "source_ended",
  "lost sight": "lost_sight", "split after max_event_s": "too_long" };

/** Why an event ended, in the language of the page where the reason is one that is known. */
export const whyClosed = (because) => (because in CLOSED ? word(`events.closed_${CLOSED[because]}`) : because);

const pair = (name, value) => (value ? make("div", {}, make("dt", {}, name), make("dd", {}, value)) : null);

/** The facts of an event as a list of pairs. */
export const factsOf = (event, camera) => {
  const after = event.announced_s == null ? "" : word("events.seconds", { seconds: (event.announced_s - event.onset_s).toFixed(1) });
  return [
    pair(word("events.when"), happened(event, { full: true })),
    pair(word("events.lasts"), duration(event)),
    pair(word("events.alarm_after"), after),
    pair(word("events.camera"), camera?.place ? `${event.source} · ${camera.place}` : event.source),
    pair(word("events.task"), event.task),
    pair(word("events.label"), event.marked_label && event.marked_label !== event.label
      ? word("events.label_corrected", { label: event.marked_label, said: event.label || "–" }) : classOf(event)),
    pair(word("events.rule"), event.rule === event.task ? "" : event.rule),
    pair(word("events.closed"), whyClosed(event.closed_because)),
    pair(word("events.id"), event.event),
  ].filter(Boolean);
};

const p2 = (p) => p.toFixed(2);

const WHY = {
  hysteresis: "events.why_incident", duration: "events.why_lasting",
  sequence: "events.why_sequence", count: "events.why_count", observation: "events.why_observation",
  camera: "events.why_camera",
};

const ruleLine = (rule) => {
  if (!rule) return word("events.why_no_rule");
  const terms = (rule.terms ?? []).map(({ label, holds }) => (holds ? label : word("events.term_not", { label })));
  if (rule.type === "camera") return word(WHY.camera, { ...rule, fault: word(`events.fault_${rule.fault}`) });
  const label = rule.type === "observation" ? rule.label : terms.join(word(rule.type === "sequence" ? "events.terms_then" : "events.terms_and"));
  return word(WHY[rule.type], { ...rule, label, from: p2(rule.opens_from) });
};

const votesLine = (why) => {
  const voters = why.windows.filter((window) => window.voted);
  if (!voters.length) return "";
  const told = voters.slice(0, 6).map((window) => p2(window.p_alarm ?? 0)).join(" · ");
  return word("events.why_votes", { count: voters.length, told: voters.length > 6 ? `${told} …` : told });
};

/** Why an event alarmed, in sentences. */
export const whyLines = (event, why) => {
  const { low, medium, high } = why.tiers;
  const after = event.announced_s == null ? "" : word("events.why_after", { seconds: (event.announced_s - event.onset_s).toFixed(1) });
  const calibration = why.calibration
    ? word("events.why_calibrated", { t: p2(why.calibration.temperature), b: p2(why.calibration.bias), n: why.calibration.clips })
    : word("events.why_not_calibrated");
  // Of the camera itself the pixels tell: there is no model, and no probability that could be calibrated.
  if (why.rule?.type === "camera") return [ruleLine(why.rule), after].filter(Boolean);
  return [
    ruleLine(why.rule), votesLine(why),
    word("events.why_peak", { p: event.peak.toFixed(3), when: event.peak_s == null ? "–" : within(event, event.peak_s), tier: word(`events.tier_${event.tier}`) }),
    after, word("events.why_tiers", { low: p2(low), medium: p2(medium), high: p2(high) }), calibration,
    word("events.why_model", { model: event.model || "–" }),
  ].filter(Boolean);
};

const STATES = { delivered: "✓", waiting: "…", dead: "✕", skipped: "–" };

/** Who was told of an event: a line for each message. */
export const toldLines = ({ sinks, deliveries }) => {
  const lines = deliveries.map((delivery) => {
    const state = word(`events.told_${delivery.state}`);
    const tries = delivery.attempts.length > 1 ? ` · ${word("events.tries", { count: delivery.attempts.length })}` : "";
    const when = shortTime(delivery.done_utc ?? delivery.created_utc);
    const kind = hasWord(`events.kind_${delivery.kind}`) ? word(`events.kind_${delivery.kind}`) : delivery.kind;
    const failed = delivery.attempts.filter((attempt) => attempt.outcome === "failed").at(-1);
    const detail = delivery.detail || (delivery.state === "delivered" ? "" : failed?.detail) || "";
    return make("li", { class: `told is-${delivery.state}` },
      make("b", {}, `${STATES[delivery.state]} ${delivery.sink}`), ` ${kind} · ${state} · ${when}${tries}`,
      detail ? make("span", { class: "quiet" }, detail) : null);
  });
  const silent = sinks.filter((sink) => !deliveries.some((delivery) => delivery.sink === sink));
  if (silent.length) lines.push(make("li", { class: "quiet" }, word("events.told_nothing", { sinks: silent.join(", ") })));
  if (!lines.length) lines.push(make("li", { class: "quiet" }, word("events.told_nobody")));
  return lines;
};

const acts = (event) => {
  const done = event.marks.map((mark, at) => ({ at: mark.marked_utc, ...markAct(mark, event.marks[at - 1]) }));
  if (event.acknowledged_utc)
    done.push({ at: event.acknowledged_utc, what: word("events.act_acknowledged"), who: event.acknowledged_by });
  if (event.epoch_s != null && event.announced_s != null)
    done.push({ at: new Date((event.epoch_s + event.announced_s) * 1000).toISOString(), what: word("events.act_alarmed") });
  return done.sort((one, other) => other.at.localeCompare(one.at));
};

const markAct = (mark, before) => {
  const isNote = !mark.mark && mark.note && !before?.mark;
  const name = mark.mark ? `mark_${mark.mark}` : isNote ? "act_noted" : "mark_none";
  const what = mark.label ? `${word(`events.${name}`)}：${mark.label}` : word(`events.${name}`);
  return { what, who: mark.who, note: mark.note, name: mark.mark || "none" };
};

/** Everything that happened to an event, the latest first. */
export const historyLines = (event) => {
  const lines = acts(event).map(({ at, what, who, note, name }) =>
    make("li", {}, make("span", { class: name ? `badge mark-${name}` : "act" }, what), who ? make("b", {}, ` ${who}`) : null,
      make("time", { datetime: at, title: fullTime(at) }, ` ${shortTime(at)}`),
      note ? make("p", { class: "history-note" }, note) : null));
  return lines.length ? lines : [make("li", { class: "quiet" }, word("events.unmarked"))];
};

/** A section with a heading and a list. */
export const section = (id, title, list) =>
  make("section", { class: "facts", id }, make("h3", {}, title), list);

/** Puts lines of text into a list. */
export const fill = (list, lines) => {
  list.replaceChildren(...lines.map((line) => {
    if (line instanceof Element) return line;
    const item = make("li", {});
    setText(item, line);
    return item;
  }));
};
