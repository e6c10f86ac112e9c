"""What the transports tell.

::

    Event
    └── RequestEvent
        ├── AttemptEnded    one sending of a request is over
        ├── Retrying        it is sent again, when and why
        ├── GaveUp          it is not sent again, and why
        ├── HeldBack        it waits, and for what
        └── BreakerMoved    a breaker opened, closed, or lets a few through

An address in an event has neither query nor user: both may hold secrets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resilient_poll.events import Event
from resilient_poll.transports.middleware.serving import served_by
from resilient_poll.transports.rules.breaker import BreakerState
from resilient_poll.transports.rules.marks import TOLD, Attempt

__all__ = ["AttemptEnded", "BreakerMoved", "GaveUp", "HeldBack", "RequestEvent", "Retrying", "Teller", "address_of"]

logger = logging.getLogger("resilient_poll")


@dataclass(frozen=True, slots=True)
class RequestEvent(Event):
    """Something that happened to one request.

    Attributes:
        method: Its method.
        address: Its URL without query and user.
    """

    method: str
    address: str

    def __str__(self) -> str:
        return f"{self.method} {self.address}: {self._said()}"

    def _said(self) -> str:
        return type(self).__name__


@dataclass(frozen=True, slots=True)
class AttemptEnded(RequestEvent):
    """One sending of a request is over: an answer's head came, or a failure.

    Attributes:
        attempt: Which, and what came of it.
    """

    attempt: Attempt

    def _said(self) -> str:
        came = self.attempt.failure or self.attempt.status
        return f"attempt {self.attempt.number} brought {came} after {self.attempt.took_s:.3f} s"


@dataclass(frozen=True, slots=True)
class Retrying(RequestEvent):
    """A request is sent again.

    Attributes:
        attempt: Which attempt comes next.
        wait_s: After how many seconds.
        retry_after_s: What the server asked for, if it did.
        why: What went wrong, in one clause.
    """

    attempt: int
    wait_s: float
    retry_after_s: float | None
    why: str

    def _said(self) -> str:
        asked = f", the server asked for {self.retry_after_s:g} s" if self.retry_after_s is not None else ""
        return f"attempt {self.attempt} in {self.wait_s:.2f} s ({self.why}{asked})"


@dataclass(frozen=True, slots=True)
class GaveUp(RequestEvent):
    """A request that went wrong is not sent again.

    Attributes:
        attempts: How often it was sent.
        why: Why not once more, in one clause.
    """

    attempts: int
    why: str

    def _said(self) -> str:
        return f"not sent again after attempt {self.attempts}: {self.why}"


@dataclass(frozen=True, slots=True)
class HeldBack(RequestEvent):
    """A request waits before it is sent.

    Attributes:
        by: ``rate``, ``headroom`` or ``concurrency``.
        wait_s: For how many seconds; None where that depends on others.
    """

    by: str
    wait_s: float | None

    def _said(self) -> str:
        return f"held back by {self.by}" + ("" if self.wait_s is None else f" for {self.wait_s:.2f} s")


@dataclass(frozen=True, slots=True)
class BreakerMoved(RequestEvent):
    """A breaker moved.

    Attributes:
        before: Where it was.
        after: Where it is.
        why: Why, in one clause.
    """

    before: BreakerState
    after: BreakerState
    why: str

    def _said(self) -> str:
        return f"the breaker moved from {self.before} to {self.after}: {self.why}"


_LEVELS: dict[type[RequestEvent], int] = {
    BreakerMoved: logging.WARNING,
    GaveUp: logging.INFO,
    Retrying: logging.INFO,
}


class Teller:
    """Tells events to a listener and to the log, and makes none that nobody hears.

    Args:
        listener: Is called with each event. Its faults are logged and do not reach the request.
    """

    def __init__(self, listener: Callable[[RequestEvent], None] | None) -> None:
        self._listener = listener

    def is_heard(self, kind: type[RequestEvent]) -> bool:
        """Return whether anybody hears of events of a kind."""
        return self._listener is not None or logger.isEnabledFor(_LEVELS.get(kind, logging.DEBUG))

    def tell(self, kind: type[RequestEvent], at_s: float, request: Any, *details: Any) -> None:
        """Tell one event.

        Args:
            kind: Which.
            at_s: When, in monotonic seconds.
            request: The library's request.
            details: What the event's own fields hold, in order.
        """
        if not self.is_heard(kind):
            return
        listener = self._listener
        task_id, submit_id = served_by(request.extensions)
        event = kind(task_id, at_s, request.method, address_of(request.url), *details, submit_id=submit_id)
        logger.log(_LEVELS.get(kind, logging.DEBUG), "%s", event)
        if listener is None:
            return
        if kind is AttemptEnded:
            request.extensions[TOLD] = True
        try:
            listener(event)
        except Exception:
            logger.exception("the listener for events failed on %s; the request goes on", event)


def address_of(url: Any) -> str:
    """Return the address of a library's request without query and user, which may hold secrets."""
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme}://{url.host}{port}{url.path}"
