"""A minute of `wrk` against the fake, beside a bare route and two servers that people mock APIs with.

It needs `wrk` on the PATH, and `npm` for mountebank, which is installed into a folder that is thrown away.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bare_server import CREATED, RUNNING
from benchmarks.figures import Row, Scale, Spread, beside
from benchmarks.serving import (
    CREATE_PATH,
    TASKS_PATH,
    Served,
    cpu_s,
    end,
    free_port,
    running_bare,
    running_fake,
    running_httpserver,
)

__all__ = ["measure"]

SCRIPT = Path(__file__).parent / "wrk" / "mixed.lua"
CONNECTIONS = 16
PER_SECOND = 7_000.0
CPU_US = 120.0
# Memory is flat if what it grew by is what the new tasks take (tests/fake_server/test_many_tasks.py: at most 650 bytes
# each, before the allocator rounds them up), and a twentieth.
TASK_BYTES = 700
FLAT = 1.05
# Of a server that refuses more than this the figures say nothing.
MOST_ERRORS = 0.01
FAKE = "the fake"
MOUNTEBANK = "mountebank@2.9.1"
POLLS_PER_CREATE = 30
LONGEST_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of `wrk` saw, and what the server took."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    errors: int
    early_bytes: int
    late_bytes: int
    tasks_between: int


def measure(scale: Scale) -> list[Row]:
    """Load one server after the other, each alone on the machine."""
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.stderr.write("there is no wrk here, so nothing was loaded with it\n")
        return []
    seconds = scale.of(60, 1)
    servers: dict[str, Callable[[], AbstractContextManager[Served]]] = {
        FAKE: lambda: running_fake("bench-wrk"),
        "a bare Starlette route": running_bare,
        "pytest-httpserver": running_httpserver,
        MOUNTEBANK.replace("@", " "): running_mountebank,
    }
    loads: dict[str, Load] = {}
    for name, running in servers.items():
        try:
            with running() as server:
                loads[name] = _load(wrk, server, seconds)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{name} was not measured: {error}\n")
    ours = loads.pop(FAKE, None)
    if ours is None:
        return []
    return [*_own_rows(ours), *(row for name, other in loads.items() for row in _rows_beside(ours, name, other))]


def _own_rows(load: Load) -> list[Row]:
    """What was promised of the fake, and what came of it."""
    expected = (load.early_bytes + load.tasks_between * TASK_BYTES) / load.early_bytes
    grown = load.late_bytes / load.early_bytes
    each = (load.late_bytes - load.early_bytes) / max(1, load.tasks_between)
    megabytes = f"{load.early_bytes / 1e6:.1f} MB after a sixth of the time, {load.late_bytes / 1e6:.1f} MB at the end"
    return [
        Row(
            f"{FAKE}: {CONNECTIONS} connections, one create in {POLLS_PER_CREATE + 1}; {load.errors} errors",
            Spread.of([load.per_second]),
            "/s",
            goal=f"at least {PER_SECOND:,.0f}/s",
            is_reached=load.per_second >= PER_SECOND,
        ),
        Row(
            f"{FAKE}: processor time of a request",
            Spread.of([load.cpu_us]),
            "µs",
            goal=f"at most {CPU_US:.0f} µs",
            is_reached=load.cpu_us <= CPU_US,
        ),
        Row(
            f"{FAKE}: memory ({megabytes}; {each:.0f} bytes a new task)",
            Spread.of([grown]),
            "times",
            goal=f"at most {FLAT * expected:.2f}: {load.tasks_between:,} tasks more, and a twentieth",
            is_reached=grown <= FLAT * expected,
        ),
    ]


def _rows_beside(ours: Load, name: str, other: Load) -> list[Row]:
    """The same load on another server."""
    return [
        beside(
            f"requests a second: {FAKE} / {name} ({other.errors} errors)",
            [ours.per_second],
            [other.per_second],
            "/s",
            more_is_better=True,
        ),
        beside(f"processor time of a request: {FAKE} / {name}", [ours.cpu_us], [other.cpu_us], "µs"),
        beside(f"99 of 100 answers came within: {FAKE} / {name}", [ours.p99_ms], [other.p99_ms], "ms"),
        beside(f"memory at the end: {FAKE} / {name}", [ours.late_bytes / 1e6], [other.late_bytes / 1e6], "MB"),
    ]


def _load(wrk: str, server: Served, seconds: int) -> Load:
    variables = {"LOAD_CREATE": CREATE_PATH, "LOAD_TASKS": TASKS_PATH, "LOAD_KEY": "sk-bench-wrk.one"}
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), server.url]
    cpu_before_s = cpu_s(server.pid)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as process:  # noqa: S603  # our own command
        time.sleep(seconds / 6)
        early_bytes = _memory_bytes(server.pid)
        time.sleep(seconds * 4.9 / 6)
        late_bytes = _memory_bytes(server.pid)
        output, _ = process.communicate(timeout=seconds)
    found = json.loads(output.splitlines()[-1])
    errors = found["status_errors"] + found["socket_errors"]
    if errors >= found["requests"] * MOST_ERRORS:
        raise RuntimeError(f"{errors} errors in {found['requests']} requests")
    per_second = found["requests"] / (found["duration_us"] / 1e6)
    return Load(
        per_second,
        (cpu_s(server.pid) - cpu_before_s) / found["requests"] * 1e6,
        found["p50_us"] / 1e3,
        found["p99_us"] / 1e3,
        errors,
        early_bytes,
        late_bytes,
        int(per_second / (POLLS_PER_CREATE + 1) * seconds * 4.9 / 6),
    )


def _memory_bytes(pid: int) -> int:
    """What a process holds in memory."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return math.inf  # type: ignore[return-value]  # no figure at all, which no goal is reached by


@contextmanager
def running_mountebank() -> Iterator[Served]:
    """Run mountebank with two stubs that answer in the form of the fake, until the block ends."""
    port, admin_port = free_port(), free_port()
    # It closes each connection unless it is told otherwise.
    reply = {"headers": {"Content-Type": "application/json", "Connection": "keep-alive"}}
    created, running = ({"is": reply | {"body": json.dumps(body)}} for body in (CREATED, RUNNING))
    stubs = [
        {"predicates": [{"equals": {"method": "POST", "path": CREATE_PATH}}], "responses": [created]},
        {"predicates": [{"startsWith": {"path": TASKS_PATH}}], "responses": [running]},
    ]
    imposter = {"port": port, "protocol": "http", "stubs": stubs, "recordRequests": True}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603  # a pinned package
            [shutil.which("npm") or "npm", "install", "--silent", "--no-audit", "--prefix", folder, MOUNTEBANK],
            check=True,
        )
        config = Path(folder, "imposters.json")
        config.write_text(json.dumps({"imposters": [imposter]}))
        program = str(Path(folder, "node_modules", ".bin", "mb"))
        options = [
            "--configfile",
            str(config),
            "--port",
            str(admin_port),
            "--nologfile",
            "--loglevel",
            "error",
            "--localOnly",
        ]
        command = [program, "start", *options]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, text=True) as process:  # noqa: S603  # our own
            try:
                _wait_for(port)
                yield Served(f"http://127.0.0.1:{port}", process.pid)
            finally:
                end(process)


def _wait_for(port: int) -> None:
    """Wait until a port takes connections."""
    import socket  # noqa: PLC0415  # only this server does not tell when it is up

    until_s = time.monotonic() + LONGEST_START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            return
