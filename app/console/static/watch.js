// The watch room: the grid of cameras, the line above it, and the queue of alarms beside it.
import { ask } from "./api.js";
import { alarms } from "./alarms.js";
import { AlarmQueue } from "./alarm_queue.js";
import { hold, menuOf, openAdd } from "./camera_acts.js";
import { CameraCard } from "./camera_card.js";
import { forgetColours } from "./chart.js";
import { isTyped, make, setText } from "./dom.js";
import { CameraGrid } from "./grid.js";
import { live } from "./live.js";
import { toggleMenu } from "./menu.js";
import { onceMore } from "./once_more.js";
import { isReady, may, showCount } from "./shell.js";
import { StatusBar } from "./status_bar.js";
import { word } from "./words.js";

const HISTORY_S = 200;
const SETTLE_MS = 150;
const WANT_MS = 10000;

class WatchRoom {
  #cards = new Map();
  #spare = [];
  #timer = 0;
  #changes = 0;
  #ask = onceMore(() => this.#askNow());

  constructor() {
    this.bar = new StatusBar({ onAdd: () => this.#add(), onFull: () => this.#toggleFull() });
    this.grid = new CameraGrid();
    this.bar.tools.prepend(this.grid.chooser);
    this.queue = new AlarmQueue({ onUpdate: () => this.#drawCards() });
    this.problem = make("div", { class: "notice is-problem", role: "alert", hidden: true });
    this.warnings = make("ul", { class: "notice warnings", hidden: true });
    this.empty = make("div", { class: "empty", hidden: true });
    const middle = make("div", { class: "room-middle" }, this.problem, this.warnings, this.empty, this.grid.element);
    this.element = make("div", { class: "room" }, this.bar.element, middle, this.queue.element);
  }

  async start() {
    document.getElementById("main").append(this.element);
    live.addEventListener("up", () => this.#reload());
    live.addEventListener("down", () => this.#drawAll());
    live.addEventListener("status", () => this.#onStatus());
    live.addEventListener("camera", () => this.#askSoon());
    live.addEventListener("observation", ({ detail }) => this.#cards.get(detail.camera_id)?.takeObservation(detail));
    live.addEventListener("verdict", ({ detail }) => this.#cards.get(detail.camera_id)?.takeVerdict(detail));
    alarms.addEventListener("update", () => this.#drawCards());
    alarms.addEventListener("new", () => this.grid.showFirst());
    document.addEventListener("visibilitychange", () => document.hidden || this.#onStatus());
    addEventListener("vigil-theme", () => this.#redraw());
    addEventListener("storage", ({ key }) => key === "vigil-theme" && this.#redraw());
    addEventListener("keydown", (event) => this.#press(event));
    this.queue.start();
    setInterval(() => this.#want(), WANT_MS);
    this.#want();
    await Promise.all([this.#ask(), this.queue.load()]);
    isReady();
  }

  #want() {
    if (!document.hidden) live.wantVerdicts();
  }

  #onStatus() {
    if (document.hidden) return;
    this.#want();
    this.#ask();
    showCount((live.status?.open_alarms || 0) + (live.status?.to_review || 0));
    this.queue.showCount((live.status?.open_alarms || 0) + (live.status?.to_review || 0));
  }

  async #reload() {
    await this.#ask();
    for (const card of this.#cards.values()) this.#askHistory(card);
  }

  #askSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), SETTLE_MS);
  }

  async #askNow() {
    const changes = this.#changes;
    try {
      const told = await ask("cameras");
      // An answer of before a change would show the camera as it was; after one it is asked again.
      if (changes === this.#changes) this.#take(told);
    } catch (problem) {
      if (problem.status === 503 && !this.#cards.size) this.#showEmpty(problem.message);
    }
  }

  #take({ cameras, spare, warnings }) {
    this.#spare = spare;
    const ids = new Set(cameras.map(({ id }) => id));
    for (const id of [...this.#cards.keys()].filter((each) => !ids.has(each))) this.#cards.delete(id);
    for (const told of cameras) {
      if (!this.#cards.has(told.id)) this.#cards.set(told.id, this.#newCard(told));
      this.#cards.get(told.id).take(told);
    }
    this.warnings.replaceChildren(...warnings.map((text) => make("li", {}, text)));
    this.warnings.hidden = !warnings.length;
    if (cameras.length) this.empty.hidden = true;
    else this.#showEmpty(word("watch.empty"));
    this.#drawAll();
  }

  #newCard(told) {
    const done = (card) => (answer) => this.#takeOne(card, answer);
    const onMenu = (card) => toggleMenu(card.menu, menuOf(card, done(card)), card.told.name);
    const onHold = (card) => hold(card, done(card));
    const card = new CameraCard(told, { onMenu, onHold, onZoom: ({ id }) => this.grid.zoom(id) });
    this.#askHistory(card);
    return card;
  }

  // A change is answered with the camera as it is then.
  #takeOne(card, answer) {
    this.#changes += 1;
    if (answer?.id === card.id) card.take(answer);
    this.#askSoon();
  }

  async #askHistory(card) {
    const query = { seconds: HISTORY_S };
    const told = await ask(`cameras/${encodeURIComponent(card.id)}/verdicts`, { query }).catch(() => null);
    if (told) card.takeHistory(told);
  }

  #showEmpty(text) {
    const add = make("button", { type: "button", class: "button is-main", onclick: () => this.#add() }, word("watch.add"));
    this.empty.replaceChildren(make("p", {}, text), ...(may.admin ? [add] : []));
    this.empty.hidden = false;
  }

  #add() {
    if (may.admin) openAdd(this.#spare, () => this.#ask());
  }

  #drawAll() {
    this.#drawCards();
    this.#drawProblem();
    for (const card of this.#cards.values()) card.drawStrip();
    this.bar.draw([...this.#cards.values()]);
  }

  #drawCards() {
    const { status } = live;
    const alarming = new Map(alarms.list.toReversed().map((event) => [event.camera_id, event]));
    for (const card of this.#cards.values()) {
      card.isKnown = live.isUp !== false;
      card.isJudged = !status || (status.is_endpoint_up && status.breaker !== "open" && !status.problem);
      card.alarm = alarming.get(card.id) ?? null;
      card.event = this.queue.latestOf(card.id);
      card.draw();
    }
    this.grid.arrange([...this.#cards.values()]);
    this.element.classList.toggle("is-away", live.isUp === false);
  }

  #drawProblem() {
    const { status } = live;
    const lines = live.isUp === false ? [word("watch.away"), word("watch.away_advice")] : [];
    if (live.isUp !== false && status?.problem) {
      const advice = status.is_endpoint_up ? [] : [word("watch.down_advice", { command: "./vllm.sh MODEL_DIR" })];
      lines.push(word(status.is_endpoint_up ? "watch.not_judging" : "watch.down"), ...advice, status.problem);
    }
    const text = lines.join("\n");
    if (this.problem.textContent !== text) setText(this.problem, text);
    this.problem.hidden = !lines.length;
  }

  #redraw() {
    forgetColours();
    requestAnimationFrame(() => this.#drawAll());
  }

  #toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyped(event.target)) return;
    if (event.key === "f") this.#toggleFull();
    else if (event.key === "+" || event.key === "n") this.#add();
    else if (!this.grid.press(event)) return;
    event.preventDefault();
  }
}

document.addEventListener("fullscreenchange", () => {
  document.body.classList.toggle("is-full", Boolean(document.fullscreenElement));
});

new WatchRoom().start();
