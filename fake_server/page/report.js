// The report of a check: what came of each run, and its story, drawn as in the control room.
import { make } from "./dom.js";
import { Journal } from "./journal.js";
import { Lanes, legend, taskTable } from "./lanes.js";
import { ORDER, judgements, unmatched, verdict } from "./rules.js";
import { amount, count } from "./words.js";

function why(run) {
  const failed = run.expectations.filter((row) => row.verdict === "FAIL").map((row) => row.name);
  return failed.length ? failed.join(", ") : (run.reason ?? "");
}

function body(run) {
  const parts = [];
  const place = make("div");
  const journal = new Journal(place, { newestFirst: false });
  const opens = (ordinal) => journal.reveal(ordinal);
  const { story } = run;
  if (!story) return [make("p", { class: "note" }, run.reason ?? "Nothing was seen of this run.")];
  const lines = new Map(story.lines.map(({ headers, ...line }) => [line.ordinal, { ...line, header_names: story.header_sets[headers] }]));
  const picture = make("div");
  const lanes = new Lanes(picture, { opens });
  const table = make("details", {}, make("summary", {}, "The same as a table"), make("div", { class: "scrolls" }, taskTable(story, lines)));
  parts.push(make("section", { "aria-label": "Timeline" }, make("p", { class: "summary" }, `${story.scenario.summary} Bill ${amount(story.bill.total)}.`), picture, legend(), table));
  parts.push(judgements("Expectations", run.expectations, opens));
  parts.push(make("section", { "aria-label": "Journal" }, make("h2", {}, "Journal"), place));
  if (story.unmatched.length) parts.push(make("section", {}, make("h2", {}, "Why nothing matched"), unmatched(story.unmatched, opens)));
  const words = [["It printed", run.output], ["It complained", run.errors]].filter(([, text]) => text.trim());
  for (const [name, text] of words) parts.push(make("details", {}, make("summary", {}, name), make("pre", {}, text)));
  requestAnimationFrame(() => {
    lanes.show(story, lines, story.now_s);
    journal.show(lines, story.lines_left_out);
  });
  return parts;
}

function row(run) {
  const took = run.took_s === null ? "" : `${run.took_s.toFixed(1)} s`;
  const inside = make("div", { class: "run-body" });
  const summary = make("summary", {}, verdict(run.verdict), make("b", {}, run.scenario, " ", make("small", {}, run.dialect)), make("span", { class: "when" }, took), make("span", { class: "why" }, why(run)));
  const item = make("details", { class: "run", "data-run": `${run.scenario} ${run.dialect}` }, summary, inside);
  // A run is drawn when somebody looks at it.
  item.addEventListener("toggle", () => {
    if (item.open && !inside.children.length) inside.append(...body(run));
  });
  return item;
}

function show(report) {
  const counts = Object.entries(report.summary).filter(([word, number]) => number > 0 || word !== "INCOMPLETE").map(([word, number]) => make("span", { class: `verdict verdict-${word}` }, `${number} ${word.toLowerCase().replace("_", " ")}`));
  const runs = [...report.runs].sort((one, other) => ORDER.indexOf(one.verdict) - ORDER.indexOf(other.verdict));
  const rows = runs.map(row);
  document.getElementById("report").replaceChildren(make("p", { class: "counts" }, counts), make("p", { class: "note" }, `${count(report.runs.length, "run")}, fake-dashscope ${report.fake_version}. What failed comes first.`), make("div", {}, rows));
  const first = rows.find((item, index) => runs[index].verdict === "FAIL") ?? (rows.length === 1 ? rows[0] : undefined);
  if (first) first.open = true;
}

show(JSON.parse(document.getElementById("data").textContent));
