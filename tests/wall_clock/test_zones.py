"""The zone of a process is nobody's business: not of what is read or written, and of nothing that is waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wall_clock.edges import EDGES, ZONES


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """What the packages make of times in each zone, by `time.tzset` in a process of its own."""
    command = [sys.executable, "-m", "tests.wall_clock.zone_report", *ZONES]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=dict(os.environ))  # noqa: S603  # ours
    assert done.returncode == 0, done.stderr
    return {report["zone"]: report for report in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("zone", ZONES[1:])
def test_every_zone_gives_the_same(reports: dict[str, dict[str, Any]], zone: str) -> None:
    """Dates, windows, ends, bills, hints and a whole wait are the same in every zone, around every edge."""
    assert set(reports[zone]["here"]) == set(EDGES)
    for name, told in reports[zone]["here"].items():
        assert told == reports["UTC"]["here"][name], name
    assert reports[zone]["frozen"] == [0.0, 7220.0]


def test_the_zones_were_there(reports: dict[str, dict[str, Any]]) -> None:
    """The processes had other zones than ours, and some of them other offsets in another half of the year."""
    assert len({tuple(report["proof"]) for report in reports.values()}) == len(ZONES)
    assert sum(len(set(report["proof"])) > 1 for report in reports.values()) >= 3


@pytest.mark.parametrize("name", EDGES)
def test_what_is_the_same_is_right(reports: dict[str, dict[str, Any]], name: str) -> None:
    """A wait that was throttled with a date over an edge neither came early nor late, and its result was found."""
    told = reports["UTC"]["here"][name]
    assert told["dates"] == [EDGES[name].timestamp() + 7220.0] * 3
    assert told["ended"] == 7220.0
    assert told["waited"]["events"][-1] == "WaitEnded"
    assert told["waited"]["early"] == "PASS"
    assert 20.0 <= told["waited"]["over_s"] <= 30.0
    assert told["shown"]["warning"] == "paid, not downloaded, expires in 1 s"
