"""The file of a ledger: where it may be, who may open it, what is said when it will not do."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.errors import (
    ActRefused,
    EntryCorrupt,
    IdempotencyConflict,
    LedgerUnavailable,
    LedgerUnusable,
    NotSaved,
)
from resilient_poll.ledger.places import NETWORK_FILE_SYSTEMS, check_place, default_path, network_file_system
from resilient_poll.ledger.rows import ENTRY_COLUMNS, STRAY_COLUMNS
from resilient_poll.ledger.schema import STEPS
from resilient_poll.ledger.sqlite import SqliteLedger, SqliteStore
from resilient_poll.machine.lifecycle import Phase
from tests.support.properties import Property

HERE = Namespace("https://api.test/v1", "generic", "main")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def begun(ledger: SqliteLedger, key: str = "key"):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return ledger.begin(HERE, key, "digest", now_wall_s=1.0)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """File, log, shared memory and locks are open to their user only, whatever the umask."""
    before = os.umask(0)
    try:
        with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner():
            begun(ledger)
            files = [path for path in tmp_path.iterdir() if path.is_file()]
            assert sorted(path.name.removeprefix("ledger.sqlite3") for path in files) == ["", "-shm", "-wal"]
            locks = tmp_path / "ledger.sqlite3.owners"
            assert {mode(path) for path in (*files, *locks.iterdir())} == {0o600}
            assert mode(locks) == 0o700
    finally:
        os.umask(before)


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """When ledger and owner are closed, the log is in the file and the owner's lock is gone; dead owners' go too."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger:
        with ledger.open_owner():
            begun(ledger)
        locks = tmp_path / "ledger.sqlite3.owners"
        (locks / "1-dead.lock").touch()
        with ledger.open_owner() as living:
            ledger.settle_the_dead(now_wall_s=1.0)
            assert sorted(path.name for path in locks.iterdir()) == [f"{living.name}.lock", "opening"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.sqlite3", "ledger.sqlite3.owners"]


def test_an_owner_takes_a_removed_lock_again(tmp_path: Path) -> None:
    """An owner whose file somebody removed makes it anew before it sends; meanwhile it seems dead."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner() as owner:
        first = ledger.license(begun(ledger), owner, now_wall_s=1.0)
        for path in (tmp_path / "ledger.sqlite3.owners").glob("*.lock"):
            path.unlink()
        assert first is not None
        assert ledger.settle_the_dead(now_wall_s=1.0) == (first.entry_id,)
        second = ledger.license(begun(ledger, "more"), owner, now_wall_s=1.0)
        assert second is not None
        assert ledger.settle_the_dead(now_wall_s=1.0) == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder: name a file in it"),
        (lambda path: path.write_text("To whom it may concern. " * 99), "is no SQLite file and was not touched"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to(path.parent / "missing" / "x"), "does not exist: make it first"),
    ],
    ids=["folder", "text", "pipe", "link into nowhere"],
)
def test_what_is_no_ledger_is_said_to_be_none(make, said: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """What cannot be a ledger is refused in one sentence that says what to do."""
    path = tmp_path / "ledger.sqlite3"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LedgerUnusable, match=said) as caught:
        SqliteLedger(path)
    assert "\n" not in str(caught.value)
    assert not path.is_file() or path.read_bytes() == before


def test_another_programs_file_is_not_touched(tmp_path: Path) -> None:
    """An SQLite file of somebody else is refused and stays as it was, byte for byte."""
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE entries (colour TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="another program's SQLite file and was not touched"):
        SqliteLedger(path)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """A file without content, as temporary files begin, is taken."""
    path = tmp_path / "ledger.sqlite3"
    path.touch()
    with SqliteLedger(path) as ledger:
        begun(ledger)


def test_a_newer_schema_is_refused_and_an_older_one_brought_up(tmp_path: Path) -> None:
    """A file of a later release is left alone; one of an earlier release is migrated, with what it holds."""
    path, locks = tmp_path / "ledger.sqlite3", tmp_path / "locks"
    with SqliteLedger(path) as ledger:
        kept = begun(ledger)
    more = (*STEPS, ("ALTER TABLE {prefix}entries ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",))
    store = SqliteStore(path, locks, steps=more)
    row = store.read(lambda rows: rows.get("entries", kept.entry_id))
    assert row is not None
    assert (row["key"], row["colour"]) == ("key", "red")
    store.close()
    with pytest.raises(
        LedgerUnusable, match=rf"of version {len(more)}, and this release knows versions up to {len(STEPS)}"
    ):
        SqliteLedger(path)
    broken = (*more, ("ALTER TABLE {prefix}entries ADD COLUMN size TEXT", "THIS IS NO SQL"))
    with pytest.raises(LedgerUnavailable):
        SqliteStore(path, locks, steps=broken)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(more),)
        assert "size" not in {found[1] for found in connection.execute("PRAGMA table_info(entries)")}
    connection.close()


def test_the_tables_hold_what_the_logic_writes(tmp_path: Path) -> None:
    """The columns of the newest schema are those that the logic reads and writes."""
    SqliteLedger(tmp_path / "ledger.sqlite3").close()
    with sqlite3.connect(tmp_path / "ledger.sqlite3") as connection:
        for table, columns in (("entries", ENTRY_COLUMNS), ("strays", STRAY_COLUMNS)):
            found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            assert found == {column.name for column in columns}
    connection.close()


def test_a_full_disk_is_told_and_got_over(tmp_path: Path) -> None:
    """An id that finds no room is named by the error; with room again the same call writes it into its row."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner() as owner:
        licence = ledger.license(begun(ledger), owner, now_wall_s=1.0)
        assert licence is not None
        result = '"' + "x" * 100_000 + '"'
        connection = ledger._store._synced
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(LedgerUnavailable, match="disk or its quota is full: make room"):
            ledger.set_setting("large", result)
        with pytest.raises(NotSaved, match=r"could not write it down.*full") as caught:
            ledger.answered(licence, result, now_wall_s=2.0)
        assert caught.value.result == result
        assert ledger.get(licence.entry_id) == licence
        connection.execute("PRAGMA max_page_count=1000000")
        assert ledger.answered(licence, result, now_wall_s=2.0).phase is Phase.SUCCEEDED


READ_ONLY = """
import os, sys
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.sqlite import SqliteLedger
if os.geteuid() == 0:  # root may write everywhere; the modules are read by now
    os.setgid(65534)
    os.setuid(65534)
try:
    SqliteLedger(sys.argv[1]).begin(None, "k", "d", now_wall_s=1.0)
except ResilientPollError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o666, 0o555), (0o000, 0o755)])
def test_a_file_that_may_not_be_written_is_said(file_mode: int, folder_mode: int) -> None:
    """For a user who may not write the file or its folder, the error says that and what to do."""
    import tempfile  # noqa: PLC0415  # another user has to get there, which pytest's own folders do not allow

    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # made with a name of its own
        folder = Path(name)
        path = folder / "ledger.sqlite3"
        SqliteLedger(path).close()
        (folder / "ledger.sqlite3.owners").chmod(0o777)
        (folder / "ledger.sqlite3.owners" / "opening").chmod(0o666)
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        command = [sys.executable, "-c", READ_ONLY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own
        folder.chmod(0o755)
    assert done.stdout.startswith("LedgerUnusable"), done
    assert "writable" in done.stdout


def test_threads_share_it(tmp_path: Path) -> None:
    """Many threads use one ledger at once, for reading and for writing."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: (begun(ledger, f"key-{number}"), ledger.counts()), range(80)))
        assert dict(ledger.counts()) == {Phase.NEW: 80}


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """A ledger that was closed raises an error of ours."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        begun(ledger)


def test_windows_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there are no such locks, that is said, with what to use instead."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(LedgerUnusable, match="use PostgreSQL"):
        SqliteLedger(tmp_path / "ledger.sqlite3")


junk = st.one_of(
    st.none(),
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.text(st.characters(blacklist_categories=("Cs",)), max_size=20),
    st.binary(max_size=20),
    st.binary(max_size=20).map(lambda value: b"TEXT" + value),
    st.sampled_from(["[]", "{}", "[[1]]", '{"a": 1}', "[" * 5000, "PONDERING", "SUCCEEDED", "BILLED", "x" * 70_000]),
)
damages = st.lists(
    st.tuples(st.sampled_from([column.name for column in ENTRY_COLUMNS[4:]]), junk), min_size=1, max_size=3
)


def damaged(damages: list[tuple[str, object]]) -> None:
    """Damage one of three rows, and look at all that reads it."""
    import tempfile  # noqa: PLC0415  # a folder for each example

    with tempfile.TemporaryDirectory() as name, SqliteLedger(Path(name) / "ledger.sqlite3") as ledger:
        good, bad, last = (begun(ledger, key) for key in ("good", "bad", "last"))
        for column, value in damages:
            with ledger._store._locks["synced"]:
                try:
                    # What begins so is written as a text, whether it is one or not.
                    is_text = isinstance(value, bytes) and value.startswith(b"TEXT")
                    what = "CAST(? AS TEXT)" if is_text else "?"
                    text = f'UPDATE entries SET "{column}" = {what} WHERE row_id = ?'  # noqa: S608  # our own names
                    ledger._store._synced.execute(text, (value, bad.entry_id))
                except (sqlite3.IntegrityError, OverflowError):
                    return
        ids = [entry.entry_id for entry in ledger.entries()]
        told = [error.entry_id for error in ledger.entries().corrupt]
        if ledger.entries(with_archived=True).corrupt or bad.entry_id not in ids:
            assert {last.entry_id, good.entry_id} <= set(ids)
        assert {*ids, *told} <= {good.entry_id, bad.entry_id, last.entry_id}
        for act in (
            lambda: ledger.get(bad.entry_id),
            lambda: ledger.find(HERE, "bad"),
            lambda: begun(ledger, "bad"),
            lambda: ledger.settle_the_dead(now_wall_s=5.0),
            lambda: ledger.claim(None, "w", for_s=1.0, now_wall_s=5.0),
            ledger.undelivered,
            ledger.bill,
            ledger.counts,
            lambda: ledger.archive(1e9, now_wall_s=5.0),
            lambda: ledger.vacuum(1e9),
        ):
            with suppress(
                EntryCorrupt, ActRefused, IdempotencyConflict
            ):  # nothing else, least of all an error of SQLite's
                act()


def test_a_damaged_row_hides_no_other() -> None:
    """Whatever is written over a row, the others are listed, and reading it is an error of ours with its number."""
    Property(damaged, damages=damages, examples=60).holds()


def test_an_id_for_a_damaged_row_is_kept(tmp_path: Path) -> None:
    """An id whose entry cannot be read any more is recorded beside it."""
    with SqliteLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner() as owner:
        licence = ledger.license(begun(ledger), owner, now_wall_s=1.0)
        assert licence is not None
        ledger._store._synced.execute("UPDATE entries SET about = 'nonsense'")
        ledger.accept(licence, "task-1", now_wall_s=2.0)
        assert [(one.task_id, one.reason) for one in ledger.strays()] == [("task-1", "its entry cannot be read")]
        with pytest.raises(EntryCorrupt, match=f"entry {licence.entry_id} of the ledger is damaged.*about should be"):
            ledger.get(licence.entry_id)


def test_a_torn_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    """A file whose pages were overwritten is an error that says what to do, and never a crash."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger:
        for number in range(50):
            begun(ledger, f"key-{number}")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(LedgerUnusable, match="is damaged: keep a copy"), SqliteLedger(path) as ledger:
        ledger.entries()


class Struck:
    """A connection that hears of Ctrl-C when a statement is carried out."""

    def __init__(self, connection: sqlite3.Connection, *statements: str) -> None:
        self._connection = connection
        self._left = list(statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        if text == "ROLLBACK" in self._left:
            self._left.remove(text)
            raise KeyboardInterrupt
        cursor = self._connection.execute(text, *values)
        if text in self._left:
            self._left.remove(text)
            raise KeyboardInterrupt
        return cursor


@pytest.mark.parametrize("more", [[], ["ROLLBACK"]])
@pytest.mark.parametrize(("line", "begin"), [("_synced", "BEGIN IMMEDIATE"), ("_quick", "BEGIN")])
def test_ctrl_c_at_a_transaction_s_begin_jams_nothing(tmp_path: Path, line: str, begin: str, more: list[str]) -> None:
    """A transaction whose begin, or whose end after that, was interrupted keeps neither this process nor others out."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger, SqliteLedger(path, busy_s=0.0) as other:
        setattr(ledger._store, line, Struck(getattr(ledger._store, line), begin, *more))
        with pytest.raises(KeyboardInterrupt):
            begun(ledger) if line == "_synced" else ledger.entries()
        if not more:
            begun(other, "other's")
        assert {entry.key for entry in ledger.entries()} == ({"other's"} if not more else set())
        assert begun(ledger).key == "key"
        assert begun(other, "another").key == "another"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_not_there_any_more_gives_no_licence(tmp_path: Path, is_replaced: bool) -> None:
    """Who has a ledger open whose file was removed or replaced writes nothing into the void, until it is put back."""
    path, kept = tmp_path / "ledger.sqlite3", tmp_path / "kept"
    kept.mkdir()
    with SqliteLedger(path) as ledger, ledger.open_owner() as owner:
        entry = begun(ledger)
        sent = ledger.license(begun(ledger, "sent"), owner, now_wall_s=1.0)
        assert sent is not None
        files = [file for file in tmp_path.glob("ledger.sqlite3*") if file.is_file()]
        for file in files:
            file.rename(kept / file.name)
        if is_replaced:
            with SqliteLedger(path) as other:
                assert begun(other).entry_id == entry.entry_id
                for act in (ledger.entries, ledger._store.reclaim):
                    with pytest.raises(LedgerUnusable, match="was removed, moved or replaced while it was open"):
                        act()
            path.unlink()
        with pytest.raises(LedgerUnusable, match="was removed, moved or replaced while it was open"):
            ledger.license(entry, owner, now_wall_s=2.0)
        with pytest.raises(NotSaved, match="task-1"):
            ledger.accept(sent, "task-1", now_wall_s=2.0)
        for file in files:
            (kept / file.name).rename(file)
        assert ledger.accept(sent, "task-1", now_wall_s=3.0).task_id == "task-1"
        assert ledger.license(entry, owner, now_wall_s=3.0) is not None


def test_without_its_log_a_ledger_gives_no_licence(tmp_path: Path) -> None:
    """Who has a ledger open whose log was removed does not go on in one that no other process can see."""
    path = tmp_path / "ledger.sqlite3"
    with SqliteLedger(path) as ledger, ledger.open_owner() as owner, SqliteLedger(path) as other:
        entry = begun(ledger)
        log = tmp_path / "ledger.sqlite3-wal"
        log.rename(tmp_path / "kept")
        for act in (lambda: ledger.license(entry, owner, now_wall_s=2.0), other.entries):
            with pytest.raises(LedgerUnusable, match=r"the log .* of a ledger was removed or replaced"):
                act()
        (tmp_path / "kept").rename(log)
        ledger._store.reclaim()
        other.close()
        with SqliteLedger(path) as another:
            another.vacuum(0.0)
        assert ledger.license(entry, owner, now_wall_s=2.0) is not None


AWKWARD_PLACES = """
import os, sys
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.places import default_path
from resilient_poll.ledger.sqlite import SqliteLedger
if os.geteuid() == 0:  # root may look everywhere; the modules are read by now
    os.setgid(65534)
    os.setuid(65534)
folder = sys.argv[1]
for name in ("shut/l", "blind/l", "a" * 300, "x\\0y", "loop"):
    try:
        SqliteLedger(os.path.join(folder, name))
    except ResilientPollError as error:
        print(type(error).__name__)
for act in (lambda: SqliteLedger("~nobody-of-that-name/l"), lambda: SqliteLedger(5),
            lambda: default_path({"RESILIENT_POLL_LEDGER": "~nobody-of-that-name/l"})):
    try:
        act()
    except ResilientPollError as error:
        print(type(error).__name__)
"""


def test_an_awkward_place_is_an_error_of_ours() -> None:
    """A folder that may not be entered or read, a name that no file can have and a user who has no folder are told."""
    import tempfile  # noqa: PLC0415  # a folder that any user may reach

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for inside, mode_then in (("shut", 0o666), ("blind", 0o333)):
            (folder / inside).mkdir()
            (folder / inside).chmod(mode_then)
        (folder / "loop").symlink_to(folder / "loop")
        command = [sys.executable, "-c", AWKWARD_PLACES, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own
        assert done.stdout.split() == ["LedgerUnusable"] * 8


MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:50 / /home rw - nfs4 server:/home rw
31 30 0:51 / /home/me/my\\040disk rw shared:2 master:1 - ext4 /dev/sdb rw
32 22 0:52 / /mnt/box rw - fuse.sshfs me@box:/ rw
33 22 0:53 / /mnt/box rw - tmpfs tmpfs rw
34 22 0:54 / /srv rw - {kind} there rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/ledger", None),
        ("/home/me/ledger", "nfs4"),
        ("/home/me/my disk/ledger", None),
        ("/homework/ledger", None),
        ("/mnt/box/ledger", None),
        ("/srv/a/b/ledger", "cifs"),
    ],
)
def test_the_mount_that_counts_is_found(path: str, kind: str | None) -> None:
    """Of all mounts the deepest and latest one decides, names with spaces and names that begin alike included."""
    assert network_file_system(Path(path), MOUNTS.format(kind="cifs")) == kind


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_a_place_on_a_network_is_refused(kind: str, tmp_path: Path) -> None:
    """On every file system that is shared over a network a ledger is refused, with what to do; on request not."""
    mounts = f"22 1 0:20 / / rw - ext4 /dev/root rw\n34 22 0:54 / {tmp_path} rw - {kind} there rw\n"
    with pytest.raises(LedgerUnusable, match="local disk, or use PostgreSQL"):
        check_place(tmp_path / "ledger", mounts)
    check_place(tmp_path / "ledger", None)
    with SqliteLedger(tmp_path / "ledger", allow_network_file_system=True) as ledger:
        begun(ledger)


def test_the_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line's ledger is where its variable says, or in the folder for state, made for its user only."""
    assert default_path({"RESILIENT_POLL_LEDGER": "/x/y.db", "XDG_STATE_HOME": str(tmp_path)}) == Path("/x/y.db")
    assert not list(tmp_path.iterdir())
    path = default_path({"XDG_STATE_HOME": str(tmp_path / "state")})
    assert path == tmp_path / "state" / "resilient-poll" / "ledger.sqlite3"
    assert mode(path.parent) == 0o700
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ({}, {"XDG_STATE_HOME": "relative"}):
        assert default_path(ignored) == tmp_path / ".local/state/resilient-poll/ledger.sqlite3"
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnusable, match="cannot be made"):
        default_path({"XDG_STATE_HOME": str(tmp_path / "file")})


def test_a_socket_is_no_ledger(tmp_path: Path) -> None:
    """A socket in the place of the file is refused."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(LedgerUnusable, match="no regular file"):
            SqliteLedger(tmp_path / "s")
