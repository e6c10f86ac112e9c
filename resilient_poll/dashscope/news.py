"""What a client tells of its submits and waits; nothing is made that nobody hears."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.wire.redaction import cut_text_without_key
from resilient_poll.drive.clocks import AsyncClock, Clock
from resilient_poll.drive.telling import logger
from resilient_poll.events import AnsweredFromLedger, Event, SubmitBegun, SubmitEnded, Submitted, WaitBegan
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_core import ClientCore
    from resilient_poll.dashscope.keeping.filing import Create, Filing
    from resilient_poll.machine.poller import Poller
    from resilient_poll.transports.exchange import Exchange
    from resilient_poll.transports.exchange_async import AsyncExchange

__all__ = ["News", "telling_async_exchange", "telling_exchange"]

_NOTHING_LEFT = frozenset({Phase.NEW, Phase.REFUSED})


class News:
    """What one client tells of its submits and waits.

    Args:
        publish: Logs an event and tells the caller's listener.
        has_listener: Whether there is one.
    """

    def __init__(self, publish: Callable[[Event], None], has_listener: Callable[[], bool]) -> None:
        self._publish = publish
        self._has_listener = has_listener
        self._open: set[str] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody hears: a listener, or a log that takes everything."""
        return self._has_listener() or logger.isEnabledFor(logging.DEBUG)

    def submit_begun(self, submission: Submission, create: Create, service: str, now: Instant) -> Submission:
        """Tell that something is to be made, and return its submit."""
        if self.is_heard:
            self._open.add(submission.seed)
            asked = (service, create.model, create.endpoint.name)
            self._publish(SubmitBegun(None, now.monotonic_s, *asked, submit_id=submission.seed))
        return submission

    def submitted(self, record: TaskRecord, submission: Submission, now: Instant) -> None:
        """Tell that there is a task."""
        if self._is_first_end_of(submission):
            said = (record.status, submission.attempts)
            self._publish(Submitted(record.task_id, now.monotonic_s, *said, submit_id=submission.seed))

    def found(self, task_id: str | None, phase: Phase, submission: Submission, now: Instant) -> None:
        """Tell that a submit is what the ledger knows already."""
        if task_id is None or self._is_first_end_of(submission):
            self._publish(AnsweredFromLedger(task_id, now.monotonic_s, phase, submit_id=submission.seed))

    def submit_ended(
        self,
        submission: Submission,
        error: BaseException | None,
        now: Instant,
        filing: Filing | None = None,
        billing: Billing | None = None,
    ) -> None:
        """Tell that a submit is over without a task, unless that was told."""
        if not self._is_first_end_of(submission):
            return
        if filing is not None and filing.is_answered:
            self.found(None, Phase.SUCCEEDED, submission, now)
        name = None if error is None else type(error).__name__
        owed = billing or _owed(submission, error)
        said = (name, submission.attempts, owed)
        self._publish(SubmitEnded(submission.task_id, now.monotonic_s, *said, submit_id=submission.seed))

    def wait_begun(self, poller: Poller, now: Instant) -> None:
        """Tell that somebody waits for a task."""
        if poller.is_heard:
            self._publish(WaitBegan(poller.task_id, now.monotonic_s, poller.phase, poller.record.polls))

    def publisher_of(self, submission: Submission) -> Callable[[Event], None]:
        """Return what tells the events of a submit, those of its driver included, by which they can be told apart."""
        if not self.is_heard:
            return self._publish

        def publish(event: Event) -> None:
            self._publish(event if event.submit_id is not None else replace(event, submit_id=submission.seed))

        return publish

    def marked(self, create: Create, submission: Submission) -> Create:
        """Return a create whose request says which submit it is of."""
        if submission.seed not in self._open:
            return create
        return replace(create, request=replace(create.request, submit_id=submission.seed))

    def _is_first_end_of(self, submission: Submission) -> bool:
        if submission.seed not in self._open:
            return False
        self._open.discard(submission.seed)
        return True


def _owed(submission: Submission, error: BaseException | None) -> Billing:
    made: Any = getattr(error, "outcome", None)
    if made is not None:
        return Billing(made.billing)
    is_free = submission.phase in _NOTHING_LEFT and submission.accepted is None and submission.answered is None
    return Billing.NONE if is_free else Billing.UNDETERMINED


def telling_exchange(core: ClientCore, clock: Clock, http_client: Any | None) -> Exchange:
    """Return what sends a client's requests, and tells of each where somebody listens.

    Args:
        core: The client's account.
        clock: The client's.
        http_client: The caller's client, if there is one.
    """
    if core.on_event is None:
        from resilient_poll.transports.exchange import Exchange  # noqa: PLC0415  # see telling_async_exchange

        return Exchange(http_client)
    from resilient_poll.transports.exchange_telling import Telling, TellingExchange  # noqa: PLC0415  # as above

    return TellingExchange(http_client, Telling(lambda: clock.now().monotonic_s, core.publish, _scrubbing(core)))


def telling_async_exchange(core: ClientCore, clock: AsyncClock, http_client: Any | None) -> AsyncExchange:
    """Return the same for a client that awaits."""
    if core.on_event is None:
        from resilient_poll.transports.exchange_async import AsyncExchange  # noqa: PLC0415  # only who awaits needs it

        return AsyncExchange(http_client)
    from resilient_poll.transports.exchange_telling import Telling  # noqa: PLC0415  # as above
    from resilient_poll.transports.exchange_telling_async import AsyncTellingExchange  # noqa: PLC0415  # as above

    return AsyncTellingExchange(http_client, Telling(lambda: clock.now().monotonic_s, core.publish, _scrubbing(core)))


def _scrubbing(core: ClientCore) -> Callable[[str], str]:
    return lambda text: cut_text_without_key(text, core.settings.api_key)
