"""How many tasks of an account may be open at once, where the service says, and where it does not.

Some services refuse a submit over their cap, others accept it and let it queue. The first kind
is not asked more often than its cap allows, declared or learned from its refusals. With the
second kind no more tasks are queued there than run, or a few: a long queue there makes
nothing faster, and uses up the waits of those who stand in it.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from resilient_poll.machine.floor import Floor
from resilient_poll.machine.pace import Gate

__all__ = ["Account", "Key", "Slots"]

PROBE_FIRST_S = 60.0
"""How long a learned cap is believed before one more is tried: a task's usual life.

Whoever else used the account may have ended then. A probe that is refused costs one request and
a ``Retry-After`` that the next free slot would mostly have waited for as well."""
PROBE_LONGEST_S = 600.0
"""Each refused probe doubles the pause up to ten minutes: six probes an hour for a cap that stays."""
UNSEEN_S = 60.0
"""How long a task that nobody looks at any more is taken to be open: a task's usual life."""
STANDS_S = 1.0
"""How long someone who found no slot keeps its place without asking again; asking goes on four times a second."""
QUEUED_AHEAD = 4
"""How many of our tasks may wait in the service's own queue while fewer than that are running.

Enough for it never to idle between two looks 3 s apart (its tasks take 20 s and more), and few
enough for each to start well within a wait of 300 s, even one after the other. Where more run, as
many may wait as run, so that a service of any size is filled within a few looks."""

Key = tuple[object, int]
"""What a task is known by here: who put it in, and a number of its own."""


class Slots:
    """Who is open, and whether one more may be submitted.

    Tasks count from the moment their submit leaves until somebody here sees their end. One that
    nobody looks at any more goes on, so it counts for a while longer (:data:`UNSEEN_S`).

    Args:
        declared: How many may be open at once; None to find out.
        refuses: Whether the service refuses a submit over its cap. If not, it queues it.
        side_by_side: Whether submits may be out together although no cap is known. One after
            the other, the first refusal says exactly what the cap is, and is the only one.
        guard: Held while the counts are read and changed; a lock where threads share them.

    Attributes:
        learned: What the refusals say the cap is; None if there were none.
    """

    def __init__(
        self,
        declared: int | None = None,
        *,
        refuses: bool = True,
        side_by_side: bool = False,
        guard: AbstractContextManager[object] | None = None,
    ) -> None:
        self.declared = declared
        self.refuses = refuses
        self.learned: int | None = None
        self._side_by_side = side_by_side or declared is not None
        self._out: set[Key] = set()
        self._open: dict[Key, bool] = {}  # Whether it waits in the service's own queue.
        self._unseen_until_s: deque[float] = deque()
        self._queued_there = 0
        self._doubted: set[Key] | None = None
        self._probe_s = -math.inf
        self._probe_gap_s = PROBE_FIRST_S
        self._standing: dict[object, tuple[float, float]] = {}  # Since when, and when it asked last.
        self._guard = nullcontext() if guard is None else guard

    @property
    def in_flight(self) -> int:
        """Tasks that somebody here submits or looks at."""
        return len(self._open) + len(self._out)

    def free_at_s(self, now_s: float) -> float:
        """Return when one more may be submitted: now, later, or never (infinity) unless one of these ends."""
        with self._guard:
            return self._free_at_s(now_s)

    def turn_at_s(self, owner: object, now_s: float) -> float:
        """Return the same to one of several who submit: a slot that is free is of whoever has stood there for longest.

        Args:
            owner: Who asks. Whoever finds no slot, and asks again, stands in line until it finds one.
            now_s: When.
        """
        with self._guard:
            free_s = self._free_at_s(now_s)
            since_s, _ = self._standing.get(owner, (now_s, now_s))
            if free_s <= now_s and not self._someone_stood_before(since_s, now_s):
                self._standing.pop(owner, None)
                return now_s
            self._standing[owner] = since_s, now_s
            return free_s if free_s > now_s else now_s + STANDS_S / 4

    def start(self, task: Key, now_s: float) -> bool:
        """Count a submit that leaves now; False, and nothing changes, if none may."""
        with self._guard:
            if self._free_at_s(now_s) > now_s:
                return False
            self._out.add(task)
            return True

    def accept(self, task: Key, now_s: float) -> None:
        """The submit was accepted.

        That it was one more than the learned cap proves nothing yet: another of these may have
        ended unseen. It is believed once all of them were seen open again.
        """
        with self._guard:
            others = set(self._open)
            self._out.discard(task)
            self._open[task] = False
            if self.learned is not None and self.in_flight > self.learned:
                self._doubted = others
                self._probe_s = now_s + self._probe_gap_s

    def throttle(self, task: Key, now_s: float) -> bool:
        """The submit was refused for now: the cap is what is in flight without it.

        Returns:
            Whether it may be our own tasks that are in its way.
        """
        with self._guard:
            self._out.discard(task)
            if not self.refuses:
                return False
            others = self._counted(now_s)
            if self.learned is not None and others >= self.learned:
                self._probe_gap_s = min(2 * self._probe_gap_s, PROBE_LONGEST_S)
            else:
                self.learned = max(1, others)
                self._probe_gap_s = PROBE_FIRST_S
            self._doubted = None
            self._probe_s = now_s + self._probe_gap_s
            return others > 0

    def drop(self, task: Key) -> None:
        """The submit came to nothing, or to nothing that is known."""
        with self._guard:
            self._out.discard(task)

    def adopt(self, task: Key) -> None:
        """Count a task that was accepted elsewhere."""
        with self._guard:
            self._open.setdefault(task, False)

    def saw(self, task: Key, now_s: float, *, is_queued: bool) -> None:
        """An open task was seen open; whether it waits in the service's own queue."""
        with self._guard:
            self._queued_there += is_queued - self._open.get(task, False)
            self._open[task] = is_queued
            if self._doubted is not None:
                self._doubted.discard(task)
                if not self._doubted:
                    self.learned = self.in_flight
                    self._doubted = None
                    self._probe_gap_s = PROBE_FIRST_S
                    self._probe_s = now_s

    def end(self, task: Key) -> None:
        """A task ended."""
        with self._guard:
            self._end(task)

    def look_away(self, task: Key, now_s: float) -> None:
        """A task goes on, and nobody here looks at it any more."""
        with self._guard:
            self._look_away(task, now_s)

    def leave(self, owner: object, now_s: float) -> None:
        """Whoever put these tasks in does not look at them any more."""
        with self._guard:
            self._standing.pop(owner, None)
            self._out = {task for task in self._out if task[0] is not owner}
            for task in [task for task in self._open if task[0] is owner]:
                self._look_away(task, now_s)

    def _someone_stood_before(self, since_s: float, now_s: float) -> bool:
        for other, (stood_s, asked_s) in list(self._standing.items()):
            if asked_s < now_s - STANDS_S:
                del self._standing[other]
            elif stood_s < since_s:
                return True
        return False

    def _look_away(self, task: Key, now_s: float) -> None:
        if task in self._open:
            self._unseen_until_s.append(now_s + UNSEEN_S)
        self._end(task)

    def _counted(self, now_s: float) -> int:
        while self._unseen_until_s and self._unseen_until_s[0] <= now_s:
            self._unseen_until_s.popleft()
        return self.in_flight + len(self._unseen_until_s)

    def _end(self, task: Key) -> None:
        self._queued_there -= self._open.pop(task, False)
        if self._doubted is not None and task in self._doubted:
            self._doubted = None

    def _free_at_s(self, now_s: float) -> float:
        counted = self._counted(now_s)
        end_s = self._unseen_until_s[0] if self._unseen_until_s else math.inf
        if self.declared is not None and counted >= self.declared:
            return end_s
        if self._out and self.learned is None and not self._side_by_side:
            return math.inf
        if not self.refuses:
            running = len(self._open) - self._queued_there
            is_full = len(self._out) + self._queued_there >= max(QUEUED_AHEAD, running)
            return math.inf if is_full and self.declared is None else now_s
        if self.learned is None or counted < self.learned:
            return now_s
        return math.inf if self._out else min(end_s, max(now_s, self._probe_s))


@dataclass(slots=True)
class Account:
    """What one account's tasks share.

    Attributes:
        create_floor: The earliest next create.
        query_floor: The earliest next query.
        create_gate: What creates pass.
        query_gate: What queries pass.
        slots: How many tasks may be open.
    """

    create_floor: Floor = field(default_factory=Floor)
    query_floor: Floor = field(default_factory=Floor)
    create_gate: Gate = field(default_factory=Gate)
    query_gate: Gate = field(default_factory=Gate)
    slots: Slots = field(default_factory=Slots)
