"""The clocks that a driver waits by: real ones, and one that a test owns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from resilient_poll.machine.instant import Instant

__all__ = ["AsyncClock", "Clock", "RealAsyncClock", "RealClock", "VirtualClock"]

LONGEST_NAP_S = 3600.0
"""Longer sleeps are cut into such pieces: some platforms refuse a sleep of months."""


class Clock(Protocol):
    """A clock for code that blocks."""

    def now(self) -> Instant:
        """Return the present instant."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        ...


class AsyncClock(Protocol):
    """A clock for code that awaits."""

    def now(self) -> Instant:
        """Return the present instant."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds, letting others run."""
        ...


class RealClock:
    """The machine's own clock, for code that blocks."""

    def now(self) -> Instant:
        """Return the present instant."""
        return Instant(time.monotonic(), time.time())

    def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        time.sleep(min(seconds, LONGEST_NAP_S))


class RealAsyncClock:
    """The event loop's clock, for asyncio and trio alike.

    On trio's ``MockClock`` it follows the mock, since deadlines there do too. Once its loop is over
    it goes on with the machine's own clock: what is known of a task is asked for then too.
    """

    def __init__(self) -> None:
        # Imported here: poll() must need neither, and this module serves it too.
        import asyncio  # noqa: PLC0415  # see above

        import anyio  # noqa: PLC0415  # see above

        self._running_loop = asyncio.get_running_loop
        self._current_time = anyio.current_time
        self._sleep = anyio.sleep
        self._ahead_s = 0.0

    def now(self) -> Instant:
        """Return the present instant."""
        machine_s = time.monotonic()
        try:
            loop_s = self._running_loop().time()  # anyio would look for its backend at each poll.
        except RuntimeError:
            loop_s = self._other_s(machine_s)
        self._ahead_s = loop_s - machine_s
        return Instant(loop_s, time.time())

    def _other_s(self, machine_s: float) -> float:
        try:
            return self._current_time()  # trio's, then.
        except RuntimeError:  # No event loop runs here.
            return machine_s + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds, letting others run."""
        await self._sleep(min(seconds, LONGEST_NAP_S))


class VirtualClock:
    """A clock that moves only when someone sleeps on it, for tests without waiting.

    It serves blocking code; :meth:`for_async` gives the same clock to code that awaits.
    It is for one task at a time: several would each move it by their own sleep.

    Args:
        start: What it shows first; a moment in June 2025, unless given.
        on_sleep: Called with the seconds of each sleep, before the clock moves; a test
            moves a fake server's clock there.
    """

    def __init__(self, start: Instant | None = None, on_sleep: Callable[[float], None] | None = None) -> None:
        self._now = Instant(0.0, 1_750_000_000.0) if start is None else start
        self._on_sleep = on_sleep
        self.slept_s: list[float] = []

    def now(self) -> Instant:
        """Return what the clock shows."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock by some seconds, at once."""
        self.slept_s.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock by some seconds without counting it as a sleep.

        Args:
            seconds: Zero or more; a clock that goes back would prove nothing.

        Raises:
            ValueError: The seconds are negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds!r}")
        if self._on_sleep is not None:
            self._on_sleep(seconds)
        self._now = Instant(self._now.monotonic_s + seconds, self._now.wall_s + seconds)

    def for_async(self) -> AsyncClock:
        """Return this same clock for code that awaits."""
        return _VirtualAsyncClock(self)


class _VirtualAsyncClock:
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> Instant:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        import anyio.lowlevel  # noqa: PLC0415  # as in RealAsyncClock

        await anyio.lowlevel.checkpoint()
        self._clock.sleep(seconds)
