"""A thousand waits at once in one process, beside a thousand loops by hand, with either HTTP library.

Each repetition is a process of its own (:mod:`.many_waits_run`), as memory is never quite
given back. Both sides get an HTTP client of 100 connections, as many as the libraries
allow by default: how many there are, and how many wait for one, decides what their pools
cost. The loops by hand get all the time they need; with the libraries' 5 s many of a
thousand would fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import httpx

from benchmarks import loops
from benchmarks.figures import Row, Scale, beside
from benchmarks.serving import CREATE_PATH, Served, running_fake

__all__ = ["measure"]

KEY = "sk-bench-short.many"
LIBRARIES = ("httpx", "httpx2")


def measure(scale: Scale) -> list[Row]:
    """Measure by turns; each turn has tasks of its own."""
    waits, rounds = scale.of(1_000, 20), scale.of(3, 1)
    rows = []
    with ExitStack() as stack:
        served = stack.enter_context(running_fake("bench-short"))
        http_client = stack.enter_context(httpx.Client(headers={"Authorization": f"Bearer {KEY}"}))
        for library in LIBRARIES:
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "by hand": []}
            for number in range(rounds):
                for side in sorted(runs, reverse=bool(number % 2)):
                    ids = [loops.create(http_client, served.url + CREATE_PATH) for _ in range(waits)]
                    runs[side].append(_run(served, side, library, ids))
            rows += _rows(f"{waits:,} asyncio waits at once over {library}", runs)
    return rows


def _rows(what: str, runs: dict[str, list[dict[str, float]]]) -> list[Row]:
    def compared(which: str, key: str, unit: str, *, more_is_better: bool = False) -> Row:
        ours, other = ([run[key] for run in runs[side]] for side in ("ours", "by hand"))
        return beside(f"{what}, {which} / loops by hand", ours, other, unit, more_is_better=more_is_better)

    return [
        compared("polls a second", "polls_per_s", "/s", more_is_better=True),
        compared("processor time of a poll", "cpu_us", "µs"),
        compared("memory of a waiting task", "kib_per_task", "KiB"),
    ]


def _run(served: Served, side: str, library: str, ids: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.many_waits_run", side, library, served.url, KEY]
    done = subprocess.run(command, input=json.dumps(ids), stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own command
    found: dict[str, Any] = json.loads(done.stdout)
    return found
