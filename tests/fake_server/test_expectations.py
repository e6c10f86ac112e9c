"""Judging by a scenario's `expect`: each expectation in words, and what fewer or more of it proves."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.rules.expectations import Judgement, judge
from fake_server.scenario import Expect

# Beside the counts that a case is about, somebody has asked.
ASKED = {"create_requests": 1}


def row(name: str, expected: int, counters: dict[str, int], **options: Any) -> Judgement:
    """One expectation of a number, judged."""
    options = {"scripted": 0, **options}
    rows = {row.name: row for row in judge(Expect(("SUCCEEDED",), {name: expected}), counters, [], [], **options)}
    return rows[name]


EXACT = [
    "tasks_created", "billed_tasks", "create_requests", "early_creates", "early_polls", "early_requests",
    "polls_after_end", "downloads",
]  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_a_number_is_to_be_met_exactly(name: str) -> None:
    """One less and one more than expected both fail, once anybody has asked; before, nothing was put to the test."""
    for actual, verdict in ((1, "FAIL"), (2, "PASS"), (3, "FAIL")):
        found = row(name, 2, {**ASKED, name: actual})
        assert found == Judgement(name, "2", str(actual), verdict, ())  # type: ignore[arg-type]  # a word of the table
    if name != "create_requests":
        assert row(name, 2, {name: 2}) == Judgement(name, "2", "2", "NOT_EXERCISED", ())
        assert row(name, 0, {}) == Judgement(name, "0", "0", "NOT_EXERCISED", ())


@pytest.mark.parametrize(("name", "counter"), [("max_polls", "polls"), ("max_throttled_creates", "throttled_creates")])
def test_an_upper_bound_may_be_met(name: str, counter: str) -> None:
    """Up to the bound passes, more fails, and without a request nothing was put to the test."""
    for actual, verdict in ((0, "PASS"), (2, "PASS"), (3, "FAIL")):
        found = row(name, 2, {**ASKED, counter: actual})
        assert found == Judgement(name, "at most 2", str(actual), verdict, ())  # type: ignore[arg-type]  # as above
    assert row(name, 2, {counter: 1}).verdict == "NOT_EXERCISED"


@pytest.mark.parametrize(
    ("name", "counter"), [("min_over_cap", "over_concurrency"), ("min_throttled_creates", "throttled_creates")]
)
def test_below_a_lower_bound_nothing_is_proved(name: str, counter: str) -> None:
    """From the bound on it passes; fewer are no failure, for nothing was put to the test."""
    for actual, verdict in ((1, "NOT_EXERCISED"), (2, "PASS"), (3, "PASS")):
        found = row(name, 2, {**ASKED, counter: actual})
        assert found == Judgement(name, "at least 2", str(actual), verdict, ())  # type: ignore[arg-type]  # as above


OPEN = ", and tasks that are not over: 2"


@pytest.mark.parametrize(
    ("name", "counter", "actual", "verdict"),
    [
        # Three are expected, and two tasks are on their way.
        ("billed_tasks", "billed_tasks", 0, "FAIL"),
        ("billed_tasks", "billed_tasks", 1, "INCOMPLETE"),
        ("billed_tasks", "billed_tasks", 2, "INCOMPLETE"),
        ("billed_tasks", "billed_tasks", 3, "INCOMPLETE"),
        ("billed_tasks", "billed_tasks", 4, "FAIL"),
        # A client may go on to ask for more, so that what is reached already stands.
        ("downloads", "downloads", 2, "INCOMPLETE"),
        ("downloads", "downloads", 3, "PASS"),
        ("downloads", "downloads", 4, "FAIL"),
        ("max_polls", "polls", 2, "PASS"),
        ("max_polls", "polls", 4, "FAIL"),
        ("min_over_cap", "over_concurrency", 2, "NOT_EXERCISED"),
        ("min_over_cap", "over_concurrency", 3, "PASS"),
    ],
)
def test_while_tasks_are_open_only_what_they_cannot_change_is_judged(
    name: str, counter: str, actual: int, verdict: str
) -> None:
    """A bill may still grow by as many as are open, and other counts without end: what may come right, or go wrong on
    its own, is INCOMPLETE and says how many are open; bounds are judged as they stand."""
    found = row(name, 3, {**ASKED, counter: actual}, open_tasks=2)
    assert (found.verdict, found.actual) == (verdict, f"{actual}{OPEN if verdict == 'INCOMPLETE' else ''}")
    over = row(name, 3, {**ASKED, counter: actual}).verdict
    assert over != "INCOMPLETE"
    nobody = row(name, 3, {counter: actual}, open_tasks=2).verdict
    assert nobody != "INCOMPLETE", "where nobody asked, nothing is on its way"


def test_only_a_failure_has_lines() -> None:
    """The journal's lines behind a count stand in the row that it fails, and in no other."""
    evidence = {"early_polls": [3, 5], "max_polls": [7]}
    assert row("early_polls", 0, {**ASKED, "early_polls": 2}, evidence=evidence).lines == (3, 5)
    assert row("early_polls", 2, {**ASKED, "early_polls": 2}, evidence=evidence).lines == ()
    assert row("early_polls", 0, {"early_polls": 2}, evidence=evidence).lines == ()
    assert row("early_creates", 0, {**ASKED, "early_creates": 2}, evidence=evidence).lines == ()


@pytest.mark.parametrize(
    ("scripted", "unfired", "actual", "verdict"),
    [
        (0, [], "none is scripted", "PASS"),
        (3, [], "3 of 3", "PASS"),
        (3, ["poll throttle (line 4)"], "2 of 3; never fired: poll throttle (line 4)", "NOT_EXERCISED"),
        (2, ["one", "two"], "0 of 2; never fired: one, two", "NOT_EXERCISED"),
    ],
)
def test_faults_that_never_fired_are_named(scripted: int, unfired: list[str], actual: str, verdict: str) -> None:
    """The last row tells how many of the scripted faults fired, and which did not: then the run proves little."""
    last = judge(Expect(("SUCCEEDED",)), {}, unfired, [], scripted=scripted)[-1]
    assert last == Judgement("faults_consumed", f"{scripted} of {scripted}", actual, verdict)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("expected", "reported", "actual", "verdict"),
    [
        (("SUCCEEDED",), (), "not reported", "NOT_EXERCISED"),
        (("SUCCEEDED",), ("SUCCEEDED",), "SUCCEEDED", "PASS"),
        (("SUCCEEDED",), ("SUCCEEDED", "SUCCEEDED"), "SUCCEEDED, SUCCEEDED", "PASS"),
        (("SUCCEEDED",), ("SUCCEEDED", "FAILED"), "SUCCEEDED, FAILED", "FAIL"),
        (("SUCCEEDED", "FAILED"), ("FAILED", "SUCCEEDED"), "FAILED, SUCCEEDED", "PASS"),
        (("SUCCEEDED", "FAILED"), ("FAILED",), "FAILED", "FAIL"),
        (("SUCCEEDED", "FAILED"), ("FAILED", "FAILED"), "FAILED, FAILED", "FAIL"),
        (("SUCCEEDED", "FAILED"), ("FAILED", "SUCCEEDED", "FAILED"), "FAILED, SUCCEEDED, FAILED", "FAIL"),
    ],
)
def test_the_outcome_comes_first(
    expected: tuple[str, ...], reported: tuple[str, ...], actual: str, verdict: str
) -> None:
    """One word holds for every task, several for one each in any order; what was not reported is not judged. The rows
    are the outcome, the counts as the scenario has them, and the faults."""
    rows = judge(Expect(expected, {"downloads": 1, "billed_tasks": 1}), ASKED, [], reported, scripted=0)
    assert rows[0] == Judgement("outcome", ", ".join(expected), actual, verdict)  # type: ignore[arg-type]  # as above
    assert [row.name for row in rows] == ["outcome", "downloads", "billed_tasks", "faults_consumed"]
