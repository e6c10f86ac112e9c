"""Measure by turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = ["Cost", "Stopwatch", "by_turns", "by_turns_async"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one unit of work cost.

    Attributes:
        wall_us: Microseconds on the clock.
        cpu_us: Microseconds of this process on a processor.
    """

    wall_us: float
    cpu_us: float


class Stopwatch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._wall_s = time.perf_counter()
        self._cpu_s = time.process_time()

    def cost(self, units: int) -> Cost:
        """Return what each of so many units cost since the start."""
        wall_s, cpu_s = time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s
        return Cost(wall_s / units * 1e6, cpu_s / units * 1e6)


def by_turns(arms: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure each arm once a round, in turning order; a first round only warms up.

    Args:
        arms: What to measure, by name.
        rounds: How often.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        gc.collect()
        for name in _order(list(arms), number):
            cost = arms[name]()
            if number:
                costs[name].append(cost)
    return costs


async def by_turns_async(arms: Mapping[str, Callable[[], Awaitable[Cost]]], rounds: int) -> dict[str, list[Cost]]:
    """Measure like :func:`by_turns`, in code that awaits."""
    costs: dict[str, list[Cost]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        gc.collect()
        for name in _order(list(arms), number):
            cost = await arms[name]()
            if number:
                costs[name].append(cost)
    return costs


def _order(names: list[str], number: int) -> list[str]:
    return names if number % 2 else names[::-1]
