"""The bill as a state machine: requests are lost, come twice, and go unanswered, and the bill stays exact.

Properties 10 and 12 of the fake. The judge hears what a client hears, so it knows a set of bills that are possible; the
true one must be among them, and where nothing was lost it is the only one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fake_server.engine import Reply
from fake_server.rules import billing
from fake_server.rules.tasks import Task
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand, content
from tests.oracle import bill as oracle
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED

PRICE = Fraction("0.15") * 5
ROOM = Quotas(concurrent_tasks=1000, queries_per_second=1000)
# So many worlds are kept apart; what is lost after that is lost for good.
MOST_WORLDS = 300

words = st.sampled_from(["PENDING", "RUNNING", "UNKNOWN", "SUSPENDED"])
steps = st.builds(Step, words, lasts_s=st.sampled_from([0.5, 3.0, 20.0])) | st.builds(
    Step, words, lasts_polls=st.integers(1, 3)
)
lasts = st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELED", "RUNNING"]).map(
    lambda word: Step(word, code="InternalError.Algo" if word == "FAILED" else None)
)
lives = st.builds(
    lambda path, last, share: Lifecycle((*path, last), billed_share=share),
    st.lists(steps, max_size=3),
    lasts,
    st.sampled_from([Decimal(0), Decimal("0.25")]),
)


class Way(Enum):
    """What the network does with a request: how often it arrives, which answer is heard, what may be the case."""

    WELL = (1, 0, (1,))
    TWICE = (2, 0, (1, 2))
    TWICE_SECOND_HEARD = (2, 1, (1, 2))
    LOST = (0, None, (0, 1, 2))
    ANSWER_LOST = (1, None, (0, 1, 2))
    TWICE_ANSWERS_LOST = (2, None, (0, 1, 2))


ways = st.sampled_from([Way.WELL, Way.WELL, Way.WELL, *Way])


def naive(life: Lifecycle) -> oracle.Life:
    """A life in the words of the judge."""
    parts = tuple(oracle.Step(step.status, step.lasts_s, step.lasts_polls) for step in life.steps)
    return oracle.Life(parts, Fraction(life.billed_share))


class BillLife(RuleBasedStateMachine):
    """A client, a network that does what it likes, and a judge who believes the client only."""

    @initialize(lives=st.lists(lives, min_size=1, max_size=3))
    def begin(self, lives: list[Lifecycle]) -> None:
        """A world begins."""
        self.hand = Hand.on(Scenario("drawn", "Drawn.", tuple(lives), Expect(("SUCCEEDED",)), quotas=ROOM))
        self.account = oracle.Account([naive(life) for life in lives], PRICE)
        self.ids: list[str] = []
        self.is_sure = True

    @rule(seconds=st.sampled_from([0.25, 0.5, 3.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing else happens."""
        self.hand.now_s += seconds

    @rule(way=ways)
    def create(self, way: Way) -> None:
        """The client creates a task."""
        heard = self.send(way, self.hand.create)
        task_id = None if heard is None else str(content(heard)["output"]["task_id"])
        self.account.created(self.hand.now_s, self.arrivals, task_id)
        if task_id is not None:
            assert task_id not in self.ids
            self.ids.append(task_id)

    @rule(which=st.integers(0, 20), ways=st.lists(ways, min_size=1, max_size=4))
    def poll(self, which: int, ways: list[Way]) -> None:
        """The client asks about one of its tasks, some times."""
        for way in ways if self.ids else ():
            task_id = self.ids[which % len(self.ids)]
            heard = self.send(way, lambda task_id=task_id: self.hand.poll(task_id))  # type: ignore[misc]  # a default binds it
            word = None if heard is None else str(content(heard)["output"]["task_status"])
            self.account.polled(task_id, self.hand.now_s, self.arrivals, word)
            assert self.account.worlds, "no possible past would have been answered like this"

    @rule(which=st.integers(0, 20), way=ways)
    def cancel(self, which: int, way: Way) -> None:
        """The client cancels one of its tasks."""
        if self.ids:
            task_id = self.ids[which % len(self.ids)]
            heard = self.send(way, lambda: self.hand.cancel(task_id))
            worked = None if heard is None else heard.status == 200
            self.account.canceled(task_id, self.hand.now_s, self.arrivals, worked)
            assert self.account.worlds, "no possible past would have been answered like this"

    def send(self, way: Way, request: Callable[[], Any]) -> Reply | None:
        """Send a request on its way; return the answer that is heard."""
        if len(self.account.worlds) > MOST_WORLDS:
            way = Way.WELL
        times, which, may_have_arrived = way.value
        # Only where it may matter is the judge told that the network may have repeated it.
        self.arrivals = may_have_arrived
        self.is_sure = self.is_sure and way is Way.WELL
        replies = [request() for _ in range(times)]
        return None if which is None else replies[which]

    @invariant()
    def the_true_bill_is_possible(self) -> None:
        """What is billed is what is owed in one of the pasts that are possible; where all was heard there is one."""
        if not hasattr(self, "hand"):
            return
        now_s, bill = self.hand.now_s, self.hand.engine.bill(self.hand.now)
        assert tuple(row.status for row in bill.tasks) in self.account.words(now_s)
        assert Fraction(bill.total) in self.account.bills(now_s)
        assert sum((row.amount for row in bill.tasks), Decimal(0)) == bill.total
        if self.is_sure:
            assert len(self.account.worlds) == 1


def run_machine(how: settings) -> None:
    run_state_machine_as_test(BillLife, settings=settings(how, stateful_step_count=12))


def test_the_bill_is_exact_whatever_the_client_heard() -> None:
    """With requests that are lost, come twice or go unanswered, the true bill is one that the heard answers allow, and
    exactly what the true states cost."""
    run_machine(settings(GENUINE, max_examples=examples(80)))


def for_who_asked(patch: pytest.MonkeyPatch) -> None:
    """Only what a client saw the end of is billed."""
    genuine = billing.bill_row

    def seen_only(task: Task, prices: Any, now_s: float) -> Any:
        row = genuine(task, prices, now_s)
        return row if task.end_told or not row.billed else replace(row, amount=Decimal(0), billed=False)

    patch.setattr(billing, "bill_row", seen_only)


def a_cancel_costs(patch: pytest.MonkeyPatch) -> None:
    """What a client cancels while it waits costs its share, as what the service cancels does."""
    genuine = billing.bill_row

    def charged(task: Task, prices: Any, now_s: float) -> Any:
        canceled_s, task.canceled_s = task.canceled_s, None
        try:
            return genuine(task, prices, now_s)
        finally:
            task.canceled_s = canceled_s

    patch.setattr(billing, "bill_row", charged)


def polls_hurry(patch: pytest.MonkeyPatch) -> None:
    """Every poll counts twice."""
    genuine = Task.polled

    def twice(self: Task, now_s: float) -> Any:
        genuine(self, now_s)
        return genuine(self, now_s)

    patch.setattr(Task, "polled", twice)


def floats(patch: pytest.MonkeyPatch) -> None:
    """Money is counted in floats."""
    genuine = billing.make_bill

    def rounded(*arguments: Any, **options: Any) -> Any:
        bill = genuine(*arguments, **options)
        return billing.Bill(bill.tasks, bill.left_out, bill.billed_tasks, Decimal(float(bill.total) * 1.1 / 1.1))

    patch.setattr("fake_server.engine.make_bill", rounded)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    "plant", [for_who_asked, a_cancel_costs, polls_hurry, floats], ids=lambda plant: plant.__name__
)
def test_a_planted_fault_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the faults makes the machine fail."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(PLANTED)
