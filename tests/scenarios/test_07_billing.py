"""Property 7: billing is never understated, and as exact as what was observed allows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.moment import Moment
from fake_server.scenario import load_scenario_text
from fake_server.strategies import scenarios
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.machine import Billing, Phase, task_record
from resilient_poll.machine.lifecycle import BILLING_BY_PHASE
from tests.scenarios.generated import read, run_in_process, scenario_texts
from tests.support.properties import PLANTED, Property

A_YEAR_S = 365 * 86_400.0


def compatible(text: str, dialect: str) -> None:
    result, engine, now = run_in_process(read(text), dialect, "sync")
    later = Moment(now.monotonic_s + A_YEAR_S, now.wall_s + A_YEAR_S)
    billed_now = engine.bill(now).billed_tasks
    billed_ever = engine.bill(later).billed_tasks
    (belief,), (outcome,) = result.bills, result.outcomes
    if belief == "BILLED":
        assert billed_now == 1, text
    if belief in {"NONE", "yes"}:  # "yes": submitting again is safe, so nothing may have been accepted
        assert billed_ever == 0, text
    if outcome == "SUCCEEDED":
        assert belief == "BILLED"
    if outcome == "FAILED":
        assert belief == "NONE"
    if outcome == "IN_DOUBT":
        assert belief == "unknown"
    assert belief in {*Billing, "yes", "unknown"}


def told_truly(document: dict[str, Any]) -> dict[str, Any]:
    """A scenario in which the service does not lie about money: what it says it refused, it did refuse."""

    def honest(entry: dict[str, Any]) -> dict[str, Any]:
        says_refused = entry.get("status") not in {408, 409, 500, 502, 504}
        return {key: value for key, value in entry.items() if not (key == "when" and says_refused)}

    faults = [honest(entry) for entry in document.get("faults", ()) if entry["fault"] not in LIES]
    create = [honest(entry) for entry in document.get("create", ())]
    return {**document, "faults": faults, "create": create}


def never_less_than_the_truth(document: dict[str, Any], dialect: str) -> None:
    scenario = load_scenario_text("drawn", json.dumps(told_truly(document)).encode())
    result, engine, now = run_in_process(scenario, dialect, "sync")
    doubled = sum(armed.fired for armed in engine.armed() if armed.fault.name == "duplicated_create")
    (belief,) = result.bills
    if belief == "BILLED":
        assert 1 <= engine.bill(now).billed_tasks <= 1 + doubled
    if belief in {"NONE", "yes"}:
        later = Moment(now.monotonic_s + A_YEAR_S, now.wall_s + A_YEAR_S)
        assert engine.bill(later).billed_tasks <= doubled


# Another status in the place of the true one is a lie that nobody can see through.
LIES = {"schema_drift"}
SHIPPED = Property(
    never_less_than_the_truth,
    document=scenarios(ends=False, sockets=False),
    dialect=st.sampled_from(["aisa", "dashscope"]),
)
COMPATIBLE = Property(compatible, examples=400, text=scenario_texts, dialect=st.sampled_from(["aisa", "dashscope"]))


def test_belief_and_truth_are_compatible() -> None:
    """Over generated lives and faults, NONE is said only of what never costs, BILLED only of what does."""
    COMPATIBLE.holds()


def test_no_shipped_strategy_draws_an_understated_bill() -> None:
    """Over the scenarios that users draw, with quotas, scripted answers and faults, no bill is understated."""
    SHIPPED.holds()


def test_every_belief_is_met() -> None:
    """The property is not empty: the generated runs lead to every kind of belief about money."""
    met: set[str] = set()

    def meet(text: str) -> None:
        met.update(run_in_process(read(text), "aisa", "sync")[0].bills)

    # The same values however deep the properties are tried: that they suffice was seen once.
    settings(PLANTED, max_examples=150)(given(text=scenario_texts)(meet))()
    assert met >= {"BILLED", "NONE", "PARTIAL_POSSIBLE", "UNDETERMINED", "ON_SUCCESS", "NOT_YET", "unknown"}


def test_a_free_cancellation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: CANCELED is taken for "not billed"."""
    monkeypatch.setattr(
        "resilient_poll.dashscope.task_core.LIFECYCLE",
        _lifecycle_with({**BILLING_BY_PHASE, Phase.CANCELED: Billing.NONE}),
    )
    COMPATIBLE.catches_the_planted_fault()


def test_a_forgotten_id_that_costs_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: an id that the service no longer knows is taken for "not billed"."""
    monkeypatch.setattr(
        "resilient_poll.dashscope.task_core.LIFECYCLE",
        _lifecycle_with({**BILLING_BY_PHASE, Phase.EXPIRED: Billing.NONE, Phase.UNRECOGNIZED: Billing.NONE}),
    )
    COMPATIBLE.catches_the_planted_fault()


def test_an_early_bill_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what runs is taken for billed."""
    genuine = task_record._believed_bill
    monkeypatch.setattr(
        task_record,
        "_believed_bill",
        lambda record, seen, phase, lifecycle: (
            Billing.BILLED if phase is Phase.RUNNING else genuine(record, seen, phase, lifecycle)
        ),
    )
    COMPATIBLE.catches_the_planted_fault()


def _lifecycle_with(billing: dict[Phase, Billing]) -> object:
    return replace(LIFECYCLE, billing=billing)
