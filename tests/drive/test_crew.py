"""Leaving a batch: what costs money is brought to an end, and what goes on is said, in every colour."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
import trio

from resilient_poll import AsyncDashScope, DashScope, Fixed, Limits, WaitPolicy
from resilient_poll.drive.clocks import RealClock, VirtualClock
from resilient_poll.drive.crew import InlineCrew, Sending, ThreadCrew, crew_for
from resilient_poll.machine.commands import Query, Submit, Turn
from resilient_poll.machine.observations import Accepted, StatusSeen
from tests.support.colours import run_in
from tests.support.honest_service import Fate, HonestService
from tests.support.many_world import ManyWorld, jobs

BASE: dict[str, Any] = {
    "dialect": "aisa",
    "api_key": "sk-test",
    "base_url": "http://api.test/v1",
    "limits": Limits(concurrent_tasks=8),
}


def tokens(text: str) -> list[str]:
    return re.findall(r"rpt1\.\S+", text)


def test_threads_do_what_they_are_told_once() -> None:
    """Every request is carried out once, in as many threads as there are at most, and its error comes back."""
    crew, names = ThreadCrew(3), set()
    ready = threading.Barrier(3)

    def send() -> StatusSeen:
        names.add(threading.current_thread().name + str(threading.get_ident()))
        ready.wait(10)
        return StatusSeen(status="x")

    def broken() -> StatusSeen:
        raise ZeroDivisionError

    for ordinal in range(6):
        crew.start(Sending(Turn(ordinal, Query(1, 1.0))), send)
    over: list[Sending] = []
    while len(over) < 6:
        over += crew.wait(10)
    crew.start(Sending(Turn(6, Query(1, 1.0))), broken)
    over += crew.wait(10)
    assert sorted(sending.turn.ordinal for sending in over) == list(range(7))
    assert len(names) == 3
    assert isinstance(over[-1].error, ZeroDivisionError)
    for sending in over:
        crew.forget(sending)
    assert crew.bring_home() == []
    assert crew.wait(0) == []


def test_a_submit_that_is_out_is_waited_for() -> None:
    """Bringing threads home waits for submits, whose answer is then there, and not for queries."""
    crew, answer, asked = ThreadCrew(2), threading.Event(), threading.Event()

    def submit() -> Accepted:
        asked.set()
        answer.wait(10)
        return Accepted(task_id="t")

    never = threading.Event()
    crew.start(Sending(Turn(0, Submit(1, 60.0))), submit)
    crew.start(Sending(Turn(1, Query(1, 15.0))), lambda: StatusSeen(status=str(never.wait(30))))
    assert asked.wait(10)
    threading.Timer(0.05, answer.set).start()
    home = {sending.turn.ordinal: sending for sending in crew.bring_home()}
    assert home[0].observation == Accepted(task_id="t")
    assert home[1].observation is None
    never.set()


def test_a_clock_of_ones_own_is_not_shared_with_threads() -> None:
    """Threads are used with the real clock and several workers only."""
    assert isinstance(crew_for(8, RealClock()), ThreadCrew)
    assert isinstance(crew_for(1, RealClock()), InlineCrew)
    assert isinstance(crew_for(8, VirtualClock()), InlineCrew)


@contextmanager
def blocking_client(service: HonestService, **options: Any) -> Iterator[DashScope]:
    with (
        httpx.Client(transport=service.transport()) as http_client,
        DashScope(**BASE, http_client=http_client, **options) as client,
    ):
        yield client


def test_closing_while_a_create_is_out_logs_its_id(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is left while a submit is out in a thread hears its answer first, and the log has the id."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])
    answer, created = service.answer, threading.Semaphore(0)
    may_answer = threading.Event()

    def slowly(fate: Any, request: Any) -> Any:
        if request.method == "POST" and service.creates > 1:
            created.release()
            may_answer.wait(10)
        return answer(fate, request)

    service.answer = slowly  # type: ignore[method-assign]  # the slowness
    with blocking_client(service, wait_policy=WaitPolicy(schedule=Fixed(0.0))) as client:
        results = client.submit_many(jobs(2), workers=4)
        assert next(results).error is None
        assert created.acquire(timeout=10)
        threading.Timer(0.05, may_answer.set).start()
        results.close()
    assert service.accepted == 2
    assert "task task-2 was accepted and its submit broken off" in caplog.text
    assert len(tokens(caplog.text)) == 1


def test_control_c_says_what_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C while waiting leaves a token for every open task; a new batch goes on with them."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    world = ManyWorld()

    class Impatient(VirtualClock):
        def sleep(self, seconds: float) -> None:
            if self.now().monotonic_s > 5:
                raise KeyboardInterrupt
            super().sleep(seconds)

    world.clock = Impatient()
    with world.client() as client, pytest.raises(KeyboardInterrupt):
        list(client.submit_many(jobs(5)))
    found = tokens(caplog.text)
    assert len(found) == 3
    world.clock = VirtualClock(world.clock.now())
    with world.client() as client:
        finished = list(client.as_completed([client.task(token) for token in found]))
    assert [one.error for one in finished] == [None] * 3


def test_a_batch_that_was_never_begun_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Results that nobody asked for send nothing, say nothing and hold nothing."""
    world = ManyWorld()
    with world.client() as client:
        task = client.submit("model", {"prompt": "a cat"})
        caplog.clear()
        caplog.set_level(logging.WARNING, "resilient_poll")
        for results in (client.submit_many(jobs(3)), client.as_completed([task])):
            results.close()
        del results
        gc.collect()
        assert client._core.account.slots.in_flight == 0
    assert not caplog.records
    assert world.counters["create_requests"] == 1


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("way", ["break", "aclose", "async with", "forgotten"])
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_leaving_an_awaited_loop_says_what_goes_on(way: str, colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """However an async loop is left, nothing runs on, and the log has a token for every task that goes on."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    world = ManyWorld(["RUNNING 3s -> SUCCEEDED", "RUNNING 60s -> SUCCEEDED"])

    async def main() -> None:
        async with world.client(is_async=True) as client:
            results = client.submit_many(jobs(9))
            if way == "async with":
                async with results:
                    assert (await anext(results)).error is None
            else:
                async for finished in results:
                    assert finished.error is None
                    break
            if way == "aclose":
                await results.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(results)
            del results
            gc.collect()

    run_in(colour, main)
    open_now = int(world.counters["create_requests"]) - int(world.counters["throttled_creates"]) - 1
    assert open_now >= 2
    assert len(tokens(caplog.text)) == open_now


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancellation_waits_for_the_create_that_is_out(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelling a batch does not cut a submit that is out: its id is in the log, and the batch is closed."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])
    wire = service.transport()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer: httpx.Response = await wire.handle_async_request(request)
            await anyio.sleep(0.2)  # real: the create is out while the caller is cancelled
            return answer

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=Slow()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client) as client,
        ):
            results = client.submit_many(jobs(3))
            with anyio.move_on_after(0.1) as scope:
                await anext(results)
            assert scope.cancelled_caught
            with pytest.raises(StopAsyncIteration):
                await anext(results)

    run_in(colour, main)
    assert service.accepted == 3
    assert len(tokens(caplog.text)) == 3
    assert caplog.text.count("was accepted and its submit broken off") == 3


def test_native_cancellation_of_asyncio_closes_a_batch(caplog: pytest.LogCaptureFixture) -> None:
    """A task of asyncio that is cancelled in the middle of a batch ends, and says what goes on."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client) as client,
        ):

            async def all_of_them() -> None:
                async for _ in client.submit_many(jobs(4)):
                    pass

            running = asyncio.ensure_future(all_of_them())
            await asyncio.sleep(0.2)  # real: all are accepted at once, and their first look is in 3 s
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(main())
    assert len(tokens(caplog.text)) == 4


def test_an_awaited_loop_goes_on_with_several_requests_out() -> None:
    """With the real clock several requests are out together, and nothing of it is left after the last result."""

    async def main() -> None:
        service = HonestService([Fate.ACCEPTED])
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client, wait_policy=WaitPolicy(schedule=Fixed(0.01))) as client,
        ):
            finished = [one async for one in client.submit_many(jobs(20))]
        assert sorted(one.ordinal for one in finished) == list(range(20))
        assert [one.error for one in finished] == [None] * 20

    trio.run(main)
    asyncio.run(main())
