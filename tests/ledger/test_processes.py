"""Many processes on one ledger, some of which die or stop at the worst moment."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from resilient_poll.ledger.errors import LedgerUnavailable
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import Phase
from tests.ledger.actor import HERE, KEYS, acting, go_on, hear

RACERS = 8
POINTS = {
    # While a licence is being given nothing has left yet; afterwards something may have.
    "licensed": Phase.NEW,
    "before the first byte": Phase.IN_DOUBT,
    "accepted": Phase.IN_DOUBT,
}


def wait_for_stop(process: subprocess.Popen[str]) -> None:
    """Wait until a process is stopped by a signal, as its parent may."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def race(address: str) -> list[int]:
    """Return how many licences each of some processes got that want all keys at once."""
    with ExitStack() as stack:
        racers = [stack.enter_context(acting(address, "race")) for _ in range(RACERS)]
        for racer in racers:
            assert hear(racer) == "ready"
        for racer in racers:
            go_on(racer)
        return [int(hear(racer)) for racer in racers]


def test_processes_that_want_the_same_get_one_licence_each(tmp_path: Path) -> None:
    """Eight processes that begin and license the same hundred keys at once get a hundred licences together."""
    won = race(str(tmp_path / "ledger.sqlite3"))
    assert sum(won) == KEYS
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        assert dict(ledger.counts()) in ({Phase.SUBMITTING: KEYS}, {Phase.IN_DOUBT: KEYS})


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_a_doubt(tmp_path: Path, point: str) -> None:
    """Killed after its licence was given, whatever it was doing, a process leaves a doubt; before, an intent."""
    path = tmp_path / "ledger.sqlite3"
    with acting(str(path), "submit", point, "kill") as actor, SqliteLedger(path) as ledger:
        assert hear(actor) == "begun"
        go_on(actor)
        assert actor.wait() == -signal.SIGKILL
        ledger.settle_the_dead(now_wall_s=2000.0)
        entry = ledger.find(HERE, "key")
        assert entry is not None
        assert entry.phase is POINTS[point]
        assert entry.task_id is None
        with ledger.open_owner() as owner:
            again = ledger.license(entry, owner, now_wall_s=2000.0)
        assert (again is not None) is (point == "licensed")


def test_a_pause_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """Stopped before the first byte for longer than any time-out, a process still holds its licence, and goes on."""
    path = tmp_path / "ledger.sqlite3"
    with acting(str(path), "submit", "before the first byte", "stop") as actor, SqliteLedger(path) as ledger:
        assert hear(actor) == "begun"
        go_on(actor)
        wait_for_stop(actor)
        assert ledger.settle_the_dead(now_wall_s=9e9) == ()
        entry = ledger.find(HERE, "key")
        assert entry is not None
        assert entry.phase is Phase.SUBMITTING
        with ledger.open_owner() as owner:
            assert ledger.license(entry, owner, now_wall_s=9e9) is None
        actor.send_signal(signal.SIGCONT)
        assert hear(actor) == "task-1"
        kept = ledger.get(entry.entry_id)
        assert (kept.task_id, kept.phase) == ("task-1", Phase.QUEUED)


@pytest.mark.parametrize("point", ["licensed", "accepted"])
def test_a_writer_that_is_stopped_is_told_of(tmp_path: Path, point: str) -> None:
    """While a process is stopped in the middle of a write, others can read, and hear in bounded time why not write."""
    path = tmp_path / "ledger.sqlite3"
    with acting(str(path), "submit", point, "stop") as actor, SqliteLedger(path, busy_s=0.05) as ledger:
        assert hear(actor) == "begun"
        go_on(actor)
        wait_for_stop(actor)
        assert ledger.find(HERE, "key") is not None
        with pytest.raises(LedgerUnavailable, match="in use by another process"):
            ledger.begin(HERE, "another", "digest", now_wall_s=2000.0)
        actor.send_signal(signal.SIGCONT)
        assert hear(actor) == "task-1"


def test_a_child_opens_its_own(tmp_path: Path) -> None:
    """After a fork the child may not use what it inherited, and does not keep a parent alive that has died."""
    path = tmp_path / "ledger.sqlite3"
    with acting(str(path), "fork") as actor, SqliteLedger(path) as ledger:
        assert hear(actor) == "3 refused, 0 settled"
        actor.kill()
        actor.wait()
        # The child is still there, waiting for a line.
        assert ledger.settle_the_dead(now_wall_s=2.0) == (1,)
        go_on(actor)
