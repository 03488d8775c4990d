// Single pictures of a clip, drawn by the browser from the clip itself: no request but those of its ranges.

export class ClipFrames {
  #video = null;
  #number = 0;

  /** Draws the picture at each second into its canvas, one after the other; false if a later call has ended this one. */
  async read(url, wanted) {
    if (!wanted.length) return true;
    const video = this.#opened(url);
    const number = ++this.#number;
    if (!(await ready(video))) return number === this.#number;
    for (const { second, canvas, onDrawn } of [...wanted].sort((one, other) => one.second - other.second)) {
      if (number !== this.#number) return false;
      const isThere = await seeked(video, second);
      if (number !== this.#number) return false;
      if (isThere) draw(video, canvas);
      onDrawn?.();
    }
    return true;
  }

  /** Lets go of the clip. */
  stop() {
    this.#number += 1;
    this.#video?.removeAttribute("src");
    this.#video?.load();
    this.#video = null;
  }

  #opened(url) {
    if (this.#video?.src === url) return this.#video;
    this.stop();
    this.#video = document.createElement("video");
    this.#video.muted = true;
    this.#video.preload = "auto";
    this.#video.src = url;
    return this.#video;
  }
}

const once = (video, good) =>
  new Promise((done) => {
    const settle = (isGood) => () => {
      video.removeEventListener(good, yes);
      video.removeEventListener("error", no);
      video.removeEventListener("emptied", no);
      done(isGood);
    };
    const [yes, no] = [settle(true), settle(false)];
    video.addEventListener(good, yes);
    video.addEventListener("error", no);
    video.addEventListener("emptied", no);
  });

const ready = (video) => (video.readyState >= 2 ? Promise.resolve(true) : once(video, "loadeddata"));

const seeked = (video, second) => {
  const wanted = Math.min(Math.max(0, second), Math.max(0, video.duration - 0.02));
  if (Math.abs(video.currentTime - wanted) < 0.01) return Promise.resolve(true);
  const done = once(video, "seeked");
  video.currentTime = wanted;
  return done;
};

const draw = (video, canvas) => {
  canvas.height = Math.round((canvas.width * video.videoHeight) / Math.max(1, video.videoWidth));
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
};
