"""Who may look after which task, and who may tell of which end: for each, who took it until when, and who was told.

Where a task stands is the ledger's word, which tests/oracle/ledger.py judges; who has it is counted here alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_S = 3600.0
GOES_ON = {"QUEUED", "RUNNING", "UNRECOGNIZED", "UNLISTED"}
ENDS = {"SUCCEEDED", "FAILED", "CANCELED", "REFUSED", "EXPIRED", "ABANDONED"}


@dataclass
class Kept:
    """One task: where it stands, whether somebody was told of its end, who looks after it, until when."""

    phase: str = "QUEUED"
    is_told: bool = False
    worker: str | None = None
    until_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.phase in GOES_ON

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end."""
        return self.phase in ENDS


class Leases:
    """All tasks, by numbers that only rise."""

    def __init__(self) -> None:
        self.tasks: dict[int, Kept] = {}

    def stands(self, number: int, phase: str) -> None:
        """Note where a task stands; an end that was taken back, and came again, is a new one to tell of."""
        kept = self.tasks.setdefault(number, Kept(phase))
        if kept.phase != phase:
            kept.is_told = False
        if phase == "ABANDONED":
            kept.is_told = True  # By whoever gave it up.
        kept.phase = phase

    def free(self, worker: str, now_s: float, *, ends: bool) -> list[int]:
        """Return the tasks, or the ends that nobody was told of, that a worker may take: nobody has them, or nobody
        has them any more. What is leased for longer than a lease may last was leased by a clock that was wrong."""
        return [
            number
            for number, task in sorted(self.tasks.items())
            if (task.is_over and not task.is_told if ends else task.is_open)
            and (task.worker in {None, worker} or not 0.0 < task.until_s - now_s <= LONGEST_S)
        ]

    def take(self, worker: str, for_s: float, limit: int, now_s: float, *, ends: bool) -> list[int]:
        """Return what a worker gets: of open tasks those that nobody looked at for longest, of ends the oldest."""
        free = self.free(worker, now_s, ends=ends)
        if not ends:
            free.sort(key=lambda number: (self.tasks[number].until_s, number))
        self._lease(free[:limit], worker, for_s, now_s)
        return free[:limit]

    def renew(self, number: int, worker: str, for_s: float, now_s: float) -> bool:
        """Return whether a worker still has a task, or an end to tell of, and may keep it for longer."""
        kept = self.tasks[number]
        is_mine = kept.worker == worker and (kept.is_open or (kept.is_over and not kept.is_told))
        if is_mine:
            self._lease([number], worker, for_s, now_s)
        return is_mine

    def let_go(self, number: int, worker: str, now_s: float) -> None:
        """Note that a worker lets go of a task, if it is its own."""
        kept = self.tasks[number]
        if kept.worker == worker:
            kept.worker, kept.until_s = None, now_s

    def tell(self, number: int) -> None:
        """Note that somebody was told of an end, which nobody has any more; of what is open, or was told, nothing."""
        kept = self.tasks[number]
        if kept.is_over and not kept.is_told:
            kept.is_told, kept.worker, kept.until_s = True, None, 0.0

    def _lease(self, numbers: Iterable[int], worker: str, for_s: float, now_s: float) -> None:
        for number in numbers:
            self.tasks[number].worker = worker
            self.tasks[number].until_s = now_s + min(for_s, LONGEST_S)
