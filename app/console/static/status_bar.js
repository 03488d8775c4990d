// The line above the grid: how many cameras are watched, judged and lost, the model and what is known of it, and the
// switches of the room.
import { make, setText } from "./dom.js";
import { live } from "./live.js";
import { askPermission, permission } from "./notifications.js";
import { may } from "./shell.js";
import { sound } from "./sound.js";
import { ask, urlOf } from "./api.js";
import { word } from "./words.js";

const figure = (kind) => make("span", { class: `figure is-${kind}` });

export class StatusBar {
  constructor({ onAdd, onFull }) {
    this.lamp = make("i", { class: "lamp", "aria-hidden": "true" });
    [this.watched, this.judged, this.lost, this.model, this.doubt] = ["watched", "judged", "lost", "model", "doubt"].map(figure);
    this.sound = make("button", { type: "button", class: "button room-sound", onclick: () => this.#pressSound() });
    for (const gesture of ["pointerdown", "keydown"])
      this.sound.addEventListener(gesture, () => {
        this.wasBlocked = sound.isBlocked;
      });
    this.notes = make("button", { type: "button", class: "button room-notes", onclick: () => askPermission().then(() => this.#drawSwitches()) });
    this.speech = make("button", { type: "button", class: "button", hidden: true, onclick: () => sound.switchSpeech() });
    this.full = make("button", { type: "button", class: "button", onclick: onFull }, word("watch.full"), make("kbd", {}, "F"));
    this.add = make("button", { type: "button", class: "button is-main", id: "add-camera", onclick: onAdd }, word("watch.add_short"));
    this.add.hidden = !may.admin;
    this.tools = make("div", { class: "bar-tools" }, this.speech, this.notes, this.sound, this.full, this.add);
    const line = make("div", { class: "bar-line", role: "status" }, this.lamp, this.watched, this.judged, this.lost, this.model, this.doubt);
    this.element = make("header", { class: "bar" }, line, this.tools);
    sound.addEventListener("update", () => this.#drawSwitches());
    this.#drawSwitches();
    this.#lookForSpeech();
  }

  // The press that lets the page sound is not one that switches it off.
  #pressSound() {
    if (this.wasBlocked) sound.test();
    else sound.switch();
    this.wasBlocked = false;
  }

  // Whether this server can speak is known once it has spoken.
  async #lookForSpeech() {
    const found = await ask("events", { query: { limit: 1 } }).catch(() => null);
    if (!found?.events.length) return;
    const answer = await fetch(urlOf(`events/${found.events[0].event}/speech`)).catch(() => null);
    this.speech.hidden = !answer?.ok;
    await answer?.body?.cancel();
  }

  #drawSwitches() {
    const blocked = sound.isBlocked ? "watch.sound_blocked" : "watch.sound_on";
    setText(this.sound, word(sound.isWanted ? blocked : "watch.sound_off"));
    this.sound.setAttribute("aria-pressed", String(sound.isWanted && !sound.isBlocked));
    const allowed = permission();
    setText(this.notes, word(`watch.notes_${allowed === "unavailable" ? "denied" : allowed}`));
    this.notes.disabled = allowed !== "default";
    setText(this.speech, word(sound.isSpoken ? "watch.speech_on" : "watch.speech_off"));
    this.speech.setAttribute("aria-pressed", String(sound.isSpoken));
  }

  /** Counts the cards and tells the model. */
  draw(cards) {
    const { status } = live;
    const isKnown = live.isUp !== false;
    const judged = cards.filter((card) => card.told.is_current && card.isJudged && card.isKnown);
    const lost = cards.filter((card) => card.isLost);
    const count = (number) => (isKnown ? String(number) : "–");
    setText(this.watched, word("watch.watched", { count: cards.length }));
    setText(this.judged, word("watch.judged", { count: count(judged.length) }));
    setText(this.lost, word("watch.lost", { count: count(lost.length) }));
    this.lost.classList.toggle("is-some", lost.length > 0);
    const isWell = isKnown && cards.length > 0 && judged.length === cards.length;
    this.lamp.className = `lamp ${isWell ? "is-well" : isKnown && judged.length ? "is-part" : "is-ill"}`;
    if (status) this.#drawModel(status, isKnown);
  }

  #drawModel(status, isKnown) {
    const name = status.model || status.models.join(", ");
    const state = !isKnown || !status.is_endpoint_up ? "watch.model_away" : status.is_calibrated ? "watch.calibrated" : "watch.not_calibrated";
    setText(this.model, `${word("watch.model", { name: name || "–" })} (${word(state)})`);
    const load = status.load ? word("watch.load", { running: status.load[0], waiting: status.load[1] }) : "";
    this.model.title = [status.endpoint, load, status.is_calibrated ? "" : word("watch.calibrate_how")].filter(Boolean).join("\n");
    this.#drawDoubt(status);
  }

  #drawDoubt({ differences = null, is_endpoint_up: isUp }) {
    const key = differences == null ? "watch.contract_untold" : differences.length ? "watch.contract_differs" : "watch.contract_match";
    this.doubt.hidden = !isUp;
    setText(this.doubt, word(key));
    this.doubt.classList.toggle("is-some", Boolean(differences?.length));
    this.doubt.title = (differences || []).join("\n");
  }
}
