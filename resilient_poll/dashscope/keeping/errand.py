"""One create on its way: how it is sent, and what stands for its answer where it was broken off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resilient_poll.drive.clocks import Clock
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import LostAnswer, Observation, Unreachable
from resilient_poll.machine.submission import Submission

__all__ = ["BROKEN_OFF", "UNSENT", "Errand"]

BROKEN_OFF = LostAnswer(reason="the submit was broken off while it was out")
UNSENT = Unreachable(reason="the submit was broken off before it was sent")


@dataclass(frozen=True, slots=True)
class Errand:
    """How one create is sent, by code that blocks.

    Attributes:
        submission: Its machine, which has been told that it starts.
        clock: What time it is, and how to sleep.
        exchange: Sends it.
        understand: Says what that means.
        is_prevented: Sees to it that it does not leave any more, and says whether it surely did not.
        tell: Is told that an id could not be written down at once, and is written again.
    """

    submission: Submission
    clock: Clock
    exchange: Callable[[], Answer | ExchangeFailed]
    understand: Callable[[Answer | ExchangeFailed], Observation]
    is_prevented: Callable[[], bool]
    tell: Callable[[NotSaved, Instant], None]
