"""The fake without a socket: a client of httpx or httpx2 asks its engine directly, on a clock that both share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario import chaos_faults
from fake_server.testing.clock import VirtualClock
from fake_server.testing.hand import Hand, scenario_of
from fake_server.testing.transport import ORIGIN, NeedsASocketError, answer_from

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fake_server.faults.model import Fault
    from fake_server.scenario import Scenario
    from fake_server.testing.hand import Source
    from fake_server.testing.transport import Clock

__all__ = ["InProcessDashScope", "NeedsASocketError"]

Result = TypeVar("Result")


class InProcessDashScope(Hand):
    """One world without a socket: thousands of exchanges a second, no port, no thread, no waiting.

    Every API key leads to it. What can only be seen on a wire (cuts, stalls, spoilt bytes) is refused.

    Args:
        scenario: What is played: a scenario's name, its file, its text, or what a parser makes of that.
        clock: The clock that it shares with the client: anything with `now()`, whose result has `monotonic_s` and
            `wall_s`, and `advance(seconds)`; by default a new :class:`~fake_server.testing.VirtualClock`.
        speed: What scripted generation times are divided by; touches nothing else.
        scenarios: A folder of own scenarios, beside those that come with the fake.
        chaos: `light`, `heavy` or a file: faults by chance, beside those of the scenario.
        seed: What that chance is drawn by.

    Attributes:
        clock: The clock that it shares with the client.
        engine: The world itself.

    Raises:
        LookupError: There is no scenario of this name.
        NeedsASocketError: The scenario, or the chaos, has a fault of the wire; the sentence names it.
        ScenarioErrors: The scenario is broken.
    """

    def __init__(
        self,
        scenario: Source = "succeeds",
        *,
        clock: Any = None,
        speed: float = 1.0,
        scenarios: str | os.PathLike[str] | None = None,
        chaos: str | None = None,
        seed: int = 0,
    ) -> None:
        read = scenario_of(scenario, None if scenarios is None else Path(scenarios))
        if read.socket_faults:
            raise NeedsASocketError(f"{read.socket_faults[0]} of the scenario {read.name}")
        faults = chaos_faults(chaos) if chaos else ()
        for fault in faults:
            self._check_fault(fault)
        self.clock: Any = VirtualClock() if clock is None else clock
        self.name = f"{read.name}.in-process"
        self.key = f"sk-{self.name}"
        self.origin = ORIGIN
        self._speed = speed
        self._faults = faults
        self._seed = seed
        self.engine = self._new_engine(read)

    def httpx_transport(self) -> Any:
        """A transport for `httpx.Client` and `httpx.AsyncClient`."""
        from fake_server.testing.httpx_library import make_transport  # noqa: PLC0415 - who uses the other library

        return make_transport(self._handle)

    def httpx2_transport(self) -> Any:
        """A transport for `httpx2.Client` and `httpx2.AsyncClient`."""
        from fake_server.testing.httpx2_library import make_transport  # noqa: PLC0415 - as above

        return make_transport(self._handle)

    def reset(self) -> None:
        """Begin anew: no task, no bill, an empty journal. The clock goes on."""
        self.engine = self._new_engine(self.engine.scenario, self.engine.seed + 1)

    def _new_engine(self, scenario: Scenario, seed: int = 0) -> Engine:
        started = self._now()
        return Engine(scenario, self.name, self._speed, seed, started, faults=self._faults, draw_seed=self._seed)

    def _now(self) -> Moment:
        now = self.clock.now()
        return Moment(now.monotonic_s, now.wall_s)

    @property
    def _handle(self) -> Callable[[Any, bytes], Any]:
        return functools.partial(self._answer, self.clock)

    def _answer(self, clock: Clock, request: Any, body: bytes) -> Any:
        return answer_from(self.engine, clock, request, body)

    def _do(self, function: Callable[[Engine, Moment], Result]) -> Result:
        return function(self.engine, self._now())

    def _advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def _check_fault(self, fault: Fault) -> None:
        if fault.needs_socket:
            raise NeedsASocketError(fault.describe())
