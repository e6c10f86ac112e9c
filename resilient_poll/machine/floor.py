"""The earliest next request, shared by all tasks of one account."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Floor"]

CROWD_GAP_S = 1.0
"""How far apart they go: the service's answer to the first is there before the second is sent."""
CROWDED_S = 60.0
"""For how long after a throttle: a task's usual life, after which its slot is free again."""
_SINCE_EVER = float("-inf")


@dataclass(slots=True)
class Floor:
    """A line below which no request is sent; it only rises.

    A service throttles an account, not a task. So when one task hears "come back in
    20 s", all tasks that share its floor stay away.

    Attributes:
        not_before_s: The earliest next request, in monotonic seconds.
        crowded_until_s: Until when those who were told to stay away go one after the other.
    """

    not_before_s: float = _SINCE_EVER
    crowded_until_s: float = _SINCE_EVER

    def raise_to(self, at_s: float) -> None:
        """Raise the floor to an instant in monotonic seconds; a lower one changes nothing."""
        self.not_before_s = max(self.not_before_s, at_s)

    def throttle_until(self, at_s: float) -> None:
        """Raise the floor because the service asked for it, and let those who wait go one after the other."""
        self.raise_to(at_s)
        self.crowded_until_s = max(self.crowded_until_s, at_s + CROWDED_S)

    def step_through(self, now_s: float) -> None:
        """Take one's turn: where many wait for the same instant, the others follow with a gap.

        Otherwise all of them send when the service's ``Retry-After`` is over, and all but
        the first are too many again.
        """
        if now_s < self.crowded_until_s:
            self.raise_to(now_s + CROWD_GAP_S)
