"""What 100,000 tasks cost the fake: memory of the whole server process, and whether its answers slow down.

The fake runs as users run it, in a process of its own. Every task has a prompt of its own, so that
nothing is shared which real clients would not share.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TASKS = 100_000
PROBES = 2_000
KEY = "sk-succeeds.memory"
_CREATE = "/api/v1/services/aigc/video-generation/video-synthesis"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Memory:
    """What was measured.

    Attributes:
        tasks: How many tasks the world holds at the end.
        empty_mb: Resident memory of the server before the first task, in MB of 10**6 bytes.
        full_mb: The same with all of them.
        peak_mb: The most it ever was, pages of the admin included.
        poll_first_us: Time of a poll over a loopback socket with few tasks, in microseconds.
        poll_last_us: The same with all of them.
        create_first_us: Time of a create at the beginning.
        create_last_us: Time of a create at the end.
        list_ms: Time of one page of the list with all of them, in milliseconds.
        bill_ms: Time of the page with the whole bill.
        verdict_ms: Time of the verdict.
    """

    tasks: int
    empty_mb: float
    full_mb: float
    peak_mb: float
    poll_first_us: float
    poll_last_us: float
    create_first_us: float
    create_last_us: float
    list_ms: float
    bill_ms: float
    verdict_ms: float


def measure(tasks: int = TASKS) -> Memory:
    """Fill one world of a server process with tasks, and measure it.

    Args:
        tasks: How many; the fake takes 100,000 in one world.

    Raises:
        RuntimeError: There is no /proc to read the memory of a process from (it is there on Linux only).
    """
    if not Path("/proc/self/status").exists():
        raise RuntimeError("the memory of a process is read from /proc, which this system has not")
    probes = min(PROBES, tasks // 4)
    with _server() as (process_id, connection):
        connection.poll("nobody")
        empty_mb = megabytes(process_id, "VmRSS")
        create_first_us, first = connection.timed_creates(0, probes)
        poll_first_us = connection.timed_polls(first, probes)
        connection.timed_creates(probes, tasks - 2 * probes)
        create_last_us, last = connection.timed_creates(tasks - probes, probes)
        full_mb = megabytes(process_id, "VmRSS")
        poll_last_us = connection.timed_polls(last, probes)
        list_ms = connection.timed_get("/api/v1/tasks/?page_size=10")
        verdict_ms = connection.timed_get("/__admin/worlds/succeeds.memory/verdict")
        bill_ms = connection.timed_get("/__admin/worlds/succeeds.memory/bill")
        peak_mb = megabytes(process_id, "VmHWM")
    return Memory(
        tasks=tasks,
        empty_mb=empty_mb,
        full_mb=full_mb,
        peak_mb=peak_mb,
        poll_first_us=poll_first_us,
        poll_last_us=poll_last_us,
        create_first_us=create_first_us,
        create_last_us=create_last_us,
        list_ms=list_ms,
        bill_ms=bill_ms,
        verdict_ms=verdict_ms,
    )


@contextmanager
def _server() -> Iterator[tuple[int, _Connection]]:
    command = [sys.executable, "-m", "fake_server", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            hello = json.loads(process.stdout.readline())
            place = urlsplit(hello["url"])
            with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield process.pid, _Connection(connection)
        finally:
            process.terminate()


class _Connection:
    """One kept-alive connection, one request at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def poll(self, task_id: str) -> None:
        """Ask for one task, in the dialect that does not limit queries."""
        self._send("GET", f"/apis/v1/services/aigc/tasks/{task_id}", b"")

    def timed_creates(self, first: int, count: int) -> tuple[float, str]:
        """Create tasks with prompts of their own; microseconds for each, and the id of the last."""
        started_s, answer = time.perf_counter(), b""
        for number in range(first, first + count):
            body = json.dumps({"model": "wan2.5-t2v-preview", "input": {"prompt": f"a cat, number {number}"}})
            answer = self._send("POST", _CREATE, body.encode())
        task_id: str = json.loads(answer)["output"]["task_id"]
        return (time.perf_counter() - started_s) / count * 1e6, task_id

    def timed_polls(self, task_id: str, count: int) -> float:
        """Ask so often for a task; microseconds for each."""
        started_s = time.perf_counter()
        for _ in range(count):
            self.poll(task_id)
        return (time.perf_counter() - started_s) / count * 1e6

    def timed_get(self, path: str) -> float:
        """Milliseconds of one page."""
        started_s = time.perf_counter()
        self._send("GET", path, b"")
        return (time.perf_counter() - started_s) * 1e3

    def _send(self, method: str, path: str, body: bytes) -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
            f"x-dashscope-async: enable\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + body)
        received = self._rest
        while b"\r\n\r\n" not in received:
            received += self._more()
        answer_head, _, content = received.partition(b"\r\n\r\n")
        place = answer_head.lower().index(_LENGTH) + len(_LENGTH)
        length = int(answer_head[place:].partition(b"\r\n")[0])
        chunks, size = [content], len(content)
        while size < length:
            chunks.append(self._more())
            size += len(chunks[-1])
        whole = b"".join(chunks)
        self._rest = whole[length:]
        return whole[:length]

    def _more(self) -> bytes:
        received = self._connection.recv(1 << 20)
        if not received:
            raise RuntimeError("the fake closed the connection")
        return received


def megabytes(process_id: int | str, field: str) -> float:
    """Return what the system says of the memory of a process, such as ``VmRSS``, in MB of 10**6 bytes."""
    status = Path(f"/proc/{process_id}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(measure())  # noqa: T201 - a script prints
