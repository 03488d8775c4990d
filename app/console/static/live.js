// What happens on the server, as events of this page: "change", "verdict", "observation", "camera", "status", "up" and "down".
//
// A browser opens six connections to a host in all, so of its pages one listens (Web Locks) and tells the others. That
// one also asks for the status every few seconds, which tells a quiet stream from a broken one. Where there are no locks
// (a plain http address of the network), each page listens for itself.
import { ask, root, urlOf } from "./api.js";
import { isLeaving, whenLeaving } from "./leaving.js";

const STATUS_EVERY_MS = 5000;
const STATUS_TIMEOUT_MS = 8000;
const RETRY_MS = 2000;
const RENEWAL_MS = 6000; // the stream ends every few minutes, and comes back within this time
const SILENCE_MS = 20000; // a page that heard nothing from the listening one for so long knows nothing
const WANTED_MS = 25000; // verdicts are listened for as long as a page says that it shows them
const NAME = `vigil-live${root.pathname}`;

class Live extends EventTarget {
  isUp = null;
  sinceMs = Date.now();
  status = null;
  isListening = false;
  #channel = new BroadcastChannel(NAME);
  #stream = null;
  #streamKinds = "";
  #sequence = null;
  #wantedMs = -WANTED_MS;
  #heardMs = Date.now();
  #isStreamOpen = false;
  #streamLostMs = Date.now();
  #poll = 0;

  /** Begins; a page calls it once. */
  start() {
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#channel.postMessage({ kind: "hello" });
    whenLeaving(() => this.#stream?.close());
    setInterval(() => this.#missNews(), STATUS_EVERY_MS);
    const listen = () => this.#listen();
    if (navigator.locks) navigator.locks.request(NAME, listen).catch(listen);
    else listen();
  }

  /** Says that this page shows verdicts now; it has to be said again every ten seconds. */
  wantVerdicts() {
    if (this.isListening) this.#want();
    else this.#channel.postMessage({ kind: "want" });
  }

  #hear({ kind, data }) {
    if (kind === "want") return this.isListening && this.#want();
    if (kind === "hello") return this.isListening && this.#tellState();
    this.#heardMs = Date.now();
    return this.#take(kind, data);
  }

  #tell(kind, data) {
    this.#channel.postMessage({ kind, data });
    this.#take(kind, data);
  }

  #tellState() {
    if (this.status) this.#channel.postMessage({ kind: "status", data: this.status });
    if (this.isUp === false) this.#channel.postMessage({ kind: "down", data: this.sinceMs });
  }

  #take(kind, data) {
    if (kind === "down") return this.#turn(false, data);
    if (kind === "up") return this.#turn(true);
    if (kind === "gap") return this.dispatchEvent(new CustomEvent("up"));
    // A page that listens once the one that did is closed goes on from here.
    if (kind === "change" && data.sequence != null) this.#sequence = data.sequence;
    if (kind === "status") {
      this.status = data;
      this.#turn(true);
    }
    return this.dispatchEvent(new CustomEvent(kind, { detail: data }));
  }

  #turn(isUp, sinceMs = Date.now()) {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    this.sinceMs = sinceMs;
    this.dispatchEvent(new CustomEvent(isUp ? "up" : "down"));
  }

  #missNews() {
    if (!this.isListening && Date.now() - this.#heardMs > SILENCE_MS) this.#turn(false, this.#heardMs);
  }

  #listen() {
    this.isListening = true;
    this.#open();
    this.#follow();
    return new Promise(() => {});
  }

  #want() {
    this.#wantedMs = performance.now();
    if (!this.#streamKinds.includes("verdict")) this.#open();
  }

  #kinds() {
    const verdicts = performance.now() - this.#wantedMs < WANTED_MS;
    return ["change", "camera", ...(verdicts ? ["verdict", "observation"] : [])];
  }

  // The one before is closed once the new one is open, so that nothing falls between them.
  #open() {
    if (isLeaving()) return;
    const before = this.#stream;
    const kinds = this.#kinds();
    const stream = new EventSource(urlOf("live", { kinds, after: this.#sequence }));
    this.#stream = stream;
    this.#streamKinds = kinds.join();
    stream.addEventListener("ready", ({ data }) => {
      if (this.#stream !== stream) return;
      before?.close();
      // What happened between the first answers and this is neither in them nor in the stream.
      const isGap = this.#sequence === null && this.isUp;
      this.#sequence = JSON.parse(data).sequence;
      this.#isStreamOpen = true;
      if (isGap) this.#tell("gap");
      if (this.#isAnswered) this.#judge();
      else this.#ask();
    });
    for (const kind of ["change", "verdict", "observation", "camera"])
      stream.addEventListener(kind, ({ data }) => this.#stream === stream && this.#pass(kind, JSON.parse(data)));
    stream.onerror = () => this.#lose(stream, before);
  }

  #pass(kind, data) {
    if (kind === "change" && data.sequence != null) {
      if (data.sequence <= this.#sequence) return;
      this.#sequence = data.sequence;
    }
    this.#tell(kind, data);
  }

  #lose(stream, before) {
    if (this.#stream !== stream) return;
    before?.close();
    if (this.#isStreamOpen) this.#streamLostMs = Date.now();
    this.#isStreamOpen = false;
    this.#ask();
    if (stream.readyState !== EventSource.CLOSED) return;
    this.#stream = null;
    setTimeout(() => this.#stream ?? this.#open(), RETRY_MS);
  }

  async #follow() {
    for (;;) {
      await this.#ask();
      if (this.#stream && this.#streamKinds !== this.#kinds().join()) this.#open();
      await new Promise((done) => setTimeout(done, STATUS_EVERY_MS));
    }
  }

  async #ask() {
    const number = ++this.#poll;
    let status = null;
    try {
      status = await ask("status", { timeoutMs: STATUS_TIMEOUT_MS });
    } catch (problem) {
      if (number === this.#poll) this.#fail(problem);
      return;
    }
    if (number !== this.#poll) return;
    this.#lastStatus = status;
    this.#isAnswered = true;
    this.#judge();
  }

  #lastStatus = null;
  #isAnswered = false;

  #fail() {
    this.#isAnswered = false;
    // A connection that broke without a word would look open for minutes.
    this.#stream?.close();
    this.#stream = null;
    if (this.#isStreamOpen) this.#streamLostMs = Date.now();
    this.#isStreamOpen = false;
    setTimeout(() => this.#stream ?? this.#open(), RETRY_MS);
    this.#judge();
  }

  // The server is there if it answers and its stream is open, or is just being renewed.
  #judge() {
    const isRenewed = this.#isStreamOpen || Date.now() - this.#streamLostMs < RENEWAL_MS;
    if (this.#isAnswered && isRenewed && this.#lastStatus) this.#tell("status", this.#lastStatus);
    else if (this.isUp !== false) this.#tell("down", Date.now());
  }
}

/** The one source of news of a page. */
export const live = new Live();
