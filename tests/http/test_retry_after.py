"""What ``Retry-After`` says, row by row, and that nothing else can be made of it."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import freezegun
import httpx
import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resilient_poll import DashScope, PollRefused, StillGoing
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.retry_after import LONGEST_RETRY_AFTER_S, read_retry_after
from resilient_poll.machine.instant import Instant

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WRONG = NOW - timedelta(hours=5)
"""What a client believes whose clock is five hours slow."""


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


DATE = [http_date(NOW)]
IGNORED = None

# id, values of Retry-After, values of Date, what it means in seconds (IGNORED: nothing that can be honoured).
ROWS: list[tuple[str, list[str], list[str], float | None]] = [
    # Fault 13: no parser tried was right on every one of these.
    ("decimal", ["1.5"], DATE, 1.5),
    ("zero", ["0"], DATE, 0.0),
    ("nan", ["nan"], DATE, IGNORED),
    ("inf", ["inf"], DATE, IGNORED),
    ("beyond a float", ["1e400"], DATE, IGNORED),
    ("400 nines", ["9" * 400], DATE, IGNORED),
    ("negative", ["-1"], DATE, IGNORED),
    ("a word", ["soon"], DATE, IGNORED),
    ("a list", ["120, 60"], DATE, IGNORED),
    ("30 s ahead", [http_date(NOW + timedelta(seconds=30))], DATE, 30.0),
    ("in the past", [http_date(NOW - timedelta(days=1))], DATE, 0.0),
    ("a broken date", ["Sun, 99 Foo 2026 12:00:00 GMT"], DATE, IGNORED),
    # Whole numbers and what looks like one.
    ("an integer", ["120"], DATE, 120.0),
    ("spaces around", ["  7 "], DATE, 7.0),
    ("leading zeros", ["007"], DATE, 7.0),
    ("exactly a week", ["604800"], DATE, 604800.0),
    ("a week and a second", ["604801"], DATE, IGNORED),
    ("8 days", [http_date(NOW + timedelta(days=8))], DATE, IGNORED),
    ("a point without digits", ["5."], DATE, IGNORED),
    ("digits without a whole", [".5"], DATE, IGNORED),
    ("a plus", ["+5"], DATE, IGNORED),
    ("minus zero", ["-0"], DATE, IGNORED),
    ("an exponent", ["1e3"], DATE, IGNORED),
    ("hexadecimal", ["0x10"], DATE, IGNORED),
    ("underscores", ["1_000"], DATE, IGNORED),
    ("a unit", ["5s"], DATE, IGNORED),
    ("other digits", ["\uff11\uff12"], DATE, IGNORED),
    ("empty", [""], DATE, IGNORED),
    ("only spaces", ["   "], DATE, IGNORED),
    # The header itself.
    ("several headers", ["1", "2"], DATE, IGNORED),
    ("several equal headers", ["3", "3"], DATE, IGNORED),
    # Other forms of a date that RFC 9110 wants read.
    ("RFC 850", ["Sunday, 01-Mar-26 12:00:30 GMT"], DATE, 30.0),
    ("asctime", ["Sun Mar  1 12:00:30 2026"], DATE, 30.0),
    ("a leap second", ["Sun, 01 Mar 2026 12:00:60 GMT"], DATE, 60.0),
    ("minute 60", ["Sun, 01 Mar 2026 12:60:00 GMT"], DATE, IGNORED),
    ("minute and second 60", ["Sun, 01 Mar 2026 12:60:60 GMT"], DATE, IGNORED),
    ("second 61", ["Sun, 01 Mar 2026 12:00:61 GMT"], DATE, IGNORED),
    ("hour 24", ["Sun, 01 Mar 2026 24:00:00 GMT"], DATE, IGNORED),
    ("no time", ["Sun, 01 Mar 2026"], DATE, IGNORED),
    ("ISO 8601", ["2026-03-01T12:00:30Z"], DATE, IGNORED),
    ("unix time", ["1772366430"], DATE, IGNORED),
    ("year 0", ["Sun, 01 Mar 0000 12:00:30 GMT"], DATE, 0.0),
    ("a zone beyond a day", ["Sun, 01 Mar 2026 12:00:30 +9999"], DATE, IGNORED),
    # The answer's own clock, or the client's where the answer has none that can be read.
    ("no Date", [http_date(NOW + timedelta(seconds=30))], [], 30.0 + 5 * 3600),
    ("a broken Date", [http_date(NOW + timedelta(seconds=30))], ["yesterday"], 30.0 + 5 * 3600),
    ("several Dates", [http_date(NOW + timedelta(seconds=30))], DATE * 2, 30.0 + 5 * 3600),
    ("seconds need no Date", ["30"], [], 30.0),
]


@pytest.mark.parametrize(("values", "dates", "seconds"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_row_means_what_the_rfc_says(values: list[str], dates: list[str], seconds: float | None) -> None:
    """Each value is read as RFC 9110 means it or is ignored with a reason that shows it, never half of both."""
    hint = read_retry_after(values, dates, WRONG.timestamp())
    assert hint.seconds == seconds
    assert (hint.ignored is None) == (seconds is not None)
    if hint.ignored is not None:
        assert hint.ignored.startswith("Retry-After ")
        assert len(hint.ignored) < 120


def test_no_header_is_neither_a_hint_nor_a_fault() -> None:
    """An answer without the header gives no hint and no reason."""
    hint = read_retry_after([], DATE, WRONG.timestamp())
    assert (hint.seconds, hint.ignored) == (None, None)


_DATELIKE = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Sun", "Sunday", "Son", "S"]),
    st.integers(-1, 99) | st.just("01"),
    st.sampled_from(["Mar", "Foo", "Dec", "13"]),
    st.integers(0, 99999),
    st.integers(-1, 99),
    st.integers(-1, 99),
    st.integers(-1, 99),
    st.sampled_from(["GMT", "UTC", "+0000", "-0000", "+9999", "EST", "", "X" * 30]) | st.text(max_size=6),
)


@given(
    values=st.lists(st.text() | _DATELIKE | st.from_regex(r"[-+0-9.eE]{1,20}"), max_size=2),
    dates=st.lists(st.text() | _DATELIKE, max_size=2),
    now_wall_s=st.floats(0, 1e11),
)
@example(values=["Sun, 01 Mar 2026 12:00:30 +99999999999"], dates=[], now_wall_s=0.0)
@example(values=["Sun, 01 Mar 9999 23:59:59 -2359"], dates=[], now_wall_s=0.0)
@example(values=["9" * 5000], dates=["9" * 5000], now_wall_s=0.0)
def test_nothing_can_be_made_of_other_text(values: list[str], dates: list[str], now_wall_s: float) -> None:
    """Whatever the text, nothing is raised, and a hint is between nothing and seven days."""
    hint = read_retry_after(values, dates, now_wall_s)
    assert hint.seconds is None or 0.0 <= hint.seconds <= LONGEST_RETRY_AFTER_S
    assert not (hint.seconds is not None and hint.ignored is not None)
    assert (hint.seconds is None and hint.ignored is None) == (not values)


@given(st.integers(0, 604800), st.integers(-86400, 86400))
def test_a_date_is_read_by_the_answers_clock(ahead_s: int, client_is_off_by_s: int) -> None:
    """A date means the same wait however wrong the client's clock is, as long as the answer has a Date."""
    values = [http_date(NOW + timedelta(seconds=ahead_s))]
    hint = read_retry_after(values, DATE, NOW.timestamp() + client_is_off_by_s)
    assert hint.seconds == ahead_s


@given(st.integers(0, 10**6), st.integers(-720, 720))
def test_the_clients_zone_does_not_matter(ahead_s: int, zone_minutes: int) -> None:
    """A moment that the client computes in any zone of its own gives the same wait."""
    now = NOW.astimezone(timezone(timedelta(minutes=zone_minutes)))
    hint = read_retry_after([http_date(NOW + timedelta(seconds=ahead_s))], [], now.timestamp())
    assert hint.seconds == (ahead_s if ahead_s <= LONGEST_RETRY_AFTER_S else None)


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("has_date", [True, False])
def test_the_client_waits_by_the_right_clock(library: Any, has_date: bool) -> None:
    """Through the client, a date ends in the right pause: by the answer's Date, else by the frozen wall clock."""
    answered: list[float] = []
    clock = VirtualClock(Instant(0.0, WRONG.timestamp() if has_date else NOW.timestamp()))

    def answer(request: Any) -> Any:
        del request
        answered.append(clock.now().monotonic_s)
        headers = {"retry-after": http_date(NOW + timedelta(seconds=20))} | ({"date": DATE[0]} if has_date else {})
        return library.Response(429, headers=headers, json={"code": "Throttling", "message": "slow down"})

    # The real wall clock is frozen elsewhere: a client that asked it would wait for months, or not at all.
    with (
        freezegun.freeze_time(NOW + timedelta(days=3), real_asyncio=True, ignore=["threading"]),
        DashScope(
            dialect="dashscope",
            api_key="sk-0123456789",
            base_url="http://api.test",
            clock=clock,
            http_client=library.Client(transport=library.MockTransport(answer)),
        ) as client,
        pytest.raises(StillGoing),
    ):
        client.task("t1").wait(timeout=30.0)
    pauses = [after - before for before, after in itertools.pairwise(answered)]
    assert pauses
    assert pauses[0] == pytest.approx(20.0)


def test_the_real_clock_is_the_wall_clock() -> None:
    """A date without a Date header is compared with the real wall time that the process sees."""
    from resilient_poll.drive.clocks import RealClock  # noqa: PLC0415

    with freezegun.freeze_time(NOW):
        hint = read_retry_after([http_date(NOW + timedelta(seconds=30))], [], RealClock().now().wall_s)
    assert hint.seconds == 30.0


@pytest.mark.parametrize(
    "values", [row[1] for row in ROWS if row[3] is IGNORED and row[1][0].isascii()], ids=lambda values: values[0][:30]
)
def test_an_ignored_hint_is_reported_and_harms_nothing(values: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """A hint that cannot be honoured is a warning and an event, and the wait goes on by its own schedule."""
    events: list[Any] = []
    asked = 0

    def answer(request: Any) -> Any:
        del request
        nonlocal asked
        asked += 1
        if asked == 1:
            return httpx.Response(
                429, headers=[("retry-after", value) for value in values], json={"code": "Throttling"}
            )
        return httpx.Response(401, json={"code": "InvalidApiKey"})

    clock = VirtualClock(Instant(0.0, WRONG.timestamp()))
    transport = httpx.MockTransport(answer)
    with (
        caplog.at_level(logging.WARNING, "resilient_poll"),
        httpx.Client(transport=transport) as http_client,
        DashScope(
            dialect="dashscope",
            api_key="sk-0123456789",
            base_url="http://api.test",
            clock=clock,
            http_client=http_client,
            on_event=events.append,
        ) as client,
        pytest.raises(PollRefused),
    ):
        client.task("t1").wait(timeout=60.0)
    assert [type(event).__name__ for event in events].count("HintIgnored") == 1
    assert "Retry-After" in caplog.text
    assert clock.now().monotonic_s < 10.0
