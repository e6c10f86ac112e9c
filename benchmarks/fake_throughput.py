"""Requests a second and processor time per request of the fake, beside a bare route on the same server."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

from benchmarks.figures import Row, Scale, Spread, beside
from benchmarks.serving import Served, running_bare, running_fake

__all__ = ["measure"]

CONNECTIONS = 16
PER_SECOND = 7_000.0
CPU_US = 120.0


def measure(scale: Scale) -> list[Row]:
    """Measure by turns, on two servers that stay up."""
    seconds = scale.of(20, 3) / 10
    fake: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    with running_fake("bench-load") as fake_server, running_bare() as bare_server:
        for _ in range(scale.of(9, 1)):
            fake.append(_loaded(fake_server, seconds))
            bare.append(_loaded(bare_server, seconds))
    mix = f"{CONNECTIONS} connections, one create in 20"
    speed = Spread.of(run["per_second"] for run in fake)
    rows = [
        Row(
            f"fake, requests a second ({mix})",
            speed,
            "/s",
            Spread.of(run["per_second"] for run in bare),
            goal=f"at least {PER_SECOND:,.0f}/s",
            is_reached=speed.median >= PER_SECOND,
        ),
    ]
    if math.isfinite(fake[0]["server_cpu_us"]):
        cpu = beside(
            "fake, processor time of a request / a bare Starlette route",
            [run["server_cpu_us"] for run in fake],
            [run["server_cpu_us"] for run in bare],
            "µs",
        )
        goal, is_reached = f"at most {CPU_US:.0f} µs", cpu.ours.median <= CPU_US
        rows.append(Row(cpu.what, cpu.ours, cpu.unit, cpu.beside, cpu.ratio, goal, is_reached))
    return rows


def _loaded(server: Served, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(server.port), "--pid", str(server.pid)]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own command
    found: dict[str, Any] = json.loads(done.stdout)
    if found["unexpected"]:
        raise RuntimeError(f"the load was refused, so its figures say nothing: {found['unexpected'][0]}")
    return found
