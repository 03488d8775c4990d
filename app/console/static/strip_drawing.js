// What charts of probabilities share: a sharp canvas, the colours of the page, hatching for what is not known.

const COLOURS = { ink: "--ink", soft: "--soft", faint: "--faint", line: "--line", hatch: "--hatch", ground: "--ground",
  alarm: "--alarm", review: "--review-fill", normal: "--normal-fill", focus: "--focus" };

/** The colours of the page as it is now, light or dark. */
export const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(Object.entries(COLOURS).map(([name, key]) => [name, style.getPropertyValue(key).trim()]));
};

/** The colour of a probability: red from the highest tier on, amber from the lowest, teal below. */
export const colourOf = (p, tiers, palette) => {
  if (p >= tiers.high) return palette.alarm;
  return p >= tiers.low ? palette.review : palette.normal;
};

/** Makes a canvas as sharp as the screen; returns its context, in CSS pixels, and its size. */
export const sharpen = (canvas) => {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
};

/** Fills a rectangle with hatching. */
export const hatch = (context, x, y, width, height, colour) => {
  if (width <= 0) return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let left = x - height; left < x + width; left += 6) {
    context.moveTo(left, y + height);
    context.lineTo(left + height, y);
  }
  context.stroke();
  context.restore();
};

/** Draws anew whenever the size or the theme changes; returns a function that draws at the next picture. */
export const keepDrawn = (canvas, draw) => {
  let waits = false;
  const soon = () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      if (canvas.clientWidth) draw();
    });
  };
  new ResizeObserver(soon).observe(canvas);
  addEventListener("vigil-theme", soon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  return soon;
};
