// The control room: one world, as it is now, until somebody looks at another.
import { ask, follow, keepToken } from "./asking.js";
import { make, redrawIfNew } from "./dom.js";
import { Hands } from "./hands.js";
import { Journal } from "./journal.js";
import { Lanes, legend, taskTable } from "./lanes.js";
import { judgements, unmatched } from "./rules.js";
import { amount, count, seconds, short } from "./words.js";

const LOBBY = "~lobby";
const BEAT_MS = 500;
// What no event tells, such as a clock that was moved without any task changing, shows this late.
const LOOK_AGAIN_MS = 1500;
const LIST_AGAIN_MS = 3000;
// More than a few transitions in one breath nobody listens to.
const MOST_SAID = 3;
// After a story the next one is asked for only after a multiple of what it took: a large world is not slowed down.
const REST_FACTOR = 4;
const LEAST_REST_MS = 60;

const find = (id) => document.getElementById(id);

class Room {
  constructor() {
    this.lines = new Map();
    this.names = [];
    this.moved = [];
    this.story = null;
    this.chosen = null;
    this.stream = new AbortController();
    this.lanes = new Lanes(find("lanes"), { chooses: (id) => this.choose(id), opens: (ordinal) => this.journal.reveal(ordinal) });
    this.journal = new Journal(find("journal"));
    this.hands = new Hands(this);
    find("legend").append(legend());
    find("world").addEventListener("change", (event) => this.enter(event.target.value));
    find("world").addEventListener("focus", () => this.list());
    find("span").addEventListener("change", (event) => {
      this.lanes.lastSeconds = Number(event.target.value);
      this.draw();
    });
    find("as-table").addEventListener("click", () => this.switchPicture());
    find("token-form").addEventListener("submit", () => {
      keepToken(find("token-text").value);
      find("token-text").value = "";
      this.open();
    });
    find("token").addEventListener("cancel", (event) => event.preventDefault());
    window.addEventListener("hashchange", () => this.followHash());
    setInterval(() => this.beat(), BEAT_MS);
  }

  get path() {
    return `/worlds/${encodeURIComponent(this.world)}`;
  }

  get task() {
    return this.story?.tasks.find((task) => task.task_id === this.chosen);
  }

  // Begin, or begin again with a token.
  async open() {
    try {
      const { scenarios, default: usual } = await ask("/scenarios");
      this.hands.offer(scenarios.filter((scenario) => !scenario.error), usual);
      const names = await this.list();
      const wanted = decodeURIComponent(location.hash.slice(1));
      await this.enter(names.includes(wanted) ? wanted : (names.at(-1) ?? LOBBY));
    } catch (error) {
      this.refused(error);
    }
  }

  refused(error) {
    this.isLost = true;
    if (error.status !== 401) return this.say(`The fake does not answer: ${error.message}`, true);
    if (!find("token").open) find("token").showModal();
  }

  // A world that is new belongs into the list; the first one is looked at.
  async lookForWorlds() {
    const wasEmpty = !this.names.length;
    await this.list();
    if (wasEmpty && this.names.length && this.world === LOBBY) await this.enter(this.names.at(-1));
  }

  async list() {
    this.listedMs = performance.now();
    try {
      const { worlds } = await ask("/worlds");
      this.names = worlds.map((world) => world.world);
    } catch (error) {
      this.refused(error);
    }
    const shown = [...this.names].sort((one, other) => one.localeCompare(other)).map((name) => [name, name]);
    shown.push([LOBBY, "requests that belong to no world"]);
    redrawIfNew(find("world"), [shown, this.world], () => shown.map(([value, words]) => make("option", { value, selected: value === this.world }, words)));
    return this.names;
  }

  // The address names the world; a link within the page must not change that for long.
  followHash() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (this.names.includes(wanted) || wanted === LOBBY) this.enter(wanted);
    else history.replaceState(null, "", `#${encodeURIComponent(this.world)}`);
  }

  // Look at a world from now on.
  async enter(world) {
    if (!world || (world === this.world && this.story)) return;
    this.world = world;
    this.chosen = null;
    this.forget();
    history.replaceState(null, "", `#${encodeURIComponent(world)}`);
    this.stream.abort();
    this.stream = new AbortController();
    const { signal } = this.stream;
    await this.list();
    await this.refresh();
    follow(`${this.path}/events`, signal, {
      heard: (kind, data) => this.hear(kind, data),
      isUp: (up) => {
        find("link").textContent = up ? "live" : "reconnecting";
        find("link").classList.toggle("is-live", up);
      },
    });
  }

  forget() {
    this.story = null;
    this.moved = [];
    this.lines = new Map();
  }

  hear(kind, data) {
    // What is shown stays until the whole story is here again.
    if (kind === "hello" || kind === "reset" || kind === "gap") this.isStale = true;
    if (kind === "task") this.moved.push(data);
    this.soon();
  }

  // Say what became of tasks, once the story tells their numbers.
  announce() {
    const moved = this.moved.splice(0);
    const words = moved.slice(-MOST_SAID).map(({ task_id: id, to }) => {
      const number = this.story.tasks.find((task) => task.task_id === id)?.number;
      return `Task ${number ?? short(id)} is ${to}.`;
    });
    if (moved.length > MOST_SAID) words.unshift(`${moved.length - MOST_SAID} tasks moved.`);
    if (words.length) find("news").textContent = words.join(" ");
  }

  // Ask for the story before long: once for many events.
  soon() {
    if (this.isDue) return;
    this.isDue = true;
    setTimeout(async () => {
      this.isDue = false;
      await this.refresh();
    }, Math.max(LEAST_REST_MS, (this.tookMs ?? 0) * REST_FACTOR));
  }

  // Bring what is shown up to date, one story after the other.
  refresh() {
    this.turn = (this.turn ?? Promise.resolve()).then(() => this.fetchStory());
    return this.turn;
  }

  async fetchStory() {
    const { world } = this;
    const isWhole = this.isStale;
    this.isStale = false;
    const known = isWhole ? 0 : Math.max(0, ...this.lines.keys());
    const beganMs = performance.now();
    try {
      const story = await ask(`${this.path}/story?after=${known}`);
      this.tookMs = performance.now() - beganMs;
      if (world !== this.world) return;
      if (known > (story.counters.requests ?? 0)) {
        this.isStale = true;
        return await this.fetchStory();
      }
      if (isWhole) this.lines = new Map();
      for (const { headers, ...line } of story.lines) this.lines.set(line.ordinal, { ...line, header_names: story.header_sets[headers] });
      for (const ordinal of this.lines.keys()) if (ordinal <= story.lines_left_out) this.lines.delete(ordinal);
      if (this.isLost) this.say("The fake answers again.");
      this.isLost = false;
      this.story = story;
      this.askedMs = beganMs;
      this.draw();
      this.announce();
    } catch (error) {
      this.isStale ||= isWhole;
      this.refused(error);
    }
  }

  // What time it is in the world: a real clock goes on between two stories.
  now() {
    const passed = this.story.clock === "real" ? (performance.now() - this.askedMs) / 1000 : 0;
    return this.story.now_s + passed;
  }

  beat() {
    if (!this.story || document.hidden) return;
    if (performance.now() - this.listedMs > LIST_AGAIN_MS) this.lookForWorlds();
    if (performance.now() - this.askedMs > LOOK_AGAIN_MS) this.soon();
    if (this.story.clock !== "real") return;
    find("clock").textContent = seconds(this.now(), 0);
    if (this.story.tasks.some((task) => !task.is_over) || this.lanes.lastSeconds) this.lanes.show(this.story, this.lines, this.now());
  }

  draw() {
    const { story, lines } = this;
    if (!story) return;
    const isEmpty = !story.tasks.length && !lines.size;
    find("clock").textContent = seconds(story.now_s, story.clock === "manual" ? 3 : 0);
    find("clock-kind").textContent = story.clock === "manual" ? "Manual clock" : "Clock";
    find("scenario").textContent = `${story.scenario.name} – ${story.scenario.summary}`;
    find("summary").textContent = this.summary(story);
    find("empty").hidden = !isEmpty;
    find("base-url").textContent = this.world === LOBBY ? `${location.origin}/api/v1` : `${location.origin}/w/${this.world}/api/v1`;
    this.lanes.chosen = this.chosen;
    this.lanes.show(story, lines, this.now());
    if (!find("table").hidden) find("table").replaceChildren(taskTable(story, lines));
    this.journal.show(lines, story.lines_left_out);
    find("unmatched-card").hidden = !story.unmatched.length;
    const opens = (ordinal) => this.journal.reveal(ordinal);
    redrawIfNew(find("unmatched"), story.unmatched, () => unmatched(story.unmatched, opens));
    redrawIfNew(find("rules"), [story.rules, story.expectations], () => [
      judgements(`Scenario ${story.scenario.name}`, story.expectations, opens),
      judgements("Rules for everyone", story.rules, opens),
    ]);
    this.hands.show(story);
  }

  summary(story) {
    const open = story.tasks.filter((task) => !task.is_over).length;
    const all = story.tasks.length + story.tasks_left_out;
    const wrong = [...this.lines.values()].filter((line) => line.fault !== null).length;
    const parts = [count(all, "task"), `${open} open`, count(story.counters.requests ?? 0, "request"), `${wrong} struck`, `bill ${amount(story.bill.total)}`];
    return parts.join(" · ");
  }

  choose(taskId) {
    this.chosen = this.chosen === taskId ? null : taskId;
    this.draw();
    if (this.task) this.say(`Task ${this.task.number} is chosen; it can be moved, cancelled or expired.`);
  }

  switchPicture() {
    const showsTable = find("table").hidden;
    find("table").hidden = !showsTable;
    find("lanes").hidden = showsTable;
    find("legend").hidden = showsTable;
    find("as-table").setAttribute("aria-pressed", String(showsTable));
    this.draw();
  }

  say(words, isMistake = false) {
    find("said").textContent = words;
    find("said").classList.toggle("is-mistake", isMistake);
  }
}

new Room().open();
