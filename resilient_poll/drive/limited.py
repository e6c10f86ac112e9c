"""The loop for code that awaits and keeps the time of its queries itself: with one cancel scope for many of them.

To enter a scope with a deadline and to leave it costs an event loop more than all that a poll takes here otherwise. So
a scope stays open from one query to the next, and its end is looked at only when the time of some query may be up.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from resilient_poll.drive import async_driver
from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.drive.sync_driver import Machine, Publish, tell
from resilient_poll.machine.commands import Done, Query, Submit
from resilient_poll.machine.observations import Observation

__all__ = ["run"]

_EARLY_S = 0.001
"""By so much a timer may fire before the loop's clock says so: some loops count in milliseconds."""


class _Heard(Exception):
    """A query brought something although its time was up: it counts, and the scope is used up."""

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        super().__init__()


class _Limit:
    """The time of the query that is out, kept by a scope around all of them."""

    def __init__(self, scope: Any) -> None:
        import anyio  # noqa: PLC0415  # poll() must not need it

        self._scope = scope
        self._current_time = anyio.current_time
        self._loop: Any = None
        if type(scope).__module__.endswith("_asyncio"):
            import asyncio  # noqa: PLC0415  # as above

            self._loop = asyncio.get_running_loop()
        self._timer: Any = None
        self._until_s = math.inf
        self.timeout_s = 0.0

    def begin(self, timeout_s: float) -> None:
        """A query goes out."""
        self.timeout_s = timeout_s
        if self._loop is None:
            self._scope.deadline = self._current_time() + timeout_s
            return
        self._until_s = until_s = self._loop.time() + timeout_s
        # A timer that fires too early looks again then; mostly it never fires.
        if self._timer is None or self._timer.when() > until_s:
            self._set(until_s)

    def end(self) -> None:
        """It is back."""
        if self._loop is None:
            self._scope.deadline = math.inf
        self._until_s = math.inf

    def close(self) -> None:
        """There are no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at_s: float) -> None:
        self.close()
        self._timer = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() >= self._until_s - _EARLY_S:
            self._scope.cancel()
        elif self._until_s < math.inf:
            self._set(self._until_s)


async def run(
    machine: Machine,
    ask: Callable[[], Awaitable[Observation]],
    too_slow: Callable[[float], Observation],
    clock: AsyncClock,
    publish: Publish,
) -> Done:
    """Carry out commands until there are none; see :func:`resilient_poll.drive.async_driver.run`.

    Args:
        machine: Decides; it is past its submit.
        ask: Sends a query and says what came of it; it is cancelled when its time is up.
        too_slow: Says what it means that nothing came within so many seconds.
        clock: Waits.
        publish: Is told what happens.
    """
    import anyio  # noqa: PLC0415  # poll() must not need it

    while True:
        heard: Observation | None = None
        with anyio.CancelScope() as scope:
            limit = _Limit(scope)

            async def perform(
                command: Submit | Query, limit: _Limit = limit, scope: anyio.CancelScope = scope
            ) -> Observation:
                limit.begin(command.timeout_s)
                try:
                    observation = await ask()
                finally:
                    limit.end()
                if scope.cancel_called:
                    raise _Heard(observation)
                return observation

            try:
                return await async_driver.run(machine, perform, clock, publish)
            except _Heard as late:
                heard = late.observation
            finally:
                limit.close()
        observation = too_slow(limit.timeout_s) if heard is None else heard
        tell(publish, machine.receive(observation, clock.now()))
