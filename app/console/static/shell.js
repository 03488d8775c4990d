// What every page of the console has: the strip of alarms, the switch of light and dark, and the end of loading.
import "./everywhere.js";
import { setText } from "./dom.js";

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme !== "dark";
  localStorage.setItem("vigil-theme", dark ? "dark" : "light");
  dispatchEvent(new Event("vigil-theme"));
});

const who = document.getElementById("who");
who.hidden = !document.body.dataset.name;

/** What the signed-in person may do: `operator` and `admin` are true for those with that role or a higher one. */
export const may = Object.freeze({
  operator: ["operator", "admin"].includes(document.body.dataset.role),
  admin: document.body.dataset.role === "admin",
});

/** Shows how many events wait for somebody, beside the link to them. */
export const showCount = (count) => {
  const badge = document.getElementById("events-count");
  setText(badge, count > 99 ? "99+" : String(count || ""));
  badge.hidden = !count;
};

/** The query of the address; the link to the other language brings it behind a #. */
export const addressQuery = () => new URLSearchParams(location.search || location.hash.replace(/^#/, "?"));

/** Makes the link to the other language take a query along, and lead to a `page` if one is named. */
export const carryQuery = (query, { page = "" } = {}) => {
  const link = document.getElementById("language");
  if (!link) return;
  const other = new URL(link.href);
  if (page) other.searchParams.set("page", page);
  other.hash = query.replace(/^\?/, "");
  link.href = other.href;
};

/** A page calls this when it can be used; tests wait for it. */
export const isReady = () => {
  document.body.dataset.ready = "yes";
};
