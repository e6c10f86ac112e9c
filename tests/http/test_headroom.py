"""How much of a quota is left is read where it is plain, in each spelling, and never further than a window."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.http.headroom import Headroom, read_headroom

NOW_S = 1_750_000_000.0


def read(headers: dict[str, str | tuple[str, ...]]) -> Headroom | None:
    def header(name: str) -> tuple[str, ...]:
        value = headers.get(name, ())
        return value if isinstance(value, tuple) else (value,)

    return read_headroom(header, NOW_S)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        (f"{NOW_S + 40:.0f}", 40.0),
        (f"{NOW_S - 40:.0f}", 0.0),
        ("1m30s", 90.0),
        ("6m0s", 360.0),
        ("250ms", 0.25),
        ("1s", 1.0),
        ("1h", 3600.0),
        ("3601", None),
        ("2h", None),
        ("soon", None),
        ("", None),
        ("m", None),
        ("-1", None),
        (f"{NOW_S * 1000:.0f}", None),
    ],
)
def test_a_reset_is_read_in_each_of_its_forms(reset: str, seconds: float | None) -> None:
    """Seconds, a time since 1970 and a duration are read, and what is neither or beyond a window says nothing."""
    said = read({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "3", "x-ratelimit-reset": reset})
    assert said == Headroom(60, 3, seconds)


def test_each_spelling_is_read() -> None:
    """The counts of requests come before plain ones, and the IETF's names are read too."""
    assert read({"x-ratelimit-remaining-requests": "3", "x-ratelimit-remaining": "9"}) == Headroom(None, 3, None)
    assert read({"ratelimit-limit": "10", "ratelimit-remaining": "9", "ratelimit-reset": "5"}) == Headroom(10, 9, 5.0)
    assert read({"x-ratelimit-limit": "60"}) is None
    assert read({"x-ratelimit-remaining": ("3", "4")}) is None


def test_a_moment_is_read_by_the_answers_own_clock() -> None:
    """A reset that is a time is counted from the answer's own Date."""
    said = read(
        {
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": f"{NOW_S + 1030:.0f}",
            "date": "Sun, 15 Jun 2025 15:23:20 GMT",
        }
    )
    assert said is not None
    assert said.resets_in_s == 30.0


values = st.text(max_size=20) | st.from_regex(r"[0-9hms.]{1,12}", fullmatch=True) | st.floats().map(str)


@given(
    st.dictionaries(
        st.sampled_from(["x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit", "date"]), values
    )
)
def test_nothing_that_is_sent_breaks_the_reader(headers: dict[str, str | tuple[str, ...]]) -> None:
    """Whatever the headers hold, what is read is none, or whole counts and a finite time."""
    said = read(headers)
    if said is not None and said.resets_in_s is not None:
        assert math.isfinite(said.resets_in_s)
        assert 0 <= said.resets_in_s <= 3600
