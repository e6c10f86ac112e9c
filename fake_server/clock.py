"""Time, as one world of the fake knows it.

This is the only module of the package that reads the machine's clock. Everything else is handed a
:class:`.Moment`, so a test, a manual clock and the real clock all drive the same code.
"""

from __future__ import annotations

import math
import time
from typing import Protocol

from fake_server.moment import Moment

# A manual clock starts here, 2026-01-01T00:00:00Z, so that two runs of one test give the same answers
# to the byte: dates and timestamps are part of an answer.
MANUAL_START_WALL_S = 1_767_225_600.0

# One advance may not pass this: ten years outlive every script, and keep dates inside four-digit years
# however often a client asks (a date beyond year 9999 cannot be formatted).
LONGEST_ADVANCE_S = 10 * 365 * 86_400.0
LATEST_WALL_S = 4_102_444_800.0  # 2100-01-01T00:00:00Z


class Clock(Protocol):
    """What a world asks the time of."""

    @property
    def is_manual(self) -> bool:
        """Whether somebody advances this clock by hand."""
        ...

    def now(self) -> Moment:
        """The present instant; never before one that was already told."""
        ...


class RealClock:
    """The machine's time, with the wall time anchored once.

    The wall time is the one at construction plus what the monotonic clock has counted since: setting the
    machine's clock back must not make a world's time go back.
    """

    is_manual = False

    def __init__(self) -> None:
        self._anchor = Moment(time.monotonic(), time.time())

    def now(self) -> Moment:
        """The present instant."""
        monotonic_s = time.monotonic()
        return Moment(monotonic_s, self._anchor.wall_at(monotonic_s))


class ManualClock:
    """A clock that stands still until somebody advances it, and never goes back.

    Args:
        wall_s: The wall time it starts at, in seconds since 1970.
    """

    is_manual = True

    def __init__(self, wall_s: float = MANUAL_START_WALL_S) -> None:
        self._now = Moment(0.0, wall_s)

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
        if self._now.wall_s + seconds > LATEST_WALL_S:
            raise ValueError("this clock is at its end, the year 2100; make a new world")
        self._now = Moment(self._now.monotonic_s + seconds, self._now.wall_s + seconds)
        return self._now
