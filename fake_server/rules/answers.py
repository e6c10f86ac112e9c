"""Building answers: a reply, its headers, and what the journal should know of it."""

from __future__ import annotations

import gzip
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from fake_server.wire import bodies, errors
from fake_server.wire.messages import Drop, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.moment import Moment
    from fake_server.rules.faults import RetryAfter
    from fake_server.rules.quotas import RateWindow
    from fake_server.scenario.model import ScriptedAnswer
    from fake_server.wire.routes import Route

# Answers to these never have a body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5).
_BODILESS = frozenset({204, 205, 304})
# Shorter bodies fit into one packet as they are.
WORTH_PACKING_BYTES = 1_400
# The vendor's answers on task routes spell their type so, and those to a create plainly (traffic recorded by others).
TASK_JSON_TYPE = "application/json;charset=UTF-8"
# What a request takes in the fake is no news; a constant keeps answers the same from run to run.
_COST_MS = "3"
_WEIGHT_OF_NONE = re.compile(r"q=0(\.0*)?")


class Call(NamedTuple):
    """A request on its way through the engine.

    Args:
        request: The request.
        route: What it is about.
        now: When it came.
        request_id: The id of its answer.
        packs_from_bytes: Bodies from this size on go out as gzip where the request accepts that.
    """

    request: Request
    route: Route
    now: Moment
    request_id: str
    packs_from_bytes: int = WORTH_PACKING_BYTES

    @property
    def dialect(self) -> bodies.Dialect:
        """The dialect to answer in; paths of neither are answered flat."""
        return self.route.dialect or "dashscope"


class Answer(NamedTuple):
    """A reply, and what the journal and the judge should know of it.

    Args:
        reply: The reply.
        fault: What struck, in words.
        retry_after: The `Retry-After` sent.
        task_id: The task it was about.
        committed: Whether a create was carried out, whatever became of its answer.
        told: The status word that a client which reads the answer has learnt; None where it learnt none.
    """

    reply: Reply | Drop
    fault: str | None = None
    retry_after: str | None = None
    task_id: str | None = None
    committed: bool = False
    told: str | None = None


def json_reply(call: Call, status: int, body: bodies.Body) -> Reply:
    """A reply with a JSON body."""
    return plain_reply(call, status, bodies.encode(body), [("content-type", json_type(call))])


def json_type(call: Call) -> str:
    """The content type of JSON, as the dialect spells it on this route."""
    is_task_route = call.route.kind in ("query", "list", "cancel") and call.route.dialect == "dashscope"
    return TASK_JSON_TYPE if is_task_route else bodies.JSON_TYPE


def xml_reply(call: Call, status: int, code: str, message: str) -> Reply:
    """An error of the asset host."""
    body = errors.asset_error(code, message, call.request_id, "fake")
    return plain_reply(call, status, body, [("content-type", "application/xml")])


def plain_reply(call: Call, status: int, body: bytes, extra: Sequence[tuple[str, str]]) -> Reply:
    """A reply with the world's own `Date`; later headers of one name replace earlier ones."""
    headers = {"date": bodies.http_date(call.now.wall_s)}
    if call.route.dialect == "dashscope":
        _add_proxy_headers(headers, call)
    headers.update(extra)
    if status in _BODILESS:
        return Reply(status, tuple(headers.items()), b"")
    if len(body) >= call.packs_from_bytes and "content-encoding" not in headers and _accepts_gzip(call.request):
        # Without a time in it: the same answer has the same bytes.
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["content-encoding"] = "gzip"
        headers["vary"] = "accept-encoding"
    headers["content-length"] = str(len(body))
    return Reply(status, tuple(headers.items()), b"" if call.request.method == "HEAD" else body)


def _add_proxy_headers(headers: dict[str, str], call: Call) -> None:
    """What the proxies before the vendor's service add (traffic recorded by others, 2024)."""
    headers["server"] = "istio-envoy"
    headers["x-request-id"] = call.request_id
    headers["x-envoy-upstream-service-time"] = _COST_MS
    headers["req-cost-time"] = _COST_MS
    headers["req-arrive-time"] = headers["resp-start-time"] = str(round(call.now.wall_s * 1000))


def _accepts_gzip(request: Request) -> bool:
    """Whether a request lets its answer be packed (RFC 9110, 12.5.3, as far as gzip is named)."""
    for part in (request.header("accept-encoding") or "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return not _WEIGHT_OF_NONE.fullmatch(weight.strip())
    return False


def limit_headers(call: Call, answer: Answer, window: RateWindow) -> Answer:
    """An answer of the gateway with what is left of its limit of requests (AIsa docs, rate-limits).

    The time at which one more request may pass is told in whole seconds of unix time, rounded up.
    """
    if isinstance(answer.reply, Drop):
        return answer
    now_s = call.now.monotonic_s
    told = (
        ("x-ratelimit-limit-requests", str(window.most)),
        ("x-ratelimit-remaining-requests", str(window.remaining(now_s))),
        ("x-ratelimit-reset-requests", str(math.ceil(call.now.wall_s + window.next_in_s(now_s)))),
    )
    if any(name == told[0][0] for name, _ in answer.reply.headers):
        return answer  # A fault tells its own.
    return answer._replace(reply=answer.reply._replace(headers=answer.reply.headers + told))


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
    content_type = (like.content_type if like else None) or json_type(call)
    extra = [("content-type", content_type), *hint_headers(hint), *(like.headers if like else ())]
    reply = plain_reply(call, status, bodies.encode(body), extra)
    return Answer(reply, fault, hint.text if hint else None, task_id)
