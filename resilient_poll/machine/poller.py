"""From accepted to an end: when to ask, and when to stop asking.

:meth:`Poller.next_command` is a pure question; :meth:`Poller.receive` is the only thing
that changes anything. Nothing here waits, sends, logs or reads a clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from resilient_poll.events import AttemptFailed, EndSeen, Event, HintIgnored, Polled
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine.commands import Command, Done, DoneReason, Query, SleepReason, SleepUntil
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Lifecycle, Phase
from resilient_poll.machine.observations import (
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.policy import (
    HELD_BACK_POLL_NEEDS_S,
    LAST_POLL_LEAD_S,
    LAST_POLL_LEAD_SHARE,
    RESULT_REFETCHES,
    WaitPolicy,
)
from resilient_poll.machine.schedules import backoff_s, draw
from resilient_poll.machine.task_record import TaskRecord, after_expiry, after_status

__all__ = ["Poller"]

_SINCE_EVER = float("-inf")
_CLOCKS_DIFFER_S = 1.0
"""How much a service's own time of an end may contradict what is known here: its dates are whole seconds."""
_BROUGHT = {StatusSeen: "status", Throttled: "throttled", Unreachable: "unreachable", Unreadable: "unreadable"}


class _Wait(NamedTuple):
    """One wait: what is forgotten when the next one begins. A tuple, as one is made for every poll."""

    began_s: float
    deadline_s: float
    due_s: float
    setbacks_in_a_row: int = 0
    failures_in_a_row: int = 0
    failing_since_s: float | None = None
    refetches: int = 0
    answers: int = 0
    must_look: bool = False
    is_held_back: bool = False
    done: Done | None = None


class Poller:
    """The state machine of one accepted task.

    Args:
        record: What is known of the task.
        lifecycle: The service's table.
        policy: The limits of the first wait.
        now: When that wait begins.
        floor: The earliest next query of the account; shared by its tasks.
        task_floor: The earliest next query of this task; shared by all who poll it.

    Attributes:
        is_heard: Whether somebody hears of each poll: otherwise no events are made of those that change nothing.
    """

    def __init__(
        self,
        record: TaskRecord,
        lifecycle: Lifecycle,
        policy: WaitPolicy,
        now: Instant,
        *,
        floor: Floor | None = None,
        task_floor: Floor | None = None,
    ) -> None:
        self.record = record
        self.lifecycle = lifecycle
        self.is_heard = False
        self._went_on_s = record.accepted_at.monotonic_s if record.accepted_at and not record.polls else None
        self._floor = Floor() if floor is None else floor
        self._task_floor = Floor() if task_floor is None else task_floor
        if record.not_before is not None:
            self._floor.raise_to(record.not_before.monotonic_s)
        self.begin_wait(policy, now)

    def begin_wait(self, policy: WaitPolicy, now: Instant, *, look: bool = False) -> None:
        """Begin a wait, forgetting the last one's deadline and failures but not the floors.

        Args:
            policy: Its limits.
            now: When.
            look: Whether the task is asked about even if it has ended. EXPIRED always is:
                it is a conclusion of ours, and an answer reopens it.
        """
        self._policy = policy
        start = now.monotonic_s
        deadline = start + policy.timeout_s
        if policy.deadline_wall_s is not None:
            deadline = min(deadline, now.at_wall(policy.deadline_wall_s).monotonic_s)
        record = self.record
        since = record.accepted_at.monotonic_s if record.accepted_at and not record.polls else _SINCE_EVER
        spread = policy.start_spread_s * draw(record.seed, record.polls) if policy.start_spread_s else 0.0
        due = max(start, since + policy.schedule.delay_s(record.polls)) + spread
        must_look = look or record.phase is Phase.EXPIRED
        is_held_back = self._task_floor.not_before_s > start and not must_look
        self._wait = _Wait(start, deadline, due, must_look=must_look, is_held_back=is_held_back)

    @property
    def task_id(self) -> str:
        """The service's id."""
        return self.record.task_id

    @property
    def phase(self) -> Phase:
        """Where the task stands."""
        return self.record.phase

    @property
    def billing(self) -> Billing:
        """What may be owed."""
        return self.record.billing

    @property
    def was_answered(self) -> bool:
        """Whether the service said in this wait where the task stands."""
        return self._wait.answers > 0

    def next_command(self, now: Instant) -> Command:
        """Return what to do next. Asking changes nothing, so it may be asked twice.

        Args:
            now: When.

        Returns:
            ``Query``, ``SleepUntil`` or ``Done``.
        """
        if self.record.is_ended and not self._result_is_missing() and not self._wait.must_look:
            return Done(DoneReason.ENDED)
        if self._wait.done is not None:
            return self._wait.done
        limit_s, reason = self._limit()
        due_s, why = self._due(limit_s)
        if self._wait.is_held_back and now.monotonic_s < limit_s and self._is_for_the_next_wait(due_s, limit_s):
            return SleepUntil(limit_s, SleepReason.SCHEDULE)
        if due_s >= limit_s or now.monotonic_s >= limit_s:
            return self._out_of_time(limit_s, reason)
        if now.monotonic_s < due_s:
            return SleepUntil(due_s, why)
        timeout_s = min(self._policy.attempt_timeout_s, limit_s - now.monotonic_s)
        return Query(self.record.polls + 1, timeout_s)

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said.

        Observations are always merged, also after an end and after the wait is over.

        Args:
            observation: What was heard.
            now: When it was heard.

        Returns:
            What happened, in order.

        Raises:
            TypeError: The observation belongs to a submit.
        """
        self._task_floor.raise_to(now.monotonic_s + self._policy.minimum_interval_s)
        was_ended = self.is_heard and self.record.is_ended
        match observation:
            case StatusSeen():
                events = self._on_status(observation, now)
            case Throttled() | Unreachable() | Unreadable():
                events = self._on_failure(observation, now)
            case Refused():
                events = self._on_refusal(observation, now)
            case _:
                raise TypeError(f"a poller cannot receive {type(observation).__name__}: it belongs to a submit")
        return self._told(observation, now, events, was_ended=was_ended) if self.is_heard else events

    def _told(
        self, observation: Observation, now: Instant, events: tuple[Event, ...], *, was_ended: bool
    ) -> tuple[Event, ...]:
        """Return what happened at a poll with what is told only where somebody hears."""
        task_id, at_s = self.record.task_id, now.monotonic_s
        status = observation.status if isinstance(observation, StatusSeen) else None
        polled = Polled(task_id, at_s, self.record.polls, _BROUGHT.get(type(observation), "refused"), status)
        if isinstance(observation, StatusSeen):
            if self.record.is_ended and not was_ended:
                events = (*events, self._end_seen(observation, at_s))
            self._went_on_s = at_s
        return (polled, *events)

    def _end_seen(self, seen: StatusSeen, at_s: float) -> Event:
        record, delay_s = self.record, seen.ended_ago_s
        most_s = None if self._went_on_s is None else max(0.0, at_s - self._went_on_s)
        # What cannot be true (a clock that is wrong, another time zone) is not believed.
        is_exact = delay_s is not None and delay_s >= -_CLOCKS_DIFFER_S
        if delay_s is not None and most_s is not None:
            is_exact = is_exact and delay_s <= most_s + _CLOCKS_DIFFER_S
            delay_s = min(delay_s, most_s)
        late_s = max(0.0, delay_s) if is_exact and delay_s is not None else most_s
        return EndSeen(
            record.task_id, at_s, record.phase, record.status, record.billing, record.polls, late_s, is_exact
        )

    def _on_status(self, seen: StatusSeen, now: Instant) -> tuple[Event, ...]:
        was_missing = self._result_is_missing()
        self.record, events = after_status(self.record, seen, self.lifecycle, now)
        if self.record.phase is Phase.UNRECOGNIZED and self._patience_is_over(now):
            self.record, more = after_expiry(self.record, self.lifecycle, now)
            events = (*events, *more)
        if seen.retry_after_ignored is not None:
            events = (*events, HintIgnored(self.record.task_id, now.monotonic_s, seen.retry_after_ignored))
        if seen.retry_after_s is not None:
            self._stay_away(seen.retry_after_s, now)
        wait = self._wait
        # Setbacks, failures and the wish to look start anew; who has heard something was not held back.
        self._wait = _Wait(
            began_s=wait.began_s,
            deadline_s=wait.deadline_s,
            due_s=now.monotonic_s + self._policy.schedule.delay_s(self.record.polls),
            refetches=wait.refetches + was_missing,
            answers=wait.answers + 1,
            done=wait.done,
        )
        return events

    def _on_failure(self, observation: Throttled | Unreachable | Unreadable, now: Instant) -> tuple[Event, ...]:
        self.record = self._counted(observation)
        wait, task_id, at_s = self._wait, self.record.task_id, now.monotonic_s
        setbacks = wait.setbacks_in_a_row + 1
        healthy_s = self._policy.schedule.delay_s(self.record.polls)
        due_s = at_s + backoff_s(setbacks, draw(self.record.seed, self.record.polls), at_least_s=healthy_s)
        events: list[Event] = []
        if observation.retry_after_ignored is not None:
            events.append(HintIgnored(task_id, at_s, observation.retry_after_ignored))
        if observation.retry_after_s is not None:
            self._stay_away(observation.retry_after_s, now)
        wait = wait._replace(
            due_s=due_s,
            setbacks_in_a_row=setbacks,
            refetches=wait.refetches + self._result_is_missing(),
            is_held_back=False,
        )
        if isinstance(observation, Throttled):
            # An answer of a healthy service: it slows us down, and spends no error budget.
            until_s = max(due_s, self._floor.not_before_s)
            events.append(ThrottledEvent(task_id, at_s, observation.code, observation.retry_after_s, until_s))
            self._wait = wait._replace(failures_in_a_row=0, failing_since_s=None)
            return tuple(events)
        failures = wait.failures_in_a_row + 1
        since_s = at_s if wait.failing_since_s is None else wait.failing_since_s
        events.append(AttemptFailed(task_id, at_s, observation.reason, failures))
        spent = self._budget_is_spent(failures, at_s - since_s)
        self._wait = wait._replace(
            failures_in_a_row=failures,
            failing_since_s=since_s,
            done=Done(DoneReason.ERROR_BUDGET) if spent else wait.done,
        )
        return tuple(events)

    def _on_refusal(self, observation: Refused, now: Instant) -> tuple[Event, ...]:
        # Phase and bill stay as they were: a key that stopped working says nothing of the task.
        self.record = self._counted(observation)
        if observation.retry_after_s is not None:
            self._stay_away(observation.retry_after_s, now)
        self._wait = self._wait._replace(done=Done(DoneReason.POLL_REFUSED))
        return ()

    def _stay_away(self, seconds: float, now: Instant) -> None:
        until, before = now.later(seconds), self.record.not_before
        self._floor.raise_to(until.monotonic_s)
        # Kept like the floor: an answer that comes late, or out of order, takes back nothing that was asked for before.
        if before is None or until.monotonic_s > before.monotonic_s:
            self.record = replace(self.record, not_before=until)

    def _counted(self, observation: Observation) -> TaskRecord:
        record = self.record
        return replace(record, polls=record.polls + 1, request_id=observation.request_id or record.request_id)

    def _result_is_missing(self) -> bool:
        record = self.record
        return (
            record.phase is Phase.SUCCEEDED and not record.result_readable and self._wait.refetches < RESULT_REFETCHES
        )

    def _patience_is_over(self, now: Instant) -> bool:
        record, policy = self.record, self._policy
        grace_s = policy.unrecognized_grace_once_seen_s if record.seen else policy.unrecognized_grace_s
        retention_s = self.lifecycle.retention_s
        if retention_s is not None and record.accepted_at is not None:
            # By both clocks: one that was set ahead while it was waited for makes no task older.
            age_s = min(now.wall_s - record.accepted_at.wall_s, now.monotonic_s - record.accepted_at.monotonic_s)
            grace_s = 0.0 if age_s > retention_s else grace_s
        return now.monotonic_s - record.phase_since.monotonic_s >= grace_s

    def _budget_is_spent(self, failures: int, failing_s: float) -> bool:
        policy = self._policy
        too_many = policy.max_failures_in_a_row is not None and failures >= policy.max_failures_in_a_row
        too_long = policy.max_failing_s is not None and failing_s >= policy.max_failing_s
        return too_many or too_long

    def _limit(self) -> tuple[float, DoneReason]:
        """Return when the wait gives up if nothing changes, and what it then says."""
        deadline_s = self._wait.deadline_s
        phase_limit_s = self._policy.phase_limits_s.get(self.record.phase)
        if phase_limit_s is not None:
            # Counted within this wait, so that a later one asks at all.
            leave_s = max(self.record.phase_since.monotonic_s, self._wait.began_s) + phase_limit_s
            if leave_s < deadline_s:
                return leave_s, DoneReason.PHASE_LIMIT
        return deadline_s, DoneReason.DEADLINE

    def _due(self, limit_s: float) -> tuple[float, SleepReason]:
        """Return when the next query is due, and what it waits for until then."""
        wait = self._wait
        lead_s = min(LAST_POLL_LEAD_S, LAST_POLL_LEAD_SHARE * max(0.0, limit_s - wait.began_s))
        last_poll_s = limit_s - lead_s
        asked_since_s = self._task_floor.not_before_s - self._policy.minimum_interval_s
        due_s = wait.due_s
        if due_s > last_poll_s and asked_since_s < last_poll_s:
            due_s = max(last_poll_s, wait.began_s)
        why = SleepReason.BACKOFF if wait.setbacks_in_a_row else SleepReason.SCHEDULE
        floor_s = max(self._task_floor.not_before_s, self._floor.not_before_s)
        return (floor_s, SleepReason.SERVER) if floor_s > due_s else (due_s, why)

    def _is_for_the_next_wait(self, due_s: float, limit_s: float) -> bool:
        """Return whether the task's floor lets the first poll of this wait leave too late to be answered.

        The wait then takes its time without it: the next one can ask at its very beginning, and a loop around waits
        that are shorter than the floor does not spin.
        """
        is_by_the_task = due_s == self._task_floor.not_before_s and self._floor.not_before_s < min(due_s, limit_s)
        needs_s = min(HELD_BACK_POLL_NEEDS_S, self._policy.attempt_timeout_s)
        # There is no next wait for a task that has ended and whose result is missing.
        return is_by_the_task and limit_s - due_s < needs_s and not self.record.is_ended

    def _out_of_time(self, limit_s: float, reason: DoneReason) -> Done:
        if self.record.is_ended:
            return Done(DoneReason.ENDED)
        server_s = self._floor.not_before_s
        if server_s >= limit_s:
            return Done(DoneReason.COME_BACK_LATER, server_s)
        return Done(reason)
