"""Tasks and places for them: each task gets a place that it fits, if all of them can. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["matched"]


def matched(fits: Mapping[str, Sequence[int]]) -> Mapping[str, int] | None:
    """Return a place for every task; None if there is none for one of them.

    Args:
        fits: For each task the numbers of the places that it fits, the best first.
    """
    holder: dict[int, str] = {}
    for task in fits:
        if not _seat(task, fits, holder):
            return None
    return {task: place for place, task in holder.items()}


def _seat(task: str, fits: Mapping[str, Sequence[int]], holder: dict[int, str]) -> bool:
    """Find a place for one more task, by asking others to move along a chain of them."""
    came_from: dict[int, tuple[str, int | None]] = {}
    waiting: list[tuple[str, int | None]] = [(task, None)]
    for mover, left in waiting:  # It grows while it is read.
        for place in fits[mover]:
            if place in came_from:
                continue
            came_from[place] = (mover, left)
            if place in holder:
                waiting.append((holder[place], place))
                continue
            free: int | None = place
            while free is not None:
                holder[free], free = came_from[free]
            return True
    return False
