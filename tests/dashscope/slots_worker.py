"""A process of its own that makes tasks through the real client, and keeps to the slots of its ledger.

``python -m tests.dashscope.slots_worker LEDGER BASE_URL API_KEY HOW TASKS BEGAN`` says ``ready``, waits for a line, and
says how many tasks it saw succeed. HOW is ``threads``, ``batch``, ``asyncio`` or ``leave``: the last one submits one
task, says so, and never looks at it. LEDGER is a connection string, or else a path.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resilient_poll import AsyncDashScope, DashScope, Job, Limits, SubmitPolicy
from resilient_poll.machine.instant import Instant
from tests.dashscope.keys_worker import MODEL, ROOT, open_ledger, say_and_wait

__all__ = ["CAP", "working"]

CAP = 3
AT_ONCE = 2
"""Tasks that each process wants at once: sixteen together."""
HURRY = 20.0
PATIENT = SubmitPolicy(timeout_s=100_000.0)
INPUT = {"prompt": "a cat"}


class CommonClock:
    """The machine's clock, on which all time runs faster, and alike in all processes.

    Args:
        began_wall_s: Since when, in seconds since 1970.
    """

    def __init__(self, began_wall_s: float) -> None:
        self._began_wall_s = began_wall_s

    def now(self) -> Instant:
        """Return the present instant."""
        wall_s = self._began_wall_s + (time.time() - self._began_wall_s) * HURRY
        return Instant(time.monotonic() * HURRY, wall_s)

    def sleep(self, seconds: float) -> None:
        """Block for a small part of the time."""
        time.sleep(max(0.0, seconds) / HURRY)  # real: what is waited for is done by another process


class CommonAsyncClock(CommonClock):
    """The same for code that awaits."""

    async def sleep(self, seconds: float) -> None:  # type: ignore[override]  # that is the difference
        """Wait for a small part of the time."""
        await asyncio.sleep(max(0.0, seconds) / HURRY)  # real: as above


def by_threads(client: DashScope, tasks: int) -> int:
    """Make tasks one by one in several threads."""

    def make(_: int) -> bool:
        return client.submit(MODEL, INPUT).wait(100_000.0).status == "SUCCEEDED"

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(make, range(tasks)))


def by_batch(client: DashScope, tasks: int) -> int:
    """Make tasks as one batch."""
    jobs = [Job(MODEL, INPUT) for _ in range(tasks)]
    return sum(one.outcome is not None for one in client.submit_many(jobs, timeout=100_000.0, workers=AT_ONCE + 1))


async def by_tasks(options: dict[str, Any], tasks: int, began_wall_s: float) -> int:
    """Make tasks one by one in several tasks of an event loop."""
    made, waiting = 0, iter(range(tasks))
    async with AsyncDashScope(**options, clock=CommonAsyncClock(began_wall_s)) as client:

        async def make_some() -> None:
            nonlocal made
            for _ in waiting:
                outcome = await (await client.submit(MODEL, INPUT)).wait(100_000.0)
                made += outcome.status == "SUCCEEDED"

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(make_some())
    return made


@contextmanager
def working(*what: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker, and see to it that it is gone afterwards."""
    command = [sys.executable, "-m", "tests.dashscope.slots_worker", *what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603  # our own
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Make the tasks, and say how many succeeded."""
    address, base_url, api_key, how, number, began = sys.argv[1:]
    tasks, began_wall_s = int(number), float(began)
    with open_ledger(address if "host=" in address else str(Path(address))) as ledger:
        options: dict[str, Any] = {"dialect": "aisa", "api_key": api_key, "base_url": base_url, "ledger": ledger}
        options |= {"submit_policy": PATIENT, "limits": Limits(concurrent_tasks=CAP)}
        if how == "asyncio":
            say_and_wait("ready")
            made = asyncio.run(by_tasks(options, tasks, began_wall_s))
        else:
            with DashScope(**options, clock=CommonClock(began_wall_s)) as client:
                say_and_wait("ready")
                if how == "leave":
                    say_and_wait(f"submitted {client.submit(MODEL, INPUT).phase}")
                made = by_batch(client, tasks) if how == "batch" else by_threads(client, tasks)
        say_and_wait(str(made))


if __name__ == "__main__":
    main()
