"""What a worker's shift says, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Done
from resilient_poll.machine.schedules import draw

__all__ = ["Found", "Heard", "Parcel", "Plan", "Scan", "Tell", "WorkerCounts", "pause_s"]

CALL_AGAIN_FIRST_S = 1.0
CALL_AGAIN_LONGEST_S = 300.0
"""How soon a handler that raised is called again: twice as late each time, up to five minutes, as for a database
that is being mended."""
CALL_AGAIN_JITTER = 0.25

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
    """

    entry: Entry
    task: AnyTask | None
    done: Done
    tries: int = 0
    is_told: bool = False
    failures: int = 0
    handed: object = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in the ledger.

    Attributes:
        renew: Whose leases to lengthen.
        release: Whose leases to let go of.
        claim: How many more tasks to lease.
        ends: How many ends to look at, those that are in hand included.
    """

    renew: tuple[Entry, ...]
    release: tuple[Entry, ...]
    claim: int
    ends: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger said.

    Attributes:
        lost: The numbers of entries whose lease is another's by now, or over.
        claimed: Open tasks that are this worker's from now on.
        ends: Ends that nobody was told of, as far as the ledger knows.
        open: How many tasks are open in all.
        in_doubt: How many submits are in doubt.
    """

    lost: frozenset[int] = frozenset()
    claimed: tuple[Entry, ...] = ()
    ends: tuple[Entry, ...] = ()
    open: int = 0
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
    """

    open: int = 0
    waiting: int = 0
    handed_over: int = 0
    handler_failures: int = 0
    in_doubt: int = 0
    refused: int = 0


def pause_s(parcel: Parcel[AnyTask]) -> float:
    """Return the seconds until the handler is called again for an end: spread, so that many do not come at once."""
    doublings = min(parcel.failures - 1, 16)
    whole = min(CALL_AGAIN_LONGEST_S, CALL_AGAIN_FIRST_S * 2.0**doublings)
    drawn = draw(parcel.entry.key, parcel.failures)
    return whole * (1 - CALL_AGAIN_JITTER + 2 * CALL_AGAIN_JITTER * drawn)
