// The journal: what was asked and answered, filtered, with everything that is known of a line.
import { make, redrawIfNew } from "./dom.js";
import { MARKS, answered, count, seconds, short } from "./words.js";

const FEW_LINES = 100;
const WRONG = new Set(["throttle", "fault", "cut", "refused", "unmatched"]);

function fits(line, kind, text) {
  if (kind === "wrong" ? !WRONG.has(line.mark) : kind && line.mark !== kind) return false;
  if (!text) return true;
  const whole = [line.ordinal, line.method, line.path, line.query, line.task_id, answered(line), line.fault, line.route, MARKS[line.mark]].join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => whole.includes(word));
}

function detail(line) {
  const rows = [
    ["Request", `${line.method} ${line.path}${line.query ? `?${line.query}` : ""}`],
    ["Taken for", line.route],
    ["Task", line.task_id ?? "none"],
    ["Answered", line.status === 0 ? "nothing: the connection was cut" : String(line.status)],
    ["Struck by", line.fault ?? "nothing"],
    ["Retry-After", line.retry_after ?? "not sent"],
    ["Headers sent", line.header_names.join(", ") || "none"],
    ["Credentials", line.carried_secret ? "were sent; never kept" : "none were sent"],
    ["When", `${line.at_s} s after the world began`],
  ];
  return make("dl", { class: "detail" }, rows.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export class Journal {
  // Draws lines into a place, the newest first or the oldest.
  constructor(place, { newestFirst = true } = {}) {
    this.newestFirst = newestFirst;
    this.open = new Set();
    this.showsAll = false;
    this.lines = new Map();
    this.text = make("input", { type: "search", class: "filter-text", placeholder: "a status, a task, a path …", "aria-label": "Filter the journal by text", oninput: () => this.show() });
    const kinds = [["", "every request"], ["wrong", "what went wrong"], ...Object.entries(MARKS)];
    this.kind = make("select", { "aria-label": "Filter the journal by kind", onchange: () => this.show() }, kinds.map(([value, words]) => make("option", { value }, words)));
    this.told = make("output", { class: "told", "aria-live": "polite" });
    this.body = make("tbody");
    this.more = make("p", { class: "more" });
    const head = ["Line", "When", "Request", "Task", "Answer", "Struck by"];
    this.table = make("table", { class: "journal" }, make("caption", { class: "unseen" }, "Requests and answers"), make("thead", {}, make("tr", {}, head.map((word) => make("th", { scope: "col" }, word)))), this.body);
    place.replaceChildren(make("div", { class: "filters" }, this.text, this.kind, this.told), make("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Lines of the journal" }, this.table), this.more);
  }

  // Draw these lines, or again those that were drawn.
  show(lines = this.lines, leftOut = this.leftOut ?? 0) {
    Object.assign(this, { lines, leftOut });
    const found = [...lines.values()].filter((line) => fits(line, this.kind.value, this.text.value.trim()));
    if (this.newestFirst) found.reverse();
    const shown = this.showsAll ? found : found.slice(0, FEW_LINES);
    const told = found.length === lines.size ? count(lines.size, "line") : `${found.length} of ${count(lines.size, "line")}`;
    const words = leftOut ? `${told}; ${leftOut} before them are forgotten` : told;
    if (this.told.textContent !== words) this.told.textContent = words;
    const opened = shown.filter((line) => this.open.has(line.ordinal)).map((line) => line.ordinal);
    redrawIfNew(this.body, [shown.map((line) => line.sequence), opened], () => shown.flatMap((line) => this.rows(line)));
    redrawIfNew(this.more, [found.length - shown.length], () => (found.length > shown.length ? [make("button", { type: "button", onclick: () => { this.showsAll = true; this.show(); } }, `Show ${count(found.length - shown.length, "more line")}`)] : []));
  }

  rows(line) {
    const isOpen = this.open.has(line.ordinal);
    const toggle = () => this.toggle(line.ordinal);
    const number = make("button", { type: "button", class: "line-number", "data-key": `row ${line.ordinal}`, "aria-expanded": String(isOpen), "aria-label": `Line ${line.ordinal}, everything about it`, onclick: toggle }, line.ordinal);
    const row = make(
      "tr",
      { class: `line line-${line.mark}` },
      make("td", {}, number),
      make("td", { class: "when" }, seconds(line.at_s, 3)),
      make("td", { class: "request" }, make("b", {}, line.route), " ", make("code", {}, `${line.method} ${line.path}`)),
      make("td", {}, line.task_id ? make("code", { title: line.task_id }, short(line.task_id)) : "–"),
      make("td", {}, make("span", { class: `answer answer-${String(line.status)[0]}` }, answered(line))),
      make("td", { class: "struck" }, line.fault ?? "", line.retry_after !== null ? make("small", {}, ` Retry-After ${line.retry_after}`) : null),
    );
    return isOpen ? [row, make("tr", { class: "detail-row" }, make("td", { colspan: 6 }, detail(line)))] : [row];
  }

  toggle(ordinal) {
    if (!this.open.delete(ordinal)) this.open.add(ordinal);
    this.show();
  }

  // Open a line, whatever the filter says, and go there.
  reveal(ordinal) {
    const line = this.lines.get(ordinal);
    if (!line) return;
    if (!fits(line, this.kind.value, this.text.value.trim())) {
      this.kind.value = "";
      this.text.value = "";
    }
    this.showsAll = true;
    this.open.add(ordinal);
    this.show();
    const button = this.body.querySelector(`[data-key="row ${ordinal}"]`);
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: "center" });
  }
}
