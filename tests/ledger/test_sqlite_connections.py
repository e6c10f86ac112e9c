"""The two connections of a ledger's file: what each is for, what is asked of SQLite, and what is left of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resilient_poll.ledger import sqlite
from resilient_poll.ledger.errors import EntryCorrupt, LedgerError, LedgerUnavailable, LedgerUnusable
from resilient_poll.ledger.owners import lock_now
from resilient_poll.ledger.schema import STEPS
from resilient_poll.ledger.sqlite import SqliteLedger, SqliteStore
from resilient_poll.ledger.testing_parts import begun, running
from tests.support.tables import each_case


def test_a_ledger_on_a_network_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's list of mounts says that the folder is shared, a ledger is made only if its user says so."""

    def listed(path: Path) -> str | None:
        return f"30 22 0:50 / {tmp_path} rw - nfs4 server:/x rw\n" if str(path) == "/proc/self/mountinfo" else None

    monkeypatch.setattr(sqlite, "read_mounts", listed)
    with pytest.raises(LedgerUnusable, match=r"shared over a network \(nfs4\)"):
        SqliteLedger(tmp_path / "ledger.sqlite3")
    assert not list(tmp_path.iterdir())
    with SqliteLedger(tmp_path / "ledger.sqlite3", allow_network_file_system=True) as ledger:
        begun(ledger)


def test_money_is_on_the_disk_and_leases_need_not_be(tmp_path: Path) -> None:
    """Commits of one connection are synced (FULL, 2), those of the other are not (NORMAL, 1), and both wait alike."""
    with SqliteLedger(tmp_path / "ledger.sqlite3", busy_s=0.25) as ledger:
        found = {
            pragma: [
                connection.execute(f"PRAGMA {pragma}").fetchone()[0]
                for connection in (ledger._store._synced, ledger._store._quick)
            ]
            for pragma in ("synchronous", "busy_timeout", "fullfsync", "checkpoint_fullfsync")
        }
    assert found == {
        "synchronous": [2, 1],
        "busy_timeout": [250, 250],
        "fullfsync": [1, 1],
        "checkpoint_fullfsync": [1, 1],
    }


def test_a_file_is_never_made_by_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite is asked by a URI to open what is there: a file of its own making would be readable for others."""
    asked: list[tuple[str, object]] = []
    connect = sqlite3.connect

    def spy(name: str, **options: Any) -> sqlite3.Connection:
        asked.append((name, options.get("uri")))
        return connect(name, **options)

    monkeypatch.setattr(sqlite3, "connect", spy)
    with SqliteLedger(tmp_path / "a?b#c%20.sqlite3") as ledger:
        begun(ledger)
    # Not every SQLite reads a URI as one unless it is told to.
    assert asked == [(f"file://{tmp_path}/a%3Fb%23c%2520.sqlite3?mode=rw", True)] * 2
    nowhere, link = tmp_path / "nowhere", tmp_path / "link"
    link.symlink_to(nowhere)
    with pytest.raises(LedgerUnusable, match=f"the ledger {link} cannot be opened: make"):
        SqliteStore(link, tmp_path / "locks")
    assert not nowhere.exists()


def test_who_waits_in_vain_is_told_for_which_ledger(tmp_path: Path) -> None:
    """Of a ledger that another process does not let go of the path is told, whatever was wanted."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path, busy_s=0.0) as ledger, SqliteLedger(path) as other:
        other._store._synced.execute("BEGIN IMMEDIATE")
        for act in (lambda: begun(ledger), ledger._store.reclaim):
            with pytest.raises(LedgerUnavailable, match=f"^the ledger {path} is in use by another process"):
                act()
        other._store._synced.execute("ROLLBACK")
        ledger._store.reclaim()


def test_what_is_reclaimed_is_free_on_the_disk(tmp_path: Path) -> None:
    """After a vacuum the log is empty, though the ledger stays open, and the file has given back what was removed."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger:
        ledger.set_setting("large", "x" * 200_000)
        ledger.set_setting("large", "small")
        assert (tmp_path / "ledger.sqlite3-wal").stat().st_size > 200_000
        ledger._store.reclaim()
        assert (tmp_path / "ledger.sqlite3-wal").stat().st_size == 0
        assert path.stat().st_size < 100_000


def open_files(folder: Path) -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.append(str(descriptor.readlink()))
    return [name for name in found if name.startswith(f"{folder}/")]


def make_anothers_file(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE colours (name TEXT)")
    connection.close()


def make_text(path: Path) -> None:
    path.write_text("To whom it may concern. " * 99)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it looks where Linux lists what is open")
@each_case("make", [make_anothers_file, make_text])
def test_a_ledger_that_was_refused_is_not_left_open(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Whoever holds on to the error of a file that is no ledger does not hold the file open with it."""
    path = tmp_path / make.__name__
    make(path)
    with pytest.raises(LedgerUnusable, match="was not touched") as caught:
        SqliteLedger(path)
    assert open_files(tmp_path) == []
    assert str(path) in str(caught.value)


def test_a_child_lets_go_of_nothing_that_is_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child keeps hold of each store that is open, which would close in the parent's name, and of no other."""
    kept: list[SqliteStore] = []
    monkeypatch.setattr(sqlite, "_OF_THE_PARENT", kept)
    with SqliteLedger(tmp_path / "open") as ledger, SqliteLedger(tmp_path / "closed") as other:
        other.close()
        sqlite._in_a_child()
        assert any(store is ledger._store for store in kept)
        assert not any(store is other._store for store in kept)


@each_case(
    "code, kind, said",
    [
        (5, LedgerUnavailable, "is in use by another process that does not let go: look for one that is stopped"),
        (5 + 256 * 2, LedgerUnavailable, "is in use by another process"),  # SQLITE_BUSY_SNAPSHOT
        (6, LedgerUnavailable, "is in use by another process"),
        (13, LedgerUnavailable, "cannot grow, as the disk or its quota is full: make room"),
        (8, LedgerUnusable, "may not be written: make the file and its folder writable"),
        (3, LedgerUnusable, "may not be opened: make the file and its folder writable"),
        (14, LedgerUnusable, "cannot be opened: make the file and its folder writable"),
        (10, LedgerUnavailable, "cannot be read or written: look at the disk, then try again"),
        (10 + 256 * 4, LedgerUnavailable, "cannot be read or written"),  # SQLITE_IOERR_FSYNC
        (11, LedgerUnusable, "is damaged: keep a copy"),
        (26, LedgerUnusable, "is no SQLite file and was not touched: name another"),
        (1, LedgerUnavailable, "cannot be used"),
        (None, LedgerUnavailable, "cannot be used"),
    ],
)
def test_what_sqlite_says_is_told_in_our_words(code: int | None, kind: type[LedgerError], said: str) -> None:
    """Each result code of SQLite's documentation is told with the path, what to do and SQLite's own words."""
    error = sqlite3.OperationalError("its own words")
    if code is not None:
        error.sqlite_errorcode = code
    told = pytest.raises(kind, match=rf"^the ledger /a/ledger {said}.* \[its own words\]$")
    with told as caught, sqlite._Telling(Path("/a/ledger")):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_a_ledgers_file_says_that_it_is_one(tmp_path: Path) -> None:
    """The header of the file holds RPS1 and the version, where SQLite's format has places for them."""
    SqliteLedger(tmp_path / "ledger.sqlite3").close()
    header = (tmp_path / "ledger.sqlite3").read_bytes()[:100]
    assert header[68:72] == b"RPS1"
    assert int.from_bytes(header[60:64], "big") == len(STEPS)


@each_case("mark", ["application_id=7", "user_version=1"])
def test_a_file_that_only_bears_anothers_mark_is_not_touched(mark: str, tmp_path: Path) -> None:
    """A file without tables that another program has put its mark or its version on is that program's."""
    path = tmp_path / mark
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA {mark}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="another program's SQLite file and was not touched"):
        SqliteLedger(path)
    assert path.read_bytes() == before


def test_what_cannot_be_brought_up_to_date_is_said(tmp_path: Path) -> None:
    """A step that fails is told with the path and with what SQLite said of it."""
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(LedgerUnavailable, match=f'^the ledger {path} cannot be used .*near "NONSENSE"'):
        SqliteStore(path, tmp_path / "locks", steps=(*STEPS, ("NONSENSE",)))


def test_a_new_ledger_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is synced when the file has its name and when its tables stand, and not again once they do."""
    synced: list[int] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", spy)
    for _ in range(2):
        SqliteLedger(tmp_path / "ledger.sqlite3").close()
        assert synced == [tmp_path.stat().st_ino] * 2


def test_what_sqlite_refuses_is_not_tried_again() -> None:
    """A statement that SQLite itself refuses is carried out once: only a text that cannot be read is read anew."""
    asked: list[str] = []

    class Counting:
        def execute(self, text: str, values: Any) -> None:
            asked.append(text)
            sqlite3.connect(":memory:").execute(text, values)

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        sqlite._SqliteRows(Counting()).delete("nowhere", [1])  # type: ignore[arg-type]  # it counts
    assert len(asked) == 1


def test_an_id_that_is_no_text_is_not_taken_for_none(tmp_path: Path) -> None:
    """A task's id whose bytes are no text is a damage that is told, and never a task that has no id."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner() as owner:
        entry = running(ledger, owner, "key")
        ledger._store._synced.execute("UPDATE entries SET task_id = CAST(x'ff' AS TEXT)")
        with pytest.raises(EntryCorrupt, match="task_id"):
            ledger.get(entry.entry_id)


class Clock:
    """Stands for the module ``time``: each look at it takes until the next of some instants."""

    def __init__(self, *instants_s: float, at_sleep: Callable[[int], None] = lambda _: None) -> None:
        self._instants_s = iter(instants_s)
        self._at_sleep = at_sleep
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return next(self._instants_s)

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self._at_sleep(len(self.slept_s))


def held_by_another(folder: Path) -> int:
    folder.mkdir()
    descriptor = os.open(folder / "opening", os.O_RDWR | os.O_CREAT, 0o600)
    assert lock_now(descriptor)
    return descriptor


def test_who_opens_waits_for_who_is_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process makes the file one looks each 5 ms, gives up after `busy_s`, and leaves nothing open."""
    locks = tmp_path / "locks"
    descriptor = held_by_another(locks)
    clock = Clock(0.0, 1.0, 2.0, 3.0, 3.5)
    monkeypatch.setattr(sqlite, "time", clock)
    with pytest.raises(LedgerUnavailable, match=f"another process is opening the ledger .*: see {locks}/opening"):
        SqliteStore(tmp_path / "ledger", locks, busy_s=3.0)
    assert clock.slept_s == [0.005] * 3
    if Path("/proc/self/fd").exists():
        assert open_files(tmp_path) == [f"{locks}/opening"], "the other's own"
    clock = Clock(0.0, 1.0, 2.0, at_sleep=lambda times: os.close(descriptor) if times == 2 else None)
    monkeypatch.setattr(sqlite, "time", clock)
    SqliteStore(tmp_path / "ledger", locks, busy_s=3.0).close()
    assert clock.slept_s == [0.005] * 2


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    """Nobody who may write to the folder of locks has a file made elsewhere by a link."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "opening").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerUnusable, match="of the ledger's locks cannot be used"):
        SqliteStore(tmp_path / "ledger", tmp_path / "locks")
    assert not (tmp_path / "elsewhere").exists()


def test_files_of_two_disks_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has the same number on another disk is another file."""
    places = []
    for disk in (1, 2):
        monkeypatch.setattr(Path, "stat", lambda _, disk=disk: SimpleNamespace(st_dev=disk, st_ino=7))
        places.append(sqlite._place_of(tmp_path))
    monkeypatch.undo()
    assert places[0] != places[1]
