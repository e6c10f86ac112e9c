"""Real clients with habits, odd ones and bad ones: the judge finds the bad ones, and those only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.check.test_command_line import check

DRIVER = [sys.executable, str(Path(__file__).parent / "drivers" / "habits.py")]
# Habits, what is played to them, and the expectations that fail; nothing else may.
CASES: list[tuple[str, list[str], set[str]]] = [
    ("", ["asset-cut", "asset-expired-early", "wrong-clock", "create-answer-lost", "duplicated-create"], set()),
    ("keeps no connection, lists", ["bad-gateway", "unknown-after-create"], set()),
    ("asks for heads, fetches pieces, says nothing", ["succeeds", "fails-by-policy"], set()),
    ("reads dates by its own clock", ["throttled-create-date"], set()),
    ("reads no dates", ["throttled-create-date"], {"early_creates", "retry_after"}),
    ("hasty", ["succeeds"], {"early_polls", "poll_rate"}),
    (
        "creates again",
        ["server-error-after-commit"],
        {"outcome", "tasks_created", "billed_tasks", "create_requests", "create_once"},
    ),
    ("shows its key, saves a half", ["succeeds"], {"key_stays_home", "file"}),
    ("asks on, errs about the bill", ["fails-by-policy"], {"polls_after_end", "quiet_after_end", "billing"}),
    ("stops at UNKNOWN", ["unknown-then-found"], {"outcome", "billed_tasks", "unknown"}),
    ("stops at a failure", ["poll-dropped"], {"outcome", "billed_tasks", "persistence"}),
    ("always claims success, says nothing", ["fails-by-policy"], {"outcome"}),
    ("lives on", ["fails-by-policy"], {"ends"}),
]


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(("habits", "scenarios", "failing"), CASES, ids=[case[0] or "good" for case in CASES])
def test_habits_are_judged(habits: str, scenarios: list[str], failing: set[str]) -> None:
    """What is bad about a client fails, by the names of just those expectations, with lines that prove it."""
    said = habits.split(", ") if habits else []
    ended = check(*scenarios, "--json", "--speed", "60", "--", *DRIVER, *said)  # real: clients run in their own time
    runs: list[dict[str, Any]] = json.loads(ended.stdout)["runs"]
    assert [run["exit_code"] is not None for run in runs] == [True] * len(scenarios)
    failed = [row for run in runs for row in run["expectations"] if row["verdict"] == "FAIL"]
    assert {row["name"] for row in failed} == failing, runs[0]["errors"]
    assert all(row["lines"] for row in failed)
    assert {run["verdict"] for run in runs} == ({"FAIL"} if failing else {"PASS"})


def test_the_same_seed_brings_the_same_chaos(tmp_path: Path) -> None:
    """A check under chaos says its seed first, and with that seed the same requests meet the same faults."""
    chaos = tmp_path / "chaos.yaml"
    chaos.write_text(
        "version: 1\nsummary: Half of the creates fail.\n"
        "faults: [{fault: status, status: 500, on: create, probability: 0.5}]\n"
    )
    creates = [sys.executable, str(Path(__file__).parent / "drivers" / "creates.py"), "12", "", "5"]

    def faults(*seed: str) -> tuple[list[bool], str]:
        ended = check("succeeds", "--chaos", str(chaos), *seed, "--json", "--", *creates)
        [run] = json.loads(ended.stdout)["runs"]
        told = {row["name"]: row["verdict"] for row in run["expectations"]}
        assert (told["create_requests"], told["async_header"]) == ("NOT_EXERCISED", "PASS")
        return [entry["fault"] is not None for entry in run["journal"]], ended.stderr.splitlines()[0]

    drawn, said = faults()
    seed = said.removeprefix("seed ").partition(";")[0]
    assert f"--chaos {chaos} --seed {seed} -- " in said
    assert faults("--seed", seed)[0] == drawn
    assert len({tuple(faults("--seed", str(number))[0]) for number in range(3)}) > 1
