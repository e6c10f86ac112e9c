"""What a request holds comes back, whoever gives it up and however: nothing is held for ever by nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from resilient_poll import BreakerPolicy, NoSlot
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.transports.httpx import AsyncConcurrencyTransport
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
URL = "http://api.test/thing"


class AnyBody(LIBRARIES["httpx"].AsyncByteStream):  # type: ignore[misc]  # a module chosen at run time
    """A body that nobody has read yet."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"whole"


def all_given_back() -> None:
    """Wait for the threads that give back."""
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "resilient-poll-giving-back":
            thread.join(30)


class OneSlot:
    """One slot; asking for it takes until it is allowed."""

    look_again_s = 1.0

    def __init__(self) -> None:
        self.is_free = True
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_take_back = threading.Event()
        self.may_answer.set()
        self.may_take_back.set()
        self.is_taking_back = threading.Event()

    def take(self, _: str) -> Any:
        self.asked.set()
        assert self.may_answer.wait(30)
        was_free, self.is_free = self.is_free, False
        return "slot" if was_free else None

    def give_back(self, _: Any) -> None:
        self.is_taking_back.set()
        assert self.may_take_back.wait(30)
        self.is_free = True


@pytest.mark.thorough(plain=2)
@each_way
def test_an_answer_that_is_dropped_gives_its_place_back(
    colour: str, library: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that nobody read or closed frees its place and its slot once it is collected, and the log says so."""
    clock, slots = VirtualClock(), OneSlot()
    script = Script([Says()], clock)

    async def main() -> int:
        over = transport(
            colour, library, "ConcurrencyTransport", inner_of(library, script), 1,
            slots=slots, max_wait_s=0.0, clock=clock,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            response = await got(client.send(client.build_request("GET", URL), stream=True))
            with pytest.raises(NoSlot):
                await got(client.get(URL))
            del response
            all_given_back()
            return int((await got(client.get(URL))).status_code)

    with caplog.at_level(logging.WARNING, "resilient_poll"):
        assert run_in(colour, main) == 200
    assert slots.is_free
    assert "dropped without being read" in caplog.text


@pytest.mark.thorough(plain=2)
@each_way
def test_an_answer_that_is_closed_is_no_news(colour: str, library: str, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that was closed, read to its end or not, holds nothing and is not mentioned when it is collected."""
    clock = VirtualClock()
    script = Script([Says(pieces=(b"one", b"two"))], clock)

    async def main() -> None:
        over = transport(
            colour, library, "ResilientTransport", inner_of(library, script),
            places=1, breaker=BreakerPolicy(), max_wait_s=0.0, clock=clock,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            for _ in range(3):
                response = await got(client.send(client.build_request("GET", URL), stream=True))
                await got(response.close() if colour == "sync" else response.aclose())
                await got(client.get(URL))
            del response

    with caplog.at_level(logging.WARNING, "resilient_poll"):
        run_in(colour, main)
        all_given_back()
    assert not caplog.records


def limited(slots: OneSlot, answer: Any = None) -> AsyncConcurrencyTransport:
    httpx = LIBRARIES["httpx"]
    return AsyncConcurrencyTransport(httpx.MockTransport(answer or (lambda _: httpx.Response(200))), 1, slots=slots)


def request() -> Any:
    return LIBRARIES["httpx"].Request("GET", URL)


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 30)


def test_a_slot_that_comes_too_late_is_given_back() -> None:
    """A task that is cancelled while a thread asks for its slot leaves none behind, though the thread gets one."""

    async def main() -> None:
        slots = OneSlot()
        slots.may_answer.clear()
        over = limited(slots)
        task = asyncio.ensure_future(over.handle_async_request(request()))
        await reached(slots.asked)
        task.cancel()
        # Its cancellation waits for what it began to be given back, which waits for the slot's answer or not.
        await asyncio.wait([task], timeout=0.05)
        slots.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reached(slots.is_taking_back)
        all_given_back()
        assert slots.is_free
        assert (await over.handle_async_request(request())).status_code == 200

    asyncio.run(main())


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("turns", range(5))
def test_a_second_cancellation_does_not_stop_what_is_given_back(turns: int) -> None:
    """A task that asyncio cancels again while it gives its slot back does so all the same, and its place too."""

    async def main() -> None:
        slots, inside = OneSlot(), asyncio.Event()

        async def answer(_: Any) -> Any:
            inside.set()
            await asyncio.Event().wait()

        over = limited(slots, answer)
        task = asyncio.ensure_future(over.handle_async_request(request()))
        await inside.wait()
        slots.may_take_back.clear()
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)  # virtual
        task.cancel()
        await reached(slots.is_taking_back)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slots.may_take_back.set()
        all_given_back()
        over._inner = LIBRARIES["httpx"].MockTransport(lambda _: LIBRARIES["httpx"].Response(200))
        assert (await over.handle_async_request(request())).status_code == 200
        assert slots.is_free

    asyncio.run(main())


def test_a_loop_that_ends_under_a_request_keeps_nothing() -> None:
    """A request whose event loop ended under it gives its slot and its place back once it is collected."""
    slots = OneSlot()
    inside: list[Any] = []

    async def answer(request: Any) -> Any:
        inside.append(request)
        await asyncio.Event().wait()

    over = limited(slots, answer)

    loop = asyncio.new_event_loop()
    task = loop.create_task(over.handle_async_request(request()))
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is destroyed on purpose
    while not inside:
        loop.run_until_complete(reached(slots.asked))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    del task
    inside.clear()
    all_given_back()
    assert slots.is_free


def test_a_place_is_not_given_to_one_whose_loop_is_over() -> None:
    """One who waited on an event loop that was closed under it is passed over, and the next one has the place."""
    httpx = LIBRARIES["httpx"]
    over = AsyncConcurrencyTransport(
        httpx.MockTransport(lambda _: httpx.Response(200, stream=AnyBody())), 1, max_wait_s=30.0
    )

    async def held() -> tuple[Any, Any]:
        response = await over.handle_async_request(request())
        waiting = asyncio.ensure_future(over.handle_async_request(request()))
        for _ in range(5):  # The one who waits gets there.
            await asyncio.sleep(0)  # virtual
        return response, waiting

    loop = asyncio.new_event_loop()
    response, waiting = loop.run_until_complete(held())
    waiting._log_destroy_pending = False
    loop.close()

    async def another() -> int:
        asking = asyncio.ensure_future(over.handle_async_request(request()))
        await asyncio.sleep(0)  # virtual
        await response.aclose()
        return int((await asking).status_code)

    assert asyncio.run(another()) == 200
    assert not waiting.done()
