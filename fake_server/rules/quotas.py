"""Limits of one world: tasks at once, and queries a second."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_server.rules.tasks import Task

# What a refused create is told to wait where the script cannot know better (a task that ends by polls).
UNKNOWN_WAIT_S = 3


class Slots:
    """Who runs and who waits for a slot.

    Slots are given in the order of submission, at the instant at which one becomes free, however late
    somebody asks: settling twice, or late, gives what settling at every instant would have given.

    Args:
        size: How many tasks may run at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._running: list[Task] = []
        self._waiting: deque[Task] = deque()

    @property
    def are_taken(self) -> bool:
        """Whether a further task would have to wait."""
        return len(self._running) >= self.size or bool(self._waiting)

    def settle(self, now_s: float) -> None:
        """Bring slots up to an instant: free what ended, start what waits, in order of time."""
        while True:
            ends = [(end, task.ordinal, task) for task in self._running if (end := task.frees_slot_s()) is not None]
            if not ends:
                return
            end_s, _, task = min(ends, key=lambda item: item[:2])
            if end_s > now_s:
                return
            self._running.remove(task)
            if self._waiting:
                self._start(self._waiting.popleft(), end_s)

    def add(self, task: Task, now_s: float) -> None:
        """Give a new task a slot, or a place in the queue."""
        if self.are_taken:
            self._waiting.append(task)
        else:
            self._start(task, now_s)

    def cancel(self, task: Task, now_s: float) -> None:
        """A task was cancelled by its owner: it leaves the queue or its slot."""
        task.canceled_s = now_s
        if task in self._waiting:
            self._waiting.remove(task)
        self.settle(now_s)

    def retry_after_s(self, now_s: float) -> int:
        """Whole seconds until the first slot is free, at least one."""
        ends = [end for task in self._running if (end := task.frees_slot_s()) is not None]
        return max(1, math.ceil(min(ends) - now_s)) if ends else UNKNOWN_WAIT_S

    def _start(self, task: Task, start_s: float) -> None:
        task.started_s = start_s
        self._running.append(task)


class QueryWindow:
    """At most so many queries in any second.

    Args:
        per_second: The limit.
    """

    def __init__(self, per_second: int) -> None:
        self._admitted: deque[float] = deque(maxlen=per_second)

    def admit(self, now_s: float) -> bool:
        """Whether a query may pass now; one that may not leaves no trace."""
        if len(self._admitted) == self._admitted.maxlen and now_s - self._admitted[0] < 1.0:
            return False
        self._admitted.append(now_s)
        return True
