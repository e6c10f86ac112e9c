"""What lies between the workers and the fake: it carries requests and answers, and holds, delays or cuts them."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.raw_server import Connection, RawRequest, RawServer

__all__ = ["WORKER_HEADER", "Between", "Trouble"]

WORKER_HEADER = "x-worker"
LONGEST_S = 60.0


@dataclass
class Trouble:
    """What goes wrong at random on the way.

    Attributes:
        chance: Draws.
        share: Of the creates, which are delayed, each way; and of the files, which are cut in their middle.
        longest_s: The longest delay; beyond a create's own time its answer is lost.
    """

    chance: random.Random
    share: float
    longest_s: float

    def strikes(self) -> bool:
        """Draw whether something goes wrong now."""
        return self.chance.random() < self.share

    def draw_s(self) -> float:
        """Return the next delay."""
        return self.chance.uniform(0.0, self.longest_s) if self.strikes() else 0.0


@dataclass
class Between:
    """Carries bytes.

    Attributes:
        upstream: The fake's URL.
        trouble: What goes wrong, if anything does.
        at: Is told of a worker's number and one of the far points, and may hold it there by not returning.
    """

    upstream: str
    trouble: Trouble | None = None
    at: Callable[[int, str], None] = lambda _worker, _point: None
    _server: RawServer = field(init=False)
    _carrying: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._server = RawServer(self._serve)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    def __enter__(self) -> Between:
        """Begin."""
        self._server.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        """End."""
        self._server.__exit__(None, None, None)

    def _serve(self, connection: Connection) -> None:
        address = urlsplit(self.upstream)
        with socket.create_connection((address.hostname, address.port), timeout=LONGEST_S) as far:
            while (request := connection.read_request()) is not None:
                self._server.requests.clear()  # It keeps them for tests that look at them.
                if not request.is_complete:
                    return
                if not self._carry(connection, request, far):
                    return

    def _carry(self, connection: Connection, request: RawRequest, far: socket.socket) -> bool:
        """Carry one request and its answer; return whether the connection goes on."""
        with self._changed:
            self._carrying += 1
        try:
            return self._bring(connection, request, far)
        finally:
            with self._changed:
                self._carrying -= 1
                self._changed.notify_all()

    def quiet(self) -> None:
        """Wait until everything that came was carried: a request may arrive long after its sender has died."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._carrying, LONGEST_S)

    def _bring(self, connection: Connection, request: RawRequest, far: socket.socket) -> bool:
        is_create = request.method == "POST" and "/services/" in request.path
        worker = int(request.headers.get(WORKER_HEADER, "0"))
        if is_create:
            self._hold(worker, "request held")
        far.sendall(request.head + b"\r\n\r\n" + request.body)
        answer = _answer(far)
        if answer is None:
            connection.reset()
            return False
        if is_create:
            self._hold(worker, "answer held")
        if "/assets/" in request.path and request.method == "GET":
            half = len(answer) - len(answer.partition(b"\r\n\r\n")[2]) // 2
            connection.send(answer[:half])
            self.at(worker, "half an asset")
            if self.trouble is not None and self.trouble.strikes():
                connection.reset()
                return False
            answer = answer[half:]
        connection.send(answer)
        return True

    def _hold(self, worker: int, point: str) -> None:
        self.at(worker, point)
        if self.trouble is not None and (delay_s := self.trouble.draw_s()):
            self._server.is_stopping.wait(delay_s)


def _answer(far: socket.socket) -> bytes | None:
    """Read one answer; None if it was cut."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            if not (more := far.recv(1 << 16)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = _length(head)
        while len(body) < length:
            if not (more := far.recv(1 << 16)):
                return None
            body += more
    except OSError:
        return None
    return head + b"\r\n\r\n" + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
