"""Which creates of a client can have left."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from resilient_poll.dashscope.keeping.errand import UNSENT
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.submission import Submission
from resilient_poll.transports.once_body import Departure

__all__ = ["Departures"]


class Departures:
    """Of each submit, the create that it began last."""

    def __init__(self) -> None:
        self._last: WeakKeyDictionary[Submission, tuple[int, Departure]] = WeakKeyDictionary()

    def begin(self, submission: Submission) -> Departure:
        """Return what tells of the create that a submit begins now whether it can have left."""
        departure = Departure()
        self._last[submission] = submission.attempts, departure
        return departure

    def note_unsent(self, submission: Submission, now: Instant) -> None:
        """Tell a submit that was broken off that it was not sent, if that is sure; so nobody is told of a doubt.

        Only for who would have sent it itself: nobody may be about to.
        """
        if submission.phase is not Phase.SUBMITTING or submission.accepted or submission.answered:
            return
        attempt, departure = self._last.get(submission, (0, None))
        if departure is None or attempt != submission.attempts or departure.prevent():
            submission.receive(UNSENT, now)
