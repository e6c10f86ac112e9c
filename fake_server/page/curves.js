// Numbers that change in steps: tasks in flight against the cap, and the bill.
import { draw } from "./dom.js";
import { amount } from "./words.js";

const CURVE_HEIGHT = 56;
const TOP = 8;
const BOTTOM = 50;

// The points of a stair through steps [when, value], from the left edge to the right one.
function stair(steps, scale, toY) {
  let value = 0;
  let path = `M${scale.x(scale.from)},${toY(0)}`;
  for (const [at, next] of steps) {
    const x = scale.x(Math.max(at, scale.from));
    if (at > scale.to) break;
    path += `L${x},${toY(value)}L${x},${toY(next)}`;
    value = next;
  }
  return `${path}L${scale.x(Math.min(scale.now, scale.to))},${toY(value)}`;
}

function closed(path, scale) {
  return `${path}L${scale.x(Math.min(scale.now, scale.to))},${BOTTOM}L${scale.x(scale.from)},${BOTTOM}Z`;
}

function chart(label, scale, ...children) {
  const grid = scale.ticks.map((at) => draw("line", { class: "grid", x1: scale.x(at), x2: scale.x(at), y1: 0, y2: CURVE_HEIGHT }));
  return draw("svg", { class: "track", height: CURVE_HEIGHT, width: scale.width, role: "img", "aria-label": label }, grid, children);
}

// Tasks of one dialect in flight over time, and the cap that they must stay below.
export function flightRow(flight) {
  const last = flight.steps.at(-1) ?? [0, 0, 0];
  const [, running, waiting] = last;
  const most = Math.max(...flight.steps.map((step) => step[1]), 0);
  const cap = flight.cap === null ? "no common cap" : `of ${flight.cap}`;
  const queue = waiting ? `, ${waiting} waiting` : "";
  return {
    title: "In flight",
    note: flight.dialect,
    value: `${running} ${cap}${queue}`,
    draw(scale) {
      const highest = Math.max(flight.cap ?? 0, ...flight.steps.map((step) => step[1] + step[2]), 1);
      const toY = (value) => BOTTOM - ((BOTTOM - TOP) * value) / highest;
      const queued = stair(flight.steps.map(([at, runs, waits]) => [at, runs + waits]), scale, toY);
      const running_ = stair(flight.steps.map(([at, runs]) => [at, runs]), scale, toY);
      const label = `${flight.dialect}: ${running} in flight ${cap}${queue}; at most ${most} so far`;
      return chart(
        label,
        scale,
        draw("path", { class: "queued", d: closed(queued, scale) }),
        draw("path", { class: "running-area", d: closed(running_, scale) }),
        draw("path", { class: "running-line", d: running_ }),
        flight.cap === null ? null : draw("line", { class: "cap", x1: scale.x(scale.from), x2: scale.width, y1: toY(flight.cap), y2: toY(flight.cap) }),
        flight.cap === null ? null : draw("text", { class: "cap-word", x: scale.width - 4, y: toY(flight.cap) + 12, "text-anchor": "end" }, `cap ${flight.cap}`),
      );
    },
  };
}

// What everything cost so far.
export function billRow(bill) {
  const tasks = bill.billed_tasks === 1 ? "1 task" : `${bill.billed_tasks} tasks`;
  return {
    title: "Bill",
    note: tasks,
    value: amount(bill.total),
    draw(scale) {
      const highest = Number(bill.total) || 1;
      const toY = (value) => BOTTOM - ((BOTTOM - TOP) * value) / highest;
      const steps = [[scale.from, Number(bill.before)], ...bill.steps.map((step) => [step.at_s, Number(step.total)])];
      const path = stair(steps, scale, toY);
      const dots = bill.steps
        .filter((step) => step.at_s >= scale.from && step.at_s <= scale.to)
        .map((step) => draw("circle", { class: "bill-dot", cx: scale.x(step.at_s), cy: toY(Number(step.total)), r: 3 }));
      return chart(
        `The bill: ${amount(bill.total)} for ${tasks}`,
        scale,
        draw("path", { class: "bill-area", d: closed(path, scale) }),
        draw("path", { class: "bill-line", d: path }),
        dots,
      );
    },
  };
}
