"""The leases of a ledger as a state machine: workers that take tasks and ends, let go, die, and whose clock steps.

That those who submit send nothing twice and forget nothing is the other half: tests/ledger/test_properties.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from resilient_poll.ledger import moves
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.ledger.tasks import Tasks
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.oracle.leases import Leases
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED

HERE = Namespace("https://api.test/v1", "generic", "main")
workers = st.sampled_from(["a worker", "another worker", "a third"])
which = st.integers(0, 30)
lasts = st.sampled_from([0.0, 5.0, 60.0, 3600.0, 10_000.0])


class LeaseLife(RuleBasedStateMachine):
    """Any number of tasks, three workers, one clock that is set back and forth."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger = self.new_ledger()
        self.owner = self.ledger.open_owner()
        self.model = Leases()
        self.ids: list[int] = []
        self.now_s = 1_750_000_000.0

    def new_ledger(self) -> Ledger:
        """Where everything is kept."""
        return MemoryLedger()

    def teardown(self) -> None:
        """Let go of files."""
        self.owner.close()
        self.ledger.close()

    def entry(self, number: int) -> Entry:
        """One of the tasks, as it stands."""
        return self.ledger.get(self.ids[number % len(self.ids)])

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        """There are some tasks."""
        for _ in range(count):
            self.submit()

    @rule()
    def submit(self) -> None:
        """Somebody submits one more."""
        entry = self.ledger.begin(HERE, f"key-{len(self.ids)}", "digest", now_wall_s=self.now_s)
        licence = self.ledger.license(entry, self.owner, now_wall_s=self.now_s)
        assert licence is not None
        self.ledger.accept(licence, f"task-{len(self.ids)}", now_wall_s=self.now_s)
        self.ids.append(entry.entry_id)
        self.model.stands(entry.entry_id, "QUEUED")

    @rule(seconds=st.sampled_from([0.1, 4.9, 5.0, 55.0, 3600.0, -60.0, -7200.0]))
    def the_clock_goes(self, seconds: float) -> None:
        """Time passes, or the clock is set back."""
        self.now_s += seconds

    @rule(worker=workers, for_s=lasts, limit=st.integers(1, 5), ends=st.booleans())
    def take(self, worker: str, for_s: float, limit: int, ends: bool) -> None:
        """A worker takes what is free: open tasks, or ends."""
        claim = self.ledger.claim_ends if ends else self.ledger.claim
        taken = [one.entry_id for one in claim(HERE, worker, for_s=for_s, limit=limit, now_wall_s=self.now_s)]
        assert taken == self.model.take(worker, for_s, limit, self.now_s, ends=ends)

    @rule(number=which, worker=workers, for_s=lasts)
    def renew(self, number: int, worker: str, for_s: float) -> None:
        """A worker wants to go on with one, whether or not it is its own."""
        entry = self.entry(number)
        is_mine = self.ledger.renew(entry, worker, for_s=for_s, now_wall_s=self.now_s)
        assert is_mine == self.model.renew(entry.entry_id, worker, for_s, self.now_s)

    @rule(number=which, worker=workers)
    def let_go(self, number: int, worker: str) -> None:
        """A worker lets go of one, whether or not it is its own."""
        entry = self.entry(number)
        self.ledger.release(entry, worker, now_wall_s=self.now_s)
        self.model.let_go(entry.entry_id, worker, self.now_s)

    @rule(number=which)
    def it_ends(self, number: int) -> None:
        """Whoever looks, the task has ended; who had it has it still."""
        entry = self.entry(number)
        self.ledger.observe(entry, phase=Phase.SUCCEEDED, billing=Billing.BILLED, now_wall_s=self.now_s)
        self.model.stands(entry.entry_id, "SUCCEEDED")

    @rule(number=which)
    def it_is_told(self, number: int) -> None:
        """Somebody hands an end over, if it is one."""
        entry = self.entry(number)
        self.ledger.delivered(entry, now_wall_s=self.now_s)
        self.model.tell(entry.entry_id)

    @rule(worker=workers)
    def one_dies(self, worker: str) -> None:
        """What it had is free when its leases are over, and not before: nobody is told."""
        for number, kept in self.model.tasks.items():
            if kept.worker == worker and kept.is_open:
                assert number in self.model.free("who comes next", kept.until_s, ends=False)
        self.take("who comes next", 5.0, 5, False)


class LeaseLifeInAFile(LeaseLife):
    """The same in a file."""

    def new_ledger(self) -> Ledger:
        """A file that nobody else has."""
        self.folder = tempfile.TemporaryDirectory()
        return SqliteLedger(Path(self.folder.name) / "ledger.sqlite3")

    def teardown(self) -> None:
        """Let go of files."""
        super().teardown()
        self.folder.cleanup()


def run_machine(machine: type[LeaseLife], how: settings) -> None:
    run_state_machine_as_test(machine, settings=settings(how, stateful_step_count=25))


@pytest.mark.parametrize(("machine", "usual"), [(LeaseLife, 240), (LeaseLifeInAFile, 10)])
def test_no_task_has_two_workers_and_none_is_passed_over(machine: type[LeaseLife], usual: int) -> None:
    """Whoever takes, renews, lets go or dies, and however the clock steps: nobody takes what another has, and all that
    is free can be taken."""
    run_machine(machine, settings(GENUINE, max_examples=examples(usual)))


def without_an_end(patch: pytest.MonkeyPatch) -> None:
    """A lease is for ever."""
    patch.setattr(moves, "is_claimable", lambda row, worker, now_wall_s: row["worker"] in {None, worker})  # noqa: ARG005  # the fault


def for_all(patch: pytest.MonkeyPatch) -> None:
    """Everybody may take everything."""
    patch.setattr(moves, "is_claimable", lambda row, worker, now_wall_s: True)  # noqa: ARG005  # the fault


def of_another(patch: pytest.MonkeyPatch) -> None:
    """Letting go lets go of another's."""
    genuine = Tasks.release

    def any_release(self: Any, entry: Entry, worker: str, *, now_wall_s: float) -> None:  # noqa: ARG001  # the fault
        stands = self.get(entry.entry_id)
        genuine(self, entry, stands.worker or "", now_wall_s=now_wall_s)

    patch.setattr(Tasks, "release", any_release)


def newest_first(patch: pytest.MonkeyPatch) -> None:
    """Who was looked at last is looked at first."""
    genuine = moves.lease_end
    patch.setattr(moves, "lease_end", lambda row: -genuine(row))


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("plant", [without_an_end, for_all, of_another, newest_first], ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the faults makes the machine fail."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(LeaseLife, PLANTED)
