"""Slow down while a quota runs low, so that it is never run into.

The headers tell how much of a window is left. While there is plenty, nothing is held back;
below a share of it, what is left is spread over the rest of the window; at nothing, one waits
for the reset.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from resilient_poll.http.headroom import Headroom
from resilient_poll.transports.rules.checks import check_seconds, check_share

__all__ = ["HeadroomPolicy", "Throttle"]

_SAME_WINDOW_S = 2.0
"""Resets that lie no further apart are one: they are given in whole seconds, and answers take their time."""
_AFTER_RESET_GAP_S = 0.05
"""How far apart those go who waited for a reset: the first answer then tells what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadroomPolicy:
    """When to slow down.

    Args:
        slow_below: Below this share of the limit what is left is spread over the window.
        longest_s: Nothing is held back for longer, whatever the headers say: they are a courtesy, and
            a wrong clock must not stop a client.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    slow_below: float = 0.2
    longest_s: float = 120.0

    def __post_init__(self) -> None:
        check_share("HeadroomPolicy.slow_below", self.slow_below)
        check_seconds("HeadroomPolicy.longest_s", self.longest_s)


@dataclass(slots=True)
class Throttle:
    """What is believed of one quota. It is not locked: whoever shares it among threads holds a lock.

    Args:
        policy: When to slow down.
    """

    policy: HeadroomPolicy = field(default_factory=HeadroomPolicy)
    _limit: int | None = field(init=False, default=None)
    _remaining: int | None = field(init=False, default=None)
    _resets_at_s: float = field(init=False, default=float("-inf"))
    _next_s: float = field(init=False, default=float("-inf"))

    def earliest_s(self, now_s: float) -> float:
        """Return the earliest start, now or later. Asking changes nothing.

        Args:
            now_s: Monotonic seconds.
        """
        at_s = max(now_s, self._next_s)
        if self._remaining is not None and self._remaining <= 0 and now_s < self._resets_at_s:
            return max(at_s, self._resets_at_s)
        return at_s

    def reserve(self, now_s: float) -> float:
        """Promise the earliest start, and return it.

        Args:
            now_s: Monotonic seconds.
        """
        at_s = self.earliest_s(now_s)
        if self._remaining is None or now_s >= self._resets_at_s:
            self._remaining = None
            if at_s > now_s:
                self._next_s = at_s + _AFTER_RESET_GAP_S
            return at_s
        if self._remaining <= 0:
            self._next_s = at_s + _AFTER_RESET_GAP_S
        elif self._is_low:
            self._next_s = at_s + max(0.0, self._resets_at_s - at_s) / (self._remaining + 1)
        self._remaining = max(0, self._remaining - 1)
        return at_s

    def note(self, said: Headroom | None, now_s: float) -> None:
        """Take in what an answer said.

        Args:
            said: What it said; None if it said nothing readable.
            now_s: Monotonic seconds.
        """
        if said is None or said.remaining is None or said.resets_in_s is None:
            return
        resets_at_s = now_s + min(said.resets_in_s, self.policy.longest_s)
        is_same = self._remaining is not None and abs(resets_at_s - self._resets_at_s) <= _SAME_WINDOW_S
        if is_same and self._remaining is not None:
            # Answers overtake each other, and of those under way none is counted in them: the least is nearest.
            self._remaining = min(self._remaining, said.remaining)
            self._resets_at_s = max(self._resets_at_s, resets_at_s)
        elif resets_at_s >= self._resets_at_s or now_s >= self._resets_at_s:
            self._remaining, self._resets_at_s = said.remaining, resets_at_s
        if said.limit is not None:
            self._limit = said.limit

    @property
    def _is_low(self) -> bool:
        if self._remaining is None:
            return False
        return self._limit is None or self._remaining < self._limit * self.policy.slow_below
