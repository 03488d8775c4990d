// Small pieces of pages. Everything from a camera, a model or a person goes in as text, never as HTML.

/** An element: make("button", { class: "x", type: "button", onclick: f, "aria-label": "y" }, "text", child). */
export const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
};

/** An icon of the page's sprite. */
export const icon = (name) => {
  const SVG = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  made.setAttribute("aria-hidden", "true");
  made.append(use);
  return made;
};

/** Sets a text only where it changed, so that nothing is laid out anew for nothing. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Whether keys belong to what is focused: text is typed, a list is open, a film has its own keys. */
export const isTyped = (target) =>
  target instanceof Element && Boolean(target.closest("input, textarea, select, [contenteditable], video, dialog"));

/** A message that goes away by itself; a problem stays until it is pressed. */
export const tell = (text, { isProblem = false } = {}) => {
  const box = document.getElementById("toasts");
  if (!box) return;
  const toast = make("button", { type: "button", class: isProblem ? "toast is-problem" : "toast" }, text);
  toast.addEventListener("click", () => toast.remove());
  if (isProblem) toast.setAttribute("role", "alert");
  box.append(toast);
  while (box.children.length > 4) box.firstChild.remove();
  if (!isProblem) setTimeout(() => toast.remove(), 6000);
};
