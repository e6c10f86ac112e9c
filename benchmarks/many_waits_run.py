"""One repetition of :mod:`.many_waits`: the ids come on stdin, the figures go to stdout."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from benchmarks import loops
from benchmarks.serving import TASKS_PATH
from benchmarks.timing import Stopwatch
from resilient_poll import AsyncDashScope, Event, Fixed, Waiting, WaitPolicy

ASLEEP_S = 600.0
CONNECTIONS = 100
_SETTLING_S = 0.2

WaitFor = Callable[[str], Awaitable[int]]


class Sleepers:
    """Counts who sleeps between two polls.

    Args:
        expected: How many there are.
    """

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self.all_asleep = asyncio.Event()

    def one_more(self) -> None:
        """Another one was polled and sleeps now, or as soon as it gets its turn."""
        self._missing -= 1
        if not self._missing:
            self.all_asleep.set()

    def heard(self, event: Event) -> None:
        """Take in an event of a wait of ours."""
        if isinstance(event, Waiting) and event.until_s - event.at_s > ASLEEP_S / 2:
            self.one_more()

    async def polled(self, response: Any) -> None:  # noqa: ARG002  # a hook of the HTTP libraries
        """Take in an answer of a loop by hand."""
        self.one_more()


async def at_full_speed(ids: list[str], wait_for: WaitFor) -> dict[str, float]:
    """Wait for all tasks at once without pauses, and return what a poll cost."""
    gc.collect()
    watch = Stopwatch()
    polls = await asyncio.gather(*(wait_for(task_id) for task_id in ids))
    cost = watch.cost(sum(polls))
    return {"polls_per_s": 1e6 / cost.wall_us, "cpu_us": cost.cpu_us}


async def asleep(ids: list[str], wait_for: WaitFor, sleepers: Sleepers) -> dict[str, float]:
    """Poll each task once, and return how much memory each takes while all sleep until the next poll."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    waiting = [asyncio.ensure_future(wait_for(task_id)) for task_id in ids]
    await asyncio.wait_for(sleepers.all_asleep.wait(), ASLEEP_S / 2)
    await asyncio.sleep(_SETTLING_S)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for task in waiting:
        task.cancel()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    if not all(isinstance(outcome, asyncio.CancelledError) for outcome in ended):
        raise RuntimeError(f"a wait ended that should have slept: {ended[0]!r}")
    return {"kib_per_task": taken / len(ids) / 1024}


async def ours(library: Any, url: str, key: str, ids: list[str]) -> dict[str, float]:
    """Measure our waits."""
    sleepers = Sleepers(len(ids))

    def waiting_with(http_client: Any, interval_s: float) -> WaitFor:
        policy = WaitPolicy(
            schedule=Fixed(interval_s, first_s=0.0),
            minimum_interval_s=0.0,
            timeout_s=2 * ASLEEP_S,
            attempt_timeout_s=ASLEEP_S,
        )
        client = AsyncDashScope(
            dialect="aisa",
            api_key=key,
            base_url=f"{url}/apis/v1",
            http_client=http_client,
            wait_policy=policy,
            on_event=sleepers.heard if interval_s else None,
        )

        async def wait_for(task_id: str) -> int:
            return (await client.task(task_id).wait()).polls

        return wait_for

    async with library.AsyncClient(limits=_limits(library)) as http_client:
        memory = await asleep(ids, waiting_with(http_client, ASLEEP_S), sleepers)
    async with library.AsyncClient(limits=_limits(library)) as http_client:
        return memory | await at_full_speed(ids, waiting_with(http_client, 0.0))


def _limits(library: Any) -> Any:
    return library.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)


async def by_hand(library: Any, url: str, key: str, ids: list[str]) -> dict[str, float]:
    """Measure the loops that people write."""
    sleepers = Sleepers(len(ids))
    options = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": None, "limits": _limits(library)}
    async with library.AsyncClient(**options, event_hooks={"response": [sleepers.polled]}) as http_client:
        memory = await asleep(
            ids,
            lambda task_id: loops.wait_async(http_client, url + TASKS_PATH + task_id, ASLEEP_S),
            sleepers,
        )
    async with library.AsyncClient(**options) as http_client:
        speed = await at_full_speed(ids, lambda task_id: loops.wait_async(http_client, url + TASKS_PATH + task_id))
    return memory | speed


def main() -> None:
    """Measure one side with one library, and print one line of JSON."""
    side, library, url, key = sys.argv[1:]
    logging.disable(logging.WARNING)  # Of waits that are cut off; there is nothing to be done about them.
    measured = {"ours": ours, "by hand": by_hand}[side](import_module(library), url, key, json.load(sys.stdin))
    sys.stdout.write(json.dumps(asyncio.run(measured)) + "\n")


if __name__ == "__main__":
    main()
