"""The core: a state machine with no clock, no chance, no network, no files and no log.

Observations go in (:mod:`.observations`), commands come out (:mod:`.commands`). The two
machines are :class:`.submission.Submission`, from wanted to accepted, and
:class:`.poller.Poller`, from accepted to an end.
"""

from resilient_poll.machine.commands import Command, Done, DoneReason, Query, SleepReason, SleepUntil, Submit
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import BILLING_BY_PHASE, ENDS, MOVES, OPEN, Billing, Lifecycle, Phase
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    Observation,
    Refused,
    StatusSeen,
    SubmitStarted,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Exponential, Fixed, Linear, Schedule
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = [
    "BILLING_BY_PHASE",
    "ENDS",
    "MOVES",
    "OPEN",
    "Accepted",
    "AnsweredAtOnce",
    "Billing",
    "Command",
    "Done",
    "DoneReason",
    "Exponential",
    "Fixed",
    "Floor",
    "Instant",
    "Lifecycle",
    "Linear",
    "Lookup",
    "LostAnswer",
    "Observation",
    "Phase",
    "Poller",
    "Query",
    "Refused",
    "Schedule",
    "SleepReason",
    "SleepUntil",
    "StatusSeen",
    "Submission",
    "Submit",
    "SubmitPolicy",
    "SubmitStarted",
    "TaskRecord",
    "Throttled",
    "Unreachable",
    "Unreadable",
    "WaitPolicy",
]
