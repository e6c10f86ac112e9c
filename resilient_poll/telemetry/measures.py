"""What is measured of the events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.metrics import Histogram, Meter

from resilient_poll.events import (
    AnsweredFromLedger,
    BatchProgress,
    EndSeen,
    Event,
    SubmitEnded,
    Submitted,
    Throttled,
    Waiting,
)
from resilient_poll.telemetry.attributes import of_attempt_metric
from resilient_poll.transports.middleware.notices import AttemptEnded, BreakerMoved, HeldBack, RequestEvent, Retrying

__all__ = ["Measures"]

_OF_REQUESTS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""As the semantic conventions of HTTP metrics advise; without advice a histogram's bounds are made for milliseconds."""
_OF_WAITS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_OF_POLLS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""From one poll to what the longest waits take: three seconds apart, a task of five minutes has a hundred."""


@dataclass(frozen=True, slots=True)
class _Pause:
    """A wait that was told of and may still go on, in monotonic seconds."""

    began_s: float
    until_s: float
    reason: str


class Measures:
    """The instruments, and what they need to remember.

    Args:
        meter: Makes them.
        most_open: How many waits are remembered at most.
    """

    def __init__(self, meter: Meter, most_open: int) -> None:
        self._most_open = most_open
        self._pauses: OrderedDict[tuple[str | None, str | None], _Pause] = OrderedDict()
        counter = meter.create_counter

        def histogram(name: str, unit: str, about: str, bounds: Sequence[float]) -> Histogram:
            try:
                return meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=bounds)
            except TypeError:  # An older API, which takes no advice.
                return meter.create_histogram(name, unit, about)

        self._requests = histogram("http.client.request.duration", "s", "Duration of HTTP attempts.", _OF_REQUESTS_S)
        self._polls = histogram("resilient_poll.task.polls", "{poll}", "Polls until a task's end was seen.", _OF_POLLS)
        self._delay = histogram("resilient_poll.detection.delay", "s", "From an end to its poll.", _OF_WAITS_S)
        self._wait = histogram("resilient_poll.wait.duration", "s", "Pauses before requests, by reason.", _OF_WAITS_S)
        self._submits = counter("resilient_poll.submits", "{submit}", "Submits that are over, by what they came to.")
        self._found = counter("resilient_poll.submits.from_ledger", "{submit}", "Submits answered from the ledger.")
        self._throttled = counter("resilient_poll.throttled", "{answer}", "Answers that asked for fewer requests.")
        self._breaker = counter("resilient_poll.breaker.moves", "{move}", "Moves of circuit breakers.")

    def hear(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, RequestEvent):
            self._hear_of_request(event)
            return
        if not isinstance(event, BatchProgress):
            self._end_pause(event)
        match event:
            case Waiting():
                self._begin_pause(event)
            case EndSeen():
                about = {"resilient_poll.phase": str(event.phase), "resilient_poll.billing": str(event.billing)}
                self._polls.record(event.polls, about)
                if event.delay_s is not None:
                    self._delay.record(event.delay_s, {"resilient_poll.detection.is_exact": event.is_exact})
            case Submitted():
                self._submits.add(1, {"resilient_poll.submit.outcome": "accepted"})
            case AnsweredFromLedger():
                self._found.add(1)
                if event.task_id is not None:
                    self._submits.add(1, {"resilient_poll.submit.outcome": "from ledger"})
            case SubmitEnded():
                self._submits.add(1, {"resilient_poll.submit.outcome": event.error or "answered at once"})
            case Throttled():
                self._throttled.add(1, {"resilient_poll.throttled.what": "poll" if event.task_id else "submit"})

    def _hear_of_request(self, event: RequestEvent) -> None:
        match event:
            case AttemptEnded():
                self._requests.record(event.attempt.took_s, of_attempt_metric(event))
            case Retrying():
                self._waited(event.wait_s, "retry")
            case HeldBack(wait_s=float() as wait_s):
                self._waited(wait_s, event.by)
            case BreakerMoved():
                self._breaker.add(1, {"resilient_poll.breaker.state": str(event.after)})

    def _begin_pause(self, event: Waiting) -> None:
        self._pauses[event.task_id, event.submit_id] = _Pause(event.at_s, event.until_s, str(event.reason))
        if len(self._pauses) > self._most_open:
            self._pauses.popitem(last=False)

    def _end_pause(self, event: Event) -> None:
        """Count a pause once it is over: what was announced, or less where something came between."""
        pause = self._pauses.pop((event.task_id, event.submit_id), None)
        if pause is not None:
            self._waited(min(event.at_s, pause.until_s) - pause.began_s, pause.reason)

    def _waited(self, seconds: float, reason: str) -> None:
        self._wait.record(max(0.0, seconds), {"resilient_poll.wait.reason": reason})
