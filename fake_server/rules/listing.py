"""The list of tasks: reading its parameters, and choosing its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fake_server.wire import bodies
from fake_server.wire.bodies import LISTED, TASK_ZONE, Listed
from fake_server.wire.routes import first_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_server.rules.tasks import Task

# The largest page is not documented; this one keeps an answer below a few hundred kilobytes.
LARGEST_PAGE = 1_000
# Both bounds of the list may be this far apart (vendor's page Manage asynchronous tasks).
WIDEST_WINDOW_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list asks for; the window is in wall seconds, None admits everything."""

    task_id: str | None
    from_s: float
    to_s: float
    model: str | None
    status: str | None
    page: int
    page_size: int


def read_list_query(query: str, now_wall_s: float) -> ListQuery | str:
    """The parameters of a list, or a sentence that says what is wrong with them.

    The window is 24 hours at most: the last 24 without bounds, 24 from or to a single one.
    """
    bounds: list[float | None] = []
    for name in ("start_time", "end_time"):
        text = first_parameter(query, name)
        instant = _read_instant(text) if text else None
        if text and instant is None:
            return f"{name} is not a time of the form YYYYMMDDhhmmss"
        bounds.append(instant)
    start_s, end_s = bounds
    if start_s is None:
        # The newest instant is within: a task of this very second belongs to the last 24 hours.
        end_s = now_wall_s if end_s is None else end_s
        start_s = end_s - WIDEST_WINDOW_S
    elif end_s is None:
        end_s = start_s + WIDEST_WINDOW_S
    if not 0 <= end_s - start_s <= WIDEST_WINDOW_S:
        return "start_time and end_time may be at most 24 hours apart, in this order"
    status = first_parameter(query, "status")
    if status and status not in LISTED:
        return f"status is not one of {', '.join(LISTED)}"
    page = _read_number(first_parameter(query, "page_no"), 1, 1_000_000_000)
    page_size = _read_number(first_parameter(query, "page_size"), 10, LARGEST_PAGE)
    if page is None or page_size is None:
        return f"page_no and page_size are whole numbers from 1, page_size up to {LARGEST_PAGE}"
    task_id, model = first_parameter(query, "task_id"), first_parameter(query, "model_name")
    return ListQuery(task_id, start_s, end_s, model, status, page, page_size)


def _read_instant(text: str) -> float | None:
    if len(text) != len("YYYYMMDDhhmmss") or not (text.isascii() and text.isdigit()):
        return None
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=TASK_ZONE)
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1, tzinfo=TASK_ZONE)) / timedelta(seconds=1) - 8 * 3600.0


def _read_number(text: str | None, default: int, largest: int) -> int | None:
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(largest)):
        return None
    return int(text) if 1 <= int(text) <= largest else None


def list_page(newest_first: Iterable[Task], wanted: ListQuery, now_s: float) -> tuple[list[Listed], int]:
    """The rows of one page, and how many there are on all pages.

    Only the tasks on the page are looked at closely, unless a status is asked for or a script holds UNKNOWN: a
    world may hold 100,000.

    Args:
        newest_first: Every task that the service remembers, in falling order of submission.
        wanted: What is asked for.
        now_s: The present in monotonic seconds. A task that is UNKNOWN now is in no list.
    """
    first = (wanted.page - 1) * wanted.page_size
    rows: list[Listed] = []
    total = 0
    for task in newest_first:
        if task.submitted_wall_s < wanted.from_s:
            break  # All further ones are older.
        if not _matches(task, wanted):
            continue
        if wanted.status or task.lifecycle.can_be_unknown:
            status = task.view(now_s).status
            if status == bodies.UNKNOWN or wanted.status not in (None, status):
                continue
        if first <= total < first + wanted.page_size:
            rows.append(_row(task, now_s))
        total += 1
    return rows, total


def _matches(task: Task, wanted: ListQuery) -> bool:
    return (
        task.submitted_wall_s <= wanted.to_s
        and wanted.task_id in (None, task.task_id)
        and wanted.model in (None, task.asked.model)
    )


def _row(task: Task, now_s: float) -> Listed:
    view = task.view(now_s)
    times = task.times(view)
    return Listed(
        task_id=task.task_id,
        status=view.status,
        model=task.asked.model,
        request_id=task.request_id,
        created_s=times.submitted_s,
        started_s=times.scheduled_s,
        ended_s=times.ended_s,
    )
