"""`python -m tests.mutants [room…]`: change the code in thousands of small ways, and see whether the tests notice.

What was judged stands in `.mutants/<room>.jsonl`; what is there already, of code that is as it was, is not judged
again, so that a run can be stopped and gone on with.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import importlib.metadata
import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.mutants import report
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.plan import Plan
from tests.mutants.runner import (
    OPTIONS,
    SURVIVED,
    UNTESTED,
    Judge,
    Warm,
    control_of,
    judge_cold,
)
from tests.mutants.targets import ROOMS, modules, mutants_of, test_files

THEIRS = (
    "anyio",
    "click",
    "httpx",
    "httpx2",
    "sqlite3",
    "starlette.testclient",
    "trio",
    "ruamel.yaml",
    "uvicorn",
    "hypothesis.stateful",
)


def tell(line: str) -> None:
    """Say how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Judge the mutants of the rooms that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"of {', '.join(ROOMS)}; all, if none is named")
    parser.add_argument("--only", nargs="+", default=[""], help="mutants whose names contain one of these")
    parser.add_argument("--by", nargs="+", default=[], metavar="file", help="judge by the tests of these files only")
    parser.add_argument("--sample", type=float, default=1.0, help="which share of them, drawn by a fixed seed")
    parser.add_argument("--again", action="store_true", help="judge survivors of earlier runs again")
    parser.add_argument("--budget", type=float, default=3.0, help="how many seconds of tests a mutant is worth")
    parser.add_argument(
        "--write", action="store_true", help="judge nothing; write docs/mutants.json and docs/mutants.md"
    )
    parser.add_argument("--quick", action="store_true", help="leave out those that want a new process each")
    parser.add_argument("--results", type=Path, default=ROOT / ".mutants", help="where to keep what was judged")
    parser.add_argument("--until", type=float, default=float("inf"), help="start none after so many minutes")
    asked = parser.parse_args()
    folder = asked.results
    folder.mkdir(exist_ok=True)
    if asked.write:
        listed_names = {
            room: [(mutant.path, mutant.name) for path in modules(ROOMS[room]) for mutant in mutants_of(path)]
            for room in asked.rooms or ROOMS
        }
        report.store(listed_names, folder, f"mutmut {importlib.metadata.version('mutmut')}")
        report.write()
        return
    for name in THEIRS:
        importlib.import_module(name)
    sys.dont_write_bytecode = False  # Thousands of processes import the same.
    gc.freeze()
    ends_s = time.monotonic() + 60 * asked.until
    for room in asked.rooms or ROOMS:
        everything = [mutant for path in modules(ROOMS[room]) for mutant in mutants_of(path)]
        listed = [mutant for mutant in everything if any(part in mutant.name for part in asked.only)]
        drawn = [mutant for mutant in listed if random.Random(mutant.name).random() < asked.sample]  # noqa: S311  # a sample
        tell(f"{room}: {len(listed)} mutants, {len(drawn)} drawn")
        run = Run(room, folder, drawn, asked.budget, ends_s, is_quick=asked.quick, tests=asked.by)
        run.go(again=asked.again)


class Run:
    """The mutants of one room, and what is known of them."""

    def __init__(
        self,
        room: str,
        folder: Path,
        mutants: Sequence[Mutant],
        budget_s: float,
        ends_s: float,
        *,
        is_quick: bool,
        tests: Sequence[str],
    ) -> None:
        self._room, self._mutants, self._budget_s, self._ends_s = room, mutants, budget_s, ends_s
        self._is_quick, self._tests = is_quick, tests or test_files(ROOMS[room])
        self._results, self._plan_file = folder / f"{room}.jsonl", folder / f"{room}.plan.json"
        self._versions = {path: report.fingerprint(path) for path in {mutant.path for mutant in mutants}}
        self._counts: Counter[str] = Counter()

    def go(self, *, again: bool) -> None:
        """Judge those of which nothing is known yet."""
        known = self.known()
        left = [
            mutant
            for mutant in self._mutants
            if mutant.name not in known or (again and known[mutant.name] in (SURVIVED, UNTESTED))
        ]
        tell(f"{self._room}: {len(left)} to judge")
        if not left:
            return
        before = len(self._lines())
        if in_a_process(lambda: self._warm(left)):
            sys.exit("the tests cannot be run on the unchanged code")
        plan = Plan.load(self._plan_file)
        told = {json.loads(line)["name"] for line in self._lines()[before:]}
        cold = [mutant for mutant in left if mutant.name not in told]
        if self._is_quick:
            tell(f"{self._room}: {len(cold)} want a new process each, and are left for another run")
            return
        tell(f"{self._room}: {len(cold)} want a new process each")
        for path in sorted({mutant.path for mutant in cold}):
            outcome, by = judge_cold(control_of(path), plan, self._budget_s)
            if outcome != SURVIVED:
                tell(f"{path} is as it was, and {by} notices something: {outcome}")
                plan.forget(by)
        for mutant in cold:
            if time.monotonic() > self._ends_s:
                break
            started_s = time.monotonic()
            outcome, by = judge_cold(mutant, plan, self._budget_s)
            self._tell(mutant, outcome, by, time.monotonic() - started_s)

    def known(self) -> dict[str, str]:
        """Return how mutants of code that is as it was have fared."""
        return report.outcomes(self._results, self._versions)

    def _lines(self) -> list[str]:
        return self._results.read_text().splitlines() if self._results.exists() else []

    def _warm(self, mutants: Sequence[Mutant]) -> None:
        files = self._tests
        plan = Plan(key := self._key(files))
        if self._plan_file.exists() and (stored := Plan.load(self._plan_file)).key == key:
            plan = stored
        warm = Warm(mutants, plan, self._tell, self._budget_s, self._ends_s, self._plan_file)
        pytest.main([*OPTIONS, *files], plugins=[Judge(), warm])

    @staticmethod
    def _key(files: Sequence[str]) -> str:
        product = [path for place in ("resilient_poll", "fake_server") for path in sorted((ROOT / place).rglob("*.py"))]
        return hashlib.sha256("".join(map(report.fingerprint, [*files, *map(str, product)])).encode()).hexdigest()[:16]

    def _tell(self, mutant: Mutant, outcome: str, by: str, took_s: float) -> None:
        self._counts[outcome] += 1
        row = {
            "name": mutant.name,
            "path": mutant.path,
            "operator": mutant.operator,
            "outcome": outcome,
            "by": by,
            "line": mutant.lines[0],
            "took_s": round(took_s, 3),
            "version": self._versions[mutant.path],
        }
        with self._results.open("a") as results:
            results.write(json.dumps(row) + "\n")
        if sum(self._counts.values()) % 100 == 0:
            tell(f"{self._room}: {dict(self._counts)}, {time.strftime('%H:%M:%S')}")


def in_a_process(work: Callable[[], None]) -> int:
    """Do something in a fork of this process that may print; return how it ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        ended = 1
        try:
            work()
            ended = 0
        except BaseException:  # noqa: BLE001  # told, and told by the code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(ended)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
