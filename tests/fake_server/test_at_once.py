"""A request that is there as a whole is answered in the same turn of the event loop; every other by a task of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from fake_server.app import Api
from fake_server.connection import Connection
from fake_server.scenario.library import shipped_scenarios
from fake_server.server import Address, make_server
from fake_server.worlds import Worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PATH = b"/api/v1/services/aigc/video-generation/video-synthesis"
HEAD = b" HTTP/1.1\r\nHost: fake\r\nAuthorization: Bearer sk-succeeds.once\r\n"
BODY = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}'
CREATE = b"POST " + PATH + HEAD + b"X-DashScope-Async: enable\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = (
    CREATE.partition(b"Content-Length")[0]
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:9], BODY[9:]))
    + b"0\r\nX-Trailer: last\r\n\r\n"
)
POLL = b"GET /api/v1/tasks/nobody" + HEAD + b"\r\n"


class Pieces(asyncio.Transport):
    """The transport of a connection, which notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Note a piece."""
        self.written += bytes(data)

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it ended."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    @property
    def answers(self) -> list[bytes]:
        """What was answered."""
        return self.written.split(b"HTTP/1.1 ")[1:]


def connected(talk: Callable[[Connection, Pieces], Coroutine[Any, Any, None]]) -> Worlds:
    """Talk to a server on one connection, without a socket; its worlds afterwards."""
    worlds = Worlds(shipped_scenarios(), "succeeds", manual=True)

    async def run() -> None:
        server = make_server(worlds, Address("127.0.0.1", 1), lambda: None)
        server.config.load()
        loop, pieces = asyncio.get_running_loop(), Pieces()
        connection = Connection(config=server.config, server_state=server.server_state, app_state={}, _loop=loop)
        connection.connection_made(pieces)
        await talk(connection, pieces)
        assert connection.server_state.tasks == set(), "an answer is still on its way"
        connection.connection_lost(None)

    asyncio.run(run())
    return worlds


class Watch:
    """As much of an event loop as a connection needs that never waits: a time that a test sets, and timers."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        """The present."""
        return self.now_s

    def call_later(self, in_s: float, callback: Callable[[], None]) -> object:
        """Note a timer; nobody stops one here."""
        self.timers.append((self.now_s + in_s, callback))
        return object()

    def fire(self) -> None:
        """Let the next timer fire."""
        self.now_s, callback = self.timers.pop(0)
        callback()


async def turns(count: int = 5) -> None:
    """Let the loop go round, and every task with it."""
    for _ in range(count):
        await asyncio.sleep(0)  # real: no time passes


@pytest.mark.parametrize("request_bytes", [CREATE, CHUNKED, POLL], ids=["create", "chunked", "poll"])
def test_a_whole_request_is_answered_in_the_same_turn(request_bytes: bytes) -> None:
    """A request in one piece is answered before the loop goes on, and one piece may hold several: each in its turn."""

    async def talk(connection: Connection, pieces: Pieces) -> None:
        connection.data_received(request_bytes)
        assert len(pieces.answers) == 1
        connection.data_received(request_bytes * 3 + request_bytes[:20])
        assert [answer[:6] for answer in pieces.answers] == [b"200 OK"] * 4
        connection.data_received(request_bytes[20:])
        assert len(pieces.answers) == 5

    connected(talk)


@pytest.mark.parametrize("cut", [20, len(CREATE) - len(BODY), len(CREATE) - 1])
def test_a_request_in_two_pieces_is_answered_once_it_is_whole(cut: int) -> None:
    """Whatever comes late, a create in two pieces makes one task, and nothing is answered before its end."""

    async def talk(connection: Connection, pieces: Pieces) -> None:
        connection.data_received(CREATE[:cut])
        await turns()
        assert pieces.answers == []
        connection.data_received(CREATE[cut:] + POLL)
        await turns()
        assert [json.loads(answer.partition(b"\r\n\r\n")[2])["output"]["task_status"] for answer in pieces.answers] == [
            "PENDING",
            "UNKNOWN",
        ]

    world = connected(talk).named("succeeds.once")
    assert world is not None
    assert len(world.engine.tasks) == 1


def test_who_does_not_read_is_not_written_to() -> None:
    """While the client takes nothing more, requests wait, and are answered in their order once it does."""

    async def talk(connection: Connection, pieces: Pieces) -> None:
        connection.data_received(POLL)
        connection.pause_writing()
        connection.data_received(CREATE + POLL + CREATE)
        await turns()
        assert len(pieces.answers) == 1
        connection.resume_writing()
        await turns(20)
        assert [answer.count(b"PENDING") for answer in pieces.answers] == [0, 1, 0, 1]
        connection.data_received(POLL)
        assert len(pieces.answers) == 5

    connected(talk)


def test_nothing_is_answered_behind_the_last_answer() -> None:
    """What follows a request that ends its connection is neither answered nor carried out."""

    async def talk(connection: Connection, pieces: Pieces) -> None:
        connection.data_received(POLL.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + CREATE)
        await turns()
        assert len(pieces.answers) == 1
        assert pieces.is_closed

    world = connected(talk).named("succeeds.once")
    assert world is not None
    assert not world.engine.tasks


def test_an_answer_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the fake itself is a 500 and a traceback in the log, and the connection is used on."""
    right = Api.answer

    def wrong(self: Api, scope: Any, body: bytes, refusal: Any = None) -> Any:
        if scope["method"] == "POST":
            raise ZeroDivisionError("a slip of the fake")
        return right(self, scope, body, refusal)

    monkeypatch.setattr(Api, "answer", wrong)

    async def talk(connection: Connection, pieces: Pieces) -> None:
        connection.data_received(CREATE)
        await turns()
        assert [answer[:3] for answer in pieces.answers] == [b"500"]
        assert "a slip of the fake" in caplog.text

    connected(talk)


def test_a_connection_ends_once_it_was_idle_for_long() -> None:
    """One timer is enough for all requests of a connection, and ends it 120 s after the last of them, not sooner."""
    server = make_server(Worlds(shipped_scenarios(), "succeeds", manual=True), Address("127.0.0.1", 1), lambda: None)
    server.config.load()
    watch, pieces = Watch(), Pieces()
    loop: Any = watch
    connection = Connection(config=server.config, server_state=server.server_state, app_state={}, _loop=loop)
    connection.connection_made(pieces)
    for watch.now_s in (0.0, 50.0, 100.0):
        connection.data_received(POLL)
    assert [at_s for at_s, _ in watch.timers] == [120.0]
    watch.fire()
    assert not pieces.is_closed
    assert [at_s for at_s, _ in watch.timers] == [220.0]
    watch.fire()
    assert pieces.is_closed
    assert not watch.timers
