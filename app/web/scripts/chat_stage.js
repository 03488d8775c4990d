// Beside the chat only: the windows of the conversation lead to their time, and what is clicked, or marked on the strip,
// is what the next question is about. It goes to the server as `from-to` in `data-about`. Stands behind analysis.js.
const chatLog = () => document.getElementById("chat-log");
const root = element.querySelector(".va");
const aboutLine = document.createElement("p");
const [aboutText, aboutNone] = [document.createElement("span"), document.createElement("button")];
const rangeMark = make("i", "va-range");
const DRAG_PX = 6;
let about = null; // the seconds that the next question is about
let aboutRun = "";
let dragFrom = null;
let dragged = false;
let read = -1e9; // when somebody last moved the conversation

aboutLine.className = "va-about";
aboutLine.hidden = true;
aboutNone.type = "button";
aboutNone.textContent = "✕";
aboutNone.title = words.about_none;
aboutNone.setAttribute("aria-label", words.about_none);
aboutLine.append(aboutText, aboutNone);
strip.after(aboutLine);

const tenths = (seconds) => `${clock(seconds)}.${Math.floor((seconds * 10 + 1e-6) % 10)}`;

const setAbout = (from, to) => {
  about = from === null ? null : [Math.max(0, from), Math.max(0, to)];
  aboutRun = state ? state.run : "";
  root.dataset.about = about ? about.map((second) => second.toFixed(3)).join("-") : "";
  aboutLine.hidden = !about;
  aboutText.textContent = about ? words.about.replace("{time}", about.map(tenths).join(" – ")) : "";
  drawRange();
};

const drawRange = () => {
  if (!about || !state) {
    rangeMark.remove();
    return;
  }
  const [from, to] = range();
  const at = (second) => ((second - from) / (to - from)) * 100;
  rangeMark.style.left = `${at(about[0])}%`;
  rangeMark.style.width = `${at(about[1]) - at(about[0])}%`;
  if (!rangeMark.isConnected) strip.append(rangeMark);
};

const secondAt = (event) => {
  const box = strip.getBoundingClientRect();
  const [from, to] = range();
  return Math.min(to, Math.max(0, from + ((event.clientX - box.left) / box.width) * (to - from)));
};

const aboutWindowAt = (second) => {
  const window = windowAt(second);
  if (window) setAbout(window.s, window.e);
  else setAbout(second, second);
};

strip.addEventListener("pointerdown", (event) => {
  dragFrom = state ? { x: event.clientX, second: secondAt(event) } : null;
  dragged = false;
});
strip.addEventListener("pointermove", (event) => {
  if (!dragFrom || (!dragged && Math.abs(event.clientX - dragFrom.x) < DRAG_PX)) return;
  if (!dragged) strip.setPointerCapture(event.pointerId);
  dragged = true;
  const ends = [dragFrom.second, secondAt(event)].sort((one, other) => one - other);
  setAbout(...ends);
});
for (const name of ["pointerup", "pointercancel"]) strip.addEventListener(name, () => (dragFrom = null));
strip.addEventListener(
  "click",
  (event) => {
    if (!state) return;
    if (!dragged) {
      aboutWindowAt(secondAt(event));
      return;
    }
    // The end of a mark is no click: the player goes to where the mark begins.
    event.stopImmediatePropagation();
    dragged = false;
    jump(about[0]);
  },
  true,
);
aboutNone.addEventListener("click", () => setAbout(null));

const seconds = (button, name) => Number((button.className.match(new RegExp(`\\b${name}-(\\d+)`)) || [0, 0])[1]) / 1000;
const onWindow = (event) => {
  if (!element.isConnected) {
    document.removeEventListener("click", onWindow);
    return;
  }
  const button = event.target.closest ? event.target.closest("#chat-log .vc-window, #chat-log .vc-results") : null;
  if (!button || !state) return;
  if (button.classList.contains("vc-results")) {
    document.getElementById("chat-results")?.scrollIntoView({ block: "start", behavior: "smooth" });
    return;
  }
  // The video of an earlier question is not played any more.
  if (!button.classList.contains(`run-${state.run}`)) return;
  setAbout(seconds(button, "from"), seconds(button, "to"));
  jump(seconds(button, "from"));
};
document.addEventListener("click", onWindow);

let current = null;
marked_.push((window) => {
  drawRange();
  const log = chatLog();
  const found = window && log ? log.querySelector(`.vc-window.run-${state.run}.n-${window.n}`) : null;
  if (current && current !== found) current.removeAttribute("aria-current");
  current = found;
  if (!found) return;
  const isNew = !found.hasAttribute("aria-current");
  found.setAttribute("aria-current", "true");
  // While windows still come, the conversation stays at its end; nor is it moved under somebody who reads in it, as at
  // its end, where the sum and later answers are.
  if (isNew && state.over && !video.paused && performance.now() - read > 4000) showInLog(found);
});
const questionsIn = (log) => log.querySelectorAll('[data-testid="user"]');
const showInLog = (button) => {
  const box = button.closest(".bubble-wrap");
  if (!box || box.scrollHeight - box.scrollTop - box.clientHeight < 60) return;
  const [inside, outside] = [button.getBoundingClientRect(), box.getBoundingClientRect()];
  if (inside.top < outside.top || inside.bottom > outside.bottom) box.scrollTop += inside.top - outside.top - outside.height / 3;
};
for (const name of ["wheel", "touchmove", "pointerdown"]) {
  document.addEventListener(name, (event) => {
    if (event.target.closest && event.target.closest("#chat-log")) read = performance.now();
  }, { passive: true });
}
const PHONE = matchMedia("(max-width: 800px)");
let shownRun = "";
watch("value", () => {
  if (!state || state.run !== aboutRun) setAbout(null);
  if (!state || state.run === shownRun) return;
  shownRun = state.run;
  // As soon as the stage has its height: picture, conversation and box fill a phone's screen.
  const toDesk = () => document.getElementById("chat-desk")?.scrollIntoView({ block: "start", behavior: "smooth" });
  if (PHONE.matches) setTimeout(toDesk, 200);
});
// A question that was just sent is seen, wherever somebody had been reading.
let watchedLog = null;
let questions = 0;
const asked = new MutationObserver(() => {
  const now = questionsIn(watchedLog).length;
  if (now > questions) requestAnimationFrame(() => toEnd(watchedLog.querySelector(".bubble-wrap")));
  questions = now;
});
const toEnd = (box) => {
  if (box) box.scrollTop = box.scrollHeight;
};
const watchLog = () => {
  if (watchedLog === chatLog()) return;
  asked.disconnect();
  watchedLog = chatLog();
  if (watchedLog) asked.observe(watchedLog, { childList: true, subtree: true });
};
watchLog();
// The chatbot tells a message's source to screen readers; of windows that would be our tags.
const tidy = setInterval(() => {
  if (!element.isConnected) {
    clearInterval(tidy);
    asked.disconnect();
    return;
  }
  watchLog();
  for (const told of document.querySelectorAll('#chat-log [aria-label*="vc-"]')) told.setAttribute("aria-label", told.textContent);
}, 1000);
