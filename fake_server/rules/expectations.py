"""Judging a client from running counters: what the scenario expects against what was seen.

Only counters and the bill are read, never the journal: it forgets its oldest lines, they do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fake_server.scenario.model import Expect

Verdict = Literal["PASS", "FAIL", "NOT_EXERCISED", "INCOMPLETE"]

# The counters behind expectations that are bounds. Fewer than a lower bound prove nothing.
_MOST = {"max_polls": "polls", "max_throttled_creates": "throttled_creates"}
_LEAST = {"min_over_cap": "over_concurrency", "min_throttled_creates": "throttled_creates"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One expectation, judged.

    Args:
        name: The key under `expect:`, or `faults_consumed`.
        expected: What the scenario says.
        actual: What was seen.
        verdict: NOT_EXERCISED where nothing was seen that could have failed; INCOMPLETE where what was seen cannot
            tell, as something may still come, or was forgotten.
        lines: The first lines of the journal that prove it, by their numbers.
    """

    name: str
    expected: str
    actual: str
    verdict: Verdict
    lines: tuple[int, ...] = ()


def judge(
    expect: Expect,
    counters: Mapping[str, int],
    unfired: Sequence[str],
    outcomes: Sequence[str],
    *,
    scripted: int,
    evidence: Mapping[str, Sequence[int]] = MappingProxyType({}),
    open_tasks: int = 0,
) -> list[Judgement]:
    """Judge a world.

    Args:
        expect: What the scenario expects.
        counters: The world's counters, by the names of
            :data:`fake_server.scenario.model.COUNTS` (`polls` for `max_polls`).
        unfired: Descriptions of scripted faults that never fired.
        outcomes: What the client reported, one word per task; empty if it reported nothing.
        scripted: How many faults the scenario scripts.
        evidence: Lines of the journal behind a counter.
        open_tasks: How many tasks may still come to cost something. While there are such, a count that is not reached
            yet may be, and a bill that is right may be exceeded.

    Returns:
        One row per expectation, outcome first, `faults_consumed` last.
    """
    rows = [_judge_outcomes(expect, outcomes)]
    asked = counters.get("create_requests", 0) > 0
    for name, expected in expect.counts.items():
        row = _judge_count(name, expected, counters, asked=asked)
        row = _with_what_may_come(row, expected, open_tasks) if open_tasks and asked else row
        rows.append(replace(row, lines=tuple(evidence.get(name, ()))) if row.verdict == "FAIL" else row)
    fired = f"{scripted - len(unfired)} of {scripted}" if scripted else "none is scripted"
    actual_faults = fired if not unfired else f"{fired}; never fired: {', '.join(unfired)}"
    rows.append(
        Judgement(
            "faults_consumed",
            f"{scripted} of {scripted}",
            actual_faults,
            "NOT_EXERCISED" if unfired else "PASS",
        )
    )
    return rows


def _judge_count(name: str, expected: int, counters: Mapping[str, int], *, asked: bool) -> Judgement:
    actual = counters.get(_MOST.get(name) or _LEAST.get(name) or name, 0)
    verdict: Verdict
    if name in _LEAST:
        verdict = "PASS" if actual >= expected else "NOT_EXERCISED"
        return Judgement(name, f"at least {expected}", str(actual), verdict)
    holds = actual <= expected if name in _MOST else actual == expected
    verdict = ("PASS" if holds else "FAIL") if asked else "NOT_EXERCISED"
    return Judgement(name, f"at most {expected}" if name in _MOST else str(expected), str(actual), verdict)


def _with_what_may_come(row: Judgement, expected: int, open_tasks: int) -> Judgement:
    """The same while tasks are on their way, which cost something by themselves and let a client go on."""
    if row.name in _MOST or row.name in _LEAST:
        return row
    least = int(row.actual)
    most = least + open_tasks if row.name == "billed_tasks" else None
    may_hold = least < expected if most is None else least <= expected <= most
    if not may_hold:
        return row
    return replace(row, actual=f"{row.actual}, and tasks that are not over: {open_tasks}", verdict="INCOMPLETE")


def _judge_outcomes(expect: Expect, outcomes: Sequence[str]) -> Judgement:
    expected = ", ".join(expect.outcomes)
    if not outcomes:
        return Judgement("outcome", expected, "not reported", "NOT_EXERCISED")
    wanted = list(expect.outcomes)
    if len(wanted) == 1:
        wanted *= len(outcomes)
    # Sorted, because tasks that run side by side may be reported in the order in which they end.
    holds = sorted(wanted) == sorted(outcomes)
    return Judgement("outcome", expected, ", ".join(outcomes), "PASS" if holds else "FAIL")
