"""Scenarios that nobody wrote, through every driver and library: whether all did and said the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fake_server.scenario import Scenario, load_scenario_text
from fake_server.strategies import scenarios
from tests.scenarios.client_under_test import DRIVERS
from tests.scenarios.generated import run_in_process

__all__ = ["LIBRARIES", "Differing", "Tally", "compare", "compare_many"]

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
WAYS = [(driver, library) for driver in DRIVERS for library in LIBRARIES]
DIALECTS = ("aisa", "dashscope")


class Differing(AssertionError):
    """Two ways of running one scenario did not do the same."""


@dataclass
class Tally:
    """What was met, so that it shows that something was.

    Attributes:
        scenarios: How many scenarios were compared.
        runs: How many times one was run.
        lines: How many lines of traces were compared.
        outcomes: How often each outcome was reported.
        faults: How often each fault struck.
    """

    scenarios: int = 0
    runs: int = 0
    lines: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)


def loaded(document: dict[str, Any]) -> Scenario:
    """Return the scenario of a document."""
    return load_scenario_text("generated", json.dumps(document, ensure_ascii=False).encode())


def compare(scenario: Scenario, dialect: str, tally: Tally) -> None:
    """Run a scenario in every way.

    Raises:
        Differing: They did not all do and say the same at the same times, or the fake's bills differ.
    """
    first: tuple[list[str], str] | None = None
    for driver, library in WAYS:
        run, engine, now = run_in_process(scenario, dialect, driver, LIBRARIES[library])
        seen = (run.trace, str(engine.bill(now).total), run.outcomes)
        if first is None:
            first = seen
            count_in(tally, run, engine)
        tally.runs += 1
        if seen != first:
            pairs = zip(first[0], run.trace, strict=False)
            where = next((pair for pair in pairs if pair[0] != pair[1]), (first[1:], seen[1:]))
            raise Differing(f"{driver} on {library} in {dialect}:\n  {where[1]}\nwhere {WAYS[0]} has\n  {where[0]}")
    assert first is not None
    assert first[0], "an empty trace proves nothing"


def count_in(tally: Tally, run: Any, engine: Any) -> None:
    """Add a run to what was met."""
    tally.lines += len(run.trace)
    for outcome in run.outcomes:
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
    for armed in engine.armed():
        if armed.fired:
            tally.faults[armed.fault.name] = tally.faults.get(armed.fault.name, 0) + 1


def compare_many(count: int, *, is_shrunk: bool = True) -> Tally:
    """Compare so many generated scenarios, always the same ones.

    Args:
        count: How many.
        is_shrunk: Whether the smallest one that differs is looked for.
    """
    tally = Tally()

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if is_shrunk else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios(ends=False, sockets=False), st.sampled_from(DIALECTS))
    def all_ways(document: dict[str, Any], dialect: str) -> None:
        tally.scenarios += 1
        compare(loaded(document), dialect, tally)

    all_ways()
    return tally
