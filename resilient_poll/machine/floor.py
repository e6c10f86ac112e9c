"""The earliest next request, shared by all tasks of one account."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

__all__ = ["Floor", "TaskFloors"]

CROWD_GAP_S = 1.0
"""How far apart they go: the service's answer to the first is there before the second is sent."""
CROWDED_S = 60.0
"""For how long after a throttle: a task's usual life, after which its slot is free again."""
LOOKING_S = 0.25
"""How long a look for a slot may take before another one of ours begins: a database answers within milliseconds."""
MOST_TASK_FLOORS = 10_000
"""Floors of tasks that nobody polls any more need not be kept; this many are some 2 MB."""
_SINCE_EVER = float("-inf")


@dataclass(slots=True)
class Floor:
    """A line below which no request is sent; it only rises.

    A service throttles an account, not a task. So when one task hears "come back in
    20 s", all tasks that share its floor stay away.

    Attributes:
        not_before_s: The earliest next request, in monotonic seconds.
        crowded_until_s: Until when those who were told to stay away go one after the other.
        looks_from_s: The earliest next look for a slot that all who share the account share.
        guard: Held while it rises; a lock where threads share it, or of two that raise it the lower could win.
    """

    not_before_s: float = _SINCE_EVER
    crowded_until_s: float = _SINCE_EVER
    looks_from_s: float = _SINCE_EVER
    guard: AbstractContextManager[object] = field(default_factory=nullcontext, repr=False, compare=False)

    def raise_to(self, at_s: float) -> None:
        """Raise the floor to an instant in monotonic seconds; a lower one changes nothing."""
        with self.guard:
            self.not_before_s = max(self.not_before_s, at_s)

    def throttle_until(self, at_s: float) -> None:
        """Raise the floor because the service asked for it, and let those who wait go one after the other."""
        with self.guard:
            self.raise_to(at_s)
            self.crowded_until_s = max(self.crowded_until_s, at_s + CROWDED_S)

    def step_through(self, now_s: float) -> None:
        """Take one's turn: where many wait for the same instant, the others follow with a gap.

        Otherwise all of them send when the service's ``Retry-After`` is over, and all but
        the first are too many again.
        """
        if now_s < self.crowded_until_s:
            self.raise_to(now_s + CROWD_GAP_S)

    def look_again_from(self, at_s: float) -> None:
        """No slot was free: nobody here looks for one again before an instant, and then one of them first."""
        with self.guard:
            self.looks_from_s = max(self.looks_from_s, at_s)

    def look(self, now_s: float) -> None:
        """Look for a slot: while some wait for one, those beside this one look once it is known whether there is."""
        with self.guard:
            if now_s < self.looks_from_s + LOOKING_S:
                self.looks_from_s = max(self.looks_from_s, now_s + LOOKING_S)


class TaskFloors:
    """The floors of single tasks, each one for all who poll it; those that were used last are kept.

    Args:
        guard: See :class:`Floor`.
    """

    def __init__(self, guard: AbstractContextManager[object]) -> None:
        self._guard = guard
        self._floors: OrderedDict[str, Floor] = OrderedDict()

    def of(self, task_id: str) -> Floor:
        """Return a task's floor."""
        with self._guard:
            floor = self._floors.setdefault(task_id, Floor(guard=self._guard))
            self._floors.move_to_end(task_id)
            if len(self._floors) > MOST_TASK_FLOORS:
                self._floors.popitem(last=False)
        return floor
