"""Windows of the service's list, asked for in zones whose days are longer and shorter than others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from resilient_poll.dashscope.wire.dialects import DASHSCOPE
from resilient_poll.dashscope.wire.listing import ListQuestion, questions
from tests.wall_clock.edges import EDGES, ZONES

SERVICE_ZONE = timezone(timedelta(hours=8))
WIDEST = timedelta(hours=24)
zones = st.sampled_from(ZONES).map(ZoneInfo)
begins = st.builds(
    lambda edge, minutes: edge + timedelta(minutes=minutes),
    st.sampled_from(list(EDGES.values())),
    st.integers(-3000, 3000),
)


def asked_for(start: datetime | None, end: datetime | None) -> tuple[ListQuestion, ...]:
    """Return what is asked."""
    return questions(DASHSCOPE, start=start, end=end, model=None, status=None, page_size=50)


def spans_of(asked: tuple[ListQuestion, ...]) -> list[tuple[datetime, datetime]]:
    """Return the windows, as the service reads them."""
    return [(_read(question.parameters["start_time"]), _read(question.parameters["end_time"])) for question in asked]


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=SERVICE_ZONE)


@given(start=begins, hours=st.floats(0, 190), here=zones, there=zones)
@example(
    start=datetime(2026, 11, 1, 4, tzinfo=UTC),
    hours=25,
    here=ZoneInfo("America/New_York"),
    there=ZoneInfo("America/New_York"),
)
def test_windows_are_whole_and_not_too_wide(start: datetime, hours: float, here: ZoneInfo, there: ZoneInfo) -> None:
    """Whatever the zones of its bounds, a window is asked for without a gap, in pieces of 24 hours at most."""
    end = start + timedelta(hours=hours)
    spans = spans_of(asked_for(start.astimezone(here), end.astimezone(there)))
    assert all(timedelta(0) < until - begin <= WIDEST for begin, until in spans)
    assert spans[0][0] <= start
    assert end <= spans[-1][1]
    for (_, until), (begin, _) in pairwise(spans):
        assert begin <= until


@given(at=begins, here=zones, is_start=st.booleans())
def test_one_bound_means_24_hours(at: datetime, here: ZoneInfo, is_start: bool) -> None:
    """A window with one bound is 24 hours long, also on a day that has 23 or 25 of them there."""
    bounds = {True: (at.astimezone(here), None), False: (None, at.astimezone(here))}[is_start]
    for question in asked_for(*bounds):
        assert question.earliest is not None
        assert question.latest is not None
        assert question.latest - question.earliest == WIDEST
        assert at == (question.earliest if is_start else question.latest)


def test_the_hour_that_is_there_twice_is_two_hours() -> None:
    """From the first half past one to the second one it is an hour, and no time that goes back."""
    first = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    asked = asked_for(first, first.replace(fold=1))
    assert asked[0].latest is not None
    assert asked[0].earliest is not None
    assert asked[0].latest - asked[0].earliest == timedelta(hours=1)
