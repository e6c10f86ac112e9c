"""The submits of a batch: first come, first served, and none before its turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from resilient_poll.events import Event, Waiting
from resilient_poll.machine.commands import Done, DoneReason, Settled, SleepReason, SleepUntil, Submit, Take, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Accepted, NoSlotFree, Observation, SubmitStarted, Throttled
from resilient_poll.machine.pace import Place
from resilient_poll.machine.slots import Account, Key
from resilient_poll.machine.submission import Submission

__all__ = ["Line"]

LOOK_AGAIN_S = 0.25
"""How soon one looks again whether a slot is free that another batch on the account had."""


@dataclass(slots=True)
class _Entry:
    submission: Submission
    stood_in_line: bool = False
    told: SleepUntil | None = None


class Line:
    """Those who are to be submitted, and those whose submit is out.

    Whoever is told to come back keeps its place at the front. Time spent waiting for a turn, which
    includes a refusal while tasks of ours fill the account, is not the submit's own.

    Args:
        account: What the account's tasks share.
        creates_at_once: How many submits may be out together.
        deadline_s: When no further submit begins, in monotonic seconds; infinity for never.
        key: Returns what the account knows a task by.
        tell: Is told what happens.

    Attributes:
        has_more: Whether there may be further jobs.
        out: How many submits are out.
        wake_s: When to ask again if nothing happens before; known after asking.
    """

    def __init__(
        self,
        account: Account,
        *,
        creates_at_once: int,
        deadline_s: float,
        key: Callable[[int], Key],
        tell: Callable[[Event], None],
    ) -> None:
        self._account = account
        self._creates_at_once = creates_at_once
        self._deadline_s = deadline_s
        self._key = key
        self._owner = key(0)[0]
        self._tell = tell
        self._entries: dict[int, _Entry] = {}
        self._order: list[int] = []  # A heap of ordinals.
        self._place = Place(account.create_gate)
        self.has_more = True
        self.out = 0
        self.wake_s = math.inf

    @property
    def waiting(self) -> int:
        """How many are taken and not out."""
        return len(self._order)

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever be submitted again."""
        return not self._entries and not self.has_more

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._entries

    def add(self, ordinal: int, submission: Submission) -> None:
        """Put one more at its place in the line."""
        self._entries[ordinal] = _Entry(submission)
        heappush(self._order, ordinal)

    def leave(self) -> None:
        """Submit nothing any more, and forget those that are out."""
        self._place.leave()
        self.out = 0
        self._entries.clear()
        self._order.clear()
        self.has_more = False

    def forget(self, ordinal: int) -> None:
        """A submit that is out broke: it is in doubt, and nobody here goes on with it."""
        del self._entries[ordinal]
        self.out -= 1
        self._account.slots.drop(self._key(ordinal))

    def next(self, now: Instant, *, is_busy: bool, mine: int) -> Take | Turn | Settled | None:
        """Return what to do next, or None.

        Args:
            now: When.
            is_busy: Whether as many requests are out as may be.
            mine: How many tasks and submits of the account's in flight are this batch's.
        """
        self.wake_s = math.inf
        now_s, slots = now.monotonic_s, self._account.slots
        if now_s >= self._deadline_s:
            return self._end()
        if not self._order and not self.has_more:
            return None
        self._wake_at(self._deadline_s)
        if is_busy or self.out >= self._creates_at_once:
            return None
        if (free_s := slots.turn_at_s(self._owner, now_s)) > now_s:
            # A slot of ours is told of by an answer; one of another batch is not.
            self._stand(min(free_s, now_s + LOOK_AGAIN_S) if slots.in_flight > mine else free_s)
            return None
        floor_s = self._account.create_floor.not_before_s
        if slots.refuses and slots.in_flight and floor_s > now_s:
            # Told to come back while our own tasks are open: a place in the line, not a submit that fails.
            self._stand(floor_s)
            return None
        return self._first(now) if self._order else Take()

    def receive(self, ordinal: int, observation: Observation, now: Instant) -> Settled | None:
        """Take in what came of a submit.

        Args:
            ordinal: Whose.
            observation: What was heard.
            now: When.

        Returns:
            Its end, unless it is to be sent again.
        """
        entry, slots, key = self._entries[ordinal], self._account.slots, self._key(ordinal)
        submission = entry.submission
        self.out -= 1
        for event in submission.receive(observation, now):
            self._tell(event)
        if isinstance(observation, Accepted):
            slots.accept(key, now.monotonic_s)
        elif isinstance(observation, Throttled):
            entry.stood_in_line = slots.throttle(key, now.monotonic_s)
        else:
            slots.drop(key)
            if isinstance(observation, NoSlotFree):
                # While tasks of ours are open it is the place in the line that is waited for.
                entry.stood_in_line = slots.in_flight > 0
        command = submission.next_command(now)
        if submission.phase is not Phase.NEW and isinstance(command, Done):
            del self._entries[ordinal]
            return Settled(ordinal, command)
        heappush(self._order, ordinal)
        if isinstance(command, SleepUntil) and (not entry.stood_in_line or command.reason is SleepReason.SLOT):
            self._tell_waiting(entry, command, now)
        return None

    def _first(self, now: Instant) -> Turn | Settled | None:
        ordinal = self._order[0]
        entry = self._entries[ordinal]
        submission = entry.submission
        if entry.stood_in_line:
            entry.stood_in_line = False
            submission.begin_again(now)
        command = submission.next_command(now)
        if isinstance(command, Done):
            return self._settle_first(command)
        if isinstance(command, SleepUntil):
            self._tell_waiting(entry, command, now)
            self._wake_at(command.at_s)
            return None
        if (turn_s := self._place.turn_s(now.monotonic_s)) > now.monotonic_s:
            self._tell_waiting(entry, SleepUntil(turn_s, SleepReason.LIMIT), now)
            self._stand(turn_s)
            return None
        if not isinstance(command, Submit) or not self._account.slots.start(self._key(ordinal), now.monotonic_s):
            self._wake_at(now.monotonic_s + LOOK_AGAIN_S)  # Another batch was faster.
            return None
        self._place.go()
        heappop(self._order)
        # The licence is used up before the first byte leaves; see the driver of one.
        for event in submission.receive(SubmitStarted(), now):
            self._tell(event)
        entry.told = None
        self.out += 1
        return Turn(ordinal, command)

    def _end(self) -> Take | Settled | None:
        if self._order:
            return self._settle_first(Done(DoneReason.DEADLINE))
        return Take() if self.has_more else None

    def _settle_first(self, done: Done) -> Settled:
        ordinal = heappop(self._order)
        del self._entries[ordinal]
        return Settled(ordinal, done)

    def _stand(self, until_s: float) -> None:
        if self._order:
            self._entries[self._order[0]].stood_in_line = True
        self._wake_at(until_s)

    def _tell_waiting(self, entry: _Entry, command: SleepUntil, now: Instant) -> None:
        if command != entry.told:
            entry.told = command
            seed = entry.submission.seed
            self._tell(Waiting(None, now.monotonic_s, command.at_s, command.reason, submit_id=seed))

    def _wake_at(self, at_s: float) -> None:
        self.wake_s = min(self.wake_s, at_s)
