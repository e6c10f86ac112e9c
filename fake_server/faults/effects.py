"""What faults do to an answer: pure functions from one reply to another."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fake_server.wire import bodies
from fake_server.wire.bodies import http_date, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fake_server.faults.model import BodyForm, Drift, RouteKind
    from fake_server.wire.messages import Reply

HTML_TYPE = "text/html; charset=utf-8"
# A name that no name server may know (RFC 6761, 6.4).
OTHER_HOST = "http://elsewhere.invalid"

# Fields that hold a time: as text, and as milliseconds since 1970 where they are numbers.
_TIME_FIELDS = frozenset({"submit_time", "scheduled_time", "end_time", "start_time", "gmt_create"})
_TIME_HEADERS = frozenset({"req-arrive-time", "resp-start-time"})


def spoilt_body(form: BodyForm, status: int, ordinary: bytes) -> tuple[bytes, str]:
    """A body in the form of something else, and its content type.

    Args:
        form: Which form; `dialect` is not for here.
        status: The HTTP status that it goes with.
        ordinary: The body that the service would send: what is malformed is a part of it.
    """
    if form == "html":
        page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
        return page.encode(), HTML_TYPE
    if form == "alien":
        # The shape of another vendor's gateway: JSON, and nothing that a client of this API knows.
        alien = {"fault": {"faultstring": "Unexpected EOF at target", "detail": {"errorcode": "flow.UnexpectedEOF"}}}
        return json.dumps(alien).encode(), bodies.JSON_TYPE
    if form == "malformed":
        return ordinary[: max(1, len(ordinary) // 2)], bodies.JSON_TYPE
    return b"", bodies.JSON_TYPE


def escaped(target: str) -> str:
    """A path and query as they may stand in a header."""
    return quote(target, safe="/?&=%:@-._~!$'()*+,;", errors="replace")


def with_headers(reply: Reply, headers: Iterable[tuple[str, str]]) -> Reply:
    """A reply with other headers: each replaces all of its name, and several of one name stand side by side."""
    new = [(name.lower(), value) for name, value in headers]
    names = {name for name, _ in new}
    return reply._replace(headers=(*(pair for pair in reply.headers if pair[0] not in names), *new))


def _changed(reply: Reply, change: Callable[[Any], Any]) -> Reply:
    """A reply whose JSON body went through a function; any other reply as it is."""
    headers = dict(reply.headers)
    if not headers.get("content-type", "").startswith(bodies.JSON_TYPE):
        return reply
    is_packed = headers.get("content-encoding") == "gzip"
    try:
        body = json.loads(gzip.decompress(reply.body) if is_packed else reply.body)
    except (ValueError, EOFError, OSError, zlib.error):  # A script may call anything JSON, and gzip.
        return reply
    encoded = bodies.encode(change(body))
    if is_packed:
        encoded = gzip.compress(encoded, compresslevel=1, mtime=0)
    sized = tuple((name, str(len(encoded)) if name == "content-length" else value) for name, value in reply.headers)
    return reply._replace(headers=sized, body=encoded)


def drifted(reply: Reply, kind: Drift, word: str, route: RouteKind) -> Reply:
    """A true answer with another schema.

    Args:
        reply: The true answer.
        kind: What is different.
        word: The status word of `unknown_status`.
        route: What was asked for: it says which field matters.
    """

    def change(body: Any) -> Any:
        output = body.get("output")
        place = output if isinstance(output, dict) else body
        if kind == "missing_output":
            return {key: value for key, value in body.items() if key not in ("output", "data")}
        if kind == "extra_fields":
            extra = {"trace": {"span": "7", "hops": [1, 2]}, "deprecated": None}
            place.update(extra)
            return {**body, "api_version": "2", "warnings": ["this answer says more than it used to"]}
        if kind == "unknown_status":
            if "task_status" in place:
                place["task_status"] = word
            return body
        field = "task_id" if route == "create" else "task_status"
        if field in place:
            place[field] = 7
        else:
            body["request_id"] = 7
        return body

    return _changed(reply, change)


def skewed(reply: Reply, ahead_s: float, wall_s: float) -> Reply:
    """An answer of a service whose clock is wrong.

    Args:
        reply: The answer of one whose clock is right.
        ahead_s: How far it is ahead, in seconds.
        wall_s: The true present.
    """
    headers = []
    for name, value in reply.headers:
        if name == "date":
            headers.append((name, http_date(wall_s + ahead_s)))
        elif name in _TIME_HEADERS:
            headers.append((name, str(round((wall_s + ahead_s) * 1000))))
        else:
            headers.append((name, value))
    return _changed(reply._replace(headers=tuple(headers)), lambda body: _later(body, ahead_s))


def _later(value: Any, ahead_s: float) -> Any:
    if isinstance(value, list):
        return [_later(item, ahead_s) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _moved(inner, ahead_s) if key in _TIME_FIELDS else _later(inner, ahead_s) for key, inner in value.items()
    }


def _moved(value: Any, ahead_s: float) -> Any:
    """A time as text or milliseconds, moved; anything else as it is."""
    if isinstance(value, int):
        return value + round(ahead_s * 1000)
    wall_s = bodies.read_timestamp(value) if isinstance(value, str) else None
    return value if wall_s is None else timestamp(wall_s + ahead_s)
