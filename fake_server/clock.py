"""Time, as one world of the fake knows it.

This is the only module of the package that reads the machine's clock. Everything else is handed a
:class:`.Moment`, so a test, a manual clock and the real clock all drive the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Protocol

from fake_server.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

# A manual clock starts here, 2026-01-01T00:00:00Z, so that two runs of one test give the same answers
# to the byte: dates and timestamps are part of an answer.
MANUAL_START_WALL_S = 1_767_225_600.0

# One advance may not pass this: ten years outlive every script, and keep dates inside four-digit years
# however often a client asks (a date beyond year 9999 cannot be formatted).
LONGEST_ADVANCE_S = 10 * 365 * 86_400.0
LATEST_WALL_S = 4_102_444_800.0  # 2100-01-01T00:00:00Z

# Answers that are held back on one clock: more than a server has connections, usually.
MOST_WAITERS = 10_000
# The loop's timers are asked for no more than this at once; they overflow far beyond.
_LONGEST_SLEEP_S = 86_400.0


class TooManyWaitersError(Exception):
    """More wait on one clock than it remembers."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_WAITERS} answers of this world are held back already, and this one cannot be.")


class Clock(Protocol):
    """What a world asks the time of."""

    @property
    def is_manual(self) -> bool:
        """Whether somebody advances this clock by hand."""
        ...

    def now(self) -> Moment:
        """The present instant; never before one that was already told."""
        ...

    @property
    def waiting(self) -> int:
        """How many wait for an instant of this clock."""
        ...

    @property
    def next_due_s(self) -> float | None:
        """The monotonic seconds of the earliest of these instants; None where nobody waits."""
        ...

    async def wait_until(self, monotonic_s: float) -> None:
        """Return once this clock shows an instant, given by its monotonic seconds.

        Raises:
            TooManyWaitersError: If very many wait already.
        """
        ...


class RealClock:
    """The machine's time, with the wall time anchored once.

    The wall time is the one at construction plus what the monotonic clock has counted since: setting the
    machine's clock back must not make a world's time go back.

    Args:
        monotonic: The seconds of a clock that only goes forward; one that does not is taken to stand still.
        wall: Seconds since 1970.
    """

    is_manual = False

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._anchor = Moment(monotonic(), wall())
        self._latest_s = self._anchor.monotonic_s
        self._waiting_for_s: list[float] = []

    def now(self) -> Moment:
        """The present instant."""
        self._latest_s = monotonic_s = max(self._monotonic(), self._latest_s)
        return Moment(monotonic_s, self._anchor.wall_at(monotonic_s))

    async def wait_until(self, monotonic_s: float) -> None:
        """Sleep until an instant.

        Raises:
            TooManyWaitersError: If very many wait already.
        """
        if len(self._waiting_for_s) >= MOST_WAITERS:
            raise TooManyWaitersError
        self._waiting_for_s.append(monotonic_s)
        try:
            while (left_s := monotonic_s - self.now().monotonic_s) > 0:  # noqa: ASYNC110  # time is no event
                await asyncio.sleep(min(left_s, _LONGEST_SLEEP_S))
        finally:
            self._waiting_for_s.remove(monotonic_s)

    @property
    def waiting(self) -> int:
        """How many wait for an instant of this clock."""
        return len(self._waiting_for_s)

    @property
    def next_due_s(self) -> float | None:
        """The monotonic seconds of the earliest of these instants; None where nobody waits."""
        return min(self._waiting_for_s, default=None)


class ManualClock:
    """A clock that stands still until somebody advances it, and never goes back.

    It may be advanced from any thread; who waits for it is woken in the event loop that it waits in.

    Args:
        wall_s: The wall time it starts at, in seconds since 1970.
    """

    is_manual = True

    def __init__(self, wall_s: float = MANUAL_START_WALL_S) -> None:
        self._now = Moment(0.0, wall_s)
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Future[None], float] = {}

    def now(self) -> Moment:
        """The present instant."""
        return self._now

    def advance(self, seconds: float) -> Moment:
        """Move forward.

        Args:
            seconds: How far, in seconds; zero is allowed.

        Returns:
            The new present.

        Raises:
            ValueError: If `seconds` is negative, not finite, or further than this clock can go.
        """
        if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST_ADVANCE_S:
            raise ValueError(
                f"found seconds {seconds!r}, expected a number from 0 to {LONGEST_ADVANCE_S:.0f}: "
                "a clock never goes back"
            )
        with self._lock:
            if self._now.wall_s + seconds > LATEST_WALL_S:
                raise ValueError("this clock is at its end, the year 2100; make a new world")
            self._now = now = Moment(self._now.monotonic_s + seconds, self._now.wall_s + seconds)
            due = [future for future, at_s in self._waiting.items() if at_s <= now.monotonic_s]
            for future in due:
                del self._waiting[future]
        for future in due:
            with contextlib.suppress(RuntimeError):  # Its loop has ended, and whoever waited there with it.
                future.get_loop().call_soon_threadsafe(_wake, future)
        return now

    async def wait_until(self, monotonic_s: float) -> None:
        """Wait until somebody has advanced this clock to an instant.

        Raises:
            TooManyWaitersError: If very many wait already.
        """
        with self._lock:
            if monotonic_s <= self._now.monotonic_s:
                return
            if len(self._waiting) >= MOST_WAITERS:
                raise TooManyWaitersError
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = monotonic_s
        try:
            await future
        finally:
            with self._lock:
                self._waiting.pop(future, None)

    @property
    def waiting(self) -> int:
        """How many wait for this clock to be advanced; a test knows by it that an answer is held back."""
        return len(self._waiting)

    @property
    def next_due_s(self) -> float | None:
        """The monotonic seconds at which the next of them is due, or None."""
        with self._lock:
            return min(self._waiting.values(), default=None)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
