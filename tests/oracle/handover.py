"""Whose end was told to whom, of tasks that several workers look after who die, pause, stop and fail.

The service's truth and all that was told are kept. That an end is never told is not possible. That it is told again is
possible only to somebody else, who may look after it when the lease of whoever told it is over, or was let go.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Task:
    """One task: when it ends and how, and how often somebody was told."""

    ends_s: float
    end: str
    told: int = 0


@dataclass
class Handover:
    """All tasks, and all that may have brought an end to more than one worker.

    Attributes:
        lease_s: For how long nobody else looks after what a worker took.
        began_s: When all of it began.
        tasks: By their ids.
        stops: How often a worker stopped in order, and let go of what it had.
    """

    lease_s: float
    began_s: float
    tasks: dict[str, Task] = field(default_factory=dict)
    stops: int = 0

    def made(self, task_id: str, ends_s: float, end: str) -> None:
        """Note a task of the service."""
        self.tasks[task_id] = Task(ends_s, end)

    def says(self, task_id: str, now_s: float) -> str:
        """Return what the service says of a task."""
        task = self.tasks[task_id]
        return "RUNNING" if now_s < task.ends_s else task.end

    def may_tell(self, task_id: str, end: str, now_s: float, *, has_result: bool) -> bool:
        """Return whether an end may be handed over: it is the task's, it has come, and only a success has a result."""
        return self.says(task_id, now_s) == end and has_result == (end == "SUCCEEDED")

    def told(self, task_id: str) -> None:
        """Note that somebody took an end."""
        self.tasks[task_id].told += 1

    def most_told(self, now_s: float) -> int:
        """Return how often an end may have been told by now: once for each worker that may have had it in turn."""
        return 1 + self.stops + int((now_s - self.began_s) / self.lease_s)

    def told_too_often(self, now_s: float) -> list[str]:
        """Return the tasks whose end was told more often than that."""
        return [task_id for task_id, task in self.tasks.items() if task.told > self.most_told(now_s)]

    def untold(self) -> list[str]:
        """Return the tasks of whose end nobody was told."""
        return [task_id for task_id, task in self.tasks.items() if not task.told]
