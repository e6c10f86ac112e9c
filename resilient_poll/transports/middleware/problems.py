"""What the transports refuse or give up, as errors.

::

    ResilientPollError
    └── TransportProblem
        ├── CircuitOpen     the breaker lets nothing through; nothing was sent
        ├── NoSlot          no place came free in time; nothing was sent
        ├── RateExceeded    our own rate leaves no start in time; nothing was sent
        ├── ComeBackLater   the service asked for more patience than there is; it refused the last attempt
        └── TotalTimeout    the total time is up

What is raised is always one of these *and* an error of the client's library: ``TransportError``,
and for ``TotalTimeout`` its ``TimeoutException``. A transport is put under code that somebody
else wrote, SDKs included, and that code handles its library's errors; a new kind of error
would pass through all of it. That is no way to pay twice: ``surely_not_sent`` says what is
known, and the clients of this package raise errors of their own, which are neither.
"""

from __future__ import annotations

from typing import Any

from resilient_poll.error_kinds import SafeToSubmitAgain, TryAgain
from resilient_poll.errors import ResilientPollError

__all__ = ["CircuitOpen", "ComeBackLater", "NoSlot", "RateExceeded", "TotalTimeout", "TransportProblem"]


class TransportProblem(ResilientPollError):
    """A transport of ours refused a request or gave it up.

    Args:
        summary: What happened, in one sentence.
        come_back_in_s: How many seconds from now another try makes sense, if that is known.
        surely_not_sent: Whether the service surely does not act on the request.

    Attributes:
        come_back_in_s, surely_not_sent: As above.
    """

    try_again: TryAgain = TryAgain.LATER

    def __init__(self, summary: str, *, come_back_in_s: float | None = None, surely_not_sent: bool = True) -> None:
        self.come_back_in_s = come_back_in_s
        self.surely_not_sent = surely_not_sent
        self.safe_to_submit_again = SafeToSubmitAgain.YES if surely_not_sent else SafeToSubmitAgain.UNKNOWN
        super().__init__(summary)


class CircuitOpen(TransportProblem):
    """The breaker lets nothing through for now; nothing was sent."""


class NoSlot(TransportProblem):
    """No place came free in time, or the line is full; nothing was sent."""


class RateExceeded(TransportProblem):
    """Our own limit leaves no start in time; nothing was sent."""


class ComeBackLater(TransportProblem):
    """The service asked for a pause that is longer than the time that is left.

    Args:
        summary: What happened, in one sentence.
        come_back_in_s: After how many seconds the service wants to be asked again.
        response: The library's response that said so, read into memory.
        surely_not_sent: Whether the service surely does not act on the request.

    Attributes:
        response: As above.
        status_code: Its HTTP status.
    """

    def __init__(self, summary: str, *, come_back_in_s: float, response: Any, surely_not_sent: bool) -> None:
        self.response = response
        self.status_code: int = response.status_code
        super().__init__(summary, come_back_in_s=come_back_in_s, surely_not_sent=surely_not_sent)


class TotalTimeout(TransportProblem):
    """The total time is up, attempts, pauses and the answer's body included."""
