"""What one poll costs where the API is declared, beside a loop by hand.

Both poll the same fake over the loopback without a pause, through one and the same client, so that nothing but the
cost shows.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from benchmarks import loops
from benchmarks.figures import Row, Scale, beside
from benchmarks.per_poll import UNPAUSED
from benchmarks.serving import CREATE_PATH, TASKS_PATH, running_fake
from benchmarks.timing import Cost, Stopwatch, by_turns, by_turns_async
from resilient_poll import AsyncOperation, Lifecycle, Operation, OperationSpec, QueryCall, poll, poll_async

__all__ = ["measure"]

AT_MOST = 1.10
HEADERS = {"Authorization": "Bearer sk-bench-polls.one"}
SPEC = OperationSpec(
    name="bench",
    query=QueryCall(url=TASKS_PATH + "{id}"),
    status="output.task_status",
    lifecycle=Lifecycle.of(queued=["PENDING"], running=["RUNNING"], succeeded=["SUCCEEDED"], failed=["FAILED"]),
    error_code="code",
    error_message="message",
)
_BODY = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}
_POLL: Any = {"lifecycle": SPEC.lifecycle, "policy": UNPAUSED}


def measure(scale: Scale) -> list[Row]:
    """Measure a hundred polls a turn."""
    rounds = scale.of(60, 2)
    with running_fake("bench-polls") as served:
        blocking = _blocking(served.url, rounds)
        awaiting = asyncio.run(_awaiting(served.url, rounds))
    rows: list[Row] = []
    for colour, costs in (("blocking", blocking), ("asyncio", awaiting)):
        for arm in ("poll() with a spec", "an operation's wait"):
            rows += _compared(
                f"{colour}, {arm}, {{}} of a poll / a hand-written httpx loop", costs[arm], costs["by hand"]
            )
    again = [cost.wall_us for cost in blocking["by hand, again"]]
    rows.append(beside("noise: the hand-written loop / itself", again, [c.wall_us for c in blocking["by hand"]], "µs"))
    return rows


def _compared(what: str, ours: list[Cost], other: list[Cost]) -> list[Row]:
    walls = [c.wall_us for c in ours], [c.wall_us for c in other]
    cpu = [c.cpu_us for c in ours], [c.cpu_us for c in other]
    return [
        beside(what.format("time"), *walls, "µs", at_most=AT_MOST),
        beside(what.format("processor time"), *cpu, "µs"),
    ]


def _blocking(origin: str, rounds: int) -> dict[str, list[Cost]]:
    with httpx.Client(headers=HEADERS, base_url=origin) as http_client:

        def create() -> str:
            return loops.create(http_client, CREATE_PATH)

        def by_hand() -> Cost:
            url = TASKS_PATH + create()
            watch = Stopwatch()
            return watch.cost(loops.wait(http_client, url))

        def polled() -> Cost:
            url = TASKS_PATH + create()
            watch = Stopwatch()
            return watch.cost(poll(lambda: SPEC.observe(http_client.get(url)), **_POLL).polls)

        def operated() -> Cost:
            task_id = create()
            watch = Stopwatch()
            return watch.cost(Operation.known(SPEC, http_client, task_id).wait(policy=UNPAUSED).polls)

        arms = {
            "by hand": by_hand,
            "poll() with a spec": polled,
            "an operation's wait": operated,
            "by hand, again": by_hand,
        }
        return by_turns(arms, rounds)


async def _awaiting(origin: str, rounds: int) -> dict[str, list[Cost]]:
    async with httpx.AsyncClient(headers=HEADERS, base_url=origin) as http_client:

        async def create() -> str:
            made = await http_client.post(CREATE_PATH, json=_BODY, headers={"X-DashScope-Async": "enable"})
            task_id: str = made.raise_for_status().json()["output"]["task_id"]
            return task_id

        async def by_hand() -> Cost:
            url = TASKS_PATH + await create()
            watch = Stopwatch()
            return watch.cost(await loops.wait_async(http_client, url))

        async def polled() -> Cost:
            url = TASKS_PATH + await create()

            async def ask() -> Any:
                return SPEC.observe(await http_client.get(url))

            watch = Stopwatch()
            return watch.cost((await poll_async(ask, **_POLL)).polls)

        async def operated() -> Cost:
            task_id = await create()
            watch = Stopwatch()
            return watch.cost((await AsyncOperation.known(SPEC, http_client, task_id).wait(policy=UNPAUSED)).polls)

        arms = {"by hand": by_hand, "poll() with a spec": polled, "an operation's wait": operated}
        return await by_turns_async(arms, rounds)
