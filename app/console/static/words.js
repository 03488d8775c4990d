// The texts of the page, in its language: word("console.ack", { name: "lena" }).
const texts = JSON.parse(document.getElementById("vigil-words")?.textContent || "{}");

/** The text of a key with its placeholders filled in; the key itself if there is none. */
export const word = (key, values = {}) =>
  (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

/** Whether there is such a text. */
export const hasWord = (key) => key in texts;

const language = document.documentElement.lang || "en";
const pad = (number) => String(number).padStart(2, "0");
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });

/** A time of day, with the date if it is not of today. */
export const timeOf = (utc) => {
  const at = new Date(utc);
  if (!utc || Number.isNaN(at.getTime())) return "–";
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
};

/** A span as 0:21, 12:05 or 1:02:03. */
export const spanOf = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
};

/** A probability as 96 %, or a dash. */
export const percentOf = (probability) => (probability == null ? "–" : `${Math.round(100 * probability)} %`);

/** A camera's name as it is shown: of an address only its end, if that tells anything. */
export const shortName = (name) => {
  const [, path] = /^\w+:\/\/[^/]+\/(.+)$/.exec(name) || [];
  return path && !path.includes("***") ? path : name.replace(/^\w+:\/\//, "");
};
