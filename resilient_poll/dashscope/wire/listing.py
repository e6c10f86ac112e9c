"""The account's tasks at the service: what to ask for, and what the answer says. Pure.

Source: Alibaba Cloud Model Studio, *Manage asynchronous tasks*, read in 2026: tasks are
remembered for 24 hours, a window is 24 hours at most, times in the question are
``YYYYMMDDhhmmss`` and in the answer milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from resilient_poll.dashscope.checking import checked_moment, shown
from resilient_poll.dashscope.wire.dialects import LIFECYCLE, Dialect
from resilient_poll.dashscope.wire.error_bodies import read_object, request_id_of, word_of
from resilient_poll.dashscope.wire.requests import checked_task_id
from resilient_poll.errors import ConfigurationError, ListingFailed
from resilient_poll.http.messages import Answer
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import AnsweredAtOnce, Observation, Unreadable

__all__ = ["ListQuestion", "ListedTask", "Listing", "Page", "questions", "read_page", "understand_page"]

PAGE_SIZE = 50
"""The largest page is not documented; the default is 10, and this much was always taken."""
LARGEST_PAGE = 1_000
LONGEST_FILTER = 200
MOST_PAGES = 1_000
"""Of one window; at 20 pages a second they take a minute, and more is a window that was not meant."""
MOST_REPEATED_PAGES = 5
"""Tasks that come while the list is read push rows to the next page, but not a whole page five times in a row."""
MOST_PASSES = 3
"""How often a window is read while its tasks become fewer under the reader's eyes."""
LIST_S = 60.0
"""How long to go on asking for one page: a few attempts."""
WIDEST_WINDOW = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=8)
"""Tasks are remembered for a day, and data of a week ago is asked about by mistake only."""
_SERVICE_ZONE = timezone(timedelta(hours=8))
_ZONE_DOUBT = timedelta(hours=8)
"""Whether the question's times are UTC or UTC+8 is not documented: both are asked for, and rows kept by their epoch."""
_EARLIEST_MS, _LATEST_MS = 1e12, 4e12  # The years 2001 and 2096: what lies outside is in another unit.
_YEARS = range(2000, 2100)
_ONE_SECOND = timedelta(seconds=1)
"""Whether a window's ends belong to it is not documented, so each is asked for with a second more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """One row of the service's list. It holds no result: ask :meth:`.DashScope.task` for that.

    Attributes:
        task_id: The service's id.
        status: The service's own word.
        phase: What it means.
        model: The model's name.
        request_id: The id of the request that created it.
        submitted_at: When it was created.
        started_at: When it began to be made.
        ended_at: When it ended.
        row: The row as it came.
    """

    task_id: str
    status: str | None
    phase: Phase
    model: str | None
    request_id: str | None
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    row: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListQuestion:
    """One window of the list, asked page by page.

    Attributes:
        parameters: Of the query, but for the page.
        earliest: Rows that were created before it are not asked for.
        latest: Rows that were created after it are not asked for.
    """

    parameters: Mapping[str, str]
    earliest: datetime | None
    latest: datetime | None

    def page(self, number: int) -> dict[str, str]:
        """Return the parameters for one page, counted from 1."""
        return {**self.parameters, "page_no": str(number)}

    def wants(self, task: ListedTask) -> bool:
        """Tell whether a row is one that was asked for."""
        at = task.submitted_at
        if at is None:
            return True  # A row without a readable time is shown rather than lost.
        return (self.earliest is None or self.earliest <= at) and (self.latest is None or at <= self.latest)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list.

    Attributes:
        tasks: Its rows that can be read.
        is_empty: Whether it has no row at all.
        pages: How many pages there are, if it says so.
        total: How many rows there are on all pages, if it says so.
    """

    tasks: tuple[ListedTask, ...]
    is_empty: bool
    pages: int | None
    total: int | None


class Listing:
    """Which page to ask for next, and which of its rows are news.

    New tasks push rows to the next page, so rows come twice. Where there are fewer rows than
    before, others may have moved to a page that was read already: the window is read again.

    Args:
        asked: The windows.
    """

    def __init__(self, asked: tuple[ListQuestion, ...]) -> None:
        self._asked = list(asked)
        self._told: set[str] = set()
        self._passes = 0
        self._begin_pass()

    def _begin_pass(self) -> None:
        self._number = 1
        self._passes += 1
        self._met: set[str] = set()
        self._repeated = 0
        self._total: int | None = None
        self._has_shrunk = False

    @property
    def number(self) -> int:
        """The number of the next page, from 1."""
        return self._number

    def next_page(self) -> dict[str, str] | None:
        """Return the query's parameters for the next page; None if there is none."""
        return self._asked[0].page(self._number) if self._asked else None

    def receive(self, page: Page) -> tuple[ListedTask, ...]:
        """Take in the page that was asked for, and return the rows of it that are news.

        Raises:
            ListingFailed: The list has no end, or repeats itself, so that nobody can tell whether it is whole.
        """
        question = self._asked[0]
        news = {task.task_id: task for task in page.tasks if task.task_id not in self._told and question.wants(task)}
        self._told.update(news)
        before = len(self._met)
        self._met.update(task.task_id for task in page.tasks)
        self._repeated = 0 if len(self._met) > before else self._repeated + 1
        self._has_shrunk |= page.total is not None and self._total is not None and page.total < self._total
        self._total = page.total
        if page.is_empty or (page.pages is not None and self._number >= page.pages):
            self._end_pass()
        elif self._repeated >= MOST_REPEATED_PAGES:
            raise ListingFailed(f"the service's list repeats itself from page {self._number}, and may not be whole")
        elif self._number >= MOST_PAGES:
            raise ListingFailed(f"the service's list has more than {MOST_PAGES} pages: ask for less at once")
        else:
            self._number += 1
        return tuple(news.values())

    def _end_pass(self) -> None:
        if not self._has_shrunk or self._passes >= MOST_PASSES:
            del self._asked[0]
            self._passes = 0
        self._begin_pass()


def questions(
    dialect: Dialect,
    *,
    start: datetime | None,
    end: datetime | None,
    model: str | None,
    status: str | None,
    page_size: int,
) -> tuple[ListQuestion, ...]:
    """Return what to ask for a window of any length.

    Without bounds it is the service's own last 24 hours. With one bound it is the 24 hours
    from or to it. A longer window is asked for in pieces.

    Args:
        dialect: Who shall answer.
        start: Tasks created from then on, with a time zone.
        end: Tasks created until then, with a time zone.
        model: Of this model only.
        status: In this status only, in the service's own word.
        page_size: Rows a page.

    Raises:
        ConfigurationError: The dialect cannot list, or the window makes no sense; nothing was sent.
    """
    dialect.list_path()
    if not 1 <= (_count(page_size) or 0) <= LARGEST_PAGE:
        raise ConfigurationError(
            f"page_size must be a whole number from 1 to {LARGEST_PAGE}, not {shown(page_size)}; nothing was sent"
        )
    common = {"page_size": str(page_size)}
    for name, value in (("model_name", model), ("status", status)):
        if value is not None:
            common[name] = _checked_text(name, value)
    for name, moment in (("start", start), ("end", end)):
        if moment is not None and checked_moment(name, moment).year not in _YEARS:
            raise ConfigurationError(f"{name} lies where no task can be: {shown(moment)}; nothing was sent")
    # In UTC: within one zone Python counts by its wall clocks, by which a day in autumn has 24 hours and lasts 25.
    start, end = (moment and moment.astimezone(UTC) for moment in (start, end))
    if start is not None:
        first, last = start, end if end is not None else start + WIDEST_WINDOW
    elif end is not None:
        first, last = end - WIDEST_WINDOW, end
    else:
        return (ListQuestion(common, None, None),)
    if not timedelta(0) <= last - first <= LONGEST_SPAN:
        raise ConfigurationError(
            f"start must be before end, and at most {LONGEST_SPAN.days} days before it: "
            "the service remembers tasks for a day; nothing was sent"
        )
    return tuple(
        ListQuestion({**common, "start_time": _spelt(begin), "end_time": _spelt(stop)}, first, last)
        for begin, stop in _pieces(first - _ZONE_DOUBT, last)
    )


def understand_page(answer: Answer, number: int, now_wall_s: float) -> Observation:
    """Return what an answer of the list with a 2xx status means to a look-up.

    Args:
        answer: What came.
        number: Which page was asked for.
        now_wall_s: The client's clock, for dates in ``Retry-After``.
    """
    understood = _understood(answer, number)
    hint = read_retry_after(answer.header("retry-after"), answer.header("date"), now_wall_s)
    return replace(understood, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)


def _understood(answer: Answer, number: int) -> AnsweredAtOnce | Unreadable:
    page, body = read_page(answer), read_object(answer.body)
    request_id = request_id_of(body)
    if page is None or body is None:
        return Unreadable(request_id=request_id, reason=f"HTTP {answer.status} without a list that can be read")
    if len(body["data"]) > LARGEST_PAGE:
        # Nobody asks for more, and a thousand such pages would fill the memory.
        return Unreadable(
            request_id=request_id,
            reason=f"a page of {len(body['data'])} tasks, where at most {LARGEST_PAGE} were asked for",
        )
    if (told := _count(body.get("page_no"))) and told != number:
        return Unreadable(request_id=request_id, reason=f"page {told} of the list in the place of page {number}")
    return AnsweredAtOnce(request_id=request_id, result=page)


def read_page(answer: Answer) -> Page | None:
    """Return the page that an answer holds, or None if it holds none."""
    body = read_object(answer.body)
    rows = body.get("data") if body is not None else None
    if body is None or not isinstance(rows, list):
        return None
    tasks = tuple(task for row in rows if isinstance(row, dict) and (task := _read_row(row)) is not None)
    # No pages beside rows cannot be; where their number is not known, an empty page is the end.
    return Page(tasks, not rows, _count(body.get("total_page")) or None, _count(body.get("total")))


def _read_row(row: dict[str, Any]) -> ListedTask | None:
    try:
        task_id = checked_task_id(row.get("task_id"))  # type: ignore[arg-type]  # checked right there
    except ConfigurationError:
        return None  # Without an id that can be asked about, it is nobody's task.
    status = word_of(row.get("status"))
    return ListedTask(
        task_id=task_id,
        status=status,
        phase=Phase.UNLISTED if status is None else LIFECYCLE.phase_of(status),
        model=word_of(row.get("model_name")),
        request_id=word_of(row.get("request_id")),
        submitted_at=_moment(row.get("gmt_create")),
        started_at=_moment(row.get("start_time")),
        ended_at=_moment(row.get("end_time")),
        row=row,
    )


def _moment(milliseconds: object) -> datetime | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    if not _EARLIEST_MS < milliseconds < _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _spelt(moment: datetime) -> str:
    return moment.astimezone(_SERVICE_ZONE).strftime("%Y%m%d%H%M%S")


def _pieces(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut a window into such as the service takes; whole seconds, since it is asked in whole seconds."""
    begin, stop = first.replace(microsecond=0) - _ONE_SECOND, last.replace(microsecond=0) + 2 * _ONE_SECOND
    while True:
        until = min(stop, begin + WIDEST_WINDOW)
        yield begin, until
        if until == stop:
            return
        begin = until - _ONE_SECOND


def _checked_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_FILTER or not value.isprintable():
        raise ConfigurationError(f"{name} must be a short text, not {shown(value)}; nothing was sent")
    return value
