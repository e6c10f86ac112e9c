"""What people construct: the arguments of each transport, for both colours and both libraries."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from resilient_poll.errors import ConfigurationError
from resilient_poll.transports.middleware.breaker_layer import BreakerLayer
from resilient_poll.transports.middleware.concurrency_layer import ConcurrencyLayer
from resilient_poll.transports.middleware.effects import Layer
from resilient_poll.transports.middleware.notices import RequestEvent, Teller
from resilient_poll.transports.middleware.pacing_layers import HeadroomLayer, RateLayer
from resilient_poll.transports.middleware.retry_layer import RetryLayer, RetryPolicy
from resilient_poll.transports.middleware.timeout_layer import TimeoutLayer
from resilient_poll.transports.rules.breaker import BreakerPolicy
from resilient_poll.transports.rules.budget import RetryBudget
from resilient_poll.transports.rules.headroom import HeadroomPolicy
from resilient_poll.transports.rules.rates import Rate
from resilient_poll.transports.slots import Slots

__all__ = [
    "BreakerFace",
    "ConcurrencyFace",
    "HeadroomFace",
    "RateFace",
    "ResilientFace",
    "RetryFace",
    "TimeoutFace",
]

Inner = TypeVar("Inner")
ClockOf = TypeVar("ClockOf")
Listener = Callable[[RequestEvent], None]
KeyOf = Callable[[Any], str]

LONGEST_WAIT_S = 60.0
"""How long a request waits for its turn by default: a minute's window, the longest that most services have."""
LONGEST_LINE = 1000
"""How many requests wait for a place by default; each holds a thread or a task, and its caller's patience."""
TOTAL_S = 300.0
"""The standard stack's total time: five minutes are longer than what most calls take, and shorter than for ever."""


class _Face(Generic[Inner, ClockOf]):
    def _stack(self, inner: Inner | None, layers: tuple[Layer, ...], clock: ClockOf | None) -> None:
        raise NotImplementedError  # a shell comes before this class


class RetryFace(_Face[Inner, ClockOf]):
    """Sends a request again where that may help and does no harm.

    Safe methods are repeated, and others only if they surely were not sent, were refused for their rate, or carry an
    idempotency key. The answer, or the error, of the last attempt is handed on as it is.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        policy: What is repeated, how often, and with which pauses.
        budget: How many retries there are; unless given, all clients of this process share one for each origin, so that
            together they do not make an outage worse.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
        draw: Returns a number from 0 to 1.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        policy: RetryPolicy | None = None,
        *,
        budget: RetryBudget | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        layer = RetryLayer(policy or RetryPolicy(), budget, Teller(on_event), draw)
        self._stack(inner, (layer,), clock)


class TimeoutFace(_Face[Inner, ClockOf]):
    """Keeps a total time over everything beneath: attempts, pauses, headers that drip, and the answer's body.

    A request marked ``"never"`` (see :data:`.REPEAT`) is not cut once it is under way: giving up a request that costs
    money does not undo it.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        total_s: In seconds; a request's own ``resilient_poll.timeout_s`` can only make it shorter.
        clock: Passed in by tests.
    """

    def __init__(self, inner: Inner | None = None, total_s: float = TOTAL_S, *, clock: ClockOf | None = None) -> None:
        self._stack(inner, (TimeoutLayer(total_s),), clock)


class BreakerFace(_Face[Inner, ClockOf]):
    """Stops asking a server that is not well, for a while, and then asks carefully.

    One breaker for each origin and key. Faults of the server (5xx) and of the network, and slow calls, count;
    a 429 does not.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        policy: When it opens and closes.
        key: Names what shares an origin, given a request; unless given, the request's ``resilient_poll.key``.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        policy: BreakerPolicy | None = None,
        *,
        key: KeyOf | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
    ) -> None:
        self._stack(inner, (BreakerLayer(policy or BreakerPolicy(), key, Teller(on_event)),), clock)


class RateFace(_Face[Inner, ClockOf]):
    """Starts at most so many requests per window, for each origin and key, in the order in which they came.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        rate: How many, as in ``Rate.per_minute(60)``.
        max_wait_s: Nobody waits longer for a start; who would have to fails at once.
        key: Names what shares an origin, given a request; unless given, the request's ``resilient_poll.key``.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        rate: Rate | None = None,
        *,
        max_wait_s: float = LONGEST_WAIT_S,
        key: KeyOf | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
    ) -> None:
        if rate is None:
            raise ConfigurationError("a rate limit takes a rate, as in RateLimitTransport(rate=Rate.per_minute(60))")
        self._stack(inner, (RateLayer(rate, max_wait_s, key, Teller(on_event)),), clock)


class HeadroomFace(_Face[Inner, ClockOf]):
    """Slows down by a service's ``X-RateLimit-*`` headers before their cap is reached, for each origin and key.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        policy: When to slow down.
        key: Names what shares an origin, given a request; unless given, the request's ``resilient_poll.key``.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        policy: HeadroomPolicy | None = None,
        *,
        key: KeyOf | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
    ) -> None:
        self._stack(inner, (HeadroomLayer(policy or HeadroomPolicy(), key, Teller(on_event)),), clock)


class ConcurrencyFace(_Face[Inner, ClockOf]):
    """Keeps at most so many requests under way, for each origin and key; who comes too many waits in a fair line.

    A place is held until the answer's body is read or closed.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        places: How many.
        longest_line: How many may wait; who comes then fails at once.
        max_wait_s: Nobody waits longer.
        slots: What several processes share; see :class:`.Slots`.
        key: Names what shares an origin, given a request; unless given, the request's ``resilient_poll.key``.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        places: int = 10,
        *,
        longest_line: int = LONGEST_LINE,
        max_wait_s: float = LONGEST_WAIT_S,
        slots: Slots | None = None,
        key: KeyOf | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
    ) -> None:
        layer = ConcurrencyLayer(places, longest_line, max_wait_s, slots, key, Teller(on_event))
        self._stack(inner, (layer,), clock)


class ResilientFace(_Face[Inner, ClockOf]):
    """The standard stack in one transport: total time, retries, breaker, places, rate, headroom, in this order.

    The total time is outermost, so that it bounds everything. The retries come next, so that each attempt is judged by
    the breaker, takes a place and counts for the rates, and none holds a place while it pauses. Breaker, places,
    rate and headroom are there only if they are asked for.

    Args:
        inner: What is beneath; the library's own transport unless given. It is closed with this one.
        total_s: The total time of a request in seconds, its answer's body included; None for none.
        retry: What is repeated; None repeats nothing.
        budget: How many retries there are; unless given, all clients of this process share one for each origin.
        breaker: When to stop asking; None never does.
        places: How many requests may be under way at the same time; None for any number.
        longest_line: How many may wait for a place.
        slots: What several processes share besides; needs ``places``.
        rate: How many requests may start; None for any number.
        headroom: When to slow down by rate headers; None never does.
        max_wait_s: Nobody waits longer for a place, and nobody longer for a start.
        key: Names what shares an origin, given a request; unless given, the request's ``resilient_poll.key``.
        on_event: Called with each event; they are logged in any case.
        clock: Passed in by tests.
        draw: Returns a number from 0 to 1.
    """

    def __init__(
        self,
        inner: Inner | None = None,
        *,
        total_s: float | None = TOTAL_S,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008  # frozen: nobody can change it for others
        budget: RetryBudget | None = None,
        breaker: BreakerPolicy | None = None,
        places: int | None = None,
        longest_line: int = LONGEST_LINE,
        slots: Slots | None = None,
        rate: Rate | None = None,
        headroom: HeadroomPolicy | None = None,
        max_wait_s: float = LONGEST_WAIT_S,
        key: KeyOf | None = None,
        on_event: Listener | None = None,
        clock: ClockOf | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if slots is not None and places is None:
            raise ConfigurationError("slots= needs places=: how many requests of this process may be under way")
        teller = Teller(on_event)
        layers: list[Layer] = []
        if total_s is not None:
            layers.append(TimeoutLayer(total_s))
        if retry is not None:
            layers.append(RetryLayer(retry, budget, teller, draw))
        if breaker is not None:
            layers.append(BreakerLayer(breaker, key, teller))
        if places is not None:
            layers.append(ConcurrencyLayer(places, longest_line, max_wait_s, slots, key, teller))
        if rate is not None:
            layers.append(RateLayer(rate, max_wait_s, key, teller))
        if headroom is not None:
            layers.append(HeadroomLayer(headroom, key, teller))
        self._stack(inner, tuple(layers), clock)
