"""A ledger in an SQLite file: for one machine, any number of processes. The embedded default.

Two connections: one whose commits are on the disk when they return (``synchronous=FULL``), for
whatever is money; one that only survives a kill (``NORMAL``), for leases and for reading. Neither is
ever switched. SQLite lets one writer in at a time, and so does the thread lock of each connection.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from resilient_poll.ledger.errors import LedgerError, LedgerForked, LedgerUnavailable, LedgerUnusable
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.places import check_place, make_file, place_of_name, read_mounts, sync_folder
from resilient_poll.ledger.rows import Durability, Rows, Value
from resilient_poll.ledger.schema import STEPS, WORDS_SQLITE, statements
from resilient_poll.ledger.sql import SqlRows

if sys.platform != "win32":
    from resilient_poll.ledger.owners import FileOwners, lock_now

__all__ = ["SqliteLedger", "SqliteStore"]

APPLICATION_ID = 0x52505331
"""Written into the file's header ("RPS1"), which tells a ledger from other SQLite files."""
BUSY_S = 5.0
"""Seconds to wait for another writer: each holds the file for some milliseconds, unless it is stopped."""
Result = TypeVar("Result")


class SqliteLedger(LedgerLogic):
    """A ledger in a file, which is made if there is none. POSIX only.

    Args:
        path: The file. Beside it appear ``…-wal`` and ``…-shm``, and the folder ``….owners``.
        busy_s: How many seconds to wait for another writer.
        allow_network_file_system: Whether a file system that looks shared is used all the same,
            because only this machine ever opens the file.

    Raises:
        LedgerUnusable: The file is no ledger, of a newer version, damaged, or in a place that will not do.
        LedgerUnavailable: It cannot be opened now.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_s: float = BUSY_S,
        allow_network_file_system: bool = False,
    ) -> None:
        if sys.platform == "win32":
            raise LedgerUnusable("a ledger in a file needs locks that Windows does not have: use PostgreSQL there")
        self.path = place_of_name(path)
        check_place(self.path, None if allow_network_file_system else read_mounts(Path("/proc/self/mountinfo")))
        owners = Path(f"{self.path}.owners")
        store = SqliteStore(self.path, owners, busy_s=busy_s)
        super().__init__(store, FileOwners(owners))


class SqliteStore:
    """Rows in an SQLite file.

    Args:
        path: The file.
        folder: Where the lock is under which the file is made or brought up to date.
        busy_s: How many seconds to wait for another writer.
        steps: What makes the tables; see :mod:`.schema`.
    """

    def __init__(
        self, path: Path, folder: Path, *, busy_s: float = BUSY_S, steps: tuple[tuple[str, ...], ...] = STEPS
    ) -> None:
        self._path = path
        self._busy_s = busy_s
        self._process = os.getpid()
        self._is_closed = False
        make_file(path)
        with _one_at_a_time(folder, busy_s):
            self._synced = self._connect("FULL")
            try:
                self._log = Path(f"{path}-wal")
                self._place = _place_of(path)
                self._prepare(steps)
                # From the first reading on its log is there, and stays as long as anybody has the ledger open.
                self._place_of_log = _place_of(self._log)
                self._quick = self._connect("NORMAL")
            except BaseException:
                self._synced.close()
                raise
        self._locks = {Durability.SYNCED: threading.Lock(), Durability.QUICK: threading.Lock()}
        _STORES.add(self)

    def run(self, work: Callable[[Rows], Result], durability: Durability) -> Result:
        """See :class:`.RowStore`."""
        return self._transact(work, durability, "BEGIN IMMEDIATE")

    def read(self, work: Callable[[Rows], Result]) -> Result:
        """See :class:`.RowStore`."""
        return self._transact(work, Durability.QUICK, "BEGIN")

    def reclaim(self) -> None:
        """See :class:`.RowStore`."""
        with self._locks[Durability.SYNCED], _Telling(self._path):
            self._check_place()
            self._synced.execute("VACUUM")
            self._synced.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See :class:`.RowStore`."""
        if os.getpid() != self._process:
            return  # They are the parent's.
        self._is_closed = True
        for durability, connection in ((Durability.SYNCED, self._synced), (Durability.QUICK, self._quick)):
            with self._locks[durability]:
                connection.close()
        _STORES.discard(self)

    def _transact(self, work: Callable[[Rows], Result], durability: Durability, begin: str) -> Result:
        if os.getpid() != self._process:
            raise LedgerForked
        connection = self._synced if durability is Durability.SYNCED else self._quick
        with self._locks[durability], _Telling(self._path):
            self._check_place()
            if connection.in_transaction:
                connection.execute("ROLLBACK")  # It was interrupted twice, the second time at its own end.
            try:
                # Ctrl-C while another writer is waited for is heard of once the transaction has begun.
                connection.execute(begin)
                result = work(_SqliteRows(connection))
                connection.execute("COMMIT")
            except BaseException:
                # A failed commit may have ended the transaction by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _check_place(self) -> None:
        """Do nothing if the file that is open is the one that others open by its name.

        In a file that was removed or replaced a licence would be given that nobody else knows of. SQLite looks
        for that too (SQLITE_READONLY_DBMOVED), but not in WAL mode.
        """
        if self._is_closed:
            return  # SQLite says so, and what it removed at the end is nobody's loss.
        if _place_of(self._path) != self._place:
            raise LedgerUnusable(
                f"the ledger {self._path} was removed, moved or replaced while it was open, and what is written to it "
                "now nobody would find: put it back, or end this process and open the ledger that is to count"
            )
        self._place_of_log = self._place_of_log or _place_of(self._log)
        if _place_of(self._log) != self._place_of_log:
            raise LedgerUnusable(
                f"the log {self._log} of a ledger was removed or replaced while it was open, and what is written to it "
                "now nobody would find: put it back, or end all processes that have the ledger open, look at the "
                "service for what is missing, and open it anew"
            )

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        with _Telling(self._path):
            connection = sqlite3.connect(
                self._path.as_uri() + "?mode=rw",
                uri=True,
                timeout=self._busy_s,
                isolation_level=None,
                check_same_thread=False,  # Our locks see to it.
            )
            try:
                connection.execute(f"PRAGMA synchronous={synchronous}")
                # On macOS a plain sync leaves the data in the disk's own memory; elsewhere these do nothing.
                connection.execute("PRAGMA fullfsync=ON")
                connection.execute("PRAGMA checkpoint_fullfsync=ON")
            except BaseException:
                connection.close()
                raise
            return connection

    def _prepare(self, steps: tuple[tuple[str, ...], ...]) -> None:
        """Make the tables, or bring them up to date."""
        connection = self._synced
        with _Telling(self._path):
            mark = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if mark != APPLICATION_ID and (mark or version or tables):
                raise LedgerUnusable(f"{self._path} is another program's SQLite file and was not touched: name another")
            if version > len(steps):
                raise LedgerUnusable(
                    f"the ledger {self._path} is of version {version}, and this release knows versions up to "
                    f"{len(steps)}: use the release that wrote it, or a newer one"
                )
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise LedgerUnusable(
                    f"the ledger {self._path} cannot be shared where it is (journal mode {mode}): move it"
                )
            if version == len(steps):
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in statements(WORDS_SQLITE, version, steps):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={len(steps)}")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        # Making the file left a journal that SQLite removed without syncing the folder: if that came back after
        # a power cut, it would undo the making, and with it all that was written since.
        sync_folder(self._path.parent)


class _SqliteRows(SqlRows):
    """Rows over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        def execute(text: str, values: Sequence[Value]) -> tuple[Sequence[str], list[Sequence[Value]]]:
            try:
                cursor = connection.execute(text, values)
                found = cursor.fetchall()
            except sqlite3.OperationalError as error:
                if hasattr(error, "sqlite_errorcode"):
                    raise  # SQLite's own; the others are of what reads its texts.
                connection.text_factory = _text_or_bytes
                try:
                    cursor = connection.execute(text, values)
                    found = cursor.fetchall()
                finally:
                    connection.text_factory = str
            return [column[0] for column in cursor.description or ()], found

        super().__init__(execute, "?")
        self._connection = connection

    def insert(self, table: str, row: Mapping[str, Value]) -> int:
        # Older releases of SQLite have no RETURNING.
        names = ", ".join(f'"{name}"' for name in row)
        text = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608  # names of our own
        return int(self._connection.execute(text, list(row.values())).lastrowid or 0)


def _text_or_bytes(value: bytes) -> str | bytes:
    """Return a text; what is none stays bytes, which no check lets pass, so that one damaged row hides no other."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _place_of(path: Path) -> tuple[int, int] | None:
    """Return what tells the file of a name from any other one; None if there is no file of that name."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


_IN_USE = "is in use by another process that does not let go: look for one that is stopped, then try again"
_MAKE_WRITABLE = "make the file and its folder writable for this user"
_BY_CODE: Mapping[int, tuple[type[LedgerError], str]] = {
    sqlite3.SQLITE_BUSY: (LedgerUnavailable, _IN_USE),
    sqlite3.SQLITE_LOCKED: (LedgerUnavailable, _IN_USE),
    sqlite3.SQLITE_FULL: (
        LedgerUnavailable,
        "cannot grow, as the disk or its quota is full: make room, then try again",
    ),
    sqlite3.SQLITE_READONLY: (LedgerUnusable, f"may not be written: {_MAKE_WRITABLE}"),
    sqlite3.SQLITE_PERM: (LedgerUnusable, f"may not be opened: {_MAKE_WRITABLE}"),
    sqlite3.SQLITE_CANTOPEN: (LedgerUnusable, f"cannot be opened: {_MAKE_WRITABLE}"),
    sqlite3.SQLITE_IOERR: (LedgerUnavailable, "cannot be read or written: look at the disk, then try again"),
    sqlite3.SQLITE_CORRUPT: (
        LedgerUnusable,
        "is damaged: keep a copy, save what can be read with sqlite3's .recover, look at the service for the rest",
    ),
    sqlite3.SQLITE_NOTADB: (LedgerUnusable, "is no SQLite file and was not touched: name another"),
}
"""By SQLite's primary result code. Source: SQLite documentation, *Result and Error Codes*."""


class _Telling:
    """Turns SQLite's errors into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            what, said = _BY_CODE.get(code, (LedgerUnavailable, "cannot be used"))
            raise what(f"the ledger {self._path} {said} [{error}]") from error


class _one_at_a_time:  # noqa: N801  # it reads as a clause
    """Holds the lock under which a ledger's file is made: switching a new file to WAL fails for two at once."""

    def __init__(self, folder: Path, busy_s: float) -> None:
        self._path = folder / "opening"
        self._busy_s = busy_s

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerUnusable(
                f"the folder {self._path.parent} of the ledger's locks cannot be used: {error.strerror}; "
                "make it writable for this user"
            ) from error
        give_up_s = time.monotonic() + self._busy_s
        while not lock_now(self._descriptor):
            if time.monotonic() > give_up_s:
                os.close(self._descriptor)
                raise LedgerUnavailable(f"another process is opening the ledger and does not get on: see {self._path}")
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


_STORES: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_OF_THE_PARENT: list[SqliteStore] = []


def _in_a_child() -> None:
    # A child of fork must not even close what it inherits: SQLite would act in the parent's name.
    _OF_THE_PARENT.extend(_STORES)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_in_a_child)
