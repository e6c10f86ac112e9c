"""A token bucket: at most so many starts in any window, handed out in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from resilient_poll.errors import ConfigurationError
from resilient_poll.transports.rules.checks import check_count, check_seconds

__all__ = ["Bucket", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` starts in any window of ``window_s`` seconds, however they are spread.

    A plain bucket of the same size would let nearly twice as many through: a full one, and what
    flows in meanwhile. So a larger burst makes what follows it slower.

    Args:
        count: How many.
        window_s: The window in seconds.
        burst: How many of them may start at once; 1 spreads them evenly.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    count: int
    window_s: float
    burst: int = 1

    def __post_init__(self) -> None:
        check_count("Rate.count", self.count)
        check_seconds("Rate.window_s", self.window_s)
        check_count("Rate.burst", self.burst)
        if self.burst > self.count:
            raise ConfigurationError(f"Rate.burst is at most its count {self.count}, not {self.burst}")

    @classmethod
    def per_second(cls, count: int, *, burst: int = 1) -> Rate:
        """Return a rate per second."""
        return cls(count, 1.0, burst)

    @classmethod
    def per_minute(cls, count: int, *, burst: int = 1) -> Rate:
        """Return a rate per minute."""
        return cls(count, 60.0, burst)

    @property
    def gap_s(self) -> float:
        """After how many seconds a token comes back, so that no window holds more than the count."""
        return self.window_s / (self.count - self.burst + 1)


@dataclass(slots=True)
class Bucket:
    """Hands out starts. It is not locked: whoever shares it among threads holds a lock.

    Instead of tokens it keeps the instant at which it would be full again (the "generic cell
    rate algorithm" of ATM networks: the same decisions, one number, nothing to refill).

    Args:
        rate: How many.
    """

    rate: Rate
    _full_at_s: float = field(init=False, repr=False, default=float("-inf"))

    def earliest_s(self, now_s: float) -> float:
        """Return the earliest start, now or later. Asking changes nothing.

        Args:
            now_s: Monotonic seconds.
        """
        return max(now_s, self._full_at_s - (self.rate.burst - 1) * self.rate.gap_s)

    def reserve(self, now_s: float) -> float:
        """Promise the earliest start that is free, and return it: first come, first served.

        A start that does not happen is not given back: those behind it have theirs already.

        Args:
            now_s: Monotonic seconds.
        """
        at_s = self.earliest_s(now_s)
        self._full_at_s = max(self._full_at_s, at_s) + self.rate.gap_s
        return at_s
