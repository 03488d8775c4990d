// The report of a day or a shift: linked by its address, printed without the rest of the page. Times stand as the clocks
// of the report's zone show them; what cameras, models and people have written goes in as text.
import { ask, root } from "./api.js";
import { make, setText, tell } from "./dom.js";
import { zone } from "./event_times.js";
import { incidentName, learnNames } from "./incidents.js";
import { addressQuery, carryQuery, isReady } from "./shell.js";
import { shortName, word } from "./words.js";

const SHIFTS = ["", "06:00-14:00", "14:00-22:00", "22:00-06:00"];
const TIERS = ["high", "medium", "low"];
const language = document.body.dataset.language;

const clock = (local) => local.slice(5, 16).replace("T", " ");
const hours = (seconds) => word("report.hours", { hours: (seconds / 3600).toFixed(1) });

const table = (heads, rows, { isNumeric = [] } = {}) => {
  const cell = (tag) => (content, at) => make(tag, { class: isNumeric.includes(at) ? "is-number" : null, "data-head": tag === "td" ? heads[at] : null }, content);
  const body = rows.map((row) => make("tr", {}, ...row.map(cell("td"))));
  return make("div", { class: "report-scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads.map(cell("th")))), make("tbody", {}, ...body)));
};

const section = (key, ...content) => make("section", { id: `report-${key}` }, make("h2", {}, word(`report.${key}`)), ...content);

class ReportPage {
  #number = 0;

  constructor(main) {
    this.day = make("input", { type: "date", id: "report-day" });
    this.shift = make("input", { id: "report-shift", maxlength: 20, list: "report-shifts", placeholder: word("report.whole_day") });
    this.zone = make("input", { id: "report-zone", maxlength: 64, spellcheck: "false" });
    const shifts = make("datalist", { id: "report-shifts" }, ...SHIFTS.filter(Boolean).map((value) => make("option", { value })));
    const field = (key, input) => make("label", { class: "field" }, word(`report.${key}`), input);
    this.form = make("form", { class: "report-form", id: "report-form" }, field("day", this.day), field("shift", this.shift), shifts, field("zone", this.zone),
      make("button", { class: "button is-main", id: "report-show" }, word("report.show")),
      make("button", { class: "button", type: "button", id: "report-print", onclick: () => window.print() }, word("report.print")));
    this.title = make("h1", { id: "report-title" }, word("report.title"));
    this.state = make("p", { class: "report-quiet", id: "report-state", role: "status" });
    this.body = make("div", { id: "report-body" });
    main.replaceChildren(make("article", { class: "report" }, this.form, this.title, this.state, this.body));
    this.form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.#go();
    });
    window.addEventListener("popstate", () => this.start());
  }

  /** Shows the report of the address: the last day that is over if it names none. */
  async start() {
    const asked = addressQuery();
    this.day.value = asked.get("day") ?? "";
    this.shift.value = asked.get("shift") ?? "";
    this.zone.value = asked.get("timezone") ?? zone;
    await this.#show();
    isReady();
  }

  #go() {
    history.pushState(null, "", this.#address());
    this.#show();
  }

  // An empty shift and zone stay in the address: a link says the same wherever it is opened.
  #address() {
    const query = new URLSearchParams({ day: this.day.value, shift: this.shift.value.trim(), timezone: this.zone.value.trim() });
    return `?${query}`;
  }

  async #show() {
    this.#number += 1;
    const number = this.#number;
    setText(this.state, word("report.loading"));
    const query = { day: this.day.value, shift: this.shift.value.trim(), timezone: this.zone.value.trim() };
    try {
      const report = await ask("reports", { query });
      if (number !== this.#number) return;
      this.day.value = report.since.slice(0, 10);
      // From now on the address says which day it was: "the last one" is another one tomorrow.
      history.replaceState(null, "", this.#address());
      carryQuery(this.#address());
      this.#fill(report);
    } catch (problem) {
      if (number !== this.#number) return;
      setText(this.state, "");
      tell(word("report.failed", { why: problem.message }), { isProblem: true });
    }
  }

  #fill(report) {
    setText(this.title, word("report.of", { since: report.since.slice(0, 16).replace("T", " "), until: report.until.slice(0, 16).replace("T", " ") }));
    document.title = `${this.title.textContent} · Vigil`;
    const state = [word("report.in_zone", { zone: report.timezone || word("report.machine"), offset: report.since.slice(-6) })];
    if (!report.is_over) state.push(word("report.not_over"));
    if (report.is_cut) state.push(word("report.cut"));
    setText(this.state, state.join(" "));
    this.body.replaceChildren(this.#counts(report), this.#cameras(report), this.#unseen(report), ...this.#missed(report), this.#outages(report), this.#by(report));
  }

  #counts({ events, observations, missed, unseen_count: unseen, cameras }) {
    const total = (tier) => cameras.reduce((sum, camera) => sum + (camera.tiers[tier] ?? 0), 0);
    const told = [["events", events], ["high", total("high")], ["unseen_short", unseen], ["missed_short", missed.length], ["observations", observations]];
    return make("dl", { class: "report-counts" }, ...told.map(([key, count]) => make("div", {}, make("dt", {}, word(`report.${key}`)), make("dd", { "data-key": key }, String(count)))));
  }

  #cameras({ cameras }) {
    const heads = [word("report.camera"), word("report.place"), ...TIERS.map((tier) => word(`report.${tier}`)), word("report.judged"), word("report.unknown")];
    const rows = cameras.map((each) => [shortName(each.name), each.place, ...TIERS.map((tier) => String(each.tiers[tier] ?? 0)), hours(each.judged_s), `${each.unknown_windows} / ${each.windows}`]);
    return section("cameras", rows.length ? table(heads, rows, { isNumeric: [2, 3, 4, 5, 6] }) : make("p", {}, word("report.nothing")));
  }

  #unseen({ unseen, unseen_count: count }) {
    if (!count) return section("unseen", make("p", {}, word("report.all_seen")));
    const link = (event) => make("a", { href: new URL(`${language}/events/${encodeURIComponent(event)}`, root).href }, word("report.open"));
    const heads = [word("report.when"), word("report.camera"), word("report.tier"), word("report.what"), ""];
    const rows = unseen.map((each) => [each.onset ? clock(each.onset) : `${each.onset_s.toFixed(1)} s`, shortName(each.camera), word(`report.${each.tier}`), [incidentName(each), each.text].filter(Boolean).join(": "), link(each.event)]);
    const more = count > unseen.length && make("p", { class: "report-quiet" }, word("report.more", { count: count - unseen.length }));
    return section("unseen", table(heads, rows), ...(more ? [more] : []));
  }

  #missed({ missed }) {
    if (!missed.length) return [];
    const rows = missed.map((each) => [clock(each.since), shortName(each.camera), each.note]);
    return [section("missed", table([word("report.when"), word("report.camera"), word("report.note")], rows))];
  }

  #outages({ cameras }) {
    const away = cameras.filter(({ outages }) => outages.length);
    if (!away.length) return section("outages", make("p", {}, word("report.no_outages")));
    const line = ({ name, outages }) => make("li", {}, `${shortName(name)}: ${outages.map(([from, to]) => `${clock(from)} – ${clock(to)}`).join(", ")}`);
    return section("outages", make("ul", {}, ...away.map(line)), make("p", { class: "report-quiet" }, word("report.steps")));
  }

  #by({ rules, hours: byHour, marks }) {
    const rows = (counts, name, order) => Object.entries(counts).sort(order).map(([key, count]) => [name(key), String(count)]);
    const most = ([, one], [, other]) => other - one;
    const of = (key, found) => (found.length ? [table([word(`report.${key}`), word("report.events")], found, { isNumeric: [1] })] : []);
    const parts = [
      ...of("rule", rows(rules, (rule) => incidentName({ rule, label: "" }), most)),
      ...of("hour", rows(byHour, (hour) => hour.padStart(2, "0"), ([one], [other]) => one - other)),
      ...of("marks", rows(marks, (mark) => word(`report.mark_${mark}`), most)),
    ];
    return section("counted", parts.length ? make("div", { class: "report-side" }, ...parts) : make("p", {}, word("report.nothing")));
  }
}

await learnNames();
new ReportPage(document.getElementById("main")).start();
