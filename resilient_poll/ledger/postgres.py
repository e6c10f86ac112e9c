"""A ledger in PostgreSQL: for several machines. Needs the extra ``postgres``.

One writer at a time, as in a file: each writing transaction takes one lock of the database before it
reads, so that the logic sees the same world here as there. An owner is a session of its own that holds
an advisory lock: the server releases it when the session is gone, and not when the process is stopped.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict

from resilient_poll.ledger.errors import LedgerError, LedgerForked, LedgerUnavailable, LedgerUnusable
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.rows import ENTRIES, SLOTS, STRAYS, Durability, Rows, Value
from resilient_poll.ledger.schema import STEPS, WORDS_POSTGRES, statements
from resilient_poll.ledger.sql import SqlRows

__all__ = ["PostgresLedger", "PostgresStore"]

BUSY_S = 5.0
"""Seconds to wait for another writer, as in a file."""
STOPPED_WRITER_S = 60.0
"""Seconds after which the server breaks off a writer that was stopped in the middle: a write takes milliseconds."""
CONNECT_S = 10
"""Seconds to wait for a connection."""
_PATIENCE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNHEARD_MS = 25_000
"""After how long a server of which nothing is heard, not even by its kernel, counts as gone: 25 s in either case, what
is sent and what is waited for. By themselves they would be a quarter of an hour and two hours, in which an id that
cannot be written down would not be told of. Source: PostgreSQL documentation, *Database Connection Control Functions*.
"""
_TELLS_UNHEARD = 120_000
"""The libpq that knows ``tcp_user_timeout`` first."""
_WRITERS = (0x52505331, 1)
"""The advisory lock that one writer holds ("RPS1")."""
_PREFIX = WORDS_POSTGRES["prefix"]
_VERSION = "schema_version"
Result = TypeVar("Result")
Connection = psycopg.Connection[tuple[Value, ...]]


class PostgresLedger(LedgerLogic):
    """A ledger in a database of a PostgreSQL server. Its tables are made if there are none.

    Args:
        conninfo: How to reach it, as libpq takes it. It may hold a password, and is never shown. It has to
            lead to the server itself: a pooler that shares sessions takes away the locks of owners.
        busy_s: How many seconds to wait for another writer.
        allow_unsynced: Whether a server with ``fsync=off`` will do, which forgets ids in a power cut.

    Raises:
        LedgerUnusable: The database is none for a ledger, or of a newer version.
        LedgerUnavailable: It cannot be reached.
    """

    def __init__(self, conninfo: str, *, busy_s: float = BUSY_S, allow_unsynced: bool = False) -> None:
        store = PostgresStore(conninfo, busy_s=busy_s, allow_unsynced=allow_unsynced)
        super().__init__(store, _Sessions(store, conninfo, busy_s))


class PostgresStore:
    """Rows in a PostgreSQL database.

    Args:
        conninfo: How to reach it.
        busy_s: How many seconds to wait for another writer.
        allow_unsynced: Whether a server with ``fsync=off`` will do.
        steps: What makes the tables; see :mod:`.schema`.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        busy_s: float = BUSY_S,
        allow_unsynced: bool = False,
        steps: tuple[tuple[str, ...], ...] = STEPS,
    ) -> None:
        self._process = os.getpid()
        self._lines = {
            Durability.SYNCED: _Line(conninfo, busy_s, synchronous_commit="on"),
            Durability.QUICK: _Line(conninfo, busy_s, synchronous_commit="off"),
        }
        try:
            self._check(allow_unsynced)
            self.run(lambda _: self._prepare(steps), Durability.SYNCED)
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[[Rows], Result], durability: Durability) -> Result:
        """See :class:`.RowStore`."""

        def alone(connection: Connection) -> Result:
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _WRITERS)
            return work(_rows(connection))

        return self._transact(alone, durability, "BEGIN ISOLATION LEVEL READ COMMITTED")

    def read(self, work: Callable[[Rows], Result]) -> Result:
        """See :class:`.RowStore`."""
        begin: str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        return self._transact(lambda connection: work(_rows(connection)), Durability.QUICK, begin)

    def is_locked(self, key: int) -> bool:
        """Return whether any session holds an advisory lock."""

        def work(connection: Connection) -> bool:
            row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (key,)).fetchone()
            return row is None or not row[0]

        return self._transact(work, Durability.QUICK, "BEGIN")

    def reclaim(self) -> None:
        """See :class:`.RowStore`."""
        with self._lines[Durability.SYNCED] as connection:
            for table in (ENTRIES, STRAYS, SLOTS):
                connection.execute(f"VACUUM {_PREFIX}{table}")

    def close(self) -> None:
        """See :class:`.RowStore`."""
        if os.getpid() == self._process:
            for line in self._lines.values():
                line.close()

    def _transact(self, work: Callable[[Connection], Result], durability: Durability, begin: str) -> Result:
        if os.getpid() != self._process:
            raise LedgerForked
        with self._lines[durability] as connection:
            try:
                connection.execute(begin)
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if not connection.broken:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _check(self, allow_unsynced: bool) -> None:
        with self._lines[Durability.SYNCED] as connection:
            text = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'server_encoding')"
            found = {str(row[0]): row[1] for row in connection.execute(text).fetchall()}
        if found.get("server_encoding") != "UTF8":
            raise LedgerUnusable(
                f"the database's encoding is {found.get('server_encoding')}, in which not every text can be kept: "
                "make one with UTF8"
            )
        if found.get("fsync") != "on" and not allow_unsynced:
            raise LedgerUnusable(
                "the database server runs with fsync=off, so a power cut would lose paid tasks: switch it on, or "
                "accept that with allow_unsynced=True"
            )

    def _prepare(self, steps: tuple[tuple[str, ...], ...]) -> None:
        """Make the tables, or bring them up to date, within the present transaction."""
        connection = self._lines[Durability.SYNCED].connection()
        row = connection.execute("SELECT to_regclass(%s)::text", (f"{_PREFIX}settings",)).fetchone()
        rows = _rows(connection)
        version = 0
        if row is not None and row[0] is not None:
            text = rows.setting(_VERSION) or ""
            if not text.isdecimal():
                raise LedgerUnusable("the tables of the ledger in this database are not ours: use another schema")
            version = int(text)
        if version > len(steps):
            raise LedgerUnusable(
                f"the ledger in this database is of version {version}, and this release knows versions up to "
                f"{len(steps)}: use the release that wrote it, or a newer one"
            )
        if version < len(steps):
            for statement in statements(WORDS_POSTGRES, version, steps):
                connection.execute(statement)
            rows.set_setting(_VERSION, str(len(steps)))


class _Line:
    """One connection, one user at a time; a broken one is made anew when it is next needed."""

    def __init__(self, conninfo: str, busy_s: float, *, synchronous_commit: str) -> None:
        self._conninfo = conninfo
        self._settings = {
            "synchronous_commit": synchronous_commit,
            "lock_timeout": f"{max(1, round(busy_s * 1000))}ms",
            "idle_in_transaction_session_timeout": f"{round(STOPPED_WRITER_S * 1000)}ms",
            # So that the server notices within two minutes that a whole machine is gone.
            "tcp_keepalives_idle": "60",
            "tcp_keepalives_interval": "15",
            "tcp_keepalives_count": "4",
        }
        self._lock = threading.Lock()
        self._open: Connection | None = None
        self._is_closed = False

    def connection(self) -> Connection:
        """Return the connection, made anew if need be. For whoever has entered."""
        if self._is_closed:
            raise LedgerUnavailable("this ledger is closed: open it again")
        if self._open is None:
            options = {**_patience(self._conninfo), "connect_timeout": CONNECT_S}
            self._open = cast("Connection", psycopg.connect(self._conninfo, autocommit=True, **options))
            for name, value in self._settings.items():
                self._open.execute("SELECT set_config(%s, %s, false)", (name, value))
        return self._open

    @staticmethod
    def _is_whole(connection: Connection) -> bool:
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        """Close it for good."""
        self._is_closed = True
        if self._open is not None:
            self._open.close()

    def __enter__(self) -> Connection:
        self._lock.acquire()
        try:
            if self._open is not None and not self._is_whole(self._open):
                self._open.close()
                self._open = None
            return self.connection()
        except BaseException as error:
            self._lock.release()
            _tell(error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        _tell(error)


class _Sessions:
    """Who is alive: whose session holds its lock."""

    def __init__(self, store: PostgresStore, conninfo: str, busy_s: float) -> None:
        self._store = store
        self._conninfo = conninfo
        self._busy_s = busy_s

    def open_owner(self) -> _SessionOwner:
        """See :class:`.Liveness`."""
        line = _Line(self._conninfo, self._busy_s, synchronous_commit="on")
        return _SessionOwner(line, f"{os.getpid()}-{secrets.token_hex(8)}")

    def is_dead(self, name: str) -> bool:
        """See :class:`.Liveness`."""
        return not self._store.is_locked(_lock_of(name))

    def forget_the_dead(self) -> None:
        """See :class:`.Liveness`. The server does it."""


class _SessionOwner:
    """An owner whose lock is its session's."""

    def __init__(self, line: _Line, name: str) -> None:
        self._line = line
        self._name = name
        self._process = os.getpid()
        self._is_closed = False
        self._session: Connection | None = None
        self.hold()

    @property
    def name(self) -> str:
        """See :class:`.Owner`."""
        return self._name

    def hold(self) -> None:
        """See :class:`.Owner`. After a broken connection the lock is taken again, in a new session."""
        if os.getpid() != self._process:
            raise LedgerForked
        if self._is_closed:
            raise LedgerUnavailable("this owner is closed, so it may hold no licence: open another; nothing was sent")
        with self._line as connection:
            if connection is not self._session:
                connection.execute("SELECT pg_advisory_lock(%s)", (_lock_of(self._name),))
                self._session = connection

    def close(self) -> None:
        """See :class:`.Owner`."""
        if os.getpid() != self._process or self._is_closed:
            return
        self._is_closed = True
        # By itself the server would notice a moment later.
        with suppress(LedgerError), self._line as connection:
            connection.execute("SELECT pg_advisory_unlock_all()")
        self._line.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _patience(conninfo: str) -> dict[str, Any]:
    """Return how long a server may be unheard of, as far as the caller does not say it."""
    options: dict[str, Any] = dict(_PATIENCE)
    if psycopg.pq.version() >= _TELLS_UNHEARD:
        options["tcp_user_timeout"] = _UNHEARD_MS
    said = conninfo_to_dict(conninfo)
    return {name: value for name, value in options.items() if name not in said}


def _lock_of(name: str) -> int:
    """Return the number of an owner's lock: 64 bits, of which no two owners share all."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _rows(connection: Connection) -> SqlRows:
    def execute(text: str, values: Sequence[Value]) -> tuple[Sequence[str], list[Sequence[Value]]]:
        cursor = connection.execute(text, values)
        if cursor.description is None:
            return (), []
        return [column.name for column in cursor.description], list(cursor.fetchall())

    return SqlRows(execute, "%s", _PREFIX)


_IN_USE = "is in use by another process that does not let go: look for one that is stopped, then try again"
_BY_STATE: Mapping[str, tuple[type[LedgerError], str]] = {
    "55P03": (LedgerUnavailable, _IN_USE),
    "57014": (LedgerUnavailable, _IN_USE),
    "53100": (LedgerUnavailable, "cannot grow, as the server's disk is full: make room, then try again"),
    "25006": (LedgerUnusable, "may not be written, as the server is a standby: use its primary"),
    "42501": (LedgerUnusable, "may not be used by this role: grant it CREATE on the schema, or own the tables"),
    "42P07": (LedgerUnusable, "has other tables of the same names: use another schema"),
    "42P01": (LedgerUnusable, "has lost a table: restore it, or use another schema"),
    "42703": (LedgerUnusable, "has other columns than ours: use another schema"),
    "3F000": (LedgerUnusable, "has no schema to make tables in: make the one that search_path names"),
}
"""By SQLSTATE. Source: PostgreSQL documentation, *PostgreSQL Error Codes*."""


def _tell(error: BaseException | None) -> None:
    """Raise the error of ours that stands for one of the database's.

    Raises:
        LedgerError: It was one of the database's.
    """
    if not isinstance(error, psycopg.Error):
        return
    kind, said = _BY_STATE.get(error.sqlstate or "", (LedgerUnavailable, "cannot be reached, or broke off"))
    detail = " ".join(str(error).split())
    raise kind(f"the ledger in PostgreSQL {said} [{detail}]") from error
