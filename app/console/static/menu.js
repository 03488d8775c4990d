// A menu beside a button: one at a time, by mouse, keys and screen readers.
import { make } from "./dom.js";

let open = null;

const close = (focus = true) => {
  if (!open) return;
  const { menu, button } = open;
  open = null;
  menu.remove();
  button.setAttribute("aria-expanded", "false");
  if (focus) button.focus();
};

addEventListener("pointerdown", ({ target }) => open && !open.menu.contains(target) && target !== open.button && close(false));
// What comes above it (an alarm) moves the page: the menu goes along with its button.
const follow = () => {
  if (!open) return;
  if (open.button.isConnected) place(open.menu, open.button);
  else close(false);
};
addEventListener("resize", follow);
addEventListener("scroll", follow, true);

const move = (menu, step) => {
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  items[(at + step + items.length) % items.length].focus();
};

const onKey = (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (event.key === "Escape" || event.key === "Tab") close();
  else if (steps[event.key]) move(event.currentTarget, steps[event.key]);
  else return;
  event.preventDefault();
  event.stopPropagation();
};

const place = (menu, button) => {
  const at = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8));
  const below = at.bottom + 4 + menu.offsetHeight <= innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - 4 - menu.offsetHeight)}px`;
};

const itemOf = ({ text, href, act, isGrave }) => {
  const kind = isGrave ? "menu-item is-grave" : "menu-item";
  if (href) return make("a", { role: "menuitem", class: kind, href }, text);
  const pressed = () => {
    close();
    act();
  };
  return make("button", { type: "button", role: "menuitem", class: kind, onclick: pressed }, text);
};

/** Opens a menu of `items` ({text, act | href, isGrave}) beside a button, or closes the one that is open there. */
export const toggleMenu = (button, items, label) => {
  const wasOpen = open?.button === button;
  close();
  if (wasOpen) return;
  const menu = make("div", { class: "menu", role: "menu", "aria-label": label, onkeydown: onKey }, ...items.map(itemOf));
  open = { menu, button };
  button.setAttribute("aria-expanded", "true");
  document.body.append(menu);
  place(menu, button);
  menu.querySelector("[role=menuitem]").focus();
};
