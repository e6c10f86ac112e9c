"""Transports for clients of httpx: each alone, or the standard stack in one.

``httpx.Client(transport=resilient_transport())`` is all that it takes. Their arguments and
what they do stand in :mod:`.middleware.faces`; the module for the other library is the same
but for its name.
"""

from __future__ import annotations

from resilient_poll.transports.httpx_library import (
    LIBRARY,
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncHTTPTransport,
    BaseTransport,
    ByteStream,
    HTTPTransport,
    ReadTimeout,
    Request,
    Response,
    SyncByteStream,
    TimeoutException,
    TransportError,
)
from resilient_poll.transports.middleware import bodies, problems
from resilient_poll.transports.middleware.awaiting import AwaitingShell
from resilient_poll.transports.middleware.blocking import BlockingShell
from resilient_poll.transports.middleware.faces import (
    BreakerFace,
    ConcurrencyFace,
    HeadroomFace,
    RateFace,
    ResilientFace,
    RetryFace,
    TimeoutFace,
)
from resilient_poll.transports.middleware.kit import Kit
from resilient_poll.transports.middleware.watch import AwaitingClock, BlockingClock

__all__ = [
    "AsyncCircuitBreakerTransport",
    "AsyncConcurrencyTransport",
    "AsyncHeadroomTransport",
    "AsyncRateLimitTransport",
    "AsyncResilientTransport",
    "AsyncRetryTransport",
    "AsyncTimeoutTransport",
    "CircuitBreakerTransport",
    "ConcurrencyTransport",
    "HeadroomTransport",
    "RateLimitTransport",
    "ResilientTransport",
    "RetryTransport",
    "TimeoutTransport",
    "async_resilient_transport",
    "resilient_transport",
]


class CircuitOpen(problems.CircuitOpen, TransportError):
    """:class:`resilient_poll.CircuitOpen`, as an error of httpx too."""


class ComeBackLater(problems.ComeBackLater, TransportError):
    """:class:`resilient_poll.ComeBackLater`, as an error of httpx too."""


class NoSlot(problems.NoSlot, TransportError):
    """:class:`resilient_poll.NoSlot`, as an error of httpx too."""


class RateExceeded(problems.RateExceeded, TransportError):
    """:class:`resilient_poll.RateExceeded`, as an error of httpx too."""


class TotalTimeout(problems.TotalTimeout, TimeoutException):
    """:class:`resilient_poll.TotalTimeout`, as a time-out of httpx too."""


class _BlockingBody(bodies.BlockingBody, SyncByteStream):
    """httpx asserts that streams are of its own classes."""


class _CutBody(bodies.CutBody, SyncByteStream):
    """httpx asserts that streams are of its own classes."""


class _AwaitingBody(bodies.AwaitingBody, AsyncByteStream):
    """httpx asserts that streams are of its own classes."""


class _WatchedBody(bodies.WatchedBody, SyncByteStream, AsyncByteStream):
    """httpx asserts that streams are of its own classes."""


_KIT = Kit(
    library=LIBRARY,
    byte_stream=ByteStream,
    blocking_transport=HTTPTransport,
    awaiting_transport=AsyncHTTPTransport,
    read_timeout=ReadTimeout,
    blocking_body=_BlockingBody,
    cut_body=_CutBody,
    awaiting_body=_AwaitingBody,
    watched_body=_WatchedBody,
    problems={
        problems.CircuitOpen: CircuitOpen,
        problems.ComeBackLater: ComeBackLater,
        problems.NoSlot: NoSlot,
        problems.RateExceeded: RateExceeded,
        problems.TotalTimeout: TotalTimeout,
    },
)


class _Blocking(BlockingShell, BaseTransport):
    """A shell that httpx takes for a transport."""

    _kit = _KIT

    def handle_request(self, request: Request) -> Response:
        response: Response = self._carry(request)
        return response


class _Awaiting(AwaitingShell, AsyncBaseTransport):
    """A shell that httpx takes for a transport."""

    _kit = _KIT

    async def handle_async_request(self, request: Request) -> Response:
        response: Response = await self._carry(request)
        return response


class RetryTransport(_Blocking, RetryFace[BaseTransport, BlockingClock]):
    """See :class:`.RetryFace`."""

    __doc__ = RetryFace.__doc__


class AsyncRetryTransport(_Awaiting, RetryFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.RetryFace`; for code that awaits."""

    __doc__ = RetryFace.__doc__


class TimeoutTransport(_Blocking, TimeoutFace[BaseTransport, BlockingClock]):
    """See :class:`.TimeoutFace`."""

    __doc__ = TimeoutFace.__doc__


class AsyncTimeoutTransport(_Awaiting, TimeoutFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.TimeoutFace`; for code that awaits."""

    __doc__ = TimeoutFace.__doc__


class CircuitBreakerTransport(_Blocking, BreakerFace[BaseTransport, BlockingClock]):
    """See :class:`.BreakerFace`."""

    __doc__ = BreakerFace.__doc__


class AsyncCircuitBreakerTransport(_Awaiting, BreakerFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.BreakerFace`; for code that awaits."""

    __doc__ = BreakerFace.__doc__


class RateLimitTransport(_Blocking, RateFace[BaseTransport, BlockingClock]):
    """See :class:`.RateFace`."""

    __doc__ = RateFace.__doc__


class AsyncRateLimitTransport(_Awaiting, RateFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.RateFace`; for code that awaits."""

    __doc__ = RateFace.__doc__


class HeadroomTransport(_Blocking, HeadroomFace[BaseTransport, BlockingClock]):
    """See :class:`.HeadroomFace`."""

    __doc__ = HeadroomFace.__doc__


class AsyncHeadroomTransport(_Awaiting, HeadroomFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.HeadroomFace`; for code that awaits."""

    __doc__ = HeadroomFace.__doc__


class ConcurrencyTransport(_Blocking, ConcurrencyFace[BaseTransport, BlockingClock]):
    """See :class:`.ConcurrencyFace`."""

    __doc__ = ConcurrencyFace.__doc__


class AsyncConcurrencyTransport(_Awaiting, ConcurrencyFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.ConcurrencyFace`; for code that awaits."""

    __doc__ = ConcurrencyFace.__doc__


class ResilientTransport(_Blocking, ResilientFace[BaseTransport, BlockingClock]):
    """See :class:`.ResilientFace`."""

    __doc__ = ResilientFace.__doc__


class AsyncResilientTransport(_Awaiting, ResilientFace[AsyncBaseTransport, AwaitingClock]):
    """See :class:`.ResilientFace`; for code that awaits."""

    __doc__ = ResilientFace.__doc__


resilient_transport = ResilientTransport
async_resilient_transport = AsyncResilientTransport
