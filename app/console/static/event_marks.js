// Marks: shown at once, sent one after the other, put back with the reason if the service refuses, and undone by what
// was valid before.
import { ask, change } from "./api.js";
import { tell } from "./dom.js";
import { word } from "./words.js";

const MOST_AT_ONCE = 500;
const MOST_UNDONE = 50;

/** The record as it is once it is marked, until the service has told its own. */
const marked = (record, mark, note) => ({
  ...record, mark, note: mark ? note : "",
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
   * With `forUndo`, it can be undone.
   */
  mark(records, mark, { note = "", forUndo = true } = {}) {
    const before = records.map((record) => ({ record, id: record.event, mark: record.mark, note: record.note }));
    for (const record of records) this.#tell(marked(record, mark, note));
    if (forUndo) this.#remember(before);
    for (const { id } of before) this.#pending.set(id, (this.#pending.get(id) ?? 0) + 1);
    return this.#after(async () => {
      for (const { id } of before) this.#pending.set(id, this.#pending.get(id) - 1);
      try {
        await this.#send(before.map(({ id }) => id), mark, note);
        await this.#readAgain(before.map(({ id }) => id));
      } catch (problem) {
        for (const { record } of before) this.#tell(record);
        this.#undone = this.#undone.filter((each) => each !== before);
        tell(`${word("events.not_marked")} ${problem.message}`, { isProblem: true });
        this.dispatchEvent(new CustomEvent("refused", { detail: before.map(({ id }) => id) }));
      }
    });
  }

  /** Makes valid again what was valid before the last marks; returns the ids of their events. */
  undo(recordOf) {
    const before = this.#undone.pop();
    if (!before) return [];
    this.dispatchEvent(new Event("change"));
    for (const { mark, note } of before.slice(0, 1).concat(before.filter(differsFrom(before[0])))) {
      const same = before.filter((each) => each.mark === mark && each.note === note);
      const records = same.map(({ id, record }) => recordOf(id) ?? { ...record, mark: "unknown" });
      this.mark(records, mark, { note, forUndo: false });
    }
    return before.map(({ id }) => id);
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

  #remember(before) {
    this.#undone.push(before);
    if (this.#undone.length > MOST_UNDONE) this.#undone.shift();
  }

  async #send(ids, mark, note) {
    if (ids.length === 1) {
      await change("POST", `events/${ids[0]}/marks`, { mark, note });
      return;
    }
    for (let at = 0; at < ids.length; at += MOST_AT_ONCE) {
      const some = ids.slice(at, at + MOST_AT_ONCE);
      const { missing } = await change("POST", "events/marks", { events: some, mark, note });
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

/** One of each kind of mark among those that differ from the first, for requests of their own. */
const differsFrom = (first) => (each, at, all) =>
  !(each.mark === first.mark && each.note === first.note) &&
  all.findIndex((other) => other.mark === each.mark && other.note === each.note) === at;
