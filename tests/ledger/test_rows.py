"""What the logic expects of a store of rows, worked out by hand: conditions, transactions, what may not be twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resilient_poll.ledger.checks import row_of, stray_row_of
from resilient_poll.ledger.entry import Namespace, Stray
from resilient_poll.ledger.errors import EntryCorrupt, LedgerUnavailable
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRIES, SLOTS, STRAYS, Durability, Row, Rows, Where
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.ledger.test_checks import HERE, NEW

STRAY = Stray(
    stray_id=0,
    namespace=HERE,
    entry_id=1,
    send=1,
    task_id="task-1",
    request_id=None,
    snapshot=None,
    result=None,
    reason="late",
    seen_wall_s=1.0,
)


@pytest.fixture(params=[MemoryLedger, SqliteLedger])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerLogic]:
    """An empty ledger of each kind."""
    place = () if request.param is MemoryLedger else (tmp_path / "ledger.sqlite3",)
    with request.param(*place) as opened:
        yield opened


def row(key: str, namespace: Namespace = HERE, **changes: Any) -> Row:
    """Return a row of an entry without a number."""
    return {**row_of(replace(NEW, entry_id=0, key=key, namespace=namespace)), **changes}


def run(ledger: LedgerLogic, work: Any) -> Any:
    return ledger._store.run(work, Durability.SYNCED)


CONDITIONS = (
    (Where("sends", "=", 2), "b"),
    (Where("sends", "in", (1, 3)), "ac"),
    (Where("sends", "in", ()), ""),
    (Where("sends", "<", 2), "a"),
    (Where("sends", "<=", 2), "ab"),
    (Where("sends", ">", 2), "c"),
    (Where("sends", ">=", 2), "bc"),
    (Where("task_id", "null"), "ac"),
    (Where("task_id", "not null"), "b"),
    (Where("task_id", "=", None), ""),
    (Where("licensed_wall_s", "<", 9.0), "b"),
    (Where("key", "=", "c"), "c"),
)


def test_each_condition_finds_its_rows(ledger: LedgerLogic) -> None:
    """A condition finds the rows for which it holds, and an empty column fulfils none but that it is empty."""

    def work(rows: Rows) -> None:
        for number, key in enumerate("abc", start=1):
            told = {"task_id": "task-1", "licensed_wall_s": 1.0} if key == "b" else {}
            rows.insert(ENTRIES, row(key, sends=number, **told))
        whole = [Where(name, "=", getattr(HERE, name)) for name in ("origin", "dialect", "account")]
        for condition, found in CONDITIONS:
            assert "".join(str(one["key"]) for one in rows.select(ENTRIES, [condition])) == found
            assert sum(count for _, count in rows.tally(ENTRIES, [condition], ("phase",))) == len(found)
            for key in "abc":  # With the whole name of a key, by which an index finds it.
                there = rows.select(ENTRIES, [condition, *whole, Where("key", "=", key)], columns=("key",))
                assert there == ([{"key": key}] if key in found else [])

    run(ledger, work)


def test_what_is_undone_was_never_there(ledger: LedgerLogic) -> None:
    """Whatever a transaction did before it failed is undone: rows, what finds them, and settings."""
    kept = run(ledger, lambda rows: [rows.insert(ENTRIES, row(key)) for key in ("kept", "gone")])
    run(ledger, lambda rows: rows.set_setting("word", "old"))

    def content(rows: Rows) -> list[object]:
        return [rows.select(ENTRIES, ()), rows.select(STRAYS, ()), rows.setting("word"), rows.setting("other")]

    before = run(ledger, content)

    def work(rows: Rows) -> None:
        rows.update(ENTRIES, kept[0], {"key": "moved", "sends": 1})
        rows.update(ENTRIES, kept[0], {"sends": 2, "task_id": "task-1"})
        rows.delete(ENTRIES, [kept[1]])
        rows.insert(ENTRIES, row("new"))
        rows.insert(STRAYS, stray_row_of(STRAY))
        rows.set_setting("word", "new")
        rows.set_setting("other", "new")
        raise KeyError("the caller's")

    for _ in range(2):
        with pytest.raises(KeyError, match="the caller's"):
            run(ledger, work)
        assert run(ledger, content) == before
        assert [ledger.find(HERE, key) is None for key in ("kept", "gone", "moved", "new")] == [
            False,
            False,
            True,
            True,
        ]
        assert ledger.by_task(HERE, "task-1") is None
    # Nor does it keep anything from being written.
    run(ledger, lambda rows: rows.insert(ENTRIES, row("new", task_id="task-1")))


def test_nothing_is_there_twice(ledger: LedgerLogic) -> None:
    """Within one namespace no attempt of a key is there twice, no task id is held twice, and none is twice a stray."""
    run(ledger, lambda rows: rows.insert(ENTRIES, row("key", task_id="task-1")))
    run(ledger, lambda rows: rows.insert(STRAYS, stray_row_of(STRAY)))
    other = run(ledger, lambda rows: rows.insert(ENTRIES, row("key", attempt=2)))
    for twice in (
        lambda rows: rows.insert(ENTRIES, row("key")),
        lambda rows: rows.insert(ENTRIES, row("another", task_id="task-1")),
        lambda rows: rows.update(ENTRIES, other, {"attempt": 1}),
        lambda rows: rows.update(ENTRIES, other, {"task_id": "task-1"}),
        lambda rows: rows.insert(STRAYS, stray_row_of(replace(STRAY, send=2))),
    ):
        with pytest.raises(LedgerUnavailable):
            run(ledger, twice)
    for part in ("origin", "dialect", "account"):
        place = replace(HERE, **{part: "another"})
        run(ledger, lambda rows, place=place: rows.insert(ENTRIES, row("key", place, task_id="task-1")))
        run(ledger, lambda rows, place=place: rows.insert(STRAYS, stray_row_of(replace(STRAY, namespace=place))))
    # Without an id, any number of them.
    for result in ("{}", "[]"):
        nameless = replace(STRAY, task_id=None, result=result)
        run(ledger, lambda rows, nameless=nameless: rows.insert(STRAYS, stray_row_of(nameless)))
    assert [len(run(ledger, lambda rows, table=table: rows.select(table, ()))) for table in (ENTRIES, STRAYS)] == [5, 6]


def test_numbers_grow(ledger: LedgerLogic) -> None:
    """Each table has numbers of its own, from 1, and no number is given twice."""

    def work(rows: Rows) -> list[int]:
        given = [rows.insert(ENTRIES, row(key)) for key in "ab"]
        rows.delete(ENTRIES, [given[-1], 99])
        given.append(rows.insert(ENTRIES, row("c")))
        given.append(rows.insert(STRAYS, stray_row_of(STRAY)))
        stands = {"scope": "a", "owner": "me", "is_held": 0, "asked_wall_s": 1.0}
        given.append(rows.insert(SLOTS, stands))
        assert (rows.get(ENTRIES, given[1]), rows.get(SLOTS, given[-1])) == (None, {**stands, "row_id": 1})
        return given

    assert run(ledger, work) == [1, 2, 3, 1, 1]


def test_an_owner_is_alive_from_its_opening(ledger: LedgerLogic) -> None:
    """An owner is alive from when it is opened to the end of its block, before it holds any licence; so is no other."""
    with ledger.open_owner() as owner, ledger.open_owner() as other:
        assert owner.name != other.name
        assert [ledger._liveness.is_dead(one.name) for one in (owner, other)] == [False, False]
        other.close()
        assert [ledger._liveness.is_dead(one.name) for one in (owner, other)] == [False, True]
    assert ledger._liveness.is_dead(owner.name) is True


def test_a_damaged_row_is_listed_apart(ledger: LedgerLogic) -> None:
    """Where one row is damaged the others are listed, and the error says which it is."""
    numbers = run(ledger, lambda rows: [rows.insert(ENTRIES, row(key)) for key in "abc"])
    run(ledger, lambda rows: rows.update(ENTRIES, numbers[1], {"about": "?"}))
    listing = ledger.entries()
    assert [entry.key for entry in listing] == ["c", "a"]
    assert [error.entry_id for error in listing.corrupt] == [numbers[1]]


@pytest.mark.parametrize("damaged", [1, 2])
def test_an_attempt_without_a_number_is_told(ledger: LedgerLogic, damaged: int) -> None:
    """Where an attempt's number is damaged it may be the newest: that is said, and nothing is begun under its key."""
    run(ledger, lambda rows: [rows.insert(ENTRIES, row("key", attempt=number)) for number in (1, 2)])
    run(ledger, lambda rows: rows.update(ENTRIES, damaged, {"attempt": "many"}))
    for act in (lambda: ledger.find(HERE, "key"), lambda: ledger.begin(HERE, "key", "digest", now_wall_s=1.0)):
        with pytest.raises(EntryCorrupt, match=f"entry {damaged} of the ledger is damaged"):
            act()
