"""Eight processes whose transports share slots: a server that counts never has more than three of their requests."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.ledger.slots_actor import sending

PLACES = 3
REQUESTS = int(os.environ.get("SLOTS_REQUESTS", "8"))
WAYS = [("httpx", "sync"), ("httpx2", "sync"), ("httpx", "asyncio"), ("httpx2", "asyncio")] * 2


class CountingServer(ThreadingHTTPServer):
    """Counts who is in, and keeps whoever asks for it waiting.

    Attributes:
        most: How many were in at once.
        held: Set when one has come that is kept.
        let_go: Those that are kept are let go when it is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = self.served = 0
        self.held = threading.Semaphore(0)
        self.let_go = threading.Event()
        super().__init__(("127.0.0.1", 0), _Counting)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Counting(BaseHTTPRequestHandler):
    server: CountingServer

    def do_GET(self) -> None:
        """Come in, say how many are in, and leave."""
        server = self.server
        with server.lock:
            server.inside += 1
            server.most = max(server.most, server.inside)
        if self.path == "/kept":
            server.held.release()
            server.let_go.wait(60)
        else:
            threading.Event().wait(0.01)  # real: others must have the time to come in
        with server.lock:
            server.inside -= 1
            server.served += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def counting() -> Iterator[CountingServer]:
    """Run a server until the block ends."""
    with CountingServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.let_go.set()
            server.shutdown()
            thread.join()


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger's address: a file, or a database."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite3")
    conninfo: str = request.getfixturevalue("conninfo")
    return conninfo


def hear(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a process go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.thorough(plain=1)
def test_eight_processes_have_three_requests_under_way(address: str) -> None:
    """Of eight processes at most three requests are in; a killed one's slots are free, a stopped one's is not."""
    with counting() as server, ExitStack() as stack:

        def start(path: str, requests: int, way: tuple[str, str]) -> subprocess.Popen[str]:
            what = (address, server.url + path, str(PLACES), str(requests), *way)
            return stack.enter_context(sending(*what))

        killed, stopped = start("/kept", 2, WAYS[0]), start("/kept", 1, WAYS[3])
        others = [start("/", REQUESTS, way) for way in WAYS[2:]]
        for process in (killed, stopped, *others):
            assert hear(process) == "ready"
        for process in (killed, stopped):
            go_on(process)
        for _ in range(PLACES):
            assert server.held.acquire(timeout=60)
        stopped.send_signal(signal.SIGSTOP)
        for process in others:
            go_on(process)  # All slots are held, so nobody comes in until one is killed.
        killed.kill()
        killed.wait()
        with server.lock:
            server.inside -= 2  # What a dead process had sent is nobody's any more.
        assert [hear(process) for process in others] == [str(REQUESTS)] * len(others)
        assert server.served == REQUESTS * len(others)
        assert server.most == PLACES
        stopped.send_signal(signal.SIGCONT)
        server.let_go.set()
        assert hear(stopped) == "1"
