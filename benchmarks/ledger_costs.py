"""What a ledger in a file costs: each of its writes, a submit and a poll with it and without it, and the event loop.

The writes that are money wait for the disk, so the figures are the disk's as much as ours.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Row, Scale, Spread, beside
from benchmarks.ledgers import Histogram, StalledLedger, TimedLedger
from benchmarks.per_poll import UNPAUSED
from benchmarks.serving import Served, running_fake
from benchmarks.timing import Cost, Stopwatch, by_turns, by_turns_async
from resilient_poll import AsyncDashScope, DashScope
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["measure"]

KEPT_SPEED = 0.8
"""Of the polls a second that there are without a ledger, so many should be left."""
MOST_LAG_MS = 20.0
STALL_S = 0.5
SUBMITS_AT_ONCE = 8
WAITS_AT_ONCE = 50
TICK_S = 0.001
KEY = "sk-bench-life.one"
_MODEL, _INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}
_NUMBERS = itertools.count()
_NAMESPACE = Namespace("https://api.test/v1", "aisa", "main")


def measure(scale: Scale) -> list[Row]:
    """Measure on files of this machine's folder for temporary ones."""
    logging.getLogger("resilient_poll").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as name, running_fake("bench-life") as served:
        folder = Path(name)
        return [
            *_writes(folder, scale),
            *_with_and_without(served, folder, scale),
            *asyncio.run(_with_and_without_async(served, folder, scale)),
            *_lags(served, folder, scale),
        ]


def _writes(folder: Path, scale: Scale) -> list[Row]:
    medians: dict[str, list[float]] = {}
    slowest: dict[str, list[float]] = {}
    for _ in range(scale.of(5, 1)):
        with TimedLedger(folder / f"{next(_NUMBERS)}.sqlite3") as ledger, ledger.open_owner() as owner:
            for number in range(scale.of(1_000, 20)):
                now_s = 1_750_000_000.0 + number
                entry = ledger.begin(_NAMESPACE, f"order-{number}", "digest", {"model": _MODEL}, now_wall_s=now_s)
                licence = ledger.license(entry, owner, now_wall_s=now_s)
                if licence is None:
                    raise RuntimeError(f"{entry} was not licensed, and nobody else asks for it")
                entry = ledger.accept(licence, f"task-{number}", now_wall_s=now_s)
                entry = ledger.observe(entry, phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, now_wall_s=now_s)
                entry = ledger.observe(
                    entry, phase=Phase.SUCCEEDED, billing=Billing.BILLED, result="{}", now_wall_s=now_s
                )
                ledger.delivered(entry, now_wall_s=now_s)
        for name, took_us in ledger.took_us.items():
            medians.setdefault(name, []).append(took_us.quantile(0.5))
            slowest.setdefault(name, []).append(took_us.quantile(0.99))
    return [
        Row(
            f"ledger in a file, one `{name}` (beside it: the slowest in a hundred)",
            Spread.of(medians[name]),
            "µs",
            Spread.of(slowest[name]),
        )
        for name in medians
    ]


def _with_and_without(served: Served, folder: Path, scale: Scale) -> list[Row]:
    with ExitStack() as stack:
        ledger = stack.enter_context(SqliteLedger(folder / "waits.sqlite3"))
        clients = {"with": _client(served, ledger), "without": _client(served, None)}
        submits: dict[str, list[float]] = {name: [] for name in clients}
        for client in clients.values():
            stack.enter_context(client)

        def arm(name: str) -> Callable[[], Cost]:
            def submit_and_wait() -> Cost:
                watch = Stopwatch()
                task = clients[name].submit(_MODEL, _INPUT, idempotency_key=_key() if name == "with" else None)
                submits[name].append(watch.cost(1).wall_us)
                watch = Stopwatch()
                return watch.cost(task.wait().polls)

            return submit_and_wait

        costs = by_turns({name: arm(name) for name in clients}, scale.of(200, 2))
    return [
        _polls_a_second("blocking wait", costs),
        beside("submit, time with a ledger in a file / without", submits["with"], submits["without"], "µs"),
    ]


async def _with_and_without_async(served: Served, folder: Path, scale: Scale) -> list[Row]:
    waits = scale.of(WAITS_AT_ONCE, 3)
    with SqliteLedger(folder / "awaits.sqlite3") as ledger:
        async with _async_client(served, ledger) as kept, _async_client(served, None) as forgotten:

            async def at_once(client: AsyncDashScope, *, has_key: bool) -> Cost:
                tasks = [
                    await client.submit(_MODEL, _INPUT, idempotency_key=_key() if has_key else None)
                    for _ in range(waits)
                ]
                watch = Stopwatch()
                outcomes = await asyncio.gather(*(task.wait() for task in tasks))
                return watch.cost(sum(outcome.polls for outcome in outcomes))

            arms = {
                "with": lambda: at_once(kept, has_key=True),
                "without": lambda: at_once(forgotten, has_key=False),
            }
            costs = await by_turns_async(arms, scale.of(15, 1))
    return [_polls_a_second(f"{waits} asyncio waits at once", costs)]


def _polls_a_second(what: str, costs: dict[str, list[Cost]]) -> Row:
    ours, other = ([1e6 / cost.wall_us for cost in costs[name]] for name in ("with", "without"))
    return beside(
        f"{what} of 19 polls, polls a second with a ledger in a file / without",
        ours,
        other,
        "/s",
        at_most=1 / KEPT_SPEED,
        more_is_better=True,
    )


def _lags(served: Served, folder: Path, scale: Scale) -> list[Row]:
    stall_s = scale.of(500, 20) / 1e3
    stalled, idle = [], []
    for _ in range(scale.of(3, 1)):
        with StalledLedger(folder / f"{next(_NUMBERS)}.sqlite3", stall_s) as ledger:
            began_s = time.perf_counter()
            stalled.append(asyncio.run(_lag(served, ledger, scale.of(SUBMITS_AT_ONCE, 2))))
            if ledger.stalls < 2:
                raise RuntimeError(f"only {ledger.stalls} writes stood still, so nothing was shown")
        # As long as the other: what the machine does besides hits each as often.
        idle.append(asyncio.run(_idle_lag(time.perf_counter() - began_s)))
    what = f"event loop with fsync stalled by {STALL_S * 1e3:.0f} ms, {{}} (beside it: a loop that does nothing)"
    most, bare = (Spread.of(lag.most for lag in lags) for lags in (stalled, idle))
    slow, bare_slow = (Spread.of(lag.quantile(0.99) for lag in lags) for lags in (stalled, idle))
    goal, is_reached = f"under {MOST_LAG_MS:.0f} ms", most.high < MOST_LAG_MS
    return [
        Row(what.format("the largest lag"), most, "ms", bare, goal=goal, is_reached=is_reached),
        Row(what.format("one in a hundred is larger than"), slow, "ms", bare_slow),
    ]


async def _tick(lags: Histogram) -> None:
    """Note how much too late the loop wakes up somebody who sleeps, in ms."""
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(TICK_S)
        lags.add((time.perf_counter() - began_s - TICK_S) * 1e3)


async def _lag(served: Served, ledger: Ledger, submits: int) -> Histogram:
    """Submit and wait for some tasks at once; return the lags of the loop meanwhile."""
    lags = Histogram()
    async with _async_client(served, ledger) as client:

        async def submit_and_wait() -> None:
            await (await client.submit(_MODEL, _INPUT, idempotency_key=_key())).wait()

        await submit_and_wait()  # What is imported and opened at first is not what is measured.
        ticking = asyncio.create_task(_tick(lags))
        async with asyncio.TaskGroup() as group:
            for _ in range(submits):
                group.create_task(submit_and_wait())
        ticking.cancel()
    return lags


async def _idle_lag(seconds: float) -> Histogram:
    lags = Histogram()
    ticking = asyncio.create_task(_tick(lags))
    await asyncio.sleep(seconds)
    ticking.cancel()
    return lags


def _client(served: Served, ledger: Ledger | None) -> DashScope:
    base_url = f"{served.url}/apis/v1"
    return DashScope(dialect="aisa", api_key=KEY, base_url=base_url, wait_policy=UNPAUSED, ledger=ledger)


def _async_client(served: Served, ledger: Ledger | None) -> AsyncDashScope:
    base_url = f"{served.url}/apis/v1"
    return AsyncDashScope(dialect="aisa", api_key=KEY, base_url=base_url, wait_policy=UNPAUSED, ledger=ledger)


def _key() -> str:
    return f"order-{next(_NUMBERS)}"
