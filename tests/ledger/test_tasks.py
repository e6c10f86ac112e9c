"""From a task to its end handed over: who looks, in which order, for how long, and what is told; by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilient_poll.ledger.entry import Entry, Said, SavedFile
from resilient_poll.ledger.errors import ActRefused, EntryInvalid
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRIES, Durability, Owner
from resilient_poll.ledger.testing_parts import ELSEWHERE, HERE, NOON_S, PRICE, begun, ended, running, sent
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase


@pytest.fixture
def ledger() -> MemoryLedger:
    """An empty ledger."""
    return MemoryLedger()


@pytest.fixture
def owner(ledger: MemoryLedger) -> Owner:
    """Somebody who sends."""
    return ledger.open_owner()


def change(ledger: MemoryLedger, entry: Entry, **columns: str | float | None) -> None:
    """Write into a row what no act writes."""
    ledger._store.run(lambda rows: rows.update(ENTRIES, entry.entry_id, columns), Durability.QUICK)


def test_a_task_is_seen_where_a_task_can_be(ledger: MemoryLedger, owner: Owner) -> None:
    """A task is seen open or at an end that the service can give it, and with the price and result that came."""
    entry = running(ledger, owner, "key")
    for phase in (Phase.NEW, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.REFUSED, Phase.ABANDONED):
        with pytest.raises(EntryInvalid, match=f"no task can be seen in phase {phase}"):
            ledger.observe(entry, phase=phase, billing=Billing.NONE, now_wall_s=NOON_S)
    for number, phase in enumerate(phase for phase in Phase if phase in OPEN | ENDS - {Phase.REFUSED, Phase.ABANDONED}):
        task = running(ledger, owner, f"{number}")
        said = Said(status="S", message="why")
        seen = ledger.observe(
            task, phase=phase, billing=Billing.UNDETERMINED, said=said, result="{}", charge=PRICE, now_wall_s=NOON_S + 5
        )
        assert (seen.phase, seen.billing, seen.status, seen.message) == (phase, Billing.UNDETERMINED, "S", "why")
        assert (seen.result, seen.charge, seen.updated_wall_s) == ("{}", PRICE, NOON_S + 5)
        assert seen.ended_wall_s == (NOON_S + 5 if phase in ENDS else None)
        assert seen == ledger.get(task.entry_id)


def test_what_is_seen_is_written_into_its_own_entry(ledger: MemoryLedger, owner: Owner) -> None:
    """What was seen of one task is never written into an entry that holds another one, or none."""
    entry, new = running(ledger, owner, "key"), begun(ledger, "new")
    for other in (replace(entry, task_id="another"), new):
        with pytest.raises(ActRefused, match="does not hold the task that was seen; nothing was changed") as caught:
            ledger.observe(other, phase=Phase.FAILED, billing=Billing.NONE, now_wall_s=NOON_S)
        assert caught.value.entry == ledger.get(other.entry_id)
    assert [ledger.get(each.entry_id) for each in (entry, new)] == [entry, new]


def test_whom_nobody_looked_at_for_longest_comes_first(ledger: MemoryLedger, owner: Owner) -> None:
    """Open tasks are given out in the order in which they were let go, at most so many, and to one worker at a time."""
    tasks = [running(ledger, owner, key) for key in "abcd"]
    ended(ledger, running(ledger, owner, "over"), Phase.FAILED, Billing.NONE)
    begun(ledger, "new")
    for entry, at_s in zip(tasks, (30.0, 10.0, 20.0, 10.0), strict=True):
        change(ledger, entry, worker_until_wall_s=NOON_S - 100 + at_s)
    first = ledger.claim(HERE, "one", for_s=60.0, limit=3, now_wall_s=NOON_S)
    assert [entry.key for entry in first] == ["b", "d", "c"]
    assert {(entry.worker, entry.worker_until_wall_s) for entry in first} == {("one", NOON_S + 60)}
    assert [ledger.get(entry.entry_id) for entry in first] == list(first)
    assert [entry.key for entry in ledger.claim(None, "two", for_s=60.0, now_wall_s=NOON_S)] == ["a"]
    assert len(ledger.claim(ELSEWHERE, "two", for_s=60.0, now_wall_s=NOON_S + 61)) == 0
    assert len(ledger.claim(HERE, "one", for_s=60.0, now_wall_s=NOON_S + 59)) == 3
    assert len(ledger.claim(HERE, "three", for_s=60.0, limit=0, now_wall_s=NOON_S + 999)) == 0


def test_a_damaged_task_is_told_and_holds_up_nobody(ledger: MemoryLedger, owner: Owner) -> None:
    """A damaged row takes no place among those that are given out, and is listed apart."""
    tasks = [running(ledger, owner, key) for key in "abc"]
    change(ledger, tasks[0], about="?")
    claimed = ledger.claim(HERE, "one", for_s=60.0, limit=2, now_wall_s=NOON_S)
    assert [entry.key for entry in claimed] == ["b", "c"]
    assert [error.entry_id for error in claimed.corrupt] == [tasks[0].entry_id]


def test_ends_are_handed_over_oldest_first(ledger: MemoryLedger, owner: Owner) -> None:
    """Ends that nobody was told of are given out by their age with their results, and not after they were told."""
    ends = [ended(ledger, running(ledger, owner, key), Phase.SUCCEEDED, Billing.BILLED, f'"{key}"') for key in "abc"]
    running(ledger, owner, "open")
    change(ledger, ends[0], worker_until_wall_s=NOON_S - 1)
    assert [entry.result for entry in ledger.undelivered(HERE)] == ['"a"', '"b"', '"c"']
    assert [entry.key for entry in ledger.undelivered(limit=2)] == ["a", "b"]
    assert len(ledger.undelivered(ELSEWHERE)) == 0
    assert [entry.key for entry in ledger.claim_ends(HERE, "one", for_s=60.0, limit=2, now_wall_s=NOON_S)] == ["a", "b"]
    (last,) = ledger.claim_ends(None, "two", for_s=60.0, now_wall_s=NOON_S)
    assert (last.key, last.result, last.worker) == ("c", '"c"', "two")
    told = ledger.delivered(last, now_wall_s=NOON_S + 5)
    assert (told.delivered_wall_s, told.worker, told.worker_until_wall_s) == (NOON_S + 5, None, 0.0)
    assert ledger.delivered(last, now_wall_s=NOON_S + 6) == told == ledger.get(last.entry_id)
    assert [entry.key for entry in ledger.undelivered()] == ["a", "b"]
    assert len(ledger.claim_ends(None, "two", for_s=60.0, now_wall_s=NOON_S + 59)) == 0
    assert [entry.key for entry in ledger.claim_ends(None, "two", for_s=9.0, now_wall_s=NOON_S + 60)] == ["a", "b"]
    assert len(ledger.claim_ends(ELSEWHERE, "two", for_s=9.0, now_wall_s=NOON_S + 99)) == 0
    still = running(ledger, owner, "still")
    assert ledger.delivered(still, now_wall_s=NOON_S) == still == ledger.get(still.entry_id)


def test_a_lease_is_renewed_while_there_is_something_to_do(ledger: MemoryLedger, owner: Owner) -> None:
    """A lease is lengthened for who holds it, while its task is open or its end is not handed over."""
    running(ledger, owner, "key")
    (task,) = ledger.claim(HERE, "one", for_s=60.0, now_wall_s=NOON_S)
    assert not ledger.renew(task, "two", for_s=60.0, now_wall_s=NOON_S + 30)
    assert ledger.get(task.entry_id) == task
    assert ledger.renew(task, "one", for_s=60.0, now_wall_s=NOON_S + 30)
    assert ledger.get(task.entry_id).worker_until_wall_s == NOON_S + 90
    end = ended(ledger, task, Phase.FAILED, Billing.NONE)
    assert ledger.renew(task, "one", for_s=60.0, now_wall_s=NOON_S + 40)
    assert ledger.get(task.entry_id).worker_until_wall_s == NOON_S + 100
    ledger.delivered(end, now_wall_s=NOON_S + 50)
    change(ledger, task, worker="one")
    assert not ledger.renew(task, "one", for_s=60.0, now_wall_s=NOON_S + 50)
    out = sent(ledger, owner, "out")
    change(ledger, out, worker="one")
    assert not ledger.renew(out, "one", for_s=60.0, now_wall_s=NOON_S)


def test_a_lease_is_let_go_by_who_holds_it(ledger: MemoryLedger, owner: Owner) -> None:
    """Who lets go leaves when it did; of another's lease nothing changes."""
    running(ledger, owner, "key")
    (task,) = ledger.claim(HERE, "one", for_s=60.0, now_wall_s=NOON_S)
    ledger.release(task, "two", now_wall_s=NOON_S + 5)
    assert ledger.get(task.entry_id) == task
    ledger.release(task, "one", now_wall_s=NOON_S + 5)
    assert ledger.get(task.entry_id) == replace(task, worker=None, worker_until_wall_s=NOON_S + 5)


def test_a_file_of_the_same_path_is_replaced(ledger: MemoryLedger, owner: Owner) -> None:
    """Files that were saved are listed in the order in which they were, and each path once."""
    entry = ended(ledger, running(ledger, owner, "key"), Phase.SUCCEEDED, Billing.BILLED)
    one, two = SavedFile("a.mp4", 5, "a" * 64), SavedFile("b.mp4", 6, "b" * 64)
    newer = SavedFile("a.mp4", 7, "c" * 64)
    for file in (one, two):
        ledger.saved(entry, file, now_wall_s=NOON_S + 15)
    saved = ledger.saved(entry, newer, now_wall_s=NOON_S + 20)
    assert saved == replace(entry, files=(two, newer), updated_wall_s=NOON_S + 20) == ledger.get(entry.entry_id)


def test_a_hundred_at_once_unless_it_is_said_otherwise(ledger: MemoryLedger, owner: Owner) -> None:
    """Who says no limit gets a hundred: of open tasks, of ends to hand over and of the list."""
    tasks = [running(ledger, owner, f"{number}") for number in range(101)]
    assert len(ledger.entries()) == 100
    assert len(ledger.claim(HERE, "one", for_s=60.0, now_wall_s=NOON_S)) == 100
    for task in tasks:
        ended(ledger, task, Phase.FAILED, Billing.NONE)
    assert len(ledger.undelivered()) == 100
    assert len(ledger.claim_ends(HERE, "one", for_s=60.0, now_wall_s=NOON_S)) == 100
