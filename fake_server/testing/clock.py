"""A clock that a test owns, and that the fake and a client may share: nobody waits, and both see the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fake_server.clock import ManualClock
from fake_server.moment import Moment


@dataclass(frozen=True, slots=True)
class Reading:
    """One instant on both clocks that matter to a client.

    Args:
        monotonic_s: Seconds that only grow.
        wall_s: Seconds since 1970, in UTC.
    """

    monotonic_s: float
    wall_s: float

    def later(self, seconds: float) -> Reading:
        """The instant some seconds after this one."""
        return Reading(self.monotonic_s + seconds, self.wall_s + seconds)

    def at_wall(self, wall_s: float) -> Reading:
        """The instant of a wall time, as seen from this one."""
        return Reading(self.monotonic_s + (wall_s - self.wall_s), wall_s)


class VirtualClock:
    """A clock that stands still until somebody sleeps on it or advances it.

    Hand it to a client that takes a clock (`now()` and `sleep()`), or `sleep` to one that takes only that. It is for
    one task at a time: of several that sleep at once, each would move it by its own sleep.

    Args:
        manual: The clock of the world that it shares; by default a new one.

    Attributes:
        slept_s: The seconds of each sleep so far.
    """

    def __init__(self, manual: ManualClock | None = None) -> None:
        self._manual = manual or ManualClock()
        self.slept_s: list[float] = []

    # Any, not Reading: a client's own clock names a type of its own here, and what it has is the same.
    def now(self) -> Any:
        """The present: `monotonic_s`, `wall_s`, `later()` and `at_wall()`."""
        return Reading(*self._manual.now())

    def monotonic(self) -> float:
        """Seconds that only grow, as `time.monotonic` tells them."""
        return self._manual.now().monotonic_s

    def time(self) -> float:
        """Seconds since 1970, as `time.time` tells them."""
        return self._manual.now().wall_s

    def sleep(self, seconds: float) -> None:
        """Let some seconds pass, at once.

        Raises:
            ValueError: They are negative, not finite, or more than ten years.
        """
        self.slept_s.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let some seconds pass without counting them as a sleep.

        Raises:
            ValueError: They are negative, not finite, or more than ten years.
        """
        self._manual.advance(seconds)

    def moment(self) -> Moment:
        """The present, as the fake takes it."""
        return self._manual.now()

    def for_async(self) -> AsyncVirtualClock:
        """This same clock for code that awaits its sleeps, on asyncio and trio."""
        return AsyncVirtualClock(self)


class AsyncVirtualClock:
    """A virtual clock whose sleeps are awaited; others have their turn, and no time passes but its own.

    Args:
        clock: The clock that it moves.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> Any:
        """The present, as that of :class:`VirtualClock`."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Let some seconds pass.

        Raises:
            ValueError: As :meth:`VirtualClock.sleep` does.
        """
        import anyio.lowlevel  # noqa: PLC0415 - it comes with httpx and with the server; a clock for code that blocks needs none

        await anyio.lowlevel.checkpoint()
        self._clock.sleep(seconds)
