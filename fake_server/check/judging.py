"""Puts together what the fake saw, what the command said and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
_SAYS = {True: "yes", False: "no", None: "perhaps"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the fake knows of a run.

    Args:
        expectations: The scenario's own, judged; outcome first.
        conduct: The rules for everyone, judged.
        expected_outcomes: What the scenario expects, a word for each task, or one for all.
        billed_tasks: How many tasks the true bill charges for.
        tasks: How many tasks there are.
        accepted_at_s: When the first task was made, in seconds of the world; None if none was.
        ended_at_s: When the command had ended, in the same seconds.
        saved: Whether the file that was asked for holds what was made, and nothing else; None where there is none.
    """

    expectations: Sequence[Judgement]
    conduct: Sequence[Judgement]
    expected_outcomes: Sequence[str]
    billed_tasks: int
    tasks: int
    accepted_at_s: float | None
    ended_at_s: float
    saved: bool | None


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
    return [
        _judge_ending(ended, limit_s),
        _judge_outcome(outcome, seen, claim, ended),
        *counted,
        _judge_bill(seen, claim),
        _judge_file(seen),
        _judge_deadline(seen, ended, deadline_s),
        *seen.conduct,
    ]


def sum_up(rows: Sequence[Judgement]) -> Verdict:
    """The verdict of a run: one failure fails it, and a fault that never struck leaves it unproven."""
    if any(row.verdict == "FAIL" for row in rows):
        return "FAIL"
    # A lower bound that was not reached (`min_…`) is what the scenario is about, too.
    unproven = [
        row for row in rows if row.verdict == "NOT_EXERCISED" and (row.name in _NEEDED or row.name.startswith("min_"))
    ]
    return "NOT_EXERCISED" if unproven else "PASS"


def _judge_ending(ended: Ended, limit_s: float) -> Judgement:
    expected = "the command ends by itself"
    if ended.exit_code is None:
        return Judgement("ends", expected, f"did not end; killed after {limit_s:g} s", "FAIL")
    return Judgement("ends", expected, f"exit code {ended.exit_code} after {ended.took_s:.1f} s", "PASS")


def _judge_outcome(row: Judgement, seen: Seen, claim: Claim, ended: Ended) -> Judgement:
    """By what the command said; by its exit code where it said nothing."""
    if claim.complaint is not None:
        return Judgement(OUTCOME, row.expected, claim.complaint, "FAIL")
    if claim.outcomes:
        return row
    words = set(seen.expected_outcomes)
    if ended.exit_code is None or (len(words) > 1 and "SUCCEEDED" in words):
        actual = "not reported" if ended.exit_code is not None else "not reported: it was killed"
        return Judgement(OUTCOME, row.expected, actual, "NOT_EXERCISED")
    says_success, is_success = ended.exit_code == 0, "SUCCEEDED" in words
    actual = f"exit code {ended.exit_code}, so {'it claims success' if says_success else 'it claims no success'}"
    return Judgement(OUTCOME, row.expected, actual, "PASS" if says_success is is_success else "FAIL")


def _judge_bill(seen: Seen, claim: Claim) -> Judgement:
    """Nobody may believe in less than the true bill, nor in a charge that is none."""
    expected = "what the client believes to owe is compatible with the bill"
    if not claim.billed:
        return Judgement("billing", expected, "not reported", "NOT_EXERCISED")
    charged, free = claim.billed.count(True), claim.billed.count(False)
    holds = charged <= seen.billed_tasks <= max(seen.tasks, len(claim.billed)) - free
    actual = (
        f"{', '.join(_SAYS[value] for value in claim.billed)}; {seen.billed_tasks} of {seen.tasks} tasks are billed"
    )
    return Judgement("billing", expected, actual, "PASS" if holds else "FAIL")


def _judge_file(seen: Seen) -> Judgement:
    expected = "what was saved is what was made, whole"
    if seen.saved is None:
        return Judgement("file", expected, "nothing was saved", "NOT_EXERCISED")
    return Judgement("file", expected, "the same" if seen.saved else "not the same", "PASS" if seen.saved else "FAIL")


def _judge_deadline(seen: Seen, ended: Ended, deadline_s: float) -> Judgement:
    expected = f"over within {deadline_s:g} s of its acceptance, and {DEADLINE_MARGIN_S:g} s to end"
    if seen.accepted_at_s is None:
        return Judgement("deadline", expected, "no task was made", "NOT_EXERCISED")
    took_s = seen.ended_at_s - seen.accepted_at_s
    holds = ended.exit_code is not None and took_s <= deadline_s + DEADLINE_MARGIN_S
    return Judgement("deadline", expected, f"after {took_s:.1f} s", "PASS" if holds else "FAIL")
