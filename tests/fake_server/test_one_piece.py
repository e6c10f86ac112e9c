"""Answers go out in one piece where that changes nothing, and otherwise as uvicorn sends them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from fake_server.connection import send_whole
from fake_server.wire.messages import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_server.conftest import Running, Start

SCENARIO = """
version: 1
summary: A poll that is answered with a header of its own.
poll:
  - {status: 503, body: busy, headers: {connection: close}}
tasks: [SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""


class Pieces:
    """The transport of a connection, which notes what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Note a piece."""
        self.written.append(data)

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it ended."""
        return self.is_closed


class Flag:
    """An event that somebody waits for."""

    is_set = False

    def set(self) -> None:
        """Set it."""
        self.is_set = True


class Cycle:
    """uvicorn's state of one request, as far as an answer changes it."""

    def __init__(self, *, keep_alive: bool = True) -> None:
        self.transport = Pieces()
        self.flow = Flag()
        self.flow.write_paused = False  # type: ignore[attr-defined]  # only this of it is asked for
        self.message_event = Flag()
        self.keep_alive = keep_alive
        self.disconnected = self.response_started = self.response_complete = False
        self.waiting_for_100_continue = True
        self.answers = 0

    def on_response(self) -> None:
        """Count an answer."""
        self.answers += 1


ORDINARY = Reply(200, (("date", "now"), ("content-length", "2")), b"{}")


@pytest.mark.parametrize("keep_alive", [True, False])
def test_an_ordinary_answer_is_one_piece(keep_alive: bool) -> None:
    """Head and body are written together, the request is over then, and the connection ends only where it should."""
    cycle = Cycle(keep_alive=keep_alive)
    assert send_whole(cycle, ORDINARY)  # type: ignore[arg-type]  # all that is asked of one
    ending = b"" if keep_alive else b"connection: close\r\n"
    whole = b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\n" + ending + b"\r\n{}"
    assert cycle.transport.written == [whole]
    assert cycle.transport.is_closed is not keep_alive
    assert (cycle.response_started, cycle.response_complete, cycle.message_event.is_set) == (True, True, True)
    assert (cycle.waiting_for_100_continue, cycle.answers) == (False, 1)


@pytest.mark.parametrize(
    "headers", [(("date", "now"),), (("connection", "close"), ("content-length", "2"))], ids=["unsized", "closing"]
)
def test_what_is_out_of_the_ordinary_is_left_alone(headers: tuple[tuple[str, str], ...]) -> None:
    """Of an answer without a length, or that says something of the connection, nothing is written."""
    cycle = Cycle()
    assert not send_whole(cycle, Reply(200, headers, b"{}"))  # type: ignore[arg-type]  # as above
    assert not cycle.transport.written
    assert not cycle.response_started


@pytest.mark.parametrize("state", ["disconnected", "response_started", "write_paused"])
def test_a_connection_that_is_not_ready_is_left_alone(state: str) -> None:
    """While the client takes nothing more, has gone, or was answered, nothing is written."""
    cycle = Cycle()
    setattr(cycle.flow if state == "write_paused" else cycle, state, True)
    assert not send_whole(cycle, ORDINARY)  # type: ignore[arg-type]  # as above
    assert not cycle.transport.written


def test_answers_come_whole_over_a_socket(fake: Running) -> None:
    """Each of many answers on one connection comes in one piece; HEAD has no body, and 1.0 ends the connection."""
    ask = b"%s /api/v1/tasks/nobody HTTP/1.1\r\nHost: fake\r\nAuthorization: Bearer sk-succeeds.whole\r\n\r\n"
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        for _ in range(10):
            connection.sendall(ask % b"GET")
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-length: %d" % len(body) in head
            assert b'"UNKNOWN"' in body
        connection.sendall(ask.replace(b"HTTP/1.1", b"HTTP/1.0") % b"GET")
        assert b"connection: close" in connection.recv(65_536)
        assert connection.recv(1) == b""
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        connection.sendall(ask % b"HEAD" + ask % b"GET")
        received = b""
        while b'"UNKNOWN"' not in received:
            received += connection.recv(65_536)
        first, second = received.split(b"HTTP/1.1 ")[1:]
        assert first.endswith(b"\r\n\r\n")
        assert second.startswith(b"200 OK")


def test_a_scripted_header_of_the_connection_is_obeyed(tmp_path: Path, start: Start) -> None:
    """A scripted `connection: close` reaches the client, and the connection ends."""
    (tmp_path / "closes.yaml").write_text(SCENARIO)
    fake = start(scenarios={"closes": tmp_path / "closes.yaml"}, default="closes")
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        connection.sendall(b"GET /api/v1/tasks/x HTTP/1.1\r\nHost: fake\r\nAuthorization: Bearer sk-closes\r\n\r\n")
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert b"connection: close\r\n" in received
    assert received.endswith(b"busy")
