"""The words and bodies of the fake, in its own spelling.

Two dialects of one API are spoken (AIsa docs, async-operations; vendor's page Manage asynchronous tasks).
Success bodies are the same in both, error bodies are not. Nothing here knows time, scripts or state: every
function takes what it shall say and returns a plain mapping. The bodies under `scenarios/contract` judge
this module.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Body = dict[str, Any]
Dialect = Literal["aisa", "dashscope"]
UsageForm = Literal["counted", "measured", "detailed"]
UrlPlace = Literal["video_url", "results.video_url"]

DIALECTS: tuple[Dialect, ...] = ("aisa", "dashscope")
BASES: dict[Dialect, str] = {"aisa": "/apis/v1", "dashscope": "/api/v1"}

PENDING = "PENDING"
RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
CANCELED = "CANCELED"
UNKNOWN = "UNKNOWN"

LISTED = (PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED, UNKNOWN)
ENDS = frozenset({SUCCEEDED, FAILED, CANCELED})

JSON_TYPE = "application/json"
_ENCODER = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=True, check_circular=False)

# Task times carry no zone on the wire; recorded traffic shows them eight hours ahead of the Date header.
TASK_ZONE = timezone(timedelta(hours=8))


def encode(body: Mapping[str, Any]) -> bytes:
    """A body as bytes. ASCII only: a prompt may hold half a surrogate pair, which UTF-8 cannot carry."""
    return "".join(_encode(body, 0)).encode("ascii")


def _encoding() -> Callable[[Mapping[str, Any], int], Iterable[str]]:
    """What encodes a body, made once: the library makes it anew for each, which takes as long as the encoding."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python that has none
        return lambda body, _: _ENCODER.iterencode(body)
    escape = json.encoder.encode_basestring_ascii
    encoder: Callable[[Mapping[str, Any], int], Iterable[str]] = make(
        None, _ENCODER.default, escape, None, _ENCODER.key_separator, _ENCODER.item_separator, False, False, True
    )
    return encoder


_encode = _encoding()


# A task is polled many times and its times do not change; a second is told to many. Both are a tenth of an answer.
@functools.lru_cache(maxsize=4096)
def timestamp(wall_s: float) -> str:
    """A task time as `YYYY-MM-DD HH:MM:SS.mmm` in UTC+8, from seconds since 1970."""
    # Whole milliseconds first: cutting the microseconds of a float would show 0.1 s as .099 now and then.
    moment = datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=round(wall_s * 1000))
    return moment.astimezone(TASK_ZONE).strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def read_timestamp(text: str) -> float | None:
    """Seconds since 1970 of a task time as :func:`timestamp` spells it; None of any other text."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=TASK_ZONE)
    except ValueError:
        return None
    return (moment - datetime.fromtimestamp(0, tz=UTC)) / timedelta(seconds=1)


def http_date(wall_s: float) -> str:
    """A date as HTTP headers spell it (RFC 9110, 5.6.7), cut to the whole second."""
    return _http_date(int(wall_s))


@functools.lru_cache(maxsize=64)
def _http_date(whole_s: int) -> str:
    moment = datetime.fromtimestamp(0, tz=UTC) + timedelta(seconds=whole_s)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    # Spelt out rather than by strftime, whose names follow the locale of the process.
    return (
        f"{days[moment.weekday()]}, {moment.day:02d} {months[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


class TaskTimes(NamedTuple):
    """When a task was submitted, scheduled and ended, in wall seconds; None where it has not happened."""

    submitted_s: float
    scheduled_s: float | None = None
    ended_s: float | None = None

    def fields(self) -> Body:
        """The time fields of an answer, in the order the vendor shows them."""
        body: Body = {"submit_time": timestamp(self.submitted_s)}
        if self.scheduled_s is not None:
            body["scheduled_time"] = timestamp(self.scheduled_s)
        if self.ended_s is not None:
            body["end_time"] = timestamp(self.ended_s)
        return body


class Video(NamedTuple):
    """What a finished video task made.

    Args:
        url: Where the asset is.
        prompt: The caller's prompt, repeated in the answer.
        duration_s: Length of the video in seconds; what is billed.
        resolution: Height in lines, such as 720.
        usage: Which of the three documented forms of `usage` the model uses.
        place: Where in `output` the model puts the URL.
    """

    url: str
    prompt: str
    duration_s: int
    resolution: int
    usage: UsageForm
    place: UrlPlace


def accepted(task_id: str, status: str, request_id: str) -> Body:
    """The answer to a create that was accepted."""
    return {"output": {"task_status": status, "task_id": task_id}, "request_id": request_id}


def waiting(task_id: str, status: str, request_id: str, times: TaskTimes | None) -> Body:
    """A task that has not ended; `times` only where the model tells them."""
    told = {} if times is None else times.fields()
    return {"request_id": request_id, "output": {"task_id": task_id, "task_status": status, **told}}


def succeeded(task_id: str, request_id: str, times: TaskTimes, video: Video) -> Body:
    """A finished task with its result and usage."""
    output: Body = {"task_id": task_id, "task_status": SUCCEEDED, **times.fields()}
    output["orig_prompt"] = video.prompt
    output["actual_prompt"] = video.prompt
    if video.place == "video_url":
        output["video_url"] = video.url
    else:
        output["results"] = {"video_url": video.url}
    return {"request_id": request_id, "output": output, "usage": usage(video)}


def usage(video: Video) -> Body:
    """The `usage` of a finished video, in the form of its model.

    The three forms are those of the vendor's API references; which model uses which is a table of the
    caller. In the last one `SR` is a string, and that is no slip of ours.
    """
    if video.usage == "counted":
        return {"video_duration": video.duration_s, "video_count": 1, "SR": video.resolution}
    if video.usage == "measured":
        return {
            "duration": video.duration_s,
            "input_video_duration": 0,
            "output_video_duration": video.duration_s,
            "video_count": 1,
            "SR": video.resolution,
            "ratio": "16:9",
        }
    return {
        "duration": video.duration_s,
        "size": f"{video.resolution * 16 // 9}*{video.resolution}",
        "fps": 24,
        "video_count": 1,
        "audio": False,
        "SR": str(video.resolution),
    }


def failed(task_id: str, request_id: str, times: TaskTimes, code: str, message: str) -> Body:
    """A task that failed: the reason is flat inside `output`, in both dialects."""
    output = {"task_id": task_id, "task_status": FAILED, "code": code, "message": message}
    return {"request_id": request_id, "output": {**output, **times.fields()}}


def bare(task_id: str, status: str, request_id: str) -> Body:
    """Id and status only: UNKNOWN, and (assumed, as no example was found) CANCELED."""
    return {"request_id": request_id, "output": {"task_id": task_id, "task_status": status}}


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the task list; the instants are wall seconds."""

    task_id: str
    status: str
    model: str
    request_id: str
    created_s: float
    started_s: float | None
    ended_s: float | None

    def fields(self) -> Body:
        """The row as the list shows it: times are epoch milliseconds here, and there is no result."""
        row: Body = {
            "api_key_id": "0",
            "caller_parent_id": "0",
            "caller_uid": "0",
            "gmt_create": round(self.created_s * 1000),
            "model_name": self.model,
            "region": "cn-beijing",
            "request_id": self.request_id,
            "start_time": round((self.started_s if self.started_s is not None else self.created_s) * 1000),
            "status": self.status,
            "task_id": self.task_id,
            "user_api_unique_key": "apikey:v1:video:generation",
        }
        if self.ended_s is not None:
            row["end_time"] = round(self.ended_s * 1000)
        return row


def task_list(request_id: str, rows: list[Listed], total: int, page: int, page_size: int) -> Body:
    """One page of the list (vendor's page Manage asynchronous tasks)."""
    return {
        "request_id": request_id,
        "data": [row.fields() for row in rows],
        "total": total,
        "total_page": -(-total // page_size),
        "page_no": page,
        "page_size": page_size,
    }


def cancel_accepted(request_id: str) -> Body:
    """The answer to a cancel that worked."""
    return {"request_id": request_id}


def quotas(request_id: str, concurrent_tasks: int, queries_per_second: int) -> Body:
    """The answer to `GET /quotas`. Its path is documented, its shape is not: all of this is assumed."""
    data = {"concurrent_tasks": concurrent_tasks, "queries_per_second": queries_per_second}
    return {"request_id": request_id, "data": data}
