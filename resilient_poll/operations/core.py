"""One accepted operation, without the sending and the waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from resilient_poll.drive.clocks import AsyncClock, Clock
from resilient_poll.drive.outcome import Outcome, cause_of, standing_of, task_error
from resilient_poll.drive.telling import logger, tell
from resilient_poll.error_kinds import Cause
from resilient_poll.errors import (
    CancelRefused,
    ConfigurationError,
    ResultUnreadable,
    SnapshotError,
    Standing,
    StillGoing,
)
from resilient_poll.events import Event, WaitBegan, WaitEnded
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.machine.commands import Done
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import (
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Fixed
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.operations.asks import Ask, Maker
from resilient_poll.operations.token import Kept, read_token, write_token
from resilient_poll.operations.urls import Urls, find_or_none, home_of
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.addresses import Forbidden, resolved, shows_a_secret
from resilient_poll.specs.operation import OperationSpec
from resilient_poll.specs.reading import LONGEST_ID, reply_from, success_of
from resilient_poll.transports.rules.marks import TASK_ID

__all__ = ["OperationCore"]


@dataclass(slots=True)
class _Leg:
    """One query: the URL that is being asked, and whether it is the one for the result."""

    asked_url: str = ""
    is_for_result: bool = False
    success: StatusSeen | None = None


class OperationCore:
    """One accepted operation, without the sending and the waiting.

    Args:
        spec: The declaration.
        maker: Builds its requests.
        home: The origin that it belongs to.
        record: What is known of it.
        kept: The URLs that the service named.
        clock: What time it is.
        on_event: Is told every event.
    """

    def __init__(
        self,
        spec: OperationSpec,
        maker: Maker,
        home: str,
        record: TaskRecord,
        kept: Kept,
        clock: Clock | AsyncClock,
        on_event: Callable[[Event], None] | None,
        trouble: str | None = None,
    ) -> None:
        self.spec = spec
        self._maker = maker
        self._home = home
        self._urls = Urls(spec, home, kept)
        self._urls.remember(trouble)
        self._now = clock.now
        self._on_event = on_event
        self._began = now = clock.now()
        self._last_trouble: str | None = None
        self._refusal: Refused | None = None
        self._leg = _Leg()
        self.progress: Any = None
        self.poller = Poller(record, spec.lifecycle, self.policy(None, None), now)
        self.poller.is_heard = on_event is not None or logger.isEnabledFor(logging.DEBUG)
        maker.marks = {TASK_ID: record.task_id}

    @classmethod
    def resumed(
        cls,
        spec: OperationSpec,
        maker: Maker,
        token: str,
        clock: Clock | AsyncClock,
        on_event: Callable[[Event], None] | None,
    ) -> OperationCore:
        """Return the core of the operation that a token holds."""
        home, now = home_of(spec, maker), clock.now()
        record, kept = read_token(token, spec.name, home, now)
        core = cls(spec, maker, home, record, Kept(), clock, on_event)
        for what in ("status", "result", "cancel"):
            if (url := getattr(kept, what)) is not None:
                try:
                    address = resolved(url, home + "/", home, spec.allow_hosts)
                except Forbidden as refusal:
                    raise SnapshotError(f"this resume token cannot be used: {refusal}. Nothing was sent") from None
                core._urls.kept = replace(core._urls.kept, **{what: address.url})
        return core

    @classmethod
    def known(
        cls,
        spec: OperationSpec,
        maker: Maker,
        task_id: str,
        clock: Clock | AsyncClock,
        on_event: Callable[[Event], None] | None,
    ) -> OperationCore:
        """Return the core of an operation of which the id is known."""
        given: object = task_id
        if not isinstance(given, str) or not 0 < len(given) <= LONGEST_ID or not given.isprintable():
            raise ConfigurationError(f"an id is a text of 1 to {LONGEST_ID} characters, not {task_id!r:.80}")
        record = TaskRecord.known_by_id(task_id, clock.now())
        core = cls(spec, maker, home_of(spec, maker), record, Kept(), clock, on_event)
        if spec.query is None or not any(isinstance(source, str) for source in spec.query.urls):
            raise ConfigurationError(
                f"operation {spec.name!r} is asked about at the URL that the service names, so its id alone does not "
                "say where: use the resume token. Nothing was sent"
            )
        return core

    @property
    def task_id(self) -> str:
        """The service's id."""
        return self.poller.task_id

    def policy(self, given: WaitPolicy | None, timeout_s: float | None) -> WaitPolicy:
        """Return the limits of a wait."""
        chosen = given or WaitPolicy(timeout_s=self.spec.timeout_s, schedule=self.spec.schedule)
        if chosen.on_timeout != "keep_running":
            raise ConfigurationError(
                "a wait for a declared operation does not cancel by itself: on_timeout must be 'keep_running', and "
                "cancel() cancels. Nothing was sent"
            )
        return chosen if timeout_s is None else replace(chosen, timeout_s=timeout_s)

    def begin(self, policy: WaitPolicy, *, look: bool = False) -> None:
        """Begin a wait."""
        self._began = now = self._now()
        self._refusal, self._last_trouble = None, None
        if look:
            self._leg = _Leg()
        self.poller.begin_wait(policy, now, look=look)
        if self.poller.is_heard:
            self.publish(WaitBegan(self.task_id, now.monotonic_s, self.poller.phase, self.poller.record.polls))

    def publish(self, event: Event) -> None:
        """Tell an event."""
        tell(event, self._on_event)

    def token(self) -> str | None:
        """Return what another process needs, or None if the URL that it needs is a key by itself."""
        kept = self._urls.kept
        if any(map(shows_a_secret, kept.urls())):
            return None
        return write_token(self.spec.name, self._home, self.poller.record, kept, self._now())

    def ask(self) -> Ask | Observation:
        """Return what to ask next, or what is to be heard without asking."""
        query = self.spec.query
        self._leg.is_for_result = self._leg.success is not None
        try:
            if self._leg.is_for_result:
                return self._asked(self._urls.to_ask("result", self.spec.result_urls, self.task_id))
            self._urls.check()
            ask = self._urls.to_ask("status", () if query is None else query.urls, self.task_id)
            if ask is not None and query is not None:
                ask = replace(ask, headers=query.headers if ask.is_home else {})
            return self._asked(ask)
        except Forbidden as refusal:
            return self._note(Refused(message=f"nothing was sent: {refusal}"))

    def _asked(self, ask: Ask | None) -> Ask:
        if ask is None:
            raise Forbidden("no answer named where to ask")
        self._leg.asked_url = ask.url if ask.is_exact else self._maker.absolute(ask.url)
        return ask

    def hear(self, what: Answer | ExchangeFailed) -> Ask | Observation:
        """Return what an answer means, or what to ask at once because of it."""
        if isinstance(what, ExchangeFailed):
            return self._note(self._kept_success(what.reason) or Unreachable(reason=what.reason))
        reply, now = reply_from(what.status, what.headers, what.body), self._now()
        if self._leg.is_for_result:
            return self._note(self._hear_result(reply, now))
        self._urls.take(reply, self._leg.asked_url)
        observation = self.spec.observe(reply, now_wall_s=now.wall_s)
        if not isinstance(observation, StatusSeen):
            return self._note(observation)
        if (progress := find_or_none(self.spec.progress, reply)) is not None:
            self.progress = progress
        phase = self.spec.lifecycle.phase_of(observation.status)
        if phase is not Phase.SUCCEEDED:
            if self._urls.trouble is not None:
                return self._note(Refused(message=f"nothing more was sent: {self._urls.trouble}"))
            return self._note(observation)
        return self._after_success(observation)

    def _after_success(self, seen: StatusSeen) -> Ask | Observation:
        """Return the one more request that brings the result, where the declaration says that there is one."""
        if not self.spec.result_urls:
            return self._note(seen)
        if (trouble := self._urls.result_trouble) is not None:
            return self._note(replace(seen, result_readable=False), trouble)
        try:
            ask = self._urls.to_ask("result", self.spec.result_urls, self.task_id)
        except Forbidden as refusal:
            return self._note(replace(seen, result_readable=False), str(refusal))
        if ask is None:
            return self._note(seen)
        self._leg = _Leg(is_for_result=True, success=seen)
        return self._asked(ask)

    def _hear_result(self, reply: Reply, now: Instant) -> Observation:
        success = self._leg.success
        if success is None:
            raise RuntimeError("a result without a success: the runner is broken")
        status = reply.http_status or 0
        if 200 <= status < 300 and status != 202:
            result, is_readable = success_of(self.spec, reply)
            if is_readable:
                self._leg = _Leg()
            return replace(success, result=result, result_readable=is_readable, retry_after_s=None)
        hint = self.spec.hint_of(reply, now_wall_s=now.wall_s)
        seen = self._kept_success(f"the request for the result was answered with HTTP {status}") or success
        return replace(seen, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)

    def _kept_success(self, trouble: str) -> StatusSeen | None:
        """Return the success whose result could not be fetched: it stays one, and is asked for again."""
        if not self._leg.is_for_result or self._leg.success is None:
            return None
        self._last_trouble = trouble
        return replace(self._leg.success, result_readable=False, retry_after_s=None, retry_after_ignored=None)

    def _note(self, observation: Observation, trouble: str | None = None) -> Observation:
        self._refusal = observation if isinstance(observation, Refused) else None
        match observation:
            case StatusSeen(result_readable=False):
                self._last_trouble = trouble or self._last_trouble
            case Refused() | Throttled():
                said = ": ".join(part for part in (observation.code, observation.message) if part)
                self._last_trouble = said or f"HTTP {observation.http_status}"
            case Unreachable() | Unreadable():
                self._last_trouble = observation.reason
            case _:
                self._last_trouble = None
        return observation

    def standing(self) -> Standing:
        """Return everything that is known of it now, as an error would carry it."""
        return standing_of(self.poller.record, self._now(), self.token())

    def conclude(self, done: Done) -> Outcome:
        """Return the outcome of a finished wait.

        Raises:
            TaskError: It did not end in success.
        """
        record, now = self.poller.record, self._now()
        self.publish(WaitEnded(record.task_id, now.monotonic_s, done.reason, record.phase))
        error = task_error(
            record,
            done,
            now,
            resume_token=self.token(),
            waited_s=now.monotonic_s - self._began.monotonic_s,
            last_trouble=self._last_trouble,
            refusal=self._refusal,
        )
        if isinstance(error, ResultUnreadable) and self._last_trouble is not None:
            error = ResultUnreadable(f"succeeded, and its result cannot be had: {self._last_trouble}", self.standing())
        if error is not None:
            logger.log(logging.WARNING if isinstance(error, StillGoing) else logging.INFO, "%s", error)
            raise error
        return self.outcome()

    def conclude_refresh(self, done: Done | None) -> Standing:
        """Return where it stands after one look.

        Raises:
            TaskError: The look brought nothing.
        """
        if done is not None and not self.poller.record.is_ended:
            self.conclude(done)
        return self.standing()

    def look_policy(self) -> WaitPolicy:
        """Return the limits of one look: now, as far as the floors allow."""
        policy = self.policy(None, None)
        return replace(policy, timeout_s=policy.attempt_timeout_s, schedule=Fixed(0.0))

    def outcome(self) -> Outcome:
        """Return what came of a success."""
        record = self.poller.record
        return Outcome(
            task_id=record.task_id,
            status=record.status,
            billing=record.billing,
            polls=record.polls,
            time_per_phase=record.time_per_phase(self._now()),
            request_id=record.request_id,
            result=record.result,
        )

    def cancel_ask(self) -> Ask:
        """Return the request that cancels it.

        Raises:
            ConfigurationError: The declaration has no cancel.
            CancelRefused: The URL of the cancel may not be asked.
        """
        call = self.spec.cancel
        if call is None:
            raise ConfigurationError(f"operation {self.spec.name!r} declares no cancel; nothing was sent")
        try:
            ask = self._urls.to_ask("cancel", call.urls, self.task_id)
        except Forbidden as refusal:
            raise CancelRefused(f"nothing was sent: {refusal}", self.standing()) from None
        if ask is None:
            raise CancelRefused("nothing was sent: no answer named where to cancel it", self.standing())
        return replace(ask, method=call.method, headers=call.headers if ask.is_home else {})

    def hear_cancel(self, what: Answer | ExchangeFailed) -> None:
        """Take in the answer to a cancel.

        Raises:
            CancelRefused: The service said no, or it is not known what it said.
        """
        if isinstance(what, ExchangeFailed):
            raise CancelRefused(f"whether the service cancels it is not known ({what.reason})", self.standing())
        reply = reply_from(what.status, what.headers, what.body)
        if what.status < 300:
            return
        seen = self.spec.observe(reply, now_wall_s=self._now().wall_s)
        cause = cause_of(seen, None) if isinstance(seen, Refused | Throttled | Unreachable) else Cause()
        raise CancelRefused(f"the service did not cancel it (HTTP {what.status})", self.standing(), cause=cause)
