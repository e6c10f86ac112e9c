"""Each driver of examples/clients is judged over a few scenarios, in real time; benchmarks/drivers.md has them all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.drivers import DRIVERS, KEPT, LOSSES, Driver, losses
from fake_server.cli import cli

ROOT = Path(__file__).parents[2]
EVERYONE = {"create-answer-lost": "PASS", "fails-by-policy": "PASS"}
# By driver and scenario: the verdict, or the expectations that fail. What `dashscope` fails is what it does by itself:
# it sends a create again whose answer was lost (both faces), and ends its wait at a poll that fails (the older one).
EXPECTED: dict[str, dict[str, str]] = {
    "dashscope_v1.py": {"create-answer-lost": "create_once", "fails-by-policy": "PASS", "poll-dropped": "outcome"},
    "dashscope_v2.py": {
        "create-answer-lost": "create_once",
        "fails-by-policy": "PASS",
        "unknown-after-create": "unknown",
    },
    "node_fetch.mjs": {**EVERYONE, "throttled-create-date": "retry_after"},
    "JavaClient.java": EVERYONE,
    "curl.sh": {**EVERYONE, "synchronous": "NOT_EXERCISED"},
}


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("name", EXPECTED)
def test_a_driver_is_judged_as_it_deserves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each driver passes and fails is what is expected of its tool, and nothing else fails."""
    driver = next(driver for driver in DRIVERS if driver.file == name)
    if shutil.which(driver.command[0]) is None:
        pytest.skip(f"{driver.command[0]} is not installed")
    monkeypatch.chdir(ROOT)
    reports = judged(driver, *EXPECTED[name])
    for scenario, wanted in EXPECTED[name].items():
        failed = {row["name"] for row in reports[scenario]["expectations"] if row["verdict"] == "FAIL"}
        if wanted in ("PASS", "NOT_EXERCISED"):
            assert (reports[scenario]["verdict"], failed) == (wanted, set()), scenario
        else:
            assert wanted in failed, scenario
    if name.startswith("dashscope"):
        assert "pays twice" in losses(reports["create-answer-lost"])
        assert float(reports["create-answer-lost"]["bill"]) > 1


def judged(driver: Driver, *scenarios: str) -> dict[str, Any]:
    """Return the reports of a check in this process, by scenario; its commands are processes of their own."""
    # real: a driver starts, polls and ends; the scripted times are divided by a hundred.
    ended = CliRunner().invoke(
        cli,
        ["check", *scenarios, "--json", "--speed", "100", "--", *driver.command, str(driver.path)],
        catch_exceptions=False,
    )
    return {run["scenario"]: run for run in json.loads(ended.stdout)["runs"]}


def test_every_driver_is_short_and_judged() -> None:
    """Every example is at most 80 lines long, and the table, and this test but for our own, have it."""
    files = {path.name for path in (ROOT / "examples" / "clients").iterdir() if path.is_file()}
    assert files == {driver.file for driver in DRIVERS} == {*EXPECTED, "resilient_poll_cli.py"}
    for driver in DRIVERS:
        assert len(driver.path.read_text().splitlines()) <= 80, driver.file


def test_the_kept_table_is_of_these_drivers() -> None:
    """The table that the README shows has a row for each driver and a column for each loss, and we lose nothing."""
    lines = KEPT.read_text().partition("\n\n")[0].splitlines()
    assert lines[0].strip("| ").split(" | ")[4:] == list(LOSSES)
    rows = {driver.file: [cell for cell in lines if f"/{driver.file})" in cell] for driver in DRIVERS}
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(rows, 1)
    [ours] = rows["resilient_poll_cli.py"]
    passed, failed, _, *lost = (int(cell) for cell in ours.strip("| ").split(" | ")[1:])
    assert (passed > 50, failed, set(lost)) == (True, 0, {0})
