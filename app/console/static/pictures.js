// Live pictures of all cameras in sight, over one connection (app/console/pictures.py). What comes is read at once and
// only the newest of each camera is drawn, so that nothing waits in buffers; a browser that draws slowly asks for less.
import { root } from "./api.js";

const HEADER_BYTES = 22;
const NOTHING = 65535;
const RETRY_MS = 2000;
const SETTLE_MS = 120;
const SILENCE_MS = 20000;
const LATE_MS = 3000;
const TWO_FRAMES_MS = 34;
const LONGEST_REST_MS = 800;
const LEAST_FPS = 1;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise(requestAnimationFrame);
const ratesOf = (count) => (count <= 4 ? 5 : 2); // pictures a second of each camera

class Parser {
  #rest = new Uint8Array(0);

  /** The pictures that are complete with this piece: {index, arrivedMs, timeS, jpeg}. */
  *take(piece) {
    let data = piece;
    if (this.#rest.length) {
      data = new Uint8Array(this.#rest.length + piece.length);
      data.set(this.#rest);
      data.set(piece, this.#rest.length);
    }
    let at = 0;
    while (data.length - at >= HEADER_BYTES) {
      const view = new DataView(data.buffer, data.byteOffset + at, HEADER_BYTES);
      const size = view.getUint32(18);
      if (data.length - at < HEADER_BYTES + size) break;
      const jpeg = data.slice(at + HEADER_BYTES, at + HEADER_BYTES + size);
      yield { index: view.getUint16(0), arrivedMs: view.getFloat64(2), timeS: view.getFloat64(10), jpeg };
      at += HEADER_BYTES + size;
    }
    this.#rest = data.slice(at);
  }
}

/** Draws pictures on canvases: `show` says which cameras are in sight now. */
export class LivePictures {
  #canvases = new Map();
  #shown = "";
  #slowness = 1;
  #abort = null;
  #timer = 0;
  #newest = new Map();
  #isDrawing = false;
  #leastMs = Infinity;
  #lateness = 0;
  #heardMs = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#settle());
    setInterval(() => this.#abort && performance.now() - this.#heardMs > SILENCE_MS && this.#settle(true), SILENCE_MS);
  }

  /** `canvases` by camera id, those in sight; the others cost nothing. */
  show(canvases) {
    this.#canvases = canvases;
    const shown = [...canvases.keys()].join("\n");
    if (shown === this.#shown) return;
    this.#shown = shown;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(true), SETTLE_MS);
  }

  #settle(isNew = false) {
    const wanted = !document.hidden && this.#canvases.size > 0;
    if (this.#abort && (isNew || !wanted)) {
      this.#abort.abort();
      this.#abort = null;
    }
    if (wanted && !this.#abort) this.#follow();
  }

  async #follow() {
    const abort = new AbortController();
    this.#abort = abort;
    while (this.#abort === abort) {
      this.#heardMs = performance.now();
      await this.#read([...this.#canvases.keys()], abort.signal).catch(() => {});
      if (this.#abort === abort) await pause(RETRY_MS);
    }
  }

  async #read(cameras, signal) {
    const url = new URL("console/pictures", root);
    for (const camera of cameras) url.searchParams.append("camera", camera);
    url.searchParams.set("fps", Math.max(LEAST_FPS, ratesOf(cameras.length) / this.#slowness));
    const answer = await fetch(url, { signal });
    if (!answer.ok) throw new Error(`live pictures: ${answer.status}`);
    const parser = new Parser();
    const reader = answer.body.getReader();
    this.#leastMs = Infinity;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#heardMs = performance.now();
      for (const picture of parser.take(value)) this.#note(cameras, picture);
    }
  }

  #note(cameras, { index, arrivedMs, jpeg }) {
    const ageMs = Date.now() - arrivedMs;
    this.#leastMs = Math.min(this.#leastMs, ageMs);
    // The way is too narrow for so many pictures: what comes is of seconds ago.
    if (ageMs - this.#leastMs > LATE_MS) this.#slowDown();
    if (index === NOTHING) return;
    this.#newest.set(cameras[index], jpeg);
    if (!this.#isDrawing) this.#draw();
  }

  #slowDown() {
    if (this.#slowness >= 8) return;
    this.#slowness *= 2;
    this.#settle(true);
  }

  async #draw() {
    this.#isDrawing = true;
    try {
      while (this.#newest.size && !document.hidden) {
        const beganMs = performance.now();
        const pictures = [...this.#newest];
        this.#newest.clear();
        await Promise.all(pictures.map(([camera, jpeg]) => this.#drawOne(camera, jpeg)));
        await frame();
        await frame();
        await this.#rest(performance.now() - beganMs - TWO_FRAMES_MS);
      }
    } finally {
      this.#isDrawing = false;
    }
  }

  // A browser that draws slowly draws less often, so that clicks find room, and is then sent less.
  async #rest(lateMs) {
    this.#lateness = 0.8 * this.#lateness + 0.2 * Math.max(0, lateMs);
    if (this.#lateness > 400) {
      this.#lateness = 0;
      this.#slowDown();
    }
    if (lateMs > 0) await pause(Math.min(2 * lateMs, LONGEST_REST_MS));
  }

  async #drawOne(camera, jpeg) {
    const canvas = this.#canvases.get(camera);
    if (!canvas) return;
    try {
      const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      (canvas.pen ??= canvas.getContext("bitmaprenderer")).transferFromImageBitmap(bitmap);
      canvas.hidden = false;
      canvas.dispatchEvent(new CustomEvent("picture"));
    } catch {
      // A broken picture is followed by another one.
    }
  }
}
