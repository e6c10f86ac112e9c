"""When to ask next."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError
from resilient_poll.machine.schedules import Exponential, Fixed, Linear, backoff_s, draw
from tests.support.machine_strategies import schedules


@pytest.mark.parametrize(
    ("schedule", "pauses"),
    [
        (Fixed(), [3.0, 3.0, 3.0]),
        (Fixed(5.0, first_s=20.0), [20.0, 5.0, 5.0]),
        (Fixed(5.0, first_s=0.0), [0.0, 5.0, 5.0]),
        (Linear(first_s=1.0, step_s=2.0, cap_s=4.0), [1.0, 3.0, 4.0, 4.0]),
        (Exponential(first_s=1.0, cap_s=10.0), [1.0, 2.0, 4.0, 8.0, 10.0]),
        (Exponential(first_s=2.0, cap_s=9.0, factor=1.5), [2.0, 3.0, 4.5, 6.75, 9.0]),
    ],
)
def test_pauses(schedule: Fixed | Linear | Exponential, pauses: list[float]) -> None:
    """Each schedule makes the pauses that its name says."""
    assert [schedule.delay_s(polls) for polls in range(len(pauses))] == pauses


@given(schedule=schedules, polls=st.integers(0, 10_000))
def test_pauses_are_finite(schedule: Fixed, polls: int) -> None:
    """No schedule ever asks for a negative or endless pause, after however many polls."""
    assert 0 <= schedule.delay_s(polls) <= 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fixed(-1.0),
        lambda: Fixed(math.nan),
        lambda: Fixed(3.0, first_s=math.inf),
        lambda: Fixed(-1.0, first_s=1.0),
        lambda: Linear(-1.0, 1.0, 5.0),
        lambda: Linear(1.0, -1.0, 5.0),
        lambda: Linear(1.0, 1.0, -5.0),
        lambda: Exponential(-1.0, 5.0),
        lambda: Exponential(1.0, math.inf),
        lambda: Exponential(1.0, 5.0, factor=math.inf),
        lambda: Exponential(1.0, 5.0, factor=math.nan),
        lambda: Exponential(1.0, 5.0, factor=0.5),
    ],
)
def test_a_schedule_without_sense_is_refused(make: object) -> None:
    """Negative, endless and shrinking schedules are refused where they are made."""
    with pytest.raises(ConfigurationError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(("failures", "base_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (50, 30)])
def test_backoff_doubles_to_its_cap(failures: int, base_s: float) -> None:
    """Without a hint the pause is 1 s doubling to 30 s, spread by a quarter to each side."""
    assert backoff_s(failures, 0.0) == pytest.approx(0.75 * base_s)
    assert backoff_s(failures, 0.5) == pytest.approx(base_s)
    assert backoff_s(failures, 1.0) == pytest.approx(1.25 * base_s)


@given(failures=st.integers(1, 100), drawn=st.floats(0, 1), healthy_s=st.floats(0, 100))
def test_backoff_is_not_faster_than_health(failures: int, drawn: float, healthy_s: float) -> None:
    """A failed poll is followed by a pause of at least a healthy one's, but for the spread."""
    assert backoff_s(failures, drawn, at_least_s=healthy_s) >= 0.75 * healthy_s


@given(seed=st.text(), ordinal=st.integers(0, 2**40))
def test_draws_are_decided_by_their_arguments(seed: str, ordinal: int) -> None:
    """A draw is the same every time, in [0, 1), and another for the next ordinal."""
    drawn = draw(seed, ordinal)
    assert 0 <= drawn < 1
    assert drawn == draw(seed, ordinal)
    assert drawn != draw(seed, ordinal + 1)


def test_any_text_is_a_seed() -> None:
    """An id out of a JSON answer may hold half of a pair of surrogates, and is drawn from like any other."""
    assert 0 <= draw("\ud800", 1) < 1


def test_draws_are_spread() -> None:
    """A thousand draws fill each tenth of the range about equally."""
    tenths = [0] * 10
    for ordinal in range(1000):
        tenths[int(draw("seed", ordinal) * 10)] += 1
    assert min(tenths) > 60
    assert max(tenths) < 140
