// What is shown in words: times, statuses, lines of the journal.

export const STATUSES = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"];

export const MARKS = {
  create: "create",
  poll: "status query",
  download: "download",
  cancel: "cancel",
  list: "list or quotas",
  throttle: "refused for now",
  fault: "fault",
  cut: "cut without an answer",
  refused: "refused",
  unmatched: "fitted no route",
};

// The class of a status: words that nobody listed share one.
export function statusClass(status) {
  return `state-${STATUSES.includes(status) ? status : "OTHER"}`;
}

// Seconds, as short as they can be told apart.
export function seconds(value, digits = 2) {
  if (value >= 3600) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  if (value >= 120) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Number(value.toFixed(digits))} s`;
}

// The first characters of an id, which tell tasks of one world apart.
export function short(taskId) {
  return taskId.length > 12 ? `${taskId.slice(0, 8)}…` : taskId;
}

// An amount without what no reader needs: 0.7500 is 0.75. Amounts are text, and never become binary floats.
export function amount(text) {
  return text.includes(".") && !text.includes("E") ? text.replace(/\.?0+$/, "") || "0" : text;
}

// What a line was answered with.
export function answered(line) {
  return line.status === 0 ? "cut" : String(line.status);
}

// A line of the journal in one sentence.
export function sentence(line) {
  const parts = [`${seconds(line.at_s, 3)}: ${MARKS[line.mark] === line.route ? line.route : `${line.route} (${MARKS[line.mark]})`}`];
  parts.push(line.status === 0 ? "connection cut" : `answered ${line.status}`);
  if (line.fault) parts.push(line.fault);
  if (line.retry_after !== null) parts.push(`Retry-After ${line.retry_after}`);
  return parts.join(", ");
}

// How many, with the right form of the noun.
export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}
