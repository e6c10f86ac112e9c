"""What a service may answer that lets so many tasks run at once, and answers so many questions in a second.

Nothing is kept up to date: where everybody stands is found by going through the whole past, quarter second by quarter
second, for every question anew. Instants are quarters of a second, so that no sum is rounded.

Source: the pages that scenarios/contract and docs/fake.md name: the gateway refuses what is over its cap, the vendor
lets it wait in order of submission; query, list and cancel share a limit for a second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TICK_S = 0.25


@dataclass
class Made:
    """One task that was accepted: when, how long it takes once it runs, when it was cancelled."""

    made_s: float
    takes_s: float
    canceled_s: float | None = None


@dataclass
class Account:
    """All that was accepted at one gateway, and all questions that were answered.

    Attributes:
        cap: How many tasks may run at once.
        per_second: How many questions are answered in a second.
        has_queue: Whether tasks over the cap wait; otherwise they are refused.
    """

    cap: int
    per_second: int
    has_queue: bool
    tasks: list[Made] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)

    def starts(self, now_s: float) -> list[float | None]:
        """Return when each task began to run, as far as it has."""
        began: list[float | None] = [None] * len(self.tasks)
        for tick in range(int(now_s / TICK_S) + 1):
            at_s = tick * TICK_S
            for number, task in enumerate(self.tasks):
                waits = began[number] is None and task.made_s <= at_s and not self._is_canceled(task, at_s)
                if waits and self._running(began, at_s) < self.cap:
                    began[number] = at_s
        return began

    def word(self, number: int, now_s: float) -> str:
        """Return where a task stands."""
        task, began_s = self.tasks[number], self.starts(now_s)[number]
        if self._is_canceled(task, now_s):
            return "CANCELED"
        if began_s is None:
            return "PENDING"
        return "RUNNING" if now_s < began_s + task.takes_s else "SUCCEEDED"

    def is_full(self, now_s: float) -> bool:
        """Return whether one more task could not run."""
        return self._running(self.starts(now_s), now_s) >= self.cap

    def waits_s(self, now_s: float) -> int:
        """Return the whole seconds after which one more could, at least one."""
        began = self.starts(now_s)
        ends = [
            start_s + task.takes_s
            for task, start_s in zip(self.tasks, began, strict=True)
            if start_s is not None and start_s + task.takes_s > now_s
        ]
        return max(1, math.ceil(min(ends) - now_s))

    def may_ask(self, now_s: float) -> bool:
        """Return whether one more question is answered."""
        return sum(now_s - at_s < 1.0 for at_s in self.answered_s) < self.per_second

    def _running(self, began: list[float | None], at_s: float) -> int:
        return sum(
            start_s is not None and start_s <= at_s < start_s + task.takes_s and not self._is_canceled(task, at_s)
            for task, start_s in zip(self.tasks, began, strict=True)
        )

    def _is_canceled(self, task: Made, at_s: float) -> bool:
        return task.canceled_s is not None and task.canceled_s <= at_s
