"""The service's own list: whole or said not to be, in either zone, while it moves, and gently asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError, ErrorKind, ListedTask, ListingFailed, Phase, TryAgain
from resilient_poll.dashscope.wire import listing
from resilient_poll.dashscope.wire.dialects import AISA, DASHSCOPE
from resilient_poll.dashscope.wire.listing import (
    LARGEST_PAGE,
    Listing,
    ListQuestion,
    questions,
    read_page,
    understand_page,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.messages import Answer
from resilient_poll.machine.observations import AnsweredAtOnce, Unreadable
from tests.dashscope.scripted import EACH, KEY, Asked, Broken, Reply, a_client
from tests.support.colours import got, run_in
from tests.support.properties import Property

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=8))
HOUR = timedelta(hours=1)
in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)


def row(task_id: str, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "status": "RUNNING",
        "model_name": "wan2.5-t2v",
        "gmt_create": int(at.timestamp() * 1000),
        **more,
    }


def page_of(*rows: Any, number: int = 1, pages: int = 1, **more: Any) -> dict[str, Any]:
    return {"request_id": "r", "data": list(rows), "page_no": number, "total_page": pages, **more}


def answer(body: Any, status: int = 200) -> Answer:
    return Answer(status, (), body if isinstance(body, bytes) else json.dumps(body).encode())


def asked_for(**bounds: Any) -> tuple[ListQuestion, ...]:
    common = {"start": None, "end": None, "model": None, "status": None, "page_size": 50}
    return questions(DASHSCOPE, **{**common, **bounds})


# A service's list, as its page describes it.


@dataclass
class ListService:
    """Lists its tasks newest first; its zone, and whether windows have their ends, are its own affair.

    Attributes:
        tasks: Their ids and when they were created.
        zone: How it reads and writes times without one.
        has_ends: Whether a window's first and last second belong to it.
        tells_total: Whether its answers say how many rows there are.
        largest_page: What it makes of larger pages.
        between: What happens before each page but the first.
    """

    tasks: dict[str, datetime]
    zone: timezone = UTC
    has_ends: bool = True
    tells_total: bool = True
    largest_page: int = 100
    between: list[Callable[[dict[str, datetime]], None]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, parameters: dict[str, str]) -> dict[str, Any]:
        if self.asked and self.between:
            self.between.pop(0)(self.tasks)
        self.asked.append(parameters)
        rows = sorted(self.tasks.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)
        if "start_time" in parameters:
            start, end = (self._read(parameters[name]) for name in ("start_time", "end_time"))
            assert timedelta(0) < end - start <= timedelta(hours=24), "a window that the service refuses"
            rows = [
                (name, at)
                for name, at in rows
                if start < at.replace(microsecond=0) < end or (self.has_ends and start <= at <= end)
            ]
        number, size = int(parameters["page_no"]), min(int(parameters["page_size"]), self.largest_page)
        shown = rows[(number - 1) * size : number * size]
        more = {"total": len(rows)} if self.tells_total else {}
        return page_of(*(row(name, at) for name, at in shown), number=number, pages=-(-len(rows) // size), **more)

    def _read(self, text: str) -> datetime:
        assert re.fullmatch(r"\d{14}", text)
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=self.zone)


def read_all(service: ListService, asked: tuple[ListQuestion, ...]) -> list[str]:
    pages, found = Listing(asked), []
    while (parameters := pages.next_page()) is not None:
        page = read_page(answer(service.answer(parameters)))
        assert page is not None
        found += [task.task_id for task in pages.receive(page)]
    return found


moments = st.integers(-40 * 3600_000, 40 * 3600_000).map(lambda ms: NOW + timedelta(milliseconds=ms))
on_the_second = st.integers(-40 * 3600, 40 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))
bounds = moments | on_the_second


def lists_the_window(
    tasks: list[datetime], start: datetime | None, end: datetime | None, zone_h: int, has_ends: bool, size: int
) -> None:
    service = ListService({f"task-{n}": at for n, at in enumerate(tasks)}, timezone(timedelta(hours=zone_h)), has_ends)
    if start is not None and end is not None and end < start:
        start, end = end, start
    asked = asked_for(start=start, end=end, page_size=size)
    found = read_all(service, asked)
    first = start if start is not None else (end or NOW) - timedelta(hours=24)
    last = end if end is not None else first + timedelta(hours=24)
    if start is None and end is None:
        wanted = set(service.tasks)  # The service's own last day, which this one takes to be all.
    else:
        wanted = {name for name, at in service.tasks.items() if first <= _to_the_ms(at) <= last}
    assert len(found) == len(set(found)), "a task came twice"
    assert set(found) == wanted


def _to_the_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


WINDOWS = Property(
    lists_the_window,
    tasks=st.lists(bounds, max_size=12),
    start=st.none() | bounds,
    end=st.none() | bounds,
    zone_h=st.sampled_from([0, 8]),
    has_ends=st.booleans(),
    size=st.integers(1, 7),
    examples=300,
)


def test_a_window_is_listed_whole_in_either_zone() -> None:
    """Whichever zone the service reads, and whether or not a window has its ends, every task of it comes, once."""
    WINDOWS.holds()


@pytest.mark.parametrize(
    ("name", "fault"), [("_ZONE_DOUBT", timedelta(0)), ("_ONE_SECOND", timedelta(0)), ("_SERVICE_ZONE", UTC)]
)
def test_a_window_that_is_too_narrow_is_caught(name: str, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: only one zone is asked for, or a window is asked for to the second."""
    monkeypatch.setattr(listing, name, fault)
    WINDOWS.catches_the_planted_fault()


@pytest.mark.parametrize("zone", [UTC, EAST])
def test_a_task_between_two_pieces_is_listed(zone: timezone) -> None:
    """A task of the very second in which one piece of a long window ends and the next begins belongs to one of them."""
    window = {"start": NOW - timedelta(days=5), "end": NOW}
    service = ListService({}, zone, has_ends=False)
    seams = {service._read(question.parameters["end_time"]) for question in asked_for(**window)[:-1]}
    assert len(seams) >= 4
    service.tasks.update({f"task-{at}".translate({32: 95, 58: 95, 43: 95}): at for at in seams})
    found = read_all(service, asked_for(**window))
    assert sorted(found) == sorted(name for name, at in service.tasks.items() if window["start"] <= at <= NOW)


def lists_while_it_moves(count: int, size: int, moves: list[tuple[str, int]], largest: int) -> None:
    tasks = {f"task-{n}": NOW - timedelta(minutes=n) for n in range(count)}
    service = ListService(dict(tasks), largest_page=largest)
    gone: set[str] = set()

    def move(kind: str, which: int) -> Callable[[dict[str, datetime]], None]:
        def happen(now_there: dict[str, datetime]) -> None:
            if kind == "new":
                now_there[f"new-{which}-{len(now_there)}"] = NOW + timedelta(seconds=len(now_there))
            elif now_there:
                name = sorted(now_there)[which % len(now_there)]
                gone.add(name)
                del now_there[name]

        return happen

    service.between = [move(*each) for each in moves]
    found = read_all(service, asked_for(page_size=size))
    assert len(found) == len(set(found)), "a task came twice"
    assert set(tasks) - gone <= set(found), "a task that was there all the time did not come"
    assert len(service.asked) <= listing.MOST_PASSES * (2 + (count + len(moves)) // min(size, largest) + 1)


MOVING = Property(
    lists_while_it_moves,
    count=st.integers(0, 15),
    size=st.integers(1, 5),
    # One move at a time and some quiet after it, so that the third pass at the latest is undisturbed.
    moves=st.lists(st.tuples(st.sampled_from(["new", "gone"]), st.integers(0, 20)), max_size=1)
    | st.lists(st.tuples(st.just("new"), st.integers(0, 20)), max_size=4),
    largest=st.sampled_from([100, 2]),
    examples=300,
)


def test_a_list_that_moves_while_it_is_read_loses_nothing() -> None:
    """Tasks that come or go between two pages push others about, and those that stay are all listed, each once."""
    MOVING.holds()


def test_a_list_that_is_read_once_only_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a window is not read again when its rows became fewer."""
    monkeypatch.setattr(listing, "MOST_PASSES", 1)
    MOVING.catches_the_planted_fault()


def test_a_service_that_counts_nothing_is_read_to_an_empty_page() -> None:
    """Where the number of pages is not told, or is no number, the list ends with a page without rows."""
    for told in ({}, {"total_page": None}, {"total_page": "3"}, {"total_page": 0}, {"total_page": -1}):
        pages, found = Listing(asked_for()), []
        bodies = [page_of(row("a")), page_of(row("b")), page_of()]
        for number, body in enumerate(bodies, 1):
            assert pages.next_page() == {"page_size": "50", "page_no": str(number)}
            del body["total_page"], body["page_no"]
            page = read_page(answer({**body, **told}))
            assert page is not None
            found += [task.task_id for task in pages.receive(page)]
        assert (pages.next_page(), found) == (None, ["a", "b"])


def feed(pages: Listing, contents: Iterable[list[Any]]) -> None:
    for rows in contents:
        page = read_page(answer(page_of(*rows, pages=10**9)))
        assert page is not None
        pages.receive(page)


def test_a_list_without_an_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that goes on and on is given up with an error, not with an end that looks like one."""
    monkeypatch.setattr(listing, "MOST_PAGES", 20)
    pages = Listing(asked_for())
    with pytest.raises(ListingFailed, match="more than 20 pages"):
        feed(pages, ([row(f"task-{number}")] for number in range(100)))
    assert pages.number == 20


@pytest.mark.parametrize("rows", [[row("a"), row("b")], [None, 5, {"task_id": "../x"}]], ids=["the same", "junk"])
def test_a_list_that_repeats_itself_is_said(rows: list[Any]) -> None:
    """A page that comes again and again is given up with an error after a few times, not read a thousand times."""
    pages = Listing(asked_for())
    with pytest.raises(ListingFailed, match="repeats itself"):
        feed(pages, [rows] * 100)
    assert pages.number <= 8


def test_another_page_than_was_asked_for_is_not_taken() -> None:
    """A service that answers with the first page whatever is asked for is not believed to have no others."""
    heard = understand_page(answer(page_of(row("a"), number=1, pages=3)), 2, 0.0)
    assert isinstance(heard, Unreadable)
    assert heard.reason == "page 1 of the list in the place of page 2"
    for told in (None, "x", 0, -1, 2.0, True):
        assert isinstance(understand_page(answer({**page_of(row("a")), "page_no": told}), 2, 0.0), AnsweredAtOnce)


@pytest.mark.parametrize(("date", "waits_s"), [("Sun, 15 Jun 2025 14:00:10 GMT", 20.0), (None, 25.0)])
def test_a_list_that_asks_to_be_left_alone_until_a_date_is_understood(date: str | None, waits_s: float) -> None:
    """A date in Retry-After counts from the service's own date beside it, or else from the client's clock."""
    headers = (("retry-after", "Sun, 15 Jun 2025 14:00:30 GMT"), *((("date", date),) if date else ()))
    now_s = datetime(2025, 6, 15, 14, 0, 5, tzinfo=UTC).timestamp()
    heard = understand_page(Answer(200, headers, json.dumps(page_of(row("a"))).encode()), 1, now_s)
    assert isinstance(heard, AnsweredAtOnce)
    assert heard.retry_after_s == waits_s


def test_a_row_is_read() -> None:
    """A row gives the task's id, status, phase, model and times, which are milliseconds since 1970."""
    page = read_page(
        answer(
            page_of(
                row("task-1", NOW, status="SUCCEEDED", request_id="r-1", start_time=1_772_366_400_000, end_time=None),
                row("task-2", status="BORED"),
                row("task-3", status=None),
            )
        )
    )
    assert page is not None
    first, second, third = page.tasks
    assert (first.task_id, first.status, first.phase, first.model) == (
        "task-1", "SUCCEEDED", Phase.SUCCEEDED, "wan2.5-t2v",
    )  # fmt: skip
    assert (first.submitted_at, first.started_at, first.ended_at, first.request_id) == (NOW, NOW, None, "r-1")
    assert (second.phase, third.phase, third.status) == (Phase.UNLISTED, Phase.UNLISTED, None)


@pytest.mark.parametrize(
    "time",
    [None, "2026-03-01", True, -5, 0, 1_772_366_400, 1.7e15, float("nan"), float("inf"), [], 10**400],
    ids=lambda value: type(value).__name__,
)
def test_a_row_whose_time_cannot_be_read_is_shown(time: Any) -> None:
    """A row without a readable time is shown in every window rather than lost."""
    pages = Listing(asked_for(start=NOW - HOUR, end=NOW))
    page = read_page(answer(page_of({**row("a"), "gmt_create": time})))
    assert page is not None
    (task,) = pages.receive(page)
    assert task.submitted_at is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("task-1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task_id", "status", "gmt_create", "data", "total"]), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("data", "page_no", "total_page", "total", "request_id"), values)
)


@given(bodies | values, st.integers(1, 5))
def test_whatever_a_page_holds_is_read_without_a_fault(body: Any, number: int) -> None:
    """Whatever a page holds, it is a page of sound rows or unreadable, and nothing is raised."""
    heard = understand_page(answer(body), number, 0.0)
    if isinstance(heard, Unreadable):
        return
    assert isinstance(heard, AnsweredAtOnce)
    for task in heard.result.tasks:
        assert isinstance(task, ListedTask)
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,200}", task.task_id)


# What may be asked for.


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": "2026-03-01"}, "start must be a datetime"),
        ({"end": date(2026, 3, 1)}, "end must be a datetime"),
        ({"start": 1_772_366_400}, "start must be a datetime"),
        ({"start": datetime(2026, 3, 1)}, "needs a time zone"),  # noqa: DTZ001  # the point
        ({"start": NOW, "end": NOW - HOUR}, "start must be before end"),
        ({"start": NOW - timedelta(days=9), "end": NOW}, "at most 8 days"),
        ({"start": datetime.min.replace(tzinfo=UTC)}, "where no task can be"),
        ({"end": datetime.max.replace(tzinfo=UTC)}, "where no task can be"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"page_size": "50"}, "page_size"),
        ({"page_size": True}, "page_size"),
        ({"page_size": 5.0}, "page_size"),
        ({"page_size": 10**5000}, "page_size"),
        ({"page_size": None}, "page_size"),
        ({"model": ""}, "model_name must be a short text"),
        ({"model": "x" * 201}, "model_name must be a short text"),
        ({"status": "a\nb"}, "status must be a short text"),
        ({"status": "\ud800"}, "status must be a short text"),
        ({"status": b"RUNNING"}, "status must be a short text"),
        ({"model": 10**5000}, "model_name must be a short text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_window_that_makes_no_sense_is_refused(wrong: dict[str, Any], said: str) -> None:
    """A window or filter that makes no sense is a usage error in one sentence, and nothing was sent."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        asked_for(**wrong)
    assert "nothing was sent" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "timeout", [0, -1, float("nan"), float("inf"), "60", None, True, 10**5000], ids=lambda value: type(value).__name__
)
@in_each_way
def test_a_time_that_makes_no_sense_is_refused(colour: str, library: str, timeout: Any) -> None:
    """A time in which no answer can come, or that never ends, is refused at the call, before anything is sent."""

    async def main() -> None:
        async with a_client(colour, library, lambda _: pytest.fail("something was sent")) as client:
            with pytest.raises(ConfigurationError, match=r"timeout must be.*nothing was sent"):
                client.list_remote(timeout=timeout)

    run_in(colour, main)


def test_the_gateway_has_no_list() -> None:
    """In the dialect without a list the call is refused."""
    with pytest.raises(ConfigurationError, match=r"no way to list tasks.*nothing was sent"):
        questions(AISA, start=None, end=None, model=None, status=None, page_size=50)


# Through the client.


async def listed(client: Any, colour: str, **options: Any) -> list[str]:
    if colour == "sync":
        return [task.task_id for task in client.list_remote(**options)]
    return [task.task_id async for task in client.list_remote(**options)]


@in_each_way
def test_all_pages_of_all_pieces_are_read(colour: str, library: str) -> None:
    """Three days of tasks come whole, over pages and pieces, and what is asked is what is documented."""
    tasks = {f"task-{n}": NOW - n * HOUR for n in range(72)}
    service = ListService(tasks, EAST)
    asked: list[Asked] = []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return Reply(200, service.answer(question.query))

    async def main() -> list[str]:
        async with a_client(colour, library, answers) as client:
            window = {"start": NOW - timedelta(days=3), "end": NOW, "model": "wan2.5-t2v", "status": "RUNNING"}
            return await listed(client, colour, page_size=10, **window)

    assert sorted(run_in(colour, main)) == sorted(tasks)
    for question in asked:
        assert (question.method, question.path) == ("GET", "/v1/tasks/")
        assert question.headers["authorization"] == f"Bearer {KEY}"
        assert {"model_name": "wan2.5-t2v", "status": "RUNNING", "page_size": "10"}.items() <= question.query.items()


@in_each_way
def test_trouble_in_the_middle_is_absorbed(colour: str, library: str) -> None:
    """Throttles, server errors, cut and foreign answers in the middle of a list are asked through, by its manners."""
    service, clock, at_s = ListService({f"task-{n}": NOW for n in range(3)}), VirtualClock(), []
    troubles: list[Reply | Broken] = [
        Reply(429, {"code": "Throttling", "message": "slow"}, {"retry-after": "7"}),
        Reply(500, {"code": "InternalError", "message": "oops"}),
        Reply(502, b"<html>"),
        Reply(200, b'{"data": ['),
        Reply(200, {"data": "none"}),
        Reply(302, b"", {"location": "http://evil.test/"}),
        Broken("ReadTimeout"),
        Broken("ConnectError"),
    ]

    def answers(question: Asked) -> Reply | Broken:
        at_s.append(question.at_s)
        if question.query["page_no"] == "2" and troubles:
            return troubles.pop(0)
        return Reply(200, service.answer(question.query))

    async def main() -> list[str]:
        async with a_client(colour, library, answers, clock) as client:
            return await listed(client, colour, page_size=1, timeout=300.0)

    assert sorted(run_in(colour, main)) == ["task-0", "task-1", "task-2"]
    assert at_s[2] - at_s[1] >= 7.0
    assert all(after - before >= 0.5 for before, after in pairwise(at_s[2:10]))


@in_each_way
def test_a_list_that_does_not_come_ends_in_its_time(colour: str, library: str) -> None:
    """Where a page does not come, the rows before it are there, and the error says why, in the list's time."""
    service, clock = ListService({f"task-{n}": NOW for n in range(3)}), VirtualClock()
    found: list[str] = []

    async def read(client: Any) -> None:
        rows = client.list_remote(page_size=1, timeout=20.0)
        if colour == "sync":
            for task in rows:
                found.append(task.task_id)  # noqa: PERF401  # what came before the error must stay
        else:
            async for task in rows:
                found.append(task.task_id)  # noqa: PERF401  # as above

    def answers(question: Asked) -> Reply:
        if question.query["page_no"] == "2":
            return Reply(503, {"code": "ModelUnavailable", "message": f"busy {KEY}"})
        return Reply(200, service.answer(question.query))

    async def main() -> ListingFailed:
        async with a_client(colour, library, answers, clock) as client:
            with pytest.raises(ListingFailed, match="ModelUnavailable") as caught:
                await read(client)
            return caught.value

    error = run_in(colour, main)
    assert found == ["task-2"]
    assert clock.now().monotonic_s <= 20.0
    assert KEY not in str(error) + repr(error.__dict__)
    assert (error.code, error.kind) == ("ModelUnavailable", ErrorKind.UPSTREAM)


@in_each_way
def test_a_refusal_says_what_it_is(colour: str, library: str) -> None:
    """A refusal to list ends at once, with the service's code, what that means, and no key."""
    asked = []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return Reply(401, {"code": "InvalidApiKey", "message": f"bad key {KEY}", "request_id": "r-9"})

    async def main() -> ListingFailed:
        async with a_client(colour, library, answers) as client:
            with pytest.raises(ListingFailed, match="refuses to list") as caught:
                await listed(client, colour)
            return caught.value

    error = run_in(colour, main)
    assert len(asked) == 1
    assert (error.code, error.http_status, error.kind) == ("InvalidApiKey", 401, ErrorKind.ACCESS)
    assert (error.try_again, error.request_id) == (TryAgain.AFTER_A_CHANGE, "r-9")
    assert KEY not in str(error) + repr(error.__dict__)


@in_each_way
def test_a_long_retry_after_ends_a_list_at_once(colour: str, library: str) -> None:
    """A Retry-After beyond the list's time ends it at once and says when to come back, as the next does."""
    clock, asked = VirtualClock(), []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return Reply(429, {"code": "Throttling", "message": "slow"}, {"retry-after": "100"})

    async def main() -> None:
        async with a_client(colour, library, answers, clock) as client:
            with pytest.raises(ListingFailed, match="throttled") as caught:
                await listed(client, colour)
            assert caught.value.come_back_in_s == pytest.approx(100.0)
            with pytest.raises(ListingFailed, match="stay away") as again:
                await listed(client, colour)
            assert again.value.come_back_in_s == pytest.approx(100.0)

    run_in(colour, main)
    assert (len(asked), clock.now().monotonic_s) == (1, 0.0)


@in_each_way
def test_pages_are_asked_no_faster_than_the_account_may(colour: str, library: str) -> None:
    """The pages of a long list are read no faster than the account's twenty queries a second."""
    service, clock, at_s = ListService({f"task-{n}": NOW for n in range(100)}), VirtualClock(), []

    def answers(question: Asked) -> Reply:
        at_s.append(question.at_s)
        return Reply(200, service.answer(question.query))

    async def main() -> list[str]:
        async with a_client(colour, library, answers, clock) as client:
            return await listed(client, colour, page_size=1)

    assert len(run_in(colour, main)) == 100
    busiest = max(sum(1 for other_s in at_s if first_s <= other_s < first_s + 1.0) for first_s in at_s)
    assert busiest <= 20


def test_all_colours_ask_alike() -> None:
    """Every colour with either library asks for the same pages at the same times, troubles included."""

    def trace(colour: str, library: str) -> list[Any]:
        service, seen = ListService({f"task-{n}": NOW for n in range(5)}), []

        def answers(question: Asked) -> Reply:
            seen.append((question.path, question.query, question.at_s))
            if len(seen) % 3 == 2:
                return Reply(429, {"code": "Throttling", "message": "slow"})
            return Reply(200, service.answer(question.query))

        async def main() -> Any:
            async with a_client(colour, library, answers) as client:
                return await listed(client, colour, page_size=2, start=NOW - HOUR)

        return [run_in(colour, main), seen]

    first, *others = [trace(*way) for way in EACH]
    assert len(first[1]) > 4
    assert all(other == first for other in others)


@in_each_way
def test_leaving_a_list_early_asks_no_more(colour: str, library: str) -> None:
    """Whoever stops after the first row has cost one question."""
    service, asked = ListService({f"task-{n}": NOW for n in range(5)}), []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return Reply(200, service.answer(question.query))

    async def main() -> None:
        async with a_client(colour, library, answers) as client:
            rows = client.list_remote(page_size=1)
            first = next(rows) if colour == "sync" else await anext(rows)
            assert first.task_id == "task-4"
            await got(rows.close() if colour == "sync" else rows.aclose())

    run_in(colour, main)
    assert len(asked) == 1


def test_a_page_of_more_than_anybody_asks_for_is_none() -> None:
    """A page with more rows than the largest that can be asked for is no page, so that no list fills the memory."""
    heard = understand_page(answer(page_of(*[row(f"task-{number}") for number in range(LARGEST_PAGE + 1)])), 1, 0.0)
    assert isinstance(heard, Unreadable)
    assert "a page of 1001 tasks" in heard.reason
    heard = understand_page(answer(page_of(*[row(f"task-{number}") for number in range(LARGEST_PAGE)])), 1, 0.0)
    assert isinstance(heard, AnsweredAtOnce)
