"""Send again what may be sent again."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.http.sent import describe, is_library_error, is_of_the_network, surely_not_sent
from resilient_poll.transports.middleware.call import Call, clone
from resilient_poll.transports.middleware.common_budget import common_budget
from resilient_poll.transports.middleware.effects import Below, Discard, Flow, Gather, Sleep
from resilient_poll.transports.middleware.notices import AttemptEnded, GaveUp, Retrying, Teller
from resilient_poll.transports.middleware.problems import ComeBackLater, TransportProblem
from resilient_poll.transports.rules.backoff import Backoff
from resilient_poll.transports.rules.budget import RetryBudget
from resilient_poll.transports.rules.checks import check_count, check_seconds
from resilient_poll.transports.rules.marks import ATTEMPTS, Attempt
from resilient_poll.transports.rules.refusals import LONGEST_REFUSAL_BYTES, Refusal, read_refusal
from resilient_poll.transports.rules.repeating import RETRY_STATUSES, SAFE_METHODS, Happened, Kind, may_repeat, why_not
from resilient_poll.transports.wire import undone

__all__ = ["RetryLayer", "RetryPolicy"]

_TOO_MANY = 429
_NOTHING = Happened(Kind.OURS)
_ENDLESS = "text/event-stream"
"""A body of this type is made to be read while it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """What is sent again, how often, and with which pauses.

    Args:
        attempts: How often a request is sent at most, the first time included.
        backoff: The pauses between attempts.
        total_s: No attempt begins later than this many seconds after the first; where the request or a
            :class:`TimeoutTransport` leaves less, that counts.
        statuses: Which answers are worth another attempt.
        idempotency_header: A request with this header may be repeated whatever its method.
        attempt_timeout_s: How many seconds an attempt may take until the answer's head, and until the end of a
            body that is read within it; None for no limit of its own.
        body_bytes: Bodies up to this many bytes are read within the attempt, so that one that breaks off is asked
            for again; 0 leaves them alone. What is longer, and a stream of events, is handed on as it comes.
        too_late: What to do where the service asks for a longer pause than there is time: ``raise``
            :class:`ComeBackLater`, or ``return`` its answer, for an SDK that reads it itself.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    attempts: int = 3
    backoff: Backoff = field(default_factory=Backoff)
    total_s: float = 60.0
    statuses: frozenset[int] = RETRY_STATUSES
    idempotency_header: str = "Idempotency-Key"
    attempt_timeout_s: float | None = None
    body_bytes: int = 0
    too_late: Literal["raise", "return"] = "raise"

    def __post_init__(self) -> None:
        check_count("RetryPolicy.attempts", self.attempts)
        check_seconds("RetryPolicy.total_s", self.total_s)
        check_count("RetryPolicy.body_bytes", self.body_bytes, least=0)
        if self.attempt_timeout_s is not None:
            check_seconds("RetryPolicy.attempt_timeout_s", self.attempt_timeout_s)
        if self.too_late not in {"raise", "return"}:
            raise ConfigurationError(f"RetryPolicy.too_late is 'raise' or 'return', not {self.too_late!r:.40}")


class _Tries:
    """The attempts of one call, and what became of the present one."""

    __slots__ = ("attempts", "budget", "error", "happened", "is_harmless", "response", "started_s", "waited_s")
    started_s: float
    waited_s: float

    def __init__(self, attempts: list[Attempt], budget: RetryBudget, *, is_harmless: bool) -> None:
        self.attempts = attempts
        self.budget = budget
        self.is_harmless = is_harmless
        self.response: Any = None
        self.error: Exception | None = None
        self.happened = _NOTHING

    def note(self, now_s: float) -> Attempt:
        """Note that the present attempt is over."""
        response, error, began_s = self.response, self.error, self.started_s
        status = None if response is None else response.status_code
        failure = None if error is None else describe(error)
        noted = Attempt(len(self.attempts) + 1, began_s, max(0.0, now_s - began_s), status, failure, self.waited_s)
        self.attempts.append(noted)
        return noted

    def unwrapped(self) -> Any:
        """Return the answer, or raise the error, and keep no frame alive by it."""
        error, self.error = self.error, None
        if error is None:
            return self.response
        try:
            raise error
        finally:
            del error

    @property
    def why(self) -> str:
        if self.error is not None:
            return describe(self.error)
        return f"HTTP {self.response.status_code}"


class RetryLayer:
    """Sends a request again while the rules, the budget and the time allow it.

    Args:
        policy: The rules.
        budget: Shared by all that may not make an outage worse together; None for the one that all clients of this
            process share for an origin, or for one of its own where the clock was passed in.
        teller: Is told of it.
        draw: Returns a number from 0 to 1.
    """

    def __init__(
        self, policy: RetryPolicy, budget: RetryBudget | None, teller: Teller, draw: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._own_budget = RetryBudget()
        self._teller = teller
        self._draw = draw

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through; see :class:`.Layer`."""
        made = self.begin(call)
        try:
            made.response = yield from below(call)
        except Exception as error:  # noqa: BLE001  # every one is raised again, unless it is sent again
            made.error = error
        else:
            if self.is_settled(call, made):
                return made.response
        return (yield from self.go_on(call, below, made))

    def begin(self, call: Call) -> _Tries:
        """Do what is to be done before the first sending; see :class:`.Trying`."""
        policy, request = self._policy, call.original
        attempts: list[Attempt] = []
        request.extensions[ATTEMPTS] = attempts
        is_harmless = (
            (call.mark is None and request.method in SAFE_METHODS)
            or may_repeat(method=request.method, mark=call.mark, has_idempotency_key=False)
            # Looking for a header costs more than all the rest of this.
            or (call.mark is None and policy.idempotency_header in request.headers)
        )
        budget = self._budget_of(call) if self._budget is None else self._budget
        budget.note_first()
        made = _Tries(attempts, budget, is_harmless=is_harmless)
        self._start(call, made, 0.0)
        return made

    def is_settled(self, call: Call, made: _Tries) -> bool:
        """Return whether the head of the first answer is all that there is to see; see :class:`.Trying`."""
        policy = self._policy
        if policy.body_bytes or made.response.status_code in policy.statuses:
            return False
        call.attempt_until_s = None
        self._note(call, made)
        return True

    def go_on(self, call: Call, below: Below, made: _Tries) -> Flow:
        """Judge the first attempt, and make more; see :class:`.Trying`."""
        while True:
            is_wrong = yield from self._judge(call, made)
            self._note(call, made)
            if not is_wrong:
                return made.response
            pause_s = yield from self._pause(call, made)
            if math.isinf(pause_s):
                return made.unwrapped()
            if made.response is not None:
                yield Discard(made.response)
            if pause_s:
                yield Sleep(pause_s)
            request = call.original
            call.request = clone(request, headers=request.headers.copy(), extensions=dict(request.extensions))
            self._start(call, made, pause_s)
            try:
                made.response = yield from below(call)
            except Exception as error:  # noqa: BLE001  # every one is raised again, unless it is sent again
                made.error = error

    def _start(self, call: Call, made: _Tries, waited_s: float) -> None:
        """Begin an attempt."""
        made.waited_s = waited_s
        made.started_s = call.watch.now_s()
        if made.attempts:
            made.response, made.error, made.happened = None, None, _NOTHING
        body = call.request.stream
        # Whether a body was read tells whether the request can have arrived, and whether it can be sent again.
        if not ((made.is_harmless and _is_replayable(call, body)) or call.is_sent_once or hasattr(body, "was_read")):
            body = call.kit.watched_body(body)
            call.request = clone(call.request, stream=body)
        if self._policy.attempt_timeout_s is not None:
            call.attempt_until_s = made.started_s + self._policy.attempt_timeout_s

    def _judge(self, call: Call, made: _Tries) -> Generator[Any, Any, bool]:
        """Return whether anything is wrong with an attempt, once as much of its answer was read as tells."""
        policy, response = self._policy, made.response
        try:
            if response is not None:
                is_wrong = response.status_code in policy.statuses
                if is_wrong:
                    refusal = yield from self._refusal(response)
                    made.happened = Happened(Kind.ANSWERED, response.status_code, refusal)
                if policy.body_bytes and response.headers.get("content-type", "").partition(";")[0].strip() != _ENDLESS:
                    yield Gather(response, policy.body_bytes)
                return bool(is_wrong)
        except Exception as error:  # noqa: BLE001  # every one is raised again, unless it is sent again
            made.error = error
        finally:
            call.attempt_until_s = None
        if made.error is not None:
            made.happened = _failure(made.error, call, had_answer=response is not None)
        made.response = None
        return True

    def _refusal(self, response: Any) -> Generator[Any, Any, Refusal]:
        body = b""
        if response.status_code == _TOO_MANY:
            raw = yield Gather(response, LONGEST_REFUSAL_BYTES)
            body = b"" if raw is None else undone(response, raw, LONGEST_REFUSAL_BYTES)
        return read_refusal(response.status_code, body)

    def _budget_of(self, call: Call) -> RetryBudget:
        timekeeper = call.watch.timekeeper()
        return self._own_budget if timekeeper is None else common_budget(timekeeper, call.original.url)

    def _pause(self, call: Call, made: _Tries) -> Generator[Any, Any, float]:
        """Return how long to wait for the next attempt; without end if there is none."""
        policy = self._policy
        body = call.request.stream
        why = why_not(
            made.happened,
            is_harmless=made.is_harmless,
            mark=call.mark,
            is_replayable=_is_replayable(call, body),
            statuses=policy.statuses,
        )
        number = len(made.attempts)
        if why is None and number >= policy.attempts:
            why = "all attempts are used up"
        if why is not None:
            self._give_up(call, made, why)
            return math.inf
        now_s = call.watch.now_s()
        asked_s = _asked_s(made.response, call)
        pause_s = policy.backoff.pause_s(number, self._draw(), asked_s)
        left_s = self._left_s(call, now_s)
        if asked_s is not None and asked_s >= left_s:
            return (yield from self._too_late(call, made, asked_s, left_s))
        if pause_s >= left_s:
            self._give_up(call, made, f"a pause of {pause_s:.2f} s leaves nothing of the {left_s:.2f} s that are left")
            return math.inf
        if not made.budget.take(now_s):
            self._give_up(call, made, "the budget of retries is used up")
            return math.inf
        self._teller.tell(Retrying, now_s, call.original, number + 1, pause_s, asked_s, made.why)
        return pause_s

    def _too_late(self, call: Call, made: _Tries, asked_s: float, left_s: float) -> Generator[Any, Any, float]:
        self._give_up(call, made, f"the service asks for {asked_s:g} s, and {left_s:.2f} s are left")
        response = made.response
        if self._policy.too_late == "raise":
            if (yield Gather(response, LONGEST_REFUSAL_BYTES)) is None:
                yield Discard(response)
            else:
                response.read()  # It is in memory, in either colour.
            response.request = call.original
            raise call.kit.problem(
                ComeBackLater,
                f"the service answered {response.status_code} and asks for a pause of {asked_s:g} s, as long as "
                f"the {left_s:.2f} s that are left of the total time, or longer; ask again in {asked_s:g} s",
                come_back_in_s=asked_s,
                response=response,
                surely_not_sent=made.happened.status in {425, _TOO_MANY},
            )
        return math.inf

    def _left_s(self, call: Call, now_s: float) -> float:
        own_s = call.started_s + self._policy.total_s - now_s
        given_s = call.left_s(now_s)
        return max(0.0, own_s if given_s is None else min(own_s, given_s))

    def _give_up(self, call: Call, made: _Tries, why: str) -> None:
        self._teller.tell(GaveUp, call.watch.now_s(), call.original, len(made.attempts), why)

    def _note(self, call: Call, made: _Tries) -> None:
        now_s = call.watch.now_s()
        attempt = made.note(now_s)
        if self._teller.is_heard(AttemptEnded):
            self._teller.tell(AttemptEnded, max(now_s, made.started_s), call.original, attempt)


def _failure(error: Exception, call: Call, *, had_answer: bool) -> Happened:
    if isinstance(error, TransportProblem) or not (is_library_error(error) and is_of_the_network(error)):
        return Happened(Kind.OURS)
    if had_answer:
        return Happened(Kind.ANSWERED, is_body_broken=True)
    was_read = getattr(call.request.stream, "was_read", None)
    is_unsent = surely_not_sent(error, body_was_read=was_read)
    if is_unsent and _is_empty(call.request):
        # Without a body the headers are all of it, and they may have left: the error's class has to say so too.
        is_unsent = surely_not_sent(error, body_was_read=None)
    return Happened(Kind.NOT_SENT if is_unsent else Kind.LOST)


def _is_empty(request: Any) -> bool:
    return "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0"


def _is_replayable(call: Call, body: Any) -> bool:
    """Whether a body can be sent once more: it is in memory, or nobody has read it yet."""
    was_read = getattr(body, "was_read", None)
    if was_read is False:
        return True
    return isinstance(getattr(body, "inner", body), call.kit.byte_stream)


def _asked_s(response: Any, call: Call) -> float | None:
    if response is None:
        return None
    headers = response.headers
    if "retry-after" not in headers:
        return None
    return read_retry_after(headers.get_list("retry-after"), headers.get_list("date"), call.watch.wall_s()).seconds
