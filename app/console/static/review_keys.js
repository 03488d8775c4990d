// The keys of the review: one letter an act, none while something is typed, and a list of them behind "?".
import { make } from "./dom.js";
import { word } from "./words.js";

const HELP = [
  ["J / ↓", "next"], ["K / ↑", "previous"], ["T", "do_true"], ["F", "do_false_alarm"], ["U", "do_unsure"], ["⌫", "do_none"],
  ["Z", "undo"], ["N", "write_note"], ["Ctrl ⏎", "save_note"], ["A", "acknowledge"], ["X", "choose_key"], ["Esc", "choose_none"],
  ["␣", "play"], ["← / →", "step_second"], [", / .", "step_frame"], ["C", "words_over"], ["M", "go_strip"], ["/", "search"], ["?", "help"],
];

const isTyping = (target) =>
  target instanceof Element && Boolean(target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog"));

/** Calls the act of a key; keys are names such as "j" or "Backspace". Acts may return false: then it was not theirs. */
export const listen = (acts) => {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape" && !event.target.closest("dialog")) event.target.blur();
      return;
    }
    const isPressed = event.target instanceof Element && event.target.closest("button, a, summary, video, label");
    if (isPressed && (event.key === " " || event.key === "Enter")) return;
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || act(event) === false) return;
    event.preventDefault();
  });
};

/** The dialog that tells all keys; returns a function that opens it. */
export const makeHelp = () => {
  const rows = HELP.map(([key, what]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, word(`events.${what}`))));
  const close = make("button", { type: "button", class: "button", onclick: () => dialog.close() }, word("events.close"));
  const dialog = make("dialog", { id: "keys-help", "aria-labelledby": "keys-title" },
    make("header", {}, make("h2", { id: "keys-title" }, word("events.keys")), close), make("dl", { class: "keys" }, ...rows));
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  document.body.append(dialog);
  return () => dialog.showModal();
};
