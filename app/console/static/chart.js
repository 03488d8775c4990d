// The probability of alarm over time as a strip of bars: teal normal, amber to review, red alarm, hatched where nothing
// is known. It is drawn when there is something new, never by a clock.
const HATCH_PX = 6;
const LEAST_BAR_PX = 2;
const GAP = 2.5; // windows that are further apart than this many times the usual leave a hole

let colours = null;

const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { high: of("--alarm-fill") || of("--alarm"), low: of("--review-fill"), normal: of("--normal-fill"), hatch: of("--hatch"), line: of("--line") };
};

/** The theme has changed: colours are read anew at the next drawing. */
export const forgetColours = () => {
  colours = null;
};

const hatched = (pen, scale) => {
  const tile = new OffscreenCanvas(HATCH_PX * scale, HATCH_PX * scale);
  const brush = tile.getContext("2d");
  brush.scale(scale, scale);
  brush.strokeStyle = colours.hatch;
  brush.lineWidth = 1.6;
  for (const shift of [-HATCH_PX, 0, HATCH_PX]) {
    brush.beginPath();
    brush.moveTo(shift, HATCH_PX);
    brush.lineTo(shift + HATCH_PX, 0);
    brush.stroke();
  }
  return pen.createPattern(tile, "repeat");
};

/** The colour of a probability between the tiers' thresholds. */
export const tierOf = (probability, tiers) => {
  if (probability == null) return "unknown";
  if (probability >= tiers.high) return "high";
  return probability >= tiers.low ? "low" : "normal";
};

const strideOf = (points) => {
  const gaps = points.slice(1).map((point, index) => point.end_s - points[index].end_s);
  const sorted = gaps.filter((gap) => gap > 0).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] || 2;
};

/** Spans of the strip: {from_s, to_s, p_alarm, cause}, holes between windows among them as unknown. */
export const spansOf = (points, { fromS, toS }) => {
  const stride = strideOf(points);
  const spans = [];
  let reached = fromS;
  for (const { end_s: endS, p_alarm: p, cause } of points) {
    if (endS <= fromS) continue;
    const begin = endS - reached > GAP * stride ? endS - stride : reached;
    if (begin > reached) spans.push({ from_s: reached, to_s: begin, p_alarm: null, cause: null });
    spans.push({ from_s: Math.max(begin, fromS), to_s: endS, p_alarm: p, cause });
    reached = endS;
  }
  if (toS - reached > GAP * stride) spans.push({ from_s: reached, to_s: toS, p_alarm: null, cause: null });
  return spans;
};

const drawSpan = (pen, span, { x, height, tiers, hatch }) => {
  const left = x(span.from_s);
  const width = Math.max(1, x(span.to_s) - left - 1);
  if (span.p_alarm == null) {
    pen.fillStyle = hatch;
    pen.fillRect(left, 0, width + 1, height);
    return;
  }
  const bar = Math.max(LEAST_BAR_PX, span.p_alarm * height);
  pen.fillStyle = colours[tierOf(span.p_alarm, tiers)];
  pen.fillRect(left, height - bar, width, bar);
};

const drawThreshold = (pen, at, { width, height }) => {
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  pen.beginPath();
  pen.moveTo(0, Math.round(height - at * height) + 0.5);
  pen.lineTo(width, Math.round(height - at * height) + 0.5);
  pen.stroke();
  pen.setLineDash([]);
};

/** Draws `points` ({end_s, p_alarm, cause}, oldest first) from `fromS` to `toS` on a canvas of its present size. */
export const drawStrip = (canvas, points, { fromS, toS, tiers }) => {
  colours ??= readColours();
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = Math.min(2, devicePixelRatio || 1);
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const x = (second) => Math.round(((second - fromS) / (toS - fromS)) * width);
  drawThreshold(pen, tiers.high, { width, height });
  const hatch = hatched(pen, 1);
  for (const span of spansOf(points, { fromS, toS })) drawSpan(pen, span, { x, height, tiers, hatch });
};
