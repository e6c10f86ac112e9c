"""A circuit breaker as a table of counts and three states; instants are passed in.

::

    CLOSED ──too many failures or slow calls──► OPEN ──after a while──► HALF_OPEN
      ▲                                          ▲                        │
      └── all probes were well ──────────────────┼────────────────────────┤
                                                 └── one was not ─────────┘

Each move begins a new generation. A result carries the generation in which its call was
admitted, and a result of an older one changes nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from resilient_poll.transports.rules.checks import check_count, check_seconds, check_share

__all__ = ["Admitted", "Breaker", "BreakerPolicy", "BreakerState", "CallResult", "Move", "Rejected", "judge_call"]

_SLICES = 10
"""Into how many slices the window is cut: counts are forgotten a tenth of the window at a time."""


class BreakerState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    """All of them do."""
    OPEN = "open"
    """None does."""
    HALF_OPEN = "half_open"
    """A few do, to find out."""


class CallResult(StrEnum):
    """What a call says of the server's health."""

    WELL = "well"
    FAILED = "failed"
    SLOW = "slow"
    """It was answered, and took too long."""
    NOTHING = "nothing"
    """It says nothing: a 429, a refusal of our own, a call that its caller gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and closes.

    Args:
        failure_share: Opens at this share of failures among the calls in the window.
        slow_share: Opens at this share of slow calls among them; slow and failed are counted apart.
        slow_call_s: A call is slow from this many seconds on; None means that none is.
        least_calls: Fewer calls than these in the window prove nothing.
        window_s: How far back calls count, in seconds.
        open_s: For how many seconds it stays open.
        probes: How many calls pass while it is half open; all of them must be well.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    failure_share: float = 0.5
    slow_share: float = 0.5
    slow_call_s: float | None = None
    least_calls: int = 10
    window_s: float = 30.0
    open_s: float = 5.0
    probes: int = 3

    def __post_init__(self) -> None:
        check_share("BreakerPolicy.failure_share", self.failure_share)
        check_share("BreakerPolicy.slow_share", self.slow_share)
        if self.slow_call_s is not None:
            check_seconds("BreakerPolicy.slow_call_s", self.slow_call_s)
        check_count("BreakerPolicy.least_calls", self.least_calls)
        check_seconds("BreakerPolicy.window_s", self.window_s)
        check_seconds("BreakerPolicy.open_s", self.open_s)
        check_count("BreakerPolicy.probes", self.probes)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call may pass.

    Attributes:
        generation: Goes back with its result.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A call may not pass.

    Attributes:
        come_back_in_s: After how many seconds the next one may.
    """

    come_back_in_s: float


@dataclass(frozen=True, slots=True)
class Move:
    """The breaker moved.

    Attributes:
        before: Where it was.
        after: Where it is.
        why: Why, in one clause.
    """

    before: BreakerState
    after: BreakerState
    why: str


@dataclass(slots=True)
class _Slice:
    number: int
    calls: int = 0
    failed: int = 0
    slow: int = 0


@dataclass(slots=True)
class Breaker:
    """One breaker. It is not locked: whoever shares it among threads holds a lock.

    Args:
        policy: When it opens and closes.

    Attributes:
        state: Where it stands, as of the last instant that it was told.
        generation: The number of the present stretch of one state.
    """

    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    state: BreakerState = field(init=False, default=BreakerState.CLOSED)
    generation: int = field(init=False, default=0)
    _slices: deque[_Slice] = field(init=False, repr=False, default_factory=deque)
    _until_s: float = field(init=False, repr=False, default=0.0)
    _places_left: int = field(init=False, repr=False, default=0)
    _probes_well: int = field(init=False, repr=False, default=0)

    def admit(self, now_s: float) -> tuple[Admitted | Rejected, Move | None]:
        """Ask whether a call may pass, and take its place if it may.

        Args:
            now_s: Monotonic seconds.

        Returns:
            The answer, and the move that asking brought about, if any.
        """
        if self.state is BreakerState.CLOSED:
            return Admitted(self.generation), None
        move = None
        if now_s >= self._until_s and (self.state is BreakerState.OPEN or not self._places_left):
            # Half open too: probes that nobody heard of in all that time do not keep the others out for ever.
            why = "time is up" if self.state is BreakerState.OPEN else "its probes never came back"
            move = self._move(BreakerState.HALF_OPEN, why, now_s)
        if self.state is BreakerState.HALF_OPEN and self._places_left:
            self._places_left -= 1
            return Admitted(self.generation), move
        return Rejected(min(max(0.0, self._until_s - now_s), self.policy.open_s)), move

    def note(self, admitted: Admitted, result: CallResult, now_s: float) -> Move | None:
        """Take in what became of a call.

        Args:
            admitted: What admitted it.
            result: What it says.
            now_s: Monotonic seconds.

        Returns:
            The move that it brought about, if any.
        """
        if admitted.generation != self.generation:
            return None
        if self.state is BreakerState.HALF_OPEN:
            return self._note_probe(result, now_s)
        if result is CallResult.NOTHING:
            return None
        self._count(result, now_s)
        return self._judge(now_s)

    def _note_probe(self, result: CallResult, now_s: float) -> Move | None:
        if result is CallResult.NOTHING:
            self._places_left += 1
            return None
        if result is not CallResult.WELL:
            return self._move(BreakerState.OPEN, f"a probe was not well ({result})", now_s)
        self._probes_well += 1
        if self._probes_well < self.policy.probes:
            return None
        return self._move(BreakerState.CLOSED, "all probes were well", now_s)

    def _count(self, result: CallResult, now_s: float) -> None:
        number = int(now_s * _SLICES / self.policy.window_s)
        if not self._slices or self._slices[-1].number < number:
            self._slices.append(_Slice(number))
        present = self._slices[-1]
        present.calls += 1
        present.failed += result is CallResult.FAILED
        present.slow += result is CallResult.SLOW
        while self._slices[0].number <= number - _SLICES:
            self._slices.popleft()

    def _judge(self, now_s: float) -> Move | None:
        calls = sum(piece.calls for piece in self._slices)
        if calls < self.policy.least_calls:
            return None
        failed = sum(piece.failed for piece in self._slices)
        slow = sum(piece.slow for piece in self._slices)
        if failed >= calls * self.policy.failure_share:
            return self._move(BreakerState.OPEN, f"{failed} of {calls} calls failed", now_s)
        if slow >= calls * self.policy.slow_share:
            return self._move(BreakerState.OPEN, f"{slow} of {calls} calls were slow", now_s)
        return None

    def _move(self, after: BreakerState, why: str, now_s: float) -> Move:
        before, self.state = self.state, after
        self.generation += 1
        self._slices.clear()
        self._probes_well = 0
        self._places_left = self.policy.probes if after is BreakerState.HALF_OPEN else 0
        self._until_s = now_s + self.policy.open_s
        return Move(before, after, why)


def judge_call(status: int | None, took_s: float, policy: BreakerPolicy) -> CallResult:
    """Return what an answered or failed call says of the server's health.

    A 429 says that it is busy with others and well; any other 4xx that it works.

    Args:
        status: The HTTP status; None if the network failed.
        took_s: How long the answer's head took, in seconds.
        policy: What is slow.
    """
    if status is None:
        return CallResult.FAILED
    if status == 429:
        return CallResult.NOTHING
    if status >= 500:
        return CallResult.FAILED
    if policy.slow_call_s is not None and took_s >= policy.slow_call_s:
        return CallResult.SLOW
    return CallResult.WELL
