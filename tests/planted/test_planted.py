"""The planted bugs: each of them can still be planted, and three of them really are."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted.catching import Verdict, judge, judge_clean
from tests.planted.copies import ROOT
from tests.planted.diffs import FOLDER, DoesNotApply, Planted, Unreadable, planted_bugs, read_patch
from tests.planted.forked import Outcome, Report

LEAST_BUGS = 100
REALLY_PLANTED = ("bill-falls-after-an-end", "licence-given-twice", "fake-quota-off-by-one")
"""One of the machine, one of the ledger, one of the fake; `make planted` plants them all."""
NODE = "tests/machine/test_lifecycle.py::test_ends_are_ends"
GOOD = f"""\
Broken: Nothing is.
Property: 6
Caught by: {NODE}
--- a/resilient_poll/machine/floor.py
+++ b/resilient_poll/machine/floor.py
@@ -1,3 +1,3 @@
-one
+three
 two
 two
"""
HARMLESS = f"""\
Broken: A comment says something else.
Property: 6
Caught by: {NODE}
--- a/resilient_poll/machine/floor.py
+++ b/resilient_poll/machine/floor.py
@@ -1 +1 @@
-\"\"\"The earliest next request, shared by all tasks of one account.\"\"\"
+\"\"\"The earliest next request.\"\"\"
"""


def test_every_bug_can_still_be_planted() -> None:
    """Every patch says what it breaks, fits exactly one place of the code, and names a test that exists."""
    bugs = planted_bugs()
    assert len(bugs) >= LEAST_BUGS
    assert set(REALLY_PLANTED) <= {bug.name for bug in bugs}
    for bug in bugs:
        for path, text in bug.apply(ROOT).items():
            ast.parse(text, path)
        assert bug.has_its_test(ROOT), f"{bug.name}: there is no {bug.caught_by}"


def test_no_two_bugs_are_the_same() -> None:
    """No two patches change the same lines in the same way, and none has another's sentence."""
    bugs = planted_bugs()
    assert len({repr(sorted(bug.hunks.items())) for bug in bugs}) == len(bugs)
    assert len({bug.broken for bug in bugs}) == len(bugs)


def test_three_planted_bugs_are_caught_and_no_bug_is_not(tmp_path: Path) -> None:
    """Bugs planted in a copy make their tests fail; a harmless change survives it, and an outdated one is told."""
    for name in REALLY_PLANTED:
        (tmp_path / f"{name}.patch").write_bytes((FOLDER / f"{name}.patch").read_bytes())
    (tmp_path / "harmless.patch").write_text(HARMLESS, encoding="utf-8")
    (tmp_path / "outdated.patch").write_text(GOOD, encoding="utf-8")
    command = [sys.executable, "-m", "tests.planted", "--folder", str(tmp_path), "--jobs", "2"]
    ran = subprocess.run(  # noqa: S603  # our own
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False
    )
    lines = [line for line in ran.stdout.splitlines() if not line.startswith(" ")]
    verdicts = {words[3]: words[0] for line in lines if len(words := line.split()) > 3}
    assert {name: verdicts.get(name) for name in REALLY_PLANTED} == dict.fromkeys(REALLY_PLANTED, "caught"), ran.stdout
    assert (verdicts["harmless"], verdicts["outdated"]) == ("SURVIVED", "UNCLEAR")
    assert "outdated: the hunk of line 1 fits nowhere in resilient_poll/machine/floor.py" in ran.stdout
    assert "3 of 5 planted bugs caught" in ran.stdout
    assert "nothing is proved" not in ran.stdout
    assert ran.returncode == 1


def test_a_patch_finds_its_place_by_its_text_alone(tmp_path: Path) -> None:
    """Lines that moved are found, and lines that stand in two places are not guessed at."""
    file = tmp_path / "resilient_poll/machine/floor.py"
    file.parent.mkdir(parents=True)
    bug = read_patch("moved", GOOD)
    file.write_text("zero\n\none\ntwo\ntwo\n", encoding="utf-8")
    assert bug.apply(tmp_path) == {"resilient_poll/machine/floor.py": "zero\n\nthree\ntwo\ntwo\n"}
    file.write_text("one\ntwo\ntwo\none\ntwo\ntwo\n", encoding="utf-8")
    with pytest.raises(DoesNotApply, match="fits 2 places"):
        bug.apply(tmp_path)
    file.unlink()
    with pytest.raises(DoesNotApply, match="there is no"):
        bug.apply(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Property: 6\n", ""),
        ("Property: 6", "Property: 14"),
        ("Property: 6", "Property: six"),
        ("Broken: Nothing is.", "Broken: nothing"),
        ("Caught by: tests/", "Caught by: "),
        ("Broken", "Wrong"),
        ("-one\n", ""),
        ("-one\n+three\n", " one\n one\n"),
        ("+three", "+one"),
        ("--- a/resilient_poll", "--- a/../etc"),
        ("+++ b/resilient_poll/machine/floor.py", "+++ b/other.py"),
        ("@@ -1,3 +1,3 @@", "@@ one @@"),
    ],
)
def test_a_patch_that_is_not_whole_is_refused(old: str, new: str) -> None:
    """A patch without its header, or whose hunks are not what they say, is refused."""
    assert read_patch("good", GOOD).properties == (6,)
    assert old in GOOD
    with pytest.raises(Unreadable):
        read_patch("bad", GOOD.replace(old, new))


def outcome(*reports: Report, elsewhere: tuple[str, ...] = (), trouble: str | None = None) -> Outcome:
    return Outcome(reports, elsewhere, trouble, 0.1, "")


FAILED = Report(NODE, "call", "failed", ("builtins.AssertionError", "builtins.Exception"), "1 == 2")
PASSED = Report(NODE, "call", "passed", (), "")


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        (outcome(FAILED), Verdict.CAUGHT),
        (outcome(FAILED._replace(node=f"{NODE}[x]"), PASSED), Verdict.CAUGHT),
        (outcome(PASSED), Verdict.SURVIVED),
        (outcome(), Verdict.UNCLEAR),
        (outcome(PASSED._replace(outcome="skipped")), Verdict.UNCLEAR),
        (outcome(FAILED._replace(node="tests/other.py::test_it")), Verdict.UNCLEAR),
        (outcome(FAILED._replace(stage="setup")), Verdict.UNCLEAR),
        (outcome(FAILED._replace(stage="collect")), Verdict.UNCLEAR),
        (outcome(FAILED._replace(error=("builtins.ImportError", "builtins.Exception"))), Verdict.UNCLEAR),
        (outcome(FAILED, elsewhere=("/other/resilient_poll/errors.py",)), Verdict.UNCLEAR),
        (outcome(FAILED, trouble="it was ended by signal 14"), Verdict.UNCLEAR),
    ],
)
def test_only_a_failed_assertion_of_the_copy_catches(what: Outcome, verdict: Verdict) -> None:
    """A bug is caught by an assertion of its own test, run on the copy, and by nothing else that may break."""
    bug = Planted("bug", "Nothing is.", (6,), NODE, {})
    assert judge(bug, what)[0] is verdict


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        (outcome(PASSED), Verdict.CAUGHT),
        (outcome(PASSED._replace(node=f"{NODE}[x]")), Verdict.CAUGHT),
        (outcome(FAILED), Verdict.UNCLEAR),
        (outcome(PASSED, FAILED._replace(node="tests/other.py::test_it", stage="teardown")), Verdict.UNCLEAR),
        (outcome(PASSED._replace(outcome="skipped")), Verdict.UNCLEAR),
        (outcome(), Verdict.UNCLEAR),
    ],
)
def test_without_a_bug_every_test_must_have_passed(what: Outcome, verdict: Verdict) -> None:
    """A test that fails, is skipped or is missing without any bug proves nothing with one."""
    assert judge_clean([NODE], what)[0] is verdict
