"""When to ask next, and how to spread those who failed together.

A schedule is judged by polls per task and by the delay from completion to the poll that
sees it. Jitter on a healthy poll is a pure loss of both, so schedules have none: it
belongs on errors and on simultaneous starts (:func:`backoff_s`, ``start_spread_s``).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from resilient_poll.errors import ConfigurationError

__all__ = ["Exponential", "Fixed", "Linear", "Schedule", "backoff_s", "draw"]

BACKOFF_FIRST_S = 1.0
"""The first pause after a failure without a hint; doubles from there.

Doubling with ±25 % jitter up to 30 s; source: docs/decisions.md, *Numbers and their sources*."""
BACKOFF_CAP_S = 30.0
BACKOFF_JITTER = 0.25
_BACKOFF_DOUBLINGS_MAX = 10  # 1 s doubled ten times is far beyond the cap; keeps the power finite.


class Schedule(Protocol):
    """Says how long to pause before each poll."""

    def delay_s(self, polls_so_far: int) -> float:
        """Return the pause before the next poll.

        Args:
            polls_so_far: How many polls of the task there were already.

        Returns:
            Seconds, counted from acceptance for the first poll and from the last answer
            for the others.
        """
        ...


def _is_finite(value: object) -> bool:
    # Types are hints at run time: "3" and None are passed too.
    return isinstance(value, int | float) and 0 <= value < float("inf")


def _check(**seconds: float) -> None:
    for name, value in seconds.items():
        if not _is_finite(value):
            raise ConfigurationError(f"{name} must be a finite number of seconds, zero or more, not {value!r}")


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same pause before every poll.

    The default is 3 s, for tasks of 20 to 90 s; source: docs/decisions.md.

    Attributes:
        interval_s: The pause.
        first_s: The pause before the first poll, where it differs.
    """

    interval_s: float = 3.0
    first_s: float | None = None

    def __post_init__(self) -> None:
        _check(interval_s=self.interval_s, first_s=self.interval_s if self.first_s is None else self.first_s)

    def delay_s(self, polls_so_far: int) -> float:
        """Return the pause before the next poll; see :class:`Schedule`."""
        if polls_so_far == 0 and self.first_s is not None:
            return self.first_s
        return self.interval_s


@dataclass(frozen=True, slots=True)
class Linear:
    """A pause that grows by the same step each time.

    Attributes:
        first_s: The pause before the first poll.
        step_s: How much longer each pause is than the one before.
        cap_s: The longest pause.
    """

    first_s: float
    step_s: float
    cap_s: float

    def __post_init__(self) -> None:
        _check(first_s=self.first_s, step_s=self.step_s, cap_s=self.cap_s)

    def delay_s(self, polls_so_far: int) -> float:
        """Return the pause before the next poll; see :class:`Schedule`."""
        return min(self.cap_s, self.first_s + self.step_s * polls_so_far)


@dataclass(frozen=True, slots=True)
class Exponential:
    """A pause that grows by the same factor each time.

    Attributes:
        first_s: The pause before the first poll.
        factor: How many times longer each pause is than the one before; 1 or more.
        cap_s: The longest pause.
    """

    first_s: float
    cap_s: float
    factor: float = 2.0

    def __post_init__(self) -> None:
        _check(first_s=self.first_s, cap_s=self.cap_s, factor=self.factor)
        if self.factor < 1:
            raise ConfigurationError(f"factor must be 1 or more, not {self.factor!r}")

    def delay_s(self, polls_so_far: int) -> float:
        """Return the pause before the next poll; see :class:`Schedule`."""
        try:
            grown = self.first_s * self.factor**polls_so_far
        except OverflowError:
            return self.cap_s
        return min(self.cap_s, grown)


def draw(seed: str, ordinal: int) -> float:
    """Return a number from 0 (included) to 1 (excluded) that only its arguments decide.

    Every driver therefore makes the same draws, and a resumed task goes on with its own.

    Args:
        seed: What belongs to one task.
        ordinal: Which draw of the task this is.
    """
    digest = blake2b(f"{seed}:{ordinal}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)  # 53 bits: what a float holds exactly


def backoff_s(failures_in_a_row: int, drawn: float, at_least_s: float = 0.0) -> float:
    """Return the pause after a failure that came without a hint.

    Args:
        failures_in_a_row: How many there were, this one included; at least 1.
        drawn: A number from 0 to 1 that spreads those who failed together.
        at_least_s: The pause that a healthy poll would make; only the spread undercuts it.

    Returns:
        Seconds.
    """
    doublings = min(failures_in_a_row - 1, _BACKOFF_DOUBLINGS_MAX)
    pause = max(at_least_s, min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2.0**doublings))
    return pause * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * drawn)
