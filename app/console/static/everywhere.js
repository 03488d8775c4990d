// Runs on every page, of the console and of Gradio: alarms are heard and seen wherever somebody is.
import { alarms } from "./alarms.js";
import { strip } from "./alarm_strip.js";
import { learnNames } from "./incidents.js";
import { live } from "./live.js";
import { startNotifications } from "./notifications.js";
import { sound } from "./sound.js";

alarms.start();
sound.start();
startNotifications();
strip.start();
live.addEventListener("up", async () => {
  await learnNames();
  strip.draw();
});
live.start();
