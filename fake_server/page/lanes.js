// Lanes: one for each task, its states over time, and below them a mark for each request about it.
import { draw, make, redraw, redrawIfNew } from "./dom.js";
import { billRow, flightRow } from "./curves.js";
import { MARKS, STATUSES, amount, count, seconds, sentence, short, statusClass } from "./words.js";

const HEIGHT = 42;
const BAR = { y: 5, height: 15 };
const MARKS_Y = 31;
const LETTER_PX = 7;
const NAMES_PX = 208;
const NARROW_PX = 620;
const FEW_LANES = 40;
const LEAST_SPAN_S = 0.3;
const APART_PX = 7;
const MOST_MOVED_PX = 21;
const STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

const SHAPES = {
  create: (x, y) => draw("circle", { cx: x, cy: y, r: 4 }),
  poll: (x, y) => draw("line", { x1: x, x2: x, y1: y - 5, y2: y + 5 }),
  download: (x, y) => draw("path", { d: `M${x},${y - 5}V${y + 3}M${x - 4},${y}L${x},${y + 4}L${x + 4},${y}` }),
  cancel: (x, y) => draw("rect", { x: x - 4, y: y - 4, width: 8, height: 8 }),
  list: (x, y) => draw("path", { d: `M${x - 3},${y - 3}H${x + 3}M${x - 3},${y}H${x + 3}M${x - 3},${y + 3}H${x + 3}` }),
  throttle: (x, y) => draw("path", { d: `M${x},${y - 5}L${x + 5},${y + 4}H${x - 5}Z` }),
  fault: (x, y) => draw("path", { d: `M${x},${y - 6}L${x + 5},${y}L${x},${y + 6}L${x - 5},${y}Z` }),
  cut: (x, y) => draw("path", { d: `M${x - 4},${y - 4}L${x + 4},${y + 4}M${x + 4},${y - 4}L${x - 4},${y + 4}` }),
  refused: (x, y) => draw("path", { d: `M${x - 4},${y}A4,4,0,1,1,${x + 4},${y}A4,4,0,1,1,${x - 4},${y}M${x - 3},${y + 3}L${x + 3},${y - 3}` }),
  unmatched: (x, y) => draw("text", { x, y: y + 4, "text-anchor": "middle" }, "?"),
};

function shape(kind, x, y) {
  const figure = SHAPES[kind](x, y);
  figure.setAttribute("class", `figure figure-${kind}`);
  return figure;
}

// What the marks and colours mean.
export function legend() {
  const states = STATUSES.map((status) =>
    make("li", {}, make("span", { class: `swatch ${statusClass(status)}`, "aria-hidden": "true" }), status));
  const marks = Object.entries(MARKS).map(([kind, words]) =>
    make("li", {}, draw("svg", { width: 14, height: 14, "aria-hidden": "true" }, shape(kind, 7, 7)), words));
  return make("ul", { class: "legend", "aria-label": "What colours and marks mean" }, states, marks);
}

// From when to when something is to be seen: all that happened, or the last so many seconds.
function windowOf(story, lines, now, lastSeconds) {
  if (lastSeconds) return { from: Math.max(0, now - lastSeconds), to: Math.max(now, lastSeconds) };
  const instants = [...lines.values()].map((line) => line.at_s);
  for (const task of story.tasks) instants.push(task.segments[0].from_s, task.segments.at(-1).from_s);
  if (story.tasks.some((task) => !task.is_over) || !instants.length) instants.push(now);
  const first = instants.reduce((least, at) => Math.min(least, at), Infinity);
  const last = instants.reduce((most, at) => Math.max(most, at), 0);
  const from = first < (last - first) * 0.25 ? 0 : first;
  return { from, to: Math.max(last + (last - from) * 0.06, from + LEAST_SPAN_S) };
}

function scaleOf(view, width, now) {
  const span = view.to - view.from;
  const step = STEPS_S.find((each) => (span / each) * 74 <= width) ?? 86400;
  const ticks = [];
  for (let number = Math.ceil(view.from / step); number * step <= view.to; number += 1) ticks.push(number * step);
  const x = (at) => 8 + ((at - view.from) / span) * (width - 16);
  return { ...view, x, ticks, width, now, step };
}

// Marks of one instant stand side by side, if there are few; of many one sees the crowd.
function apart(places) {
  let last = -Infinity;
  return places.map((place) => {
    const moved = place - last < APART_PX && last - place < MOST_MOVED_PX ? last + APART_PX : place;
    last = Math.max(last, moved);
    return moved;
  });
}

function bar(segment, scale, isLast, isOver) {
  const from = Math.max(segment.from_s, scale.from);
  const to = Math.min(segment.to_s, scale.to);
  if (to < from) return null;
  const x = scale.x(from);
  const isEnd = isLast && isOver;
  const room = scale.width - 8 - x;
  const length = segment.status.length * LETTER_PX + 14;
  const width = isEnd ? Math.min(length, room) : Math.max(scale.x(to) - x, 2);
  const cssClass = `bar ${statusClass(segment.status)}`;
  const parts = [draw("rect", { class: cssClass, x, y: BAR.y, width, height: BAR.height, rx: Math.min(4, width / 2) })];
  if (isEnd && room > length) {
    parts.unshift(draw("line", { class: `after ${statusClass(segment.status)}`, x1: x, x2: scale.x(Math.min(to, scale.to)), y1: BAR.y + BAR.height / 2, y2: BAR.y + BAR.height / 2 }));
  }
  if (width >= length - 1) parts.push(draw("text", { class: `bar-word ${statusClass(segment.status)}`, x: x + 7, y: BAR.y + 11 }, segment.status));
  return draw("g", {}, parts);
}

export class Lanes {
  // Draws a story into a place. `chooses` is called with the id of a task, `opens` with a line's number.
  constructor(place, { chooses = null, opens = () => {} } = {}) {
    this.chooses = chooses;
    this.opens = opens;
    this.lastSeconds = 0;
    this.showsAll = false;
    this.chosen = null;
    this.tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.axis = make("div", { class: "axis" });
    this.rows = make("ol", { class: "lanes", "aria-label": "Lanes over time" });
    this.more = make("p", { class: "more" });
    this.place = place;
    place.classList.add("picture");
    place.replaceChildren(this.axis, this.rows, this.more, this.tip);
    this.byKey = new Map();
    new ResizeObserver(() => this.story && this.show(this.story, this.lines, this.now)).observe(place);
    this.rows.addEventListener("keydown", (event) => this.walk(event));
  }

  // Draw the story as it is at an instant.
  show(story, lines, now) {
    Object.assign(this, { story, lines, now });
    const whole = this.place.clientWidth;
    if (!whole) return;
    if (!lines.has(this.pointed)) this.unpoint();
    this.place.classList.toggle("narrow", whole < NARROW_PX);
    const width = Math.max(whole < NARROW_PX ? whole : whole - NAMES_PX, 120);
    const scale = scaleOf(windowOf(story, lines, now, this.lastSeconds), width, now);
    this.drawAxis(scale);
    const rows = [...story.in_flight.map((flight) => [`flight-${flight.dialect}`, flightRow(flight), flight])];
    if (story.tasks.length) rows.push(["bill", billRow(story.bill), story.bill]);
    const tasks = this.showsAll ? story.tasks : story.tasks.slice(-FEW_LANES);
    const known = new Set(story.tasks.map((task) => task.task_id));
    const others = [...lines.values()].filter((line) => !known.has(line.task_id)).map((line) => line.ordinal);
    const frame = [scale.from, scale.to, width];
    const items = rows.map(([key, row, shown]) => this.item(key, [shown, frame, now], () => this.curve(row, scale)));
    if (others.length) items.push(this.item("others", [others, frame], () => this.others(others, scale)));
    for (const task of tasks) {
      items.push(this.item(task.task_id, [task, frame, task.is_over ? 0 : now, task.task_id === this.chosen], () => this.task(task, scale)));
    }
    if (items.some((item, index) => this.rows.children[index] !== item) || this.rows.children.length !== items.length) {
      const held = this.rows.contains(document.activeElement) ? document.activeElement : null;
      this.rows.replaceChildren(...items);
      held?.focus({ preventScroll: true });
    }
    this.tellMore(story, tasks.length);
  }

  item(key, shown, children) {
    if (!this.byKey.has(key)) this.byKey.set(key, make("li", { class: "lane" }));
    const item = this.byKey.get(key);
    redrawIfNew(item, shown, children);
    return item;
  }

  drawAxis(scale) {
    const digits = scale.step < 0.1 ? 2 : scale.step < 1 ? 1 : 0;
    const words = scale.ticks
      .filter((at) => scale.x(at) < scale.width - 24)
      .map((at) => draw("text", { x: scale.x(at), y: 14, "text-anchor": scale.x(at) < 20 ? "start" : "middle" }, seconds(at, digits)));
    const picture = draw("svg", { width: scale.width, height: 20, "aria-hidden": "true" }, words);
    redraw(this.axis, [make("span", { class: "axis-name" }, "time of the world"), picture]);
  }

  curve(row, scale) {
    const name = make("div", { class: "lane-name" }, make("span", { class: "lane-title" }, row.title, " ", make("small", {}, row.note)), make("strong", { class: "figure-value" }, row.value));
    return [name, row.draw(scale)];
  }

  others(ordinals, scale) {
    const name = make("div", { class: "lane-name" }, make("span", { class: "lane-title" }, "Other requests"), make("small", {}, "about no task"));
    return [name, this.track("Requests about no task", [], ordinals, scale)];
  }

  task(task, scale) {
    const status = task.waits_for_slot && !task.is_over ? `${task.status}, waits for a slot` : task.status;
    const words = [
      make("span", { class: "lane-title" }, make("b", {}, `Task ${task.number}`), " ", make("code", {}, short(task.task_id))),
      make("small", { class: "lane-note" }, make("span", { class: `dot ${statusClass(task.status)}`, "aria-hidden": "true" }), status, task.amount !== "0" && task.is_over && Number(task.amount) ? ` · ${amount(task.amount)}` : ""),
    ];
    const name = this.chooses
      ? make("button", { type: "button", class: "lane-name", "data-key": `name ${task.task_id}`, "aria-pressed": String(task.task_id === this.chosen), title: task.prompt || task.model, onclick: () => this.chooses(task.task_id) }, words)
      : make("div", { class: "lane-name", title: task.prompt || task.model }, words);
    const label = `Task ${task.number}, ${task.segments.map((segment) => `${segment.status} from ${seconds(segment.from_s)}`).join(", ")}; ${count(task.lines.length, "request")}`;
    const bars = task.segments.map((segment, index) => {
      const isLast = index === task.segments.length - 1;
      return bar({ ...segment, to_s: isLast ? Math.max(segment.to_s, scale.now) : segment.to_s }, scale, isLast, task.is_over);
    });
    if (task.forgotten_s !== null && task.forgotten_s >= scale.from) {
      bars.push(draw("line", { class: "forgotten", x1: scale.x(task.forgotten_s), x2: scale.x(task.forgotten_s), y1: 2, y2: BAR.y + BAR.height + 3 }));
    }
    return [name, this.track(label, bars, task.lines, scale)];
  }

  track(label, bars, ordinals, scale) {
    const grid = scale.ticks.map((at) => draw("line", { class: "grid", x1: scale.x(at), x2: scale.x(at), y1: 0, y2: HEIGHT }));
    const known = ordinals.map((ordinal) => this.lines.get(ordinal)).filter((line) => line && line.at_s >= scale.from && line.at_s <= scale.to);
    const places = apart(known.map((line) => scale.x(line.at_s)));
    const marks = known.map((line, index) => this.mark(line, places[index], index === 0));
    return draw("svg", { class: "track", width: scale.width, height: HEIGHT, role: "group", "aria-label": label }, grid, bars, marks);
  }

  mark(line, x, isFirst) {
    const words = sentence(line);
    return draw(
      "g",
      {
        class: "mark",
        role: "button",
        tabindex: isFirst ? 0 : -1,
        "aria-label": words,
        "data-key": `line ${line.ordinal}`,
        onclick: () => this.opens(line.ordinal),
        onpointerenter: (event) => this.point(event.currentTarget, line),
        onpointerleave: () => this.unpoint(),
        onfocus: (event) => this.point(event.currentTarget, line),
        onblur: () => this.unpoint(),
      },
      draw("rect", { class: "target", x: x - 6, y: MARKS_Y - 10, width: 12, height: 20, rx: 3 }),
      shape(line.mark, x, MARKS_Y),
    );
  }

  // Arrow keys go from mark to mark of a lane; Enter and Space open the line.
  walk(event) {
    const mark = event.target.closest?.(".mark");
    if (!mark) return;
    const marks = [...mark.parentNode.querySelectorAll(".mark")];
    const place = marks.indexOf(mark);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.opens(Number(mark.dataset.key.slice(5)));
    else if (event.key === "Escape") this.unpoint();
    else if (marks[next]) {
      mark.setAttribute("tabindex", "-1");
      marks[next].setAttribute("tabindex", "0");
      marks[next].focus({ preventScroll: false });
    } else return;
    event.preventDefault();
  }

  point(mark, line) {
    this.pointed = line.ordinal;
    this.tip.replaceChildren(make("b", {}, `${line.ordinal}. ${line.method} ${line.path.slice(0, 90)}`), sentence(line));
    this.tip.hidden = false;
    const outer = this.place.getBoundingClientRect();
    const box = mark.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - outer.left - this.tip.offsetWidth / 2, 4), outer.width - this.tip.offsetWidth - 4);
    const above = box.top - outer.top - this.tip.offsetHeight - 6;
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(above < 0 ? box.bottom - outer.top + 6 : above)}px)`;
  }

  unpoint() {
    this.tip.hidden = true;
  }

  tellMore(story, shown) {
    const left = story.tasks.length - shown;
    const parts = [];
    if (left > 0) parts.push(make("button", { type: "button", "data-key": "all lanes", onclick: () => { this.showsAll = true; this.show(this.story, this.lines, this.now); } }, `Show ${count(left, "earlier task")}`));
    if (story.tasks_left_out) parts.push(make("span", {}, `${count(story.tasks_left_out, "task")} before these are not shown; the bill counts them.`));
    redrawIfNew(this.more, [left, story.tasks_left_out], () => parts);
  }
}

// The same in a table, for whoever reads rather than looks.
export function taskTable(story, lines) {
  const head = ["Task", "Id", "Model", "Status", "Accepted", "Came to its status", "Requests", "Went wrong", "Costs"];
  const rows = story.tasks.map((task) => {
    const about = task.lines.map((ordinal) => lines.get(ordinal)).filter(Boolean);
    const wrong = about.filter((line) => ["throttle", "fault", "cut", "refused"].includes(line.mark)).length;
    const cells = [task.task_id, task.model, task.status, seconds(task.segments[0].from_s), seconds(task.segments.at(-1).from_s), about.length, wrong, amount(task.amount)];
    return make("tr", {}, make("th", { scope: "row" }, task.number), cells.map((cell) => make("td", {}, cell)));
  });
  return make("table", {}, make("caption", {}, "Every task, as it truly is"), make("thead", {}, make("tr", {}, head.map((word) => make("th", { scope: "col" }, word)))), make("tbody", {}, rows));
}
