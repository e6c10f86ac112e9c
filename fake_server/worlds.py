"""Worlds: an API key picks a scenario, and a set of tasks, quotas, clock and bill of its own.

`sk-<scenario>` and `sk-<scenario>.<anything>` name a scenario; the tail makes the world private. Every other
key gets the default scenario in a private world named by a hash of the key, so that a real key put here by
mistake never shows up in a URL, a journal or a page.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.clock import ManualClock, RealClock
from fake_server.engine import INVALID_KEY, Engine
from fake_server.rules.room import Room
from fake_server.scenario.library import load_scenario
from fake_server.scenario.yaml_nodes import ScenarioErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from fake_server.moment import Moment
    from fake_server.scenario.model import Scenario

# With every world's journal full of usual requests this is some hundred megabytes; of the longest ones, 2 GB.
MOST_WORLDS = 1_000
# Decisions about keys that are remembered; each costs a hundred bytes, and is made again if forgotten.
MOST_REMEMBERED_KEYS = 10_000
# Keys without a scenario that are told of: enough for a human, too few to fill a pipe that nobody reads.
MOST_TOLD_KEYS = 100
# As near as `throttld` is to `throttled`. Keys of real accounts, 32 hex digits or more, are never this near.
_MISTYPED = 0.75

_KEY_PREFIX = "sk-"
_TAIL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOOKS_LIKE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key picks, and whether it named it."""

    scenario: str
    world: str
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key gets no world: the HTTP status and the sentence to answer with."""

    status: int
    message: str


@dataclass(slots=True)
class World:
    """One world: its name, its engine and the clock that drives it."""

    name: str
    engine: Engine
    clock: RealClock | ManualClock

    def now(self) -> Moment:
        """The present of this world."""
        return self.clock.now()


def read_key(key: str, scenarios: Mapping[str, object], default: str) -> Choice | Refusal:
    """Find out what a key picks.

    Args:
        key: The key as sent, without `Bearer`.
        scenarios: The known scenarios, by name.
        default: The scenario for keys that name none.
    """
    if key == INVALID_KEY:
        return Refusal(401, "Invalid API-key provided.")
    stem, dot, tail = key.removeprefix(_KEY_PREFIX).partition(".")
    if key.startswith(_KEY_PREFIX):
        if stem in scenarios:
            private = tail if _TAIL.fullmatch(tail) else _digest(tail)
            return Choice(stem, f"{stem}.{private}" if dot else stem)
        near = _nearest(stem, scenarios)
        if near is not None:
            message = f"Invalid API-key provided: it names no scenario of this fake. Did you mean sk-{near}?"
            return Refusal(401, message)
    # The tilde cannot stand in a tail, so no client can name its way into another key's world.
    return Choice(default, f"{default}~{_digest(key)}", is_named=False)


def _nearest(stem: str, scenarios: Mapping[str, object]) -> str | None:
    if not _LOOKS_LIKE_NAME.fullmatch(stem):
        return None
    near = difflib.get_close_matches(stem.lower(), list(scenarios), n=1, cutoff=_MISTYPED)
    return near[0] if near else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Worlds:
    """All worlds of one server, made on first use, bounded in number.

    Args:
        scenarios: The files, by name of scenario.
        default: The scenario for keys that name none.
        speed: What scripted generation times are divided by.
        manual: Whether worlds get a clock that is advanced by hand.
        most_worlds: How many there may be.
        tell: Called with a sentence for each new world of a `sk-` key that names no scenario: it may be a slip.
    """

    def __init__(
        self,
        scenarios: Mapping[str, Path],
        default: str,
        *,
        speed: float = 1.0,
        manual: bool = False,
        most_worlds: int = MOST_WORLDS,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.scenarios = scenarios
        self.default = default
        self.dropped = 0
        self._speed = speed
        self._manual = manual
        self._most_worlds = most_worlds
        self._tell = tell
        self._told = 0
        self._loaded: dict[str, Scenario] = {}
        self._worlds: OrderedDict[str, World] = OrderedDict()
        self._room = Room(make_room=self._make_room)
        self._choices: OrderedDict[str, Choice | Refusal] = OrderedDict()

    def load(self, name: str) -> Scenario:
        """A scenario by name, read once.

        Raises:
            KeyError: If there is none of this name.
            ScenarioErrors: If its file is broken.
        """
        if name not in self._loaded:
            self._loaded[name] = load_scenario(self.scenarios[name])
        return self._loaded[name]

    def new_clock(self) -> RealClock | ManualClock:
        """A clock of the kind that this server's worlds have."""
        return ManualClock() if self._manual else RealClock()

    def names(self) -> list[str]:
        """The names of all worlds, the one that was idle longest first."""
        return list(self._worlds)

    def named(self, name: str) -> World | None:
        """A world by name, if it exists."""
        return self._worlds.get(name)

    def for_key(self, key: str) -> World | Refusal:
        """The world of a key, made if need be."""
        choice = self._choose(key)
        if isinstance(choice, Refusal):
            return choice
        world = self._worlds.get(choice.world)
        if world is not None:
            self._worlds.move_to_end(choice.world)
            return world
        try:
            scenario = self.load(choice.scenario)
        except ScenarioErrors as errors:
            return Refusal(400, f"The scenario {choice.scenario} is broken: {next(errors.lines())}")
        if len(self._worlds) >= self._most_worlds and not self._drop_oldest():
            return Refusal(503, f"All {self._most_worlds} worlds of this fake hold tasks that are still unbilled.")
        if key.startswith(_KEY_PREFIX) and not choice.is_named:
            self._tell_of(choice)
        return self._make(choice, scenario)

    def reset(self, world: World) -> World:
        """Begin a world anew, under its name and with its clock; ids given out before are unknown then."""
        old = world.engine
        old.give_up()
        seed, started = old.seed + 1, world.now()
        world.engine = Engine(old.scenario, old.world, old.speed, seed=seed, started=started, room=self._room)
        return world

    def _tell_of(self, choice: Choice) -> None:
        if self._tell is not None and self._told < MOST_TOLD_KEYS:
            self._told += 1
            self._tell(f"a key that names no scenario plays {choice.scenario!r} in world {choice.world}")

    def _choose(self, key: str) -> Choice | Refusal:
        mark = _digest(key)
        if mark not in self._choices:
            if len(self._choices) >= MOST_REMEMBERED_KEYS:
                self._choices.popitem(last=False)
            self._choices[mark] = read_key(key, self.scenarios, self.default)
        return self._choices[mark]

    def _make(self, choice: Choice, scenario: Scenario) -> World:
        clock = self.new_clock()
        engine = Engine(scenario, world=choice.world, speed=self._speed, started=clock.now(), room=self._room)
        world = self._worlds[choice.world] = World(choice.world, engine, clock)
        return world

    def _drop_oldest(self) -> bool:
        """Drop the world that was idle longest and owes nothing; whether there was one."""
        return self._drop_one_of(self._worlds.values())

    def _make_room(self) -> bool:
        """The same for one that holds tasks, and is not the one that was asked last: it is being asked."""
        others = list(self._worlds.values())[:-1]
        return self._drop_one_of([world for world in others if world.engine.holds_tasks])

    def _drop_one_of(self, worlds: Iterable[World]) -> bool:
        for world in worlds:
            if not world.engine.has_open_tasks(world.now()):
                world.engine.give_up()
                del self._worlds[world.name]
                self.dropped += 1
                return True
        return False
