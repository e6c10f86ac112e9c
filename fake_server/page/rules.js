// What a client is judged by, and why requests fitted nothing.
import { make } from "./dom.js";
import { count } from "./words.js";

const WORDS = { PASS: "pass", FAIL: "fail", NOT_EXERCISED: "not exercised", INCOMPLETE: "incomplete" };
const SIGNS = { PASS: "✓", FAIL: "✗", NOT_EXERCISED: "–", INCOMPLETE: "…" };

export const ORDER = ["FAIL", "INCOMPLETE", "PASS", "NOT_EXERCISED"];

// A verdict as a badge: sign, word and colour.
export function verdict(word) {
  return make("span", { class: `verdict verdict-${word}` }, make("span", { "aria-hidden": "true" }, `${SIGNS[word]} `), WORDS[word]);
}

// A table of judgements, what failed first; `opens` is called with the number of a line that proves one.
export function judgements(caption, rows, opens) {
  const sorted = [...rows].sort((one, other) => ORDER.indexOf(one.verdict) - ORDER.indexOf(other.verdict));
  const body = sorted.map((row) => {
    const lines = row.lines.map((ordinal) =>
      make("button", { type: "button", class: "evidence", "data-key": `proof ${row.name} ${ordinal}`, onclick: () => opens(ordinal) }, `line ${ordinal}`));
    return make(
      "tr",
      {},
      make("td", {}, verdict(row.verdict)),
      make("th", { scope: "row" }, make("code", {}, row.name)),
      make("td", {}, make("span", { class: "seen" }, row.actual), " ", make("small", {}, `· expected: ${row.expected}`), " ", lines),
    );
  });
  const head = make("thead", { class: "unseen" }, make("tr", {}, ["Verdict", "Rule", "What was seen"].map((word) => make("th", { scope: "col" }, word))));
  return make("table", { class: "rules" }, make("caption", {}, caption), head, make("tbody", {}, body));
}

// Why nothing matched: the requests that fitted no route, and the nearest ones.
export function unmatched(rows, opens) {
  return rows.map((row) =>
    make(
      "article",
      { class: "unmatched" },
      make("h3", {}, make("code", {}, `${row.method} ${row.path}`), row.times > 1 ? make("small", {}, ` ${count(row.times, "time")}`) : null, " ", make("button", { type: "button", class: "evidence", "data-key": `unmatched ${row.line}`, onclick: () => opens(row.line) }, `line ${row.line}`)),
      make("ul", {}, row.nearest.map((near) => make("li", {}, make("code", {}, near.route), make("small", {}, near.differences.join("; ") || "this fits")))),
    ));
}
