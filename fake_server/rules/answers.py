"""Building answers: a reply, its headers, and what the journal should know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_server.wire import bodies, errors
from fake_server.wire.messages import Drop, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.moment import Moment
    from fake_server.rules.faults import RetryAfter
    from fake_server.scenario.model import ScriptedAnswer
    from fake_server.wire.routes import Route

# Answers to these never have a body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5).
_BODILESS = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way through the engine: what it is about, when it came, the id of its answer."""

    request: Request
    route: Route
    now: Moment
    request_id: str

    @property
    def dialect(self) -> bodies.Dialect:
        """The dialect to answer in; paths of neither are answered flat."""
        return self.route.dialect or "dashscope"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and for the journal: what struck, the `Retry-After` sent, and the task it was about."""

    reply: Reply | Drop
    fault: str | None = None
    retry_after: str | None = None
    task_id: str | None = None


def json_reply(call: Call, status: int, body: bodies.Body) -> Reply:
    """A reply with a JSON body."""
    return plain_reply(call, status, bodies.encode(body), [("content-type", bodies.JSON_TYPE)])


def xml_reply(call: Call, status: int, code: str, message: str) -> Reply:
    """An error of the asset host."""
    body = errors.asset_error(code, message, call.request_id, "fake")
    return plain_reply(call, status, body, [("content-type", "application/xml")])


def plain_reply(call: Call, status: int, body: bytes, extra: Sequence[tuple[str, str]]) -> Reply:
    """A reply with the world's own `Date`; later headers of one name replace earlier ones."""
    headers = {"date": bodies.http_date(call.now.wall_s)}
    headers.update(extra)
    if status in _BODILESS:
        return Reply(status, tuple(headers.items()), b"")
    headers["content-length"] = str(len(body))
    return Reply(status, tuple(headers.items()), b"" if call.request.method == "HEAD" else body)


def hint_headers(hint: RetryAfter | None) -> list[tuple[str, str]]:
    """The `Retry-After` header, if there is one to send."""
    return [("retry-after", hint.text)] if hint and hint.text is not None else []


def error(
    call: Call,
    status: int,
    code: str | None,
    message: str | None,
    *,
    fault: str | None = None,
    hint: RetryAfter | None = None,
    like: ScriptedAnswer | None = None,
    task_id: str | None = None,
) -> Answer:
    """An error of the dialect.

    Args:
        call: What is answered.
        status: The HTTP status.
        code: The service's code, or None for the status's own.
        message: The sentence, or None for the code's own.
        fault: What struck, for the journal.
        hint: The `Retry-After` to send.
        like: A scripted answer whose shape, content type and headers are taken over.
        task_id: The task it is about, for the journal.
    """
    code = code or errors.default_code(call.dialect, status)
    shape = (like.shape if like else None) or errors.OWN_SHAPE[call.dialect]
    message = message or errors.default_message(code)
    body = errors.error_body(shape, status, code, message, call.request_id)
    content_type = (like.content_type if like else None) or bodies.JSON_TYPE
    extra = [("content-type", content_type), *hint_headers(hint), *(like.headers if like else ())]
    reply = plain_reply(call, status, bodies.encode(body), extra)
    return Answer(reply, fault, hint.text if hint else None, task_id)
