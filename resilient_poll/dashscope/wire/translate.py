"""What an answer means: from HTTP to the machine's observations. Pure.

The tables are decided by (dialect, HTTP status, code). The one about creates is about
money: only an answer that surely came from the service, and surely says no, licenses
another sending.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.dashscope.wire.error_bodies import (
    ErrorBody,
    read_any_error_body,
    read_error_body,
    read_object,
    request_id_of,
    text_of,
    word_of,
)
from resilient_poll.dashscope.wire.error_catalogue import is_spent_quota
from resilient_poll.dashscope.wire.requests import checked_task_id
from resilient_poll.dashscope.wire.results import is_readable, made_nothing
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.http.retry_after import RetryAfter, read_date, read_retry_after
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)

__all__ = ["create_failed", "query_failed", "translate_create", "translate_query"]

_AMBIGUOUS_4XX = frozenset({408, 409})
"""408: the service waited for a request that may be whole. 409: an original operation exists."""
_PASSING_4XX = frozenset({408, 425, 429})
_SUCCEEDED = "SUCCEEDED"
_ZONE = timezone(timedelta(hours=8))
"""Of the times in an answer about a task. It is not documented: the examples fit it, and the machine believes no time
of an end that cannot be true."""


def translate_create(
    answer: Answer, dialect: Dialect, now_wall_s: float, *, must_have_assets: bool = True
) -> Observation:
    """Return what the answer to a create means.

    - 2xx with a task id: accepted; without one, but with a result: answered at once.
    - 429 in the dialect's own words, unless it is about money or a spent token plan; 503
      with a code that passes: refused for now, may be sent again.
    - another 4xx in the dialect's own words, except 408 and 409: refused.
    - everything else, an unreadable 2xx included: in doubt.

    Args:
        answer: What came.
        dialect: Who speaks.
        now_wall_s: The client's clock, for dates in ``Retry-After``.
        must_have_assets: What counts as a result in the place of a task id; see :func:`.is_readable`.
    """
    if 200 <= answer.status < 300:
        return _accepted(answer, now_wall_s, must_have_assets=must_have_assets)
    error = read_error_body(answer.body, dialect)
    if error is None:
        what = f"HTTP {answer.status} with a body that is not the service's{_hint(answer.status)}"
        return _doubt(answer, read_any_error_body(answer.body), what, now_wall_s)
    passing_503 = answer.status == 503 and error.code in dialect.passing_503_codes
    if passing_503 or (answer.status == 429 and not _is_final_429(error, dialect)):
        return _throttled(answer, error, now_wall_s)
    if 400 <= answer.status < 500 and answer.status not in _AMBIGUOUS_4XX:
        return _refused(answer, error, now_wall_s)
    return _doubt(answer, error, f"HTTP {answer.status}", now_wall_s)


def translate_query(
    answer: Answer, dialect: Dialect, task_id: str, now_wall_s: float, *, must_have_assets: bool = True
) -> Observation:
    """Return what the answer to a status query means.

    - 2xx with a status of this task: that.
    - 429, unless it is about money or a spent token plan: throttled.
    - 408, 425, 5xx, redirects: absorbed, a failed poll is not a failed task.
    - another 4xx: the service refuses to say.

    Args:
        answer: What came.
        dialect: Who speaks.
        task_id: Which task was asked about.
        now_wall_s: The client's clock, for dates in ``Retry-After``.
        must_have_assets: See :func:`.is_readable`.
    """
    if 200 <= answer.status < 300:
        return _status_seen(answer, task_id, now_wall_s, must_have_assets=must_have_assets)
    # Nothing is sent twice by mistake here, so a reason is read in whatever shape it comes.
    error = read_error_body(answer.body, dialect) or read_any_error_body(answer.body)
    if answer.status == 429 and not _is_final_429(error, dialect):
        return _throttled(answer, error, now_wall_s)
    if 400 <= answer.status < 500 and answer.status not in _PASSING_4XX - {429}:
        return _refused(answer, error, now_wall_s)
    hint = _hinted(answer, now_wall_s)
    return Unreachable(
        request_id=error.request_id,
        reason=f"HTTP {answer.status} {error}".rstrip(),
        http_status=answer.status,
        code=error.code,
        message=error.message,
        says_retryable=error.says_retryable,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def create_failed(failure: ExchangeFailed) -> Observation:
    """Return what a create without an answer means."""
    if failure.surely_not_sent:
        return Unreachable(reason=failure.reason)
    return LostAnswer(reason=failure.reason)


def query_failed(failure: ExchangeFailed) -> Observation:
    """Return what a query without an answer means."""
    return Unreachable(reason=failure.reason)


def _accepted(answer: Answer, now_wall_s: float, *, must_have_assets: bool) -> Observation:
    hint = _hinted(answer, now_wall_s)
    body = read_object(answer.body)
    request_id = request_id_of(body)
    output = body.get("output") if body is not None else None
    task_id = output.get("task_id") if isinstance(output, dict) else None
    if task_id is None and isinstance(output, dict) and is_readable(body, must_have_assets=must_have_assets):
        return AnsweredAtOnce(
            request_id=request_id, result=body, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored
        )
    try:
        accepted_id = checked_task_id(task_id)  # type: ignore[arg-type]  # checked right there
    except ConfigurationError:
        return LostAnswer(
            request_id=request_id,
            reason=f"HTTP {answer.status} without a task id that can be read",
            http_status=answer.status,
            retry_after_s=hint.seconds,
            retry_after_ignored=hint.ignored,
        )
    status = word_of(output.get("task_status")) if isinstance(output, dict) else None
    return Accepted(
        request_id=request_id,
        task_id=accepted_id,
        status=status,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def _status_seen(answer: Answer, task_id: str, now_wall_s: float, *, must_have_assets: bool) -> Observation:
    hint = _hinted(answer, now_wall_s)
    body = read_object(answer.body)
    if body is None:
        return _unreadable(f"HTTP {answer.status} with a body that is no JSON object", None, hint)
    request_id = request_id_of(body)
    output: Any = body.get("output")
    status = word_of(output.get("task_status")) if isinstance(output, dict) else None
    if status is None:
        return _unreadable(f"HTTP {answer.status} without a status", request_id, hint)
    named = output.get("task_id", task_id)
    if named != task_id:
        return _unreadable(f"an answer about another task ({named!r:.80})", request_id, hint)
    code, message = _failure(output, body)
    return StatusSeen(
        request_id=request_id,
        status=status,
        code=code,
        message=message,
        result=body,
        result_readable=status != _SUCCEEDED or is_readable(body, must_have_assets=must_have_assets),
        made_nothing=status == _SUCCEEDED and made_nothing(body),
        ended_ago_s=_ended_ago_s(output["end_time"], answer, now_wall_s) if "end_time" in output else None,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def _unreadable(reason: str, request_id: str | None, hint: RetryAfter) -> Unreadable:
    return Unreadable(
        request_id=request_id, reason=reason, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored
    )


def _ended_ago_s(said: object, answer: Answer, now_wall_s: float) -> float | None:
    """Return how long before its answer a task ended, by the service's own clock; None if it cannot be read."""
    try:
        ended = datetime.fromisoformat(said) if isinstance(said, str) else None
        ended_s = None if ended is None else (ended if ended.tzinfo else ended.replace(tzinfo=_ZONE)).timestamp()
    except (ValueError, OverflowError):
        return None
    if ended_s is None:
        return None
    dates = answer.header("date")
    answered_s = read_date(dates[0].strip()) if len(dates) == 1 else None
    return (now_wall_s if answered_s is None else answered_s) - ended_s


def _failure(output: dict[str, Any], body: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return code and message of a task that failed: the page says ``output.code`` here and ``error.code`` there."""
    places = [place for place in (output, output.get("error"), body.get("error"), body) if isinstance(place, dict)]
    for place in places:
        if word_of(place.get("code")):
            # The message is beside its code, or, in the shape with a text, under "error".
            return word_of(place.get("code")), text_of(place.get("message")) or text_of(place.get("error"))
    texts = (text_of(place.get(name)) for name in ("message", "error") for place in places)
    return None, next((text for text in texts if text is not None), None)


def _throttled(answer: Answer, error: ErrorBody, now_wall_s: float) -> Throttled:
    hint = _hinted(answer, now_wall_s)
    return Throttled(
        request_id=error.request_id,
        http_status=answer.status,
        code=error.code,
        message=error.message,
        says_retryable=error.says_retryable,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def _refused(answer: Answer, error: ErrorBody, now_wall_s: float) -> Refused:
    hint = _hinted(answer, now_wall_s)
    return Refused(
        request_id=error.request_id,
        http_status=answer.status,
        code=error.code,
        message=error.message,
        says_retryable=error.says_retryable,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def _doubt(answer: Answer, error: ErrorBody, what: str, now_wall_s: float) -> LostAnswer:
    hint = _hinted(answer, now_wall_s)
    return LostAnswer(
        request_id=error.request_id,
        reason=f"{what} {error}".rstrip(),
        http_status=answer.status,
        code=error.code,
        message=error.message,
        says_retryable=error.says_retryable,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def _hinted(answer: Answer, now_wall_s: float) -> RetryAfter:
    """Return what any answer says of when to come back: a gateway's page may, and a success too."""
    return read_retry_after(answer.header("retry-after"), answer.header("date"), now_wall_s)


def _is_final_429(error: ErrorBody, dialect: Dialect) -> bool:
    """Tell whether a 429 is none: coming back within a wait does not help."""
    return error.code in dialect.money_codes or is_spent_quota(dialect.name, error.code, error.message, 429)


def _hint(status: int) -> str:
    return " (is the base URL right?)" if status in {404, 405} else ""
