"""Who may look after which task: a list of tasks, and for each who took it until when."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_S = 3600.0


@dataclass
class Kept:
    """One task: whether it goes on, whether somebody was told of its end, who looks after it, until when."""

    is_open: bool = True
    is_told: bool = False
    worker: str | None = None
    until_s: float = 0.0
    ended_s: float = 0.0


class Leases:
    """All tasks, in the order in which they were made."""

    def __init__(self) -> None:
        self.tasks: list[Kept] = []

    def free(self, worker: str, now_s: float, *, ends: bool) -> list[int]:
        """Return the tasks, or the ends that nobody was told of, that a worker may take: nobody has them, or nobody
        has them any more. What is leased for longer than a lease may last was leased by a clock that was wrong."""
        return [
            number
            for number, task in enumerate(self.tasks)
            if task.is_open != ends
            and not (ends and task.is_told)
            and (task.worker in {None, worker} or not 0.0 < task.until_s - now_s <= LONGEST_S)
        ]

    def take(self, numbers: list[int], worker: str, for_s: float, now_s: float) -> None:
        """Note that a worker took some."""
        for number in numbers:
            self.tasks[number].worker = worker
            self.tasks[number].until_s = now_s + min(for_s, LONGEST_S)
