"""Rates, headroom and places under any client: in order, bounded, and given back whatever happens."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from resilient_poll import ConfigurationError, HeadroomPolicy, HeldBack, NoSlot, Rate, RateExceeded
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
each_library = pytest.mark.parametrize("library", LIBRARIES)


def run(colour: str, library: str, name: str, answers: Any, urls: list[str], *args: Any, **options: Any) -> Any:
    """Ask for URLs one after the other, and return the script and what came of each."""
    clock = VirtualClock()
    script = Script(answers, clock)
    came: list[Any] = []

    async def main() -> None:
        over = transport(colour, library, name, inner_of(library, script), *args, clock=clock, **options)
        async with client_over(colour, library, over) as client:
            for url in urls:
                try:
                    came.append((await got(client.get(url))).status_code)
                except Exception as error:  # noqa: BLE001  # looked at by the test
                    came.append(error)

    run_in(colour, main)
    return script, came


@each_way
def test_requests_start_at_the_rate(colour: str, library: str) -> None:
    """Requests to one origin start no faster than the rate, those to another are not held back, and it is told."""
    events: list[Any] = []
    script, _ = run(
        colour, library, "RateLimitTransport", [Says()], [URL] * 4 + ["http://other.test/"], Rate.per_second(2),
        on_event=events.append,
    )  # fmt: skip
    assert script.at_s == [0.0, 0.5, 1.0, 1.5, 1.5]
    assert [(type(event), event.by) for event in events] == [(HeldBack, "rate")] * 3


@each_way
def test_who_would_wait_too_long_fails_at_once(colour: str, library: str) -> None:
    """A start beyond the patience is refused at once with the time to come back, and takes nobody's turn."""
    clock = VirtualClock()
    script = Script([Says()], clock)

    async def main() -> None:
        over = transport(
            colour, library, "RateLimitTransport", inner_of(library, script), Rate.per_minute(1), max_wait_s=30.0,
            clock=clock,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            await got(client.get(URL))
            for _ in range(3):
                with pytest.raises(RateExceeded) as caught:
                    await got(client.get(URL))
                assert caught.value.come_back_in_s == 60.0
                assert isinstance(caught.value, LIBRARIES[library].TransportError)
            clock.advance(31.0)
            await got(client.get(URL))

    run_in(colour, main)
    assert script.at_s == [0.0, 60.0]


@each_way
def test_one_slows_down_by_the_services_headers(colour: str, library: str) -> None:
    """As a quota runs low requests are spread over the rest of its window, and no 429 ever comes."""
    limit = 20

    def answers(number: int) -> Says:
        del number
        at_s = script.clock.now().monotonic_s
        window = int(at_s // 60)
        used = sum(int(start // 60) == window for start in script.at_s)
        if used > limit:
            return Says(429)
        return Says(
            200,
            {
                "x-ratelimit-limit": str(limit),
                "x-ratelimit-remaining": str(limit - used),
                "x-ratelimit-reset": f"{60 * (window + 1) - at_s:.3f}",
            },
        )

    clock = VirtualClock()
    script = Script(answers, clock)
    statuses = []

    async def main() -> None:
        over = transport(
            colour, library, "HeadroomTransport", inner_of(library, script), HeadroomPolicy(slow_below=0.5), clock=clock
        )
        async with client_over(colour, library, over) as client:
            statuses.extend([(await got(client.get(URL))).status_code for _ in range(50)])

    run_in(colour, main)
    assert set(statuses) == {200}
    assert 60 < script.at_s[-1] < 180
    gaps = [later - earlier for earlier, later in zip(script.at_s, script.at_s[1:], strict=False)]
    assert max(gaps) < 15, "it slows down, and does not stop until the reset"


class Gate:
    """A transport of either library that holds each request until it is let go."""

    def __init__(self, library: str) -> None:
        module = LIBRARIES[library]
        gate = self
        self.inside: list[str] = []
        self.order: list[str] = []
        self.most = 0
        self.lock = threading.Lock()
        self.let_go = threading.Event()
        self.arrived = threading.Semaphore(0)

        class Inner(module.BaseTransport, module.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # at run time
            def handle_request(self, request: Any) -> Any:
                gate.enter(request)
                assert gate.let_go.wait(30)
                gate.leave(request)
                return module.Response(200, content=b"whole")

            async def handle_async_request(self, request: Any) -> Any:
                gate.enter(request)
                try:
                    for _ in range(5):
                        await anyio.lowlevel.checkpoint()
                    if request.url.path == "/hangs":
                        await anyio.sleep_forever()
                finally:
                    gate.leave(request)
                return module.Response(200, content=b"whole")

        self.transport = Inner()

    def enter(self, request: Any) -> None:
        with self.lock:
            self.inside.append(request.url.path)
            self.order.append(request.url.path)
            self.most = max(self.most, len(self.inside))
        self.arrived.release()

    def leave(self, request: Any) -> None:
        with self.lock:
            self.inside.remove(request.url.path)


@each_library
def test_threads_keep_to_the_places(library: str) -> None:
    """Of twelve threads three are under way at a time, all get through, and one beyond the line fails at once."""
    gate = Gate(library)
    made = import_module(f"resilient_poll.transports.{library}")
    over = made.ConcurrencyTransport(gate.transport, 3, longest_line=9)
    with LIBRARIES[library].Client(transport=over) as client, ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(client.get, f"http://api.test/{number}") for number in range(12)]
        for _ in range(3):
            assert gate.arrived.acquire(timeout=30)
        line = next(iter(over_line(over)))
        for _ in range(30_000):
            if line.waiting == 9:
                break
            threading.Event().wait(0.001)  # real: until the others stand in line
        with pytest.raises(NoSlot, match="line before them is full"):
            client.get("http://api.test/late")
        gate.let_go.set()
        assert [future.result(30).status_code for future in asked] == [200] * 12
    assert gate.most == 3
    assert (line.taken, line.waiting) == (0, 0)


def over_line(over: Any) -> list[Any]:
    """Return the lines of a concurrency transport, for their counts."""
    (layer,) = over._layers
    return list(layer._lines._states.values())


@each_library
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_tasks_keep_to_the_places_in_order(colour: str, library: str) -> None:
    """Of many tasks three are under way at a time, in the order they came, and a cancelled one frees its place."""
    gate = Gate(library)

    async def main() -> None:
        made = import_module(f"resilient_poll.transports.{library}")
        over = made.AsyncConcurrencyTransport(gate.transport, 3)
        async with LIBRARIES[library].AsyncClient(transport=over) as client, anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as doomed:
                    for _ in range(5):
                        doomed.start_soon(client.get, "http://api.test/hangs")
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
            for number in range(20):
                group.start_soon(client.get, f"http://api.test/{number}")
                await anyio.lowlevel.checkpoint()
        (line,) = over_line(over)
        assert (line.taken, line.waiting) == (0, 0)

    run_in(colour, main)
    assert gate.most == 3
    served = [path for path in gate.order if path != "/hangs"]
    assert served == [f"/{number}" for number in range(20)]
    assert gate.order.count("/hangs") == 3


@each_library
def test_nobody_waits_longer_than_the_patience(library: str) -> None:
    """Who finds no place within the patience is told so when it is over, and the line forgets it."""
    gate = Gate(library)

    async def main() -> None:
        made = import_module(f"resilient_poll.transports.{library}")
        over = made.AsyncConcurrencyTransport(gate.transport, 1, max_wait_s=7.0)
        async with LIBRARIES[library].AsyncClient(transport=over) as client, anyio.create_task_group() as group:
            group.start_soon(client.get, "http://api.test/hangs")
            await anyio.wait_all_tasks_blocked()
            began_s = anyio.current_time()
            with pytest.raises(NoSlot, match=r"came free within 7\.00 s"):
                await client.get(URL)
            assert anyio.current_time() - began_s == pytest.approx(7.0)
            assert over_line(over)[0].waiting == 0
            group.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@each_way
def test_a_place_is_held_until_the_body_is_over(colour: str, library: str) -> None:
    """A streamed answer keeps its place until it is read or closed, and a failure gives it back."""
    clock = VirtualClock()
    script = Script([Says(), Says(), Says(status=None, fails="ReadError"), Says()], clock)

    async def main() -> None:
        over = transport(
            colour, library, "ConcurrencyTransport", inner_of(library, script), 1, max_wait_s=0.0, clock=clock
        )
        async with client_over(colour, library, over) as client:
            opened = await got(client.send(client.build_request("GET", URL), stream=True))
            with pytest.raises(NoSlot):
                await got(client.get(URL))
            await got(opened.read() if colour == "sync" else opened.aread())
            opened = await got(client.send(client.build_request("GET", URL), stream=True))
            await got(opened.close() if colour == "sync" else opened.aclose())
            with pytest.raises(LIBRARIES[library].ReadError):
                await got(client.get(URL))
            assert (await got(client.get(URL))).status_code == 200

    run_in(colour, main)
    assert len(script.requests) == 4


class SharedSlots:
    """Two slots that other processes might hold, and a note of who asked."""

    look_again_s = 1.0

    def __init__(self, held_by_others: int) -> None:
        self.free = 2 - held_by_others
        self.keys: list[str] = []
        self.threads: set[int] = set()
        self.given_back = 0

    def take(self, key: str) -> Any:
        self.threads.add(threading.get_ident())
        self.keys.append(key)
        if len(self.keys) == 3:
            self.free += 1
        if self.free <= 0:
            return None
        self.free -= 1
        return object()

    def give_back(self, held: Any) -> None:
        assert held is not None
        self.threads.add(threading.get_ident())
        self.free += 1
        self.given_back += 1


@each_way
def test_slots_are_shared_with_other_processes(colour: str, library: str) -> None:
    """A slot that others hold is asked for until it is free, off the event loop, and given back exactly once."""
    slots = SharedSlots(held_by_others=2)
    answers = [Says(), Says(status=None, fails="ReadError"), Says()]
    script, came = run(colour, library, "ConcurrencyTransport", answers, [URL] * 3, 2, slots=slots)
    assert script.at_s == [2.0, 2.0, 2.0]
    assert [came[0], type(came[1]).__name__, came[2]] == [200, "ReadError", 200]
    assert set(slots.keys) == {"http://api.test|"}
    assert (slots.free, slots.given_back) == (1, 3)
    assert (threading.get_ident() in slots.threads) is (colour == "sync")


@each_way
def test_slots_that_stay_taken_end_in_time(colour: str, library: str) -> None:
    """Where others keep all slots, the caller hears within the patience, and nothing was sent."""
    slots = SharedSlots(held_by_others=2)
    slots.free = -99
    script, came = run(colour, library, "ConcurrencyTransport", [Says()], [URL], 2, slots=slots, max_wait_s=5.0)
    assert isinstance(came[0], NoSlot)
    assert script.requests == []
    assert script.clock.now().monotonic_s <= 5.0


@each_library
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_request_gives_its_slot_back(colour: str, library: str) -> None:
    """A request that is cancelled while it is under way gives back the slot that other processes wait for."""
    slots = SharedSlots(held_by_others=0)
    gate = Gate(library)

    async def main() -> None:
        made = import_module(f"resilient_poll.transports.{library}")
        over = made.AsyncConcurrencyTransport(gate.transport, 2, slots=slots)
        async with LIBRARIES[library].AsyncClient(transport=over) as client, anyio.create_task_group() as group:
            group.start_soon(client.get, "http://api.test/hangs")
            while not gate.inside:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    run_in(colour, main)
    assert (slots.free, slots.given_back) == (2, 1)


def test_a_waiter_is_woken_from_another_thread() -> None:
    """A place that comes free in another event loop's thread wakes who waits in this one."""
    from resilient_poll.transports.middleware.awaiting import _Waker  # noqa: PLC0415  # a part of its inside

    async def wait() -> None:
        waker = _Waker()
        thread = threading.Thread(target=waker.wake)
        thread.start()
        await waker.wait(30.0)
        thread.join()
        assert waker._event.is_set()

    asyncio.run(wait())
    trio.run(wait)


@each_library
def test_settings_without_sense_are_refused(library: str) -> None:
    """A transport that could never let anything through is refused where it is made."""
    made = import_module(f"resilient_poll.transports.{library}")
    beneath = LIBRARIES[library].MockTransport(lambda _: None)
    for wrong in (
        lambda: made.ConcurrencyTransport(beneath, 0),
        lambda: made.RateLimitTransport(beneath),
        lambda: made.TimeoutTransport(beneath, 0.0),
        lambda: made.resilient_transport(beneath, slots=SharedSlots(0)),
    ):
        with pytest.raises(ConfigurationError):
            wrong()
