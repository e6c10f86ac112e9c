"""What both clients and both tasks share: everything but the waiting.

The two colours differ in how they send and sleep. What to send, what an answer means and
what to raise is decided here, once.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from resilient_poll.dashscope import requests, translate
from resilient_poll.dashscope.dialects import LIFECYCLE
from resilient_poll.dashscope.download import DownloadProblem
from resilient_poll.dashscope.error_bodies import read_error_body, read_object
from resilient_poll.dashscope.outcome import VideoOutcome
from resilient_poll.dashscope.resume_token import PREFIX, read_token, write_token
from resilient_poll.dashscope.settings import Settings
from resilient_poll.drive.clocks import AsyncClock, Clock
from resilient_poll.drive.outcome import standing_of, submit_error, task_error
from resilient_poll.errors import (
    CancelRefused,
    ConfigurationError,
    DownloadFailed,
    ResilientPollError,
    Standing,
    StillGoing,
    TaskError,
)
from resilient_poll.events import Event, HintIgnored, IllegalMove, PhaseChanged, UnlistedStatus, WaitEnded
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Done, DoneReason
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import (
    Accepted,
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Fixed
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["ClientCore", "TaskCore"]

logger = logging.getLogger("resilient_poll")

_IN_PLACE_OF_THE_KEY = "[api key]"
_SHORTEST_SECRET = 8  # Shorter keys are no keys, and replacing them would garble ordinary words.
_REDACTED = "[api key]"
_WORTH_A_WARNING = (HintIgnored, IllegalMove, UnlistedStatus)


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

    def publish(self, event: Event) -> None:
        """Log an event and tell the caller's listener, whose faults do not reach the wait."""
        logger.log(logging.WARNING if isinstance(event, _WORTH_A_WARNING) else logging.DEBUG, "%s", event)
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:
            logger.exception("the listener for events failed on %s; the wait goes on", event)

    def new_submission(self, timeout_s: float | None, now: Instant) -> Submission:
        """Begin a submit."""
        policy = self.submit_policy if timeout_s is None else replace(self.submit_policy, timeout_s=timeout_s)
        return Submission(policy, now, seed=self.make_seed(), floor=self.create_floor)

    def scrub(self, answer: Answer) -> Answer:
        """Return an answer without the key, which some services quote when they refuse it."""
        headers = tuple((name, self.without_key(value)) for name, value in answer.headers)
        return replace(answer, headers=headers, body=self._scrubbed(answer.body))

    def without_key(self, text: str) -> str:
        """Return a text from outside without the key."""
        key = self.settings.api_key
        return text if len(key) < _SHORTEST_SECRET else text.replace(key, _IN_PLACE_OF_THE_KEY)

    def _scrubbed(self, body: bytes) -> bytes:
        # As it will be read: JSON can spell the same letters in other ways and encodings.
        found = read_object(body)
        if found is None or len(self.settings.api_key) < _SHORTEST_SECRET:
            return body
        key = json.dumps(self.settings.api_key)[1:-1]
        try:
            text = json.dumps(found, ensure_ascii=False)
        except RecursionError:
            return b""  # What cannot be searched is not shown.
        if key not in text:
            return body
        return text.replace(key, _IN_PLACE_OF_THE_KEY).encode("utf-8", "surrogatepass")

    def failure_of_create(self, failure: ExchangeFailed) -> Observation:
        """Return what a create without an answer means."""
        return translate.create_failed(self._scrubbed_failure(failure))

    def failure_of_query(self, failure: ExchangeFailed) -> Observation:
        """Return what a query without an answer means."""
        return translate.query_failed(self._scrubbed_failure(failure))

    def _scrubbed_failure(self, failure: ExchangeFailed) -> ExchangeFailed:
        # The libraries quote what they could not read.
        return ExchangeFailed(self.without_key(failure.reason), surely_not_sent=failure.surely_not_sent)

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
        if token_or_id.startswith(PREFIX):
            return read_token(token_or_id, self.settings, now)
        return TaskRecord.known_by_id(requests.checked_task_id(token_or_id), now)


class TaskCore:
    """One accepted task, without the waiting."""

    def __init__(self, core: ClientCore, record: TaskRecord, clock: Clock | AsyncClock) -> None:
        now = clock.now()
        self._now = clock.now
        self._core = core
        self._poller = Poller(record, LIFECYCLE, core.wait_policy, now, floor=core.query_floor)
        self._began = now
        self._last_trouble: str | None = None
        self._outcome: VideoOutcome | None = None

    def __repr__(self) -> str:
        record = self._poller.record
        return f"<{type(self).__name__} {record.task_id} {record.phase} {record.billing}>"

    @property
    def id(self) -> str:
        """The service's id."""
        return self._poller.record.task_id

    @property
    def phase(self) -> Phase:
        """Where it stood when it was last heard of."""
        return self._poller.phase

    @property
    def billing(self) -> Billing:
        """What may be owed, as far as it was heard."""
        return self._poller.billing

    @property
    def status(self) -> str | None:
        """The service's own last word."""
        return self._poller.record.status

    @property
    def resume_token(self) -> str:
        """One line that lets another process go on with this task."""
        return write_token(self._poller.record, self._core.settings, self._now())

    @property
    def standing(self) -> Standing:
        """Everything that is known of it now, as an error would carry it."""
        return self._standing()

    @property
    def outcome(self) -> VideoOutcome | None:
        """What was made, once it is known."""
        return self._outcome

    def _policy_for(self, timeout_s: float | None, deadline: datetime | None) -> WaitPolicy:
        policy = self._core.wait_policy
        if timeout_s is not None:
            policy = replace(policy, timeout_s=timeout_s)
        if deadline is not None:
            if deadline.tzinfo is None:
                raise ConfigurationError(
                    "the deadline needs a time zone: a bare datetime means another moment elsewhere"
                )
            policy = replace(policy, deadline_wall_s=deadline.timestamp())
        return policy

    def _begin(self, policy: WaitPolicy) -> None:
        self._began = now = self._now()
        self._last_trouble = None
        self._poller.begin_wait(policy, now)

    def _begin_refresh(self) -> None:
        # One look, now: the floors hold, the schedule does not.
        policy = self._core.wait_policy
        schedule = Fixed(policy.minimum_interval_s, first_s=0.0)
        self._begin(replace(policy, timeout_s=policy.attempt_timeout_s, schedule=schedule))

    def _query(self) -> HttpRequest:
        return requests.query_request(self._core.settings, self.id)

    def _understand(self, what: Answer | ExchangeFailed) -> Observation:
        if isinstance(what, ExchangeFailed):
            observation = self._core.failure_of_query(what)
        else:
            answer = self._core.scrub(what)
            observation = translate.translate_query(answer, self._core.settings.dialect, self.id, self._now().wall_s)
        self._last_trouble = _trouble(observation)
        return observation

    def _standing(self) -> Standing:
        return standing_of(self._poller.record, self._now(), self.resume_token)

    def _conclude(self, done: Done) -> VideoOutcome:
        """Return the outcome of a finished wait.

        Raises:
            TaskError: It did not end in success.
        """
        record, now = self._poller.record, self._now()
        self._core.publish(WaitEnded(record.task_id, now.monotonic_s, done.reason, record.phase))
        error = task_error(
            record,
            done,
            now,
            resume_token=self.resume_token,
            waited_s=now.monotonic_s - self._began.monotonic_s,
            last_trouble=self._last_trouble,
        )
        if error is not None:
            logger.log(logging.WARNING if isinstance(error, StillGoing) else logging.INFO, "%s", error)
            raise error
        self._outcome = VideoOutcome(
            task_id=record.task_id,
            status=record.status,
            billing=record.billing,
            polls=record.polls,
            time_per_phase=record.time_per_phase(now),
            request_id=record.request_id,
            result=record.result,
        )
        return self._outcome

    def _cancel_request(self) -> HttpRequest:
        return requests.cancel_request(self._core.settings, self.id)

    def _check_cancel(self, what: Answer | ExchangeFailed) -> None:
        """Raise what a cancel's answer means, if it was not a yes.

        Raises:
            CancelRefused: The service said no, or it is not known what it said.
        """
        if isinstance(what, ExchangeFailed):
            said = f"whether the service canceled it is not known: {self._core.without_key(what.reason)}"
        elif 200 <= what.status < 300:
            return
        else:
            answer = self._core.scrub(what)
            error = read_error_body(answer.body, self._core.settings.dialect)
            why = ": ".join(part for part in (error.code, error.message) if part) if error else "no reason was given"
            said = f"the service did not cancel it: HTTP {answer.status}, {why}"
        raise CancelRefused(said, self._standing())

    def _asset_url(self) -> str:
        if self._outcome is None:
            raise TaskError("there is nothing to download yet: wait for it first", self._standing())
        return self._outcome.video_url

    @contextmanager
    def _telling_of_failure(self) -> Generator[None, None, None]:
        try:
            yield
        except (DownloadProblem, ExchangeFailed, OSError) as problem:
            said = str(problem)
            shown = self._core.without_key(said)
            summary = f"succeeded, but its video is not saved: {shown}"
            raise DownloadFailed(summary, self._standing()) from (problem if shown == said else None)

    @contextmanager
    def _saying_how_to_resume(self) -> Generator[None, None, None]:
        try:
            yield
        except (Exception, GeneratorExit):
            raise
        except BaseException as interruption:
            # KeyboardInterrupt, SystemExit, or the cancellation of asyncio or trio.
            logger.warning(
                "the wait for task %s was interrupted (%s); the task goes on at the service, do not submit it again. "
                "Resume token %s",
                self.id,
                type(interruption).__name__,
                self.resume_token,
            )
            raise


def _trouble(observation: Observation) -> str | None:
    match observation:
        case StatusSeen():
            return None
        case Unreachable() | Unreadable():
            return observation.reason
        case Throttled():
            return f"throttled ({observation.code})" if observation.code else "throttled"
        case Refused():
            said = ": ".join(part for part in (observation.code, observation.message) if part)
            return f"HTTP {observation.http_status} {said}".rstrip()
        case _:
            return None
