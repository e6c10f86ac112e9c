"""An event from outside has whoever asks about a task ask now; it is a hint, and the floors hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from resilient_poll import Fixed, HandedOver, WaitPolicy
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.memory import MemoryLedger
from tests.dashscope.ledger_clients import MADE, URL, Service
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.dashscope.test_worker import Handler, real_clock, steps, submitted
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in

in_each_colour = pytest.mark.parametrize("colour", COLOURS)
RUNNING = {"word": "RUNNING"}
HOURLY = WaitPolicy(timeout_s=100_000.0, schedule=Fixed(3600.0, first_s=0.0), minimum_interval_s=0.0)
LONGEST_S = 60.0


class Waking:
    """A service that tells when its first query has come.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.has_asked = threading.Event()

    def __call__(self, asked: Asked) -> Reply | Broken:
        if asked.method == "GET":
            self.has_asked.set()
        return self.service(asked)


@in_each_colour
@pytest.mark.parametrize("way", ["wait", "updates"])
def test_a_wait_is_woken_from_another_thread(colour: str, way: str) -> None:
    """A wait that would ask again in an hour asks at once when its task is woken from another thread."""
    answers = Waking(Service(steps=(RUNNING, MADE)))
    came: list[bool] = []

    async def main() -> None:
        async with a_client(colour, "httpx", answers, wait_policy=HOURLY, clock=real_clock(colour)) as client:
            task = await got(client.submit(MODEL, INPUT))

            def wake() -> None:
                assert answers.has_asked.wait(LONGEST_S)
                came.append(client.wake(task.id))

            thread = threading.Thread(target=wake)
            thread.start()
            if way == "wait":
                assert (await got(task.wait())).video_url == URL
            elif colour == "sync":
                list(task.updates())
            else:
                assert [one async for one in task.updates()]
            thread.join(LONGEST_S)
            assert not client.wake(task.id)  # Nobody waits any more.

    run_in(colour, main)
    assert came == [True]
    assert answers.service.queries == 2


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_wait_is_woken_from_its_own_loop(colour: str) -> None:
    """A webhook that is served by the same event loop wakes a wait up."""
    answers = Waking(Service(steps=(RUNNING, MADE)))

    async def main() -> None:
        async with a_client(colour, "httpx", answers, wait_policy=HOURLY, clock=real_clock(colour)) as client:
            task = await got(client.submit(MODEL, INPUT))

            async def webhook() -> None:
                await anyio.to_thread.run_sync(answers.has_asked.wait, LONGEST_S)
                assert client.wake(task.id)

            async with anyio.create_task_group() as group:
                group.start_soon(webhook)
                await task.wait()

    run_in(colour, main)
    assert answers.service.queries == 2


@in_each_colour
def test_a_hint_is_no_result_and_the_floors_hold(colour: str) -> None:
    """However many hints come, a task is asked about no faster than its floor, and not before a Retry-After."""
    clock, at_s, counts = VirtualClock(), list[float](), [0]
    policy = WaitPolicy(schedule=Fixed(60.0, first_s=0.0))

    def answers(asked: Asked) -> Reply | Broken:
        if asked.method == "GET":
            at_s.append(asked.at_s)
            counts[0] += 1
            if counts[0] == 3:
                return Reply(429, {"code": "Throttling", "message": "slow"}, {"retry-after": "20"})
            if counts[0] == 5:
                return said("task-1", "SUCCEEDED", video_url=URL)
        return said("task-1", "RUNNING")

    class Hinting(VirtualClock):
        def sleep(self, seconds: float) -> None:
            # A hint comes whenever somebody would sleep.
            assert wake[0]("task-1")
            super().sleep(seconds)

    clock, wake = Hinting(), list[Callable[[str], bool]]()

    async def main() -> None:
        async with a_client(colour, "httpx", answers, clock, wait_policy=policy) as client:
            wake.append(client.wake)
            await got(client.task("task-1").wait())

    run_in(colour, main)
    gaps = [later - sooner for sooner, later in pairwise(at_s)]
    assert all(gap >= policy.minimum_interval_s for gap in gaps)
    assert gaps[2] >= 20


@in_each_colour
def test_an_id_that_nobody_knows_does_no_harm(colour: str) -> None:
    """A hint about a task that nobody here asks about says so, and nothing is sent."""
    service = Service()

    async def main() -> None:
        async with a_client(colour, "httpx", service, ledger=MemoryLedger()) as client:
            await submitted(client, "k")
            for nothing in ("task-1", "no-such-task", "", "x" * 10_000):
                assert client.wake(nothing) is False

    run_in(colour, main)
    assert service.queries == 0


@in_each_colour
def test_a_worker_is_woken(colour: str) -> None:
    """A task that a worker asks about once an hour is asked about now, also where its last answer is on the way."""
    clock, handler, policy = VirtualClock(), Handler(), WaitPolicy(schedule=Fixed(3600.0))
    service = Service(steps=(RUNNING, RUNNING, RUNNING, MADE))

    async def main() -> None:
        async with a_client(colour, "httpx", service, clock, ledger=MemoryLedger(), wait_policy=policy) as client:
            await submitted(client, "k", "other")
            worker = client.worker(handler)
            shift = worker._begin()
            with worker._bells.working(worker):
                await steps(worker, shift, 1)
                while service.queries < 2:
                    await steps(worker, shift, 1)
                began_s = clock.now().monotonic_s
                while not handler.calls:
                    assert client.wake("task-1")
                    while colour != "sync" and not worker._news:
                        await anyio.lowlevel.checkpoint()  # Until the event loop has brought it.
                    await steps(worker, shift, 4)
            assert clock.now().monotonic_s - began_s < 60
            assert handler.calls == ["k"]
            assert service._asked == {"task-1": 4, "task-2": 1}

    run_in(colour, main)


def test_a_hint_while_a_query_is_out_has_another_one_follow() -> None:
    """A hint that comes while the worker's query is out is not lost: the answer may be older than the hint."""
    clock, handler, woken = VirtualClock(), Handler(), list[bool]()
    service, clients = Service(steps=(RUNNING, MADE)), list[Any]()

    def answers(asked: Asked) -> Reply | Broken:
        if asked.method == "GET" and not woken:
            woken.append(clients[0].wake("task-1"))
        return service(asked)

    async def main() -> None:
        policy = WaitPolicy(schedule=Fixed(3600.0, first_s=0.0))
        async with a_client("sync", "httpx", answers, clock, ledger=MemoryLedger(), wait_policy=policy) as client:
            clients.append(client)
            await submitted(client, "k")
            client.worker(handler).run_until_idle(timeout=60.0)

    run_in("sync", main)
    assert woken == [True]
    assert handler.calls == ["k"]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_worker_beside_the_caller_is_woken(colour: str) -> None:
    """From any thread, a hint has a worker that waits in real time ask at once."""
    answers, handler = Waking(Service(steps=(RUNNING, MADE))), Handler()
    options: dict[str, Any] = {"wait_policy": HOURLY, "ledger": MemoryLedger(), "clock": real_clock(colour)}

    def wake(client: Any) -> None:
        assert answers.has_asked.wait(LONGEST_S)
        assert client.wake("task-1")
        assert handler.has_taken.wait(LONGEST_S)

    async def main() -> None:
        async with a_client(colour, "httpx", answers, **options) as client:
            await submitted(client, "k")
            worker = client.worker(handler)
            if colour == "sync":
                with worker:
                    wake(client)
            else:
                async with worker:
                    await anyio.to_thread.run_sync(wake, client)

    run_in(colour, main)
    assert handler.calls == ["k"]


def test_two_waits_for_one_task_are_both_woken() -> None:
    """Everybody who waits for a task in this client hears of the hint."""
    answers, done = Waking(Service(steps=(RUNNING, RUNNING, MADE))), list[HandedOver[Any] | str]()

    async def main() -> None:
        async with a_client("sync", "httpx", answers, wait_policy=HOURLY, clock=real_clock("sync")) as client:
            threads = [
                threading.Thread(target=lambda: done.append(client.task("task-1").wait().video_url)) for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            while len(done) < 2:
                client.wake("task-1")
                for thread in threads:
                    thread.join(0.01)  # Nothing tells that a thread has begun its sleep.

    run_in("sync", main)
    assert done == [URL, URL]
