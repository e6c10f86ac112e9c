"""From wanted to accepted: when a submit may be sent, and what its answer means.

The one thing that costs money twice is sending a submit again. So there is exactly one
way to send: the command ``Submit``, after which the driver reports ``SubmitStarted``
before the first byte leaves. From then on, until an answer says otherwise, the submit is
in doubt, and no command of this machine ever sends it again.
"""

from __future__ import annotations

from resilient_poll.events import AttemptFailed, Event, HintIgnored, PhaseChanged
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine.commands import Command, Done, DoneReason, SleepReason, SleepUntil, Submit
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    NoSlotFree,
    Observation,
    Refused,
    SubmitStarted,
    Throttled,
    Unreachable,
)
from resilient_poll.machine.policy import SubmitPolicy
from resilient_poll.machine.schedules import backoff_s, draw

__all__ = ["Submission"]


class Submission:
    """The state machine of one submit.

    Args:
        policy: Its limits.
        now: When it begins.
        seed: What its draws come from.
        floor: The earliest next submit of the account; shared by its submits.
        query_floor: The earliest next query of the account: an acceptance may say when to ask for its task.
        is_in_order: Whether someone else puts the account's submits in order, so that those
            who were told to come back need not step aside for each other.

    Attributes:
        phase: ``NEW``, ``SUBMITTING``, ``IN_DOUBT`` or ``REFUSED``; an accepted task's
            phases belong to its poller.
        accepted: The acceptance, once there is one.
        answered: The result itself, where the service makes no task of a submit.
        last: The last observation that was not an acceptance.
        attempts: How often it was sent.
        seed: What its draws come from, and then those of its task.
    """

    def __init__(
        self,
        policy: SubmitPolicy,
        now: Instant,
        *,
        seed: str,
        floor: Floor | None = None,
        query_floor: Floor | None = None,
        is_in_order: bool = False,
    ) -> None:
        self.phase = Phase.NEW
        self.accepted: Accepted | None = None
        self.answered: AnsweredAtOnce | None = None
        self.last: Throttled | Unreachable | Refused | LostAnswer | NoSlotFree | None = None
        self.attempts = 0
        self._policy = policy
        self.seed = seed
        self._floor = Floor() if floor is None else floor
        self._query_floor = Floor() if query_floor is None else query_floor
        self._is_in_order = is_in_order
        self._due_s = now.monotonic_s
        self.begin_again(now)

    def begin_again(self, now: Instant) -> None:
        """Give a submit that is not out its whole time again: it was waiting for its turn.

        Args:
            now: When its turn comes.
        """
        self._last_start_s = now.monotonic_s + self._policy.timeout_s - self._policy.minimum_s

    @property
    def last_start_s(self) -> float:
        """The latest start of a sending, in monotonic seconds."""
        return self._last_start_s

    @property
    def task_id(self) -> str | None:
        """The service's id, once there is one."""
        return None if self.accepted is None else self.accepted.task_id

    def next_command(self, now: Instant) -> Command:
        """Return what to do next. Asking changes nothing, so it may be asked twice.

        Args:
            now: When.

        Returns:
            ``Submit``, ``SleepUntil`` or ``Done``.
        """
        if self.accepted is not None:
            return Done(DoneReason.ACCEPTED)
        if self.answered is not None:
            return Done(DoneReason.ANSWERED)
        if self.phase is Phase.REFUSED:
            return Done(DoneReason.REFUSED)
        if self.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}:
            # The licence is used and nobody said what came of it.
            return Done(DoneReason.IN_DOUBT)
        floor_s = self._floor.not_before_s
        looks_from_s = self._floor.looks_from_s
        due_s = max(self._due_s, floor_s, looks_from_s)
        if max(due_s, now.monotonic_s) > self._last_start_s:
            if floor_s > self._last_start_s:
                return Done(DoneReason.COME_BACK_LATER, floor_s)
            return Done(DoneReason.DEADLINE)
        if now.monotonic_s < due_s:
            if looks_from_s == due_s:
                return SleepUntil(due_s, SleepReason.SLOT)
            if floor_s > self._due_s:
                return SleepUntil(due_s, SleepReason.SERVER)
            return SleepUntil(due_s, SleepReason.BACKOFF)
        return Submit(self.attempts + 1, self._policy.attempt_timeout_s)

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said.

        Args:
            observation: What was heard.
            now: When it was heard.

        Returns:
            What happened, in order.

        Raises:
            TypeError: The observation belongs to a poll.
            RuntimeError: An answer without a sending, or a second sending: the driver is broken.
        """
        if isinstance(observation, SubmitStarted):
            if self.phase is not Phase.NEW:
                raise RuntimeError(f"a submit in phase {self.phase} must not be sent")
            self.attempts += 1
            if not self._is_in_order:
                self._floor.step_through(now.monotonic_s)
            self._floor.look(now.monotonic_s)
            return self._move(Phase.SUBMITTING, now)
        if self.phase not in {Phase.SUBMITTING, Phase.IN_DOUBT}:
            raise RuntimeError(f"a submit in phase {self.phase} has no answer to come")
        match observation:
            case Accepted():
                # Also out of a doubt: an id that turns up late is never thrown away.
                self.accepted = observation
                return self._heed(observation, now)
            case AnsweredAtOnce():
                self.answered = observation  # Out of a doubt as well: it is paid.
                return self._heed(observation, now)
            case _ if self.phase is Phase.IN_DOUBT:
                return ()  # Nothing but an id settles a doubt; least of all may it license a sending.
            case LostAnswer() | Refused():
                self.last = observation
                phase = Phase.IN_DOUBT if isinstance(observation, LostAnswer) else Phase.REFUSED
                # This one is over, and the account's others stay away all the same.
                return (*self._move(phase, now), *self._heed(observation, now))
            case NoSlotFree():
                # Nothing was sent, so it is no attempt, and no pause of a failure is lengthened.
                self.last = observation
                self.attempts -= 1
                self._floor.look_again_from(now.monotonic_s + observation.look_again_s)
                return self._move(Phase.NEW, now)
            case Throttled() | Unreachable():
                return self._on_failure(observation, now)
            case _:
                raise TypeError(f"a submit cannot receive {type(observation).__name__}: it belongs to a poll")

    def _on_failure(self, observation: Throttled | Unreachable, now: Instant) -> tuple[Event, ...]:
        self.last = observation
        at_s = now.monotonic_s
        events = [*self._move(Phase.NEW, now), *self._heed(observation, now)]
        self._due_s = at_s + backoff_s(self.attempts, draw(self.seed, self.attempts))
        if isinstance(observation, Throttled):
            until_s = max(self._due_s, self._floor.not_before_s)
            events.append(
                ThrottledEvent(None, at_s, observation.code, observation.retry_after_s, until_s, submit_id=self.seed)
            )
        else:
            events.append(AttemptFailed(None, at_s, observation.reason, self.attempts, submit_id=self.seed))
        return tuple(events)

    def _heed(
        self, observation: Accepted | AnsweredAtOnce | LostAnswer | Refused | Throttled | Unreachable, now: Instant
    ) -> tuple[Event, ...]:
        """Keep to what an answer's ``Retry-After`` asks for, and tell of one that is ignored."""
        if observation.retry_after_s is not None:
            until_s = now.monotonic_s + observation.retry_after_s
            if isinstance(observation, Accepted | AnsweredAtOnce):
                # Nothing was too many. What follows an answer is a query as well as another submit.
                self._floor.raise_to(until_s)
                self._query_floor.raise_to(until_s)
            else:
                self._floor.throttle_until(until_s)
        if observation.retry_after_ignored is None:
            return ()
        return (HintIgnored(None, now.monotonic_s, observation.retry_after_ignored, submit_id=self.seed),)

    def _move(self, phase: Phase, now: Instant) -> tuple[Event, ...]:
        before, self.phase = self.phase, phase
        return (PhaseChanged(None, now.monotonic_s, before, phase, None, submit_id=self.seed),)
