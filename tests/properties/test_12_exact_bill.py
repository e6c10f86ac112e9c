"""Property 12: the bill is exact and independent of what any client saw; see also test_machine_bill.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from fake_server.rules import billing
from fake_server.rules.tasks import Task
from fake_server.scenario import Scenario
from tests.fake_server.driving import Hand
from tests.fake_server.test_engine_properties import INSTANTS, POLLED, TIMED, scenarios, statuses
from tests.support.properties import Property


def nobody_asked(scenario: Scenario, polls: list[float], tasks: int, speed: float) -> None:
    watched, alone = Hand.on(scenario, speed=speed), Hand.on(scenario, speed=speed)
    ids = [watched.created() for _ in range(tasks)]
    assert ids == [alone.created() for _ in range(tasks)]
    for now_s in polls:
        watched.now_s = now_s
        for task_id in ids:
            watched.poll(task_id)
    for now_s in (95.0, 200.0, 5000.0):
        assert statuses(watched.engine, now_s) == statuses(alone.engine, now_s)


def true_state_times_price(scenario: Scenario, polls: list[float], cancels: int) -> None:
    hand = Hand.on(scenario)
    ids = [hand.created() for _ in range(4)]
    canceled = {task_id for task_id in ids[:cancels] if hand.cancel(task_id).status == 200}
    for now_s in polls:
        hand.now_s = max(hand.now_s, now_s)
        hand.poll(ids[-1])
    bill = hand.engine.bill(hand.now)
    expected = []
    for number, row in enumerate(bill.tasks):
        share = Decimal(row.status == "SUCCEEDED")
        if row.status == "CANCELED" and row.task_id not in canceled:
            share = scenario.lifecycle_of(number).billed_share
        expected.append(Decimal("0.15") * 5 * share)
    assert [row.amount for row in bill.tasks] == expected
    assert [row.seconds * row.price * row.share for row in bill.tasks] == expected, "every row can be checked"
    assert {row.seconds for row in bill.tasks} == {5}
    assert [row.billed for row in bill.tasks] == [amount > 0 for amount in expected]
    assert bill.total == sum(expected)
    assert bill.billed_tasks == sum(amount > 0 for amount in expected)


UNSEEN = Property(
    nobody_asked, scenario=scenarios(TIMED), polls=INSTANTS, tasks=st.integers(1, 5), speed=st.floats(0.5, 100)
)
EXACT = Property(true_state_times_price, scenario=scenarios(TIMED | POLLED), polls=INSTANTS, cancels=st.integers(0, 3))


def test_timed_lives_do_not_notice_who_asks() -> None:
    """For steps by time, state and bill at an instant are the same however often anyone asked before, and
    the slots of a queue are given at the same instants."""
    UNSEEN.holds()


def test_the_bill_is_the_true_state_times_the_price() -> None:
    """What is billed is exactly what succeeded (or a policy's share), five seconds each, and nothing else;
    cancelling what waits costs nothing."""
    EXACT.holds()


def seen_ends_only(patch: pytest.MonkeyPatch) -> None:
    """A success is billed once somebody was told of it."""
    genuine = billing.bill_row

    def told(task: Task, prices: Any, now_s: float) -> Any:
        share = task.lifecycle.billed_share
        row = genuine(task, prices, now_s)
        return row if task.end_told or share else replace(row, amount=Decimal(0), billed=False, status="RUNNING")

    patch.setattr(billing, "bill_row", told)


def asking_hurries(patch: pytest.MonkeyPatch) -> None:
    """Each question makes a task a second older."""
    genuine = Task.polled

    def older(self: Task, now_s: float) -> Any:
        if self.started_s is not None:
            self.started_s -= 1.0
        return genuine(self, now_s)

    patch.setattr(Task, "polled", older)


@pytest.mark.parametrize(
    ("of", "plant"), [(EXACT, seen_ends_only), (UNSEEN, asking_hurries)], ids=["seen ends only", "asking hurries"]
)
def test_a_bill_that_depends_on_who_saw_is_caught(
    of: Property, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: what a client did or saw changes what is owed."""
    plant(monkeypatch)
    of.catches_the_planted_fault()
