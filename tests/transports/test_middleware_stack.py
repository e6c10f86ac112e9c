"""The standard stack in one call: in the right order, under any client, and in nobody's way."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from resilient_poll import (
    Backoff,
    BreakerPolicy,
    CircuitOpen,
    HeadroomPolicy,
    Rate,
    RetryPolicy,
    SubmitInDoubt,
    TotalTimeout,
    TransportProblem,
)
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import INPUT, LIBRARIES, MODEL, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
TASK_ID = "11111111-2222-3333-4444-555555555555"
RETRY = RetryPolicy(attempts=5, backoff=Backoff(1.0, 8.0, 0.0))
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)


def stack(colour: str, library: str, inner: Any, clock: VirtualClock, **options: Any) -> Any:
    """Return the standard stack with everything in it, unless told otherwise."""
    everything = {
        "retry": RETRY,
        "breaker": BreakerPolicy(least_calls=3),
        "places": 2,
        "rate": Rate.per_second(2),
        "headroom": HeadroomPolicy(),
        "draw": lambda: 0.0,
    }
    return transport(colour, library, "ResilientTransport", inner, clock=clock, **(everything | options))


@each_way
def test_all_of_it_lets_an_answer_through(colour: str, library: str) -> None:
    """With every layer in place an answer arrives whole, with its headers and the library's own extensions."""
    clock = VirtualClock()
    script = Script([Says(503), Says(200, {"x-a": "1"}, (b"who", b"le"))], clock)

    async def main() -> None:
        over = stack(colour, library, inner_of(library, script), clock)
        async with client_over(colour, library, over) as client:
            response = await got(client.get(URL, extensions={"trace": None, "sni_hostname": "other.test"}))
        assert (response.status_code, response.text, response.headers["x-a"]) == (200, "whole", "1")
        assert script.requests[1].extensions["sni_hostname"] == "other.test"
        assert script.is_transport_closed

    run_in(colour, main)
    assert script.at_s == [0.0, 1.0]


@each_way
def test_each_attempt_is_judged_and_none_waits_longer_than_the_total(colour: str, library: str) -> None:
    """Each attempt counts for the breaker, an open one ends the request at once, and the total bounds all of it."""
    clock = VirtualClock()
    script = Script([Says(503)], clock)

    async def main() -> None:
        async with client_over(colour, library, stack(colour, library, inner_of(library, script), clock)) as client:
            with pytest.raises(CircuitOpen):
                await got(client.get(URL))
            assert len(script.requests) == 3

    run_in(colour, main)
    clock = VirtualClock()
    slow = Script([Says(503, pieces=(b"x",) * 9, between_s=1.0), Says(pieces=(b"x",) * 9, between_s=1.0)], clock)

    async def bounded() -> None:
        over = stack(colour, library, inner_of(library, slow), clock, total_s=5.0)
        async with client_over(colour, library, over) as client:
            with pytest.raises(TotalTimeout):
                await got(client.get(URL))

    run_in(colour, bounded)
    assert clock.now().monotonic_s <= 5.0


@each_way
def test_a_server_that_hangs_opens_the_breaker(colour: str, library: str) -> None:
    """Requests that end because their own total time is up say that the server hangs, unless it had hardly any time."""

    def asked(total_s: float) -> list[str]:
        clock = VirtualClock()
        script = Script([Says(status=None, fails="ReadTimeout", after_s=total_s)], clock)
        came = []

        async def main() -> None:
            policy = BreakerPolicy(least_calls=3, slow_call_s=4.0)
            over = stack(
                colour,
                library,
                inner_of(library, script),
                clock,
                retry=None,
                breaker=policy,
                total_s=total_s,
                rate=None,
            )
            async with client_over(colour, library, over) as client:
                for _ in range(5):
                    with pytest.raises(TransportProblem) as caught:
                        await got(client.get(URL))
                    came.append(type(caught.value).__name__.strip("_"))

        run_in(colour, main)
        return came

    assert asked(5.0) == ["TotalTimeout"] * 3 + ["CircuitOpen"] * 2
    assert asked(2.0) == ["TotalTimeout"] * 5


@each_way
def test_a_pause_holds_no_place(colour: str, library: str) -> None:
    """A request that pauses between attempts leaves its place to others: with one place both end."""
    clock = VirtualClock()
    script = Script([Says(503), Says()], clock)

    async def main() -> None:
        over = stack(colour, library, inner_of(library, script), clock, places=1, max_wait_s=0.0, rate=None)
        async with client_over(colour, library, over) as client:
            assert (await got(client.get(URL))).status_code == 200
            assert (await got(client.get(URL))).status_code == 200

    run_in(colour, main)


@each_way
def test_a_stream_passes_piece_by_piece(colour: str, library: str) -> None:
    """A streamed answer is handed on as it comes: its first piece is there before its second is asked for."""
    clock = VirtualClock()
    script = Script([Says(pieces=(b"a", b"b", b"c"), between_s=1.0)], clock)

    async def main() -> None:
        async with client_over(colour, library, stack(colour, library, inner_of(library, script), clock)) as client:
            response = await got(client.send(client.build_request("GET", URL), stream=True))
            seen = []
            if colour == "sync":
                for piece in response.iter_raw():
                    seen.append((piece, clock.now().monotonic_s))  # noqa: PERF401  # as its twin below
            else:
                async for piece in response.aiter_raw():
                    seen.append((piece, clock.now().monotonic_s))  # noqa: PERF401  # the clock moves meanwhile
            assert seen == [(b"a", 1.0), (b"b", 2.0), (b"c", 3.0)]

    run_in(colour, main)


@each_way
def test_it_works_as_a_mount(colour: str, library: str) -> None:
    """Mounted for one host it serves that host, is opened and closed with the client, and leaves others alone."""
    clock = VirtualClock()
    script, other = Script([Says(503), Says()], clock), Script([Says(503)], clock)

    async def main() -> None:
        mounts = {"all://api.test": stack(colour, library, inner_of(library, script), clock)}
        async with client_over(colour, library, inner_of(library, other), mounts=mounts) as client:
            assert (await got(client.get(URL))).status_code == 200
            assert (await got(client.get("http://elsewhere.test/"))).status_code == 503

    run_in(colour, main)
    assert script.is_transport_closed
    assert len(other.requests) == 1


@each_way
def test_an_empty_stack_is_only_a_way_through(colour: str, library: str) -> None:
    """With everything turned off the transport changes nothing."""
    clock = VirtualClock()
    script = Script([Says(503)], clock)

    async def main() -> None:
        over = transport(
            colour, library, "ResilientTransport", inner_of(library, script), clock=clock, total_s=None, retry=None
        )
        async with client_over(colour, library, over) as client:
            assert (await got(client.get(URL))).status_code == 503

    run_in(colour, main)
    assert len(script.requests) == 1


@each_way
def test_a_create_of_ours_is_sent_once(colour: str, library: str) -> None:
    """Under our own client a create whose answer is lost is sent once, though the stack would repeat what may be."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.reset()

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        over = stack(colour, library, inner, VirtualClock(), total_s=30.0)
        with RawServer(script) as server:
            async with dashscope_client(colour, library, server.url, {"transport": over}) as client:
                with pytest.raises(SubmitInDoubt):
                    await got(client.submit(MODEL, INPUT))
            assert len(server.requests) == 1

    run_in(colour, main)


@each_way
def test_a_create_of_ours_says_that_it_is_sent_once(colour: str, library: str) -> None:
    """Every create of our own client carries the mark that our transports obey, and no query does."""
    answer = json.dumps({"output": {"task_id": TASK_ID, "task_status": "PENDING"}}).encode()
    script = Script([Says(200, {"content-type": "application/json"}, (answer,))], VirtualClock())

    async def main() -> None:
        options = {"transport": inner_of(library, script)}
        async with dashscope_client(colour, library, "http://api.test", options) as client:
            await got((await got(client.submit(MODEL, INPUT))).refresh())

    run_in(colour, main)
    assert [(request.method, request.extensions.get("resilient_poll.repeat")) for request in script.requests] == [
        ("POST", "never"),
        ("GET", None),
    ]


@each_way
def test_a_create_of_ours_passes_through_the_stack(colour: str, library: str) -> None:
    """Under our own client a create and a query go through the stack, and a query that is refused is asked again."""
    asked: list[str] = []

    def answer(request: Any) -> bytes:
        asked.append(request.method)
        if request.method == "GET" and asked.count("GET") == 1:
            return http_answer(503)
        return json_answer(200, {"output": {"task_id": TASK_ID, "task_status": "PENDING"}})

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        over = stack(colour, library, inner, VirtualClock(), breaker=None, rate=None)
        with RawServer.answering(answer) as server:
            async with dashscope_client(colour, library, server.url, {"transport": over}) as client:
                task = await got(client.submit(MODEL, INPUT))
                assert task.id == TASK_ID
                await got(task.refresh())

    run_in(colour, main)
    assert asked == ["POST", "GET", "GET"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_short_names_are_the_classes(library: str) -> None:
    """``resilient_transport()`` makes the standard stack, and each transport is documented."""
    made = import_module(f"resilient_poll.transports.{library}")
    assert made.resilient_transport is made.ResilientTransport
    assert made.async_resilient_transport is made.AsyncResilientTransport
    for name in made.__all__:
        found = getattr(made, name)
        base = LIBRARIES[library].AsyncBaseTransport if "sync" in name.lower() else LIBRARIES[library].BaseTransport
        assert issubclass(found, base)
        assert "Args:" in (found.__doc__ or "")
