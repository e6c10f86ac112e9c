"""What both shells do around the transport beneath."""

from __future__ import annotations

from typing import Any

from resilient_poll.transports.middleware.call import Call, clone
from resilient_poll.transports.middleware.late import is_late, too_late
from resilient_poll.transports.rules.deadlines import are_within, cut_timeouts
from resilient_poll.transports.rules.marks import ATTEMPTS, DEADLINE_S

__all__ = ["failure_of", "is_in_memory", "is_own", "prepared", "take_over_attempts"]


def prepared(call: Call) -> tuple[Any, float | None]:
    """Return the request as the transport beneath gets it, and the instant at which it is cut, if at all.

    Raises:
        TotalTimeout: There is no time left; nothing is sent.
    """
    now_s = call.watch.now_s()
    if call.deadline_s is not None and now_s >= call.deadline_s:
        raise too_late(call)
    call.sent_s = now_s
    call.was_ever_sent = True
    request = call.request
    until_s = call.cut_s()
    if until_s is None:
        return request, None
    extensions = request.extensions
    timeouts, left_s = extensions.get("timeout"), until_s - now_s
    if call.is_last and are_within(timeouts, left_s):
        return request, until_s  # Nothing of it would change, and nobody beneath looks for a deadline.
    sent = {**extensions, "timeout": cut_timeouts(timeouts, left_s)}
    if call.deadline_s is not None:
        sent[DEADLINE_S] = call.deadline_s
    return clone(request, extensions=sent), until_s


def is_own(transport: Any, kind: type, method: str) -> bool:
    """Return whether a transport sends as the library's own does, rather than handing on to another one.

    Args:
        transport: The transport.
        kind: The library's own class of transports of its colour.
        method: What it sends by.
    """
    return isinstance(transport, kind) and getattr(type(transport), method) is getattr(kind, method)


def take_over_attempts(call: Call, sent: Any) -> None:
    """Show the attempts of a transport of ours beneath to who looks at the request as it came."""
    if sent is call.original or call.request is not call.original:
        return
    attempts = sent.extensions.get(ATTEMPTS)
    if attempts is not None:
        call.original.extensions[ATTEMPTS] = attempts


def failure_of(error: Exception, call: Call) -> Exception:
    """Return what a failed sending is raised as."""
    return too_late(call) if is_late(error, call) else error


def is_in_memory(response: Any, call: Call) -> bool:
    """Return whether a response's body was read already, so that nobody needs to watch it."""
    return bool(response.is_closed) or isinstance(response.stream, call.kit.byte_stream)
