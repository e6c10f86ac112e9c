"""Reading the body of a create, and the parameters of a list: what is wrong is said, never raised."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .routes import first_parameter
from .wire import LISTED, TASK_ZONE, UsageForm

LONGEST_MODEL = 200
# Prompts are repeated in answers and kept as long as the task; the documented limits are far below.
LONGEST_PROMPT = 10_000
DEFAULT_SECONDS = 5
MOST_SECONDS = 600
DEFAULT_RESOLUTION = 720
_RESOLUTIONS = {"480P": 480, "720P": 720, "1080P": 1080}
# The largest page is not documented; this one keeps an answer below a few hundred kilobytes.
LARGEST_PAGE = 1_000
# Both bounds of the list may be this far apart (vendor's page Manage asynchronous tasks).
WIDEST_WINDOW_S = 86_400.0

# Which models use which form of `usage` is assumed: the references show the forms, one model each.
_USAGE_FORMS: tuple[tuple[str, UsageForm], ...] = (
    ("wan2.2", "counted"),
    ("wanx2.1", "counted"),
    ("wan2.7", "measured"),
    ("happyhorse", "measured"),
)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a create asks for: the model, the prompt, seconds of video and lines of resolution."""

    model: str
    prompt: str
    duration_s: int
    resolution: int


def usage_form(model: str) -> UsageForm:
    """The form of `usage` of a model."""
    return next((form for prefix, form in _USAGE_FORMS if model.startswith(prefix)), "detailed")


def read_submission(body: bytes) -> Submission | str:
    """The body of a create, or a sentence that says what is wrong with it."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(data, dict):
        return "the body is not a JSON object"
    model, given = data.get("model"), data.get("input")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        return "Field required: model"
    if not isinstance(given, dict):
        return "Field required: input"
    parameters = data.get("parameters", {})
    if not isinstance(parameters, dict):
        return "parameters is not a JSON object"
    prompt = given.get("prompt")
    return Submission(
        model=model,
        prompt=prompt[:LONGEST_PROMPT] if isinstance(prompt, str) else "",
        duration_s=_read_seconds(parameters.get("duration")),
        resolution=_RESOLUTIONS.get(str(parameters.get("resolution")), DEFAULT_RESOLUTION),
    )


def _read_seconds(value: object) -> int:
    """Seconds of video; what is no sensible number is the default, as no source says how it is refused."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SECONDS:
        return value
    return DEFAULT_SECONDS


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
