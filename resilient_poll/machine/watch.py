"""The waits of a batch: asked about by due time, and ended in time, turn or no turn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from resilient_poll.events import Event, Waiting
from resilient_poll.machine.commands import Done, Query, Settled, SleepUntil, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Observation, StatusSeen, Throttled
from resilient_poll.machine.pace import Place
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import backoff_s, draw
from resilient_poll.machine.slots import Account, Key

__all__ = ["Watch"]

_ASK_AGAIN_FIRST_S = 0.01
_ASK_AGAIN_LONGEST_S = 1.0
"""How soon a wait that is not over at its limit is looked at again; the poller knows its limits best.

Mostly its wait began a moment after it was put in here, so the first look is soon, within the margin of a
deadline (0.25 s); each further one takes twice as long."""
_HEAP_SLACK = 64
"""Limits of waits that are over are swept out when they outnumber the others by this many."""


@dataclass(slots=True)
class _Entry:
    key: Key
    poller: Poller
    policy: WaitPolicy
    began_s: float
    deadline_s: float
    is_out: bool = False
    asked_s: float = -math.inf
    look_again_s: float = _ASK_AGAIN_FIRST_S
    due_s: float = math.inf
    limit_s: float = math.inf


class Watch:
    """Those who were accepted and are waited for.

    Two heaps find who is to be looked at: one by due time, one by the time at which a wait may be over.
    While the account may not ask, nobody is gone through: those whose time is up are found
    by the second. A service that throttles without saying for how long is given a pause by all of
    them, as one task gives it: otherwise each of a thousand would find out for itself.

    Args:
        account: What the account's tasks share.
        tell: Is told what happens.

    Attributes:
        out: How many queries are out.
        settled: Those who have ended and were not handed out yet.
        wake_s: When to ask again if nothing happens before; known after asking.
    """

    def __init__(self, account: Account, *, tell: Callable[[Event], None]) -> None:
        self._account = account
        self._tell = tell
        self._entries: dict[int, _Entry] = {}
        self._due: list[tuple[float, int]] = []
        self._limits: list[tuple[float, int]] = []
        self._place = Place(account.query_gate)
        self._throttles_in_a_row = 0
        self._pause_began_s = self._pause_until_s = -math.inf
        self.settled: deque[Settled] = deque()
        self.out = 0
        self.wake_s = math.inf

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._entries

    def add(self, ordinal: int, key: Key, poller: Poller, policy: WaitPolicy, now: Instant) -> None:
        """Wait for one more, whose wait began now; the account knows its task by the key."""
        deadline_s = now.monotonic_s + policy.timeout_s
        if policy.deadline_wall_s is not None:
            # Now and not later: a clock that is set does not move an end that was agreed on.
            deadline_s = min(deadline_s, now.at_wall(policy.deadline_wall_s).monotonic_s)
        entry = self._entries[ordinal] = _Entry(key, poller, policy, now.monotonic_s, deadline_s)
        if not poller.record.polls:
            self._account.slots.saw(key, now.monotonic_s, is_queued=poller.phase is Phase.QUEUED)
        self._schedule(ordinal, entry, now)

    def leave(self) -> None:
        """Wait for nothing any more."""
        self._place.leave()
        self._entries.clear()
        self.settled.clear()
        self.out = 0

    def forget(self, ordinal: int, now: Instant) -> None:
        """A query broke in a way that nobody here understands: the task is left alone."""
        entry = self._entries[ordinal]
        self.out -= entry.is_out
        self._drop(ordinal, entry, now)

    def next(self, now: Instant, *, is_busy: bool) -> Turn | None:
        """Return whose turn it is, or None.

        Args:
            now: When.
            is_busy: Whether as many requests are out as may be.
        """
        self.wake_s = self._limits[0][0] if self._limits else math.inf
        if is_busy:
            return None
        now_s = now.monotonic_s
        while (due_s := self._next_due_s()) <= now_s:
            wait_s = max(self._account.query_floor.not_before_s, self._pause_until_s)
            if wait_s <= now_s:
                wait_s = self._place.turn_s(now_s)
            if wait_s > now_s:
                self._wake_at(wait_s)
                return None
            _, ordinal = heappop(self._due)
            entry = self._entries[ordinal]
            entry.due_s = math.inf
            command = entry.poller.next_command(now)
            if isinstance(command, Query):
                self._place.go()
                entry.is_out = True
                entry.asked_s = now_s
                self.out += 1
                return Turn(ordinal, command)
            self._schedule(ordinal, entry, now)
        self._wake_at(due_s)
        return None

    def receive(self, ordinal: int, observation: Observation, now: Instant) -> None:
        """Take in what came of a query.

        Args:
            ordinal: Whose.
            observation: What was heard.
            now: When.
        """
        entry = self._entries[ordinal]
        self.out -= 1
        entry.is_out = False
        for event in entry.poller.receive(observation, now):
            self._tell(event)
        self._mind_throttles(entry, observation, now.monotonic_s)
        if isinstance(observation, StatusSeen) and not entry.poller.record.is_ended:
            self._account.slots.saw(entry.key, now.monotonic_s, is_queued=entry.poller.phase is Phase.QUEUED)
        self._schedule(ordinal, entry, now)

    def look_at_limits(self, now: Instant) -> None:
        """End those whose time is up although they got no turn."""
        while self._limits:
            limit_s, ordinal = self._limits[0]
            entry = self._entries.get(ordinal)
            is_stale = entry is None or entry.limit_s != limit_s
            if not is_stale and limit_s > now.monotonic_s:
                return
            heappop(self._limits)
            if entry is None or is_stale:
                continue
            entry.limit_s = math.inf
            if not entry.is_out:  # Otherwise its answer is on the way, and it is looked at then.
                self._schedule(ordinal, entry, now)

    def _mind_throttles(self, entry: _Entry, observation: Observation, now_s: float) -> None:
        """Pause where the service throttles and does not say for how long; once for all that are out together."""
        if isinstance(observation, StatusSeen):
            self._throttles_in_a_row = 0
        elif isinstance(observation, Throttled) and observation.retry_after_s is None:
            if entry.asked_s <= self._pause_began_s:
                return  # It was out already: nobody asks during a pause, and a coarse clock shows the same instant.
            self._throttles_in_a_row += 1
            record = entry.poller.record
            self._pause_began_s = now_s
            self._pause_until_s = now_s + backoff_s(self._throttles_in_a_row, draw(record.seed, record.polls))

    def _schedule(self, ordinal: int, entry: _Entry, now: Instant) -> None:
        """Ask an entry's poller what it wants, and put the entry where that is found again."""
        command = entry.poller.next_command(now)
        if isinstance(command, Done):
            self._drop(ordinal, entry, now)
            self.settled.append(Settled(ordinal, command))
            return
        due_s = now.monotonic_s
        if isinstance(command, SleepUntil):
            due_s = command.at_s
            if due_s != entry.due_s:
                self._tell(Waiting(entry.poller.task_id, now.monotonic_s, due_s, command.reason))
        if due_s != entry.due_s:
            entry.due_s = due_s
            heappush(self._due, (due_s, ordinal))
        limit_s = _limit_s(entry)
        if limit_s <= now.monotonic_s:
            limit_s = now.monotonic_s + entry.look_again_s
            entry.look_again_s = min(2 * entry.look_again_s, _ASK_AGAIN_LONGEST_S)
        else:
            entry.look_again_s = _ASK_AGAIN_FIRST_S
        if limit_s != entry.limit_s:
            entry.limit_s = limit_s
            heappush(self._limits, (limit_s, ordinal))

    def _next_due_s(self) -> float:
        """Return when the next entry is due, past what does not hold any more."""
        while self._due:
            due_s, ordinal = self._due[0]
            entry = self._entries.get(ordinal)
            if entry is not None and entry.due_s == due_s:
                return due_s
            heappop(self._due)
        return math.inf

    def _drop(self, ordinal: int, entry: _Entry, now: Instant) -> None:
        del self._entries[ordinal]
        if entry.poller.record.is_ended:
            self._account.slots.end(entry.key)
        else:
            self._account.slots.look_away(entry.key, now.monotonic_s)
        if len(self._limits) > 2 * len(self._entries) + _HEAP_SLACK:
            self._limits = [(entry.limit_s, ordinal) for ordinal, entry in self._entries.items()]
            heapify(self._limits)

    def _wake_at(self, at_s: float) -> None:
        self.wake_s = min(self.wake_s, at_s)


def _limit_s(entry: _Entry) -> float:
    """Return the earliest instant at which a wait may be over without an answer."""
    record = entry.poller.record
    phase_limit_s = entry.policy.phase_limits_s.get(record.phase)
    if phase_limit_s is None:
        return entry.deadline_s
    return min(entry.deadline_s, max(record.phase_since.monotonic_s, entry.began_s) + phase_limit_s)
