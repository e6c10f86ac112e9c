"""What both clients share: what one account's tasks have in common, and what their submits mean."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from resilient_poll.dashscope import requests, translate
from resilient_poll.dashscope.dialects import LIFECYCLE
from resilient_poll.dashscope.redaction import answer_without_key, failure_without_key
from resilient_poll.dashscope.resume_token import PREFIX, read_token, write_token
from resilient_poll.dashscope.settings import Settings
from resilient_poll.drive.outcome import submit_error
from resilient_poll.drive.telling import logger, tell
from resilient_poll.errors import ResilientPollError
from resilient_poll.events import Event, PhaseChanged
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.machine.commands import Done, DoneReason
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Accepted, Observation
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["ClientCore"]

_MOST_TASK_FLOORS = 10_000
"""Floors of tasks that nobody polls any more need not be kept; this many are some 2 MB."""


@dataclass(slots=True)
class ClientCore:
    """What one account's tasks share.

    Attributes:
        settings: The service.
        wait_policy: How waits behave unless told otherwise.
        submit_policy: How submits behave unless told otherwise.
        on_event: The caller's listener.
        make_seed: Makes the seed of a submit's draws.
        create_floor: The account's earliest next create.
        query_floor: The account's earliest next query.
    """

    settings: Settings
    wait_policy: WaitPolicy
    submit_policy: SubmitPolicy
    on_event: Callable[[Event], None] | None = None
    make_seed: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    create_floor: Floor = field(default_factory=Floor)
    query_floor: Floor = field(default_factory=Floor)
    _task_floors: OrderedDict[str, Floor] = field(default_factory=OrderedDict)

    def publish(self, event: Event) -> None:
        """Log an event and tell the caller's listener."""
        tell(event, self.on_event)

    def floor_of(self, task_id: str) -> Floor:
        """Return the earliest next query of a task, one for all who poll it through this client."""
        floor = self._task_floors.setdefault(task_id, Floor())
        self._task_floors.move_to_end(task_id)
        if len(self._task_floors) > _MOST_TASK_FLOORS:
            self._task_floors.popitem(last=False)
        return floor

    def new_submission(self, timeout_s: float | None, now: Instant) -> Submission:
        """Begin a submit."""
        policy = self.submit_policy if timeout_s is None else replace(self.submit_policy, timeout_s=timeout_s)
        return Submission(policy, now, seed=self.make_seed(), floor=self.create_floor)

    def scrub(self, answer: Answer) -> Answer:
        """Return an answer without the key, which some services quote when they refuse it."""
        return answer_without_key(answer, self.settings.api_key)

    def failure_of_create(self, failure: ExchangeFailed) -> Observation:
        """Return what a create without an answer means."""
        return translate.create_failed(failure_without_key(failure, self.settings.api_key))

    def failure_of_query(self, failure: ExchangeFailed) -> Observation:
        """Return what a query without an answer means."""
        return translate.query_failed(failure_without_key(failure, self.settings.api_key))

    def after_create(self, answer: Answer, now: Instant) -> Observation:
        """Return what the answer to a create means."""
        return translate.translate_create(self.scrub(answer), self.settings.dialect, now.wall_s)

    def accept(self, submission: Submission, done: Done, now: Instant) -> TaskRecord:
        """Return the record of an accepted submit.

        Raises:
            SubmitError: It was not accepted.
        """
        accepted = submission.accepted
        if accepted is None:
            error = submit_error(submission, done, now)
            level = logging.ERROR if done.reason is DoneReason.IN_DOUBT else logging.INFO
            logger.log(level, "%s", error)
            raise error
        record = TaskRecord.accepted(
            accepted.task_id,
            LIFECYCLE,
            now,
            status=accepted.status,
            request_id=accepted.request_id,
            seed=submission.seed,
        )
        self.publish(PhaseChanged(record.task_id, now.monotonic_s, Phase.SUBMITTING, record.phase, record.status))
        token = write_token(record, self.settings, now)
        logger.info("task %s accepted (%s); resume token %s", record.task_id, accepted.status, token)
        return record

    def broken_off(self, submission: Submission, interruption: BaseException, now: Instant) -> None:
        """Log what may be owed when a submit ends by neither an acceptance nor an error of ours.

        Args:
            submission: The submit.
            interruption: What ended it: Ctrl-C, a cancellation, a fault of the program.
            now: When.
        """
        why = type(interruption).__name__
        if isinstance(interruption, ResilientPollError):
            return  # It says all this itself.
        if submission.accepted is not None:
            self._log_orphan(submission.accepted, now, why)
        elif submission.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}:
            logger.error(
                "a submit was broken off while it was out (%s); there may be a task that will be billed. "
                "Look for it at the service before anything is sent again",
                why,
            )

    def orphaned(self, submission: Submission, what: Answer | ExchangeFailed, now: Instant) -> None:
        """Take in what came of a create whose caller was cancelled while it was out."""
        observation = self.after_create(what, now) if isinstance(what, Answer) else self.failure_of_create(what)
        submission.receive(observation, now)

    def _log_orphan(self, accepted: Accepted, now: Instant, why: str) -> None:
        record = TaskRecord.accepted(accepted.task_id, LIFECYCLE, now, status=accepted.status)
        logger.warning(
            "task %s was accepted and its submit broken off (%s); it goes on and will be billed if it succeeds, "
            "do not submit it again. Resume token %s",
            record.task_id,
            why,
            write_token(record, self.settings, now),
        )

    def record_of(self, token_or_id: str, now: Instant) -> TaskRecord:
        """Return the record of a token, or of a bare task id.

        Raises:
            ConfigurationError: It is no task id.
            SnapshotError: It is a token that cannot be used here.
        """
        text = str(token_or_id).strip()
        if text.startswith(PREFIX):
            return read_token(text, self.settings, now)
        return TaskRecord.known_by_id(requests.checked_task_id(token_or_id), now)
