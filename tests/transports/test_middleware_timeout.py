"""A total time over attempts, pauses, headers that drip and bodies that never end."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from resilient_poll import Backoff, ConfigurationError, RetryPolicy, TotalTimeout
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.transports import httpx as ours
from tests.support.colours import LIBRARIES, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)


def ask(colour: str, library: str, answers: list[Says], total_s: float, **extensions: Any) -> tuple[Script, Any]:
    """Send one GET through a TimeoutTransport, and return the script and the response or error."""
    clock = VirtualClock()
    script = Script(answers, clock)

    async def main() -> Any:
        over = transport(colour, library, "TimeoutTransport", inner_of(library, script), total_s, clock=clock)
        async with client_over(colour, library, over) as client:
            try:
                return await got(client.get(URL, extensions=extensions))
            except Exception as error:  # noqa: BLE001  # looked at by the test
                return error

    return script, run_in(colour, main)


@each_way
def test_a_body_that_drips_is_cut(colour: str, library: str) -> None:
    """A body whose pieces each come in time is cut when the total time is up, and its connection closed."""
    script, error = ask(colour, library, [Says(pieces=(b"x",) * 99, between_s=1.0)], 10.0)
    assert isinstance(error, TotalTimeout)
    assert isinstance(error, LIBRARIES[library].TimeoutException)
    assert not error.surely_not_sent
    assert script.clock.now().monotonic_s == 10.0
    assert script.closed >= 1


@each_way
def test_what_comes_in_time_passes(colour: str, library: str) -> None:
    """An answer within the total time arrives whole, and the time-outs of the request are cut to the total."""
    script, response = ask(colour, library, [Says(pieces=(b"x",) * 9, between_s=1.0)], 10.0)
    assert response.text == "x" * 9
    assert script.requests[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 5.0)
    script, _ = ask(colour, library, [Says()], 3.0)
    assert script.requests[0].extensions["timeout"]["read"] == 3.0


@each_way
def test_a_request_may_ask_for_less(colour: str, library: str) -> None:
    """A request's own total counts where it is shorter, and never lengthens the transport's."""
    drip = [Says(pieces=(b"x",) * 99, between_s=1.0)]
    for asked_s, ends_s in ((4.0, 4.0), (40.0, 10.0)):
        script, error = ask(colour, library, drip, 10.0, **{"resilient_poll.timeout_s": asked_s})
        assert isinstance(error, TotalTimeout)
        assert script.clock.now().monotonic_s == ends_s
    script, error = ask(colour, library, drip, 10.0, **{"resilient_poll.timeout_s": "soon"})
    assert isinstance(error, ConfigurationError)
    assert script.requests == []


@each_way
def test_what_is_sent_once_is_not_cut(colour: str, library: str) -> None:
    """A request that says it is sent once goes on to its end: giving up what costs money does not undo it."""
    _, response = ask(
        colour, library, [Says(pieces=(b"x",) * 99, between_s=1.0)], 10.0, **{"resilient_poll.repeat": "never"}
    )
    assert len(response.content) == 99


@each_way
def test_the_total_spans_the_attempts_beneath(colour: str, library: str) -> None:
    """A RetryTransport beneath knows the total, gives up before a pause beyond it, and its attempts can be seen."""
    clock = VirtualClock()
    script = Script([Says(503, after_s=1.0)], clock)

    async def main() -> Any:
        retry = RetryPolicy(attempts=9, backoff=Backoff(1.0, 8.0, 0.0))
        beneath = transport(colour, library, "RetryTransport", inner_of(library, script), retry, clock=clock)
        over = transport(colour, library, "TimeoutTransport", beneath, 10.0, clock=clock)
        async with client_over(colour, library, over) as client:
            return await got(client.get(URL))

    response = run_in(colour, main)
    assert response.status_code == 503
    assert script.at_s == [0.0, 2.0, 5.0]
    assert [attempt.status for attempt in response.request.extensions["resilient_poll.attempts"]] == [503] * 3


@each_way
def test_the_total_passes_through_a_transport_of_the_callers(colour: str, library: str) -> None:
    """A caller's class that is made from the library's transport and hands on to one of ours hands the total on too."""
    clock, module = VirtualClock(), LIBRARIES[library]
    script = Script([Says(503, after_s=1.0)], clock)
    retry = RetryPolicy(attempts=9, backoff=Backoff(1.0, 8.0, 0.0))
    beneath = transport(colour, library, "RetryTransport", inner_of(library, script), retry, clock=clock)

    class Handing(module.HTTPTransport):  # type: ignore[misc,name-defined]  # chosen at run time
        def handle_request(self, request: Any) -> Any:
            return beneath.handle_request(request)

    class AwaitingHanding(module.AsyncHTTPTransport):  # type: ignore[misc,name-defined]  # as above
        async def handle_async_request(self, request: Any) -> Any:
            return await beneath.handle_async_request(request)

    async def main() -> Any:
        handing = (Handing if colour == "sync" else AwaitingHanding)(verify=False)
        over = transport(colour, library, "TimeoutTransport", handing, 10.0, clock=clock)
        async with client_over(colour, library, over) as client:
            return await got(client.get(URL))

    assert run_in(colour, main).status_code == 503
    assert script.at_s == [0.0, 2.0, 5.0]


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which time passes when nothing else happens, at once."""

    def __init__(self) -> None:
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                found = super().select(0 if timeout else timeout)
                if not found and timeout:
                    loop.time_s += timeout
                return found

        self.time_s = 0.0
        super().__init__(Selector())

    def time(self) -> float:
        return self.time_s


def run_jumping(colour: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test body where sleeping takes no time."""
    if colour == "trio":
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(main())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_an_answer_that_never_comes_is_given_up(colour: str, library: str) -> None:
    """A head that never comes, a body that never ends and an attempt that hangs are cut when their time is up."""
    module = LIBRARIES[library]

    class Silent(module.AsyncBaseTransport, module.AsyncByteStream):  # type: ignore[misc,name-defined]  # chosen at run time
        has_head = False

        async def handle_async_request(self, request: Any) -> Any:
            del request
            if not self.has_head:
                await anyio.sleep_forever()
            return module.Response(200, stream=self)

        async def __aiter__(self) -> Any:
            yield b"begins"
            await anyio.sleep_forever()

    silent = Silent()

    async def main() -> None:

        made = import_module(f"resilient_poll.transports.{library}")
        attempt = RetryPolicy(attempts=2, backoff=Backoff(1.0, 1.0, 0.0), attempt_timeout_s=4.0)
        for has_head, over, kind, took_s in (
            (False, made.AsyncTimeoutTransport(silent, 7.0), TotalTimeout, 7.0),
            (True, made.AsyncTimeoutTransport(silent, 7.0), TotalTimeout, 7.0),
            (False, made.AsyncRetryTransport(silent, attempt), module.ReadTimeout, 9.0),
            (False, made.async_resilient_transport(silent, total_s=7.0, retry=attempt), TotalTimeout, 7.0),
        ):
            silent.has_head = has_head
            began_s = anyio.current_time()
            async with module.AsyncClient(transport=over) as client:
                with pytest.raises(kind):
                    await client.get(URL, timeout=None)
            assert anyio.current_time() - began_s == pytest.approx(took_s)

    run_jumping(colour, main)


def head_drips(clock: VirtualClock) -> Callable[[Connection], None]:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nx-padding: p")
        clock.advance(60.0)
        connection.send(b"p")
        connection.hang()

    return script


def body_drips(clock: VirtualClock) -> Callable[[Connection], None]:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(http_answer(200, b"begins", {"content-length": "99"}))
        clock.advance(60.0)
        connection.send(b"p")
        connection.hang()

    return script


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("drips", [head_drips, body_drips])
def test_a_blocking_client_is_cut_in_the_middle_of_a_head(library: str, drips: Any) -> None:
    """Through the library's own blocking transport a head or body that drips is cut between two reads of the socket."""
    clock = VirtualClock()
    with RawServer(drips(clock)) as server:
        inner = LIBRARIES[library].HTTPTransport(verify=False)
        over = transport("sync", library, "TimeoutTransport", inner, 30.0, clock=clock)
        with LIBRARIES[library].Client(transport=over) as client, pytest.raises(TotalTimeout):
            client.get(server.url, timeout=None)
        assert len(server.requests) == 1


# In code that awaits a head is cut by the loop's own clock: see the silent answers above.
DRIPS = [(*way, body_drips) for way in EACH_WAY] + [("sync", library, head_drips) for library in LIBRARIES]


@pytest.mark.parametrize(("colour", "library", "drips"), DRIPS)
def test_an_attempt_that_drips_is_cut_and_made_again(colour: str, library: str, drips: Any) -> None:
    """An attempt's own time covers a body that is read within it; then it fails as the library does and is repeated."""
    clock = VirtualClock()

    def script(connection: Connection) -> None:
        if connection.number == 0:
            drips(clock)(connection)
        else:
            connection.read_request()
            connection.send(http_answer(200, b"whole"))

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        policy = RetryPolicy(attempt_timeout_s=30.0, total_s=300.0, body_bytes=1000)
        over = transport(colour, library, "RetryTransport", inner, policy, clock=clock)
        with RawServer(script) as server:
            async with client_over(colour, library, over) as client:
                response = await got(client.get(server.url, timeout=None))
        assert response.text == "whole"
        first, _ = response.request.extensions["resilient_poll.attempts"]
        assert "Timeout" in (first.failure or "")

    run_in(colour, main)


@each_way
def test_a_body_that_drips_over_a_socket_is_cut(colour: str, library: str) -> None:
    """Over a real socket, in every colour, a body that goes on beyond the total time is cut."""
    clock = VirtualClock()

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        over = transport(colour, library, "TimeoutTransport", inner, 30.0, clock=clock)
        with RawServer(body_drips(clock)) as server:
            async with client_over(colour, library, over) as client:
                with pytest.raises(TotalTimeout):
                    await got(client.get(server.url, timeout=None))

    run_in(colour, main)


@each_way
def test_a_body_that_hangs_has_what_is_left_when_it_is_read(colour: str, library: str) -> None:
    """A read of the body that brings nothing ends with the total time, and not after what was left of it at first."""
    clock = VirtualClock()

    def script(connection: Connection) -> None:
        connection.read_request()
        clock.advance(29.8)
        connection.send(http_answer(200, b"begins", {"content-length": "99"}))
        connection.hang()

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        over = transport(colour, library, "TimeoutTransport", inner, 30.0, clock=clock)
        with RawServer(script) as server:
            async with client_over(colour, library, over) as client:
                began_s = time.monotonic()
                with pytest.raises(module.TimeoutException):
                    await got(client.get(server.url, timeout=None))
                assert time.monotonic() - began_s < 15.0, "it has 0.2 s, and had 30 s"

    run_in(colour, main)


@each_way
def test_a_body_that_hangs_at_once_is_cut(colour: str, library: str) -> None:
    """A body that never goes on after its head ends with the total time, whatever the client's own time-outs are."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(http_answer(200, b"", {"content-length": "99"}))
        connection.hang()

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        made = import_module(f"resilient_poll.transports.{library}")
        # real: a socket's own time
        over = (made.TimeoutTransport if colour == "sync" else made.AsyncTimeoutTransport)(inner, 0.3)
        with RawServer(script) as server:
            async with client_over(colour, library, over) as client:
                began_s = time.monotonic()
                with pytest.raises(TotalTimeout):
                    await got(client.get(server.url, timeout=25.0))
                assert time.monotonic() - began_s < 15.0, "the client's own time-out ended it"

    run_in(colour, main)


def short(connection: Connection) -> None:
    connection.read_request()
    connection.send(http_answer(200, b"half", {"content-length": "99"}))


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.send(http_answer(200, b"half", {"content-length": "99"}))
    connection.reset()


def bad_chunk(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n")


@pytest.mark.parametrize("fault", [short, reset, bad_chunk])
@each_way
def test_a_body_that_breaks_off_on_the_wire_is_asked_for_again(
    colour: str, library: str, fault: Callable[[Connection], None]
) -> None:
    """A body that ends early, is reset or breaks its framing is asked for again, over a real socket."""

    def script(connection: Connection) -> None:
        if connection.number == 0:
            fault(connection)
            return
        while connection.read_request():
            connection.send(http_answer(200, b"whole"))

    async def main() -> None:
        module = LIBRARIES[library]
        inner = (module.HTTPTransport if colour == "sync" else module.AsyncHTTPTransport)(verify=False)
        policy = RetryPolicy(body_bytes=1000)
        over = transport(colour, library, "RetryTransport", inner, policy, clock=VirtualClock())
        with RawServer(script) as server:
            async with client_over(colour, library, over) as client:
                response = await got(client.get(server.url))
            assert response.text == "whole"
            assert len(server.requests) == 2

    run_in(colour, main)


def test_a_transport_of_ours_makes_its_own_beneath() -> None:
    """Without a transport beneath, ours makes the library's own, and closes it."""
    over = ours.TimeoutTransport(total_s=5.0)
    with RawServer.answering(lambda _: http_answer(200, b"whole")) as server:
        from httpx import Client  # noqa: PLC0415  # as a reader would

        with Client(transport=over) as client:
            assert client.get(server.url).text == "whole"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_body_that_is_cut_leaves_no_generator_behind(colour: str, library: str) -> None:
    """A body that is cut comes to its end beneath too: nothing stays suspended, of which trio would complain."""
    module, clock, ended = LIBRARIES[library], VirtualClock(), []

    class Dripping(module.AsyncBaseTransport, module.AsyncByteStream):  # type: ignore[misc,name-defined]  # at run time
        is_closed = False

        async def handle_async_request(self, request: Any) -> Any:
            del request
            return module.Response(200, stream=self)

        async def __aiter__(self) -> Any:
            try:
                while not self.is_closed:
                    clock.advance(10.0)
                    yield b"x"
            finally:
                await anyio.lowlevel.checkpoint()
                ended.append(True)

        async def aclose(self) -> None:
            self.is_closed = True

    async def main() -> None:
        over = transport(colour, library, "TimeoutTransport", Dripping(), 30.0, clock=clock)
        async with client_over(colour, library, over) as client:
            with pytest.raises(TotalTimeout):
                await client.get(URL)
            assert ended == [True]

    run_in(colour, main)
