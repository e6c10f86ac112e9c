"""Worlds: a key or an address picks a scenario, and a set of tasks, quotas, clock and bill of its own.

Worlds are made on first use and bounded in number. The one that was idle longest goes first, never while something in
it may still be billed, and never in silence.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fake_server.clock import ManualClock, RealClock
from fake_server.engine import Engine
from fake_server.feed import Feed
from fake_server.names import KEY_PREFIX, Choice, Refusal, digest, read_key, read_name
from fake_server.rules.room import Room
from fake_server.scenario.library import load_scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import OUTCOMES, Expect, Scenario
from fake_server.scenario.yaml_nodes import ScenarioErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fake_server.addressing import Target
    from fake_server.faults.model import Fault
    from fake_server.moment import Moment

# With every world's journal full of usual requests this is some hundred megabytes; of the longest ones, 2 GB.
MOST_WORLDS = 1_000
# Decisions about keys that are remembered; each costs a hundred bytes, and is made again if forgotten.
MOST_REMEMBERED_KEYS = 10_000
# Keys without a scenario, and worlds given up, that are told of: enough for a human, too few to fill a pipe that
# nobody reads.
MOST_TOLD = 100
# Worlds given up that are remembered by name.
MOST_REMEMBERED_DROPS = 20
# Scenarios that were handed in while serving; a test suite has some dozens, and each is a page of text.
MOST_POSTED = 500
# Requests that belong to no world (no key, a refused key, an unknown path) are answered in this one.
LOBBY = "~lobby"
_NOTHING = Scenario("lobby", "", (Lifecycle((Step("UNKNOWN"),)),), Expect(OUTCOMES[:1]))


@dataclass(slots=True)
class World:
    """One world: its name, its engine, the clock that drives it, and what it began with."""

    name: str
    engine: Engine
    clock: RealClock | ManualClock
    scenario: Scenario

    def now(self) -> Moment:
        """The present of this world."""
        return self.clock.now()


class Dropped(NamedTuple):
    """A world that was given up to make room, and what it came to."""

    world: str
    requests: int
    billed_tasks: int
    total: str


class Worlds:
    """All worlds of one server, made on first use, bounded in number.

    Args:
        scenarios: The files, by name of scenario.
        default: The scenario for keys that name none.
        speed: What scripted generation times are divided by.
        manual: Whether worlds get a clock that is advanced by hand.
        most_worlds: How many there may be.
        faults: What goes wrong in every world beside what its scenario says.
        draw_seed: What the chance of faults is drawn by.
        tell: Called with a sentence for each new world of a `sk-` key that names no scenario, which may be a slip, and
            for each world that is given up; up to a bound.

    Attributes:
        scenarios: The files, by name of scenario; None where one was handed in.
        default: The scenario for keys that name none.
        dropped: How many worlds were given up.
        last_dropped: The latest of them.
        lobby: The world of requests that belong to no other.
        feed: Who wants to hear of every line.
    """

    def __init__(
        self,
        scenarios: Mapping[str, Path],
        default: str,
        *,
        speed: float = 1.0,
        manual: bool = False,
        most_worlds: int = MOST_WORLDS,
        faults: Sequence[Fault] = (),
        draw_seed: int = 0,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.scenarios: dict[str, Path | None] = dict(scenarios)
        self.default = default
        self.dropped = 0
        self.last_dropped: deque[Dropped] = deque(maxlen=MOST_REMEMBERED_DROPS)
        self.feed = Feed()
        self._speed = speed
        self._manual = manual
        self.most_worlds = most_worlds
        self._faults = tuple(faults)
        self._draw_seed = draw_seed
        self._tell = tell
        self._told = {"keys": 0, "drops": 0}
        self._sequence = itertools.count(1)
        self._loaded: dict[str, Scenario] = {}
        self._worlds: OrderedDict[str, World] = OrderedDict()
        self._room = Room(make_room=self._make_room)
        self._choices: OrderedDict[str, Choice | Refusal] = OrderedDict()
        self._posted = 0
        clock = self.new_clock()
        self.lobby = World(LOBBY, Engine(_NOTHING, world=LOBBY, started=clock.now()), clock, _NOTHING)
        self._listen_to(self.lobby)

    def load(self, name: str) -> Scenario:
        """A scenario by name, read once.

        Raises:
            KeyError: If there is none of this name.
            ScenarioErrors: If its file is broken.
        """
        if name not in self._loaded:
            path = self.scenarios[name]
            assert path is not None  # noqa: S101 - what was handed in is loaded; for the type checker
            self._loaded[name] = load_scenario(path)
        return self._loaded[name]

    def post(self, scenario: Scenario) -> Refusal | None:
        """Take a scenario that somebody hands in; worlds made from now on play it. None, or why it is not taken."""
        name = scenario.name
        is_new = name not in self.scenarios
        if not is_new and self.scenarios[name] is not None:
            return Refusal(409, f"The scenario {name} is a file of this fake that others play; use another name.")
        if is_new and self._posted >= MOST_POSTED:
            return Refusal(503, f"{MOST_POSTED} scenarios were handed in already; use one of their names again.")
        self._posted += is_new
        self.scenarios[name] = None
        self._loaded[name] = scenario
        self._choices.clear()  # A key may have been a slip, or a stranger's, until now.
        return None

    def new_clock(self) -> RealClock | ManualClock:
        """A clock of the kind that this server's worlds have."""
        return ManualClock() if self._manual else RealClock()

    def names(self) -> list[str]:
        """The names of all worlds, the one that was idle longest first."""
        return list(self._worlds)

    def named(self, name: str) -> World | None:
        """A world by name, if it exists."""
        return self.lobby if name == LOBBY else self._worlds.get(name)

    def for_target(self, target: Target) -> World | Refusal:
        """The world that a request is for, made if need be; the lobby if it is for none.

        An address or header goes before a key. Where a key names another scenario or another tail, one of the two is a
        mistake, and playing either in silence would hide it.
        """
        if not target.is_for_service:
            return self._used(target.world) if target.world else self.lobby
        if target.contradiction:
            return Refusal(400, target.contradiction)
        if target.world is None:
            return self.for_key(target.key) if target.key else self.lobby
        choice = read_name(target.world, self.scenarios)
        key = self._choose(target.key) if target.key else None
        if isinstance(choice, Refusal) and isinstance(key, Choice) and key.world == target.world:
            choice = key  # The world of this very key, which no other request can name.
        if isinstance(choice, Refusal):
            return choice
        if isinstance(key, Choice) and key.is_named and key.world not in (choice.world, choice.scenario):
            message = f"The key is that of the world {key.world}, and the URL or the header X-Fake-World names "
            return Refusal(400, f"{message}{choice.world}. Use one of them, and any other text as key.")
        return self._get_or_make(choice)

    def make_named(self, name: str) -> World | Refusal:
        """The world of a name, made if need be."""
        choice = read_name(name, self.scenarios)
        return choice if isinstance(choice, Refusal) else self._get_or_make(choice)

    def for_key(self, key: str) -> World | Refusal:
        """The world of a key, made if need be."""
        choice = self._choose(key)
        if isinstance(choice, Refusal):
            return choice
        return self._get_or_make(choice, tells=not choice.is_named and key.startswith(KEY_PREFIX))

    def reset(self, world: World) -> World:
        """Begin a world anew, as its scenario says, under its name and with its clock; ids given out are unknown then.

        What was changed in it by hand (quotas, speed, faults) is as in the beginning.
        """
        old = world.engine
        old.give_up()
        world.engine = self._new_engine(world.name, world.scenario, world.now(), seed=old.seed + 1)
        self._listen_to(world)
        self.feed.wake(world.name)
        return world

    def wake(self, world: World) -> None:
        """Tell whoever watches a world that its time has moved, or that somebody changed something in it."""
        self.feed.wake(world.name)

    def _used(self, name: str) -> World:
        world = self._worlds.get(name)
        if world is None:
            return self.lobby
        self._worlds.move_to_end(name)
        return world

    def _get_or_make(self, choice: Choice, *, tells: bool = False) -> World | Refusal:
        world = self._worlds.get(choice.world)
        if world is not None:
            self._worlds.move_to_end(choice.world)
            return world
        try:
            scenario = self.load(choice.scenario)
        except ScenarioErrors as errors:
            return Refusal(400, f"The scenario {choice.scenario} is broken: {next(errors.lines())}")
        if len(self._worlds) >= self.most_worlds and not self._drop_oldest():
            return Refusal(503, f"All {self.most_worlds} worlds of this fake hold tasks that are still unbilled.")
        if tells:
            self._say("keys", f"a key that names no scenario plays {choice.scenario!r} in world {choice.world}")
        return self._make(choice, scenario)

    def _say(self, kind: str, text: str) -> None:
        if self._tell is not None and self._told[kind] < MOST_TOLD:
            self._told[kind] += 1
            self._tell(text)

    def _choose(self, key: str) -> Choice | Refusal:
        mark = digest(key)
        if mark not in self._choices:
            if len(self._choices) >= MOST_REMEMBERED_KEYS:
                self._choices.popitem(last=False)
            self._choices[mark] = read_key(key, self.scenarios, self.default)
        return self._choices[mark]

    def _make(self, choice: Choice, scenario: Scenario) -> World:
        clock = self.new_clock()
        engine = self._new_engine(choice.world, scenario, clock.now())
        world = self._worlds[choice.world] = World(choice.world, engine, clock, scenario)
        self._listen_to(world)
        return world

    def _new_engine(self, name: str, scenario: Scenario, started: Moment, *, seed: int = 0) -> Engine:
        room, faults, draw_seed = self._room, self._faults, self._draw_seed
        return Engine(scenario, name, self._speed, seed, started, room, faults=faults, draw_seed=draw_seed)

    def _listen_to(self, world: World) -> None:
        journal = world.engine.journal
        journal.sequence = self._sequence
        journal.on_entry = partial(self.feed.wrote, world.name)

    def _drop_oldest(self) -> bool:
        """Drop the world that was idle longest and owes nothing; whether there was one."""
        return self._drop_one_of(self._worlds.values())

    def _make_room(self) -> bool:
        """The same for one that holds tasks, and is not the one that was asked last: it is being asked."""
        others = list(self._worlds.values())[:-1]
        return self._drop_one_of([world for world in others if world.engine.holds_tasks])

    def _drop_one_of(self, worlds: Iterable[World]) -> bool:
        for world in worlds:
            # Answers that are held back wait for this very clock, which nobody could move any more; requests, too.
            if world.clock.waiting == 0 and not world.engine.has_open_tasks(world.now()):
                self._drop(world)
                return True
        return False

    def _drop(self, world: World) -> None:
        bill = world.engine.bill(world.now(), most_rows=0)
        requests = world.engine.journal.counters["requests"]
        self.last_dropped.append(Dropped(world.name, requests, bill.billed_tasks, str(bill.total)))
        world.engine.give_up()
        del self._worlds[world.name]
        self.dropped += 1
        what = f"{requests} requests, {bill.billed_tasks} billed tasks"
        self._say("drops", f"gave up the world {world.name} ({what}) to make room; nothing in it could still be billed")
