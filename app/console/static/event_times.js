// Times as the review shows them: in the viewer's zone, which is named; of files, which have no clock, the position.
import { word } from "./words.js";

const language = document.documentElement.lang || "en";
const parts = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const offset = new Intl.DateTimeFormat("en-GB", { timeZoneName: "longOffset" });
const weekday = new Intl.DateTimeFormat(language, { weekday: "short" });
const pad = (number, width = 2) => String(number).padStart(width, "0");

const partsOf = (date) => Object.fromEntries(parts.formatToParts(date).map(({ type, value }) => [type, value]));
const dateOf = (date) => {
  const { year, month, day } = partsOf(date);
  return `${year}-${month}-${day}`;
};
const clockAt = (date) => {
  const { hour, minute, second } = partsOf(date);
  return `${hour}:${minute}:${second}`;
};

/** The zone's name, such as Asia/Shanghai. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The offset of the zone at a time, such as +08:00: two hours have the same name when clocks are set back. */
export const offsetOf = (utc) => {
  const named = offset.formatToParts(new Date(utc)).find(({ type }) => type === "timeZoneName")?.value || "GMT";
  return named.replace("GMT", "") || "+00:00";
};

/** 2026-11-20 14:32:15 +08:00 */
export const fullTime = (utc) => {
  const date = new Date(utc);
  return Number.isNaN(date.getTime()) ? "–" : `${dateOf(date)} ${clockAt(date)} ${offsetOf(utc)}`;
};

/** Today 14:32:15, yesterday 14:32:15, or 2026-11-20 14:32:15. */
export const shortTime = (utc) => {
  const date = new Date(utc);
  if (Number.isNaN(date.getTime())) return "–";
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  const day = dateOf(date);
  if (day === dateOf(today)) return `${word("events.today")} ${clockAt(date)}`;
  if (day === dateOf(yesterday)) return `${word("events.yesterday")} ${clockAt(date)}`;
  return `${day} ${clockAt(date)}`;
};

/** 14:32:15, or 14:32:15.4 */
export const clockTime = (utc, { tenths = false } = {}) => {
  const date = new Date(utc);
  if (Number.isNaN(date.getTime())) return "–";
  return clockAt(date) + (tenths ? `.${Math.floor(date.getMilliseconds() / 100)}` : "");
};

/** Fri 14:32, for the ticks of a long strip. */
export const tickTime = (ms, spanMs) => {
  const date = new Date(ms);
  const clock = clockAt(date);
  if (spanMs <= 15 * 60e3) return clock;
  return spanMs > 26 * 3600e3 ? `${weekday.format(date)} ${clock.slice(0, 5)}` : clock.slice(0, 5);
};

/** A position in a file: 1:02:03.4 */
export const position = (seconds, { tenths = true } = {}) => {
  const whole = Math.max(0, seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = tenths ? pad((Math.floor(whole * 10) % 600 / 10).toFixed(1), 4) : pad(Math.floor(whole % 60));
  return hours ? `${hours}:${pad(minutes)}:${rest}` : `${minutes}:${rest}`;
};

/** When a second of an event's source was: the time of day, or the position in a file. */
export const within = (event, second, { tenths = true } = {}) =>
  event.epoch_s == null ? position(second, { tenths }) : clockTime((event.epoch_s + second) * 1000, { tenths });

/** When an event began, for lists and titles. */
export const happened = (event, { full = false } = {}) => {
  if (!event.onset_utc) return position(event.onset_s);
  return full ? fullTime(event.onset_utc) : shortTime(event.onset_utc);
};

/** How long something lasts: 3.4 s, 34 s, 4 min 10 s. */
export const lasting = (seconds) => {
  if (seconds < 10) return word("events.seconds", { seconds: seconds.toFixed(1) });
  if (seconds < 100) return word("events.seconds", { seconds: Math.round(seconds) });
  return word("events.minutes", { minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60) });
};

/** How long an event lasts, or that it goes on. */
export const duration = (event) =>
  event.end_s == null ? word("events.goes_on") : lasting(event.end_s - event.onset_s);

/** The value of an `<input type=datetime-local>` for a time. */
export const localInput = (utc) => {
  const date = new Date(utc);
  return Number.isNaN(date.getTime()) ? "" : `${dateOf(date)}T${clockAt(date)}`;
};

/** The time that was typed into one, in UTC; empty if there is none. */
export const utcOf = (typed) => {
  const date = new Date(typed);
  return typed && !Number.isNaN(date.getTime()) ? date.toISOString() : "";
};
