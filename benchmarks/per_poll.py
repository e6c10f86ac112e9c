"""What one poll costs in our waits, beside a loop by hand and beside the vendor's own package.

All poll the same fake over the loopback without a pause, so that nothing but the cost
shows; between real polls there are three seconds, in which none of this matters.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module, util
from typing import Any

import httpx

from benchmarks import loops
from benchmarks.figures import Row, Scale, beside
from benchmarks.serving import CREATE_PATH, TASKS_PATH, Served, running_fake
from benchmarks.timing import Cost, Stopwatch, by_turns, by_turns_async
from resilient_poll import AsyncDashScope, DashScope, Event, Fixed, Limits, WaitPolicy

__all__ = ["UNPAUSED", "measure"]

AT_MOST = 1.10
KEY = "sk-bench-polls.one"
HEADERS = {"Authorization": f"Bearer {KEY}"}
UNPAUSED = WaitPolicy(schedule=Fixed(0.0), minimum_interval_s=0.0, timeout_s=600.0)
_CLASSIC = "/api/v1"
_MODEL, _INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}

Arm = Callable[[], Cost]


def measure(scale: Scale) -> list[Row]:
    """Measure a hundred polls a turn."""
    rounds = scale.of(60, 2)
    with running_fake("bench-polls") as served, ExitStack() as stack:
        costs = by_turns(_blocking(served, stack), rounds)
        awaiting = asyncio.run(_awaiting(served, rounds))
    rows = [
        *_compared("blocking wait, {} of a poll / a hand-written httpx loop", costs["ours"], costs["by hand"]),
        *_compared("asyncio wait, {} of a poll / a hand-written httpx loop", awaiting["ours"], awaiting["by hand"]),
    ]
    if "ours, told" in costs:
        what = "blocking wait, {} of a poll, told to OpenTelemetry (SDK without exporters) / told to nobody"
        rows += _compared(what, costs["ours, told"], costs["ours"], at_most=None)
    for name in ("v1", "v2"):
        if name in costs:
            what = f"blocking wait, {{}} of a poll / `fetch` of the dashscope package 2.0.2, {name}"
            rows += _compared(what, costs["ours, classic"], costs[name], at_most=None)
    again = [cost.wall_us for cost in costs["by hand, again"]]
    rows.append(beside("noise: the hand-written loop / itself", again, [c.wall_us for c in costs["by hand"]], "µs"))
    return rows


def _compared(what: str, ours: list[Cost], other: list[Cost], at_most: float | None = AT_MOST) -> list[Row]:
    walls = beside(what.format("time"), [c.wall_us for c in ours], [c.wall_us for c in other], "µs", at_most=at_most)
    cpu = [c.cpu_us for c in ours], [c.cpu_us for c in other]
    return [walls, beside(what.format("processor time"), *cpu, "µs", at_most=at_most)]


def _blocking(served: Served, stack: ExitStack) -> dict[str, Arm]:
    http_client = stack.enter_context(httpx.Client(headers=HEADERS))
    ours = stack.enter_context(_client(served, "aisa", "/apis/v1"))
    classic = stack.enter_context(_client(served, "dashscope", _CLASSIC))

    def by_hand() -> Cost:
        url = served.url + TASKS_PATH + loops.create(http_client, served.url + CREATE_PATH)
        watch = Stopwatch()
        return watch.cost(loops.wait(http_client, url))

    arms: dict[str, Arm] = {
        "by hand": by_hand,
        "ours": lambda: _ours(ours),
        "by hand, again": by_hand,
        "ours, classic": lambda: _ours(classic),
    }
    if util.find_spec("opentelemetry.sdk") is not None:
        told = stack.enter_context(_client(served, "aisa", "/apis/v1", _telemetry()))
        arms["ours, told"] = lambda: _ours(told)
    return arms | _vendors(served)


def _telemetry() -> Callable[[Event], None]:
    metrics: Any = import_module("opentelemetry.sdk.metrics")
    traces: Any = import_module("opentelemetry.sdk.trace")
    from resilient_poll.telemetry.opentelemetry import OpenTelemetry  # noqa: PLC0415  # only where it is installed

    # Ended by nobody: they hold no thread and no file.
    return OpenTelemetry(traces.TracerProvider(shutdown_on_exit=False), metrics.MeterProvider(shutdown_on_exit=False))


def _client(served: Served, dialect: str, base: str, on_event: Callable[[Event], None] | None = None) -> DashScope:
    # The vendor's limit is kept by us and not by its package; here it would be all that is measured.
    limits = Limits(queries_per_second=10_000) if dialect == "dashscope" else None
    return DashScope(
        dialect=dialect,
        api_key=KEY,
        base_url=served.url + base,
        wait_policy=UNPAUSED,
        limits=limits,
        on_event=on_event,
    )


def _ours(client: DashScope) -> Cost:
    task = client.submit(_MODEL, _INPUT)
    watch = Stopwatch()
    return watch.cost(task.wait().polls)


async def _awaiting(served: Served, rounds: int) -> dict[str, list[Cost]]:
    base_url = served.url + "/apis/v1"
    async with (
        httpx.AsyncClient(headers=HEADERS) as http_client,
        AsyncDashScope(dialect="aisa", api_key=KEY, base_url=base_url, wait_policy=UNPAUSED) as client,
    ):

        async def by_hand() -> Cost:
            task = await client.submit(_MODEL, _INPUT)
            watch = Stopwatch()
            return watch.cost(await loops.wait_async(http_client, served.url + TASKS_PATH + task.id))

        async def ours() -> Cost:
            task = await client.submit(_MODEL, _INPUT)
            watch = Stopwatch()
            return watch.cost((await task.wait()).polls)

        return await by_turns_async({"by hand": by_hand, "ours": ours}, rounds)


def _vendors(served: Served) -> dict[str, Arm]:
    """Return the loops of the vendor's package, both of its faces; nothing where it is not installed."""
    if util.find_spec("dashscope") is None:
        return {}
    os.environ["DASHSCOPE_HTTP_BASE_URL"] = served.url + _CLASSIC  # Read when the package is imported.
    package: Any = import_module("dashscope")
    package.base_http_api_url = served.url + _CLASSIC
    first = package.VideoSynthesis
    second = package.Client(base_url=served.url + _CLASSIC, api_key=KEY).videos.jobs

    def first_face() -> Cost:
        made = first.async_call(model=_MODEL, prompt="a cat", api_key=KEY)
        return _until_end(lambda: first.fetch(made.output.task_id, api_key=KEY).output.task_status)

    def second_face() -> Cost:
        made = second.create(model=_MODEL, prompt="a cat")
        return _until_end(lambda: second.fetch(made.job_id).output["task_status"])

    return {"v1": first_face, "v2": second_face}


def _until_end(status: Callable[[], str]) -> Cost:
    watch, polls = Stopwatch(), 1
    while status() not in loops.ENDS:
        polls += 1
    return watch.cost(polls)
