"""A batch of short tasks on a cap of three, in real time over a socket: its time over the ideal.

The ideal is three at a time without a gap. The cap is declared, or found out from the service's
refusals, whose ``Retry-After`` of at least a second is long beside tasks of 1.5 s.
"""

from __future__ import annotations

import itertools
import logging
import math
import time

from benchmarks.figures import Row, Scale, beside
from benchmarks.serving import Served, running_fake
from resilient_poll import DashScope, Event, Fixed, Job, Limits, Throttled, WaitPolicy

__all__ = ["measure"]

TASK_S = 1.5
CAP = 3
INTERVAL_S = 0.5
"""The floor of 2 Hz: tasks this short would end unseen for twice their length with the usual 3 s."""
_WORLDS = itertools.count()


def measure(scale: Scale) -> list[Row]:
    """Measure both ways by turns; each run has a world of its own."""
    jobs, rounds = scale.of(30, 3), scale.of(3, 1)
    ideal_s = math.ceil(jobs / CAP) * TASK_S
    ways = {"the cap declared": Limits(concurrent_tasks=CAP), "the cap found out": Limits()}
    took_s: dict[str, list[float]] = {way: [] for way in ways}
    refused: dict[str, list[float]] = {way: [] for way in ways}
    logging.getLogger("resilient_poll").setLevel(logging.ERROR)
    with running_fake("bench-cap") as served:
        for number in range(rounds):
            for way in sorted(ways, reverse=bool(number % 2)):
                seconds, refusals = _run(served, ways[way], jobs)
                took_s[way].append(seconds)
                refused[way].append(refusals)
    return [
        beside(
            f"{jobs} tasks of {TASK_S:g} s on a cap of {CAP}, {way} ({max(refused[way]):.0f} refused at most) / ideal",
            took_s[way],
            [ideal_s] * rounds,
            "s",
            at_most=1.1,
        )
        for way in ways
    ]


def _run(served: Served, limits: Limits, jobs: int) -> tuple[float, int]:
    events: list[Event] = []
    key = f"sk-bench-cap.{next(_WORLDS)}"
    policy = WaitPolicy(schedule=Fixed(INTERVAL_S))
    base_url = f"{served.url}/apis/v1"
    with DashScope(
        dialect="aisa", api_key=key, base_url=base_url, limits=limits, wait_policy=policy, on_event=events.append
    ) as client:
        began_s = time.perf_counter()
        wanted = [Job("wan2.5-t2v-preview", {"prompt": "a cat"})] * jobs
        for finished in client.submit_many(wanted):
            finished.result()
        took_s = time.perf_counter() - began_s
    return took_s, sum(isinstance(event, Throttled) for event in events)
