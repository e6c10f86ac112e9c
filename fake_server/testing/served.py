"""The fake on a socket, in a thread of the test's own process, and its worlds."""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from fake_server.clock import ManualClock
from fake_server.testing.clock import VirtualClock
from fake_server.testing.extras import SERVER_PACKAGES, need
from fake_server.testing.hand import Hand, scenario_files, scenario_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    from fake_server.engine import Engine
    from fake_server.moment import Moment
    from fake_server.running import RunningServer
    from fake_server.scenario import Scenario
    from fake_server.testing.hand import Source
    from fake_server.worlds import World

Result = TypeVar("Result")
_NOT_IN_A_TAIL = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_TAIL = 64
DEFAULT_SCENARIO = "succeeds"


class FakeWorld(Hand):
    """One world of a fake that serves: where it is, what it was asked, what it billed.

    Made by :class:`FakeDashScope`, by the fixture `fake_dashscope`, and by :meth:`load`.

    Attributes:
        url: Where the server is, such as `http://127.0.0.1:43211`.
        name: The world's name.
        key: The API key that leads to it.
    """

    def __init__(self, fake: FakeDashScope, world: World, key: str) -> None:
        self._fake = fake
        self._world = world
        self.name = world.name
        self.key = key
        self.url = self.origin = fake.server.url
        manual = world.clock if isinstance(world.clock, ManualClock) else None
        self._clock = VirtualClock(manual) if manual is not None else None
        self._loaded: list[FakeWorld] = []

    @property
    def clock(self) -> VirtualClock:
        """The world's manual clock, for a client that takes a clock: its sleeps move the fake's time, and nobody waits.

        Raises:
            ValueError: This world goes by the machine's clock.
        """
        if self._clock is None:
            raise ValueError("this world goes by the machine's clock; ask for clock='manual' to move it by hand")
        return self._clock

    @property
    def held_back(self) -> int:
        """How many answers wait for the manual clock to be advanced: a delay, a stall, a drip."""
        return self._world.clock.waiting if isinstance(self._world.clock, ManualClock) else 0

    def load(self, source: Source, tail: str | None = None) -> FakeWorld:
        """A further world on the same server, that plays another scenario.

        Args:
            source: The scenario's name, its file, its text, or what a YAML or JSON parser makes of that.
            tail: What its name ends with, after the scenario's; by default a number.

        Raises:
            LookupError: There is no scenario of this name.
            ScenarioErrors: It is broken.
            ValueError: It cannot be taken, and why: it has the name of a scenario that others play, say.
        """
        world = self._fake.world(source, tail)
        self._loaded.append(world)
        return world

    def reset(self) -> None:
        """Begin this world anew: no task, no bill, an empty journal; ids given out are unknown."""
        worlds = self._fake.server.worlds
        self._fake.server.call(lambda: worlds.reset(self._world))

    def give_back(self) -> None:
        """Empty this world and those loaded from it: a server gives up an empty one when it needs room for others."""
        for world in self._loaded:
            world.give_back()
        self._loaded.clear()
        self.reset()

    def _do(self, function: Callable[[Engine, Moment], Result]) -> Result:
        world = self._world
        return self._fake.server.call(lambda: function(world.engine, world.now()))

    def _advance(self, seconds: float) -> None:
        worlds, clock = self._fake.server.worlds, self.clock

        def advance() -> None:
            clock.advance(seconds)
            worlds.wake(self._world)

        self._fake.server.call(advance)


class FakeDashScope:
    """The fake for the length of a `with`: a server on a free port of the loopback, and a world to begin with.

    Args:
        scenario: What is played: a scenario's name, its file, its text, or what a parser makes of that.
        clock: `manual`: time stands still until the test lets it pass; `real`: it is the machine's.
        speed: What scripted generation times are divided by; touches nothing else.
        scenarios: A folder of own scenarios, beside those that come with the fake.
        chaos: `light`, `heavy` or a file: faults by chance, beside those of the scenarios.
        seed: What that chance is drawn by.

    Raises:
        MissingExtraError: The server's packages are not installed.
        ScenarioErrors: The folder of scenarios cannot be, or the file of chaos is broken.
    """

    def __init__(
        self,
        scenario: Source = DEFAULT_SCENARIO,
        *,
        clock: Literal["manual", "real"] = "manual",
        speed: float = 1.0,
        scenarios: str | os.PathLike[str] | None = None,
        chaos: str | None = None,
        seed: int = 0,
    ) -> None:
        need("FakeDashScope", SERVER_PACKAGES)
        from fake_server.running import RunningServer  # noqa: PLC0415 - the server's packages may be missing
        from fake_server.scenario import chaos_faults  # noqa: PLC0415 - as above
        from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

        if clock not in ("manual", "real"):
            raise ValueError(f"found the clock {clock!r}, expected 'manual' or 'real'")
        if not 0 < speed <= 1_000_000:
            raise ValueError(f"found the speed {speed!r}, expected a number above 0, up to 1000000")
        self._scenario = scenario
        self._folder = None if scenarios is None else Path(scenarios)
        self._numbers = itertools.count(1)
        self._read: dict[str, Scenario] = {}
        worlds = Worlds(
            scenario_files(self._folder),
            DEFAULT_SCENARIO,
            speed=speed,
            manual=clock == "manual",
            faults=chaos_faults(chaos) if chaos else (),
            draw_seed=seed,
        )
        self.server: RunningServer = RunningServer(worlds)

    def __enter__(self) -> FakeWorld:
        """Start the server.

        Returns:
            The world to begin with.

        Raises:
            LookupError: There is no scenario of this name.
            ScenarioErrors: It is broken.
        """
        self._scenario_of(self._scenario)  # A mistake is told before anything runs.
        self.server.__enter__()
        try:
            return self.world(self._scenario)
        except BaseException:
            self.server.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.server.__exit__(kind, error, trace)

    def world(self, source: Source, tail: str | None = None) -> FakeWorld:
        """A further world.

        Args:
            source: The scenario that it plays.
            tail: What its name ends with, after the scenario's; by default a number. A world that there is already
                is begun anew.

        Raises:
            LookupError: There is no scenario of this name.
            ScenarioErrors: It is broken.
            ValueError: It cannot be taken, and why.
        """
        scenario = self._scenario_of(source)
        ending = _NOT_IN_A_TAIL.sub("-", tail)[:LONGEST_TAIL] if tail else str(next(self._numbers))
        key = f"sk-{scenario.name}.{ending}"
        return FakeWorld(self, self.server.call(functools.partial(self._make, scenario, key)), key)

    def _scenario_of(self, source: Source) -> Scenario:
        """A scenario, however it is given; a named one is read once."""
        if not isinstance(source, str) or "\n" in source:
            return scenario_of(source, self._folder)
        if source not in self._read:
            self._read[source] = scenario_of(source, self._folder)
        return self._read[source]

    def _make(self, scenario: Scenario, key: str) -> World:
        """Called in the server's thread."""
        from fake_server.names import Refusal  # noqa: PLC0415 - after the server's packages were looked for

        worlds = self.server.worlds
        is_file = worlds.scenarios.get(scenario.name) is not None
        refusal = None if is_file and worlds.load(scenario.name) == scenario else worlds.post(scenario)
        world = refusal or worlds.for_key(key)
        if isinstance(world, Refusal):
            raise ValueError(world.message)  # noqa: TRY004 - what is refused is the scenario, not a type
        if world.engine.journal.counters["requests"] or world.scenario != scenario:
            world.scenario = scenario
            world = worlds.reset(world)
        return world
