"""Which entries hold a slot, and who stands where in the line: to the second, row by row, worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.core import within
from resilient_poll.ledger.errors import LedgerUnavailable
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRIES, SLOTS, Durability, Rows
from resilient_poll.ledger.slots import leave_the_line, may_go, scope_of, tasks_out
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.ledger.testing_parts import ELSEWHERE, HERE, NOON_S, begun, running, sent
from tests.support.tables import each_case

DAY_S, HOUR_S = 86_400.0, 3600.0
MARKED = '{"makes_no_task":"yes","model":"m"}'


def run(ledger: MemoryLedger, work: Callable[[Rows], Any]) -> Any:
    return ledger._store.run(work, Durability.QUICK)


@each_case(
    "columns, holds",
    [
        ({"phase": "NEW"}, False),
        ({"phase": "SUCCEEDED", "task_id": "t"}, False),
        # What is being sent holds its slot however long it takes, unless it makes no task.
        ({"phase": "SUBMITTING", "licensed_wall_s": NOON_S - 9e8}, True),
        ({"phase": "SUBMITTING", "about": MARKED}, False),
        ({"phase": "SUBMITTING", "about": MARKED, "task_id": "t"}, True),
        ({"phase": "IN_DOUBT", "about": MARKED, "licensed_wall_s": NOON_S}, False),
        ({"phase": "IN_DOUBT", "licensed_wall_s": NOON_S - HOUR_S + 1}, True),
        ({"phase": "IN_DOUBT", "licensed_wall_s": NOON_S - HOUR_S}, False),
        ({"phase": "IN_DOUBT", "licensed_wall_s": NOON_S + HOUR_S - 1}, True),
        ({"phase": "IN_DOUBT", "licensed_wall_s": NOON_S + HOUR_S}, False),
        ({"phase": "RUNNING", "task_id": "t", "licensed_wall_s": NOON_S - DAY_S + 1}, True),
        ({"phase": "RUNNING", "task_id": "t", "licensed_wall_s": NOON_S - DAY_S}, False),
        ({"phase": "QUEUED", "task_id": "t", "licensed_wall_s": NOON_S - HOUR_S}, True),
        # Without the time of a licence that of the entry counts; a damaged one frees nothing.
        ({"phase": "RUNNING", "task_id": "t", "licensed_wall_s": None, "created_wall_s": NOON_S - DAY_S + 1}, True),
        ({"phase": "RUNNING", "task_id": "t", "licensed_wall_s": None, "created_wall_s": NOON_S - DAY_S}, False),
        ({"phase": "RUNNING", "task_id": "t", "licensed_wall_s": "soon"}, True),
        ({"phase": "IN_DOUBT", "licensed_wall_s": "soon", "about": "?"}, True),
    ],
)
def test_an_entry_holds_a_slot_from_its_licence_to_its_end(columns: dict[str, Any], holds: bool) -> None:
    """What may be open at the service holds a slot: what is sent always, a doubt for an hour, a task for a day."""
    ledger = MemoryLedger()
    with ledger.open_owner() as owner:
        entry = sent(ledger, owner)
        run(ledger, lambda rows: rows.update(ENTRIES, entry.entry_id, columns))
        assert run(ledger, lambda rows: tasks_out(rows, within(HERE), NOON_S)) == int(holds)


def test_a_stray_holds_a_slot_for_an_hour() -> None:
    """A task that came beside its entry holds a slot of its own for an hour, and a result that did so holds none."""
    ledger = MemoryLedger()
    with ledger.open_owner() as owner:
        late = sent(ledger, owner)
        ledger.license_resubmit(ledger.doubt(late, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        ledger.abandon(ledger.get(late.entry_id), now_wall_s=NOON_S)
        ledger.answered(late, "{}", now_wall_s=NOON_S)
        ledger.accept(late, "task-late", now_wall_s=NOON_S)
    assert [stray.task_id for stray in ledger.strays()] == [None, "task-late"]
    for later_s, held in ((0.0, 1), (HOUR_S - 1, 1), (HOUR_S, 0)):
        now_s = NOON_S + later_s
        assert run(ledger, partial(tasks_out, mine=within(HERE), now_wall_s=now_s)) == held


def test_the_tasks_of_another_account_hold_no_slot() -> None:
    """Only the tasks of the account that is asked about hold its slots, whatever else the ledger knows of."""
    ledger = MemoryLedger()
    with ledger.open_owner() as owner:
        running(ledger, owner, "one")
        late = sent(ledger, owner, "two")
        ledger.license_resubmit(ledger.doubt(late, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        ledger.abandon(ledger.get(late.entry_id), now_wall_s=NOON_S)
        ledger.accept(late, "task-late", now_wall_s=NOON_S)
    assert [stray.task_id for stray in ledger.strays()] == ["task-late"]
    held = [run(ledger, partial(tasks_out, mine=within(whose), now_wall_s=NOON_S)) for whose in (HERE, ELSEWHERE)]
    assert held == [2, 0], "the first one's, and the late one beside its entry"


def test_those_who_share_find_each_other() -> None:
    """Every version and every process calls the same slots the same: by a digest of the key, or of whose tasks."""
    whose = b"tasks of\nhttps://api.test/v1\ngeneric\nmain"
    assert scope_of(HERE) == hashlib.sha256(whose).hexdigest()
    assert scope_of("k\u00e9y") == hashlib.sha256(b"k\xc3\xa9y").hexdigest()
    assert scope_of("\ud800") == hashlib.sha256(b"\\ud800").hexdigest()


def ask(
    standing: list[tuple[str, float | str]], owner: str, *, places: int = 2, taken: int = 0, held: str | None = None
) -> tuple[bool, list[Any]]:
    """Return what one who asks at noon is told, and who stands in the line then, with when it asked last."""
    ledger = MemoryLedger()

    def work(rows: Rows) -> tuple[bool, list[Any]]:
        for name, ago_s in standing:
            asked = ago_s if isinstance(ago_s, str) else NOON_S - ago_s
            rows.insert(SLOTS, {"scope": "s", "owner": name, "is_held": int(name == held), "asked_wall_s": asked})
        rows.insert(SLOTS, {"scope": "another", "owner": "x", "is_held": 0, "asked_wall_s": NOON_S})
        told = may_go(rows, "s", owner, places=places, taken=taken, now_wall_s=NOON_S)
        left = [row for row in rows.select(SLOTS, ()) if row["scope"] == "s"]
        times = [row["asked_wall_s"] for row in left]
        ago = [time if isinstance(time, str) else NOON_S - float(time or 0) for time in times]
        return told, list(zip([row["owner"] for row in left], ago, strict=True))

    told: tuple[bool, list[Any]] = run(ledger, work)
    return told


@each_case(
    "standing, taken, told, left",
    [
        ([], 1, True, []),
        ([], 2, False, [("me", 0.0)]),
        # Who stood there before comes first; who came later does not.
        ([("a", 1.0)], 1, False, [("a", 1.0), ("me", 0.0)]),
        ([("a", 1.0)], 0, True, [("a", 1.0)]),
        ([("me", 1.0), ("a", 1.0)], 1, True, [("a", 1.0)]),
        ([("a", 1.0), ("me", 1.0)], 1, False, [("a", 1.0), ("me", 0.0)]),
        # A place is kept for five seconds, the fifth included, and a note for a minute; so with a clock that is ahead.
        ([("a", 5.0)], 1, False, [("a", 5.0), ("me", 0.0)]),
        ([("a", 5.5)], 1, True, [("a", 5.5)]),
        ([("a", -5.5)], 1, True, [("a", -5.5)]),
        ([("a", 60.0)], 1, True, [("a", 60.0)]),
        ([("a", 60.5)], 1, True, []),
        ([("a", -60.5)], 1, True, []),
        ([("a", "damaged")], 1, True, []),
        # Who lost its place by not asking gets a new one at the end, and has one only.
        ([("me", 5.5), ("a", 1.0)], 2, False, [("a", 1.0), ("me", 0.0)]),
        ([("me", 5.0), ("a", 1.0)], 2, False, [("me", 0.0), ("a", 1.0)]),
        ([("me", 4.0), ("me", 3.0)], 2, False, [("me", 0.0), ("me", 3.0)]),
        ([("me", 4.0), ("me", 3.0)], 1, True, []),
    ],
)
def test_the_line_is_in_order(
    standing: list[tuple[str, float | str]], taken: int, told: bool, left: list[tuple[str, float]]
) -> None:
    """A free slot goes to who asks only if there is one for each who stood there before, and who is told no stays."""
    assert ask(standing, "me", taken=taken) == (told, left)


def test_who_leaves_leaves_nothing() -> None:
    """Who leaves gives back what it held and its places in all lines, and nobody else's."""
    ledger = MemoryLedger()

    def work(rows: Rows) -> list[Any]:
        for scope, owner, is_held in (("s", "me", 1), ("s", "me", 0), ("s", "a", 0), ("other", "me", 0)):
            rows.insert(SLOTS, {"scope": scope, "owner": owner, "is_held": is_held, "asked_wall_s": NOON_S})
        leave_the_line(rows, "me")
        return [(row["scope"], row["owner"]) for row in rows.select(SLOTS, ())]

    assert run(ledger, work) == [("s", "a")]


def test_how_often_to_ask_is_such_that_a_place_is_kept() -> None:
    """Who asks every 2.5 seconds or more often keeps its place of five; more seldom, or never, is refused."""
    ledger = MemoryLedger()
    for look_again_s in (0.001, 1.0, 2.5):
        with ledger.slots(1, look_again_s=look_again_s) as slots:
            assert slots.look_again_s == look_again_s
    for look_again_s in (0.0, -1.0, 2.51, float("nan")):
        with pytest.raises(ConfigurationError, match=r"above 0 and at most 2\.5, not"):
            ledger.slots(1, look_again_s=look_again_s)


def test_a_lock_that_somebody_removed_is_taken_again(tmp_path: Path) -> None:
    """Who takes a slot is alive from then on, though somebody removed the file of its lock."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.slots(1) as one, ledger.slots(1) as other:
        held = one.take("a")
        assert held is not None
        for path in (tmp_path / "ledger.sqlite3.owners").glob("*.lock"):
            path.unlink()
        one.give_back(held)
        assert one.take("a") is not None
        assert other.take("a") is None


def test_who_closes_in_bad_times_is_gone_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger cannot be written at the close, nothing is raised, and others see that nobody holds the slot."""
    ledger = MemoryLedger()
    slots = ledger.slots(1)
    assert slots.take("a") is not None

    def broken(*_: object) -> None:
        raise LedgerUnavailable("gone for a moment")

    with monkeypatch.context() as times:
        times.setattr(ledger._store, "run", broken)
        slots.close()
    with ledger.slots(1) as other:
        assert other.take("a") is not None


def test_what_was_given_back_is_given_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that was given back costs no more writes: a take is one transaction."""
    ledger = MemoryLedger()
    with ledger.slots(1) as slots:
        held = slots.take("a")
        assert held is not None
        slots.give_back(held)
        writes: list[object] = []
        real = ledger._store.run

        def counted(work: Any, durability: Durability) -> Any:
            writes.append(work)
            return real(work, durability)

        monkeypatch.setattr(ledger._store, "run", counted)
        assert slots.take("a") is not None
        assert len(writes) == 1


def test_a_new_entry_holds_no_slot() -> None:
    """What is only wanted is not out yet."""
    ledger = MemoryLedger()
    begun(ledger)
    assert run(ledger, lambda rows: tasks_out(rows, within(HERE), NOON_S)) == 0
