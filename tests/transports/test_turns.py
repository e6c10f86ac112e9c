"""More queries at once than there are connections: they wait in line before the pool, and lose nothing by it."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.transports.exchange_async import AsyncExchange
from resilient_poll.transports.library import connections_of
from tests.support.colours import LIBRARIES, run_in
from tests.support.raw_server import Connection, RawServer, http_answer

AWAITING = ("asyncio", "trio")


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_the_number_of_connections_is_found(name: str, kind: str) -> None:
    """Both libraries keep the number where it is looked for; where there is none, none is found."""
    library: Any = LIBRARIES[name]
    make = getattr(library, kind)
    assert connections_of(make(verify=False)) == 100
    assert connections_of(make(verify=False, limits=library.Limits(max_connections=7))) == 7
    assert connections_of(make(verify=False, limits=library.Limits(max_connections=None))) is None
    assert connections_of(make(transport=library.MockTransport(lambda _: library.Response(200)))) is None
    assert connections_of(object()) is None


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("colour", AWAITING)
def test_all_are_answered_over_few_connections(colour: str, name: str) -> None:
    """Twenty queries at once through a client of two connections are all answered, over two connections."""
    library: Any = LIBRARIES[name]
    answers: list[Answer] = []

    async def main() -> None:
        limits = library.Limits(max_connections=2)
        with RawServer.answering(lambda request: http_answer(200, request.path.encode())) as server:
            async with library.AsyncClient(verify=False, limits=limits) as http_client:
                exchange = AsyncExchange(http_client)

                async def ask(number: int) -> None:
                    answers.append(await exchange.query(HttpRequest("GET", f"{server.url}/{number}"), 20.0))

                async with anyio.create_task_group() as group:
                    for number in range(20):
                        group.start_soon(ask, number)
            assert server.connections == 2
        assert sorted(int(answer.body[1:]) for answer in answers) == list(range(20))

    run_in(colour, main)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("colour", AWAITING)
def test_whoever_gives_up_in_line_leaves_its_place(colour: str, name: str) -> None:
    """A query whose turn does not come fails in its time without being sent; then the line goes on as before."""
    library: Any = LIBRARIES[name]
    first_may_end = threading.Event()

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.path == "/first":
                first_may_end.wait(20)
            connection.send(http_answer(200, request.path.encode()))

    async def main() -> None:
        with RawServer(script) as server:
            async with library.AsyncClient(verify=False, limits=library.Limits(max_connections=1)) as http_client:
                exchange = AsyncExchange(http_client)

                async def ask(path: str, timeout_s: float) -> Answer:
                    return await exchange.query(HttpRequest("GET", server.url + path), timeout_s)

                async with anyio.create_task_group() as group:
                    group.start_soon(ask, "/first", 20.0)
                    while not server.requests:
                        await anyio.lowlevel.checkpoint()
                    for _ in range(3):
                        with pytest.raises(ExchangeFailed):
                            await ask("/impatient", 0.05)
                    first_may_end.set()
                    assert (await ask("/last", 20.0)).body == b"/last"
            assert [request.path for request in server.requests] == ["/first", "/last"]

    run_in(colour, main)


@pytest.mark.parametrize("colour", AWAITING)
def test_a_failed_query_gives_its_place_back(colour: str) -> None:
    """Queries that break off leave as many places as before: the one after them is answered."""

    def script(connection: Connection) -> None:
        if (request := connection.read_request()) and request.path == "/good":
            connection.send(http_answer(200, b"good"))

    async def main() -> None:
        library: Any = LIBRARIES["httpx"]
        with RawServer(script) as server:
            async with library.AsyncClient(verify=False, limits=library.Limits(max_connections=1)) as http_client:
                exchange = AsyncExchange(http_client)
                for _ in range(3):
                    with pytest.raises(ExchangeFailed):
                        await exchange.query(HttpRequest("GET", f"{server.url}/bad"), 5.0)
                assert (await exchange.query(HttpRequest("GET", f"{server.url}/good"), 5.0)).body == b"good"

    run_in(colour, main)
