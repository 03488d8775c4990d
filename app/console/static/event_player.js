// The clip of an event, with the model's words over it, or in words why there is none. Seconds are those of the source.
import { urlOf } from "./api.js";
import { make, setText } from "./dom.js";
import { word } from "./words.js";

const FRAME_S = 0.04;
const PLAYS = new Set(["whole", "copy"]);

export class EventPlayer {
  #begins = 0;
  #onTime;
  #id = "";
  #frame = 0;
  #video = make("video", { controls: true, playsinline: true, muted: true, preload: "auto", class: "clip-video" });
  #picture = make("img", { class: "clip-picture", alt: "" });
  #words = make("p", { class: "clip-words", id: "clip-words" });
  #notice = make("p", { class: "clip-notice", role: "status", id: "clip-notice" });
  #line = make("p", { class: "clip-line", id: "clip-line", hidden: true });

  /** `onTime(second)` is called while it plays. */
  constructor({ onTime }) {
    this.#onTime = onTime;
    const stage = make("div", { class: "clip-stage" }, this.#picture, this.#video, this.#words, this.#notice);
    this.element = make("section", { class: "clip", id: "event-clip", "aria-label": word("events.clip") }, stage, this.#line);
    this.#video.muted = true;
    for (const name of ["timeupdate", "seeked", "play", "loadeddata"])
      this.#video.addEventListener(name, () => this.#follow());
    this.#video.addEventListener("error", () => this.#video.currentSrc && this.#fail());
  }

  /** Shows an event at once: its words and its picture, while the clip is asked for. */
  open(event) {
    this.#id = event.event;
    this.#stop();
    setText(this.#words, event.text);
    this.#words.hidden = !event.text;
    this.#line.hidden = true;
    this.#say(word("events.clip_asked"));
    const isPictured = event.media.some((url) => /\/(snapshot|frames)$/.test(url));
    this.#picture.hidden = !isPictured;
    const src = isPictured ? urlOf(`events/${event.event}/thumbnail`, { width: 960, of: event.peak_s }).href : "";
    if (src) this.#picture.src = src;
    else this.#picture.removeAttribute("src");
    this.#picture.alt = isPictured ? word("events.snapshot") : "";
  }

  /** Changes the words of the event that is shown. */
  say(event) {
    setText(this.#words, event.text);
    this.#words.hidden = !event.text;
  }

  /** Plays the clip, or says why there is none. */
  show(event, clip) {
    if (event.event !== this.#id) return;
    this.#begins = clip.begins_s ?? 0;
    if (!PLAYS.has(clip.state)) {
      this.#stop();
      this.#say(word(`events.clip_${clip.state}`, { codec: clip.codec, why: clip.why }));
      this.#tellOriginal(clip.state === "coming" || clip.state === "failed" ? clip : null);
      return;
    }
    this.#say("");
    this.#tellOriginal(clip.state === "copy" ? clip : null);
    const src = this.clipUrl;
    if (this.#video.getAttribute("src") === src) return;
    this.#video.hidden = false;
    this.#video.src = src;
    this.#video.play().catch(() => {}); // where it may not begin by itself, its own button does
  }

  /** Where a form of the clip that browsers play is. */
  get clipUrl() {
    return urlOf(`events/${this.#id}/clip`, { form: "playable" }).href;
  }

  /** The seconds of the source that the clip covers, or null. */
  get span() {
    const { duration } = this.#video;
    return this.#video.getAttribute("src") && Number.isFinite(duration) ? [this.#begins, this.#begins + duration] : null;
  }

  /** The second of the source that is shown. */
  get second() {
    return this.#begins + this.#video.currentTime;
  }

  /** Calls back once the length of the clip is known. */
  onLength(act) {
    this.#video.addEventListener("loadedmetadata", act);
  }

  /** Goes to a second of the source; false if the clip does not have it. */
  seek(second) {
    const { span } = this;
    if (!span || second < span[0] - 0.5 || second > span[1] + 0.5) return false;
    this.#video.currentTime = Math.min(Math.max(0, second - span[0]), span[1] - span[0]);
    return true;
  }

  /** Plays or pauses. */
  toggle() {
    if (!this.span) return;
    if (this.#video.paused) this.#video.play().catch(() => {});
    else this.#video.pause();
  }

  /** Moves by so many frames, or seconds, and stops there. */
  step({ frames = 0, seconds = 0 }) {
    if (!this.span) return;
    this.#video.pause();
    this.#video.currentTime = Math.max(0, this.#video.currentTime + frames * FRAME_S + seconds);
  }

  /** Shows and hides the words over the picture. */
  toggleWords() {
    this.element.classList.toggle("has-no-words");
  }

  /** Stops and shows nothing. */
  close() {
    this.#id = "";
    this.#stop();
    this.#picture.removeAttribute("src");
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#video.hidden = true;
  }

  #say(text) {
    setText(this.#notice, text);
    this.#notice.hidden = !text;
  }

  #tellOriginal(clip) {
    this.#line.hidden = !clip;
    if (!clip) return;
    const original = make("a", { class: "button", id: "original", download: "",
      href: urlOf(`events/${this.#id}/clip`).href }, word("events.original"));
    this.#line.replaceChildren(make("span", {}, word(`events.clip_${clip.state}`, clip)), original);
  }

  #fail() {
    this.#video.hidden = true;
    this.#say(word("events.clip_broken"));
  }

  #follow() {
    cancelAnimationFrame(this.#frame);
    this.#onTime(this.second);
    if (!this.#video.paused && !this.#video.ended) this.#frame = requestAnimationFrame(() => this.#follow());
  }
}
