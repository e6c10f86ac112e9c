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
from benchmarks.figures import Row, Scale, Spread
from benchmarks.serving import (
    CREATE_PATH,
    TASKS_PATH,
    Served,
    cpu_s,
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
# Memory is flat if what it grew by is what the new tasks take (benchmarks/fake_memory.py: 0.8 kB each), and a tenth.
TASK_BYTES = 850
FLAT = 1.1
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
        "the fake": lambda: running_fake("bench-wrk"),
        "a bare Starlette route": running_bare,
        "pytest-httpserver": running_httpserver,
        MOUNTEBANK.replace("@", " "): running_mountebank,
    }
    rows: list[Row] = []
    for name, running in servers.items():
        try:
            with running() as server:
                load = _load(wrk, server, seconds)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{name} was not measured: {error}\n")
            continue
        rows += _rows(name, load, is_ours=name == "the fake")
    return rows


def _rows(name: str, load: Load, *, is_ours: bool) -> list[Row]:
    what = f"{name}: {CONNECTIONS} connections, one create in {POLLS_PER_CREATE + 1}"
    speed, cpu = Spread.of([load.per_second]), Spread.of([load.cpu_us])
    times = f"p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, {load.errors} errors"
    grown = load.late_bytes / load.early_bytes
    memory = f"{load.early_bytes / 1e6:.0f} MB after a sixth of the time, {load.late_bytes / 1e6:.0f} MB at the end"
    if not is_ours:
        return [
            Row(f"{what} ({times})", speed, "/s"),
            Row(f"{name}: processor time of a request", cpu, "µs"),
            Row(f"{name}: memory ({memory})", Spread.of([grown]), "times"),
        ]
    expected = (load.early_bytes + load.tasks_between * TASK_BYTES) / load.early_bytes
    goal = f"at most {FLAT * expected:.2f}: {load.tasks_between:,} tasks more, and a tenth"
    return [
        Row(
            f"{what} ({times})",
            speed,
            "/s",
            goal=f"at least {PER_SECOND:,.0f}/s",
            is_reached=load.per_second >= PER_SECOND,
        ),
        Row(
            f"{name}: processor time of a request",
            cpu,
            "µs",
            goal=f"at most {CPU_US:.0f} µs",
            is_reached=load.cpu_us <= CPU_US,
        ),
        Row(f"{name}: memory ({memory})", Spread.of([grown]), "times", goal=goal, is_reached=grown <= FLAT * expected),
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
    if not found["requests"]:
        raise RuntimeError("nothing was answered")
    per_second = found["requests"] / (found["duration_us"] / 1e6)
    return Load(
        per_second,
        (cpu_s(server.pid) - cpu_before_s) / found["requests"] * 1e6,
        found["p50_us"] / 1e3,
        found["p99_us"] / 1e3,
        found["status_errors"] + found["socket_errors"],
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
        with subprocess.Popen([program, "start", *options], cwd=folder, stdout=subprocess.DEVNULL) as process:  # noqa: S603  # our own
            try:
                _wait_for(port)
                yield Served(f"http://127.0.0.1:{port}", process.pid)
            finally:
                process.terminate()


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
