// The stage of an analysis: the player, the strip below it, the windows beside it. `props.value` is the whole state;
// it is drawn by textContent and style alone, never as HTML. In front of this file stands `const words = {...}`.
const part = (name) => element.querySelector(`.va-${name}`);
const [video, picture, strip, cursor, list] = ["video", "picture", "strip", "cursor", "rows"].map(part);
const FAR_S = 0.8; // live: further than this from the present second, the player is set right
const CAMERA_STRIP_S = 120;

let state = null;
let run = "";
let drawn = new Map(); // a window's number -> its row, its piece of the strip, and what they were drawn from
let nowAt = 0; // when `state.now_s` came
let marked = null;
let markedPiece = null;
const marked_ = []; // who else is told which window is the current one
let lastScroll = -1e9;

const tab = () => document.getElementById(`tab-${words.where}`);

const make = (tag, kind, text = "") => {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
};

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
};

const presentSecond = () => (state.now_s === null ? null : state.now_s + (performance.now() - nowAt) / 1000);

const shownSecond = () => {
  if (!state) return 0;
  if (!video.hidden) return video.currentTime;
  if (state.now_s !== null) return presentSecond();
  return state.rows.length ? state.rows[state.rows.length - 1].s : 0;
};

const jump = (second) => {
  if (video.hidden) {
    mark(second);
    return;
  }
  video.currentTime = second;
  video.scrollIntoView({ block: "nearest", behavior: "smooth" });
};

const range = () => {
  const last = state.rows.length ? state.rows[state.rows.length - 1].e : 0;
  if (state.kind === "file") return [0, Math.max(state.duration_s || 0, last, 1)];
  const end = Math.max(presentSecond() || 0, last, 10);
  return [Math.max(0, end - CAMERA_STRIP_S), end];
};

const newRow = (window) => {
  const item = make("li", "va-row");
  const button = make("button", "va-window");
  button.type = "button";
  button.title = words.seek;
  const line = make("span", "va-line");
  line.append(make("time", "va-time"), make("span", "va-label"), make("span", "va-p"));
  const bar = make("span", "va-bar");
  bar.append(document.createElement("i"));
  button.append(line, bar, make("span", "va-words"));
  button.addEventListener("click", () => jump(Number(item.dataset.second)));
  item.append(button);
  const piece = document.createElement("b");
  return { item, piece, from: "", place: "" };
};

const fill = ({ item, piece }, window) => {
  item.className = `va-row is-${window.kind}`;
  item.dataset.second = window.s;
  item.dataset.window = window.n;
  item.style.setProperty("--verdict", window.colour);
  item.querySelector(".va-time").textContent = window.time;
  item.querySelector(".va-label").textContent = window.label;
  item.querySelector(".va-p").textContent = window.p === null ? "" : window.p.toFixed(2);
  item.querySelector(".va-bar").hidden = window.p === null;
  item.querySelector(".va-bar i").style.width = `${(window.p || 0) * 100}%`;
  const said = item.querySelector(".va-words");
  said.textContent = window.words || window.why || (window.waits ? words.waiting_words : "");
  said.hidden = !said.textContent;
  piece.className = `is-${window.kind}`;
  piece.title = `${window.time} ${window.label}`;
};

const drawRows = () => {
  const wanted = new Set(state.rows.map((window) => window.n));
  for (const [number, { item, piece }] of drawn) {
    if (wanted.has(number)) continue;
    item.remove();
    piece.remove();
    drawn.delete(number);
  }
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  for (const window of state.rows) {
    const known = drawn.get(window.n) || newRow(window);
    const from = JSON.stringify(window);
    if (known.from !== from) {
      fill(known, window);
      known.from = from;
    }
    if (!known.item.isConnected) {
      drawn.set(window.n, known);
      list.append(known.item);
      strip.append(known.piece);
    }
  }
  if (atEnd && (state.live || video.hidden)) list.scrollTop = list.scrollHeight;
  part("head").textContent = state.rows.length ? words.list : "";
};

const drawStrip = () => {
  const [from, to] = range();
  strip.hidden = !state.rows.length && state.kind !== "file";
  state.rows.forEach((window, index) => {
    const known = drawn.get(window.n);
    const next = state.rows[index + 1];
    const end = next ? Math.min(window.e, next.s) : window.e;
    const left = ((window.s - from) / (to - from)) * 100;
    const width = ((end - window.s) / (to - from)) * 100;
    const place = `left:${left}%;width:${width}%;height:${window.p === null ? 25 : 20 + window.p * 80}%;background:${window.colour}`;
    if (known.place !== place) known.piece.style.cssText = known.place = place;
  });
  strip.setAttribute("aria-valuemax", to.toFixed(1));
};

const windowAt = (second) => {
  let found = null;
  for (const window of state.rows) if (window.s <= second + 0.05) found = window;
  // Behind the newest window there is no verdict yet; live, the newest one is the one to look at.
  return found && (second <= found.e + 0.6 || (state.live && !state.over)) ? found : null;
};

const mark = (second) => {
  if (!state) return;
  const window = windowAt(second);
  const entry = window && drawn.get(window.n);
  const item = entry && entry.item;
  if (item !== marked) {
    if (marked) marked.removeAttribute("aria-current");
    if (markedPiece) markedPiece.classList.remove("is-now");
    marked = item;
    markedPiece = entry ? entry.piece : null;
    if (item) {
      item.setAttribute("aria-current", "true");
      entry.piece.classList.add("is-now");
      // Only the list scrolls, never the page, and not while somebody is reading in it.
      if (performance.now() - lastScroll > 4000) list.scrollTop = item.offsetTop - list.clientHeight / 3;
    }
  }
  const [from, to] = range();
  cursor.style.left = `${Math.min(100, Math.max(0, ((second - from) / (to - from)) * 100))}%`;
  strip.setAttribute("aria-valuenow", second.toFixed(1));
  const now = part("now");
  now.style.setProperty("--verdict", window ? window.colour : "transparent");
  now.className = `va-now ${window ? `is-${window.kind}` : ""}`;
  const said = window ? `${window.label}${window.p === null ? "" : ` ${window.p.toFixed(2)}`}` : words.none_yet;
  const text = state.rows.length || !state.over ? `${clock(second)}   ${said}` : "";
  if (now.textContent !== text) now.textContent = text;
  for (const told of marked_) told(window);
};

const follow = () => {
  // Live, the player keeps to the present second, so that picture and verdict belong together.
  if (!state || video.hidden || !state.live || state.over || state.now_s === null) return;
  const present = presentSecond();
  if (video.duration && present > video.duration) return;
  if (Math.abs(video.currentTime - present) > FAR_S) video.currentTime = present + 0.1;
  if (video.paused) video.play().catch(() => {});
};

const begin = () => {
  run = state.run;
  // As soon as the stage has its height; before, there is nowhere to scroll to.
  setTimeout(() => document.getElementById(`${words.where}-buttons`)?.scrollIntoView({ block: "start", behavior: "smooth" }), 200);
  drawn = new Map();
  marked = markedPiece = null;
  list.replaceChildren();
  strip.replaceChildren(cursor);
  load();
  if (state.video) video.currentTime = 0;
};

const load = () => {
  video.hidden = !state.video;
  if (!state.video) {
    video.removeAttribute("src");
    video.load();
    return;
  }
  if (!video.src.endsWith(state.video)) video.src = state.video;
  video.play().catch(() => {});
};

const draw = () => {
  state = props.value && props.value.run ? props.value : null;
  element.querySelector(".va").classList.toggle("is-empty", !state);
  if (!state) {
    part("empty").textContent = words.empty;
    return;
  }
  nowAt = performance.now();
  if (state.run !== run) begin();
  else if (video.hidden === Boolean(state.video)) load();
  picture.hidden = !state.picture;
  if (state.picture) picture.src = state.picture;
  part("screen").hidden = state.kind === "webcam";
  part("empty").textContent = state.unplayable ? (state.converting ? words.cannot_play : words.no_copy) : "";
  part("live").hidden = !state.live || state.over || state.lost;
  picture.classList.toggle("is-old", state.lost || (state.over && state.kind === "camera"));
  part("live").textContent = words.live_at;
  part("name").textContent = part("name").title = state.name;
  part("facts").textContent = `${state.phase} · ${state.facts}`;
  part("detail").textContent = state.detail;
  part("detail").hidden = !state.detail;
  drawRows();
  drawStrip();
  follow();
  mark(shownSecond());
};

const seekInStrip = (event) => {
  const box = strip.getBoundingClientRect();
  const [from, to] = range();
  jump(from + ((event.clientX - box.left) / box.width) * (to - from));
};

video.addEventListener("error", () => {
  if (state && state.video) part("empty").textContent = words.no_copy;
});
strip.addEventListener("click", seekInStrip);
strip.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
  if (!step) return;
  event.preventDefault();
  jump(Math.max(0, shownSecond() + step));
});
for (const name of ["wheel", "touchmove", "pointerdown"]) {
  list.addEventListener(name, () => (lastScroll = performance.now()), { passive: true });
}
for (const name of ["timeupdate", "seeked", "play"]) video.addEventListener(name, () => mark(video.currentTime));
// The events below the stage lead here too.
const onJump = (event) => {
  if (!element.isConnected) {
    document.removeEventListener("click", onJump);
    return;
  }
  const button = event.target.closest ? event.target.closest(".va-jump") : null;
  if (button && tab().contains(button)) jump(Number(button.dataset.second));
};
document.addEventListener("click", onJump);
// So does a click on a point of the timeline.
const leadFromPlot = () => {
  const plot = document.querySelector(`#${words.where}-plot .js-plotly-plot`);
  if (!plot || !plot.on || plot.dataset.leads) return;
  plot.dataset.leads = "here";
  plot.on("plotly_click", (event) => {
    const x = event.points[0].x;
    const window = state.rows.find((one) => Math.abs((one.s + one.e) / 2 - x) < 0.01);
    jump(window ? window.s : x);
  });
};
const beat = setInterval(() => {
  if (!element.isConnected) {
    clearInterval(beat);
    return;
  }
  leadFromPlot();
  if (state && state.live && !state.over) {
    follow();
    mark(shownSecond());
  }
}, 250);
const live = document.getElementById(`${words.where}-live`);
if (live) live.title = words.live_hint;
strip.setAttribute("aria-label", words.strip);
watch("value", draw);
draw();
