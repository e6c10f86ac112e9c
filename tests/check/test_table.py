"""The table for people: short, in its width, and with nothing in it that a terminal would obey."""

from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fake_server.check.command import Ended
from fake_server.check.examine import Report
from fake_server.check.plan import Planned
from fake_server.check.proof import with_proof
from fake_server.check.table import print_table
from fake_server.rules.conduct import RULES
from fake_server.rules.expectations import Judgement
from fake_server.rules.journal import Entry
from tests.check.test_conduct import create, poll
from tests.fake_server.driving import UNTIMED, Hand
from tests.support.shipped import shipped


def printed(reports: list[Report], width: int, *, verbose: bool = False) -> list[str]:
    file = io.StringIO()
    print_table(reports, Console(file=file, width=width), verbose=verbose)
    return file.getvalue().splitlines()


def judged() -> Report:
    """A client that created twice after a lost answer, and asked once."""
    hand = Hand.on(shipped("create-answer-lost"))
    create(hand)
    create(hand)
    poll(hand, 1)
    entries = hand.engine.journal.entries
    rows = [Judgement("ends", "the command ends by itself", "killed", "FAIL"), *hand.engine.conduct.judge()]
    planned = Planned(shipped("create-answer-lost"), "dashscope")
    return Report(planned, "FAIL", with_proof(rows, entries), ended=Ended(1, 1.25, "", ""), entries=entries)


JUDGED = judged()
TIER_FREE = Planned(shipped("tier-free"), "aisa")


def of_hand(*, errors: str = "") -> Report:
    """The same, with what the command wrote."""
    return replace(JUDGED, ended=Ended(1, 1.25, "", errors))


@given(st.text(), st.integers(60, 200), st.booleans())
@UNTIMED
def test_nothing_that_a_command_wrote_moves_the_cursor(errors: str, width: int, verbose: bool) -> None:
    """Whatever a command wrote is shown as text, without a control character in it, and no line ends with blanks."""
    lines = printed([of_hand(errors=errors)], width, verbose=verbose)
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


@given(st.integers(20, 200))
@UNTIMED
def test_a_table_fits_its_terminal(width: int) -> None:
    """Every line but those of the journal is as wide as the terminal at most, down to 50 columns."""
    left_out = [Report(TIER_FREE, "NOT_EXERCISED", reason="is about aisa only")] * 30
    lines = printed([of_hand(), of_hand(), *left_out], width, verbose=True)
    assert all(len(line) <= max(width, 50) for line in lines if "#" not in line)


def test_a_failure_shows_its_lines_once() -> None:
    """Below a run that failed stand the lines that prove it, each once, and the last words of the command."""
    lines = printed([of_hand(errors="Traceback\nKeyError: 'output'\n")], 140)
    assert lines[0].split() == ["FAIL", "create-answer-lost", "1.2", "s"]
    assert "create_once  creates again: 1; answers that were lost: 1" in " ".join(lines)
    assert len([line for line in lines if line.endswith("(#2)")]) == 1
    assert len([line for line in lines if line.lstrip().startswith("#2 ")]) == 1
    assert lines[-1].strip() == "| KeyError: 'output'"


def test_what_was_left_out_is_told_by_its_reason() -> None:
    """Runs that were left out for one reason stand together, and a passing run takes a line."""
    reason = "is about aisa only"
    left_out = [
        Report(Planned(shipped(name), "dashscope"), "NOT_EXERCISED", reason=reason) for name in ("demo", "tier-free")
    ]
    passed = Report(Planned(shipped("succeeds"), "dashscope"), "PASS", ended=Ended(0, 3.0, "", ""))
    lines = printed([passed, *left_out], 100)
    assert lines == ["PASS  succeeds   3.0 s", f"NOT EXERCISED  {reason}:", "      demo, tier-free"]


def test_every_judged_expectation_has_its_proof() -> None:
    """Each expectation that passed or failed names lines of the journal, and one that was not exercised names none."""
    rows = of_hand().rows
    assert {row.name for row in rows} == {"ends", *RULES}
    assert all(bool(row.lines) is (row.verdict != "NOT_EXERCISED") for row in rows)


def test_what_failed_most_often_comes_first() -> None:
    """After several failures the expectations that failed are told, the most frequent first, with their meaning."""
    other = Report(of_hand().planned, "FAIL", [Judgement("billing", "", "", "FAIL")], ended=Ended(1, 1.0, "", ""))
    lines = printed([of_hand(), of_hand(), other], 140)
    place = lines.index("What failed, and in how many of 3 runs:")
    assert [line.split()[:2] for line in lines[place + 1 :]] == [["2", "ends"], ["2", "create_once"], ["1", "billing"]]
    assert RULES["create_once"] in lines[place + 2]


def line(**changes: object) -> Entry:
    values: dict[str, object] = dict(
        zip(
            Entry.__slots__,
            (1, 0.5, "asset", "GET", "/", "", None, 0, "asset_cut (line 4)", None, (), False, 1),
            strict=True,
        )
    )
    values.update(changes)
    return Entry(**values)  # type: ignore[arg-type]  # names and types are those above


def test_faults_are_proven_by_the_lines_that_they_struck() -> None:
    """Faults that were used up name the lines where they struck, and a saved file the downloads."""
    rows = [Judgement("faults_consumed", "", "", "PASS"), Judgement("file", "", "", "PASS")]
    entries = [line(), line(ordinal=2, fault=None, route="query"), line(ordinal=3, fault=None)]
    assert [row.lines for row in with_proof(rows, entries)] == [(1,), (1, 3)]
