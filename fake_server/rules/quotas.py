"""Limits of one world: tasks at once, and requests in a stretch of time."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_server.rules.tasks import Task

# What a refused create is told to wait where the script cannot know better (a task that ends by polls).
UNKNOWN_WAIT_S = 3
# Sums of seconds are floats: who waits for exactly as long as told must not be too early by a rounding.
ROUNDING_S = 1e-6


class Slots:
    """Who runs and who waits for a slot.

    Slots are given in the order of submission, at the instant at which one becomes free, however late
    somebody asks: settling twice, or late, gives what settling at every instant would have given.
    The cost of a call does not grow with the number of tasks (a heap of settled ends).

    Args:
        size: How many tasks may run at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._running: dict[int, Task] = {}
        # Settled ends, soonest first. An entry is stale once its task has left, or has a sooner end.
        self._ends: list[tuple[float, int]] = []
        self._waiting: deque[Task] = deque()

    @property
    def are_taken(self) -> bool:
        """Whether a further task would have to wait. Nobody waits before a free slot once all is settled."""
        return len(self._running) >= self.size

    def settle(self, now_s: float) -> None:
        """Bring slots up to an instant: free what ended, start what waits, in order of time."""
        # Nothing is due before the soonest entry, whether or not that is stale: most calls end here.
        while self._ends and self._ends[0][0] <= now_s:
            end_s = self._next_end_s()
            if end_s is None or end_s > now_s:
                return
            _, ordinal = heapq.heappop(self._ends)
            del self._running[ordinal]
            if not self.are_taken:
                self._start_next(end_s)

    def add(self, task: Task, now_s: float) -> None:
        """Give a new task a slot, or a place in the queue."""
        if self.are_taken:
            self._waiting.append(task)
        else:
            self._start(task, now_s)

    def start_now(self, task: Task, now_s: float) -> None:
        """Let a task that waits start at once, over the cap; one that does not wait is left alone."""
        if task.started_s is None and task.canceled_s is None:
            self._start(task, now_s)

    def resize(self, size: int, now_s: float) -> None:
        """Another number of tasks may run at once from now on; what runs over a lower one runs on."""
        self.settle(now_s)
        self.size = size
        while not self.are_taken and self._waiting:
            self._start_next(now_s)

    @property
    def running(self) -> int:
        """How many tasks run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many tasks wait for a slot."""
        return sum(_waits(task) for task in self._waiting)

    def learn_end(self, task: Task) -> None:
        """A running task may have come to know its end: a poll that it counts was answered."""
        if task.ordinal in self._running:
            self._note_end(task)

    def go_on(self, task: Task) -> None:
        """The rest of a task's life was changed: it runs, over the cap if its slot was given to another meanwhile."""
        self._running[task.ordinal] = task
        self._note_end(task)

    def cancel(self, task: Task, now_s: float) -> None:
        """A task was cancelled by its owner: it leaves the queue or its slot."""
        task.canceled_s = now_s
        if task.ordinal in self._running:
            self._note_end(task)
        self.settle(now_s)

    def retry_after_s(self, now_s: float) -> int:
        """Whole seconds until the first slot is free, at least one."""
        end_s = self._next_end_s()
        if end_s is None:
            return UNKNOWN_WAIT_S
        wait_s = max(1, math.ceil(end_s - now_s - ROUNDING_S))
        # A slot is free at its very instant and no sooner, whatever these floats add up to.
        return wait_s if now_s + wait_s >= end_s else wait_s + 1

    def _next_end_s(self) -> float | None:
        """The soonest settled end of a task that runs."""
        while self._ends:
            end_s, ordinal = self._ends[0]
            task = self._running.get(ordinal)
            if task is not None and task.frees_slot_s() == end_s:
                return end_s
            heapq.heappop(self._ends)
        return None

    def _start_next(self, start_s: float) -> None:
        while self._waiting:
            task = self._waiting.popleft()
            if _waits(task):
                self._start(task, start_s)
                return

    def _start(self, task: Task, start_s: float) -> None:
        task.started_s = start_s
        self._running[task.ordinal] = task
        self._note_end(task)

    def _note_end(self, task: Task) -> None:
        end_s = task.frees_slot_s()
        if end_s is not None:
            heapq.heappush(self._ends, (end_s, task.ordinal))


def _waits(task: Task) -> bool:
    """Whether a task still waits: it may have been cancelled, or started over the cap, since it queued."""
    return task.started_s is None and task.canceled_s is None


class RateWindow:
    """At most so many requests in any stretch of time; one that may not pass leaves no trace.

    Args:
        most: How many requests.
        span_s: In how many seconds.
    """

    def __init__(self, most: int, span_s: float) -> None:
        self.most = most
        self._span_s = span_s - ROUNDING_S
        self._admitted: deque[float] = deque()

    def admit(self, now_s: float) -> bool:
        """Whether a request may pass now; if so it counts."""
        if not self.remaining(now_s):
            return False
        self._admitted.append(now_s)
        return True

    def remaining(self, now_s: float) -> int:
        """How many further requests may pass now."""
        while self._admitted and now_s - self._admitted[0] >= self._span_s:
            self._admitted.popleft()
        return max(0, self.most - len(self._admitted))

    def next_in_s(self, now_s: float) -> float:
        """Seconds until the oldest request leaves the window and one more may pass; zero in an empty window."""
        self.remaining(now_s)
        return self._admitted[0] + self._span_s - now_s if self._admitted else 0.0

    def retry_after_s(self, now_s: float) -> int:
        """Whole seconds after which a request passes that may not pass now, at least one."""
        return max(1, math.ceil(self.next_in_s(now_s)))
