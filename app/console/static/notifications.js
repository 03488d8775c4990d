// Notifications of the browser, where the person has allowed them. Of the pages of a browser one shows them.
import { alarms } from "./alarms.js";
import { pageOf } from "./alarm_strip.js";
import { live } from "./live.js";
import { word } from "./words.js";

const LONGEST = 160;

/** granted, denied, default, or unavailable. */
export const permission = () => (window.Notification ? Notification.permission : "unavailable");

/** Asks the person. */
export const askPermission = async () => {
  if (window.Notification) await Notification.requestPermission();
};

const show = (event, isLate) => {
  const camera = alarms.cameraOf(event).name;
  const title = word(isLate ? "console.alarm_late" : "console.alarm_title", { camera });
  try {
    const shown = new Notification(title, { body: (event.text || "").slice(0, LONGEST), tag: event.event });
    shown.onclick = () => {
      window.focus();
      location.assign(pageOf(event.event));
    };
  } catch (problem) {
    // Chrome on Android shows none of a page's own, and throws.
    console.info(`no notification: ${problem.message}`);
  }
};

/** Shows every new alarm from now on. */
export const startNotifications = () => {
  alarms.addEventListener("new", ({ detail: { events, isEarlier, isLate } }) => {
    if (isEarlier || !live.isListening || permission() !== "granted") return;
    events.forEach((event) => show(event, isLate));
  });
};
