"""The settings of the rules: what is refused by name, and what just makes sense."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from resilient_poll import Backoff, BreakerPolicy, ConfigurationError, HeadroomPolicy, Rate, RetryBudget
from resilient_poll.transports.rules.line import Line

Make = Callable[..., Any]


def rate(**settings: Any) -> Rate:
    return Rate(**{"count": 9, "window_s": 1.0, **settings})


def line(**settings: Any) -> Line:
    return Line(**{"places": 1, "longest": 1, **settings})


SHARES: list[tuple[Make, str, bool]] = [
    (Backoff, "Backoff.spread", True),
    (BreakerPolicy, "BreakerPolicy.failure_share", False),
    (BreakerPolicy, "BreakerPolicy.slow_share", False),
    (RetryBudget, "RetryBudget.share", True),
    (HeadroomPolicy, "HeadroomPolicy.slow_below", False),
]
SECONDS: list[tuple[Make, str, bool]] = [
    (Backoff, "Backoff.first_s", False),
    (Backoff, "Backoff.longest_s", False),
    (BreakerPolicy, "BreakerPolicy.slow_call_s", False),
    (BreakerPolicy, "BreakerPolicy.window_s", False),
    (BreakerPolicy, "BreakerPolicy.open_s", False),
    (RetryBudget, "RetryBudget.floor_per_s", True),
    (RetryBudget, "RetryBudget.reserve", True),
    (HeadroomPolicy, "HeadroomPolicy.longest_s", False),
    (rate, "Rate.window_s", False),
]
COUNTS: list[tuple[Make, str, int]] = [
    (BreakerPolicy, "BreakerPolicy.least_calls", 1),
    (BreakerPolicy, "BreakerPolicy.probes", 1),
    (rate, "Rate.count", 1),
    (rate, "Rate.burst", 1),
    (line, "places", 1),
    (line, "longest", 0),
]


def refusal(make: Make, name: str, value: object) -> str | None:
    """Return what is said of a setting with this value, and None if it is taken."""
    try:
        made = make(**{name.rpartition(".")[2]: value})
    except ConfigurationError as refused:
        return str(refused)
    assert getattr(made, name.rpartition(".")[2]) == value
    return None


@pytest.mark.parametrize(("make", "name", "is_zero_allowed"), SHARES)
def test_a_share_is_a_part_of_a_whole(make: Make, name: str, is_zero_allowed: bool) -> None:
    """A share from nothing to all is taken, nothing at all only where it makes sense, and all else refused by name."""
    for value in (-0.1, 1.1, math.nan, True, "0.5", None):
        assert refusal(make, name, value) == f"{name} is a share from 0 to 1, not {value!r}"
    assert refusal(make, name, 0) == (None if is_zero_allowed else f"{name} must be more than 0")
    assert refusal(make, name, 0.01) is refusal(make, name, 1) is None


@pytest.mark.parametrize(("make", "name", "is_zero_allowed"), SECONDS)
def test_seconds_are_finite(make: Make, name: str, is_zero_allowed: bool) -> None:
    """A finite time is taken, no time at all only where it makes sense, and all else refused by name."""
    for value in (-1, math.inf, math.nan, True, "1"):
        assert refusal(make, name, value) == f"{name} is a finite number of seconds, not {value!r}"
    assert refusal(make, name, 0.0) == (None if is_zero_allowed else f"{name} must be more than 0 seconds")
    assert refusal(make, name, 0.01) is refusal(make, name, 1e9) is None


@pytest.mark.parametrize(("make", "name", "least"), COUNTS)
def test_counts_are_whole(make: Make, name: str, least: int) -> None:
    """A whole number from the least on is taken, and all else refused by name."""
    for value in (least - 1, 1.5, True, "1", None):
        assert refusal(make, name, value) == f"{name} is a whole number of {least} or more, not {value!r}"
    assert refusal(make, name, least) is None
