"""Servers to measure against, each in a process of its own on a free port of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CREATE_PATH",
    "TASKS_PATH",
    "Served",
    "cpu_s",
    "end",
    "free_port",
    "running_bare",
    "running_fake",
    "running_httpserver",
]

# The gateway's paths: its dialect has no limit of queries for a whole account.
CREATE_PATH = "/apis/v1/services/aigc/video-generation/video-synthesis"
TASKS_PATH = "/apis/v1/services/aigc/tasks/"
LONGEST_END_S = 10.0
_SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is up.

    Attributes:
        url: Its origin.
        pid: Its process.
    """

    url: str
    pid: int

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def running_fake(scenario: str) -> Iterator[Served]:
    """Run ``fake-dashscope serve`` with one of our scenarios until the block ends."""
    command = ["-m", "fake_server", "serve", scenario, "--port", "0", "--scenarios", str(_SCENARIOS)]
    with _running(command) as served:
        yield served


@contextmanager
def running_bare() -> Iterator[Served]:
    """Run two bare Starlette routes on the same server until the block ends."""
    with _running(["-m", "benchmarks.bare_server"]) as served:
        yield served


@contextmanager
def running_httpserver() -> Iterator[Served]:
    """Run pytest-httpserver with two handlers that answer alike until the block ends."""
    with _running(["-m", "benchmarks.httpserver_server"]) as served:
        yield served


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(arguments: list[str]) -> Iterator[Served]:
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603  # our own command
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended before it listened; run it to see why")
            yield Served(json.loads(line)["url"], process.pid)
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End a server, by force if it does not listen."""
    process.terminate()
    try:
        process.wait(LONGEST_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def cpu_s(pid: int) -> float:
    """Return how long a process was on a processor, in seconds; NaN where the system does not tell (it is in /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    # Fields 14 and 15 of proc(5), user and system time; the first two are before the bracket.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
