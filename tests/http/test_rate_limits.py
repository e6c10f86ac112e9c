"""Rate headers are read where they are plain, and never believed further than a window reaches."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.http.rate_limits import LONGEST_WINDOW_S, RateLimit, read_rate_limit

NOW_S = 1_750_000_000.0
JUNK = [
    *("", " ", "nan", "NaN", "inf", "-inf", "-1", "+1", "1e3", "1_000", "0x10", "\u0661\u0662", "60, 60", "60;w=60"),
    *("soon", "9" * 13, "9" * 5000, "1.5.2", ".5", "5.", "--", "null", "None", "\u00b2", "1 000", "1\t2"),
]


def read(quota: str = "requests", **values: str | tuple[str, ...]) -> RateLimit | None:
    def header(name: str) -> tuple[str, ...]:
        for short, value in values.items():
            if name in {f"x-ratelimit-{short}-{quota}", short}:
                return value if isinstance(value, tuple) else (value,)
        return ()

    return read_rate_limit(header, NOW_S, quota=quota)


def test_the_three_are_read() -> None:
    """Limit, remaining and the seconds until the reset are read, which the service gives as a time since 1970."""
    assert read(limit="60", remaining="0", reset=str(NOW_S + 30)) == RateLimit(60, 0, 30.0)
    assert read("tokens", limit="60000", remaining="59000") == RateLimit(60_000, 59_000, None)
    assert read_rate_limit(lambda _: (), NOW_S) is None


def test_spaces_around_a_number_are_nothing() -> None:
    """A header's value is read without the spaces around it."""
    assert read(limit=" 60 ", remaining=" 3", reset=f"{NOW_S:.0f} ") == RateLimit(60, 3, 0.0)


@pytest.mark.parametrize("junk", JUNK, ids=ascii)
@pytest.mark.parametrize("place", ["limit", "remaining", "reset"])
def test_what_is_no_plain_number_says_nothing(place: str, junk: str) -> None:
    """A value that is no plain number says nothing, whatever float() would make of it, and the others stay."""
    sound = {"limit": "60", "remaining": "7", "reset": str(NOW_S + 9)}
    limit = read(**{**sound, place: junk})
    assert limit is not None
    expected = {"limit": 60, "remaining": 7, "resets_in_s": 9.0}
    expected[{"reset": "resets_in_s"}.get(place, place)] = None  # type: ignore[assignment]  # the one that is junk
    assert (limit.limit, limit.remaining, limit.resets_in_s) == tuple(expected.values())


def test_a_header_that_comes_twice_says_nothing() -> None:
    """Two values of one header contradict each other, so neither is believed."""
    assert read(limit="60", remaining=("0", "59")) == RateLimit(60, None, None)


@pytest.mark.parametrize(
    ("reset", "resets_in_s"),
    [
        (NOW_S + LONGEST_WINDOW_S, LONGEST_WINDOW_S),
        (NOW_S + LONGEST_WINDOW_S + 1, None),
        (NOW_S - 1, 0.0),
        (30, 0.0),
        (0, 0.0),
        (NOW_S * 1000, None),
    ],
)
def test_a_reset_is_within_a_window(reset: float, resets_in_s: float | None) -> None:
    """A reset in the past is now, one beyond any window says nothing, and other units hold nothing back."""
    limit = read(remaining="0", reset=f"{reset:.0f}")
    assert limit is not None
    assert limit.resets_in_s == resets_in_s


def test_the_answers_own_clock_is_believed() -> None:
    """The reset is counted from the answer's own Date, whatever the client's clock says."""
    limit = read(remaining="0", reset=f"{NOW_S + 1030:.0f}", date="Sun, 15 Jun 2025 15:23:20 GMT")
    assert limit is not None
    assert limit.resets_in_s == 30.0


values = st.text(max_size=40) | st.integers().map(str) | st.floats().map(str) | st.sampled_from(JUNK)
many = st.lists(values, max_size=3).map(tuple)


@given(limit=many, remaining=many, reset=many, date=many)
def test_nothing_that_is_sent_breaks_the_reader(
    limit: tuple[str, ...], remaining: tuple[str, ...], reset: tuple[str, ...], date: tuple[str, ...]
) -> None:
    """Whatever the headers hold, what is read is none, or whole counts and a finite time within the longest window."""
    read_limit = read(limit=limit, remaining=remaining, reset=reset, date=date)
    if read_limit is None:
        return
    for count in (read_limit.limit, read_limit.remaining):
        assert count is None or (isinstance(count, int) and 0 <= count < 10**12)
    resets_in_s = read_limit.resets_in_s
    assert resets_in_s is None or (math.isfinite(resets_in_s) and 0 <= resets_in_s <= LONGEST_WINDOW_S)
