// Alarms: a short sound made here (no file), and a notification of the browser where the visitor allowed it.
// Both are settings of this browser. Browsers let pages sound only after a click: the first one anywhere will do.
// Every page listens from its beginning on. A browser opens six connections to a site in all, so of its pages one asks
// (Web Locks; not on a plain address of the network) and tells the others; the one that asks rings for all.
window.vigilBell = window.vigilBell || (() => {
  const RETRY_MS = 3000;
  const RING_S = 0.8;
  let audio = null;
  let free = 0;
  let seen = "";
  const isBlocked = () => audio?.state !== "running";
  const wake = () => {
    if (!isBlocked()) return;
    if (!audio) {
      audio = new AudioContext();
      audio.onstatechange = () => document.dispatchEvent(new CustomEvent("vigil-sound"));
    }
    audio.resume();
  };
  for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, wake);

  const beep = (at, hz) => {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.35, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.28);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.3);
  };

  const wanted = () => localStorage.getItem("vigil-sound") !== "off";
  const permission = () => (window.Notification ? Notification.permission : "unavailable");

  // Alarms that come together sound one after the other.
  const ring = () => {
    if (isBlocked()) return false;
    window.vigilRung = (window.vigilRung || 0) + 1;
    free = Math.max(free, audio.currentTime);
    beep(free, 880);
    beep(free + 0.32, 660);
    free += RING_S;
    return true;
  };

  const open = (id) => {
    window.vigilWantedEvent = id;
    document.querySelector("#tab-review-button, button[aria-controls='tab-review']")?.click();
    document.dispatchEvent(new CustomEvent("vigil-open-event"));
  };

  const show = ({ id, title, text }) => {
    if (permission() !== "granted") return;
    try {
      const shown = new Notification(title, { body: text, tag: id });
      shown.onclick = () => {
        window.focus();
        open(id);
      };
    } catch (problem) {
      // Chrome on Android shows none of a page's own, and throws.
      console.info(`no notification: ${problem.message}`);
    }
  };

  // What was seen is pairs of a scope and a number: of the store's log, and of what this start keeps in memory.
  const heard = (scope) => {
    const parts = seen.split(".");
    const at = parts.findIndex((part, index) => index % 2 === 0 && part === scope);
    return at < 0 ? -1 : Number(parts[at + 1]);
  };
  const isNew = (alarm) => {
    const [scope, number] = alarm.key.split(".");
    return Number(number) > heard(scope);
  };

  // What was heard already, from the server or from another page, is not heard again.
  const hear = (news, told) => {
    const alarms = news.alarms.filter(isNew);
    seen = news.seen;
    const rings = wanted() && !news.rung;
    const rung = rings ? alarms.map(ring).every(Boolean) : Boolean(news.rung);
    if (!told) alarms.forEach(show);
    return rung;
  };

  const listen = async (language) => {
    // One host may have several of these sites, each below a path of its own.
    const name = `vigil-bell-${new URL("..", location.href).pathname}${language}`;
    const pages = new BroadcastChannel(name);
    pages.onmessage = ({ data }) => hear(data, true);
    const ask = async () => {
      const address = new URL(`../alarms/${language}`, location.href);
      address.searchParams.set("seen", seen);
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address.pathname} answered ${answer.status}`);
      const news = await answer.json();
      pages.postMessage({ ...news, rung: hear(news, false) });
    };
    for (;;) {
      try {
        await (navigator.locks ? navigator.locks.request(name, ask) : ask());
      } catch {
        await new Promise((done) => setTimeout(done, RETRY_MS));
      }
    }
  };

  return {
    get wanted() {
      return wanted();
    },
    get blocked() {
      return isBlocked();
    },
    get permission() {
      return permission();
    },
    switchSound() {
      localStorage.setItem("vigil-sound", wanted() ? "off" : "on");
      if (wanted()) ring();
    },
    async ask() {
      if (window.Notification) await Notification.requestPermission();
    },
    open,
    listen,
  };
})();
