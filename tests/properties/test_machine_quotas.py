"""The quotas of the fake as a state machine: who runs, who waits, who is sent away, and for how long.

Properties 10 and 13 of the fake, judged by a model that goes through the whole past for every question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fake_server.engine import Reply
from fake_server.rules import quotas
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand, content, header
from tests.oracle.account import TICK_S, Account, Made
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED

lengths = st.sampled_from([0.25, 1.0, 2.5, 7.0])


class QuotasLife(RuleBasedStateMachine):
    """Creates, questions and cancels in both dialects, of which each has slots of its own."""

    @initialize(takes=st.lists(lengths, min_size=1, max_size=4), cap=st.integers(1, 3), rate=st.integers(1, 4))
    def begin(self, takes: list[float], cap: int, rate: int) -> None:
        """A world begins."""
        lives = tuple(Lifecycle((Step("RUNNING", lasts_s=length), Step("SUCCEEDED"))) for length in takes)
        limits = Quotas(concurrent_tasks=cap, queries_per_second=rate)
        self.hand = Hand.on(Scenario("drawn", "Drawn.", lives, Expect(("SUCCEEDED",)), quotas=limits))
        self.takes = takes
        self.accounts = {
            "aisa": Account(cap, 10**9, has_queue=False),
            "dashscope": Account(cap, rate, has_queue=True),
        }
        self.ids: list[tuple[str, str, int]] = []

    def account(self, dialect: str) -> Account:
        """Turn to a dialect."""
        self.hand.dialect = dialect
        return self.accounts[dialect]

    @rule(quarters=st.sampled_from([1, 2, 3, 4, 10, 30]))
    def time_passes(self, quarters: int) -> None:
        """Nothing else happens."""
        self.hand.now_s += quarters * TICK_S

    @rule(dialect=st.sampled_from(["aisa", "dashscope", "dashscope"]), count=st.integers(1, 4))
    def create(self, dialect: str, count: int) -> None:
        """Some tasks are created."""
        account, now_s = self.account(dialect), self.hand.now_s
        for _ in range(count):
            reply = self.hand.create()
            assert isinstance(reply, Reply)
            if account.is_full(now_s) and not account.has_queue:
                assert reply.status == 429
                wait_s = int(header(reply, "retry-after") or "0")
                assert wait_s == account.waits_s(now_s)
                assert not account.is_full(now_s + wait_s), "who waits as told is let in"
                continue
            assert reply.status == 200
            life = self.takes[min(len(self.ids), len(self.takes) - 1)]
            self.ids.append((dialect, content(reply)["output"]["task_id"], len(account.tasks)))
            account.tasks.append(Made(now_s, life))

    @rule(which=st.integers(0, 30), count=st.integers(1, 5))
    def poll(self, which: int, count: int) -> None:
        """One of them is asked about, some times."""
        if not self.ids:
            return
        dialect, task_id, number = self.ids[which % len(self.ids)]
        account, now_s = self.account(dialect), self.hand.now_s
        for _ in range(count):
            reply = self.hand.poll(task_id)
            assert isinstance(reply, Reply)
            assert (reply.status == 200) == account.may_ask(now_s)
            if reply.status == 200:
                account.answered_s.append(now_s)
                assert content(reply)["output"]["task_status"] == account.word(number, now_s)
            else:
                assert reply.status == 429

    @rule(which=st.integers(0, 30))
    def cancel(self, which: int) -> None:
        """One of those of the vendor's dialect is cancelled: it works while it waits."""
        ours = [(task_id, number) for dialect, task_id, number in self.ids if dialect == "dashscope"]
        if not ours:
            return
        task_id, number = ours[which % len(ours)]
        account, now_s = self.account("dashscope"), self.hand.now_s
        reply = self.hand.cancel(task_id)
        assert (reply.status != 429) == account.may_ask(now_s)
        if reply.status != 429:
            account.answered_s.append(now_s)
            assert (reply.status == 200) == (account.word(number, now_s) == "PENDING")
            if reply.status == 200:
                account.tasks[number].canceled_s = now_s

    @invariant()
    def everybody_stands_where_the_model_says(self) -> None:
        """Also those who were never asked about."""
        if hasattr(self, "hand"):
            rows = self.hand.engine.bill(self.hand.now).tasks
            told = [row.status for row in rows]
            assert told == [self.accounts[dialect].word(number, self.hand.now_s) for dialect, _, number in self.ids]


def run_machine(how: settings) -> None:
    run_state_machine_as_test(QuotasLife, settings=settings(how, stateful_step_count=15))


def test_who_runs_waits_and_is_sent_away() -> None:
    """Whatever is created, asked and cancelled when: never more than the cap run, who waits runs in order, who is sent
    away is told for how long, and no second has more answers than its limit."""
    run_machine(settings(GENUINE, max_examples=examples(80)))


def one_too_many(patch: pytest.MonkeyPatch) -> None:
    """One more than the cap may run."""
    patch.setattr(quotas.Slots, "are_taken", property(lambda slots: len(slots._running) > slots.size))


def last_come(patch: pytest.MonkeyPatch) -> None:
    """Who came last runs first."""
    genuine = quotas.Slots._start_next

    def reversed_queue(self: quotas.Slots, start_s: float) -> None:
        self._waiting.reverse()
        genuine(self, start_s)
        self._waiting.reverse()

    patch.setattr(quotas.Slots, "_start_next", reversed_queue)


def late_starts(patch: pytest.MonkeyPatch) -> None:
    """A slot is given when somebody asks, and not when it is free."""
    genuine = quotas.Slots.settle

    def when_asked(self: quotas.Slots, now_s: float) -> None:
        start = self._start
        self._start = lambda task, _: start(task, now_s)  # type: ignore[method-assign]  # the fault
        genuine(self, now_s)
        self._start = start  # type: ignore[method-assign]  # mended

    patch.setattr(quotas.Slots, "settle", when_asked)


def refused_count(patch: pytest.MonkeyPatch) -> None:
    """Questions that are not answered count as well."""

    def counted(self: quotas.RateWindow, now_s: float) -> bool:
        passes = self.remaining(now_s) > 0
        self._admitted.append(now_s)
        return passes

    patch.setattr(quotas.RateWindow, "admit", counted)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    "plant", [one_too_many, last_come, late_starts, refused_count], ids=lambda plant: plant.__name__
)
def test_a_planted_fault_is_caught(plant: Callable[[pytest.MonkeyPatch], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the faults makes the machine fail."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(settings(PLANTED, max_examples=2000))
