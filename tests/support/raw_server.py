"""A server that says exactly the bytes a test scripts, on a real socket, and keeps what it was sent.

Standard library only: what a broken server does to a client is shown by bytes and by
sockets that close, not by a framework's idea of them.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

__all__ = ["Connection", "RawRequest", "RawServer", "http_answer", "json_answer"]

_LONGEST_TEST_S = 30.0
"""No script blocks for longer, so that a broken test ends by itself."""


@dataclass(frozen=True)
class RawRequest:
    """One request as it came.

    Attributes:
        head: Everything before the body.
        body: As much of the body as came.
        is_complete: Whether that is all that was announced.
        connection: The number of the connection, from 0.
    """

    head: bytes
    body: bytes
    is_complete: bool
    connection: int

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        """The method."""
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        """The target, with its query."""
        return self.line.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case; repeated ones are joined."""
        found: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                name = name.strip().lower()
                found[name] = f"{found[name]}, {value.strip()}" if name in found else value.strip()
        return found

    @property
    def everything(self) -> bytes:
        """Head and body."""
        return self.head + self.body


@dataclass
class Connection:
    """One accepted connection, as a script sees it."""

    socket: socket.socket
    number: int
    server: RawServer
    _buffer: bytes = field(default=b"", repr=False)

    def read_request(self) -> RawRequest | None:
        """Read one request and record it; None if the client closed instead."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        self._buffer = rest
        announced = int(RawRequest(head, b"", False, 0).headers.get("content-length", "0"))
        while len(self._buffer) < announced and self._more():
            pass
        body, self._buffer = self._buffer[:announced], self._buffer[announced:]
        request = RawRequest(head, body, len(body) == announced, self.number)
        self.server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def drip(self, data: bytes, every_s: float) -> None:
        """Send one byte at a time."""
        for at in range(len(data)):
            if self.server.is_stopping.wait(every_s):
                return
            self.socket.sendall(data[at : at + 1])

    def hang(self) -> None:
        """Say nothing until the server is stopped or the client leaves."""
        self.socket.settimeout(0.1)
        until_s = time.monotonic() + _LONGEST_TEST_S
        while not self.server.is_stopping.is_set() and time.monotonic() < until_s:
            try:
                if not self.socket.recv(65536):
                    return
            except TimeoutError:
                continue

    def reset(self) -> None:
        """Close so that the client sees a reset rather than an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)


Script = Callable[[Connection], None]


class RawServer:
    """A threaded server on a free port of the loopback interface.

    Args:
        script: Serves one connection; the connection is closed after it. A function of a
            request that returns bytes can be given with :meth:`answering`.

    Attributes:
        requests: Every request that came, complete or not, in order.
        port: Where it listens.
        connections: How many connections were accepted.
        is_stopping: Set when scripts should end.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[RawRequest] = []
        self.connections = 0
        self.is_stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @classmethod
    def answering(cls, answer: Callable[[RawRequest], bytes]) -> RawServer:
        """Return a server that answers each request, and keeps connections open between them."""

        def script(connection: Connection) -> None:
            while request := connection.read_request():
                connection.send(answer(request))

        return cls(script)

    @property
    def url(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"

    def complete(self, method: str) -> list[RawRequest]:
        """Return the complete requests of a method."""
        return [request for request in self.requests if request.method == method and request.is_complete]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_stopping.set()
        # A connection of our own wakes the accepting thread.
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(_LONGEST_TEST_S)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            accepted, _ = self._listener.accept()
            if self.is_stopping.is_set():
                accepted.close()
                return
            accepted.settimeout(_LONGEST_TEST_S)
            self._open.append(accepted)
            self.connections += 1
            self._start(self._serve, Connection(accepted, self.connections - 1, self))

    def _serve(self, connection: Connection) -> None:
        try:
            self._script(connection)
        except OSError:
            pass  # The client left in the middle: that is its right.
        finally:
            connection.socket.close()


def http_answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of an answer; a ``content-length`` is added unless one is given."""
    lines = {"content-length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode("latin-1") + body


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of an answer with a JSON body."""
    return http_answer(status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})})
