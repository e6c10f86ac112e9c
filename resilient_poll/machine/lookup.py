"""One question that may be asked again: a list, a quota. It costs nothing and is about no task."""

from __future__ import annotations

from resilient_poll.events import AttemptFailed, Event, HintIgnored
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine.commands import Command, Done, DoneReason, Query, SleepReason, SleepUntil
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import (
    AnsweredAtOnce,
    Observation,
    Refused,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.schedules import backoff_s, draw

__all__ = ["Lookup"]


class Lookup:
    """The state machine of one question.

    Args:
        timeout_s: How long to go on asking, in seconds.
        attempt_timeout_s: The longest that one attempt may take.
        now: When it begins.
        seed: What its draws come from.
        floor: The earliest next query of the account.

    Attributes:
        answered: The answer, once there is one.
        last: Why the last attempt brought none.
        attempts: How often it was asked.
    """

    task_id: str | None = None
    """A look-up is about no task; a driver asks for it."""

    def __init__(
        self, *, timeout_s: float, attempt_timeout_s: float, now: Instant, seed: str, floor: Floor | None = None
    ) -> None:
        self.answered: AnsweredAtOnce | None = None
        self.last: Throttled | Unreachable | Unreadable | Refused | None = None
        self.attempts = 0
        self._seed = seed
        self._floor = Floor() if floor is None else floor
        self._due_s = now.monotonic_s
        self._limit_s = now.monotonic_s + timeout_s
        self._attempt_timeout_s = attempt_timeout_s

    def next_command(self, now: Instant) -> Command:
        """Return what to do next. Asking changes nothing, so it may be asked twice.

        Args:
            now: When.

        Returns:
            ``Query``, ``SleepUntil`` or ``Done``.
        """
        if self.answered is not None:
            return Done(DoneReason.ANSWERED)
        if isinstance(self.last, Refused):
            return Done(DoneReason.REFUSED)
        floor_s = self._floor.not_before_s
        due_s = max(self._due_s, floor_s)
        if max(due_s, now.monotonic_s) >= self._limit_s:
            return Done(DoneReason.COME_BACK_LATER, floor_s) if floor_s >= self._limit_s else Done(DoneReason.DEADLINE)
        if now.monotonic_s < due_s:
            return SleepUntil(due_s, SleepReason.SERVER if floor_s > self._due_s else SleepReason.BACKOFF)
        return Query(self.attempts + 1, min(self._attempt_timeout_s, self._limit_s - now.monotonic_s))

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said.

        Args:
            observation: What was heard.
            now: When it was heard.

        Returns:
            What happened, in order.

        Raises:
            TypeError: The observation belongs to a submit or a poll.
        """
        self.attempts += 1
        match observation:
            case AnsweredAtOnce():
                self.answered = observation
                return self._heed(observation, now.monotonic_s)
            case Refused():
                self.last = observation
                return self._heed(observation, now.monotonic_s)
            case Throttled() | Unreachable() | Unreadable():
                return self._on_failure(observation, now.monotonic_s)
            case _:
                raise TypeError(f"a look-up cannot receive {type(observation).__name__}")

    def _on_failure(self, observation: Throttled | Unreachable | Unreadable, at_s: float) -> tuple[Event, ...]:
        self.last = observation
        self._due_s = at_s + backoff_s(self.attempts, draw(self._seed, self.attempts))
        heeded = self._heed(observation, at_s)
        if isinstance(observation, Throttled):
            until_s = max(self._due_s, self._floor.not_before_s)
            return (*heeded, ThrottledEvent(None, at_s, observation.code, observation.retry_after_s, until_s))
        return (*heeded, AttemptFailed(None, at_s, observation.reason, self.attempts))

    def _heed(
        self, observation: AnsweredAtOnce | Refused | Throttled | Unreachable | Unreadable, at_s: float
    ) -> tuple[Event, ...]:
        """Keep to what an answer's ``Retry-After`` asks for, and tell of one that is ignored."""
        if observation.retry_after_s is not None:
            self._floor.raise_to(at_s + observation.retry_after_s)
        if observation.retry_after_ignored is None:
            return ()
        return (HintIgnored(None, at_s, observation.retry_after_ignored),)
