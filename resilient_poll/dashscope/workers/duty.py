"""What a worker's shift says, and what it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Done
from resilient_poll.machine.lifecycle import OPEN
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.schedules import draw

__all__ = ["Found", "Heard", "Held", "Parcel", "Plan", "Scan", "Tell", "WorkerCounts", "endless", "pause_s"]

CALL_AGAIN_FIRST_S = 1.0
CALL_AGAIN_LONGEST_S = 300.0
"""How soon a handler that raised is called again: twice as late each time, up to five minutes, as for a database
that is being mended."""
CALL_AGAIN_JITTER = 0.25
CALLER_S = 10.0
"""How long an end is left to whoever waits for its task itself, and hears of it the next moment."""
TRIES_UNTIL_IDLE = 3
"""How often a handler is called for one end by a worker that is to come to rest."""
NEVER_S = 1e8
"""How long a worker waits for one task: three years. Nothing but an end, or a refusal to say, ends it."""

AnyTask = TypeVar("AnyTask", bound=TaskCore)


class Heard(Enum):
    """What became of telling the application of an end."""

    TOLD = "told"
    """The handler returned, and that is written down."""
    KNOWN = "known"
    """It had been told before."""
    UNWRITTEN = "unwritten"
    """The handler returned, and that could not be written down."""
    FAILED = "failed"
    """The handler raised, or the ledger did before it was called."""


@dataclass(slots=True)
class Parcel(Generic[AnyTask]):
    """An end that the application is to be told of.

    Attributes:
        entry: The ledger's entry.
        task: Its task; None for a submit that was refused, or answered with the result itself.
        done: How its wait ended.
        tries: How often the handler was called.
        is_told: Whether the handler returned; what is left is to write that down.
        failures: How often in a row that, or the telling, failed.
        handed: What the handler is given, once it was made.
        renew_s: From when its lease is to be lengthened, in monotonic seconds.
        began_s: Since when the handler is at work with it; None while it is not.
    """

    entry: Entry
    task: AnyTask | None
    done: Done
    tries: int = 0
    is_told: bool = False
    failures: int = 0
    handed: object = None
    renew_s: float = -math.inf
    began_s: float | None = None


@dataclass(slots=True)
class Held(Generic[AnyTask]):
    """A task that a worker asks about.

    Attributes:
        entry: The ledger's entry.
        task: The task.
        taken_s: Since when, in monotonic seconds.
        renew_s: From when its lease is to be lengthened.
        polls_then: How often it had been asked about when it was taken.
        ordinal: What it is called where turns are given; None while it rests.
        is_out: Whether a query is out.
        is_woken: Whether it is to be asked about again at once after that.
        is_leaving: Whether it is held no longer after that.
    """

    entry: Entry
    task: AnyTask
    taken_s: float
    renew_s: float
    polls_then: int
    ordinal: int | None = None
    is_out: bool = False
    is_woken: bool = False
    is_leaving: bool = False

    @property
    def is_ended(self) -> bool:
        """Whether its task has ended; where the result is may still be asked for."""
        return self.task._poller.record.is_ended  # noqa: SLF001  # a task is a part of its client


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in the ledger.

    Attributes:
        renew: Whose leases to lengthen.
        release: Whose leases to let go of.
        claim: How many more tasks to lease.
        ends: How many ends to lease, those that are in hand included.
        count_ends: How many ends to count at most that nobody was told of, whoever has them in hand.
    """

    renew: tuple[Entry, ...]
    release: tuple[Entry, ...]
    claim: int
    ends: int
    count_ends: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger said.

    Attributes:
        lost: The numbers of entries whose lease is another's by now, or over.
        claimed: Open tasks that are this worker's from now on.
        ends: Ends that nobody was told of, and that are this worker's from now on.
        open: How many tasks are open in all.
        untold: How many ends nobody was told of, as far as was to be counted.
        in_doubt: How many submits are in doubt.
    """

    lost: frozenset[int] = frozenset()
    claimed: tuple[Entry, ...] = ()
    ends: tuple[Entry, ...] = ()
    open: int = 0
    untold: int = 0
    in_doubt: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """Look into the ledger."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Tell(Generic[AnyTask]):
    """Tell the application of an end."""

    parcel: Parcel[AnyTask]


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Where a worker stands.

    Attributes:
        open: Tasks that it asks about.
        waiting: Ends that the handler has not taken yet.
        handed_over: Ends that the handler took.
        handler_failures: How often the handler raised.
        in_doubt: Submits of the account of which nobody knows what they came to; nothing is handed over for them.
        refused: Tasks of which the service refuses to say anything.
        elsewhere: Tasks and ends that another worker has in hand; ends are counted by :meth:`.Worker.run_until_idle`.
    """

    open: int = 0
    waiting: int = 0
    handed_over: int = 0
    handler_failures: int = 0
    in_doubt: int = 0
    refused: int = 0
    elsewhere: int = 0


def pause_s(parcel: Parcel[AnyTask]) -> float:
    """Return the seconds until the handler is called again for an end: spread, so that many do not come at once."""
    doublings = min(parcel.failures - 1, 16)
    whole = min(CALL_AGAIN_LONGEST_S, CALL_AGAIN_FIRST_S * 2.0**doublings)
    drawn = draw(parcel.entry.key, parcel.failures)
    return whole * (1 - CALL_AGAIN_JITTER + 2 * CALL_AGAIN_JITTER * drawn)


def endless(policy: WaitPolicy) -> WaitPolicy:
    """Return how a worker waits: as the policy says, until an end, or until the service refuses to say."""
    return replace(
        policy,
        timeout_s=NEVER_S,
        deadline_wall_s=None,
        phase_limits_s=dict.fromkeys(OPEN, NEVER_S),
        max_failures_in_a_row=None,
        max_failing_s=None,
    )
