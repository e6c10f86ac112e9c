"""Many worlds in several processes, a few at a time, so that none is kept longer than it is needed."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import time
from collections.abc import Iterator
from functools import partial

from tests.simulation.world import Result, simulate

__all__ = ["quick", "simulated"]

AT_A_TIME = 10


def simulated(seed: int, runs: int, processes: int) -> Iterator[tuple[list[tuple[int, Result]], float, int]]:
    """Run all worlds, some at a time, and yield what became of them in their order."""
    starts = range(0, runs, AT_A_TIME)
    work = partial(_some, seed, runs)
    if processes <= 1:
        yield from map(work, starts)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=quick) as pool:
        yield from pool.imap(work, starts)


def _some(seed: int, runs: int, start: int) -> tuple[list[tuple[int, Result]], float, int]:
    began_s = time.process_time()
    results = [(number, simulate(seed, number)) for number in range(start, min(start + AT_A_TIME, runs))]
    for _, result in results:
        if not result.is_wrong:
            result.fired = {}  # Nobody reads them, and a million tasks have many.
    return results, time.process_time() - began_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def quick() -> None:
    """Look for garbage less often: a world is dropped as a whole."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
