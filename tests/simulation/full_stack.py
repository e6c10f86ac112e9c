"""The same worlds through the real clients, one driver a world: blocking, asyncio or trio, over httpx or httpx2.

In the place of kills there are stops: a process cancels what it does, closes its client and comes back. What a kill
does to real processes is tested with real processes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import httpx
import httpx2
import trio
import trio.testing

from benchmarks.virtual_loop import run_virtually
from fake_server.moment import Moment
from resilient_poll import AsyncDashScope, DashScope, Fixed, Job, Limits, SubmitPolicy, WaitPolicy
from resilient_poll.dashscope.keeping.filing import namespace_of
from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.errors import (
    PollRefused,
    ResilientPollError,
    ResultUnreadable,
    StillGoing,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitRefused,
    SubmitThrottled,
    TaskEnded,
)
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant
from tests.simulation.chance import Draws
from tests.simulation.desks import rows_of
from tests.simulation.network import BASES, ORIGIN
from tests.simulation.plan import MODEL, Intent, Kill, Plan, Step, a_plan
from tests.simulation.process import WALL_S
from tests.simulation.stack import Message, Stack, shaped
from tests.simulation.timeline import Timeline
from tests.simulation.world import BOUND_S, Result
from tests.support.quiet import quiet

__all__ = ["DRIVERS", "run_all", "through_the_stack"]

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
DRIVERS = [(colour, library) for colour in ("sync", "asyncio", "trio") for library in LIBRARIES]
TEN_THOUSAND_TASKS = 60
"""Worlds."""
COME_AGAIN_S = 5.0
pass_time = anyio.sleep
"""All time here is virtual."""


class _World:
    """One world, with what both colours share.

    Args:
        plan: The world.
        library: The HTTP library.
        ledger: What all processes share.
        now_s: True time.
    """

    def __init__(self, plan: Plan, library: Any, ledger: Any, now_s: Callable[[], float]) -> None:
        self.plan, self.library, self.ledger, self.now_s = plan, library, ledger, now_s
        self.options: dict[str, Any] = {
            "dialect": plan.dialect,
            "api_key": "sk-simulated",
            "base_url": ORIGIN + BASES[plan.dialect],
            "ledger": ledger,
            "account": "simulated",
            "wait_policy": WaitPolicy(attempt_timeout_s=plan.attempt_s, schedule=Fixed(plan.interval_s)),
            "submit_policy": SubmitPolicy(timeout_s=plan.submit_s, attempt_timeout_s=plan.create_s),
            "limits": Limits() if plan.limits_queries else Limits(queries_per_second=1000.0),
        }
        asked = {name: self.options[name] for name in ("dialect", "api_key", "base_url")}
        settings = resolve_settings(**asked, headers=None, environ={})
        self._namespace = namespace_of(settings, "simulated")
        self.stack = Stack(plan, now_s, self._attempt_of)
        self.skews_s = list(plan.skews_s)

    def _attempt_of(self, key: str) -> int:
        entry = self.ledger.find(self._namespace, key)
        return 0 if entry is None else int(entry.attempt)

    def wall_s(self, number: int) -> float:
        """Return what a process's wall clock shows."""
        steps = [fault for fault in self.plan.faults.values() if isinstance(fault, Step) and fault.process == number]
        jumped_s = sum(step.by_s for step in steps if step.at_s <= self.now_s())
        return WALL_S + self.now_s() + self.skews_s[number] + jumped_s

    def is_done(self, intent: Intent) -> bool:
        """Tell whether the end of a key was handed over, by the ledger."""
        entry = self.ledger.find(self._namespace, intent.key)
        return entry is not None and entry.delivered_wall_s is not None

    def said(self, intent: Intent, task_id: str | None, billing: str) -> None:
        """Tell the judge what a caller was told."""
        self.stack.judge.said(intent.key, self._attempt_of(intent.key), task_id, billing)

    def judged(self, *, is_over: bool) -> Result:
        """Compare everything when all is over."""
        stack, now_s = self.stack, self.now_s()
        if not is_over:
            stack.judge.complain("unfinished jobs", f"something still happens {BOUND_S:.0f} s after the last fault")
        rows, strays = rows_of(self.ledger, WALL_S + now_s)
        bill = stack.engine.bill(Moment(now_s + BOUND_S, WALL_S + now_s + BOUND_S))
        stack.judge.finish(rows, strays, bill.tasks, [intent.key for intent in self.plan.intents])
        if stack.engine.journal.counters["requests"] != stack.figures["requests"]:
            stack.judge.complain("journal disagrees", "its requests are not those that arrived")
        doubts = sum(row.phase == "IN_DOUBT" for row in rows)
        stack.figures.update({"tasks": len(self.plan.intents), "in doubt": doubts, "billed tasks": bill.billed_tasks})
        return Result(self.plan.name, stack.judge.counts, stack.judge.lines, stack.figures, {})


class _AsyncLife:
    """One life of a process whose client awaits."""

    def __init__(self, world: _World, root: anyio.abc.TaskGroup, number: int, ordinal: int, began_s: float) -> None:
        self.world, self.root, self.number = world, root, number
        self.name = f"{number}.{ordinal}"
        self._ahead_s = float(Draws(f"{world.plan.name} life {self.name}").whole(0, 100_000)) - began_s
        self.client = AsyncDashScope(
            **world.options,
            clock=self,
            http_client=world.library.AsyncClient(transport=self._transport(), verify=False),
            run_blocking=_at_once,
            make_seed=lambda: self.name,
        )

    def now(self) -> Instant:
        """See :class:`.AsyncClock`."""
        return Instant(anyio.current_time() + self._ahead_s, self.world.wall_s(self.number))

    async def sleep(self, seconds: float) -> None:
        """See :class:`.AsyncClock`."""
        await pass_time(seconds)

    def _transport(self) -> Any:
        life, library = self, self.world.library

        class Way(library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # chosen at run time
            async def handle_async_request(self, request: Any) -> Any:
                body = await request.aread()
                message = life.world.stack.leave(life.name, life.now().monotonic_s, request, body)
                status, headers, content = await life.carried(message, request)
                life.world.stack.hear(message, life.now().monotonic_s, status, headers, content)
                return library.Response(status, headers=list(headers), content=content)

        return Way()

    async def carried(self, message: Message, request: Any) -> tuple[int, Any, bytes]:
        """Carry a request there and its answer back, by its fate."""
        fate, library = message.fate, self.world.library
        if fate.trouble == "refused":
            await pass_time(fate.out_s)
            raise library.ConnectError("connection refused", request=request)
        if fate.trouble in {"cut before", "vanishes", "gateway before"}:
            await pass_time(fate.out_s + fate.back_s)
            if fate.trouble == "gateway before":
                return shaped(fate, None)
            if fate.trouble == "vanishes":
                await anyio.sleep_forever()
            raise library.ReadError("connection reset", request=request)
        arrived, replies = anyio.Event(), []

        async def arrive() -> None:
            # What has left arrives, whoever still waits for it.
            await pass_time(fate.out_s)
            replies.append(self.world.stack.arrive(message))
            arrived.set()
            if fate.trouble == "repeated":
                await pass_time(3.0 * fate.chance)
                self.world.stack.arrive(message)

        self.root.start_soon(arrive)
        await arrived.wait()
        if fate.trouble == "never answered":
            await anyio.sleep_forever()
        await pass_time(replies[0].delay_s + fate.back_s)
        if fate.trouble == "cut after":
            raise library.ReadError("connection reset", request=request)
        return shaped(fate, replies[0])

    async def job(self, intent: Intent) -> None:
        """Want one thing until it is had, or nothing more can be done for it."""
        world, judge = self.world, self.world.stack.judge
        while True:
            try:
                task = await self.client.submit(MODEL, {"prompt": intent.prompt}, idempotency_key=intent.key)
                break
            except (SubmitRefused, SubmitInDoubt) as error:
                world.said(intent, None, "NONE" if isinstance(error, SubmitRefused) else "UNDETERMINED")
                return
            except (SubmitThrottled, SubmitNotSent) as later:
                await pass_time(max(COME_AGAIN_S, later.come_back_in_s or 0.0))
        while True:
            began_s, pause_s = self.now().monotonic_s, 0.0
            try:
                await task.wait(timeout=intent.wait_s)
                break
            except (TaskEnded, ResultUnreadable):
                break
            except (StillGoing, PollRefused) as error:
                is_refused = isinstance(error, PollRefused)
                pause_s = max(COME_AGAIN_S if is_refused else 0.0, error.come_back_in_s or 0.0)
            finally:
                judge.waited(self.name, began_s, intent.wait_s, self.now().monotonic_s, 0.0)
            await pass_time(pause_s)
        world.said(intent, task.id, str(task.billing))

    async def live(self, intents: list[Intent], until_s: float) -> bool:
        """Do all that this process wants, until it is told to stop; return whether all is done."""
        world = self.world
        with anyio.move_on_after(until_s - world.now_s()) as scope:
            async with self.client, anyio.create_task_group() as jobs:
                for intent in intents:
                    jobs.start_soon(self._begin, intent)
        return not scope.cancelled_caught

    async def _begin(self, intent: Intent) -> None:
        await pass_time(max(0.0, intent.starts_s - self.world.now_s()))
        try:
            await self.job(intent)
        except ResilientPollError as error:
            self.world.stack.judge.complain("errors", f"{self.name}: {type(error).__name__}: {error}")


async def _at_once(work: Callable[[], Any]) -> Any:
    await anyio.lowlevel.checkpoint()
    return work()


async def _awaiting(plan: Plan, library: Any, ledger: Any) -> Result:
    began_s = anyio.current_time()
    world = _World(plan, library, ledger, lambda: anyio.current_time() - began_s)

    async def process(number: int) -> None:
        mine = [intent for intent in plan.intents if number in intent.processes]
        kills = sorted(
            (fault for fault in plan.faults.values() if isinstance(fault, Kill) and fault.process == number),
            key=lambda kill: kill.at_s,
        )
        for ordinal, kill in enumerate(kills):
            if kill.at_s > world.now_s():
                wanted = [intent for intent in mine if not world.is_done(intent)]
                world.stack.figures["stops"] += 1
                await _AsyncLife(world, root, number, ordinal, began_s).live(wanted, kill.at_s)
                await pass_time(max(0.0, min(kill.at_s + kill.down_s, plan.calm_s) - world.now_s()))
        wanted = [intent for intent in mine if not world.is_done(intent)]
        last = _AsyncLife(world, root, number, len(kills), began_s)
        finished.append(await last.live(wanted, plan.calm_s + BOUND_S))

    finished: list[bool] = []
    async with anyio.create_task_group() as root:
        for number in range(plan.processes):
            root.start_soon(process, number)
    return world.judged(is_over=all(finished))


class _BlockingLife:
    """A process whose client blocks: one thing after the other, all of them in one batch."""

    def __init__(self, plan: Plan, library: Any, ledger: Any) -> None:
        self.timeline = Timeline()
        self.world = _World(plan, library, ledger, lambda: self.timeline.now_s)
        self.client = DashScope(
            **self.world.options,
            clock=self,
            http_client=library.Client(transport=self._transport(), verify=False),
            make_seed=lambda: "seed",
        )

    def now(self) -> Instant:
        """See :class:`.Clock`."""
        return Instant(self.timeline.now_s + 1000.0, self.world.wall_s(0))

    def sleep(self, seconds: float) -> None:
        """See :class:`.Clock`; what is on its way arrives meanwhile."""
        self._pass_until(self.timeline.now_s + seconds)

    def _pass_until(self, at_s: float) -> None:
        self.timeline.run(at_s)
        self.timeline.now_s = max(self.timeline.now_s, at_s)

    def _transport(self) -> Any:
        life, library = self, self.world.library

        class Way(library.BaseTransport):  # type: ignore[name-defined,misc]  # chosen at run time
            def handle_request(self, request: Any) -> Any:
                message = life.world.stack.leave("0.0", life.now().monotonic_s, request, request.read())
                timeout_s = request.extensions["timeout"]["read"]
                status, headers, content = life.carried(message, request, timeout_s)
                life.world.stack.hear(message, life.now().monotonic_s, status, headers, content)
                return library.Response(status, headers=list(headers), content=content)

        return Way()

    def carried(self, message: Message, request: Any, timeout_s: float) -> tuple[int, Any, bytes]:
        """Carry a request there and its answer back, by its fate."""
        fate, library, began_s = message.fate, self.world.library, self.timeline.now_s
        until_s = began_s + timeout_s
        if fate.trouble in {"refused", "cut before", "gateway before"}:
            self._pass_until(min(until_s, began_s + fate.out_s + fate.back_s))
            if fate.trouble == "gateway before":
                return shaped(fate, None)
            error = library.ConnectError if fate.trouble == "refused" else library.ReadError
            raise error("connection lost", request=request)
        replies: list[Any] = []
        if fate.trouble != "vanishes":
            self.timeline.at(began_s + fate.out_s, lambda: replies.append(self.world.stack.arrive(message)))
        if fate.trouble == "repeated":
            self.timeline.at(began_s + fate.out_s + 3.0 * fate.chance, self.world.stack.arrive, message)
        self._pass_until(min(until_s, began_s + fate.out_s))
        came_s = self.timeline.now_s + replies[0].delay_s + fate.back_s if replies else until_s
        if not replies or fate.trouble == "never answered" or came_s >= until_s:
            self._pass_until(until_s)
            raise library.ReadTimeout("no answer in time", request=request)
        self._pass_until(came_s)
        if fate.trouble == "cut after":
            raise library.ReadError("connection reset", request=request)
        return shaped(fate, replies[0])

    def live(self) -> Result:
        """Do everything that is wanted, and be judged."""
        world, timeout_s = self.world, 300.0
        wanted = list(world.plan.intents)
        with self.client as client:
            while wanted and self.timeline.now_s < world.plan.calm_s + BOUND_S:
                jobs = [Job(MODEL, {"prompt": intent.prompt}, idempotency_key=intent.key) for intent in wanted]
                wanted = [
                    wanted[done.ordinal]
                    for done in client.submit_many(jobs, timeout=timeout_s, workers=1)
                    if not self._is_over(wanted[done.ordinal], done.task, done.error)
                ]
                self.sleep(COME_AGAIN_S)
        self.timeline.run(float("inf"))
        return world.judged(is_over=not wanted)

    def _is_over(self, intent: Intent, task: Any, error: Exception | None) -> bool:
        world = self.world
        match error:
            case SubmitRefused():
                world.said(intent, None, "NONE")
            case SubmitInDoubt():
                world.said(intent, None, "UNDETERMINED")
            case SubmitThrottled() | SubmitNotSent() | StillGoing() | PollRefused():
                return False
            case None | TaskEnded() | ResultUnreadable():
                world.said(intent, task.id, str(task.billing))
            case _:
                world.stack.judge.complain("errors", f"{type(error).__name__}: {error}")
        return True


def _in_place(function: Callable[[threading.Event], Any], _: float) -> Any:
    """Call in the caller's thread: there is only virtual time here, and the transport keeps the time limit."""
    return function(threading.Event())


def through_the_stack(seed: int, number: int, colour: str, library: str, most_tasks: int | None = None) -> Result:
    """Run one world, or its first few tasks, through the real client of a colour, over a library."""
    plan, module = a_plan(seed, number), LIBRARIES[library]
    plan = replace(plan, intents=plan.intents[:most_tasks])
    with quiet(), tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "ledger.db") if plan.is_kept or number % 3 == 0 else MemoryLedger()
        with ledger:
            if colour == "sync":
                with patch("resilient_poll.transports.exchange.call_within", _in_place):
                    return _BlockingLife(plan, module, ledger).live()
            if colour == "asyncio":
                return run_virtually(_awaiting(plan, module, ledger))
            clock = trio.testing.MockClock(autojump_threshold=0)
            return trio.run(_awaiting, plan, module, ledger, clock=clock)


def run_all(seed: int, runs: int | None, say: Callable[[str], None]) -> int:
    """Run worlds through all drivers, one after the other, and return the exit code."""
    figures, counts, began_s, is_wrong = Counter[str](), Counter[str](), time.process_time(), False
    for number in range(runs or TEN_THOUSAND_TASKS):
        colour, library = DRIVERS[number % len(DRIVERS)]
        result = through_the_stack(seed, number, colour, library)
        figures.update(result.figures)
        figures[f"tasks through {colour} over {library}"] += result.figures["tasks"]
        counts.update(result.counts)
        if result.is_wrong:
            is_wrong = True
            say(f"world {number} ({colour} over {library}): {'; '.join(result.lines[:3])}")
    for name, count in [*figures.items(), *counts.items()]:
        say(f"{name:32} {count}")
    say(f"{'tasks a second of processor time':32} {figures['tasks'] / (time.process_time() - began_s):.0f}")
    say(f"{'seed':32} {seed}")
    return int(is_wrong)
