// The wall of cameras. It asks the server for what is new since it last looked; the server answers when there is
// something, so pictures come as they are made and nothing is drawn again that did not change.
// Everything from a camera or a model goes in by textContent, never as HTML.
const RETRY_MS = 2000;
const LOOK_MS = 250;
const TWO_FRAMES_MS = 34;
const LONGEST_REST_MS = 800;
const root = element.querySelector(".room");
const part = (name) => root.querySelector(`.room-${name}`);
const cards = new Map();
let asked = { state: "", strips: {}, seen: {}, events: -1 };

const make = (tag, kind = "", text = "") => {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
};

const button = (kind, text, pressed) => {
  const made = make("button", kind, text);
  made.type = "button";
  made.addEventListener("click", pressed);
  return made;
};

const say = (text, isProblem = false) => {
  const line = part("said");
  line.textContent = text;
  line.classList.toggle("is-problem", isProblem);
};

const order = async (what, name) => {
  const answer = await server.act({ what, name });
  say(answer ? answer.text : words.away, !answer || answer.problem);
};

const newCard = (name) => {
  const card = make("article", "room-card");
  card.dataset.camera = name;
  const top = make("header");
  const view = make("div", "room-view");
  const picture = make("img", "room-picture");
  picture.alt = `${words.picture} ${name}`;
  view.append(picture, make("span", "room-nothing", words.no_picture), make("span", "room-event"));
  top.append(make("b", "room-name", name), make("span", "room-stage"));
  const tools = make("footer");
  tools.append(
    button("room-hold", "", () => order(card.dataset.paused ? "resume" : "pause", name)),
    button("room-remove", words.remove, () => confirm(words.sure.replace("{name}", name)) && order("remove", name)),
  );
  const strip = make("img", "room-strip");
  strip.alt = words.strip;
  strip.hidden = picture.hidden = true;
  card.append(top, view, strip, make("p", "room-detail"), make("dl", "room-facts"), tools);
  return card;
};

const fillCard = (card, told) => {
  const at = (name) => card.querySelector(`.room-${name}`);
  const text = JSON.stringify(told);
  if (card.told === text) return;
  card.told = text;
  card.last = told;
  card.dataset.paused = told.paused ? "yes" : "";
  at("stage").textContent = told.stage;
  at("stage").className = `room-stage is-${told.tone}`;
  at("detail").textContent = told.detail;
  at("event").textContent = told.open;
  at("event").className = `room-event tier-${told.tier}`;
  card.classList.toggle("has-event", Boolean(told.open));
  card.classList.toggle("is-stale", told.stale);
  at("hold").textContent = told.paused ? words.resume : words.pause;
  at("facts").replaceChildren(
    ...told.facts.map(([label, value]) => {
      const fact = make("div");
      fact.append(make("dt", "", label), make("dd", "", value));
      return fact;
    }),
  );
};

// Without news nobody knows how a camera is: what was told last is not shown as if it were so now.
const forgetCards = () => {
  for (const card of cards.values()) {
    const facts = card.last.facts.map(([label]) => [label, "–"]);
    fillCard(card, { ...card.last, stage: words.stage_unknown, tone: "off", stale: true, open: "", tier: "", facts });
  }
};

const showCards = (told) => {
  const names = told.map((one) => one.name);
  for (const [name, card] of cards) {
    if (names.includes(name)) continue;
    card.remove();
    cards.delete(name);
    delete asked.strips[name];
    delete asked.seen[name];
  }
  for (const one of told) {
    if (!cards.has(one.name)) {
      cards.set(one.name, newCard(one.name));
      part("cards").append(cards.get(one.name));
    }
    fillCard(cards.get(one.name), one);
  }
  part("empty").hidden = told.length > 0;
};

const showPictures = (pictures, kind) => {
  for (const [name, [key, url]] of Object.entries(pictures)) {
    const card = cards.get(name);
    if (!card) continue;
    const image = card.querySelector(`.room-${kind}`);
    image.src = url;
    image.hidden = false;
    if (kind === "picture") card.querySelector(".room-nothing").hidden = true;
    asked[kind === "picture" ? "seen" : "strips"][name] = key;
  }
};

const eventRow = (event) => {
  const row = make("li");
  const open = button(`room-row tier-${event.tier}`, "", () => vigilBell.open(event.id));
  open.dataset.event = event.id;
  const image = make(event.snapshot ? "img" : "span", "room-snapshot");
  if (event.snapshot) {
    image.src = event.snapshot;
    image.alt = "";
  }
  const lines = make("span", "room-lines");
  const first = make("span", "room-first");
  first.append(make("span", `tier-badge tier-${event.tier}`, event.tier_text), make("b", "", event.source));
  const second = make("span", "room-first");
  second.append(make("time", "", event.when), make("span", "room-lasts", event.lasts));
  lines.append(first, second, make("span", "room-words", event.text));
  open.append(image, lines);
  row.append(open);
  return row;
};

const showEvents = (events) => {
  part("events").replaceChildren(...events.map(eventRow));
  part("quiet").hidden = events.length > 0;
};

const showProblem = (problem) => {
  const box = part("problem");
  box.hidden = !problem;
  if (!problem) return;
  const [before, after] = problem.advice.split("{command}");
  const advice = make("span", "", before);
  if (problem.command) advice.append(make("code", "", problem.command), after || "");
  box.replaceChildren(make("b", "", problem.title), advice, make("small", "", problem.why));
};

const showSpare = (names) => {
  const line = part("spare");
  line.replaceChildren(...names.map((name) => button("", `+ ${name}`, () => order("add", name))));
  line.hidden = !names.length;
};

const showWarnings = (warnings) => {
  part("warnings").replaceChildren(...warnings.map((warning) => make("li", "", warning)));
  part("warnings").hidden = !warnings.length;
};

const showBell = () => {
  const isOn = vigilBell.wanted && !vigilBell.blocked;
  part("sound").textContent = isOn ? words.sound_on : vigilBell.wanted ? words.sound_blocked : words.sound_off;
  part("sound").setAttribute("aria-pressed", isOn);
  const allowed = { granted: words.notes_on, denied: words.notes_denied, unavailable: words.notes_denied };
  part("notes").textContent = allowed[vigilBell.permission] || words.notes_ask;
  part("notes").disabled = vigilBell.permission !== "default";
};

const take = (news) => {
  if (news.cards) showCards(news.cards);
  if (news.events) showEvents(news.events);
  if (news.spare) showSpare(news.spare);
  if (news.warnings) showWarnings(news.warnings);
  if ("problem" in news) showProblem(news.problem);
  showPictures(news.pictures, "picture");
  showPictures(news.strips, "strip");
  asked.state = news.state;
  asked.events = news.events_version;
};

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise(requestAnimationFrame);

// A browser that draws slowly draws less often, so that clicks find room: what was late is waited for twice as long.
const draw = async (news) => {
  const beganMs = performance.now();
  take(news);
  await frame();
  await frame();
  const lateMs = performance.now() - beganMs - TWO_FRAMES_MS;
  if (lateMs > 0) await pause(Math.min(2 * lateMs, LONGEST_REST_MS));
};

// A room that nobody sees asks for nothing: alarms come another way (notify.js).
const follow = async () => {
  while (element.isConnected) {
    if (document.hidden || root.offsetParent === null) {
      await pause(LOOK_MS);
      continue;
    }
    const news = await server.look(asked);
    root.classList.toggle("is-away", !news);
    if (news) await draw(news);
    else {
      forgetCards();
      showProblem({ title: words.away, advice: words.away_advice, command: "python web.py", why: "" });
      asked.state = "";
      await pause(RETRY_MS);
    }
  }
};

// The press that is to let the page sound is not one that switches it off.
let pressed = false;
for (const gesture of ["pointerdown", "keydown"])
  part("sound").addEventListener(gesture, () => {
    pressed = vigilBell.wanted && vigilBell.blocked;
  });
part("sound").addEventListener("click", () => {
  if (!pressed) vigilBell.switchSound();
  pressed = false;
  showBell();
});
document.addEventListener("vigil-sound", showBell);
part("notes").addEventListener("click", async () => {
  await vigilBell.ask();
  showBell();
});
showBell();
follow();
