"""The runner: mutants are put in place in a fork, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from resilient_poll.machine import Instant, floor
from tests.mutants.mutant import MODULE, ROOT, Mutant
from tests.mutants.plan import Plan
from tests.mutants.rebinding import can_be_rebound, keepers, rebind
from tests.mutants.runner import (
    KILLED,
    SURVIVED,
    TIMED_OUT,
    control_of,
    in_a_fork,
    index_functions,
    put_in_place,
    verdict,
)

INSTANT = "resilient_poll/machine/instant.py"
FLOOR = "resilient_poll/machine/floor.py"


def mutant_of(path: str, function: str, old: str, new: str, **details: Any) -> Mutant:
    text = (ROOT / path).read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    return Mutant(
        path, function, (line, line), f"{old} => {new}", "by hand", partial(text.replace, old, new), **details
    )


def test_a_function_is_changed_in_the_fork_only() -> None:
    """A changed function behaves as changed where the mutant was put in place, and as ever here."""
    mutant = mutant_of(INSTANT, "Instant.later", "self.monotonic_s + seconds", "self.monotonic_s - seconds")
    functions = index_functions()

    def work() -> dict[str, Any]:
        return {"changed": put_in_place(mutant, functions), "later": Instant(5.0, 5.0).later(1.0).monotonic_s}

    assert in_a_fork(work) == {"changed": 1, "later": 4.0}
    assert Instant(5.0, 5.0).later(1.0).monotonic_s == 6.0


def test_an_unchanged_module_changes_nothing() -> None:
    """The mutant that changes nothing finds nothing to put in place."""
    told = in_a_fork(lambda: {"changed": put_in_place(control_of(INSTANT), index_functions())})
    assert told == {"changed": 0}


def test_a_table_is_replaced_wherever_it_was_imported() -> None:
    """A changed constant is what every function of the project sees, in the fork only."""
    mutant = mutant_of(FLOOR, MODULE, "CROWDED_S = 60.0", "CROWDED_S = 61.0", names=frozenset({"CROWDED_S"}))

    def work() -> dict[str, Any]:
        rebind(mutant)
        crowd = floor.Floor()
        crowd.throttle_until(10.0)
        return {"until": crowd.crowded_until_s, "name": floor.CROWDED_S}

    assert in_a_fork(work) == {"until": 71.0, "name": 61.0}
    assert floor.CROWDED_S == 60.0


def test_whoever_kept_the_old_table_judges_no_new_one() -> None:
    """A table whose old value stands in a class wants a new process; a test that says it in functions only does not."""
    at = (ROOT / FLOOR).read_text().splitlines().index('_SINCE_EVER = float("-inf")') + 1
    assert not can_be_rebound(Mutant(FLOOR, MODULE, (at, at), "x", "word", str, names=frozenset({"_SINCE_EVER"})))
    gap = Mutant(FLOOR, MODULE, (11, 11), "x", "number", str, names=frozenset({"CROWD_GAP_S"}))
    assert keepers(gap, [str(Path(__file__).relative_to(ROOT))]) == set()


def test_what_a_fork_tells() -> None:
    """Whoever fails has noticed, whoever ends without a word ran out of time, and all else has survived."""
    assert verdict(in_a_fork(lambda: {"failed": "a test"})) == (KILLED, "a test")
    assert verdict(in_a_fork(lambda: {"failed": ""})) == (SURVIVED, "")
    assert verdict(in_a_fork(lambda: os._exit(1))) == (TIMED_OUT, "")
    assert verdict(in_a_fork(lambda: {"failed": 1 / 0}))[0] == KILLED


def test_the_likely_killers_come_first() -> None:
    """Of the tests that run a line those that noticed something nearby come first, then the fast ones."""
    plan = Plan(seconds={"slow": 0.4, "fast": 0.1, "other": 0.1}, lines={FLOOR: {3: ["slow", "fast"], 9: ["other"]}})
    mutant = Mutant(FLOOR, "f", (3, 3), "a => b", "by hand", str)
    assert plan.tests_for(mutant, 1.0) == ["fast", "slow"]
    plan.killed(mutant, "slow")
    assert plan.tests_for(mutant, 1.0) == ["slow", "fast"]
    assert plan.tests_for(mutant, 0.2) == ["slow"]
    plan.forget("slow")
    assert plan.tests_for(mutant, 1.0) == ["fast"]


COLD = """
import sys
from tests.mutants.mutant import MODULE, ROOT, Mutant
from tests.mutants.plan import Plan
from tests.mutants.runner import judge_cold
path, old, tests = "fake_server/rules/listing.py", "LARGEST_PAGE = 1_000", sys.argv[1:]
text, names = (ROOT / path).read_text(), frozenset({"LARGEST_PAGE"})
plan = Plan(seconds=dict.fromkeys(tests, 0.1), lines={path: {62: tests}})
for new in ("LARGEST_PAGE = 999", old):
    mutant = Mutant(path, MODULE, (19, 19), "x", "number", lambda: text.replace(old, new), names=names)
    print(judge_cold(mutant, plan, 3.0)[0])
"""
A_PAGE = (
    "tests/fake_server/test_rules_listing.py::test_what_a_list_cannot_mean_is_told_in_a_sentence"
    "[page_no=1000000001-page_no and page_size are whole numbers from 1, page_size up to 1000]"
)


@pytest.mark.thorough(plain=0)
def test_a_table_of_the_fake_is_changed_though_pytest_loads_the_fake() -> None:
    """In a new process the changed table is there before pytest imports the fake for its plugin."""
    command = [sys.executable, "-c", COLD, A_PAGE]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # our own command
    assert ran.stdout.split() == [KILLED, SURVIVED]
