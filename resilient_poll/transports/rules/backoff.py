"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass

from resilient_poll.transports.rules.checks import check_seconds, check_share

__all__ = ["Backoff"]

_MOST_DOUBLINGS = 60
"""Beyond it a float would overflow, and every cap is reached."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling pauses, spread so that many clients do not come back at once.

    The spread lies below the pause, at the cap too: clients that all wait for the cap would
    otherwise march in step.

    Args:
        first_s: The first pause in seconds.
        longest_s: The longest pause in seconds; a ``Retry-After`` may ask for more.
        spread: Which share of a pause is left to chance, from 0 to 1.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    first_s: float = 0.5
    longest_s: float = 20.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        check_seconds("Backoff.first_s", self.first_s)
        check_seconds("Backoff.longest_s", self.longest_s)
        check_share("Backoff.spread", self.spread, is_zero_allowed=True)

    def pause_s(self, failures: int, draw: float, retry_after_s: float | None = None) -> float:
        """Return how long to wait.

        What the server asked for is a floor and never cut; a part of the first pause is added to
        it, since everybody whom it told the same comes back at the same instant otherwise.

        Args:
            failures: How many attempts failed, from 1.
            draw: A number from 0 to 1.
            retry_after_s: What the server asked for, if it did.
        """
        whole_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        pause_s = whole_s * (1.0 - self.spread * draw)
        if retry_after_s is None:
            return pause_s
        return max(pause_s, retry_after_s + self.spread * draw * min(self.first_s, self.longest_s))
