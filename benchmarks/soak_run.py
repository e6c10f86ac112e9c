"""The client of :mod:`.soak`: many tasks through one client and one ledger; says its memory on the way.

``python -m benchmarks.soak_run URL KEY LEDGER TASKS``. A process of its own, so that its memory is the client's only.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fake_memory import megabytes
from benchmarks.ledgers import TimedLedger
from benchmarks.per_poll import UNPAUSED
from resilient_poll import AsyncDashScope, Job, Limits

AT_ONCE = 32
"""Requests that are out at once, and tasks that are open."""
PORTIONS = 20
"""So often its memory is looked at."""
MODEL = "wan2.5-t2v-preview"


def jobs(number: int) -> Iterator[Job]:
    """Yield what is wanted; each has a prompt and a key of its own."""
    for ordinal in range(number):
        yield Job(MODEL, {"prompt": f"a cat, number {ordinal}"}, idempotency_key=f"order-{ordinal}")


async def soak(url: str, key: str, path: Path, tasks: int) -> dict[str, object]:
    """Submit all, wait for each, take its result; return what that took.

    Args:
        url: Where the fake is.
        key: The world.
        path: The ledger's file.
        tasks: How many.
    """
    memory_mb: list[float] = []
    portion = max(1, tasks // PORTIONS)
    with TimedLedger(path) as ledger:
        client = AsyncDashScope(
            dialect="aisa",
            api_key=key,
            base_url=f"{url}/apis/v1",
            ledger=ledger,
            wait_policy=UNPAUSED,
            limits=Limits(concurrent_tasks=AT_ONCE),
        )
        began_s, done = time.perf_counter(), 0
        async with client:
            async for finished in client.submit_many(jobs(tasks), workers=AT_ONCE):
                finished.result()
                done += 1
                if done % portion == 0:
                    gc.collect()
                    memory_mb.append(megabytes("self", "VmRSS"))
                    sys.stderr.write(f"{done:,} tasks, {memory_mb[-1]:.1f} MB, {time.perf_counter() - began_s:.0f} s\n")
        took_s = time.perf_counter() - began_s
        counts = {phase.value: count for phase, count in ledger.counts().items()}
        undelivered = len(ledger.undelivered().entries)
        writes_us = {name: [took.quantile(0.5), took.quantile(0.99)] for name, took in ledger.took_us.items()}
    return {
        "portion": portion,
        "memory_mb": memory_mb,
        "peak_mb": megabytes("self", "VmHWM"),
        "took_s": took_s,
        "counts": counts,
        "undelivered": undelivered,
        "writes_us": writes_us,
    }


def main() -> None:
    """Soak, and print one line of JSON."""
    url, key, path, tasks = sys.argv[1:]
    logging.disable()
    found = asyncio.run(soak(url, key, Path(path), int(tasks)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
