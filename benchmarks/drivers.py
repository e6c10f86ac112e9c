"""What clients lose: each driver of examples/clients through every scenario, judged by `fake-dashscope check`.

``python -m benchmarks.drivers --write`` runs them all in real time, which takes some minutes, and rewrites the tables
that the README and docs/driver.md show.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DRIVERS", "KEPT", "LOSSES", "Driver", "Score", "as_details", "as_table", "losses", "score"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "clients"
KEPT = Path(__file__).with_suffix(".md")
"""The tables, as they were written last."""

LOSSES: dict[str, str] = {
    "pays twice": "a create was sent again that had been carried out",
    "may pay twice": "a create was sent again that might have been carried out",
    "lets a task go": "a task was made and given up, or taken for what it is not, or its file is not there",
    "hammers": "it came before the time it was told, or asked more than twice a second, or after the end",
    "hangs": "it did not end within its deadline, or had to be killed",
}
"""What a failure costs, in the order of the table's columns; a run may lose in several ways."""
_GONE = ("persistence", "unknown", "downloads", "download_in_time", "file")
_HASTE = (
    "early_creates",
    "early_polls",
    "early_requests",
    "polls_after_end",
    "retry_after",
    "poll_rate",
    "quiet_after_end",
)
_HUNG = ("ends", "deadline")


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver.

    Attributes:
        file: Its file in examples/clients.
        what: The client, as the table calls it.
        command: What runs it; the file is its last argument.
    """

    file: str
    what: str
    command: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is."""
        return FOLDER / self.file


DRIVERS = (
    Driver("dashscope_v1.py", "`dashscope` 2.0.2, `VideoSynthesis`", (sys.executable,)),
    Driver("dashscope_v2.py", "`dashscope` 2.0.2, `Client`", (sys.executable,)),
    Driver("node_fetch.mjs", "Node, a loop over `fetch`", ("node",)),
    Driver("JavaClient.java", "Java, a loop over `java.net.http`", ("java",)),
    Driver("curl.sh", "`sh`, a loop over `curl`", ("sh",)),
    Driver("resilient_poll_cli.py", "`resilient-poll`", (sys.executable,)),
)


@dataclass(slots=True)
class Score:
    """What came of one driver.

    Attributes:
        passed: How many runs passed.
        failed: How many failed.
        not_exercised: How many proved nothing, or were not made.
        lost: By the names of :data:`LOSSES`: the scenarios in which it lost so.
        wrong: Scenarios in which it only said what was not so, and nothing was lost by it.
    """

    passed: int = 0
    failed: int = 0
    not_exercised: int = 0
    lost: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in LOSSES})
    wrong: list[str] = field(default_factory=list)


def losses(run: Mapping[str, Any]) -> set[str]:
    """What a failed run lost, by the names of :data:`LOSSES`; nothing where it only said something wrong.

    Args:
        run: One of the `runs` of `fake-dashscope check --json`.
    """
    failed = {row["name"]: row for row in run["expectations"] if row["verdict"] == "FAIL"}
    found = set()
    if "create_once" in failed:
        found.add("pays twice")
    elif failed.get("outcome", {}).get("expected") == "IN_DOUBT" and _is_more(failed.get("create_requests")):
        found.add("may pay twice")
    made_one = any(entry["route"] == "create" and entry["task_id"] for entry in run["journal"])
    is_mistaken = "outcome" in failed and failed["outcome"]["actual"] != "SUCCEEDED"
    if not failed.keys().isdisjoint(_GONE) or (made_one and is_mistaken):
        found.add("lets a task go")
    if not failed.keys().isdisjoint(_HASTE):
        found.add("hammers")
    if not failed.keys().isdisjoint(_HUNG):
        found.add("hangs")
    return found


def _is_more(row: Mapping[str, Any] | None) -> bool:
    """Whether a count that failed is too large."""
    if row is None:
        return False
    actual, expected = (re.match(r"\d+", str(row[key])) for key in ("actual", "expected"))
    return actual is not None and expected is not None and int(actual[0]) > int(expected[0])


def score(runs: Sequence[Mapping[str, Any]]) -> Score:
    """Sum up the runs of one driver."""
    total = Score()
    for run in runs:
        total.passed += run["verdict"] == "PASS"
        total.not_exercised += run["verdict"] == "NOT_EXERCISED"
        if run["verdict"] != "FAIL":
            continue
        total.failed += 1
        lost = losses(run)
        for name in lost:
            total.lost[name].append(run["scenario"])
        if not lost:
            total.wrong.append(run["scenario"])
    return total


def as_table(scores: Mapping[str, Score]) -> str:
    """The scores as a table of Markdown; the drivers without a score are not there."""
    heads = ["driver", "passed", "failed", "not exercised", *LOSSES]
    rows = []
    for driver in DRIVERS:
        got = scores.get(driver.file)
        if got is None:
            continue
        counts = [got.passed, got.failed, got.not_exercised, *(len(got.lost[name]) for name in LOSSES)]
        rows.append(f"| [{driver.what}](examples/clients/{driver.file}) | {' | '.join(map(str, counts))} |")
    return "\n".join([f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads), *rows])


def as_details(scores: Mapping[str, Score]) -> str:
    """In which scenarios each driver lost what."""
    rows = []
    for driver in DRIVERS:
        got = scores.get(driver.file)
        if got is None:
            continue
        parts = {**got.lost, "only gives up before a task is made, or says it wrong": got.wrong}
        told = [f"{name}: {', '.join(f'`{each}`' for each in found)}" for name, found in parts.items() if found]
        rows.append(f"| {driver.what} | {'<br>'.join(told) or 'nothing'} |")
    return "\n".join(["| driver | what it loses, and where |", "| --- | --- |", *rows])


def run_all(jobs: int, kept: Path | None = None) -> dict[str, Score]:
    """Run every driver whose tool is installed through every scenario.

    Args:
        jobs: How many scenarios at once.
        kept: A folder for the reports; a driver whose report is there is not run again.
    """
    scores = {}
    for driver in DRIVERS:
        if shutil.which(driver.command[0]) is None:
            sys.stderr.write(f"{driver.command[0]} is not installed, so {driver.file} is left out\n")
            continue
        check = [str(Path(sys.executable).with_name("fake-dashscope")), "check", "--all", "--json", "--jobs", str(jobs)]
        report = kept / f"{driver.file}.json" if kept else None
        if report is None or not report.exists():
            command = [*check, "--", *driver.command, str(driver.path)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)  # noqa: S603  # our own
            said = done.stdout
            if report is not None:
                report.write_bytes(said)
        else:
            said = report.read_bytes()
        scores[driver.file] = score(json.loads(said)["runs"])
    return scores


def main() -> None:
    """Run them all, and print or keep the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drivers", description=__doc__)
    parser.add_argument("--write", action="store_true", help="Rewrite the tables that the pages show.")
    parser.add_argument("--jobs", type=int, default=4, help="Runs at once.")
    parser.add_argument("--reports", type=Path, help="A folder that keeps the reports; those in it are not made again.")
    wanted = parser.parse_args()
    scores = run_all(wanted.jobs, wanted.reports)
    text = f"{as_table(scores)}\n\n{as_details(scores)}\n"
    if wanted.write:
        KEPT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
