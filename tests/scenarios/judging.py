"""What a scenario run must satisfy, wherever it ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fake_server.scenario import Scenario
from tests.scenarios.client_under_test import Run


def assert_passed(rows: Sequence[Any], run: Run) -> None:
    """Fail unless every expectation passed; a fault that never fired is not a pass."""
    assert rows, "a verdict without rows proves nothing"
    wrong = [row for row in rows if row.verdict != "PASS"]
    assert not wrong, "\n".join([*(str(row) for row in wrong), *run.trace])


def assert_bill_is_not_understated(run: Run, billed: int, scenario: Scenario) -> None:
    """Fail if the client believes in less than the fake's true bill.

    Beliefs and tasks are matched as collections: a doubtful submit has no id to match by. What a service makes
    twice of one request no answer tells of, and no client can know.
    """
    billed -= sum(fault.name == "duplicated_create" for fault in scenario.faults)
    surely_billed = run.bills.count("BILLED")
    surely_free = run.bills.count("NONE") + run.bills.count("yes")
    assert surely_billed <= billed, (run.bills, billed)
    assert billed <= len(run.bills) - surely_free, (run.bills, billed)
