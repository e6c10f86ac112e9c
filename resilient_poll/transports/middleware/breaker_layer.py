"""Let nothing through to a server that is not well."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.sent import is_library_error, is_of_the_network, names_of
from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.effects import Below, Flow
from resilient_poll.transports.middleware.notices import BreakerMoved, Teller
from resilient_poll.transports.middleware.problems import CircuitOpen, TotalTimeout, TransportProblem
from resilient_poll.transports.rules.breaker import (
    Admitted,
    Breaker,
    BreakerPolicy,
    CallResult,
    Move,
    Rejected,
    judge_call,
)
from resilient_poll.transports.rules.origins import PerOrigin

__all__ = ["BreakerLayer"]


class BreakerLayer:
    """One breaker for each origin and key.

    Args:
        policy: When they open and close.
        key: Names what shares an origin, given the library's request.
        teller: Is told when one moves.

    Raises:
        ConfigurationError: It is no policy.
    """

    def __init__(self, policy: BreakerPolicy, key: Callable[[Any], str] | None, teller: Teller) -> None:
        if not isinstance(policy, BreakerPolicy):
            raise ConfigurationError(f"a breaker takes a BreakerPolicy, not {policy!r:.40}")
        self._policy = policy
        self._key = key
        self._teller = teller
        self._lock = threading.Lock()
        self._breakers = PerOrigin(lambda: Breaker(policy))

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        scope = call.scope(self._key)  # Before the lock: what names the key may send requests of its own.
        now_s = call.watch.now_s()
        with self._lock:
            breaker = self._breakers.of(scope)
            answer, move = breaker.admit(now_s)
        self._tell(call, move, now_s)
        if isinstance(answer, Rejected):
            raise call.kit.problem(
                CircuitOpen,
                f"the breaker for {call.original.url.host} is {breaker.state}: too many calls failed or were slow; "
                f"nothing was sent, ask again in {answer.come_back_in_s:.2f} s",
                come_back_in_s=answer.come_back_in_s,
            )
        call.sent_s = None
        result = CallResult.NOTHING
        try:
            response = yield from below(call)
            result = judge_call(response.status_code, self._took_s(call), self._policy)
        except Exception as error:
            result = self._judge_failure(call, error)
            raise
        finally:
            self._note(call, breaker, answer, result)
        call.on_end(lambda error: self._body_ended(call, breaker, answer, error))
        return response

    def _judge_failure(self, call: Call, error: Exception) -> CallResult:
        if isinstance(error, TransportProblem):
            # A server that hangs is only heard of by the caller's own time running out. A time that was
            # nearly over when the request left says nothing of the server.
            slow_s = self._policy.slow_call_s or 0.0
            hung = isinstance(error, TotalTimeout) and call.sent_s is not None and self._took_s(call) >= slow_s
            return CallResult.FAILED if hung else CallResult.NOTHING
        if not (is_library_error(error) and is_of_the_network(error)) or "PoolTimeout" in names_of(error):
            return CallResult.NOTHING
        return judge_call(None, self._took_s(call), self._policy)

    def _took_s(self, call: Call) -> float:
        return 0.0 if call.sent_s is None else call.watch.now_s() - call.sent_s

    def _body_ended(self, call: Call, breaker: Breaker, admitted: Admitted, error: Exception | None) -> None:
        if error is not None and not isinstance(error, TransportProblem):
            self._note(call, breaker, admitted, CallResult.FAILED)

    def _note(self, call: Call, breaker: Breaker, admitted: Admitted, result: CallResult) -> None:
        now_s = call.watch.now_s()
        with self._lock:
            move = breaker.note(admitted, result, now_s)
        self._tell(call, move, now_s)

    def _tell(self, call: Call, move: Move | None, now_s: float) -> None:
        if move is not None:
            self._teller.tell(BreakerMoved, now_s, call.original, move.before, move.after, move.why)
