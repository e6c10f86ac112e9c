"""One instant, as the engine is told it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Moment"]


class Moment(NamedTuple):
    """One instant, in both of the ways a service needs it.

    Args:
        monotonic_s: Seconds on a clock that only moves forward; durations are differences of these.
        wall_s: Seconds since 1970-01-01T00:00:00Z; dates and timestamps are made of these.
    """

    monotonic_s: float
    wall_s: float

    def wall_at(self, monotonic_s: float) -> float:
        """Wall seconds of another instant of the same clock, given by its monotonic seconds."""
        return self.wall_s + (monotonic_s - self.monotonic_s)
