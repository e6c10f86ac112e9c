"""Virtual time: what is to happen, in order. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

__all__ = ["Timeline"]


class Timeline:
    """A heap of what is to happen; of two things at one instant the one that was put down first is first.

    Attributes:
        now_s: The present, in true seconds since the world began.
        happened: How many things happened.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.happened = 0
        self._number = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, at_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at an instant; at the present, if that is over."""
        self._number += 1
        heappush(self._heap, (max(self.now_s, at_s), self._number, action, arguments))

    def run(self, until_s: float) -> bool:
        """Let everything happen that is to happen until an instant; return whether nothing is left."""
        heap = self._heap
        while heap:
            if heap[0][0] > until_s:
                return False
            self.now_s, _, action, arguments = heappop(heap)
            self.happened += 1
            action(*arguments)
        return True
