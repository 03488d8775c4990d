// Marks: shown at once, sent one after the other, put back with the reason if the service refuses, and undone by what
// was valid before.
import { ask, change } from "./api.js";
import { tell } from "./dom.js";
import { word } from "./words.js";

const MOST_AT_ONCE = 500;
const MOST_UNDONE = 50;

/** The record as it is once it is marked, until the service has told its own. */
const marked = (record, { mark, note, label }) => ({
  ...record, mark, note: mark ? note : "", ...(label || record.marked_label ? { marked_label: label } : {}),
  state: mark ? "reviewed" : record.acknowledged_by ? "acknowledged" : record.tier === "high" ? "alarm" : "to_review",
});

export class EventMarks extends EventTarget {
  #queue = Promise.resolve();
  #undone = [];
  #waiting = 0;
  #pending = new Map();

  /** Whether marks are still on their way. */
  get isBusy() {
    return this.#waiting > 0;
  }

  /** Whether there is a mark to take back. */
  get canUndo() {
    return this.#undone.length > 0;
  }

  /**
   * Marks events; `records` are as they are now. Each is told as "update" at once and again as the service has it.
   * `label` corrects their class. With `forUndo`, it can be undone.
   */
  mark(records, mark, { note = "", label = "", forUndo = true } = {}) {
    const wanted = { mark, note, label };
    const acts = records.map((record) => ({
      id: record.event, record, wanted, before: { mark: record.mark, note: record.note, label: record.marked_label ?? "" },
    }));
    if (forUndo) this.#remember(acts);
    return this.#put(acts);
  }

  /**
   * Makes valid again what was valid before the last marks; returns the ids of their events. What that was the service
   * tells as it marks, which may be after this is called: somebody else's mark may not have reached this page.
   */
  undo(recordOf) {
    const acts = this.#undone.pop();
    if (!acts) return [];
    this.#put(acts.map(({ id, record, before }) => ({ id, record: recordOf(id) ?? record, wanted: before, before: {} })));
    return acts.map(({ id }) => id);
  }

  #put(acts) {
    for (const { record, wanted } of acts) this.#tell(marked(record, wanted));
    for (const { id } of acts) this.#pending.set(id, (this.#pending.get(id) ?? 0) + 1);
    return this.#after(async () => {
      for (const { id } of acts) this.#pending.set(id, this.#pending.get(id) - 1);
      try {
        for (const same of alike(acts)) await this.#send(same);
        await this.#readAgain(acts.map(({ id }) => id));
      } catch (problem) {
        for (const { record } of acts) this.#tell(record);
        this.#undone = this.#undone.filter((each) => each !== acts);
        tell(`${word("events.not_marked")} ${problem.message}`, { isProblem: true });
        this.dispatchEvent(new CustomEvent("refused", { detail: acts.map(({ id }) => id) }));
      }
    });
  }

  /** Says that somebody has seen an event. */
  acknowledge(record) {
    return this.#after(async () => {
      try {
        this.#tell(await change("POST", `events/${record.event}/acknowledge`));
      } catch (problem) {
        tell(`${word("events.not_acknowledged")} ${problem.message}`, { isProblem: true });
      }
    });
  }

  #after(act) {
    this.#waiting += 1;
    this.dispatchEvent(new Event("change"));
    this.#queue = this.#queue.then(act).finally(() => {
      this.#waiting -= 1;
      this.dispatchEvent(new Event("change"));
    });
    return this.#queue;
  }

  #remember(acts) {
    this.#undone.push(acts);
    if (this.#undone.length > MOST_UNDONE) this.#undone.shift();
  }

  // Sends acts that want the same mark, and keeps what each of them replaced.
  async #send(acts) {
    const { mark, note, label } = acts[0].wanted;
    const told = { mark, note, ...(label ? { label } : {}) };
    if (acts.length === 1) {
      keep(acts[0], await change("POST", `events/${acts[0].id}/marks`, told));
      return;
    }
    for (let at = 0; at < acts.length; at += MOST_AT_ONCE) {
      const some = new Map(acts.slice(at, at + MOST_AT_ONCE).map((act) => [act.id, act]));
      const said = { events: [...some.keys()], ...told };
      const { marked: made, missing } = await change("POST", "events/marks", said);
      for (const each of made) keep(some.get(each.event), each);
      if (missing.length) tell(word("events.some_missing", { count: missing.length }), { isProblem: true });
    }
  }

  async #readAgain(ids) {
    if (ids.length > 1) {
      this.dispatchEvent(new Event("many"));
      return;
    }
    const record = await ask(`events/${ids[0]}`);
    // A later mark of the same event is shown already and still to be sent.
    if (!this.#pending.get(ids[0])) this.#tell(record);
  }

  #tell(record) {
    this.dispatchEvent(new CustomEvent("update", { detail: record }));
  }
}

/** Keeps what an act replaced; whoever undoes it holds the same object. */
const keep = ({ before }, { replaced }) =>
  Object.assign(before, { mark: replaced?.mark ?? "", note: replaced?.note ?? "", label: replaced?.label ?? "" });

/** The acts that want the same mark, note and class, together, for one request. */
const alike = (acts) => {
  const groups = new Map();
  for (const act of acts) {
    const key = JSON.stringify([act.wanted.mark, act.wanted.note, act.wanted.label]);
    groups.set(key, [...(groups.get(key) ?? []), act]);
  }
  return groups.values();
};
