"""What is left of a total time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["are_within", "cut_timeouts", "earlier"]

_KINDS = ("connect", "read", "write", "pool")


def earlier(first_s: float | None, second_s: float | None) -> float | None:
    """Return the earlier of two instants, where None is never."""
    if first_s is None or second_s is None:
        return second_s if first_s is None else first_s
    return min(first_s, second_s)


def are_within(timeouts: Mapping[str, Any] | None, left_s: float) -> bool:
    """Return whether a request's time-outs are what :func:`cut_timeouts` would make of them already.

    Args:
        timeouts: As there.
        left_s: As there.
    """
    if not timeouts:
        return False
    for kind in _KINDS:
        value = timeouts.get(kind)
        if value is None or value > left_s:
            return False
    return True


def cut_timeouts(timeouts: Mapping[str, Any] | None, left_s: float) -> dict[str, float]:
    """Return a request's time-outs cut to what is left.

    Args:
        timeouts: What it asks for, by kind, in seconds; None of a kind is no limit.
        left_s: What is left of its total time.
    """
    asked = timeouts or {}
    return {kind: left_s if (value := asked.get(kind)) is None else min(value, left_s) for kind in _KINDS}
