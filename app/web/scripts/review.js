// The list of events: a click or the keyboard picks one; marks are made by the page's own buttons.
// A mark is for the event that is shown and picked, never for the one before that is still to be seen. After it the next
// event is picked: the ring in the list, the keyboard's focus and what is shown go there together.
// j / down and k / up move, t f u mark, / searches, n and p turn the page. While something is typed, keys are letters.
const rows = () => [...element.querySelectorAll(".review-row")];
const NARROW_PX = 760;
const OPENS_MS = 700;
let picked = "";
let place = 0;
let held = "";
let marking = "";
let leaving = "";

const ring = () => {
  for (const row of rows()) row.setAttribute("aria-selected", row.dataset.event === picked);
  const at = rows().findIndex((row) => row.dataset.event === picked);
  const focused = document.activeElement?.closest?.(".review-row");
  if (focused && element.contains(focused) && at >= 0) rows()[at].focus({ preventScroll: true });
  if (at >= 0) place = at;
  return at;
};

// A marked event that has left the list, and was its last, hands over to its neighbour.
const show = () => {
  const at = ring();
  const next = at < 0 && leaving !== "" && leaving === picked ? rows()[Math.min(place, rows().length - 1)] : null;
  leaving = "";
  if (next) open(next.dataset.event);
  else rows()[at]?.scrollIntoView({ block: "nearest" });
};

const detail = () => document.getElementById("review-detail");
const press = (id) => document.getElementById(id)?.click();

// Says which event can be marked: none while another one is being opened. What was pressed meanwhile follows.
const settle = () => {
  const shown = detail()?.querySelector(".review-title")?.dataset.event;
  const isOpen = picked !== "" && shown === picked;
  if (detail()) Object.assign(detail().dataset, { picked, open: isOpen ? picked : "" });
  // What is told comes first: until it follows, the clip, pictures and curve are those of the event before.
  const seen = detail()?.querySelector("#review-seen [data-event]")?.dataset.event;
  detail()?.toggleAttribute("data-late", seen !== shown);
  if (!isOpen || !held || marking) return;
  press(held);
  held = "";
};

const mark = (button) => {
  held = button;
  settle();
};

const opened = new MutationObserver(settle);

const open = (id, meanwhile = "") => {
  picked = id;
  held = meanwhile;
  window.vigilPlace?.open(id);
  rows()[ring()]?.scrollIntoView({ block: "nearest" });
  settle();
  if (detail()) opened.observe(detail(), { childList: true, subtree: true });
  trigger("pick");
  // Side by side there is nothing to scroll to; on a phone the event opens below the list.
  if (innerWidth < NARROW_PX)
    setTimeout(() => detail()?.scrollIntoView({ behavior: "smooth" }), OPENS_MS);
};

const move = (by) => {
  const all = rows();
  const at = all.findIndex((row) => row.getAttribute("aria-selected") === "true");
  // A row that was marked may have left the list; its neighbour has taken its place.
  const next = at < 0 ? (by > 0 ? place : place - 1) : at + by;
  const row = all[Math.min(Math.max(next, 0), all.length - 1)];
  if (row) open(row.dataset.event);
};

// Before the page's own button is told: which event it is for. One that is still being opened cannot be marked.
const onMark = (event) => {
  if (event.target.closest?.(".review-marking button")) marking = detail()?.dataset.open || marking;
};

// In a list that was read anew the marked event may be gone by now, and the next one be in its place.
const following = (marked) => {
  const at = rows().findIndex((row) => row.dataset.event === marked);
  return at < 0 ? rows()[Math.min(place, rows().length - 1)] : rows()[at + 1];
};

const onMarked = ({ detail: word }) => {
  const marked = marking;
  marking = "";
  if (marked && marked === picked) {
    leaving = marked;
    const next = word ? following(marked) : null;
    if (next) open(next.dataset.event, held);
    else held = "";
  }
  // What was pressed for another event meanwhile has waited for this mark.
  settle();
  trigger("submit");
};

const onRefused = () => {
  marking = held = "";
};

const isTyped = (target) => target.closest?.("input, textarea, select, [contenteditable], [role=listbox] input");

const keys = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  t: () => mark("review-true"),
  f: () => mark("review-false_alarm"),
  u: () => mark("review-unsure"),
  n: () => press("review-older"),
  p: () => press("review-newer"),
  "/": () => document.querySelector("#review-text textarea, #review-text input")?.focus(),
};

const onKey = (event) => {
  if (!element.isConnected) {
    document.removeEventListener("keydown", onKey);
    return;
  }
  if (element.offsetParent === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyped(event.target)) event.target.blur();
  if (isTyped(event.target) || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
};

const openWanted = () => {
  if (!window.vigilWantedEvent) return;
  open(window.vigilWantedEvent);
  window.vigilWantedEvent = "";
};

element.addEventListener("click", (event) => {
  const row = event.target.closest(".review-row");
  if (row) open(row.dataset.event);
});
watch("value", show);
// The rows of the page before may become those of the new one, with the ring of theirs.
new MutationObserver(ring).observe(element, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-event"],
});
document.addEventListener("click", onMark, true);
document.addEventListener("vigil-marked", onMarked);
document.addEventListener("vigil-not-marked", onRefused);
document.addEventListener("keydown", onKey);
document.addEventListener("vigil-open-event", openWanted);
document.addEventListener("vigil-find-again", () => trigger("submit"));

// An event that goes on, or whose clip is being cut, is looked at again until it is whole.
const growing = setInterval(() => {
  if (!element.isConnected) clearInterval(growing);
  else if (picked && element.offsetParent !== null && document.querySelector("#review-detail [data-growing]"))
    trigger("pick");
}, 4000);

// Whenever the review comes into view it shows what is there now.
new IntersectionObserver((seen) => {
  if (seen.some((one) => one.isIntersecting)) trigger("submit");
}).observe(element);
openWanted();
