"""The account's tasks at the service: what to ask for, and what the answer says. Pure.

Source: Alibaba Cloud Model Studio, *Manage asynchronous tasks*, read in 2026: tasks are
remembered for 24 hours, a window is 24 hours at most, times in the question are
``YYYYMMDDhhmmss`` and in the answer milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from resilient_poll.dashscope.dialects import LIFECYCLE, Dialect
from resilient_poll.dashscope.error_bodies import read_object, request_id_of, word_of
from resilient_poll.dashscope.requests import checked_task_id
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import Answer
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import AnsweredAtOnce, Observation, Unreadable

__all__ = ["ListQuestion", "ListedTask", "Page", "questions", "read_page", "understand_page"]

PAGE_SIZE = 50
"""The largest page is not documented; the default is 10, and this much was always taken."""
LARGEST_PAGE = 1_000
LONGEST_FILTER = 200
MOST_PAGES = 1_000
LIST_S = 60.0
"""How long to go on asking for one page: a few attempts."""
WIDEST_WINDOW = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=8)
"""Tasks are remembered for a day, and data of a week ago is asked about by mistake only."""
_SERVICE_ZONE = timezone(timedelta(hours=8))
_ZONE_DOUBT = timedelta(hours=8)
"""Whether the question's times are UTC or UTC+8 is not documented: both are asked for, and rows kept by their epoch."""
_LATEST_MS = 4e12  # The year 2096: what is larger is no number of milliseconds since 1970.


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
        tasks: Its rows.
        is_last: Whether there is none after it.
    """

    tasks: tuple[ListedTask, ...]
    is_last: bool


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
    if not 1 <= _number(page_size, 0) <= LARGEST_PAGE:
        raise ConfigurationError(
            f"page_size must be a whole number from 1 to {LARGEST_PAGE}, not {page_size!r}; nothing was sent"
        )
    common = {"page_size": str(page_size)}
    for name, value in (("model_name", model), ("status", status)):
        if value is not None:
            common[name] = _checked_text(name, value)
    for name, moment in (("start", start), ("end", end)):
        if moment is not None and moment.tzinfo is None:
            raise ConfigurationError(f"{name} needs a time zone: a bare datetime means another moment elsewhere")
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


def understand_page(answer: Answer) -> Observation:
    """Return what an answer of the list with a 2xx status means to a look-up."""
    page = read_page(answer)
    request_id = request_id_of(read_object(answer.body))
    if page is None:
        return Unreadable(request_id=request_id, reason=f"HTTP {answer.status} without a list that can be read")
    return AnsweredAtOnce(request_id=request_id, result=page)


def read_page(answer: Answer) -> Page | None:
    """Return the page that an answer holds, or None if it holds none."""
    body = read_object(answer.body)
    rows = body.get("data") if body is not None else None
    if body is None or not isinstance(rows, list):
        return None
    tasks = tuple(task for row in rows if isinstance(row, dict) and (task := _read_row(row)) is not None)
    return Page(tasks, is_last=not rows or _number(body.get("page_no"), 1) >= _number(body.get("total_page"), 1))


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
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not 0 < milliseconds < _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _spelt(moment: datetime) -> str:
    return moment.astimezone(_SERVICE_ZONE).strftime("%Y%m%d%H%M%S")


def _pieces(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut a window into such as the service takes; whole seconds, since it is asked in whole seconds."""
    # Rounded outwards: a task of the very last half second belongs to the window.
    begin, stop = first.replace(microsecond=0), last.replace(microsecond=0) + timedelta(seconds=last.microsecond > 0)
    while begin < stop:
        until = min(stop, begin + WIDEST_WINDOW)
        yield begin, until
        begin = until


def _checked_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_FILTER or not value.isprintable():
        raise ConfigurationError(f"{name} must be a short text, not {value!r:.80}; nothing was sent")
    return value
