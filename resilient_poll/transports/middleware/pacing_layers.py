"""Do not send faster than our own rate, or than the service's headers allow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.headroom import read_headroom
from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.effects import Below, Flow, Sleep
from resilient_poll.transports.middleware.notices import HeldBack, Teller
from resilient_poll.transports.middleware.problems import RateExceeded
from resilient_poll.transports.rules.checks import check_seconds
from resilient_poll.transports.rules.headroom import HeadroomPolicy, Throttle
from resilient_poll.transports.rules.origins import PerOrigin
from resilient_poll.transports.rules.rates import Bucket, Rate

__all__ = ["HeadroomLayer", "RateLayer"]


class _Starts(Protocol):
    def earliest_s(self, now_s: float) -> float: ...

    def reserve(self, now_s: float) -> float: ...


class RateLayer:
    """One token bucket for each origin and key.

    Args:
        rate: At most so many.
        max_wait_s: Nobody waits longer than this for a start.
        key: Names what shares an origin, given the library's request.
        teller: Is told who is held back.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    def __init__(self, rate: Rate, max_wait_s: float, key: Callable[[Any], str] | None, teller: Teller) -> None:
        if not isinstance(rate, Rate):
            raise ConfigurationError(f"a rate limit takes a Rate, as in Rate.per_second(5), not {rate!r:.40}")
        check_seconds("max_wait_s", max_wait_s, is_zero_allowed=True)
        self._max_wait_s = max_wait_s
        self._key = key
        self._teller = teller
        self._lock = threading.Lock()
        self._buckets = PerOrigin(lambda: Bucket(rate))

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        scope = call.scope(self._key)
        now_s = call.watch.now_s()
        with self._lock:
            bucket = self._buckets.of(scope)
            at_s = _start(call, bucket, now_s, self._max_wait_s, "our own rate")
        if at_s > now_s:
            self._teller.tell(HeldBack, now_s, call.original, "rate", at_s - now_s)
            yield Sleep(at_s - now_s)
        return (yield from below(call))


class HeadroomLayer:
    """Slows down by what the service's rate headers say; one belief for each origin and key.

    Args:
        policy: When to slow down.
        key: Names what shares an origin, given the library's request.
        teller: Is told who is held back.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    def __init__(self, policy: HeadroomPolicy, key: Callable[[Any], str] | None, teller: Teller) -> None:
        if not isinstance(policy, HeadroomPolicy):
            raise ConfigurationError(f"slowing down by headers takes a HeadroomPolicy, not {policy!r:.40}")
        self._policy = policy
        self._key = key
        self._teller = teller
        self._lock = threading.Lock()
        self._throttles = PerOrigin(lambda: Throttle(policy))

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        scope = call.scope(self._key)
        now_s = call.watch.now_s()
        with self._lock:
            throttle = self._throttles.of(scope)
            at_s = _start(call, throttle, now_s, self._policy.longest_s, "the service's own rate headers")
        if at_s > now_s:
            self._teller.tell(HeldBack, now_s, call.original, "headroom", at_s - now_s)
            yield Sleep(at_s - now_s)
        response = yield from below(call)
        # Most services send none of these headers, and asking for nine costs more than a look at the names.
        if any(b"ratelimit-remaining" in name.lower() for name, _ in response.headers.raw):
            headers = response.headers
            said = read_headroom(lambda name: tuple(headers.get_list(name)), call.watch.wall_s())
            with self._lock:
                throttle.note(said, call.watch.now_s())
        return response


def _start(call: Call, starts: _Starts, now_s: float, max_wait_s: float, whose: str) -> float:
    """Reserve a start, unless it would come too late for the caller; then nothing changes."""
    at_s = starts.earliest_s(now_s)
    if at_s <= now_s:
        return starts.reserve(now_s)
    left_s = call.left_s(now_s)
    patience_s = max_wait_s if left_s is None else min(max_wait_s, left_s)
    if at_s - now_s > patience_s:
        raise call.kit.problem(
            RateExceeded,
            f"{whose} leaves no start for {at_s - now_s:.2f} s, and only {max(0.0, patience_s):.2f} s may be waited; "
            "nothing was sent",
            come_back_in_s=at_s - now_s,
        )
    return starts.reserve(now_s)
