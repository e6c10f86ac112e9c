"""What a clock that is advanced by hand shows, and who must still wait for it; and what one shows that cannot go back.

All advances and all who ever waited are kept, and gone through from the beginning for every question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST_ADVANCE_S = 10 * 365 * 86_400.0
END_WALL_S = 4_102_444_800.0
"""The year 2100."""


@dataclass
class Waiting:
    """One who waits for an instant, or has given that up."""

    at_s: float
    has_given_up: bool = False


@dataclass
class Clock:
    """One clock.

    Attributes:
        began_wall_s: The seconds since 1970 at which it began; it counts from zero beside.
        advances_s: By how much it was advanced, one after the other.
        waits: All who ever waited.
    """

    began_wall_s: float
    advances_s: list[float] = field(default_factory=list)
    waits: list[Waiting] = field(default_factory=list)

    def now_s(self) -> float:
        """Return how far it is."""
        return self._since(0.0)

    def wall_s(self) -> float:
        """Return how late it is."""
        return self._since(self.began_wall_s)

    def can_advance(self, seconds: float) -> bool:
        """Return whether it may be advanced by so much: forward, at most ten years, and not beyond its end."""
        is_sensible = math.isfinite(seconds) and 0.0 <= seconds <= LONGEST_ADVANCE_S
        return is_sensible and self.wall_s() + seconds <= END_WALL_S

    def still_wait(self) -> list[bool]:
        """Return of all who ever waited whether they wait still: their instant has not come, and they did not leave."""
        now_s = self.now_s()
        return [one.at_s > now_s and not one.has_given_up for one in self.waits]

    def next_due_s(self) -> float | None:
        """Return the instant for which somebody waits, and that comes first."""
        due = [one.at_s for one, waits in zip(self.waits, self.still_wait(), strict=True) if waits]
        return min(due, default=None)

    def _since(self, began_s: float) -> float:
        # Not by sum(), which rounds otherwise from one Python to the next.
        for seconds in self.advances_s:
            began_s += seconds
        return began_s


def told(readings_s: Sequence[float]) -> list[float]:
    """Return what a clock tells that stands still while the machine's goes back: the latest of all readings so far."""
    return [max(readings_s[: number + 1]) for number in range(len(readings_s))]
