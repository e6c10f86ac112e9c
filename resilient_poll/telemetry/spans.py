"""Which span an event begins, ends, or is told in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from resilient_poll.events import (
    AnsweredFromLedger,
    BillingChanged,
    EndSeen,
    Event,
    IllegalMove,
    JobAccepted,
    PhaseChanged,
    Polled,
    SubmitBegun,
    SubmitEnded,
    Submitted,
    Throttled,
    UnlistedStatus,
    WaitBegan,
    WaitEnded,
)
from resilient_poll.telemetry.attributes import Attributes, error_type, of_attempt, shortened, span_name
from resilient_poll.transports.middleware.notices import AttemptEnded, BreakerMoved, GaveUp, HeldBack, Retrying

__all__ = ["Spans"]

NAME = "resilient_poll.task"
_GOOD_END = "SUCCEEDED"


@dataclass(slots=True)
class _Followed:
    """A task or a submit whose span is open.

    Attributes:
        span: It.
        is_waited_for: Whether somebody waits for it here. A wait that is interrupted has no end, and a later one
            goes on with its span; of several at the same time the first that ends is the span's end.
        polls: How often it was asked about since the span began.
    """

    span: Span
    is_waited_for: bool = False
    polls: int = 0


class Spans:
    """The spans of the tasks that are followed.

    Args:
        tracer: Makes them.
        most_open: How many are followed at most, and of how many that ended it is known where their attempts belong.
        wall_s: Returns the time in seconds since 1970.
    """

    def __init__(self, tracer: Tracer, most_open: int, wall_s: Callable[[], float]) -> None:
        self._tracer = tracer
        self._most_open = most_open
        self._wall_s = wall_s
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._ended: OrderedDict[str, SpanContext] = OrderedDict()

    def hear(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case AttemptEnded():
                self._attempt(event)
            case SubmitBegun():
                asked = {
                    "service": event.service,
                    "model": shortened(event.model),
                    "endpoint": shortened(event.endpoint),
                }
                self._follow(_key(event), {f"resilient_poll.{name}": word for name, word in asked.items()})
            case WaitBegan():
                self._wait_begun(event)
            case Submitted() | AnsweredFromLedger():
                self._became_a_task(event)
            case _ if (followed := self._of(event)) is not None:
                self._tell(event, followed)

    def leave_all(self) -> None:
        """End all spans that are open."""
        while self._followed:
            self._leave_oldest()

    def _of(self, event: Event) -> _Followed | None:
        if event.submit_id is not None and (followed := self._followed.get(_submit_key(event.submit_id))) is not None:
            return followed
        return None if event.task_id is None else self._followed.get(event.task_id)

    def _follow(self, key: str, about: Attributes, links: list[Link] | None = None) -> _Followed:
        span = self._tracer.start_span(NAME, attributes=about, links=links, start_time=_ns(self._wall_s()))
        followed = self._followed[key] = _Followed(span)
        if len(self._followed) > self._most_open:
            self._leave_oldest()
        return followed

    def _wait_begun(self, event: WaitBegan) -> None:
        followed = self._of(event)
        if followed is None:
            task_id = event.task_id or ""
            # The same task's earlier span in this process; another process is found by the task's id.
            earlier = self._ended.get(task_id)
            about: Attributes = {"resilient_poll.task.id": task_id, "resilient_poll.resumed": True}
            followed = self._follow(_key(event), about, None if earlier is None else [Link(earlier)])
        followed.is_waited_for = True

    def _became_a_task(self, event: Submitted | AnsweredFromLedger) -> None:
        followed = self._of(event)
        if followed is None or event.submit_id is None:
            return
        said: Attributes = {"resilient_poll.from_ledger": isinstance(event, AnsweredFromLedger)}
        if isinstance(event, Submitted):
            said["resilient_poll.submit.attempts"] = event.attempts
        if event.task_id is not None:
            said["resilient_poll.task.id"] = event.task_id
        followed.span.set_attributes(said)
        if event.task_id is None:
            return  # A result, which its SubmitEnded ends.
        self._followed.pop(_submit_key(event.submit_id), None)
        if event.task_id in self._followed:
            # It is followed already: a second submit of the same key.
            self._end(event.task_id, followed, None)
        else:
            self._followed[event.task_id] = followed

    def _tell(self, event: Event, followed: _Followed) -> None:
        span = followed.span
        match event:
            case Polled():
                followed.polls += 1
            case SubmitEnded():
                span.set_attribute("resilient_poll.submit.attempts", event.attempts)
                span.set_attribute("resilient_poll.billing", str(event.billing))
                self._done(event, followed, event.error)
            case EndSeen():
                span.set_attribute("resilient_poll.phase", str(event.phase))
                span.set_attribute("resilient_poll.billing", str(event.billing))
                if event.status is not None:
                    span.set_attribute("resilient_poll.status", shortened(event.status))
                if event.delay_s is not None:
                    span.set_attribute("resilient_poll.detection.delay_s", event.delay_s)
                if not followed.is_waited_for:
                    self._done(event, followed, None if event.phase == _GOOD_END else str(event.phase))
            case WaitEnded():
                self._wait_ended(event, followed)
            case _:
                self._note(event, span)

    def _wait_ended(self, event: WaitEnded, followed: _Followed) -> None:
        followed.span.set_attribute("resilient_poll.phase", str(event.phase))
        followed.span.set_attribute("resilient_poll.wait.ended_by", str(event.reason))
        is_over = str(event.reason) == "ENDED"
        good = is_over and event.phase == _GOOD_END
        self._done(event, followed, None if good else str(event.phase) if is_over else str(event.reason))

    def _note(self, event: Event, span: Span) -> None:
        """Tell an event within a span: what happened, and what takes few values of it; no text of anybody's."""
        name, about = type(event).__name__, Attributes()
        match event:
            case Throttled():
                about["pause_s"] = max(0.0, event.until_s - event.at_s)
                if event.retry_after_s is not None:
                    about["retry_after_s"] = event.retry_after_s
                if event.code is not None:
                    about["code"] = shortened(event.code)
            case PhaseChanged() | BillingChanged():
                about |= {"before": str(event.before), "after": str(event.after)}
            case IllegalMove():
                about |= {"before": str(event.before), "reported": str(event.reported), "believed": event.believed}
            case UnlistedStatus():
                about["status"] = shortened(event.status)
            case Retrying():
                about |= {"attempt": event.attempt, "wait_s": event.wait_s}
            case GaveUp():
                about["attempts"] = event.attempts
            case HeldBack():
                about["by"] = event.by
            case BreakerMoved():
                about |= {"before": str(event.before), "after": str(event.after)}
            case JobAccepted():
                about["ordinal"] = event.ordinal
            case _:
                if name in {"Waiting", "BatchProgress"}:
                    return  # There is one before each poll: a metric counts them.
        span.add_event(name, about, timestamp=_ns(self._wall_s()))

    def _done(self, event: Event, followed: _Followed, error: str | None) -> None:
        for key in {_key(event), event.task_id or ""}:
            if self._followed.get(key) is followed:
                del self._followed[key]
        self._end(event.task_id, followed, error)

    def _end(self, task_id: str | None, followed: _Followed, error: str | None) -> None:
        span = followed.span
        span.set_attribute("resilient_poll.polls", followed.polls)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(_ns(self._wall_s()))
        if task_id is not None:
            self._ended[task_id] = span.get_span_context()
            self._ended.move_to_end(task_id)
            if len(self._ended) > self._most_open:
                self._ended.popitem(last=False)

    def _leave_oldest(self) -> None:
        key, followed = self._followed.popitem(last=False)
        followed.span.set_attribute("resilient_poll.left", True)
        self._end(None if _is_submit_key(key) else key, followed, None)

    def _attempt(self, event: AttemptEnded) -> None:
        now_s = self._wall_s()
        span = self._tracer.start_span(
            span_name(event),
            context=self._context_of(event),
            kind=SpanKind.CLIENT,
            attributes=of_attempt(event),
            start_time=_ns(now_s - event.attempt.took_s),
        )
        if error_type(event) is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_ns(now_s))

    def _context_of(self, event: AttemptEnded) -> Context | None:
        """Return where an attempt belongs: to its task, if one is known, otherwise to what is current."""
        if (followed := self._of(event)) is not None:
            return trace.set_span_in_context(followed.span)
        ended = None if event.task_id is None else self._ended.get(event.task_id)
        return None if ended is None else trace.set_span_in_context(NonRecordingSpan(ended))


def _key(event: Event) -> str:
    """Return what a span is found by: the submit or call, where there is one; no task's id begins so."""
    return (event.task_id or "") if event.submit_id is None else _submit_key(event.submit_id)


def _submit_key(submit_id: str) -> str:
    return f"\0{submit_id}"


def _is_submit_key(key: str) -> bool:
    return key.startswith("\0")


def _ns(wall_s: float) -> int:
    return round(wall_s * 1e9)
