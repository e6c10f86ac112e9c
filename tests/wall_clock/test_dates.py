"""Dates in answers, where calendars are odd: the ends of years, 29 February, leap seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

import freezegun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.dashscope.wire.dialects import DASHSCOPE
from resilient_poll.dashscope.wire.translate import translate_query
from resilient_poll.drive.clocks import RealClock
from resilient_poll.http.headroom import read_headroom
from resilient_poll.http.messages import Answer
from resilient_poll.http.rate_limits import read_rate_limit
from resilient_poll.http.retry_after import LONGEST_RETRY_AFTER_S, read_retry_after
from resilient_poll.machine.observations import StatusSeen
from tests.wall_clock.edges import EDGES, http_dates

edges = st.sampled_from(list(EDGES.values()))
TASK_ID = "11111111-2222-3333-4444-555555555555"


@given(now=edges, ahead_s=st.integers(0, 20) | st.integers(0, 604_800), form=st.integers(0, 2), base=st.integers(0, 2))
def test_a_date_beyond_an_edge_is_as_far_as_it_is(now: datetime, ahead_s: int, form: int, base: int) -> None:
    """A Retry-After on the other side of an edge, in each of the three forms, means the seconds that lie between."""
    values = [http_dates(now + timedelta(seconds=ahead_s))[form]]
    assert read_retry_after(values, [http_dates(now)[base]], 0.0).seconds == ahead_s


@pytest.mark.parametrize("name", ["the end of a year", "29 February", "autumn in New York"])
def test_without_a_date_of_its_own_the_machines_clock_counts(name: str) -> None:
    """An answer without a Date is read by the wall clock of this machine, also across an edge."""
    now = EDGES[name]
    with freezegun.freeze_time(now):
        now_wall_s = RealClock().now().wall_s
    later = now + timedelta(seconds=30)
    assert read_retry_after([http_dates(later)[0]], [], now_wall_s).seconds == 30.0
    reset = {"x-ratelimit-remaining-requests": ("0",), "x-ratelimit-reset-requests": (str(int(later.timestamp())),)}
    limit = read_rate_limit(lambda name: reset.get(name, ()), now_wall_s)
    headroom = read_headroom(lambda name: reset.get(name, ()), now_wall_s)
    assert limit is not None
    assert headroom is not None
    assert (limit.resets_in_s, headroom.resets_in_s) == (30.0, 30.0)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 29 Feb 2026 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",
        "Mon, 30 Feb 2026 00:00:00 GMT",
        "Fri, 31 Apr 2026 00:00:00 GMT",
        "Thu, 00 Jan 2026 00:00:00 GMT",
        "Thursday, 29-Feb-27 00:00:00 GMT",
        "Sun Feb 29 00:00:00 2026",
    ],
)
def test_a_day_that_no_calendar_has_is_ignored(value: str) -> None:
    """A date that does not exist is no hint, and not the day after."""
    hint = read_retry_after([value], [], EDGES["no 29 February"].timestamp())
    assert hint.seconds is None
    assert hint.ignored is not None


LEAP = "Sat, 31 Dec 2016 23:59:60 GMT"


@pytest.mark.parametrize(("date", "truth_s"), [("23:59:58", 2.0), ("23:59:59", 1.0), ("23:59:00", 60.0)])
def test_nobody_comes_before_a_leap_second(date: str, truth_s: float) -> None:
    """A Retry-After that is a leap second is waited for to its beginning: not a second less."""
    assert read_retry_after([LEAP], [f"Sat, 31 Dec 2016 {date} GMT"], 0.0).seconds == truth_s


@given(ahead_s=st.integers(0, 600))
def test_nobody_comes_too_early_after_a_leap_second(ahead_s: int) -> None:
    """An answer from within a leap second is waited out for as long as it says, and at most two seconds longer."""
    until = datetime.fromisoformat("2017-01-01T00:00:00+00:00") + timedelta(seconds=ahead_s)
    hint = read_retry_after([http_dates(until)[0]], [LEAP], 0.0)
    assert hint.seconds is not None
    assert ahead_s <= hint.seconds <= ahead_s + 2


def ended_ago_s(end_time: str, date: str) -> float | None:
    """How long ago a task ended, by its answer."""
    body = f'{{"output": {{"task_id": "{TASK_ID}", "task_status": "FAILED", "end_time": "{end_time}"}}}}'
    seen = translate_query(Answer(200, (("date", date),), body.encode()), DASHSCOPE, TASK_ID, 0.0)
    assert isinstance(seen, StatusSeen)
    return seen.ended_ago_s


@pytest.mark.parametrize(
    ("end_time", "date", "ago_s"),
    [
        ("2027-01-01 07:59:50.500", "Fri, 01 Jan 2027 00:00:00 GMT", 9.5),
        ("2028-02-29 23:59:59.000", "Tue, 29 Feb 2028 16:00:01 GMT", 2.0),
        ("2028-03-01 00:00:00.000", "Tue, 29 Feb 2028 16:00:01 GMT", 1.0),
        # A summer in which Shanghai's clocks were an hour ahead: the service's zone is an offset, and no place.
        ("1990-07-01 08:00:00.000", "Sun, 01 Jul 1990 00:00:02 GMT", 2.0),
        ("2026-02-29 00:00:00.000", "Sun, 01 Mar 2026 00:00:00 GMT", None),
        ("2016-12-31 23:59:60.000", "Sat, 31 Dec 2016 16:00:00 GMT", None),
        ("9999-12-31 23:59:59.999", "Sat, 31 Dec 2016 16:00:00 GMT", pytest.approx(-2.5192e11, rel=1e-3)),
    ],
)  # fmt: skip
def test_the_end_of_a_task_is_read_in_the_services_zone(end_time: str, date: str, ago_s: float | None) -> None:
    """A time of an end is one of UTC+8, whatever the date; one that no calendar has is none, and harms nothing."""
    assert ended_ago_s(end_time, date) == ago_s


def test_a_hint_is_never_beyond_a_week() -> None:
    """A year's end does not make a hint of a year's length: the longest is a week."""
    now = EDGES["the end of a year"]
    for days in (7, 8, 365, 366):
        hint = read_retry_after([http_dates(now + timedelta(days=days))[0]], [http_dates(now)[0]], 0.0)
        assert hint.seconds == (LONGEST_RETRY_AFTER_S if days == 7 else None)
