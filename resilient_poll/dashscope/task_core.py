"""What both tasks share: everything but the waiting.

The two colours differ in how they send and sleep. What to send, what an answer means and
what to raise is decided here, once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime

from resilient_poll.dashscope.cancelling import (
    CANCEL_HEARD,
    CancelAnswer,
    Closing,
    answer_to_cancel,
    checked_on_timeout,
)
from resilient_poll.dashscope.checking import checked_consent, checked_moment, checked_seconds
from resilient_poll.dashscope.client_core import ClientCore, Create
from resilient_poll.dashscope.keeping.task_file import TaskFile
from resilient_poll.dashscope.outcome import GenerationOutcome
from resilient_poll.dashscope.resume_token import write_token
from resilient_poll.dashscope.saving.download import telling_of_failure
from resilient_poll.dashscope.trouble import trouble_of
from resilient_poll.dashscope.wire import requests, translate
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.results import Asset
from resilient_poll.drive.clocks import AsyncClock, Clock
from resilient_poll.drive.outcome import standing_of, task_error
from resilient_poll.drive.telling import logger, saying_that_it_goes_on
from resilient_poll.errors import (
    CancelRefused,
    ConfigurationError,
    ResilientPollError,
    RetryRefused,
    Standing,
    StillGoing,
    TaskError,
)
from resilient_poll.events import EndSeen, Event, Polled, WaitEnded, Waiting
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Done, DoneReason
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import Observation, Refused
from resilient_poll.machine.pace import InTurn
from resilient_poll.machine.policy import OnTimeout, WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Fixed
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["TaskCore", "wall_s_of"]


class TaskCore:
    """One accepted task, without the waiting."""

    def __init__(
        self,
        core: ClientCore,
        record: TaskRecord,
        clock: Clock | AsyncClock,
        create: Create | None = None,
        entry: Entry | None = None,
    ) -> None:
        now = clock.now()
        self._now = clock.now
        self._core = core
        self._poller = Poller(
            record,
            LIFECYCLE,
            core.wait_policy,
            now,
            floor=core.query_floor,
            task_floor=core.floor_of(record.task_id),
        )
        self._poller.is_heard = core.news.is_heard
        self._create = create
        # Of a task that is known by its id only, nobody knows what it makes.
        named = None if entry is None else ENDPOINTS.get(entry.about.get("endpoint", ""))
        self._endpoint = named if create is None else create.endpoint
        filed = entry if create is None or create.filing is None else create.filing.entry
        self._file = TaskFile(core.books, filed, record)
        self._was_retried = False
        self._began = now
        self._last_trouble: str | None = None
        self._refusal: Refused | None = None
        self._closing: Closing | None = None

    def __repr__(self) -> str:
        record = self._poller.record
        return f"<{type(self).__name__} {record.task_id} {record.phase} {record.billing}>"

    @property
    def id(self) -> str:
        """The service's id."""
        return self._poller.record.task_id

    @property
    def task_id(self) -> str:
        """The service's id, by the name that errors, events and outcomes have for it."""
        return self.id

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
    def outcome(self) -> GenerationOutcome | None:
        """What was made, once it is known."""
        record = self._poller.record
        return self._made() if record.phase is Phase.SUCCEEDED and record.result_readable else None

    def _policy_for(
        self, timeout_s: float | None, deadline: datetime | None, on_timeout: OnTimeout | None
    ) -> WaitPolicy:
        policy = self._core.wait_policy
        if on_timeout is not None:
            policy = replace(policy, on_timeout=on_timeout)
            checked_on_timeout(on_timeout, self._core.settings.dialect)
        if timeout_s is not None:
            policy = replace(policy, timeout_s=checked_seconds("timeout", timeout_s))
        if deadline is not None:
            policy = replace(policy, deadline_wall_s=wall_s_of(deadline))
        return policy

    def _in_turn(self) -> Poller | InTurn:
        return self._core.query_in_turn(self._poller)

    def _ask_now(self, now: Instant) -> None:
        """Make the next query of the wait due: somebody heard something from outside. The floors hold."""
        wait = self._poller._wait  # noqa: SLF001  # a task's own machine
        self._poller._wait = wait._replace(due_s=min(wait.due_s, now.monotonic_s))  # noqa: SLF001  # as above

    def _begin(self, policy: WaitPolicy, *, look: bool = False) -> None:
        self._closing = None
        self._began = now = self._now()
        self._last_trouble, self._refusal = None, None
        self._poller.begin_wait(policy, now, look=look)
        if not look:
            self._core.news.wait_begun(self._poller, now)

    @contextmanager
    def _looking_once(self, most_s: float = math.inf) -> Generator[None, None, None]:
        """Look once, now: the floors hold, the schedule does not. A wait that is going on then goes on as it was.

        Args:
            most_s: No longer than this.
        """
        policy, poller = self._core.wait_policy, self._poller
        kept = self._began, self._last_trouble, self._refusal, self._closing, poller._policy, poller._wait  # noqa: SLF001  # given back
        schedule = Fixed(policy.minimum_interval_s, first_s=0.0)
        timeout_s = min(policy.attempt_timeout_s, most_s)
        self._begin(replace(policy, timeout_s=timeout_s, schedule=schedule), look=True)
        try:
            yield
        finally:
            self._began, self._last_trouble, self._refusal, self._closing, poller._policy, poller._wait = kept  # noqa: SLF001  # as above

    def _collector(self) -> tuple[list[Event], Callable[[Event], None]]:
        """Return a list that fills with the changes of the task, and what fills it."""
        changes: list[Event] = []

        def publish(event: Event) -> None:
            self._core.publish(event)
            if not isinstance(event, Waiting | Polled | EndSeen):
                changes.append(event)

        return changes, publish

    def _conclude_refresh(self, done: Done | None) -> Standing:
        """Return where the task stands after one look.

        Raises:
            TaskError: The look brought nothing.
        """
        if done is not None and not self._poller.record.is_ended:
            self._conclude(done)
        return self._standing()

    def _made(self) -> GenerationOutcome:
        record = self._poller.record
        return GenerationOutcome(
            task_id=record.task_id,
            status=record.status,
            billing=record.billing,
            polls=record.polls,
            time_per_phase=record.time_per_phase(self._now()),
            request_id=record.request_id,
            result=record.result,
        )

    def _query(self) -> HttpRequest:
        # Others who poll it stay away from now on, not only once it is answered.
        self._core.floor_of(self.id).raise_to(self._now().monotonic_s + self._core.wait_policy.minimum_interval_s)
        return requests.query_request(self._core.settings, self.id)

    def _understand(self, what: Answer | ExchangeFailed) -> Observation:
        if isinstance(what, ExchangeFailed):
            observation = self._core.failure_of_query(what)
        else:
            answer, now = self._core.scrub(what), self._now()
            self._core.notice(answer, now)
            observation = translate.translate_query(
                answer,
                self._core.settings.dialect,
                self.id,
                now.wall_s,
                must_have_assets=self._endpoint is not None and bool(self._endpoint.dialects),
            )
        self._last_trouble = trouble_of(observation)
        self._refusal = observation if isinstance(observation, Refused) else None
        return observation

    def _token(self) -> str:
        return self.resume_token

    def _standing(self) -> Standing:
        return standing_of(self._poller.record, self._now(), self.resume_token, classify=self._core.classify)

    def _conclude(self, done: Done) -> GenerationOutcome:
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
            refusal=self._refusal,
            classify=self._core.classify,
        )
        if self._closing is not None:
            error = self._closing.error(error, self._standing(), now.monotonic_s - self._began.monotonic_s)
        if error is not None:
            logger.log(logging.WARNING if isinstance(error, StillGoing) else logging.INFO, "%s", error)
            raise error
        return self._made()

    def _cancel_request(self) -> HttpRequest:
        return requests.cancel_request(self._core.settings, self.id)

    def _pause_before_cancel(self) -> float:
        """Return the seconds to wait until the account may send.

        Raises:
            CancelRefused: They are more than one attempt may take; nothing was sent.
        """
        now_s, gate = self._now().monotonic_s, self._core.account.query_gate
        earliest_s = gate.earliest_s(max(now_s, self._core.query_floor.not_before_s))
        if earliest_s - now_s > self._core.wait_policy.attempt_timeout_s:
            said = f"the account is to stay away for {earliest_s - now_s:.0f} s, no cancel was sent"
            raise CancelRefused(said, self._standing(), come_back_in_s=earliest_s - now_s)
        return gate.reserve(earliest_s) - now_s

    def _answer_to_cancel(self, what: Answer | ExchangeFailed) -> CancelAnswer:
        """Return what came of a cancel."""
        return answer_to_cancel(self._core, what, self._now(), self._standing)

    def _closing_for(self, done: Done) -> Closing | None:
        """Return what cancels the task of a wait whose time is up, where it is to be cancelled; only once."""
        is_over = done.reason is DoneReason.DEADLINE and not self._poller.record.is_ended
        if not is_over or self._closing is not None or self._poller._policy.on_timeout != "cancel":  # noqa: SLF001  # a task's own machine
            return None
        self._closing = Closing(self._poller, done, self._core, self._now())
        return self._closing

    def _is_to_cancel(self) -> bool:
        return self._closing is not None and self._closing.is_to_cancel

    def _hear_of_cancel(self, what: Answer | ExchangeFailed) -> Observation:
        if self._closing is not None:
            self._closing.answer = self._answer_to_cancel(what)
        return CANCEL_HEARD

    @property
    def _is_unheard_of(self) -> bool:
        """Whether nobody asked yet where it stands, so that a refused cancel could say nothing of it."""
        return self._poller.record.status is None

    def _after_cancel(self, standing: Standing, doubt: str | None) -> Standing:
        """Return where a task stands after its cancel.

        Raises:
            CancelRefused: It is not known whether it will be cancelled.
        """
        if doubt is None or standing.phase is Phase.CANCELED:
            return standing
        raise CancelRefused(f"whether the service cancels it is not known ({doubt})", standing)

    def _made_or_raise(self) -> GenerationOutcome:
        if (outcome := self.outcome) is None:
            raise TaskError("there is nothing to download yet: wait for it first", self._standing())
        return outcome

    def _default_extension(self) -> str | None:
        return None if self._endpoint is None else self._endpoint.extension

    def _single_asset(self) -> Asset:
        assets = self._made_or_raise().assets
        if len(assets) != 1:
            what = (
                f"made {len(assets)} results: download_all() saves them"
                if assets
                else "holds no URL: see outcome.result"
            )
            raise TaskError(what, self._standing())
        return assets[0]

    def _telling_of_failure(self) -> AbstractContextManager[None]:
        return telling_of_failure(self._standing, self._core.settings.api_key)

    def _create_for_retry(self, *, accept_second_charge: bool) -> Create:
        """Return what to create once more.

        Raises:
            ConfigurationError: The request is not known here, or the consent is no plain yes or no.
            TaskError: The task is not at an end, was or may have been charged, or was created once more already.
        """
        record = self._poller.record
        checked_consent(accept_second_charge)
        if self._create is None:
            raise ConfigurationError(
                f"the request of task {record.task_id} is not known here, only its id: submit() it anew; "
                "nothing was sent"
            )
        if not record.is_ended:
            raise RetryRefused("is not known to have ended, so nothing was sent again: wait for it", self._standing())
        if self._was_retried and not accept_second_charge:
            said = "was created once more already, and nothing was sent again: accept_second_charge=True does it"
            raise RetryRefused(said, self._standing())
        if record.billing is not Billing.NONE and not accept_second_charge:
            said = "ended, and nothing was sent again, since both may be charged: accept_second_charge=True does it"
            raise RetryRefused(said, self._standing())
        filing = self._file.next_attempt(self._create.filing, accept_second_charge=accept_second_charge)
        return replace(self._create, filing=filing)

    @contextmanager
    def _retrying(self) -> Generator[None, None, None]:
        """Use up the licence to create it once more, unless surely nothing came of that."""
        # A retry whose answer was lost is not undone by a later one that was refused.
        before, self._was_retried = self._was_retried, True
        try:
            yield
        except ResilientPollError as error:
            self._was_retried = before or not error.safe_to_submit_again
            raise

    def _saying_how_to_resume(self) -> AbstractContextManager[None]:
        return saying_that_it_goes_on(self.id, lambda: self.resume_token)


def wall_s_of(deadline: datetime) -> float:
    """Return a deadline in seconds since 1970.

    Raises:
        ConfigurationError: It is no moment, or has no time zone.
    """
    return checked_moment("deadline", deadline).timestamp()
