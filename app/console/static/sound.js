// The sound of alarms, made here (no files), and what browsers allow of it.
//
// A browser lets a page sound only after a click or a key in it. Of the pages that may, one rings for all (Web Locks). An
// alarm and a fault sound differently. Nothing runs while nothing sounds.
import { root, urlOf } from "./api.js";
import { alarms } from "./alarms.js";

const ALARM_EVERY_MS = 4000;
const FAULT_EVERY_MS = 15000;
const SWITCH = "vigil-sound";
const SPEECH = "vigil-speech";
const NAME = `vigil-ring${root.pathname}`;
const ATTEMPT_MS = 700;
const LONGEST_SPEECH = 4 * 1024 * 1024;

const kept = (name) => {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
};

class Sound extends EventTarget {
  isAllowed = false;
  hasTried = false;
  isRinging = false;
  isElsewhere = false;
  #audio = null;
  #isRinger = false;
  #timer = 0;
  #owesRing = false;
  #lastMs = -Infinity;
  #lastFaultMs = -Infinity;
  #channel = new BroadcastChannel(NAME);
  #spoken = Promise.resolve();

  /** Begins; a page calls it once. */
  start() {
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => this.#try(), { capture: true });
    addEventListener("storage", ({ key }) => key === SWITCH && this.#tell());
    this.#channel.onmessage = () => {
      this.#lastMs = performance.now();
      this.#noteOthers();
    };
    alarms.addEventListener("new", ({ detail }) => this.#begin(detail.events));
    alarms.addEventListener("update", () => this.#ring());
    this.#try();
    if (navigator.locks) setInterval(() => this.isAllowed || this.#noteOthers(), ALARM_EVERY_MS);
  }

  /** Whether the person wants sound in this browser. */
  get isWanted() {
    return kept(SWITCH) !== "off";
  }

  /** Whether nothing would be heard although it is wanted: the browser blocks this page and no other one rings. */
  get isBlocked() {
    return this.hasTried && this.isWanted && !this.isAllowed && !this.isElsewhere;
  }

  /** Whether alarms are read out. */
  get isSpoken() {
    return kept(SPEECH) === "on";
  }

  switch(isOn = !this.isWanted) {
    localStorage.setItem(SWITCH, isOn ? "on" : "off");
    if (isOn) this.test();
    this.#ring();
    this.#tell();
  }

  switchSpeech(isOn = !this.isSpoken) {
    localStorage.setItem(SPEECH, isOn ? "on" : "off");
    this.#tell();
  }

  /** One ring, so that somebody can hear that it works. */
  async test() {
    this.#owesRing = true;
    await this.#try();
    this.#pay();
  }

  #pay() {
    if (!this.isAllowed || !this.#owesRing) return;
    this.#owesRing = false;
    this.#play([880, 660], 0.35);
  }

  // A page that may not sound is told so only by its not starting to.
  async #try() {
    if (this.isAllowed) return;
    this.#audio ??= this.#open();
    const patience = new Promise((done) => setTimeout(done, ATTEMPT_MS));
    await Promise.race([this.#audio.resume().catch(() => {}), patience]);
    this.hasTried = true;
    if (this.#audio.state === "running") this.#allow();
    else await this.#noteOthers();
    this.#tell();
  }

  // On a busy machine a press may be followed late by its sound.
  #open() {
    const audio = new AudioContext();
    audio.addEventListener("statechange", () => audio.state === "running" && this.#allow());
    return audio;
  }

  #allow() {
    if (this.isAllowed) return;
    this.isAllowed = true;
    const hold = () => {
      this.#isRinger = true;
      this.#ring();
      return new Promise(() => {});
    };
    if (navigator.locks) navigator.locks.request(NAME, hold).catch(hold);
    else hold();
    if (this.#owesRing) this.#pay();
    else if (!this.isRinging) this.#audio.suspend();
    this.#tell();
  }

  async #noteOthers() {
    if (!navigator.locks) return;
    const { held } = await navigator.locks.query();
    const before = this.isElsewhere;
    this.isElsewhere = held.some(({ name }) => name === NAME) && !this.#isRinger;
    if (before !== this.isElsewhere) this.#tell();
  }

  #begin(events) {
    this.#lastMs = navigator.locks ? -Infinity : this.#lastMs;
    this.#ring();
    if (this.#isRinger && this.isWanted && this.isSpoken) events.slice(0, 3).forEach((event) => this.#speak(event.event));
  }

  #ring() {
    const { alarms: rings, troubles } = alarms.ringing;
    const isRinging = this.#isRinger && this.isWanted && rings.length + troubles.length > 0;
    if (!isRinging) return this.#rest();
    if (!this.isRinging) this.#timer = setInterval(() => this.#ring(), ALARM_EVERY_MS);
    this.isRinging = true;
    const nowMs = performance.now();
    if (rings.length && nowMs - this.#lastMs > ALARM_EVERY_MS / 2) this.#sound([880, 660], 0.35, nowMs);
    else if (!rings.length && nowMs - this.#lastFaultMs > FAULT_EVERY_MS - 500) {
      this.#lastFaultMs = nowMs;
      this.#sound([330, 330, 262], 0.25, nowMs);
    }
    return undefined;
  }

  #sound(tones, volume, nowMs) {
    this.#lastMs = nowMs;
    this.#channel.postMessage("rang");
    this.#play(tones, volume);
  }

  #rest() {
    if (!this.isRinging) return;
    clearInterval(this.#timer);
    this.isRinging = false;
    this.#lastFaultMs = -Infinity;
    this.#audio?.suspend();
  }

  async #play(tones, volume) {
    await this.#audio.resume();
    const begin = this.#audio.currentTime + 0.02;
    tones.forEach((hz, index) => this.#beep(begin + 0.32 * index, hz, volume));
    if (!this.isRinging) setTimeout(() => this.isRinging || this.#audio.suspend(), 400 * tones.length + 400);
  }

  #beep(at, hz, loudness) {
    const tone = this.#audio.createOscillator();
    const volume = this.#audio.createGain();
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(loudness, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.28);
    tone.connect(volume).connect(this.#audio.destination);
    tone.start(at);
    tone.stop(at + 0.3);
  }

  #speak(id) {
    this.#spoken = this.#spoken.then(() => this.#readOut(id)).catch(() => {});
  }

  async #readOut(id) {
    const answer = await fetch(urlOf(`events/${id}/speech`, { language: document.documentElement.lang.slice(0, 2) }));
    if (!answer.ok) return;
    const data = await answer.arrayBuffer();
    if (data.byteLength > LONGEST_SPEECH) return;
    await this.#audio.resume();
    const voice = this.#audio.createBufferSource();
    voice.buffer = await this.#audio.decodeAudioData(data);
    voice.connect(this.#audio.destination);
    await new Promise((done) => {
      voice.onended = done;
      voice.start();
    });
  }

  #tell() {
    this.dispatchEvent(new CustomEvent("update"));
  }
}

/** The sound of this page. */
export const sound = new Sound();
