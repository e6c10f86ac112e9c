"""The event stream: everything worth telling that is neither a result nor an error.

::

    Event
    ├── SubmitBegun         something is to be made
    ├── Submitted           the service accepted it: there is a task
    ├── AnsweredFromLedger  its idempotency key stands for something already, nothing was sent
    ├── SubmitEnded         a submit is over without a task to wait for
    ├── WaitBegan           somebody waits for the task
    ├── Polled              one poll was answered, or was not
    ├── PhaseChanged        the task stands elsewhere than before
    ├── BillingChanged      what may be owed changed
    ├── IllegalMove         the service said something its own table forbids
    ├── UnlistedStatus      a status that nobody listed was seen
    ├── Throttled           the service asked for fewer requests
    ├── AttemptFailed       a request failed in a way that says nothing about the task
    ├── HintIgnored         a Retry-After that no one can honour
    ├── Waiting             nothing is sent until an instant, and why
    ├── EndSeen             a poll saw that the task has ended, what is owed, and how long that took to see
    ├── WaitEnded           the wait is over, and why
    ├── JobAccepted         one of many jobs has its task
    ├── BatchProgress       where many jobs stand
    └── RequestEvent        what happened to one request; see :mod:`resilient_poll.transports.middleware.notices`

Events are made by the machine (``Waiting`` by its driver, those of submits by the client) and handed on in order, each
when it happens. At run time this module depends on nothing else of the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resilient_poll.machine.commands import DoneReason, SleepReason
    from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = [
    "AnsweredFromLedger",
    "AttemptFailed",
    "BatchProgress",
    "BillingChanged",
    "EndSeen",
    "Event",
    "HintIgnored",
    "IllegalMove",
    "JobAccepted",
    "PhaseChanged",
    "Polled",
    "SubmitBegun",
    "SubmitEnded",
    "Submitted",
    "Throttled",
    "UnlistedStatus",
    "WaitBegan",
    "WaitEnded",
    "Waiting",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one task.

    Attributes:
        task_id: The service's id, or None while there is none yet.
        at_s: When, in monotonic seconds of the clock that drives the machine.
        submit_id: What tells one submit, or one call of ``poll()``, from another: the same in all events of a submit,
            the one with its task's id included; None in what belongs to none.
    """

    task_id: str | None
    at_s: float
    submit_id: str | None = field(default=None, kw_only=True, compare=False, repr=False)

    def __str__(self) -> str:
        who = "the submit" if self.task_id is None else f"task {self.task_id}"
        return f"{who}: {self._said()}"

    def _said(self) -> str:
        return type(self).__name__


@dataclass(frozen=True, slots=True)
class SubmitBegun(Event):
    """Something is to be made; nothing was sent yet.

    Attributes:
        service: The service, in one word.
        model: What is to make it.
        endpoint: What kind of thing it is.
    """

    service: str
    model: str
    endpoint: str

    def _said(self) -> str:
        return f"{self.model} is asked for ({self.endpoint})"


@dataclass(frozen=True, slots=True)
class Submitted(Event):
    """The service accepted a submit: from here on its events carry the task's id.

    Attributes:
        status: The service's own first word, if it said one.
        attempts: How often it was sent.
    """

    status: str | None
    attempts: int

    def _said(self) -> str:
        return f"accepted ({self.status})"


@dataclass(frozen=True, slots=True)
class AnsweredFromLedger(Event):
    """The idempotency key of a submit stands for a task or a result already: nothing was sent.

    Attributes:
        phase: Where that stands, as far as the ledger knows.
    """

    phase: Phase

    def _said(self) -> str:
        return f"is what the idempotency key stands for ({self.phase}), nothing was sent"


@dataclass(frozen=True, slots=True)
class SubmitEnded(Event):
    """A submit is over, and there is no task to wait for: it brought the result itself, or an error.

    Attributes:
        error: The name of the error that its caller gets; None where it brought the result itself.
        attempts: How often it was sent.
        billing: What may be owed for it.
    """

    error: str | None
    attempts: int
    billing: Billing

    def _said(self) -> str:
        return f"ended with {self.error or 'the result itself'}, bill {self.billing}"


@dataclass(frozen=True, slots=True)
class WaitBegan(Event):
    """Somebody waits for the task.

    Attributes:
        phase: Where it stands, as far as it was heard.
        polls: How often it was asked about before.
    """

    phase: Phase
    polls: int

    def _said(self) -> str:
        return f"a wait begins, {self.phase} after {self.polls} polls"


@dataclass(frozen=True, slots=True)
class Polled(Event):
    """One poll is over. It is told before what follows from it, and is no change of the task.

    Attributes:
        poll: Which, from 1.
        brought: ``status``, ``throttled``, ``unreachable``, ``unreadable`` or ``refused``.
        status: The service's own word, if it said one.
    """

    poll: int
    brought: str
    status: str | None

    def _said(self) -> str:
        return f"poll {self.poll} brought {self.status or self.brought}"


@dataclass(frozen=True, slots=True)
class EndSeen(Event):
    """A poll saw that the task has ended.

    Attributes:
        phase: The end.
        status: The service's own word for it.
        billing: What is owed.
        polls: How often it was asked about.
        delay_s: For how many seconds it had ended when the poll was answered: from the service's own time of the
            end if it gives one that can be true, otherwise the most that it can be, from the latest moment at which
            it is known to have gone on; None if nothing is known of either.
        is_exact: Whether ``delay_s`` comes from the service's own time.
    """

    phase: Phase
    status: str | None
    billing: Billing
    polls: int
    delay_s: float | None
    is_exact: bool

    def _said(self) -> str:
        late = "" if self.delay_s is None else f", {'' if self.is_exact else 'at most '}{self.delay_s:.1f} s ago"
        return f"ended {self.phase}{late}; bill {self.billing}, {self.polls} polls"


@dataclass(frozen=True, slots=True)
class PhaseChanged(Event):
    """The task moved from one phase to another.

    Attributes:
        before: The phase it was in.
        after: The phase it is in now.
        status: The service's own word for it, if the service said one.
    """

    before: Phase
    after: Phase
    status: str | None

    def _said(self) -> str:
        word = f" ({self.status})" if self.status else ""
        return f"{self.before} → {self.after}{word}"


@dataclass(frozen=True, slots=True)
class BillingChanged(Event):
    """What may be owed for the task changed.

    Attributes:
        before: What was believed.
        after: What is believed now.
    """

    before: Billing
    after: Billing

    def _said(self) -> str:
        return f"bill {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class IllegalMove(Event):
    """The service reported a move that the lifecycle's table does not allow.

    Attributes:
        before: The phase that was believed.
        reported: The phase that the service's word stands for.
        status: The service's own word.
        believed: Whether the task's phase follows the report. An end never does.
    """

    before: Phase
    reported: Phase
    status: str
    believed: bool

    def _said(self) -> str:
        return f"the service says {self.status} after {self.before}, which its own table forbids"


@dataclass(frozen=True, slots=True)
class UnlistedStatus(Event):
    """The service used a status that the lifecycle does not list.

    Attributes:
        status: The service's own word.
    """

    status: str

    def _said(self) -> str:
        return f"the service says {self.status}, which nobody listed"


@dataclass(frozen=True, slots=True)
class Throttled(Event):
    """The service asked for fewer requests; nothing is sent before ``until_s``.

    Attributes:
        code: The service's error code, if it gave one.
        retry_after_s: What it asked for in seconds, if it asked for anything.
        until_s: The earliest next request, in monotonic seconds.
    """

    code: str | None
    retry_after_s: float | None
    until_s: float

    def _said(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"throttled{code}, nothing is sent for {max(0.0, self.until_s - self.at_s):.1f} s"


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    """A request failed without saying anything about the task.

    Attributes:
        reason: What went wrong, in one clause.
        failures_in_a_row: How many attempts failed since the last one that did not.
    """

    reason: str
    failures_in_a_row: int

    def _said(self) -> str:
        return f"a request brought nothing: {self.reason} ({self.failures_in_a_row} in a row)"


@dataclass(frozen=True, slots=True)
class HintIgnored(Event):
    """A ``Retry-After`` value was ignored.

    Attributes:
        reason: The value (shortened) and what is wrong with it.
    """

    reason: str

    def _said(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """Nothing is sent until an instant. It is told before the pause, and is no change of the task.

    Attributes:
        until_s: Until when, in monotonic seconds.
        reason: Why.
    """

    until_s: float
    reason: SleepReason

    def _said(self) -> str:
        return f"waiting {max(0.0, self.until_s - self.at_s):.1f} s ({self.reason})"


@dataclass(frozen=True, slots=True)
class WaitEnded(Event):
    """The wait is over.

    Attributes:
        reason: Why it is over. Only ``ENDED`` means that the task is.
        phase: Where the task stands.
    """

    reason: DoneReason
    phase: Phase

    def _said(self) -> str:
        return f"the wait is over ({self.reason}), {self.phase}"


@dataclass(frozen=True, slots=True)
class JobAccepted(Event):
    """One of many jobs was accepted: from here on its events carry the task's id.

    Attributes:
        ordinal: Which job, from 0.
        label: What its caller calls it, if anything.
    """

    ordinal: int
    label: str | None

    def _said(self) -> str:
        return f"is job {self.ordinal}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True, slots=True)
class BatchProgress(Event):
    """Where many jobs stand; it is told when one of these numbers changes.

    Attributes:
        queued: Not sent yet, or told to come back; of a list all of them, of a generator those that were taken.
        submitting: Sent, and not answered.
        open: Accepted, and not ended.
        finished: Over, in whatever way.
        failed: Over without success; they are in ``finished`` too.
    """

    queued: int
    submitting: int
    open: int
    finished: int
    failed: int

    def __str__(self) -> str:
        return (
            f"the batch: {self.queued} queued, {self.submitting} submitting, {self.open} open, "
            f"{self.finished} finished, {self.failed} of them failed"
        )
