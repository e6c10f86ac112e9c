"""A budget of retries: a share of the traffic plus a floor, so that an outage is not made worse.

The model is Finagle's and gRPC's: each first attempt pays a little in, each retry takes one out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from resilient_poll.transports.rules.checks import check_seconds, check_share

__all__ = ["RetryBudget"]


@dataclass(slots=True)
class RetryBudget:
    """How many retries are allowed, for all the transports that share it, threads included.

    In any stretch of ``t`` seconds with ``n`` first attempts there are at most
    ``share * n + floor_per_s * t + reserve`` retries.

    Args:
        share: How many retries each first attempt allows.
        floor_per_s: How many retries a second are allowed besides, so that a client that asks
            rarely may retry too.
        reserve: The most that is saved up, and what there is to begin with.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    share: float = 0.1
    floor_per_s: float = 0.1
    reserve: float = 10.0
    _left: float = field(init=False, repr=False, default=0.0)
    _at_s: float | None = field(init=False, repr=False, default=None)
    _lock: threading.Lock = field(init=False, repr=False, compare=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        check_share("RetryBudget.share", self.share, is_zero_allowed=True)
        check_seconds("RetryBudget.floor_per_s", self.floor_per_s, is_zero_allowed=True)
        check_seconds("RetryBudget.reserve", self.reserve, is_zero_allowed=True)
        self._left = float(self.reserve)

    def note_first(self) -> None:
        """A request is sent for the first time."""
        with self._lock:
            self._left = min(self.reserve, self._left + self.share)

    def take(self, now_s: float) -> bool:
        """Take one retry, if there is one left.

        Args:
            now_s: Monotonic seconds, of one clock for all who share the budget.
        """
        with self._lock:
            if self._at_s is not None and now_s > self._at_s:
                self._left = min(self.reserve, self._left + self.floor_per_s * (now_s - self._at_s))
            self._at_s = now_s if self._at_s is None else max(now_s, self._at_s)
            # The sum of many small shares misses a whole one by rounding.
            if self._left < 1.0 - 1e-9:
                return False
            self._left = max(0.0, self._left - 1.0)
            return True

    @property
    def left(self) -> float:
        """How many retries are saved up, without what has come in by the floor since the last one."""
        return self._left
