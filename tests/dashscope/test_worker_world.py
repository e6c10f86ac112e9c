"""Many workers on one ledger, killed, paused and stopped at any moment: every end reaches a handler."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from resilient_poll import HandedOver
from resilient_poll.dashscope.workers import shift as shifts
from resilient_poll.dashscope.workers.duty import CALLER_S
from resilient_poll.dashscope.workers.rota import Rota
from resilient_poll.dashscope.workers.shift import LEASE_S, SCAN_S
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine.lifecycle import OPEN, Billing, Phase
from tests.dashscope.scripted import Asked, Broken, Reply, a_client, said
from tests.oracle.handover import Handover
from tests.support.colours import INPUT, MODEL
from tests.support.profiles import examples as scaled

OWED = {"SUCCEEDED": Billing.BILLED, "FAILED": Billing.NONE, "CANCELED": Billing.PARTIAL_POSSIBLE}
FEW = 4
"""How many tasks a worker holds here, so that few are more than that."""


class Standing(VirtualClock):
    """A clock that only the test moves: who sleeps on it comes back at once."""

    def sleep(self, seconds: float) -> None:
        """Come back at once."""


@dataclass
class World:
    """The service; what is true of its tasks, and what was told of them, the model knows.

    Attributes:
        clock: What time it is.
        model: What is judged by.
        next_end: How long the next task takes, in seconds, and how it ends.
    """

    clock: Standing = field(default_factory=Standing)
    model: Handover = field(init=False)
    next_end: tuple[float, str] = (0.0, "SUCCEEDED")

    def __post_init__(self) -> None:
        self.model = Handover(LEASE_S, self.now_s)

    @property
    def now_s(self) -> float:
        return self.clock.now().monotonic_s

    def __call__(self, asked: Asked) -> Reply | Broken:
        if asked.method == "POST":
            task_id = f"task-{len(self.model.tasks) + 1}"
            life_s, end = self.next_end
            self.model.made(task_id, self.now_s + life_s, end)
            return said(task_id, "PENDING")
        task_id = asked.path.rpartition("/")[2]
        word = self.model.says(task_id, self.now_s)
        more = {"video_url": "https://assets.test/clip.mp4"} if word == "SUCCEEDED" else {}
        return said(task_id, word, **more)


class Workers(RuleBasedStateMachine):
    """Clients and workers of one ledger."""

    @initialize()
    def begin(self) -> None:
        """Begin with nobody at work."""
        self.world, self.ledger = World(), MemoryLedger()
        self.clients = AsyncExitStack()
        self.alive: list[tuple[Any, Any]] = []
        self.failures = 0
        self.client = self.new_client()

    def new_client(self) -> Any:
        """Return a client of its own, as of a process of its own."""
        opening = a_client("sync", "httpx", self.world, self.world.clock, ledger=self.ledger)
        return only(self.clients.enter_async_context(opening))

    def handle(self, handed: HandedOver[Any]) -> None:
        """Take an end, if it is one."""
        task_id, model = str(handed.task_id), self.world.model
        has_result = handed.outcome is not None
        assert model.may_tell(task_id, str(handed.phase), self.world.now_s, has_result=has_result)
        if self.failures:
            self.failures -= 1
            raise ValueError("not now")
        model.told(task_id)

    @rule(life_s=st.sampled_from([0.0, 5.0, 40.0, 200.0]), end=st.sampled_from(sorted(OWED)))
    def submit(self, life_s: float, end: str) -> None:
        """Somebody submits something, and leaves it."""
        self.world.next_end = life_s, end
        self.client.submit(MODEL, INPUT, idempotency_key=f"key {len(self.world.model.tasks)}")

    @precondition(lambda self: len(self.alive) < 3)
    @rule()
    def hire(self) -> None:
        """One more process works."""
        worker = self.new_client().worker(self.handle)
        self.alive.append((worker, worker._begin()))

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 2), number=st.integers(1, 12))
    def work(self, which: int, number: int) -> None:
        """One of them does something; the others stand still."""
        worker, shift = self.alive[which % len(self.alive)]
        for _ in range(number):
            worker._step(shift)

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        """One of them is gone without a word."""
        self.alive.pop(which % len(self.alive))

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 2))
    def stop(self, which: int) -> None:
        """One of them ends in order."""
        worker, shift = self.alive.pop(which % len(self.alive))
        worker._end(shift)
        self.world.model.stops += 1

    @rule(seconds=st.sampled_from([0.5, 3.0, SCAN_S, LEASE_S + 1, 10 * LEASE_S]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.world.clock.advance(seconds)

    @rule(which=st.integers(0, 30))
    def see(self, which: int) -> None:
        """Somebody else sees that a task has ended, and tells nobody of it."""
        over = [
            task_id for task_id in self.world.model.tasks if self.world.model.says(task_id, self.world.now_s) in OWED
        ]
        if over:
            task_id = over[which % len(over)]
            phase = Phase(self.world.model.says(task_id, self.world.now_s))
            [entry] = [entry for entry in self.ledger.entries() if entry.task_id == task_id]
            wall_s = self.world.clock.now().wall_s
            self.ledger.observe(entry, phase=phase, billing=OWED[phase.value], now_wall_s=wall_s)

    @rule(number=st.integers(1, 3))
    def break_handler(self, number: int) -> None:
        """The application cannot take what it is given."""
        self.failures += number

    @invariant()
    def few_are_held(self) -> None:
        """Nobody holds more than it may."""
        for _, shift in getattr(self, "alive", ()):
            assert len(shift.held) <= FEW

    @invariant()
    def nothing_is_told_for_nothing(self) -> None:
        """An end is told again only where a lease may have been over, or was let go."""
        if hasattr(self, "world"):
            assert not self.world.model.told_too_often(self.world.now_s)

    @invariant()
    def one_asks(self) -> None:
        """Of workers that looked into the ledger lately, no two ask about the same open task."""
        now_s = self.world.now_s if hasattr(self, "world") else 0.0
        fresh = [shift for _, shift in getattr(self, "alive", ()) if now_s - shift._scanned_s < LEASE_S / 2]
        held = [
            task_id for shift in fresh for task_id, one in shift.held.items() if not one.task._poller.record.is_ended
        ]
        assert len(held) == len(set(held))

    def teardown(self) -> None:
        """Whatever happened, one worker that is left alone brings everything to its end."""
        if not hasattr(self, "world"):
            return
        try:
            self.bring_to_rest()
        finally:
            only(self.clients.aclose())

    def bring_to_rest(self) -> None:
        """Have one worker do all that is left."""
        self.failures, self.alive = 0, []
        worker = self.new_client().worker(self.handle)
        shift = worker._begin()
        for _ in range(60):
            for _ in range(30):
                worker._step(shift)
            self.world.clock.advance(SCAN_S)
            if not self.ledger.undelivered() and not shift.held and not shift.parcels and not self.open():
                break
        assert not self.world.model.untold()
        assert all(entry.delivered_wall_s is not None for entry in self.ledger.entries())
        worker._end(shift)

    def open(self) -> int:
        """How many tasks are open in the ledger."""
        return sum(number for phase, number in self.ledger.counts().items() if phase in OPEN)


def only(step: Any) -> Any:
    """Return what a coroutine that never suspends returns."""
    try:
        step.send(None)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("it suspended")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker hold few tasks."""
    monkeypatch.setattr(shifts, "HELD_AT_ONCE", FEW)
    monkeypatch.setattr(shifts, "PORTION", FEW)


def run(examples: int) -> None:
    """Run the machine."""
    quiet = settings(
        max_examples=scaled(examples),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Workers, settings=quiet)


@pytest.mark.usefixtures("few")
def test_every_end_reaches_a_handler() -> None:
    """With workers that are killed, paused and stopped, and a handler that fails, every end is handed over."""
    run(50)


@pytest.mark.usefixtures("few")
def test_without_trouble_each_end_is_handed_over_once() -> None:
    """Two workers that share a ledger hand each end over once, and both have something to do."""
    machine = Workers()
    machine.begin()
    by: list[list[str]] = [[], []]
    pair = []
    for mine in by:
        worker = machine.new_client().worker(lambda handed, mine=mine: mine.append(handed.idempotency_key))
        pair.append((worker, worker._begin()))
    for number in range(20):
        machine.submit(5.0 * (number % 4), "SUCCEEDED")
    while len(by[0]) + len(by[1]) < 20:
        for worker, shift in pair:
            for _ in range(10):
                worker._step(shift)
        machine.world.clock.advance(1.0)
    for worker, shift in pair:
        worker._end(shift)
    only(machine.clients.aclose())
    assert sorted(by[0] + by[1]) == sorted(f"key {number}" for number in range(20))
    assert by[0]
    assert by[1]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("fault", ["says it was told before the handler returns", "never looks for ends of others"])
def test_the_properties_can_fail(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that notes too early, or forgets what a dead one left, is found out."""
    if fault.startswith("says"):
        original = Rota.is_told

        def too_early(self: Rota, entry: Any) -> bool:
            was_told = original(self, entry)
            if self.books.ledger.get(entry.entry_id).is_ended:
                self.books.ledger.delivered(entry, now_wall_s=0.0)
            return was_told

        monkeypatch.setattr(Rota, "is_told", too_early)
    else:
        monkeypatch.setattr(shifts.Shift, "_take_end", lambda *_: False)
    machine = Workers()
    machine.begin()
    machine.submit(0.0, "SUCCEEDED")
    machine.wait(CALLER_S)
    machine.break_handler(1)
    machine.hire()
    while machine.failures:  # Until the end was seen, and the handler did not take it.
        machine.work(0, 1)
    machine.kill(0)
    with pytest.raises(AssertionError):
        machine.teardown()
