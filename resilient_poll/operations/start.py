"""One submit of a declared operation, without the sending."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from resilient_poll.drive.outcome import submit_error
from resilient_poll.drive.telling import logger, tell
from resilient_poll.errors import ConfigurationError, SubmitError, SubmitInDoubt
from resilient_poll.events import Event, SubmitBegun, SubmitEnded, Submitted
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.machine.commands import Done
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    Observation,
    Refused,
    Throttled,
    Unreachable,
)
from resilient_poll.machine.policy import SubmitPolicy
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.operations.asks import Maker, body_of
from resilient_poll.operations.token import Kept, relative, write_token
from resilient_poll.operations.urls import Urls
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.addresses import shows_a_secret
from resilient_poll.specs.operation import OperationSpec
from resilient_poll.specs.reading import LONGEST_ID, observe_submit, reply_from, success_of
from resilient_poll.transports.rules.marks import SUBMIT_ID

__all__ = ["Start"]

_OWED: dict[type[SubmitError], Billing] = {SubmitInDoubt: Billing.UNDETERMINED}
"""For what ends without a task; the others sent nothing that was accepted."""


class Start:
    """One submit of a declared operation, without the sending.

    Args:
        spec: The declaration.
        maker: Builds its requests.
        body: What is asked for.
        url: Where to; the declaration's, if left out.
        headers: Headers beside the client's and the declaration's.
        policy: The submit's limits.
        now: When.
        seed: What tells this submit from others, and what its draws come from.
        on_event: Is told every event.
    """

    def __init__(
        self,
        spec: OperationSpec,
        maker: Maker,
        body: Any,
        url: str | None,
        headers: Mapping[str, str] | None,
        policy: SubmitPolicy | None,
        now: Instant,
        seed: str,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        call = spec.submit
        if call is None or spec.query is None:
            raise ConfigurationError(
                f"operation {spec.name!r} declares no submit and query: use poll() with a query of your own. "
                "Nothing was sent"
            )
        if (where := url if url is not None else call.url) is None:
            raise ConfigurationError(
                f"operation {spec.name!r} declares no URL to submit to: pass url=. Nothing was sent"
            )
        self._spec = spec
        self.method = call.method
        self.url = maker.absolute(where)
        self.home = maker.home_of(where)
        self.body, self.headers = body_of(body, {**call.headers, **(headers or {})})
        self._on_event = on_event
        self.submission = Submission(policy or SubmitPolicy(), now, seed=seed)
        self._is_heard = on_event is not None or logger.isEnabledFor(logging.DEBUG)
        maker.marks = {SUBMIT_ID: seed}
        if self._is_heard:
            path = relative(self.url, self.home).partition("?")[0]
            self.publish(SubmitBegun(None, now.monotonic_s, spec.name, spec.name, path))
        self.kept = Kept()
        self.trouble: str | None = None
        self._reply: Reply | None = None

    def publish(self, event: Event) -> None:
        """Tell an event, and of which submit it is."""
        tell(replace(event, submit_id=self.submission.seed) if self._is_heard else event, self._on_event)

    def hear(self, what: Answer | ExchangeFailed, now: Instant) -> Observation:
        """Return what the answer to the submit means."""
        if isinstance(what, ExchangeFailed):
            if what.surely_not_sent:
                return Unreachable(reason=what.reason)
            return LostAnswer(reason=what.reason)
        self._reply = reply = reply_from(what.status, what.headers, what.body)
        urls = Urls(self._spec, self.home)
        named = urls.named_at_first(reply, self.url)
        self.kept, self.trouble = urls.kept, urls.trouble
        return observe_submit(self._spec, reply, now.wall_s, names_a_url=named)

    def record(self, done: Done, now: Instant) -> TaskRecord:
        """Return the record of what was accepted, or answered at once.

        Raises:
            SubmitError: There is none.
        """
        submission, table = self.submission, self._spec.lifecycle
        if (accepted := submission.accepted) is not None:
            logger.info("operation %s: task %s was accepted", self._spec.name, accepted.task_id)
            record = self._accepted(accepted, now)
            if self._is_heard:
                self.publish(Submitted(record.task_id, now.monotonic_s, record.status, submission.attempts))
            return record
        if submission.answered is not None and self._reply is not None:
            result, is_readable = success_of(self._spec, self._reply)
            self._tell_end(None, table.billing_of(Phase.SUCCEEDED), now)
            return replace(
                TaskRecord.known_by_id(relative(self.url, self.home).partition("?")[0][:LONGEST_ID], now),
                phase=Phase.SUCCEEDED,
                billing=table.billing_of(Phase.SUCCEEDED),
                status=f"HTTP {self._reply.http_status}",
                result=result,
                result_readable=is_readable,
            )
        error = submit_error(submission, done, now)
        self._tell_end(type(error).__name__, _OWED.get(type(error), Billing.NONE), now)
        logger.warning("%s", error)
        raise error

    def _tell_end(self, error: str | None, billing: Billing, now: Instant) -> None:
        if self._is_heard:
            self.publish(SubmitEnded(None, now.monotonic_s, error, self.submission.attempts, billing))

    def log_interrupted(self, what: Answer | ExchangeFailed | None, now: Instant) -> None:
        """Say what became of a submit whose caller does not wait for it any more."""
        seen = None if what is None else self.hear(what, now)
        if isinstance(seen, Accepted):
            token = write_token(self._spec.name, self.home, self._accepted(seen, now), self.kept, now)
            shown = "" if any(map(shows_a_secret, self.kept.urls())) else f". Resume token {token}"
            logger.warning(
                "the submit was interrupted after it was sent; task %s was accepted and goes on at the service, do "
                "not submit it again%s",
                seen.task_id,
                shown,
            )
        elif not isinstance(seen, Refused | Throttled | Unreachable | AnsweredAtOnce):
            logger.warning(
                "the submit was interrupted after it may have been sent: there may be a task that will be billed; look "
                "for it at the service before anything is sent again"
            )

    def _accepted(self, seen: Accepted, now: Instant) -> TaskRecord:
        table, hint_s = self._spec.lifecycle, seen.retry_after_s
        return TaskRecord.accepted(seen.task_id, table, now, status=seen.status, retry_after_s=hint_s)
