"""What middleware of others gets wrong, as tests of ours; what each of them does is in benchmarks/peers.md."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest

from resilient_poll import Backoff, BreakerPolicy, CircuitOpen, RetryPolicy
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.transports.httpx import AsyncCircuitBreakerTransport
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
URL = "http://api.test/thing"
NOW = datetime.fromtimestamp(1_750_000_000, UTC)
"""What the virtual clock shows first."""


def at(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def asked(colour: str, library: str, answers: Any, /, **options: Any) -> tuple[Any, Script]:
    """Ask once through a RetryTransport; return the answer or the error, and the script."""
    clock = VirtualClock()
    script = Script(answers, clock)
    request = options.pop("request", {"method": "GET"})

    async def main() -> Any:
        over = transport(colour, library, "RetryTransport", inner_of(library, script), clock=clock, **options)
        async with client_over(colour, library, over) as client:
            try:
                return await got(client.request(url=URL, **request))
            except LIBRARIES[library].HTTPError as error:
                return error

    return run_in(colour, main), script


# 10: httpx-retries


@each_way
def test_the_default_retries_are_few_and_pause(colour: str, library: str) -> None:
    """By default there are three attempts, with growing pauses between them: nothing is sent again at once."""
    response, script = asked(colour, library, [Says(503)])
    assert response.status_code == 503
    assert len(script.requests) == 3
    first_s, second_s = script.clock.slept_s
    assert 0.25 <= first_s <= 0.5 <= second_s <= 1.0


@each_way
def test_pauses_work_in_every_colour(colour: str, library: str) -> None:
    """A pause between attempts is waited for in every colour, trio included, and the second answer comes through."""
    response, script = asked(colour, library, [Says(503), Says(200)])
    assert response.status_code == 200
    assert len(script.requests) == 2


@each_way
def test_a_stream_that_nobody_read_is_sent_again(colour: str, library: str) -> None:
    """A body that streams is sent again as long as nobody has begun to read it, and never half."""
    begun = []

    def pieces() -> Iterator[bytes]:
        begun.append(1)
        yield from (b"one ", b"two")

    async def awaited() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    unsent = Says(None, fails="ConnectError", is_read_first=False)
    request = {"method": "PUT", "content": pieces() if colour == "sync" else awaited()}
    response, script = asked(colour, library, [unsent, Says(200)], request=request)
    assert response.status_code == 200
    assert (script.bodies, len(begun)) == ([b"", b"one two"], 1)


@each_way
def test_a_body_that_breaks_off_is_asked_for_again(colour: str, library: str) -> None:
    """An answer whose body breaks off counts as a failed attempt, where bodies are read within it."""
    broken = Says(200, pieces=(b"hal",), fails="ReadError")
    response, script = asked(colour, library, [broken, Says(200)], policy=RetryPolicy(body_bytes=1000))
    assert response.content == b"whole"
    assert len(script.requests) == 2


def test_pauses_at_the_cap_are_spread_too() -> None:
    """Pauses that have reached the longest one still differ: clients that waited for it do not come back together."""
    backoff = Backoff(first_s=0.5, longest_s=20.0)
    pauses_s = {round(backoff.pause_s(30, draw / 100), 6) for draw in range(100)}
    assert len(pauses_s) == 100
    assert min(pauses_s) < 11.0
    assert max(pauses_s) <= 20.0


# 11: pyresilience


def policy() -> BreakerPolicy:
    return BreakerPolicy(least_calls=2, open_s=5.0, probes=3)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_half_open_breaker_admits_a_stated_few_threads(library: str) -> None:
    """Of 100 threads that ask a half-open breaker at once three get through, and the others hear that it is open."""
    clock, inside, go = VirtualClock(), threading.Semaphore(0), threading.Event()
    script = Script([Says(500)], clock)
    beneath = inner_of(library, script)
    over = transport("sync", library, "CircuitBreakerTransport", beneath, policy(), clock=clock)
    for _ in range(2):
        over.handle_request(LIBRARIES[library].Request("GET", URL))
    clock.advance(6.0)
    rejected: list[Exception] = []

    def wait_inside(_: Any) -> Any:
        inside.release()
        assert go.wait(30)
        return LIBRARIES[library].Response(200, content=b"")

    beneath.handle_request = wait_inside

    def ask() -> None:
        try:
            over.handle_request(LIBRARIES[library].Request("GET", URL))
        except CircuitOpen as error:
            rejected.append(error)

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert inside.acquire(timeout=30)
    # All but the three are back while the three are still inside.
    while sum(thread.is_alive() for thread in threads) > 3:
        next(thread for thread in threads if thread.is_alive()).join(0.01)
    assert not inside.acquire(blocking=False)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(rejected) == 97


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_half_open_breaker_admits_a_stated_few_tasks(backend: str) -> None:
    """Of 100 tasks that ask a half-open breaker at once three get through, and the others hear that it is open."""

    async def main() -> tuple[int, int]:
        clock = VirtualClock()
        httpx = LIBRARIES["httpx"]
        inside, rejected, go = [], [], anyio.Event()

        async def answer(request: Any) -> Any:
            if not is_well:
                return httpx.Response(500)
            inside.append(request)
            await go.wait()
            return httpx.Response(200)

        over = AsyncCircuitBreakerTransport(httpx.MockTransport(answer), policy(), clock=clock.for_async())
        is_well = False
        for _ in range(2):
            await over.handle_async_request(httpx.Request("GET", URL))
        clock.advance(6.0)
        is_well = True

        async def ask() -> None:
            try:
                await over.handle_async_request(httpx.Request("GET", URL))
            except CircuitOpen as error:
                rejected.append(error)
            if len(inside) + len(rejected) == 100:
                go.set()

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(ask)
        return len(inside), len(rejected)

    assert anyio.run(main, backend=backend) == (3, 97)


# 13: every parser that was tried

ROWS: list[tuple[str, float | None]] = [
    ("1.5", 1.5),
    ("0", 0.0),
    ("nan", None),
    ("inf", None),
    ("1e400", None),
    ("9" * 400, None),
    ("-1", None),
    ("soon", None),
    ("120, 60", None),
    (at(30), 30.0),
    (at(-86_400), 0.0),
    ("Sun, 99 Foo 2026 12:00:00 GMT", None),
]
each_row = pytest.mark.parametrize(("said", "means_s"), ROWS, ids=[said[:20] for said, _ in ROWS])


@each_row
def test_every_row_is_read_right(said: str, means_s: float | None) -> None:
    """Each row of the table on which other parsers differ has the value that RFC 9110 gives it, or none."""
    assert read_retry_after([said], [], NOW.timestamp()).seconds == means_s


@each_row
@each_way
def test_every_row_is_honoured(colour: str, library: str, said: str, means_s: float | None) -> None:
    """A transport pauses for what a row asks for, never shorter, and by its own backoff where it asks for nothing."""
    steady = RetryPolicy(backoff=Backoff(first_s=0.125, spread=0.0))
    response, script = asked(colour, library, [Says(503, {"retry-after": said}), Says(200)], policy=steady)
    assert response.status_code == 200
    assert script.clock.slept_s == [max(0.125, means_s or 0.0)]


@each_way
def test_the_hint_is_read_by_the_answers_own_date(colour: str, library: str) -> None:
    """A date is compared with the answer's own, so that a client whose clock is wrong waits rightly."""
    headers = {"retry-after": at(-7200 + 30), "date": at(-7200)}
    steady = RetryPolicy(backoff=Backoff(first_s=0.125, spread=0.0))
    _, script = asked(colour, library, [Says(503, headers), Says(200)], policy=steady)
    assert script.clock.slept_s == [30.0]
