"""Twenty thousand tasks through one client and one ledger in a file: submitted, polled to their end, handed over.

Whether the client's memory stays where it was after the first quarter, and what the ledger's writes take while
many are under way. ``make soak`` runs it; it takes some minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Row, Scale, Spread
from benchmarks.serving import Served, running_fake

__all__ = ["measure"]

TASKS = 20_000
MOST_GROWTH = 1.05
"""From a quarter of the tasks to all of them: what each left behind would show as more."""
KEY = "sk-bench-soak.one"


def measure(scale: Scale) -> list[Row]:
    """Soak once. Only Linux tells how much memory a process has."""
    if sys.platform != "linux":
        return []
    tasks = scale.of(TASKS, 40)
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as folder, running_fake("bench-soak") as served:
        path = Path(folder) / "ledger.sqlite3"
        found = _run(served, path, tasks)
        _check(served, found, tasks)
        size_mb = path.stat().st_size / 1e6
    return [*_memory(found, tasks), *_writes(found), *_sums(found, tasks, size_mb)]


def _memory(found: dict[str, Any], tasks: int) -> list[Row]:
    memory_mb, portion = found["memory_mb"], found["portion"]

    def after(part: int) -> float:
        return float(memory_mb[max(1, tasks // part // portion) - 1])

    growth = after(1) / after(4)
    return [
        Row(
            f"client, memory after {tasks:,} tasks (beside it: after {tasks // 4:,})",
            Spread.of([after(1)]),
            "MB",
            Spread.of([after(4)]),
            Spread.of([growth]),
            f"ratio at most {MOST_GROWTH:.2f}",
            growth <= MOST_GROWTH,
        ),
        Row(
            f"client, memory after {tasks // 2:,} tasks (beside it: the most it ever was)",
            Spread.of([after(2)]),
            "MB",
            Spread.of([found["peak_mb"]]),
        ),
    ]


def _writes(found: dict[str, Any]) -> list[Row]:
    return [
        Row(
            f"ledger, one `{name}` with 32 under way (beside it: the slowest in a hundred)",
            Spread.of([median_us]),
            "µs",
            Spread.of([slow_us]),
        )
        for name, (median_us, slow_us) in found["writes_us"].items()
    ]


def _sums(found: dict[str, Any], tasks: int, size_mb: float) -> list[Row]:
    return [
        Row("tasks submitted, polled twice and handed over", Spread.of([tasks / found["took_s"]]), "/s"),
        Row(f"ledger's file with {tasks:,} tasks", Spread.of([size_mb]), "MB"),
    ]


def _run(served: Served, path: Path, tasks: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.soak_run", served.url, KEY, str(path), str(tasks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own command
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _check(served: Served, found: dict[str, Any], tasks: int) -> None:
    """Do nothing if all went as it should.

    Raises:
        RuntimeError: A task is missing, was made twice, or was handed to nobody.
    """
    world = KEY.removeprefix("sk-")
    bill = httpx.get(f"{served.url}/__admin/worlds/{world}/bill", trust_env=False).raise_for_status().json()
    if found["counts"] != {"SUCCEEDED": tasks} or found["undelivered"] or bill["billed_tasks"] != tasks:
        raise RuntimeError(
            f"{tasks} tasks should be in the ledger, handed over, and billed: {found['counts']}, "
            f"{found['undelivered']} not handed over, {bill['billed_tasks']} billed"
        )
