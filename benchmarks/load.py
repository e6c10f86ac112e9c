"""A load for servers: connections that each create a task and poll it, again and again, without a pause.

It is raw bytes on an event loop, since a real HTTP client costs five times what the
server does and would be what is measured. One create in twenty requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import cast

from benchmarks.serving import CREATE_PATH, TASKS_PATH, cpu_s

POLLS_PER_CREATE = 19
_BODY = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}'
_BEFORE_ID = b'"task_id":'
_WARM_UP_S = 0.3


class Requests:
    """The bytes of the requests to one server.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer sk-bench-load.one\r\nAccept: application/json\r\n"
            "Accept-Encoding: gzip\r\nUser-Agent: load/1\r\n"
        ).encode()
        extra = f"X-DashScope-Async: enable\r\nContent-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        self.create = f"POST {CREATE_PATH} HTTP/1.1\r\n".encode() + self._head + extra.encode() + _BODY

    def poll(self, task_id: bytes) -> bytes:
        """Return a status query."""
        return b"GET " + TASKS_PATH.encode() + task_id + b" HTTP/1.1\r\n" + self._head + b"\r\n"


class Counters:
    """What all connections did."""

    def __init__(self) -> None:
        self.answers = 0
        self.unexpected: list[str] = []


class Caller(asyncio.Protocol):
    """One connection.

    Args:
        requests: What to send.
        counters: Where to count.
    """

    def __init__(self, requests: Requests, counters: Counters) -> None:
        self._requests = requests
        self._counters = counters
        self._received = b""
        self._polls_left = 0
        self._poll = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are not of asyncio's classes.
        self._transport.write(self._requests.create)

    def data_received(self, data: bytes) -> None:
        """Take in an answer and send the next request."""
        self._received = data = self._received + data if self._received else data
        head_bytes = data.find(b"\r\n\r\n") + 4
        if head_bytes < 4:
            return
        at = data.find(b"content-length: ") + 16
        if len(data) < head_bytes + int(data[at : data.index(b"\r", at)]):
            return
        self._received = b""
        self._counters.answers += 1
        if data[9:12] != b"200":
            self._counters.unexpected.append(data.decode("latin-1"))
            self._transport.close()
            return
        if self._polls_left == 0:
            at = data.index(b'"', data.index(_BEFORE_ID) + len(_BEFORE_ID)) + 1
            self._poll = self._requests.poll(data[at : data.index(b'"', at)])
            self._polls_left = POLLS_PER_CREATE
        else:
            self._polls_left -= 1
        self._transport.write(self._poll if self._polls_left else self._requests.create)


async def load(port: int, pid: int, connections: int, seconds: float) -> dict[str, object]:
    """Load a server, and return what it did.

    Args:
        port: Where it listens.
        pid: Its process, for its time on a processor.
        connections: How many at once.
        seconds: How long, after a short warming up.
    """
    counters, requests = Counters(), Requests(port)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(requests, counters), "127.0.0.1", port)
    await asyncio.sleep(_WARM_UP_S)
    answers, server_cpu_s, own_cpu_s, began_s = counters.answers, cpu_s(pid), time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    answers = counters.answers - answers
    if not answers:
        raise RuntimeError(f"nothing was answered in {seconds} s: {counters.unexpected[:1]}")
    return {
        "per_second": answers / (time.perf_counter() - began_s),
        "server_cpu_us": (cpu_s(pid) - server_cpu_s) / answers * 1e6,
        "own_cpu_us": (time.process_time() - own_cpu_s) / answers * 1e6,
        "unexpected": counters.unexpected[:1],
    }


def main() -> None:
    """Load a server, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    try:
        import uvloop  # noqa: PLC0415  # it does not exist for every system
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    found = run(load(given.port, given.pid, given.connections, given.seconds))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
