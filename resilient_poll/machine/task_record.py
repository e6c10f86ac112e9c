"""What is known of one accepted task, and how an answer changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from resilient_poll.events import BillingChanged, Event, IllegalMove, PhaseChanged, UnlistedStatus
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import ENDS, MOVES, OPEN, Billing, Lifecycle, Phase
from resilient_poll.machine.observations import StatusSeen

__all__ = ["TaskRecord", "after_expiry", "after_status", "join"]

_WORTH_ORDER = (
    Billing.NONE,
    Billing.NOT_YET,
    Billing.ON_SUCCESS,
    Billing.PARTIAL_POSSIBLE,
    Billing.UNDETERMINED,
    Billing.BILLED,
)
"""From surely nothing to surely owed."""
_NOT_FOUND = frozenset({Phase.UNRECOGNIZED, Phase.UNLISTED})


def join(left: Billing, right: Billing) -> Billing:
    """Return the word that says the more of the two is owed."""
    return max(left, right, key=_WORTH_ORDER.index)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What is known of one accepted task.

    Attributes:
        task_id: The service's id.
        seed: What the draws of this task come from.
        accepted_at: When it was accepted, or None if it was picked up by its id.
        phase: Where it stands.
        phase_since: Since when.
        billing: What may be owed.
        status: The service's last word, if it said one.
        seen: Whether a poll ever found it.
        has_run: Whether it was ever seen running.
        polls: How many queries were answered or failed.
        earlier_s: Seconds in each phase before the present one.
        code: The service's error code for the end, if it gave one.
        message: Its explanation, if it gave one.
        request_id: The id of the last request that had one.
        result: The last answer about the task, as it came.
        result_readable: False while a success lacks what a success must have.
        not_before: Until when the service asked to be left alone, if it did.
    """

    task_id: str
    seed: str
    accepted_at: Instant | None
    phase: Phase
    phase_since: Instant
    billing: Billing
    status: str | None = None
    seen: bool = False
    has_run: bool = False
    polls: int = 0
    earlier_s: Mapping[Phase, float] = field(default_factory=lambda: MappingProxyType({}))
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    result: Any = None
    result_readable: bool = True
    not_before: Instant | None = None

    @classmethod
    def accepted(
        cls,
        task_id: str,
        lifecycle: Lifecycle,
        now: Instant,
        *,
        status: str | None = None,
        request_id: str | None = None,
        seed: str | None = None,
        retry_after_s: float | None = None,
    ) -> TaskRecord:
        """Start a record for a task that was accepted just now.

        Args:
            task_id: The service's id.
            lifecycle: The service's table.
            now: The instant.
            status: The first status, if the answer had one. An end is not believed from
                an acceptance: the first poll brings its result.
            request_id: The id of the request that was accepted.
            seed: What its draws come from; the id, unless given.
            retry_after_s: How long the acceptance asks to be left alone, if it does.
        """
        phase = Phase.QUEUED if status is None else lifecycle.phase_of(status)
        if phase not in OPEN:
            phase = Phase.QUEUED
        return cls(
            task_id=task_id,
            seed=task_id if seed is None else seed,
            accepted_at=now,
            phase=phase,
            phase_since=now,
            billing=lifecycle.billing_of(phase),
            status=status,
            has_run=phase is Phase.RUNNING,
            request_id=request_id,
            not_before=None if retry_after_s is None else now.later(retry_after_s),
        )

    @classmethod
    def known_by_id(cls, task_id: str, now: Instant) -> TaskRecord:
        """Start a record for a task of which only the id is known."""
        return cls(
            task_id=task_id,
            seed=task_id,
            accepted_at=None,
            # Nobody said yet where it stands, so nothing better is claimed.
            phase=Phase.UNRECOGNIZED,
            phase_since=now,
            billing=Billing.UNDETERMINED,
        )

    @property
    def is_ended(self) -> bool:
        """Whether the task reached an end."""
        return self.phase in ENDS

    def time_per_phase(self, now: Instant) -> dict[Phase, float]:
        """Return the seconds that the task was seen in each phase, the present one included."""
        spent = dict(self.earlier_s)
        if not self.is_ended:
            here = max(0.0, now.monotonic_s - self.phase_since.monotonic_s)
            spent[self.phase] = spent.get(self.phase, 0.0) + here
        return spent


def after_status(
    record: TaskRecord, seen: StatusSeen, lifecycle: Lifecycle, now: Instant
) -> tuple[TaskRecord, tuple[Event, ...]]:
    """Return the record and the events after a poll that saw a status.

    Ends absorb: a later answer may raise the bill and is reported, but does not move the
    task, with one exception: ``EXPIRED`` was our conclusion, so an answer reopens it.

    Args:
        record: What was known.
        seen: What the service said.
        lifecycle: The service's table.
        now: When.
    """
    phase = lifecycle.phase_of(seen.status)
    events: list[Event] = []
    if phase is Phase.UNLISTED and seen.status != record.status:
        events.append(UnlistedStatus(record.task_id, now.monotonic_s, seen.status))
    if record.is_ended and phase is not record.phase and phase not in MOVES[record.phase]:
        revised, event = _after_an_end(record, seen, phase, lifecycle, now)
        return revised, (*events, *event)
    bill = _believed_bill(record, seen, phase, lifecycle)
    if record.is_ended and phase is record.phase:
        bill = join(record.billing, bill)  # An answer in between may have raised it.
    backwards = phase is Phase.QUEUED and record.has_run
    illegal = phase is not record.phase and phase not in MOVES[record.phase]
    if phase is not record.phase and (illegal or backwards):
        events.append(IllegalMove(record.task_id, now.monotonic_s, record.phase, phase, seen.status, believed=True))
    # Picked up by its id: the patience with an unknown id starts at the first answer.
    is_first_answer = record.status is None and phase is record.phase
    moved, changes = _move(record, phase, seen.status, bill, now)
    # A success that could be read once is not made unreadable by a later, poorer answer.
    poorer = record.phase is phase is Phase.SUCCEEDED and record.result_readable and not seen.result_readable
    # Field by field, as dataclasses.replace takes twice the time, and this is most of what a poll costs here.
    heard = TaskRecord(
        task_id=moved.task_id,
        seed=moved.seed,
        accepted_at=moved.accepted_at,
        phase=moved.phase,
        phase_since=now if is_first_answer else moved.phase_since,
        billing=moved.billing,
        status=seen.status,
        seen=record.seen or phase not in _NOT_FOUND,
        has_run=record.has_run or phase is Phase.RUNNING,
        polls=record.polls + 1,
        earlier_s=moved.earlier_s,
        code=seen.code,
        message=seen.message,
        request_id=seen.request_id or record.request_id,
        result=record.result if poorer else seen.result,
        result_readable=record.result_readable if poorer else seen.result_readable,
        not_before=moved.not_before,
    )
    return heard, (*events, *changes)


def after_expiry(record: TaskRecord, lifecycle: Lifecycle, now: Instant) -> tuple[TaskRecord, tuple[Event, ...]]:
    """Return the record and the events after the patience with an unknown id ran out."""
    return _move(record, Phase.EXPIRED, record.status, lifecycle.billing_of(Phase.EXPIRED), now)


def _believed_bill(record: TaskRecord, seen: StatusSeen, phase: Phase, lifecycle: Lifecycle) -> Billing:
    bill = lifecycle.billing_of(phase)
    if phase is Phase.SUCCEEDED and seen.made_nothing:
        return Billing.NONE  # Charged by what is made, and of nothing there is none.
    if seen.billing is not None:
        bill = seen.billing
    if phase is Phase.QUEUED and record.has_run:
        # It ran, so it may have cost something, whatever it says now.
        return join(bill, lifecycle.billing_of(Phase.RUNNING))
    return bill


def _after_an_end(
    record: TaskRecord, seen: StatusSeen, phase: Phase, lifecycle: Lifecycle, now: Instant
) -> tuple[TaskRecord, tuple[Event, ...]]:
    events: list[Event] = []
    if phase is not Phase.UNRECOGNIZED:
        # "No such id" after an end is the service forgetting, which it announced.
        events.append(IllegalMove(record.task_id, now.monotonic_s, record.phase, phase, seen.status, believed=False))
    # Only another end says something of the bill; "running again" and "forgotten" do not.
    bill = join(record.billing, lifecycle.billing_of(phase)) if phase in ENDS else record.billing
    if bill is not record.billing:
        events.append(BillingChanged(record.task_id, now.monotonic_s, record.billing, bill))
    counted = replace(record, billing=bill, polls=record.polls + 1, request_id=seen.request_id or record.request_id)
    return counted, tuple(events)


def _move(
    record: TaskRecord, phase: Phase, status: str | None, bill: Billing, now: Instant
) -> tuple[TaskRecord, tuple[Event, ...]]:
    events: list[Event] = []
    moved = record
    if phase is not record.phase:
        events.append(PhaseChanged(record.task_id, now.monotonic_s, record.phase, phase, status))
        moved = replace(moved, phase=phase, phase_since=now, earlier_s=MappingProxyType(record.time_per_phase(now)))
    if bill is not record.billing:
        events.append(BillingChanged(record.task_id, now.monotonic_s, record.billing, bill))
        moved = replace(moved, billing=bill)
    return moved, tuple(events)
