"""One reading of the two clocks that matter."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Instant"]


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment, on the clock that never steps and on the one that people read.

    Attributes:
        monotonic_s: Seconds that only grow; waits and deadlines use them.
        wall_s: Seconds since 1970 in UTC; what crosses a process or a host uses them.
    """

    monotonic_s: float
    wall_s: float

    def later(self, seconds: float) -> Instant:
        """Return the instant some seconds after this one."""
        return Instant(self.monotonic_s + seconds, self.wall_s + seconds)

    def at_wall(self, wall_s: float) -> Instant:
        """Return the instant of a wall time, as seen from this one."""
        return Instant(self.monotonic_s + (wall_s - self.wall_s), wall_s)
