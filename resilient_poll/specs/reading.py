"""What the answers of a declared operation mean: to a query, and to a submit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.retry_after import RetryAfter, read_retry_after
from resilient_poll.machine.lifecycle import Phase
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
from resilient_poll.specs.acceptors import Reply, State, first_match
from resilient_poll.specs.places import InHttpStatus, find, word_of

if TYPE_CHECKING:
    from resilient_poll.specs.operation import OperationSpec

__all__ = ["LONGEST_ID", "hint_of", "observe", "observe_submit", "reply_from", "reply_of", "success_of"]

LONGEST_ID = 1024
"""What a snapshot holds of an id; services' own are below 300 characters."""
_THROTTLED = 429
_WILL_PASS = frozenset({408, 425})
_IN_DOUBT = frozenset({408, 409})
_SHOWN = 500
_LONGEST_STATUS = 200
"""A word; the longest of the services known here has 20 characters."""
_NOTHING = RetryAfter()


def reply_from(http_status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> Reply:
    """Return an answer, read: its body as JSON, if it is any."""
    if not body.strip():
        return Reply(None, http_status, headers=headers)
    try:
        return Reply(json.loads(body), http_status, headers=headers)
    except (ValueError, RecursionError):
        return Reply(None, http_status, headers=headers, is_readable=False)


def reply_of(response: Any) -> Reply:
    """Return the answer that a response of httpx, httpx2 or requests holds.

    Raises:
        ConfigurationError: It is none.
    """
    status, content = getattr(response, "status_code", None), getattr(response, "content", None)
    headers = getattr(response, "headers", None)
    if not isinstance(status, int) or not isinstance(content, bytes) or headers is None:
        raise ConfigurationError(
            f"an answer is a Reply or an HTTP response with status_code, headers and content, "
            f"not {type(response).__module__}.{type(response).__name__}"
        )
    if hasattr(headers, "multi_items"):  # Those of httpx and httpx2 come in lower case.
        return reply_from(status, tuple(headers.multi_items()), content)
    return reply_from(status, tuple((name.lower(), value) for name, value in headers.items()), content)


def observe(spec: OperationSpec, reply: Reply, now_wall_s: float) -> Observation:
    """Return what the answer to a query means."""
    try:
        seen = (_by_acceptors if spec.acceptors else _by_status)(spec, reply, now_wall_s)
    except ValueError as error:
        seen = Unreadable(reason=str(error))
    if not isinstance(seen, Unreadable):
        return seen
    hint = hint_of(spec, reply, now_wall_s)
    return replace(seen, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)


def _by_acceptors(spec: OperationSpec, reply: Reply, now_wall_s: float) -> Observation:
    http_status = reply.http_status
    if reply.error_code is None and http_status is not None and http_status >= 400:
        code, message = _said(spec, reply)
        reply = Reply(reply.body, http_status, code or f"HTTP {http_status}", message or reply.message, reply.headers)
    if (acceptor := first_match(spec.acceptors, reply)) is not None:
        code, message = reply.error_code, reply.message
        if acceptor.state is State.FAILURE and code is None:
            code, message = _said(spec, reply)
        return _seen(spec, reply, _word(spec, acceptor.state), now_wall_s, code, message)
    if reply.error_code is None and not reply.is_readable:
        return Unreadable(reason="the answer is no JSON")
    if reply.error_code is None and (http_status is None or http_status < 400):
        return _seen(spec, reply, _word(spec, State.RETRY), now_wall_s, None, None)
    return _complaint(reply, reply.error_code, reply.message, hint_of(spec, reply, now_wall_s))


def _word(spec: OperationSpec, state: State) -> tuple[str, Phase]:
    return str(state), spec.lifecycle.phase_of(str(state))


def _by_status(spec: OperationSpec, reply: Reply, now_wall_s: float) -> Observation:
    http_status = 200 if reply.http_status is None else reply.http_status
    is_listed = isinstance(spec.status, InHttpStatus) and str(http_status) in spec.lifecycle.statuses
    if http_status >= 300 and not is_listed:
        word = f"HTTP {http_status}"
        if (phase := spec.lifecycle.phase_of(word)) is not Phase.UNLISTED:
            return _seen(spec, reply, (word, phase), now_wall_s, *_said(spec, reply))
    if http_status >= 400 and not is_listed:
        code, message = _said(spec, reply)
        return _complaint(reply, code or reply.error_code, message or reply.message, hint_of(spec, reply, now_wall_s))
    if http_status >= 300 and not is_listed:
        return Unreadable(reason=f"HTTP {http_status}: the service sends elsewhere, and redirects are not followed")
    if not reply.is_readable:  # A page to sign in says 200 too.
        return Unreadable(reason="the answer is no JSON")
    status = word_of(find(spec.status, reply))
    if status is None:
        return Unreadable(reason="the answer has no status where the declaration says")
    if len(status) > _LONGEST_STATUS:
        return Unreadable(reason=f"the answer's status has {len(status)} characters")
    phase = spec.lifecycle.phase_of(status)
    if phase is Phase.UNLISTED:
        status = _printable(status)
    code, message = _said(spec, reply) if phase in {Phase.FAILED, Phase.CANCELED} else (None, None)
    return _seen(spec, reply, (status, phase), now_wall_s, code, message)


def _seen(
    spec: OperationSpec,
    reply: Reply,
    said: tuple[str, Phase],
    now_wall_s: float,
    code: str | None,
    message: str | None,
) -> StatusSeen:
    status, phase = said
    hint = hint_of(spec, reply, now_wall_s)
    result, is_readable = reply.body, True
    if phase is Phase.SUCCEEDED:
        result, is_readable = success_of(spec, reply)
    bills = spec.billing_by_status
    return StatusSeen(
        status=status,
        code=code,
        message=message,
        result=result,
        result_readable=is_readable,
        billing=bills.get(status.casefold() if spec.lifecycle.fold_case else status) if bills else None,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def success_of(spec: OperationSpec, reply: Reply) -> tuple[Any, bool]:
    """Return the result of a success, and whether it is there; where it is not, the whole answer is kept."""
    if spec.result is None:
        return reply.body, reply.is_readable
    try:
        found = find(spec.result, reply)
    except ValueError:
        found = None
    return (reply.body, False) if found is None else (found, True)


def _complaint(reply: Reply, code: str | None, message: str | None, hint: RetryAfter) -> Observation:
    status = reply.http_status
    if status == _THROTTLED:
        return Throttled(
            http_status=status,
            code=code,
            message=message,
            retry_after_s=hint.seconds,
            retry_after_ignored=hint.ignored,
        )
    if status is not None and 400 <= status < 500 and status not in _WILL_PASS:
        return Refused(
            http_status=status,
            code=code,
            message=message,
            retry_after_s=hint.seconds,
            retry_after_ignored=hint.ignored,
        )
    said = ": ".join(part for part in (code, message) if part) or f"HTTP {status}"
    return Unreachable(
        reason=said,
        http_status=status,
        code=code,
        message=message,
        retry_after_s=hint.seconds,
        retry_after_ignored=hint.ignored,
    )


def observe_submit(
    spec: OperationSpec, reply: Reply, now_wall_s: float, *, names_a_url: str | None
) -> Accepted | AnsweredAtOnce | LostAnswer | Refused | Throttled:
    """Return what the answer to a submit means.

    Refused is what says so in the service's own form. Whatever else brings no id is a doubt.

    Args:
        spec: The declaration.
        reply: The answer.
        now_wall_s: When, in seconds since 1970.
        names_a_url: What the operation is called if the answer has no id but names where to ask for it.
    """
    http_status = reply.http_status or 0
    code, message = _said(spec, reply)
    said = ": ".join(part for part in (code, message) if part)
    hint = hint_of(spec, reply, now_wall_s)
    told: dict[str, Any] = {
        "http_status": http_status,
        "code": code,
        "message": message,
        "retry_after_s": hint.seconds,
        "retry_after_ignored": hint.ignored,
    }
    if http_status == _THROTTLED:
        return Throttled(**told)
    if 400 <= http_status < 500 and http_status not in _IN_DOUBT and isinstance(reply.body, dict):
        return Refused(**told)
    if not 200 <= http_status < 300:
        return LostAnswer(reason=f"HTTP {http_status}{': ' + said if said else ''}", **told)
    task_id = _id_of(spec, reply) or names_a_url
    if task_id is not None:
        return Accepted(
            task_id=task_id[:LONGEST_ID],
            status=_first_status(spec, reply),
            retry_after_s=hint.seconds,
            retry_after_ignored=hint.ignored,
        )
    if spec.submit is not None and http_status in spec.submit.at_once and reply.is_readable:
        return AnsweredAtOnce(result=reply.body, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)
    reason = f"the answer to the submit (HTTP {http_status}) names no operation"
    return LostAnswer(
        reason=reason, http_status=http_status, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored
    )


def _id_of(spec: OperationSpec, reply: Reply) -> str | None:
    try:
        place = None if spec.submit is None else find(spec.submit.id, reply)
    except ValueError:
        return None
    # A truth value is a word for a status, and names nothing: two tasks would have the same one.
    found = None if isinstance(place, bool) else word_of(place)
    return found if found is not None and len(found) <= LONGEST_ID and found.isprintable() else None


def _first_status(spec: OperationSpec, reply: Reply) -> str | None:
    if spec.acceptors or isinstance(spec.status, InHttpStatus):
        return None
    try:
        status = word_of(find(spec.status, reply))
    except ValueError:
        return None
    return None if status is None else _printable(status)


def _printable(text: str) -> str:
    """Return a text as it can be logged and printed: no line of its own, no terminal's command, no half a character."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _said(spec: OperationSpec, reply: Reply) -> tuple[str | None, str | None]:
    """Return an answer's error code and explanation, as far as it has them where the declaration says."""
    said: list[str | None] = []
    for place in (spec.error_code, spec.error_message):
        try:
            word = word_of(find(place, reply))
        except ValueError:
            word = None
        said.append(None if word is None else _printable(word[:_SHOWN]))
    return said[0], said[1]


def hint_of(spec: OperationSpec, reply: Reply, now_wall_s: float) -> RetryAfter:
    """Return the first hint that an answer has; one that cannot be honoured says why."""
    ignored = _NOTHING
    for place in spec.retry_after:
        try:
            values = place.values(reply)
        except ValueError:
            continue
        if values:
            hint = read_retry_after(values, reply.header("date"), now_wall_s)
            if hint.seconds is not None:
                return hint
            ignored = hint if ignored is _NOTHING else ignored
    return ignored
