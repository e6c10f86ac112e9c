// The controls: clock, faults, worlds, tasks. Each does one thing, says what came of it, and leaves the focus.
import { ask } from "./asking.js";
import { make, redrawIfNew } from "./dom.js";
import { amount, count, seconds } from "./words.js";

const PRESETS = [
  ["The next status query: 502, HTML", { fault: "status", status: 502, body: "html", on: "query", first: 1 }],
  ["The next three status queries: 503", { fault: "status", status: 503, on: "query", first: 3 }],
  ["The next status query: 429, Retry-After 5 s", { fault: "status", status: 429, retry_after: "5s", on: "query", first: 1 }],
  ["The next create: 429, Retry-After 10 s", { fault: "status", status: 429, retry_after: "10s", on: "create", first: 1 }],
  ["The next create: made, its answer lost", { fault: "lost_create", first: 1 }],
  ["The next create: made twice", { fault: "duplicated_create", first: 1 }],
  ["The next status query: connection reset", { fault: "wire", kind: "reset", on: "query", first: 1 }],
  ["Every third status query: bad JSON", { fault: "status", status: 200, body: "malformed", on: "query", every_nth: 3 }],
  ["Status queries: 10 s old", { fault: "stale_read", age: "10s" }],
  ["Every answer: 2 s late", { fault: "latency", fixed: "2s" }],
  ["Downloads: their address has expired", { fault: "expired_asset" }],
  ["One answer in five: 500", { fault: "status", status: 500, probability: 0.2, on: "any" }],
];

const find = (id) => document.getElementById(id);

export class Hands {
  // `room` knows the world, and is told when something was done.
  constructor(room) {
    this.room = room;
    this.fill();
    const clicks = {
      advance: () => this.advance(Number(find("seconds").value)),
      "set-speed": () => this.setSpeed(),
      move: () => this.move(),
      "cancel-task": () => this.onTask("cancel", undefined, "is cancelled"),
      "expire-task": () => this.onTask("expire", { what: "task" }, "is forgotten"),
      "expire-urls": () => this.onTask("expire", { what: "urls" }, "has no address that works"),
      arm: () => this.arm(),
      make: () => this.make(),
      reset: () => this.reset(),
    };
    for (const [id, act] of Object.entries(clicks)) find(id).addEventListener("click", () => this.try(act));
    for (const button of document.querySelectorAll("[data-advance]")) {
      button.addEventListener("click", () => this.try(() => this.advance(Number(button.dataset.advance))));
    }
    for (const [field, button] of [["seconds", "advance"], ["speed", "set-speed"], ["new-name", "make"]]) {
      find(field).addEventListener("keydown", (event) => event.key === "Enter" && find(button).click());
    }
  }

  fill() {
    find("preset").replaceChildren(...PRESETS.map(([words], index) => make("option", { value: index }, words)));
    find("new-scenario").addEventListener("change", () => this.describe());
  }

  // The scenarios that worlds can be made of.
  offer(scenarios, chosen) {
    this.scenarios = new Map(scenarios.map((scenario) => [scenario.name, scenario]));
    find("new-scenario").replaceChildren(...scenarios.map(({ name }) => make("option", { value: name, selected: name === chosen }, name)));
    this.describe();
  }

  describe() {
    find("scenario-summary").textContent = this.scenarios?.get(find("new-scenario").value)?.summary ?? "";
  }

  // Do something; a mistake is told where everything is told.
  async try(act) {
    try {
      this.room.say(await act());
      await this.room.refresh();
    } catch (error) {
      this.room.say(error.message, true);
    }
  }

  async advance(by) {
    if (!(by > 0)) throw new Error("Say by how many seconds to advance.");
    const said = await ask(`${this.room.path}/clock/advance`, "POST", { seconds: by });
    const moved = said.transitions.length + said.left_out;
    return `The clock went on by ${seconds(by)}; ${moved ? count(moved, "transition") : "nothing changed"}.`;
  }

  async setSpeed() {
    const { speed } = await ask(`${this.room.path}/speed`, "PUT", { speed: Number(find("speed").value) });
    return `Scripted times of new tasks are divided by ${speed}.`;
  }

  async move() {
    const status = find("move-to").value;
    return this.onTask("move", { status }, `is ${status}`);
  }

  async onTask(what, body, came) {
    const task = this.room.task;
    if (!task) throw new Error("Choose a task first.");
    await ask(`${this.room.path}/tasks/${encodeURIComponent(task.task_id)}/${what}`, "POST", body);
    return `Task ${task.number} ${came}.`;
  }

  async arm() {
    const { id, what } = await ask(`${this.room.path}/faults`, "POST", PRESETS[Number(find("preset").value)][1]);
    return `Armed ${id}: ${what}.`;
  }

  async disarm(id) {
    await ask(`${this.room.path}/faults/${id}`, "DELETE");
    return `Disarmed ${id}.`;
  }

  async make() {
    const tail = find("new-name").value.trim();
    const { world } = await ask("/worlds", "POST", { world: find("new-scenario").value + (tail ? `.${tail}` : "") });
    await this.room.enter(world);
    return `World ${world}.`;
  }

  async reset() {
    await ask(`${this.room.path}/reset`, "POST");
    return "The world begins anew.";
  }

  // Show what can be done now.
  show(story) {
    const isManual = story.clock === "manual";
    find("manual").hidden = !isManual;
    find("real").hidden = isManual;
    if (document.activeElement !== find("speed")) find("speed").value = story.speed;
    redrawIfNew(find("faults"), story.faults, () =>
      story.faults.map((fault) =>
        make(
          "li",
          {},
          make("span", {}, make("b", {}, fault.id), " ", fault.what, make("small", {}, ` fired ${fault.fired}×`)),
          make("button", { type: "button", "data-key": `disarm ${fault.id}`, "aria-label": `Disarm ${fault.id}`, onclick: () => this.try(() => this.disarm(fault.id)) }, "Disarm"),
        )));
    this.showTask(this.room.task);
  }

  showTask(task) {
    find("no-task").hidden = Boolean(task);
    find("task").hidden = !task;
    find("task-title").textContent = task ? `Task ${task.number}` : "Task";
    if (!task) return;
    const facts = [
      ["Id", task.task_id],
      ["Status", task.waits_for_slot && !task.is_over ? `${task.status}, waits for a slot` : task.status],
      ["Prompt", task.prompt || "none"],
      ["Model", `${task.model}, ${task.endpoint}, ${task.dialect}`],
      ["Known to its client", `${task.end_told ? "its end" : "no end"}; ${task.was_fetched ? "fetched" : "not fetched"}`],
      ["Costs", amount(task.amount)],
    ];
    redrawIfNew(find("task-facts"), facts, () => facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    for (const id of ["move", "cancel-task", "move-to"]) find(id).disabled = task.is_over;
  }
}
