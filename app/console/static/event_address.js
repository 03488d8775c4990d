// The address names what is shown: the event in its path, the filters behind it, so that a link shows the same.
import { root } from "./api.js";
import { addressQuery, carryQuery } from "./shell.js";

const FILTERS = ["text", "since", "until", "camera", "place", "tier", "state", "mark", "rule", "label"];
const language = document.body.dataset.language;

const home = () => new URL(`${language}/events`, root);

const eventIn = (pathname) => {
  const rest = pathname.slice(home().pathname.length);
  if (!rest.startsWith("/")) return "";
  try {
    return decodeURIComponent(rest.slice(1));
  } catch {
    return "";
  }
};

/** The filters and the event that the address names. */
export const readAddress = () => {
  // What came along from the page in the other language stands behind the hash.
  const query = addressQuery();
  const filters = {};
  for (const name of FILTERS) if (query.get(name)) filters[name] = query.get(name).slice(0, 200);
  return { event: eventIn(location.pathname), missed: query.get("missed") || "", filters };
};

/** The address of an event or, without one, of the list. */
export const addressOf = ({ event = "", missed = "", filters = {} } = {}) => {
  const url = event ? new URL(`${home().pathname}/${encodeURIComponent(event)}`, root) : home();
  for (const name of FILTERS) if (filters[name]) url.searchParams.set(name, filters[name]);
  if (missed) url.searchParams.set("missed", missed);
  return url;
};

/** Makes the address name what is shown; the link to the other language takes it along. */
export const writeAddress = (shown) => {
  const url = addressOf(shown);
  if (url.href !== location.href) history.replaceState(null, "", url);
  carryQuery(url.search, { page: shown.event ? `events/${shown.event}` : "events" });
};

/** What the service is asked for by filters: missed incidents have fewer, and are no mark of an event. */
export const queryOf = (filters) => ({ ...filters });

/** Whether the list shows missed incidents. */
export const isOfMissed = (filters) => filters.mark === "missed";

/** The filters that missed incidents have. */
export const missedQueryOf = ({ since, until, camera, place, text }) => ({ since, until, camera, place, text });
