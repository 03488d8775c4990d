// Draws the masks of a camera on its picture: privacy masks, which nobody sees behind, and ignore zones for the model.
import { change, urlOf } from "./api.js";
import { openForm } from "./dialogs.js";
import { make, setText } from "./dom.js";
import { word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const STEP = 0.02;
const NEAR = 0.03; // a press so near to the first point closes the shape
const KINDS = ["privacy", "ignore"];
const STEPS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const drawn = (name, attributes) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const within = (value) => Math.round(1e4 * Math.min(1, Math.max(0, value))) / 1e4;
const listed = (points) => points.map((point) => point.join(",")).join(" ");

/** The picture with its masks, to which shapes are added by mouse, finger or keys. */
class MaskEditor {
  #points = [];
  #cursor = [0.5, 0.5];

  constructor(camera) {
    this.masks = camera.masks.map(({ kind, points }) => ({ kind, points }));
    this.canvas = drawn("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", class: "mask-canvas", tabindex: "0", role: "application", "aria-label": word("watch.mask_hint") });
    this.canvas.addEventListener("pointerdown", (event) => this.#press(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    const picture = make("img", { class: "mask-picture", alt: "", src: urlOf(`cameras/${encodeURIComponent(camera.id)}/picture`).href });
    this.kinds = make("div", { class: "choices", role: "radiogroup", "aria-label": word("watch.mask_kind") }, ...KINDS.map((kind) => this.#choice(kind)));
    this.list = make("ul", { class: "mask-list" });
    this.told = make("p", { class: "dialog-hint", role: "status" });
    this.fields = [make("p", { class: "dialog-hint" }, word("watch.mask_hint")), this.kinds, make("div", { class: "mask-stage" }, picture, this.canvas), this.told, this.list];
    this.#draw();
  }

  get #kind() {
    return this.kinds.querySelector("input:checked").value;
  }

  #choice(kind) {
    const input = make("input", { type: "radio", name: "kind", value: kind, checked: kind === KINDS[0] });
    return make("label", { class: "mask-kind" }, input, word(`watch.mask_${kind}`));
  }

  #press(event) {
    const box = this.canvas.getBoundingClientRect();
    this.#cursor = [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
    this.#add();
  }

  #key(event) {
    const step = STEPS[event.key];
    if (step) this.#cursor = this.#cursor.map((value, axis) => within(value + step[axis]));
    else if (event.key === " ") this.#add();
    else if (event.key === "Enter") this.#close();
    else if (event.key === "Backspace") this.#points.pop();
    else return;
    event.preventDefault();
    this.#draw();
  }

  #add() {
    const [first] = this.#points;
    const isClosing = this.#points.length > 2 && Math.hypot(this.#cursor[0] - first[0], this.#cursor[1] - first[1]) < NEAR;
    if (isClosing) this.#close();
    else this.#points.push(this.#cursor);
    this.#draw();
  }

  #close() {
    if (this.#points.length > 2) this.masks.push({ kind: this.#kind, points: this.#points });
    this.#points = [];
  }

  /** The masks as they are to be saved; a shape that was begun is closed. */
  finished() {
    this.#close();
    this.#draw();
    return this.masks;
  }

  #draw() {
    const [x, y] = this.#cursor;
    this.canvas.replaceChildren(
      ...this.masks.map(({ kind, points }) => drawn("polygon", { points: listed(points), class: `mask-shape is-${kind}` })),
      drawn("polyline", { points: listed(this.#points), class: "mask-line" }),
      drawn("circle", { cx: x, cy: y, r: 0.008, class: "mask-cursor" }),
    );
    setText(this.told, this.#points.length ? word("watch.mask_points", { count: this.#points.length }) : "");
    this.list.replaceChildren(...this.masks.map((mask, number) => this.#entry(mask, number)));
  }

  #entry({ kind, points }, number) {
    const remove = () => {
      this.masks.splice(number, 1);
      this.#draw();
    };
    const text = `${number + 1} · ${word(`watch.mask_${kind}`)} · ${word("watch.mask_points", { count: points.length })}`;
    return make("li", {}, text, make("button", { type: "button", class: "button", onclick: remove }, word("watch.remove")));
  }
}

/** The dialog in which the masks of a camera are drawn; `done` gets the camera as it is then. */
export const openMasks = (camera, done) => {
  const editor = new MaskEditor(camera);
  const save = async () => done(await change("PATCH", `cameras/${encodeURIComponent(camera.id)}`, { masks: editor.finished() }));
  const dialog = openForm(word("watch.masks_of", { name: camera.name }), editor.fields, { save, label: word("watch.save") });
  dialog.classList.add("is-wide");
};
