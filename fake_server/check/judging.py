"""Puts together what the fake saw, what the command said and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fake_server.rules.expectations import Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.check.command import Ended
    from fake_server.check.outcome import Claim
    from fake_server.rules.expectations import Verdict

# What a client may need beyond its deadline to say so and to end: a process of Python or Java takes most of a second.
DEADLINE_MARGIN_S = 3.0
OUTCOME = "outcome"
# Expectations that need no fault to have struck, and no client to have said anything, to be worth something.
_NEEDED = ("faults_consumed",)
OPEN_OR_WORSE: Final[tuple[Verdict, ...]] = ("FAIL", "INCOMPLETE")
_UNDER_CHAOS = "not judged under chaos"
_SAYS = {True: "yes", False: "no", None: "perhaps"}
# What is expected of each run, beside what its scenario expects and the rules for everyone.
MEANINGS: Final[dict[str, str]] = {
    "ends": "the command ends by itself, within --time-limit, and leaves no process behind",
    "outcome": "what the command says is what happened: by its words, or else by its exit code",
    "billed_tasks": "tasks that cost something, whoever heard of them",
    "billing": "what it believes to owe is compatible with the true bill",
    "file": "what was saved is what was made, to the last byte",
    "deadline": "it is over within FAKE_DASHSCOPE_DEADLINE_S of the acceptance of its last task, and 3 s to end",
    "faults_consumed": "everything that the scenario scripts has struck; else the run proves nothing",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the fake knows of a run.

    Args:
        expectations: The scenario's own, judged; outcome first.
        conduct: The rules for everyone, judged.
        expected_outcomes: What the scenario expects, a word for each task, or one for all.
        billed_tasks: How many tasks the true bill charges for.
        tasks: How many tasks there are.
        accepted_at_s: When the last task was made, in seconds of the world; None if none was.
        ended_at_s: When the command had ended, in the same seconds.
        saved: Whether the file that was asked for holds what was made, and nothing else; None where there is none.
        is_chaotic: Whether other faults struck than those that the scenario expects: its counts mean nothing then.
    """

    expectations: Sequence[Judgement]
    conduct: Sequence[Judgement]
    expected_outcomes: Sequence[str]
    billed_tasks: int
    tasks: int
    accepted_at_s: float | None
    ended_at_s: float
    saved: bool | None
    is_chaotic: bool = False


def judge_run(seen: Seen, claim: Claim, ended: Ended, limit_s: float, deadline_s: float) -> list[Judgement]:
    """Judge one run.

    Args:
        seen: What the fake knows.
        claim: What the command said.
        ended: How it ended.
        limit_s: After how many seconds it would have been killed.
        deadline_s: The client's own deadline, from the acceptance of its task.

    Returns:
        A row for each expectation: how it ended, what it said, what the scenario expects, then the rules for everyone.
    """
    outcome, *counted = seen.expectations
    said = _judge_outcome(outcome, seen, claim, ended)
    if seen.is_chaotic:
        counted = [_unjudged(row) for row in counted]
        said = said if claim.complaint is not None or _is_false_success(seen, claim) else _unjudged(said)
    return [
        _judge_ending(ended, limit_s),
        said,
        *counted,
        _judge_bill(seen, claim),
        _judge_file(seen),
        _judge_deadline(seen, ended, deadline_s),
        *seen.conduct,
    ]


def sum_up(rows: Sequence[Judgement], *, created: bool = True) -> Verdict:
    """The verdict of a run: one failure fails it, what cannot be told leaves it open, and a fault that never struck
    leaves it unproven.

    Args:
        rows: Each expectation, judged.
        created: Whether any create came. Without one a run proves nothing, whatever its command claims.
    """
    for word in OPEN_OR_WORSE:
        if any(row.verdict == word for row in rows):
            return word
    # A lower bound that was not reached (`min_…`) is what the scenario is about, too.
    unproven = [
        row
        for row in rows
        if row.verdict == "NOT_EXERCISED"
        and (row.name in _NEEDED or row.name.startswith("min_"))
        and not row.actual.endswith(_UNDER_CHAOS)
    ]
    return "NOT_EXERCISED" if unproven or not created else "PASS"


def _unjudged(row: Judgement) -> Judgement:
    return Judgement(row.name, row.expected, f"{row.actual}; {_UNDER_CHAOS}", "NOT_EXERCISED")


def _is_false_success(seen: Seen, claim: Claim) -> bool:
    """Whether it says that more succeeded than was ever made."""
    return claim.outcomes.count("SUCCEEDED") > seen.tasks


def _judge_ending(ended: Ended, limit_s: float) -> Judgement:
    expected = "the command ends by itself"
    if ended.exit_code is None:
        return Judgement("ends", expected, f"did not end; killed after {limit_s:g} s", "FAIL")
    actual = f"exit code {ended.exit_code} after {ended.took_s:.1f} s"
    if ended.left_behind:
        return Judgement("ends", f"{expected}, with all that it started", f"{actual}; processes of it went on", "FAIL")
    return Judgement("ends", expected, actual, "PASS")


def _judge_outcome(row: Judgement, seen: Seen, claim: Claim, ended: Ended) -> Judgement:
    """By what the command said; by its exit code where it said nothing."""
    if claim.complaint is not None:
        return Judgement(OUTCOME, row.expected, claim.complaint, "FAIL")
    if _is_false_success(seen, claim):
        actual = f"{', '.join(claim.outcomes)}, but {seen.tasks} tasks were made"
        return Judgement(OUTCOME, row.expected, actual, "FAIL")
    if claim.outcomes:
        return row
    words = set(seen.expected_outcomes)
    if ended.exit_code is None or (len(words) > 1 and "SUCCEEDED" in words):
        actual = "not reported" if ended.exit_code is not None else "not reported: it was killed"
        return Judgement(OUTCOME, row.expected, actual, "NOT_EXERCISED")
    says_success, is_success = ended.exit_code == 0, "SUCCEEDED" in words
    actual = f"exit code {ended.exit_code}, which claims {'success' if says_success else 'no success'}"
    holds = says_success is is_success
    if says_success and not seen.tasks:
        actual, holds = f"{actual}, but nothing was made", False
    return Judgement(OUTCOME, row.expected, actual, "PASS" if holds else "FAIL")


def _judge_bill(seen: Seen, claim: Claim) -> Judgement:
    """Nobody may believe in less than the true bill, nor in a charge that is none."""
    expected = "what the bill says"
    if not claim.billed:
        return Judgement("billing", expected, "not reported", "NOT_EXERCISED")
    charged, free = claim.billed.count(True), claim.billed.count(False)
    holds = charged <= seen.billed_tasks <= max(seen.tasks, len(claim.billed)) - free
    actual = (
        f"it believes to owe something: {', '.join(_SAYS[value] for value in claim.billed)}; "
        f"billed: {seen.billed_tasks} of {seen.tasks} tasks"
    )
    return Judgement("billing", expected, actual, "PASS" if holds else "FAIL")


def _judge_file(seen: Seen) -> Judgement:
    expected = "what was saved is what was made, whole"
    if seen.saved is None:
        return Judgement("file", expected, "nothing was saved", "NOT_EXERCISED")
    return Judgement(
        "file",
        expected,
        "the same" if seen.saved else "the file is another one, or cut",
        "PASS" if seen.saved else "FAIL",
    )


def _judge_deadline(seen: Seen, ended: Ended, deadline_s: float) -> Judgement:
    expected = f"over within {deadline_s:g} s of the acceptance, and {DEADLINE_MARGIN_S:g} s to end"
    if seen.accepted_at_s is None:
        return Judgement("deadline", expected, "no task was made", "NOT_EXERCISED")
    took_s = seen.ended_at_s - seen.accepted_at_s
    holds = ended.exit_code is not None and took_s <= deadline_s + DEADLINE_MARGIN_S
    return Judgement("deadline", expected, f"{took_s:.1f} s after the acceptance", "PASS" if holds else "FAIL")
