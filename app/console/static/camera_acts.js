// What is done to cameras: add, name, place, pause, resume, test, remove; and what the model saw of one.
import { ask, change, root } from "./api.js";
import { drawStrip, tierOf } from "./chart.js";
import { confirmed, field, openDialog, openForm } from "./dialogs.js";
import { make, setText, tell } from "./dom.js";
import { chanceOf } from "./incidents.js";
import { openMasks } from "./mask_editor.js";
import { sentenceField } from "./camera_questions.js";
import { openRules } from "./camera_rules.js";
import { may } from "./shell.js";
import { timeOf, word } from "./words.js";

const SEEN_S = 900;
const MOST_ROWS = 60;
const TEST_MS = 40000;
const LONGEST_FILE = 10000;

const NOT_OF_NOW = { is_current: false, p_alarm: null, lag_s: null };
const PAUSED = { ...NOT_OF_NOW, is_paused: true, status: "paused", detail: "" };
const RESUMED = { ...NOT_OF_NOW, is_paused: false, status: "connecting", detail: "" };

const pathOf = (id) => `cameras/${encodeURIComponent(id)}`;

const refused = (problem) => tell(word("console.not_done", { why: problem.message }), { isProblem: true });

/** Does something and tells how it went; `done` gets the answer. */
const act = async (key, name, doing, done) => {
  try {
    const answer = await doing();
    await done(answer);
    tell(word(`watch.did_${key}`, { name }));
  } catch (problem) {
    refused(problem);
  }
};

const showTest = async (address, box) => {
  box.replaceChildren(word("watch.testing"));
  try {
    const found = await change("POST", "cameras/test", { address }, { timeoutMs: TEST_MS });
    const facts = { size: `${found.width_px}×${found.height_px}`, codec: found.codec, fps: Number(found.fps.toFixed(1)) };
    const picture = make("img", { class: "test-picture", src: found.picture, alt: word("watch.test_picture") });
    box.replaceChildren(picture, make("p", { class: "test-facts" }, word("watch.test_found", facts)));
  } catch (problem) {
    box.replaceChildren(make("p", { class: "dialog-told" }, problem.message));
  }
};

// The first line of a camera.txt that is neither empty nor a comment.
const addressIn = (text) =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .find((line) => line && !line.startsWith("#")) || "";

const readFile = async (file, address, box) => {
  const found = file.size > LONGEST_FILE ? "" : addressIn(await file.text());
  if (found && !found.includes("\0")) address.value = found;
  else setText(box, word("watch.no_camera_file", { name: file.name }));
};

/** The dialog that adds a camera; `spare` are configured ones that are not watched. */
export const openAdd = (spare, done) => {
  const address = make("input", { name: "address", required: true, maxlength: 500, autocomplete: "off", spellcheck: "false", placeholder: "rtsp://user:password@10.0.0.7/door" });
  const chosen = (name) => () => {
    address.value = name;
  };
  const choices = spare.map((name) => make("button", { type: "button", class: "button", onclick: chosen(name) }, name));
  const box = make("div", { class: "test-box", "aria-live": "polite" });
  const test = make("button", { type: "button", class: "button", onclick: () => showTest(address.value, box) }, word("watch.test"));
  const file = make("input", { type: "file", accept: ".txt,text/plain", class: "visually-hidden", id: "camera-file" });
  file.addEventListener("change", () => file.files[0] && readFile(file.files[0], address, box));
  const pick = make("label", { class: "button", for: "camera-file" }, "camera.txt");
  const fields = [
    field(word("watch.address"), address),
    make("p", { class: "dialog-hint" }, word("watch.address_hint")),
    choices.length ? make("div", { class: "choices", role: "group", "aria-label": word("watch.spare") }, ...choices) : null,
    make("div", { class: "two" }, ...["name", "place"].map((name) => field(word(`watch.${name}`), make("input", { name, maxlength: 80 })))),
    sentenceField(),
  ].filter(Boolean);
  const save = async ({ ask: sentence, ...told }) => {
    const tasks = sentence.trim() ? { tasks: [{ ask: sentence }] } : {};
    const added = await change("POST", "cameras", { ...told, ...tasks }, { timeoutMs: TEST_MS });
    tell(word("watch.did_add", { name: added.name }));
    await done();
  };
  const more = [make("div", { class: "choices" }, test, pick, file), box];
  openForm(word("watch.add"), fields, { save, label: word("watch.add"), more });
};

const openNames = (camera, done) => {
  const input = (name) => field(word(`watch.${name}`), make("input", { name, value: camera[name], maxlength: 80, required: name === "name" }));
  const save = async ({ name, place }) => {
    const asked = { ...(name.trim() !== camera.name && { name: name.trim() }), ...(place !== camera.place && { place }) };
    await done(Object.keys(asked).length ? await change("PATCH", pathOf(camera.id), asked) : null);
  };
  openForm(word("watch.rename"), [input("name"), input("place")], { save, label: word("watch.save") });
};

const openTest = (camera) => {
  const box = make("div", { class: "test-box", "aria-live": "polite" });
  openDialog(word("watch.test_again_of", { name: camera.name }), [box], []);
  showTest(camera.name, box);
};

const remove = async (camera, done) => {
  if (!(await confirmed(word("watch.sure", { name: camera.name }), word("watch.remove")))) return;
  await act("remove", camera.name, () => change("DELETE", pathOf(camera.id)), done);
};

// After a camera was turned on purpose.
const acceptView = async (camera, done) => {
  if (!(await confirmed(word("watch.sure_view", { name: camera.name }), word("watch.view")))) return;
  await act("view", camera.name, () => change("POST", `${pathOf(camera.id)}/view`), done);
};

const windowRow = ({ end_s: endS, p_alarm: p, cause }, { lastS, tiers }) => {
  const when = timeOf(new Date(Date.now() - 1000 * (lastS - endS)).toISOString());
  const bar = make("meter", { min: 0, max: 1, value: p ?? 0 });
  const told = p == null ? word(`console.cause_${cause}`) : chanceOf(p);
  return make("tr", { class: `is-${tierOf(p, tiers)}` }, make("td", {}, when), make("td", {}, bar), make("td", {}, told));
};

/** What the model made of a camera lately, whether anything alarmed or not. */
const openSeen = async (camera) => {
  const canvas = make("canvas", { class: "seen-strip", role: "img", "aria-label": word("watch.strip_long") });
  const rows = make("tbody", {});
  const box = make("p", { class: "dialog-told" });
  const table = make("table", { class: "seen" }, rows);
  openDialog(word("watch.seen_of", { name: camera.name }), [canvas, box, table], [], { isWide: true });
  try {
    const { verdicts, tiers } = await ask(`${pathOf(camera.id)}/verdicts`, { query: { seconds: SEEN_S } });
    const lastS = verdicts.at(-1)?.end_s ?? 0;
    if (!verdicts.length) setText(box, word("watch.seen_nothing"));
    drawStrip(canvas, verdicts, { fromS: Math.max(0, lastS - SEEN_S), toS: Math.max(lastS, 60), tiers });
    rows.replaceChildren(...verdicts.slice(-MOST_ROWS).reverse().map((each) => windowRow(each, { lastS, tiers })));
  } catch (problem) {
    setText(box, problem.message);
  }
};

/** Pauses or resumes a card's camera: what was pressed is shown at once, and put back if the service refuses. */
export const hold = async (card, done) => {
  const { id, name, is_paused: isPaused } = card.told;
  const kind = isPaused ? "resume" : "pause";
  card.expect(kind === "pause" ? PAUSED : RESUMED);
  try {
    const answer = await change("POST", `${pathOf(id)}/${kind}`);
    card.expect(null);
    await done(answer);
    tell(word(`watch.did_${kind}`, { name }));
  } catch (problem) {
    card.expect(null);
    refused(problem);
  }
};

/** The entries of a card's menu for the signed-in person; `done` is called after a change. */
export const menuOf = (card, done) => {
  const camera = card.told;
  const language = document.body.dataset.language;
  const events = new URL(`${language}/events?camera=${encodeURIComponent(camera.id)}`, root).href;
  return [
    { text: word("watch.seen"), act: () => openSeen(camera) },
    { text: word("watch.its_events"), href: events },
    may.operator && camera.has_usual_view && { text: word("watch.view"), act: () => acceptView(camera, done) },
    may.admin && { text: word("watch.rename"), act: () => openNames(camera, done) },
    may.admin && { text: word("watch.rules"), act: () => openRules(camera, done).catch(refused) },
    may.admin && { text: word("watch.masks"), act: () => openMasks(camera, done) },
    may.admin && { text: word("watch.test_again"), act: () => openTest(camera) },
    may.admin && { text: word("watch.remove"), act: () => remove(camera, done), isGrave: true },
  ].filter(Boolean);
};
