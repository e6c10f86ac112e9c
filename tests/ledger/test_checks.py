"""What may be written, what may be read, and what the package shows."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

import resilient_poll.ledger
from resilient_poll import ResilientPollError
from resilient_poll.ledger import checks
from resilient_poll.ledger.checks import changes_of, entry_of, fitting, row_of, stray_of, stray_row_of
from resilient_poll.ledger.entry import Charge, Entry, Namespace, SavedFile, Stray
from resilient_poll.ledger.errors import EntryCorrupt, EntryInvalid
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRY_COLUMNS, LONGEST_RESULT
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase
from tests.support.properties import Property

HERE = Namespace("https://api.test/v1", "generic", "main")
NEW = Entry(entry_id=7, namespace=HERE, key="key", attempt=1, digest="digest", created_wall_s=1.0, updated_wall_s=1.0)
LICENCE = replace(NEW, phase=Phase.SUBMITTING, billing=Billing.UNDETERMINED, owner="me", sends=1, licensed_wall_s=2.0)
OPEN_TASK = replace(LICENCE, phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, task_id="task-1")
ENDED = replace(OPEN_TASK, phase=Phase.SUCCEEDED, billing=Billing.BILLED, ended_wall_s=3.0)

texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=20)
seconds = st.floats(0, 1e12)
charges = st.none() | st.builds(
    Charge, st.decimals(0, 10**6, places=4), st.sampled_from(["USD", "CNY"]), texts, st.decimals(0, 100, places=2)
)
files = st.lists(st.builds(SavedFile, texts, st.integers(0, 2**40), st.just("a" * 64)), max_size=3).map(tuple)
entries = st.builds(
    replace,
    st.sampled_from([NEW, LICENCE, OPEN_TASK, ENDED]),
    key=texts,
    about=st.dictionaries(texts, texts, max_size=3),
    charge=charges,
    files=files,
    doubtful_sends=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    status=st.none() | texts,
    message=st.none() | texts,
    snapshot=st.sampled_from([None, "{}", '{"version": 1}']),
    result=st.sampled_from([None, "[]", '"\\u0000"']),
    not_before_wall_s=st.none() | seconds,
    worker_until_wall_s=seconds,
)


def there_and_back(entry: Entry, other: Entry) -> None:
    """Compare an entry with what its row says, and one that changed with its changes."""
    assert entry_of(row_of(entry)) == entry
    changed = {**row_of(entry), **changes_of(entry, other)}
    assert entry_of(changed) == replace(other, entry_id=entry.entry_id)


def test_what_is_written_is_what_is_read() -> None:
    """Every entry comes back from its row as it was, and becomes another one by the other's changes."""
    Property(there_and_back, entry=entries, other=entries).holds()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (replace(NEW, attempt=0), "attempt should be 1 or more"),
        (replace(ENDED, ended_wall_s=None), "an end has a time"),
        (replace(OPEN_TASK, ended_wall_s=1.0), "only an end has a time"),
        (replace(NEW, task_id="task-1"), "a task id means that it was accepted"),
        (replace(OPEN_TASK, task_id=None), "an open task has an id"),
        (replace(LICENCE, owner=None), "a licence has an owner"),
        (replace(NEW, owner="me"), "what nobody sends has no owner"),
        (replace(OPEN_TASK, sends=0), "what was sent had a licence"),
        (replace(OPEN_TASK, licensed_wall_s=None), "what was sent had a licence"),
        (replace(LICENCE, billing=Billing.NONE), "what nobody knows of is not said to be free"),
        (replace(NEW, created_wall_s=float("nan")), "created_wall_s should be a number of seconds"),
        (replace(NEW, sends=-1), "sends should be a whole number"),
        (replace(NEW, sends=True), "sends should be a whole number"),
        (replace(NEW, sends=2**63), "sends should be a whole number"),
        (replace(NEW, not_before_wall_s=True), "not_before_wall_s should be a number of seconds"),
        (replace(NEW, created_wall_s=1e15), "created_wall_s should be a number of seconds"),
        (replace(NEW, phase="NEW"), "phase is missing"),
        (replace(NEW, billing="NONE"), "billing is missing"),
        (replace(NEW, about={"model": 1}), "about should be a mapping"),
        (replace(NEW, about={str(number): "x" for number in range(33)}), "about should be a mapping"),
        (replace(NEW, charge=Charge(Decimal("nan"), "USD")), "charge should be an amount"),
        (replace(NEW, charge=Charge(Decimal(10) ** 15, "USD")), "charge should be an amount"),
        (replace(NEW, charge=Charge(Decimal("1e-10"), "USD")), "charge should be an amount"),
        (replace(NEW, about={"n": "x" * 1024}), "about should be a mapping"),
        (replace(NEW, charge=Charge(Decimal(1), "")), "charge should be an amount"),
        (replace(NEW, charge=Charge(Decimal(1), "x" * 33)), "charge should be an amount"),
        (replace(NEW, charge=Charge(Decimal(1), "USD", "x" * 129)), "charge should be an amount"),
        (replace(NEW, files=(SavedFile("", 1, "a" * 64),)), "files should be a list"),
        (replace(NEW, files=(SavedFile("x", -1, "a" * 64),)), "files should be a list"),
        (replace(NEW, files=(SavedFile("x", True, "a" * 64),)), "files should be a list"),
        (replace(NEW, files=(SavedFile("x", 1, "abc"),)), "files should be a list"),
        (replace(NEW, snapshot="[]"), "snapshot should be a snapshot"),
        (replace(NEW, snapshot="{"), "snapshot should be a snapshot"),
        (replace(NEW, doubtful_sends=(0,)), "doubtful_sends should be a list"),
        (replace(OPEN_TASK, task_id="a b"), "task_id should be a text of visible characters"),
        (replace(OPEN_TASK, task_id="a\n"), "task_id should be a text of visible characters"),
        (replace(NEW, result=5), "result should be a text, not int"),
        (replace(ENDED, result="x" * (LONGEST_RESULT + 1)), "result should be a text of 1 to"),
    ],
)
def test_what_must_not_be_written(entry: Entry, said: str) -> None:
    """Each rule refuses what breaks it, when an entry is added and when one is changed."""
    with pytest.raises(EntryInvalid) as added:
        row_of(entry)
    with pytest.raises(EntryInvalid) as changed:
        changes_of(replace(ENDED, sends=5) if entry.phase == Phase.NEW else NEW, entry)
    assert said in str(added.value)
    assert said in str(changed.value)


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.NEW, Phase.ABANDONED}))
def test_who_was_sent_had_a_licence(phase: Phase) -> None:
    """Only what is wanted and what was given up may never have been sent; else it would be missing on the bill."""
    base = LICENCE if phase in {Phase.SUBMITTING, Phase.IN_DOUBT} else OPEN_TASK
    entry = replace(base, phase=phase, ended_wall_s=3.0 if phase in ENDS else None)
    for wrong in (replace(entry, sends=0), replace(entry, licensed_wall_s=None)):
        with pytest.raises(EntryInvalid) as caught:
            row_of(wrong)
        assert caught.value.problems == ("what was sent had a licence",)


@pytest.mark.parametrize("base", [NEW, LICENCE, replace(LICENCE, phase=Phase.IN_DOUBT)], ids=lambda one: one.phase)
def test_who_holds_an_id_was_accepted(base: Entry) -> None:
    """What is wanted, being sent or in doubt holds no task id: with one it would be asked about, not settled."""
    with pytest.raises(EntryInvalid) as caught:
        row_of(replace(base, task_id="task-1"))
    assert caught.value.problems == ("a task id means that it was accepted",)


@pytest.mark.parametrize(
    "entry",
    [
        replace(NEW, sends=2**63 - 1, created_wall_s=999_999_999_999_999.8),
        replace(NEW, about={str(number): "x" for number in range(32)}),
        replace(NEW, about={"n": "x" * 1023}),
        replace(NEW, charge=Charge(Decimal("999999999999999.999999999"), "x" * 32, "x" * 128, Decimal("1e-9"))),
        replace(NEW, files=(SavedFile("empty", 0, "a" * 64),)),
    ],
)
def test_the_largest_and_the_smallest_can_be_kept(entry: Entry) -> None:
    """What is just within a limit is kept as it is: 2**63 - 1, below 1e15 s, 32 texts of 1024, 9 decimals, no bytes."""
    assert entry_of(row_of(entry)) == entry


NO_CHARGE = "charge should be an amount from 0 to 10^15 with 9 decimals at most, a currency, a unit and units"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("result", "{", "result should be JSON"),
        ("attempt", 0, "attempt should be 1 or more"),
        ("ended_wall_s", None, "an end has a time"),
        ("snapshot", "{", "snapshot should be a snapshot"),
        ("charge", '"1234"', NO_CHARGE),
        ("charge", '["1","USD","",1]', NO_CHARGE),
        ("charge", '["1","USD",""]', NO_CHARGE),
        ("row_id", "seven", "row_id should be a whole number, zero or more, not 'seven'"),
    ],
)
def test_a_damaged_row_is_told(column: str, value: Any, said: str) -> None:
    """What was changed behind our back is told with the row's number (0 if that is damaged), and is no entry."""
    with pytest.raises(EntryCorrupt) as caught:
        entry_of({**row_of(ENDED), column: value})
    assert caught.value.problems == (said,)
    assert caught.value.entry_id == (0 if column == "row_id" else 7)


def test_every_phase_can_be_kept() -> None:
    """No rule forbids what the machine's table of phases allows."""
    for phase in Phase:
        base = NEW if phase is Phase.NEW else LICENCE if phase in {Phase.SUBMITTING, Phase.IN_DOUBT} else OPEN_TASK
        entry = replace(base, phase=phase, ended_wall_s=3.0 if phase in ENDS else None)
        assert entry_of(row_of(entry)) == entry
        assert (entry.is_ended, phase in OPEN) != (True, True)


@pytest.mark.parametrize("column", [column.name for column in ENTRY_COLUMNS if column.is_required])
def test_a_missing_column_is_told(column: str) -> None:
    """A row that lacks what it must have is damaged, and the error says where."""
    with pytest.raises(EntryCorrupt, match=column):
        entry_of({**row_of(NEW), column: None})


def test_strays_are_checked_too() -> None:
    """A stray comes back as it was; one with neither id nor result, or with junk, is refused on both ways."""
    stray = Stray(
        stray_id=3,
        namespace=HERE,
        entry_id=7,
        send=1,
        task_id="task-1",
        request_id=None,
        snapshot="{}",
        result=None,
        reason="late",
        seen_wall_s=1.0,
    )
    assert stray_of({"row_id": 3, **stray_row_of(stray)}) == stray
    for wrong in (replace(stray, task_id=None), replace(stray, task_id="a b"), replace(stray, snapshot="?")):
        with pytest.raises(EntryInvalid):
            stray_row_of(wrong)
    with pytest.raises(EntryCorrupt, match="stray 3") as caught:
        stray_of({"row_id": 3, **stray_row_of(stray), "send": "one"})
    assert caught.value.entry_id == 7, "whose stray it is, so that one knows for what it may be billed"


@pytest.mark.parametrize("text", ["", "plain", "\0", "\ud800 half", "é" * 9000])
def test_what_was_said_always_fits(text: str) -> None:
    """Whatever a service says can be kept afterwards, and most of it stays."""
    kept = fitting(text, "message")
    assert kept is not None
    assert checks.is_keepable(kept)
    assert len(kept) <= 8 * 1024
    assert fitting(None, "message") is None


def test_what_cannot_be_kept_becomes_one_sign() -> None:
    """What no database takes is replaced by one sign for each, and the rest stays where it was."""
    assert fitting("a\0b\ud800c", "message") == "a\ufffdb?c"


def test_the_package_shows_what_was_not_used_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the package shows is every public name, used already or not, beside what any module has."""
    monkeypatch.delitem(vars(resilient_poll.ledger), "MemoryLedger", raising=False)
    shown = dir(resilient_poll.ledger)
    assert {"MemoryLedger", "__name__"} <= set(shown)
    assert shown == sorted(shown)
    found = [resilient_poll.ledger.MemoryLedger for _ in range(2)]
    assert found == [MemoryLedger, MemoryLedger], "found at the first use, and kept"


def test_the_package_shows_its_names_late() -> None:
    """Every public name is there and documented, and naming one brings no database in but its own."""
    errors = []
    for name in resilient_poll.ledger.__all__:
        found: Any = getattr(resilient_poll.ledger, name)
        assert found.__doc__
        errors += [found] if isinstance(found, type) and issubclass(found, Exception) else []
    assert sorted(resilient_poll.ledger.__all__) == resilient_poll.ledger.__all__
    assert set(resilient_poll.ledger.__all__) <= set(dir(resilient_poll.ledger))
    assert not hasattr(resilient_poll.ledger, "Leger")
    assert len(errors) == 11
    for error in errors:
        assert issubclass(error, ResilientPollError)
        assert not issubclass(error, TimeoutError | OSError)
    drivers = "{'sqlite3', 'psycopg', 'anyio'}"
    code = f"import sys; from resilient_poll.ledger import MemoryLedger; print({drivers} & set(sys.modules))"
    # What measures coverage brings sqlite3 in itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "set()"
