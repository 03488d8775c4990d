// Alarms: a short sound made here (no file), and a notification of the browser where the visitor allowed it.
// Both are settings of this browser. Browsers let pages sound only after a click: the first one anywhere will do.
const bell = (() => {
  let audio = null;
  const wake = () => {
    audio = audio || new AudioContext();
    audio.resume();
  };
  for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, wake, { once: true });

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
  return {
    get wanted() {
      return localStorage.getItem("vigil-sound") !== "off";
    },
    get permission() {
      return window.Notification ? Notification.permission : "unavailable";
    },
    switchSound() {
      localStorage.setItem("vigil-sound", this.wanted ? "off" : "on");
      if (this.wanted) this.ring();
    },
    ring() {
      window.vigilRung = (window.vigilRung || 0) + 1;
      if (!audio || audio.state !== "running") return;
      beep(audio.currentTime, 880);
      beep(audio.currentTime + 0.32, 660);
    },
    async ask() {
      if (window.Notification) await Notification.requestPermission();
    },
    tell(title, body, tag, opened) {
      if (this.wanted) this.ring();
      if (this.permission !== "granted") return;
      const shown = new Notification(title, { body, tag });
      shown.onclick = () => {
        window.focus();
        opened();
      };
    },
  };
})();
