"""What can be asked of a driver: the machine's output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BatchCommand",
    "Command",
    "Done",
    "DoneReason",
    "Query",
    "Settled",
    "SleepReason",
    "SleepUntil",
    "Submit",
    "Take",
    "Turn",
]


class DoneReason(StrEnum):
    """Why there is nothing left to do."""

    ENDED = "ENDED"
    """The task reached an end."""
    DEADLINE = "DEADLINE"
    """The caller's time is up; the task goes on."""
    PHASE_LIMIT = "PHASE_LIMIT"
    """The task stayed longer in its phase than the policy allows; it goes on."""
    ERROR_BUDGET = "ERROR_BUDGET"
    """Too many polls failed in a row; the task goes on."""
    POLL_REFUSED = "POLL_REFUSED"
    """The service refuses to answer; the task goes on."""
    COME_BACK_LATER = "COME_BACK_LATER"
    """The service's ``Retry-After`` lies beyond the deadline."""
    ACCEPTED = "ACCEPTED"
    """The submit was accepted."""
    ANSWERED = "ANSWERED"
    """The submit, or a look-up, was answered with the result itself."""
    REFUSED = "REFUSED"
    """The submit was refused."""
    IN_DOUBT = "IN_DOUBT"
    """The submit may have been accepted."""


class SleepReason(StrEnum):
    """Why the machine waits."""

    SCHEDULE = "SCHEDULE"
    """The next poll is not due."""
    BACKOFF = "BACKOFF"
    """The last attempt failed."""
    SERVER = "SERVER"
    """The service asked for it, of this task or of another on the same account."""
    LIMIT = "LIMIT"
    """The account's own limits give this turn to another of its requests."""
    SLOT = "SLOT"
    """As many tasks of the account are open as may be, those of other processes included."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the submit, once.

    Attributes:
        attempt: Which sending this is, from 1.
        timeout_s: The longest that the sending may take. Nothing else cuts it.
    """

    attempt: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Query:
    """Ask for the task's status.

    Attributes:
        attempt: Which query of the task this is, from 1.
        timeout_s: The total time it may take, answer body included.
    """

    attempt: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """Do nothing until an instant.

    Attributes:
        at_s: The instant, in monotonic seconds.
        reason: Why.
    """

    at_s: float
    reason: SleepReason


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do.

    Attributes:
        reason: Why.
        come_back_at_s: The earliest instant at which asking again makes sense, in
            monotonic seconds, if the service named one.
    """

    reason: DoneReason
    come_back_at_s: float | None = None


Command = Submit | Query | SleepUntil | Done


@dataclass(frozen=True, slots=True)
class Take:
    """One more job could be sent: take it, or say that there are no more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Send the request of one of many, once, and say what came of it.

    Attributes:
        ordinal: Whose.
        command: What to send. The licence of a submit is used up with this.
    """

    ordinal: int
    command: Submit | Query


@dataclass(frozen=True, slots=True)
class Settled:
    """For one of many there is nothing left to do. An accepted submit may go on with its wait.

    Attributes:
        ordinal: Whose.
        done: Why.
    """

    ordinal: int
    done: Done


BatchCommand = Take | Turn | Settled | SleepUntil | Done
