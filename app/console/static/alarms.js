// Which alarms wait for somebody, and what else is wrong: cameras that are lost, a model or a server that is away.
//
// Every page knows all of it: it asks when it begins and after every gap, and follows the changes in between. An alarm
// is an event of the tier high that nobody has acknowledged or marked; it rings until somebody does, wherever that is.
import { ask, change } from "./api.js";
import { live } from "./live.js";
import { onceMore } from "./once_more.js";

const LATE_MS = 60000;
const AT_ONCE = 200;
const SILENCED = "vigil-silenced";
const LOST = ["lost", "unreadable"];
const TRYING = ["waiting", "connecting"];

const silencedNow = () => {
  try {
    return JSON.parse(localStorage.getItem(SILENCED)) || [];
  } catch {
    return [];
  }
};

class Alarms extends EventTarget {
  #alarms = new Map();
  #cameras = new Map();
  #troubles = new Map();
  #isLoading = false;
  #loadOnceMore = onceMore(() => this.#load());
  #waiting = [];
  #hearing = new Set();
  #looks = new Map();
  #stopped = 0;
  hasLoaded = false;

  /** Begins; a page calls it once. */
  start() {
    live.addEventListener("change", ({ detail }) => this.#follow(detail));
    live.addEventListener("camera", ({ detail }) => this.#noteCamera(detail));
    live.addEventListener("status", () => this.#noteStatus());
    live.addEventListener("up", () => this.load());
    live.addEventListener("down", () => this.#tellTroubles());
    addEventListener("pageshow", ({ persisted }) => persisted && this.load());
    addEventListener("storage", ({ key }) => key === SILENCED && this.#tell());
  }

  /** The alarms that wait for somebody: those that go on first, then the latest. */
  get list() {
    const order = (a, b) => Number(b.end_s == null) - Number(a.end_s == null) || (a.event < b.event ? 1 : -1);
    return [...this.#alarms.values()].sort(order);
  }

  /** What is wrong, each with `key`, `kind`, `sinceMs`, `name` and `detail`. */
  get troubles() {
    return [...this.#troubles.values()];
  }

  /** The alarms and troubles that nobody has silenced in this browser. */
  get ringing() {
    const silenced = silencedNow();
    const rings = ({ key }) => !silenced.includes(key);
    return {
      alarms: this.list.filter(({ event }) => !silenced.includes(event)),
      troubles: this.troubles.filter(rings),
    };
  }

  /** The camera of an event as it is now, with its place. */
  cameraOf(event) {
    return this.#cameras.get(event.camera_id) || { name: event.source, place: "" };
  }

  /** Makes what rings now quiet in this browser; what comes later rings again. */
  silence() {
    const keys = [...this.list.map(({ event }) => event), ...this.troubles.map(({ key }) => key)];
    localStorage.setItem(SILENCED, JSON.stringify([...new Set([...silencedNow(), ...keys])].slice(-500)));
    this.#tell();
  }

  /** Says that the signed-in person has seen alarms; raises a Problem. */
  async acknowledge(...ids) {
    for (const id of ids) {
      const told = await change("POST", `events/${id}/acknowledge`);
      this.#resolve(told);
    }
  }

  /** Asks for everything anew. */
  load() {
    return this.#loadOnceMore();
  }

  async #load() {
    this.#isLoading = true;
    this.#waiting = [];
    const [events] = await Promise.allSettled([
      ask("events", { query: { state: "alarm", limit: AT_ONCE } }),
      this.#askCameras(),
    ]);
    if (events.status === "fulfilled") this.#replace(events.value.events);
    this.hasLoaded = true;
    this.#isLoading = false;
    // Some of what came meanwhile may be newer than the answer.
    for (const each of this.#waiting) this.#apply(each);
    this.#tellTroubles();
    this.#tell();
  }

  #replace(events) {
    const before = this.#alarms;
    this.#alarms = new Map(events.map((event) => [event.event, event]));
    const isNew = events.filter(({ event }) => !before.has(event));
    if (isNew.length) this.dispatchEvent(new CustomEvent("new", { detail: { events: isNew, isEarlier: true } }));
  }

  #follow(told) {
    if (this.#isLoading) this.#waiting.push(told);
    this.#apply(told);
    this.#tell();
  }

  #apply({ kind, event, written_utc: written }) {
    this.#overtake(event.event);
    if (kind === "acknowledged" || (kind === "marked" && event.mark)) return this.#resolve(event);
    if (kind === "opened" || kind === "raised") return this.#open(kind, event, written);
    if (kind !== "described" && kind !== "closed") return this.#look(event.event);
    if (this.#alarms.has(event.event)) this.#alarms.set(event.event, { ...this.#alarms.get(event.event), ...event });
    return undefined;
  }

  #open(kind, event, written) {
    if (event.tier !== "high") return;
    const isNew = !this.#alarms.has(event.event);
    this.#alarms.set(event.event, { ...this.#alarms.get(event.event), ...event });
    const isLate = Boolean(written) && Date.now() - Date.parse(written) > LATE_MS;
    if (isNew) this.dispatchEvent(new CustomEvent("new", { detail: { events: [event], isLate } }));
    // Somebody may have looked at it before it rose.
    if (kind === "raised") this.#look(event.event);
  }

  async #look(id) {
    if (this.#looks.has(id)) return;
    try {
      const event = await this.#askUntilFresh(id);
      if (event.state === "alarm") this.#alarms.set(id, event);
      else this.#resolve(event);
      this.#tell();
    } catch (problem) {
      if (problem.status === 404) this.#alarms.delete(id);
    }
  }

  // Once more where it was acknowledged, or rose, after the answer was made.
  async #askUntilFresh(id) {
    try {
      for (;;) {
        this.#looks.set(id, "asked");
        const event = await ask(`events/${id}`);
        if (this.#looks.get(id) === "asked") return event;
      }
    } finally {
      this.#looks.delete(id);
    }
  }

  #overtake(id) {
    if (this.#looks.has(id)) this.#looks.set(id, "overtaken");
  }

  #resolve(event) {
    this.#overtake(event.event);
    if (this.#isLoading) this.#waiting.push({ kind: "acknowledged", event });
    if (!this.#alarms.delete(event.event)) return;
    this.dispatchEvent(new CustomEvent("resolved", { detail: event }));
    this.#tell();
  }

  // A camera that is being connected to again is as lost as before.
  #isLost(id, status) {
    return LOST.includes(status) || (TRYING.includes(status) && Boolean(this.#cameras.get(id)?.isLost));
  }

  #replaceCameras(cameras) {
    this.#cameras = new Map(
      cameras.map((camera) => [camera.id, { ...camera, isLost: this.#isLost(camera.id, camera.status) }]),
    );
  }

  #noteCamera({ camera_id: id, ...told }) {
    for (const heard of this.#hearing) heard.set(id, told);
    const known = this.#cameras.get(id);
    if (!known) return this.load();
    this.#cameras.set(id, { ...known, ...told, isLost: this.#isLost(id, told.status) });
    return this.#tellTroubles();
  }

  async #noteStatus() {
    const { is_watching: isWatching, is_endpoint_up: isUp, cameras } = live.status;
    // Between two watches there is a moment without one.
    this.#stopped = isWatching || !isUp || !cameras ? 0 : this.#stopped + 1;
    this.#tellTroubles();
    // Nothing is told when a camera is removed.
    const isLost = [...this.#cameras.values()].some((camera) => camera.isLost);
    if (!this.#isLoading && this.hasLoaded && (isLost || cameras !== this.#cameras.size)) await this.#lookAtCameras();
  }

  async #lookAtCameras() {
    await this.#askCameras().catch(() => {});
    this.#tellTroubles();
  }

  async #askCameras() {
    // What is told of a camera meanwhile may be newer than the answer.
    const heard = new Map();
    this.#hearing.add(heard);
    try {
      const { cameras } = await ask("cameras");
      this.#replaceCameras(cameras.map((camera) => ({ ...camera, ...heard.get(camera.id) })));
    } finally {
      this.#hearing.delete(heard);
    }
  }

  #found() {
    if (live.isUp === false) return [{ key: "server", kind: "server", name: "", detail: "" }];
    const { status } = live;
    const found = [];
    if (status?.cameras && (!status.is_endpoint_up || status.breaker === "open"))
      found.push({ key: "model", kind: "model", name: status.model, detail: status.problem });
    if (this.#stopped > 2) found.push({ key: "watch", kind: "watch", name: "", detail: status.problem });
    for (const { id, name, detail, isLost } of this.#cameras.values())
      if (isLost) found.push({ key: `camera ${id}`, kind: "camera", name, detail });
    return found;
  }

  #tellTroubles() {
    const found = this.#found();
    const before = this.#troubles;
    const sinceMs = (key) => before.get(key)?.sinceMs ?? (key === "server" ? live.sinceMs : Date.now());
    this.#troubles = new Map(found.map((each) => [each.key, { ...each, sinceMs: sinceMs(each.key) }]));
    const gone = [...before.keys()].filter((key) => !this.#troubles.has(key));
    if (gone.length) this.#forget(gone);
    const same = (key) => before.get(key)?.detail === this.#troubles.get(key)?.detail;
    if (gone.length || [...this.#troubles.keys()].some((key) => !before.has(key) || !same(key))) this.#tell();
  }

  // What is over may ring again when it comes back.
  #forget(keys) {
    const silenced = silencedNow();
    const left = silenced.filter((key) => !keys.includes(key));
    if (left.length < silenced.length) localStorage.setItem(SILENCED, JSON.stringify(left));
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("update"));
  }
}

/** The alarms of this page. */
export const alarms = new Alarms();
