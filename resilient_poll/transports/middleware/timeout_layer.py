"""A total time for everything beneath."""

from __future__ import annotations

from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.effects import Below, Flow
from resilient_poll.transports.rules.checks import check_seconds
from resilient_poll.transports.rules.deadlines import earlier
from resilient_poll.transports.rules.marks import timeout_mark

__all__ = ["TimeoutLayer"]


class TimeoutLayer:
    """Sets the instant by which the caller wants to hear; the shell keeps it.

    Args:
        total_s: For how many seconds a request may take, its answer's body included.

    Raises:
        ConfigurationError: It makes no sense.
    """

    def __init__(self, total_s: float) -> None:
        check_seconds("total_s", total_s)
        self._total_s = total_s

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        self.open(call)
        return (yield from below(call))

    def open(self, call: Call) -> None:
        """Do all that is to be done, before the sending; see :class:`.Opening`."""
        asked_s, until_s = timeout_mark(call.original.extensions), call.started_s + self._total_s
        if asked_s is not None:
            until_s = min(until_s, call.started_s + asked_s)
        call.deadline_s = until_s if call.deadline_s is None else earlier(call.deadline_s, until_s)
