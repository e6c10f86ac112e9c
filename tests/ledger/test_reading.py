"""What a ledger shows and puts aside: whose it is, to the instant, what is damaged, and no results read for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from resilient_poll.ledger.checks import entry_of, stray_of
from resilient_poll.ledger.entry import Entry, Listing, Namespace
from resilient_poll.ledger.errors import EntryCorrupt
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.reading import Archived
from resilient_poll.ledger.rows import ENTRIES, Durability, Owner, Rows, Value
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.ledger.testing_parts import ELSEWHERE, HERE, NOON_S, begun, ended, running, sent
from resilient_poll.machine.lifecycle import Billing, Phase


@pytest.fixture(params=[MemoryLedger, SqliteLedger])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerLogic]:
    """An empty ledger of each kind."""
    place = () if request.param is MemoryLedger else (tmp_path / "ledger.sqlite3",)
    with request.param(*place) as opened:
        yield opened


def change(ledger: LedgerLogic, entry: Entry, **columns: Value) -> None:
    """Write into a row what no act writes."""
    ledger._store.run(lambda rows: rows.update(ENTRIES, entry.entry_id, columns), Durability.QUICK)


def over(ledger: LedgerLogic, key: str, billing: Billing = Billing.NONE) -> Entry:
    """Return an entry whose end was handed over."""
    with ledger.open_owner() as owner:
        phase = Phase.FAILED if billing is Billing.NONE else Phase.SUCCEEDED
        end = ended(ledger, running(ledger, owner, key), phase, billing, '{"made": 1}')
    return ledger.delivered(end, now_wall_s=NOON_S + 9)


def test_nobody_sees_what_is_anothers(ledger: LedgerLogic) -> None:
    """What has the same key and task id in another origin, dialect or account is another's, and not shown here."""
    places = [HERE] + [replace(HERE, **{part: "another"}) for part in ("origin", "dialect", "account")]
    with ledger.open_owner() as owner:
        for place in reversed(places):
            entry = ledger.begin(place, "key", "digest", {"model": "m"}, now_wall_s=NOON_S)
            licence = ledger.license(entry, owner, now_wall_s=NOON_S)
            assert licence is not None
            ledger.accept(licence, "task-1", now_wall_s=NOON_S)
    for place in places:
        found = (ledger.find(place, "key"), ledger.by_task(place, "task-1"), *ledger.entries(namespace=place))
        assert [entry is not None and entry.namespace for entry in found] == [place] * 3
        assert ledger.counts(place) == {Phase.QUEUED: 1}
    nowhere = Namespace("another", "another", "another")
    assert (ledger.find(nowhere, "key"), ledger.by_task(nowhere, "task-1")) == (None, None)
    assert ledger.entries(namespace=nowhere) == Listing(())


def test_a_key_that_no_entry_can_have_finds_none(ledger: LedgerLogic) -> None:
    """Who asks for a key that cannot be written down gets an empty list, and no error."""
    begun(ledger)
    assert ledger.entries(key="\ud800") == Listing(())
    assert [entry.key for entry in ledger.entries(key="key")] == ["key"]


def test_the_bill_is_of_what_was_sent_from_then_until_then(ledger: LedgerLogic) -> None:
    """A bill is of all that was licensed from its first instant on and before its last, and of nothing never sent."""
    with ledger.open_owner() as owner:
        for second in range(3):
            licence = ledger.license(begun(ledger, f"{second}"), owner, now_wall_s=NOON_S + second)
            assert licence is not None
            ledger.accept(licence, f"task-{second}", now_wall_s=NOON_S + 9)
        change(ledger, begun(ledger, "never sent"), billing=Billing.NOT_YET.value)

        def tasks(**bounds: float) -> int:
            bill = ledger.bill(HERE, **bounds)
            assert bill.corrupt == ()
            return sum(row.tasks_that_may_be for row in bill.rows)

        assert tasks() == 3
        assert tasks(since_wall_s=NOON_S + 1) == 2
        assert tasks(until_wall_s=NOON_S + 1) == 1
        assert tasks(since_wall_s=NOON_S + 1, until_wall_s=NOON_S + 2) == 1
        assert tasks(since_wall_s=NOON_S + 3) == 0
        assert ledger.bill(ELSEWHERE).rows == ()


def test_what_is_damaged_is_told_and_stays(ledger: LedgerLogic) -> None:
    """A damaged row is in no bill, is neither archived nor removed, and each of these says how many there are."""
    one, two = over(ledger, "one"), over(ledger, "two")
    change(ledger, one, about="?")
    assert [error.entry_id for error in ledger.bill().corrupt] == [one.entry_id]
    assert ledger.archive(NOON_S + 100, now_wall_s=NOON_S + 200) == Archived(1, {"damaged": 1})
    change(ledger, one, archived_wall_s=NOON_S + 200)
    assert ledger.vacuum(NOON_S + 300) == Archived(1, {"damaged": 1})
    assert [error.entry_id for error in ledger.entries(with_archived=True).corrupt] == [one.entry_id]
    assert ledger.find(HERE, two.key) is None


def test_what_is_archived_is_put_aside_once(ledger: LedgerLogic) -> None:
    """What is archived loses snapshot and result, keeps the time at which it was, and is counted no more."""
    entry = over(ledger, "key")
    change(ledger, entry, snapshot="{}")
    with ledger.open_owner() as owner:
        running(ledger, owner, "open")
    assert ledger.archive(entry.updated_wall_s, now_wall_s=NOON_S + 60) == Archived(0, {"unfinished": 1})
    assert ledger.archive(NOON_S + 10, namespace=ELSEWHERE, now_wall_s=NOON_S + 60) == Archived(0, {})
    assert ledger.archive(NOON_S + 10, now_wall_s=NOON_S + 60) == Archived(1, {"unfinished": 1})
    kept = ledger.get(entry.entry_id)
    assert (kept.archived_wall_s, kept.snapshot, kept.result) == (NOON_S + 60, None, None)
    assert ledger.archive(NOON_S + 10, now_wall_s=NOON_S + 70) == Archived(0, {"unfinished": 1})
    assert ledger.get(entry.entry_id) == kept
    assert ledger.counts() == {Phase.QUEUED: 1}
    assert [found.key for found in ledger.entries()] == ["open"]


def test_what_is_removed_was_settled(ledger: LedgerLogic) -> None:
    """A vacuum removes what was archived before its instant, saved or not, but nothing that has come undone since."""
    with ledger.open_owner() as owner:
        kept = [over(ledger, key) for key in ("a", "b")]
        doubtful = over(ledger, "doubtful")
        late = sent(ledger, owner, "late")
        anew = ledger.license_resubmit(ledger.doubt(late, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        licence = ledger.license(anew, owner, now_wall_s=NOON_S)
        assert licence is not None
        gone = ledger.refuse(licence, now_wall_s=NOON_S + 9)
        ledger.delivered(gone, now_wall_s=NOON_S + 9)
        ledger.accept(late, "task-late", now_wall_s=NOON_S + 9)
    paid = over(ledger, "paid", Billing.BILLED)
    assert ledger.archive(NOON_S + 100, now_wall_s=NOON_S + 200).kept == {"not downloaded": 1}
    assert ledger.archive(NOON_S + 100, including_not_downloaded=True, now_wall_s=NOON_S + 200) == Archived(1, {})
    for entry in kept:
        change(ledger, entry, delivered_wall_s=None)
    undone = {"phase": Phase.IN_DOUBT.value, "billing": Billing.UNDETERMINED.value, "task_id": None}
    change(ledger, doubtful, **undone, ended_wall_s=None, delivered_wall_s=None)
    assert ledger.vacuum(NOON_S + 200) == Archived(0, {})
    assert ledger.vacuum(NOON_S + 201) == Archived(1, {"not delivered": 2, "in doubt": 1, "a stray": 1})
    assert ledger.find(HERE, paid.key) is None
    for entry in (*kept, doubtful, gone):
        assert ledger.find(HERE, entry.key) is not None


def test_a_vacuum_gives_the_space_back(tmp_path: Path) -> None:
    """The file of a ledger from which a large entry was removed is small again."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger:
        entry = over(ledger, "key")
        change(ledger, entry, message="x" * 8192, archived_wall_s=1.0, result='"' + "y" * 300_000 + '"')
        ledger.vacuum(2.0)
    assert path.stat().st_size < 150_000


class Watched:
    """Rows whose reader is watched: how many results it was given, and of which table."""

    def __init__(self, rows: Rows, given: Counter[str]) -> None:
        self._rows = rows
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def select(self, table: str, *wheres: Any, **how: Any) -> Any:
        found = self._rows.select(table, *wheres, **how)
        self._given[table] += sum("result" in row for row in found)
        return found


class Scene(NamedTuple):
    """What an act is done with."""

    ledger: LedgerLogic
    owner: Owner
    entry: Entry


LISTS: dict[str, Callable[[Scene], object]] = {
    "the list": lambda at: at.ledger.entries(with_archived=True),
    "the counts": lambda at: at.ledger.counts(),
    "the bill": lambda at: at.ledger.bill(),
    "archiving": lambda at: at.ledger.archive(1.0, now_wall_s=NOON_S),
    "the vacuum": lambda at: at.ledger.vacuum(1.0),
    "looking up a key": lambda at: at.ledger.find(HERE, "key"),
    "looking up a task": lambda at: at.ledger.by_task(HERE, "task-key"),
    "beginning": lambda at: begun(at.ledger, "new"),
    "a licence in turn": lambda at: at.ledger.license(at.entry, at.owner, slots=9, now_wall_s=NOON_S),
    "a claim": lambda at: at.ledger.claim(HERE, "me", for_s=9.0, now_wall_s=NOON_S),
    "a claim of ends": lambda at: at.ledger.claim_ends(None, "me", for_s=9.0, now_wall_s=NOON_S),
    "settling": lambda at: at.ledger.settle_the_dead(now_wall_s=NOON_S),
}


@pytest.mark.parametrize("act", LISTS)
def test_what_goes_over_many_rows_reads_no_results(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results may have megabytes each: whatever goes over many rows leaves them where they are."""
    ledger = MemoryLedger()
    with ledger.open_owner() as owner:
        over(ledger, "key")
        for key, changes in (("archived", {"archived_wall_s": 0.5}), ("old", {"updated_wall_s": 0.5})):
            change(ledger, over(ledger, key, Billing.BILLED), **changes)
        ended(ledger, running(ledger, owner, "told-to-nobody"), Phase.SUCCEEDED, Billing.BILLED, "{}")
        running(ledger, owner, "open")
        with ledger.open_owner() as dying:
            sent(ledger, dying, "being-sent")
        late = sent(ledger, owner, "late")
        ledger.license_resubmit(ledger.doubt(late, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        ledger.abandon(ledger.get(late.entry_id), now_wall_s=NOON_S)
        ledger.answered(late, "{}", now_wall_s=NOON_S)
        ledger.accept(late, "task-stray", now_wall_s=NOON_S)
        entry = begun(ledger, "next")
        assert len(ledger.strays()) == 2
        given: Counter[str] = Counter()
        for name in ("run", "read"):
            real = getattr(ledger._store, name)

            def watched(work: Any, *durability: Any, real: Any = real) -> Any:
                return real(lambda rows: work(Watched(rows, given)), *durability)

            monkeypatch.setattr(ledger._store, name, watched)
        LISTS[act](Scene(ledger, owner, entry))
        assert not +given


# By hand, and never to be changed: what each version of this package may find in a row that another one wrote. A
# number is the most characters of a text, a question mark says that it may be empty.
ENTRY = (
    "row_id whole, origin 512, dialect 128, account 256, key 512, attempt whole, digest 256, about 16384, phase 32, "
    "sends whole, doubtful_sends 1024, owner 256?, not_before_wall_s seconds?, created_wall_s seconds, "
    "licensed_wall_s seconds?, updated_wall_s seconds, ended_wall_s seconds?, task_id 1024?, status 1024?, billing 32, "
    "request_id 1024?, code 1024?, message 8192?, snapshot 65536?, result 16777216?, delivered_wall_s seconds?, "
    "charge 1024?, files 1048576, worker 256?, worker_until_wall_s seconds, archived_wall_s seconds?"
)
STRAY = (
    "row_id whole, origin 512, dialect 128, account 256, entry_id whole, send whole, task_id 1024?, request_id 1024?, "
    "snapshot 65536?, result 16777216?, reason 8192, seen_wall_s seconds"
)
KINDS = {"whole": "a whole number, zero or more, not 'x'", "seconds": "a number of seconds, zero or more, not 'x'"}


@pytest.mark.parametrize(("read", "by_hand"), [(entry_of, ENTRY), (stray_of, STRAY)])
def test_all_that_is_wrong_with_a_row_is_told(read: Callable[[Any], object], by_hand: str) -> None:
    """What is missing, of another kind or too long by one character is told of each column, in the order of these."""
    columns = [column.split() for column in by_hand.split(", ")]

    def told(row: dict[str, Any]) -> list[str]:
        try:
            read(row)
        except EntryCorrupt as error:
            return [problem for problem in error.problems if " should " in problem or " missing" in problem]
        return []

    missing = [f"{name} is missing" for name, kind in columns if not kind.endswith("?")]
    assert told({})[: len(missing)] == missing
    wrong = {name: "x" if kind.rstrip("?") in KINDS else 5 for name, kind in columns}
    said = [f"{name} should be {KINDS.get(kind.rstrip('?'), 'a text, not int')}" for name, kind in columns]
    assert told(wrong) == said
    most = {name: int(kind.rstrip("?")) for name, kind in columns if kind.rstrip("?") not in KINDS}
    long = {name: "x" * (most[name] + 1) if name in most else 7 for name, _ in columns}
    too_long = [f"{name} should be a text of 1 to {size} characters, not {size + 1}" for name, size in most.items()]
    assert [problem for problem in told(long) if "characters" in problem] == too_long
    fits = {name: text[:-1] if isinstance(text, str) else text for name, text in long.items()}
    assert not any("characters" in problem for problem in told(fits))
