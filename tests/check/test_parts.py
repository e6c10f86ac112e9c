"""The pure parts of `fake-dashscope check`: what is planned, claimed, judged and known."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.check.command import Ended
from fake_server.check.examine import Report
from fake_server.check.expected import KnownFailuresError, news, read_known
from fake_server.check.judging import DEADLINE_MARGIN_S, Seen, judge_run, sum_up
from fake_server.check.outcome import Claim, read_claim
from fake_server.check.plan import TASK_KEYS, VARIABLES, Planned, environment, plan_runs
from fake_server.check.reports import as_json, as_junit, summary
from fake_server.rules.expectations import Judgement
from fake_server.scenario import load_scenario, shipped_scenarios
from fake_server.scenario.model import OUTCOMES

BAD_GATEWAY = load_scenario(shipped_scenarios()["bad-gateway"])
GATEWAY_ONLY = load_scenario(shipped_scenarios()["tier-free"])
PLANNED = Planned(BAD_GATEWAY, "dashscope")
PASSED = Judgement("outcome", "SUCCEEDED", "SUCCEEDED", "PASS")
FAILED = Judgement("create_requests", "1", "2", "FAIL", (1, 2))
ENDED = Ended(0, 1.0, "", "")


def seen(**changes: object) -> Seen:
    """What the fake knows of a run in which one task was made, billed and saved."""
    values: dict[str, object] = {
        "expectations": [PASSED],
        "conduct": [],
        "expected_outcomes": ("SUCCEEDED",),
        "billed_tasks": 1,
        "tasks": 1,
        "accepted_at_s": 0.5,
        "ended_at_s": 3.0,
        "saved": True,
        **changes,
    }
    return Seen(**values)  # type: ignore[arg-type]  # names and types are those above


def verdicts(rows: list[Judgement]) -> dict[str, str]:
    return {row.name: row.verdict for row in rows}


@given(
    before=st.text(),
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1),
    billed=st.lists(st.none() | st.booleans()),
)
def test_a_claim_is_found_behind_anything(before: str, outcomes: list[str], billed: list[bool | None]) -> None:
    """Whatever a command printed before, its last line with an outcome is what it claims."""
    said = json.dumps({"outcomes": outcomes, "billed": billed})
    assert read_claim(f"{before}\n{said}\nbye") == Claim(tuple(outcomes), tuple(billed))


@given(
    st.text()
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(lambda value: json.dumps({"outcome": value}))
)
def test_no_output_breaks_the_reader(output: str) -> None:
    """A claim holds known words or a complaint, whatever was printed."""
    claim = read_claim(output)
    assert set(claim.outcomes) <= set(OUTCOMES)
    assert claim.complaint is None or claim.complaint.startswith("found ")


def test_without_a_claim_the_exit_code_speaks() -> None:
    """Exit code 0 claims success and any other claims none, in every combination with what is expected."""
    table = {(0, "SUCCEEDED"): "PASS", (1, "SUCCEEDED"): "FAIL", (0, "FAILED"): "FAIL", (3, "FAILED"): "PASS"}
    for (code, expected), verdict in table.items():
        rows = judge_run(seen(expected_outcomes=(expected,)), Claim(), Ended(code, 1.0, "", ""), 60, 30)
        assert verdicts(rows)["outcome"] == verdict, (code, expected)


@pytest.mark.parametrize(
    ("believed", "billed", "verdict"),
    [
        ((True,), 1, "PASS"),
        ((False,), 1, "FAIL"),
        ((True,), 0, "FAIL"),
        ((None,), 1, "PASS"),
        ((None,), 0, "PASS"),
        ((False,), 0, "PASS"),
        ((), 1, "NOT_EXERCISED"),
    ],
)
def test_a_belief_must_fit_the_bill(believed: tuple[bool | None, ...], billed: int, verdict: str) -> None:
    """Nothing is believed to be free that is charged, nor charged that is free, and doubt fits both."""
    rows = judge_run(seen(billed_tasks=billed), Claim(("SUCCEEDED",), believed), ENDED, 60, 30)
    assert verdicts(rows)["billing"] == verdict


def test_a_command_that_was_killed_fails() -> None:
    """Who does not end fails, and has not kept its deadline either."""
    rows = judge_run(seen(), Claim(), Ended(None, 60.0, "", ""), 60, 30)
    assert (verdicts(rows)["ends"], verdicts(rows)["deadline"]) == ("FAIL", "FAIL")
    assert "did not end" in rows[0].actual


@given(st.floats(0, 1000), st.floats(1, 100))
def test_the_deadline_counts_from_the_acceptance(took_s: float, deadline_s: float) -> None:
    """A client is in time until its deadline after the acceptance, and a stated margin, have passed."""
    rows = judge_run(seen(accepted_at_s=7.0, ended_at_s=7.0 + took_s), Claim(), ENDED, 60, deadline_s)
    in_time = (7.0 + took_s) - 7.0 <= deadline_s + DEADLINE_MARGIN_S
    assert verdicts(rows)["deadline"] == ("PASS" if in_time else "FAIL")


def test_one_failure_fails_a_run_and_a_fault_that_never_struck_leaves_it_unproven() -> None:
    """A failure outweighs everything, and what was not exercised is no pass."""
    unfired = Judgement("faults_consumed", "1 of 1", "0 of 1", "NOT_EXERCISED")
    unreported = Judgement("billing", "", "not reported", "NOT_EXERCISED")
    assert sum_up([PASSED, FAILED, unfired]) == "FAIL"
    assert sum_up([PASSED, unfired]) == "NOT_EXERCISED"
    assert sum_up([PASSED, unreported]) == "PASS"
    assert sum_up([PASSED], created=False) == "NOT_EXERCISED"
    assert sum_up([PASSED, FAILED], created=False) == "FAIL"


def test_a_scenario_of_one_dialect_is_left_out_of_the_other_with_its_reason() -> None:
    """What cannot be run is planned as left out, and says why; `both` and `any` run it where it can be."""
    assert [plan.left_out is None for plan in plan_runs([BAD_GATEWAY, GATEWAY_ONLY], "dashscope", None)] == [
        True,
        False,
    ]
    assert [plan.dialect for plan in plan_runs([BAD_GATEWAY, GATEWAY_ONLY], "both", None)] == [
        "dashscope",
        "aisa",
        "aisa",
    ]
    assert [plan.dialect for plan in plan_runs([BAD_GATEWAY, GATEWAY_ONLY], "any", None)] == ["dashscope", "aisa"]


def test_the_environment_is_the_documented_one() -> None:
    """A command is told what the page says, no more and no less, but for the proxies that it shall not use."""
    told = environment(PLANNED, "http://127.0.0.1:1", "sk-bad-gateway.x", 30.0, "out")
    assert set(told) - {"NO_PROXY", "no_proxy"} == set(VARIABLES)
    assert set(json.loads(told["FAKE_DASHSCOPE_TASK"])) == set(TASK_KEYS)
    assert told["DASHSCOPE_BASE_URL"] == "http://127.0.0.1:1/api/v1"


def test_known_failures_hide_neither_new_nor_mended_ones(tmp_path: Path) -> None:
    """A failure that is not in the file is news, and so is a line of it that ran and no longer fails."""
    path = tmp_path / "known.txt"
    lines = ["# ours", "bad-gateway create_requests  # a reason", "bad-gateway/dashscope outcome"]
    # Windows' ends of lines, and the mark that its editors begin a file with.
    path.write_bytes("\r\n".join(["\ufeff", *lines, "bad-gateway/aisa outcome", "elsewhere outcome"]).encode())
    known = read_known(path)
    report = Report(PLANNED, "FAIL", [PASSED, FAILED, Judgement("persistence", "", "", "FAIL")], ended=ENDED)
    new, stale = news([report], known)
    assert new == ["bad-gateway (dashscope): persistence"]
    assert stale == ["line 4: bad-gateway outcome"]


@pytest.mark.parametrize("text", ["one", "one two three", "\xff"])
def test_a_broken_file_of_known_failures_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    """What is no known failure is an error that names the file."""
    path = tmp_path / "known.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(KnownFailuresError, match=r"known\.txt"):
        read_known(path)


@given(st.text())
def test_reports_are_well_formed_whatever_a_command_printed(output: str) -> None:
    """JUnit's XML and the JSON can be read back, and show the failure."""
    report = Report(PLANNED, "FAIL", [PASSED, FAILED], ended=Ended(1, 1.0, output, output))
    suite = ET.fromstring(as_junit([report, Report(PLANNED, "NOT_EXERCISED", reason=output)]))  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    assert "create_requests" in (suite.findtext("testcase/failure") or "")
    counts = json.loads(json.dumps(as_json([report])))["summary"]
    assert counts == {"PASS": 0, "FAIL": 1, "NOT_EXERCISED": 0, "INCOMPLETE": 0}


def test_an_incomplete_run_is_no_pass() -> None:
    """What cannot be told makes a run INCOMPLETE unless something failed: an error for CI, and told in the sum."""
    unknown = Judgement("create_once", "", "", "INCOMPLETE")
    assert sum_up([PASSED, unknown]) == "INCOMPLETE"
    assert sum_up([unknown, FAILED]) == "FAIL"
    report = Report(PLANNED, "INCOMPLETE", [PASSED, unknown], "more was asked", ended=Ended(0, 1.0, "", ""))
    suite = ET.fromstring(as_junit([report]))  # noqa: S314 - our own
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert summary([report]) == "0 passed, 0 failed, 0 not exercised, 1 incomplete"
