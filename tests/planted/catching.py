"""Plants bugs in copies, and says who caught them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.planted.copies import copy_all, copy_with
from tests.planted.diffs import DoesNotApply, Planted
from tests.planted.forked import Outcome, Ran, Report, load_libraries, run_all

__all__ = ["CLEAN", "Finding", "Verdict", "catch", "judge"]

CLEAN = "without any"
"""The run of all these tests in the clean copy, where they must pass."""
_ASSERTIONS = ("builtins.AssertionError", "builtins.Failed", "hypothesis.errors.HypothesisException")
"""What a test says: not what the code under it raises, as a bug that breaks an import breaks every test."""


class Verdict(StrEnum):
    """What became of a planted bug."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one planted bug, or of the clean run.

    Attributes:
        name: The patch's name, or :data:`CLEAN`.
        verdict: For the clean run ``CAUGHT`` means that all is well: every test was run and passed.
        why: One clause.
        cpu_s: Seconds of processor time.
        printed: The end of what the run printed.
    """

    name: str
    verdict: Verdict
    why: str
    cpu_s: float
    printed: str


def catch(bugs: Sequence[Planted], *, at_once: int) -> Iterator[Finding]:
    """Plant bugs one by one, and yield what became of each; the clean run comes first or among them.

    Args:
        bugs: What is planted.
        at_once: How many tests run at the same time.

    """
    load_libraries()
    by_name = {bug.name: bug for bug in bugs}
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        folder = Path(place).resolve()
        clean = folder / "clean"
        copy_all(clean)
        runs: list[Ran] = []
        for bug in bugs:
            try:
                copy_with(bug, clean, folder / bug.name)
            except DoesNotApply as problem:
                yield Finding(bug.name, Verdict.UNCLEAR, str(problem), 0.0, "")
                continue
            if not bug.has_its_test(clean):
                yield Finding(bug.name, Verdict.UNCLEAR, f"there is no test {bug.caught_by}", 0.0, "")
                continue
            runs.append(Ran(bug.name, folder / bug.name, (bug.caught_by,)))
        nodes = tuple(dict.fromkeys(node for run in runs for node in run.nodes))
        runs.insert(0, Ran(CLEAN, clean, nodes))
        for run, outcome in run_all(runs, at_once=at_once, folder=folder):
            bug = by_name.get(run.name)
            verdict, why = judge_clean(nodes, outcome) if bug is None else judge(bug, outcome)
            yield Finding(run.name, verdict, why, outcome.cpu_s, outcome.printed)


def judge(bug: Planted, outcome: Outcome) -> tuple[Verdict, str]:
    """Return what a run with a bug planted came to.

    Args:
        bug: What was planted.
        outcome: What became of the run.
    """
    if trouble := _trouble(outcome):
        return Verdict.UNCLEAR, trouble
    of_it = [report for report in outcome.reports if _belongs(report.node, bug.caught_by)]
    failed = [report for report in of_it if report.outcome == "failed"]
    if not failed:
        called = any(report.stage == "call" and report.outcome == "passed" for report in of_it)
        return (Verdict.SURVIVED, "the test passed") if called else (Verdict.UNCLEAR, "the test was not run")
    if strange := [report for report in failed if report.stage != "call"]:
        return Verdict.UNCLEAR, f"the test broke in its {strange[0].stage}: {strange[0].said}"
    said = next((report for report in failed if not set(_ASSERTIONS).isdisjoint(report.error)), None)
    if said is None:
        return Verdict.UNCLEAR, f"the test broke instead of failing: {_name(failed[0])}: {failed[0].said}"
    return Verdict.CAUGHT, f"{_name(said)}: {said.said}"


def judge_clean(nodes: Sequence[str], outcome: Outcome) -> tuple[Verdict, str]:
    """Return what the clean run came to.

    Args:
        nodes: The tests that must have been run, and passed.
        outcome: What became of the run.
    """
    if trouble := _trouble(outcome):
        return Verdict.UNCLEAR, trouble
    if failed := [report for report in outcome.reports if report.outcome == "failed"]:
        return Verdict.UNCLEAR, f"{failed[0].node} fails without any bug: {_name(failed[0])}: {failed[0].said}"
    passed = [report.node for report in outcome.reports if report.stage == "call" and report.outcome == "passed"]
    missing = [node for node in nodes if not any(_belongs(one, node) for one in passed)]
    if missing:
        return Verdict.UNCLEAR, f"{missing[0]} was skipped, or does not exist"
    return Verdict.CAUGHT, f"{len(passed)} tests pass"


def _trouble(outcome: Outcome) -> str | None:
    if outcome.trouble is not None:
        return outcome.trouble
    if outcome.elsewhere:
        return f"{outcome.elsewhere[0]} was imported, which is not of the copy"
    broken = next(
        (report for report in outcome.reports if report.stage == "collect" and report.outcome == "failed"), None
    )
    return None if broken is None else f"{broken.node} cannot be collected: {broken.said}"


def _belongs(node: str, wanted: str) -> bool:
    return node == wanted or node.startswith(f"{wanted}[")


def _name(report: Report) -> str:
    return report.error[0].rpartition(".")[2] if report.error else "no error"
