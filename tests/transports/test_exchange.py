"""One request, one answer: bounded, on the right connection, and never cut between paying and knowing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import logging
import threading
import traceback
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from resilient_poll import AsyncDashScope, DashScope
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import LONGEST_ANSWER_BYTES, Answer, ExchangeFailed, HttpRequest
from resilient_poll.transports.exchange import Exchange
from resilient_poll.transports.exchange_async import AsyncExchange
from resilient_poll.transports.library import library_of
from tests.support.colours import COLOURS, INPUT, LIBRARIES, MODEL, WAYS, got, run_in
from tests.support.raw_server import Connection, RawRequest, RawServer, http_answer, json_answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
ACCEPTED = json_answer(200, {"output": {"task_id": TASK_ID, "task_status": "PENDING"}})
each_way = pytest.mark.parametrize(("colour", "library"), WAYS)


@asynccontextmanager
async def exchange_of(colour: str, library: str) -> AsyncIterator[Any]:
    is_async = colour != "sync"
    http_client = None
    if library != "own":
        module = LIBRARIES[library]
        http_client = (module.AsyncClient if is_async else module.Client)(verify=False)
    exchange = (AsyncExchange if is_async else Exchange)(http_client)
    try:
        yield exchange
    finally:
        await got(exchange.close())
        if http_client is not None:
            assert not http_client.is_closed, "a caller's client stays the caller's"
            await got(http_client.aclose() if is_async else http_client.close())


def ask(colour: str, library: str, data: bytes) -> Answer | ExchangeFailed:
    """Query a server that says some bytes, and return the answer or how it failed."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)

    async def main() -> Answer | ExchangeFailed:
        with RawServer(script) as server:
            async with exchange_of(colour, library) as exchange:
                try:
                    answer: Answer = await got(exchange.query(HttpRequest("GET", server.url), 10.0))
                    return answer
                except ExchangeFailed as failure:
                    return failure

    return run_in(colour, main)


@each_way
def test_an_answer_is_read_to_its_end(colour: str, library: str) -> None:
    """Status, all headers in order with lower-case names, and the whole body arrive."""
    data = b"HTTP/1.1 207 Odd\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nwhole"
    answer = ask(colour, library, data)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (207, b"whole")
    assert answer.header("x-a") == ("1", "2")
    assert answer.header("content-length") == ("5",)


@each_way
def test_a_compressed_answer_is_undone(colour: str, library: str) -> None:
    """What was asked for compressed is decoded, in pieces of any size."""
    body = bytes(range(256)) * 5000
    answer = ask(colour, library, http_answer(200, gzip.compress(body), {"content-encoding": "GZIP"}))
    assert isinstance(answer, Answer)
    assert answer.body == body


@pytest.mark.thorough(plain=17)
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (http_answer(200, b"x" * (LONGEST_ANSWER_BYTES + 1)), "longer than"),
        (http_answer(200, b"nope", {"content-encoding": "gzip"}), "gzip cannot be read"),
        (http_answer(200, gzip.compress(b"{}" * 999)[:-1], {"content-encoding": "gzip"}), "broke off"),
        (http_answer(200, b"x", {"content-encoding": "br"}), "not asked for"),
        (http_answer(200, gzip.compress(gzip.compress(b"{}")), {"content-encoding": "gzip, gzip"}), "not asked for"),
        (http_answer(200, b"short", {"content-length": "99"}), "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "RemoteProtocolError"),
    ],
    ids=["too long", "bad gzip", "gzip broke off", "unasked", "layers", "short", "nothing", "nonsense"],
)
@each_way
def test_an_answer_that_cannot_be_read_is_a_failure(colour: str, library: str, data: bytes, why: str) -> None:
    """What is too long, broken, or in an encoding that nobody asked for is a failed exchange."""
    failure = ask(colour, library, data)
    assert isinstance(failure, ExchangeFailed)
    assert why in failure.reason


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize(
    "data",
    [
        http_answer(200, b"x" * (2 * LONGEST_ANSWER_BYTES)),
        http_answer(200, b"n" * 200_000, {"content-encoding": "gzip"}),
    ],
    ids=["too long", "bad gzip"],
)
@each_way
def test_an_answer_left_unread_leaves_nothing_suspended(colour: str, library: str, data: bytes) -> None:
    """An answer that is given up in the middle ends the library's generators, of which trio would warn."""

    async def main() -> None:
        with RawServer.answering(lambda _: data) as server:
            async with exchange_of(colour, library) as exchange:
                with contextlib.suppress(ExchangeFailed):
                    await got(exchange.query(HttpRequest("GET", server.url), 10.0))
                gc.collect()

    run_in(colour, main)


@pytest.mark.parametrize("size", [LONGEST_ANSWER_BYTES - 1, LONGEST_ANSWER_BYTES])
def test_an_answer_within_the_limit_is_read(size: int) -> None:
    """The limit of size is not a byte too small."""
    answer = ask("sync", "own", http_answer(200, b"x" * size))
    assert isinstance(answer, Answer)
    assert len(answer.body) == size


@each_way
def test_what_is_paid_may_be_longer(colour: str, library: str) -> None:
    """The answer to a create is read also where it is longer than a status may be: it may hold images."""

    async def main() -> Answer:
        body = b"x" * (LONGEST_ANSWER_BYTES + 1)
        with RawServer.answering(lambda _: http_answer(200, body)) as server:
            async with exchange_of(colour, library) as exchange:
                request = HttpRequest("POST", server.url, (), b"{}")
                more = () if colour == "sync" else (lambda _: None,)
                answer: Answer = await got(exchange.create(request, 10.0, *more))
                return answer

    assert len(run_in(colour, main).body) == LONGEST_ANSWER_BYTES + 1


@pytest.mark.thorough(plain=4)
@pytest.mark.parametrize("layers", [1, 2])
@each_way
def test_a_bomb_takes_little_memory(colour: str, library: str, layers: int) -> None:
    """A small answer that decodes to a gigabyte is given up long before, in one layer or in two."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    encoding = "gzip"
    if layers == 2:
        bomb, encoding = gzip.compress(bomb * 20), "gzip, gzip"
    tracemalloc.start()
    failure = ask(colour, library, http_answer(200, bomb, {"content-encoding": encoding}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(failure, ExchangeFailed)
    assert peak < 4 * LONGEST_ANSWER_BYTES


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_fault_of_the_program_passes_as_it_is(colour: str, library: str) -> None:
    """An error that is neither the network's nor a library's is not dressed up as one."""
    module, is_async = LIBRARIES[library], colour != "sync"

    class Faulty(module.AsyncBaseTransport if is_async else module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            raise ZeroDivisionError(str(request.url))

        async def handle_async_request(self, request: Any) -> Any:
            raise ZeroDivisionError(str(request.url))

    async def main() -> None:
        http_client = (module.AsyncClient if is_async else module.Client)(transport=Faulty())
        exchange: Any = (AsyncExchange if is_async else Exchange)(http_client)
        with pytest.raises(ZeroDivisionError):
            await got(exchange.query(HttpRequest("GET", "http://a.test"), 5.0))
        create = HttpRequest("POST", "http://a.test", (), b"{}")
        with pytest.raises(ZeroDivisionError):
            await got(exchange.create(create, 5.0, lambda _: None) if is_async else exchange.create(create, 5.0))
        await got(http_client.aclose() if is_async else http_client.close())

    run_in(colour, main)


@pytest.mark.parametrize("takes_body", [True, False])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_error_of_the_system_is_the_networks(colour: str, library: str, takes_body: bool) -> None:
    """An ``OSError`` out of a caller's transport is a failed exchange, free exactly if the body was not taken."""
    module, is_async = LIBRARIES[library], colour != "sync"

    class Resetting(module.AsyncBaseTransport if is_async else module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            if takes_body:
                request.read()
            raise ConnectionResetError("reset by peer")

        async def handle_async_request(self, request: Any) -> Any:
            if takes_body:
                await request.aread()
            raise ConnectionResetError("reset by peer")

    async def main() -> None:
        http_client = (module.AsyncClient if is_async else module.Client)(transport=Resetting())
        exchange: Any = (AsyncExchange if is_async else Exchange)(http_client)
        create = HttpRequest("POST", "http://a.test", (), b"{}")
        with pytest.raises(ExchangeFailed, match="reset by peer") as caught:
            await got(exchange.create(create, 5.0, lambda _: None) if is_async else exchange.create(create, 5.0))
        assert caught.value.surely_not_sent is not takes_body
        await got(http_client.aclose() if is_async else http_client.close())

    run_in(colour, main)


@pytest.mark.parametrize("colour", COLOURS)
def test_each_create_has_a_connection_of_its_own(colour: str) -> None:
    """Our own client opens a new connection for each create and keeps one for queries."""

    def answer(request: RawRequest) -> bytes:
        if request.method == "POST":
            return ACCEPTED
        return json_answer(200, {"output": {"task_id": TASK_ID, "task_status": "RUNNING"}})

    async def main() -> None:
        create = HttpRequest("POST", server.url, (), b"{}")
        query = HttpRequest("GET", server.url)
        async with exchange_of(colour, "own") as exchange:
            for _ in range(3):
                if colour == "sync":
                    exchange.create(create, 5.0)
                else:
                    await exchange.create(create, 5.0, lambda _: None)
                await got(exchange.query(query, 5.0))

    with RawServer.answering(answer) as server:
        run_in(colour, main)
    creates = {request.connection for request in server.requests if request.method == "POST"}
    queries = {request.connection for request in server.requests if request.method == "GET"}
    assert len(creates) == 3
    assert len(queries) == 1
    assert not creates & queries


@pytest.mark.parametrize("kind", [DashScope, AsyncDashScope])
@pytest.mark.parametrize("client", [object(), "httpx", 17, asyncio])
def test_a_client_of_no_known_library_is_refused(kind: Any, client: object) -> None:
    """What is no client of httpx or httpx2 is refused by name, before anything is sent."""
    with pytest.raises(ConfigurationError, match="httpx or httpx2"):
        kind(dialect="aisa", api_key="k", http_client=client)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_subclass_of_a_client_is_of_its_library(library: str) -> None:
    """A client class of the caller's own is known by what it derives from."""
    module = LIBRARIES[library]
    own = type("OwnClient", (module.Client,), {})
    with own(verify=False) as client:
        assert library_of(client).name == library


class Gate:
    """A server that holds the answer to a create until it is told, and says when it has the request."""

    def __init__(self, answer: bytes) -> None:
        self.has_request, self.may_answer = threading.Event(), threading.Event()
        self._answer = answer

    def __call__(self, connection: Connection) -> None:
        connection.read_request()
        self.has_request.set()
        self.may_answer.wait(10.0)
        connection.send(self._answer)


@pytest.mark.parametrize("library", ["own", *LIBRARIES])
@pytest.mark.parametrize(("colour", "cancellations"), [("asyncio", 1), ("asyncio", 3), ("trio", 1)])
def test_a_cancelled_create_is_finished_and_logged(
    colour: str, library: str, cancellations: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A create whose caller is cancelled while it is out runs to its end, and the log has its id and token."""
    gate = Gate(ACCEPTED)

    async def main() -> None:
        async with _client(library, server.url) as client:
            await _cancel_while_out(colour, client, gate, cancellations)

    with RawServer(gate) as server, caplog.at_level(logging.INFO, "resilient_poll"):
        run_in(colour, main)
        assert len(server.complete("POST")) == 1
    (line,) = [record for record in caplog.records if "broken off" in record.message]
    assert line.levelno == logging.WARNING
    assert TASK_ID in line.message
    token = line.message.split("Resume token ")[1]
    with DashScope(dialect="dashscope", api_key="sk-0123456789", base_url=server.url) as again:
        assert again.task(token).id == TASK_ID


@pytest.mark.parametrize(
    ("answer", "is_in_doubt"),
    [
        (json_answer(400, {"code": "InvalidParameter", "message": "no"}), False),
        (json_answer(429, {"code": "Throttling", "message": "later"}), False),
        (json_answer(500, {"code": "InternalError"}), True),
        (b"", True),
    ],
    ids=["refused", "throttled", "in doubt", "lost"],
)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_create_is_a_doubt_where_it_is_one(
    colour: str, answer: bytes, is_in_doubt: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancelled create that was refused owes nothing, and one whose answer is lost is an error in the log."""
    gate = Gate(answer)

    async def main() -> None:
        async with _client("own", server.url) as client:
            await _cancel_while_out(colour, client, gate, 1)

    with RawServer(gate) as server, caplog.at_level(logging.INFO, "resilient_poll"):
        run_in(colour, main)
        assert len(server.complete("POST")) == 1, "a cancelled create is not sent again, throttled or not"
    doubts = [record for record in caplog.records if "there may be a task" in record.message]
    assert [record.levelno for record in doubts] == [logging.ERROR] * is_in_doubt
    assert is_in_doubt or not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asynccontextmanager
async def _client(library: str, url: str) -> AsyncIterator[AsyncDashScope]:
    http_client = None if library == "own" else LIBRARIES[library].AsyncClient(verify=False)
    async with AsyncDashScope(
        dialect="dashscope", api_key="sk-0123456789", base_url=url, http_client=http_client
    ) as client:
        yield client
    if http_client is not None:
        await http_client.aclose()


async def _cancel_while_out(colour: str, client: AsyncDashScope, gate: Gate, cancellations: int) -> None:
    if colour == "asyncio":
        task = asyncio.create_task(client.submit(MODEL, INPUT))
        await asyncio.to_thread(gate.has_request.wait, 10.0)
        for _ in range(cancellations):
            task.cancel()
            await anyio.lowlevel.checkpoint()
        assert not task.done(), "a cancellation that cuts the create loses its id"
        gate.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        return
    async with trio.open_nursery() as nursery:
        ended = trio.Event()

        async def submit() -> None:
            try:
                await client.submit(MODEL, INPUT)
            finally:
                ended.set()

        nursery.start_soon(submit)
        await trio.to_thread.run_sync(gate.has_request.wait, 10.0)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            assert not ended.is_set(), "a cancellation that cuts the create loses its id"
            gate.may_answer.set()
            await ended.wait()
    assert nursery.cancel_scope.cancelled_caught


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_whoever_is_cancelled_already_sends_nothing(colour: str) -> None:
    """A submit that begins in a scope that is cancelled sends no create."""

    async def main() -> None:
        async with _client("own", server.url) as client:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.submit(MODEL, INPUT)
            assert scope.cancelled_caught

    with RawServer.answering(lambda _: ACCEPTED) as server:
        run_in(colour, main)
    assert server.requests == []


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_wait_says_how_to_resume(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A wait that is cancelled leaves the task going, and the log says its id and token and not to submit again."""
    gate = Gate(ACCEPTED)

    async def main() -> None:
        async with _client("own", server.url) as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.task(TASK_ID).wait)
                    await anyio.to_thread.run_sync(gate.has_request.wait, 10.0)
                    scope.cancel()
            gate.may_answer.set()

    with RawServer(gate) as server, caplog.at_level(logging.WARNING, "resilient_poll"):
        run_in(colour, main)
    (line,) = [record.message for record in caplog.records if "interrupted" in record.message]
    assert TASK_ID in line
    assert "do not submit it again" in line
    assert "rpt1." in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "http://user:hunter2-password@:notaport"), ("SSL_CERT_FILE", "/nowhere/at/all.pem")],
)
@pytest.mark.parametrize("kind", [Exchange, AsyncExchange])
def test_an_environment_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, kind: type
) -> None:
    """Broken proxy or certificate settings give one sentence that names the variables and shows no password."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable) as caught:
        kind()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
