"""The small store of rows that the ledger's logic stands on.

A store keeps rows of plain values in three tables, runs functions as transactions, one writer at a
time, and knows which owners are alive. All else is logic, and written once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Literal, Protocol, Self, TypeVar

__all__ = [
    "ENTRIES",
    "ENTRY_COLUMNS",
    "LONGEST_RESULT",
    "NAMESPACE_COLUMNS",
    "SLOTS",
    "STRAYS",
    "STRAY_COLUMNS",
    "Column",
    "Durability",
    "Liveness",
    "Owner",
    "Row",
    "RowStore",
    "Rows",
    "Value",
    "Where",
]

Value = int | float | str | None
Row = dict[str, Value]
Result = TypeVar("Result")

ENTRIES = "entries"
STRAYS = "strays"
SLOTS = "slots"
NAMESPACE_COLUMNS = ("origin", "dialect", "account")


class Durability(StrEnum):
    """What a commit must survive."""

    SYNCED = "synced"
    """A power cut: it is on the disk when the call returns."""
    QUICK = "quick"
    """A kill of the process. A power cut may lose it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name.
        kind: What it holds.
        is_required: Whether it may not be empty.
        most: The most characters of a text.
    """

    name: str
    kind: Literal["integer", "real", "text"]
    is_required: bool = False
    most: int = 0


LONGEST_RESULT = 16 * 1024 * 1024
"""Characters. An answer is read up to 4 MiB, and written as JSON with escapes no character takes
more than three for each of its bytes, so no answer that was read can be too long."""

_TEXT = 1024  # An id, a status or a code; the services' own are below 100 characters.

ENTRY_COLUMNS = (
    Column("row_id", "integer", is_required=True),
    Column("origin", "text", is_required=True, most=512),
    Column("dialect", "text", is_required=True, most=128),
    Column("account", "text", is_required=True, most=256),
    Column("key", "text", is_required=True, most=512),
    Column("attempt", "integer", is_required=True),
    Column("digest", "text", is_required=True, most=256),
    Column("about", "text", is_required=True, most=16 * 1024),
    Column("phase", "text", is_required=True, most=32),
    Column("sends", "integer", is_required=True),
    Column("doubtful_sends", "text", is_required=True, most=_TEXT),
    Column("owner", "text", most=256),
    Column("not_before_wall_s", "real"),
    Column("created_wall_s", "real", is_required=True),
    Column("licensed_wall_s", "real"),
    Column("updated_wall_s", "real", is_required=True),
    Column("ended_wall_s", "real"),
    Column("task_id", "text", most=_TEXT),
    Column("status", "text", most=_TEXT),
    Column("billing", "text", is_required=True, most=32),
    Column("request_id", "text", most=_TEXT),
    Column("code", "text", most=_TEXT),
    Column("message", "text", most=8 * 1024),
    Column("snapshot", "text", most=64 * 1024),
    Column("result", "text", most=LONGEST_RESULT),
    Column("delivered_wall_s", "real"),
    Column("charge", "text", most=_TEXT),
    Column("files", "text", is_required=True, most=1024 * 1024),
    Column("worker", "text", most=256),
    Column("worker_until_wall_s", "real", is_required=True),
    Column("archived_wall_s", "real"),
)
"""What a row of ``entries`` holds. Mappings and lists are JSON texts."""

STRAY_COLUMNS = (
    Column("row_id", "integer", is_required=True),
    Column("origin", "text", is_required=True, most=512),
    Column("dialect", "text", is_required=True, most=128),
    Column("account", "text", is_required=True, most=256),
    Column("entry_id", "integer", is_required=True),
    Column("send", "integer", is_required=True),
    Column("task_id", "text", most=_TEXT),
    Column("request_id", "text", most=_TEXT),
    Column("snapshot", "text", most=64 * 1024),
    Column("result", "text", most=LONGEST_RESULT),
    Column("reason", "text", is_required=True, most=8 * 1024),
    Column("seen_wall_s", "real", is_required=True),
)
"""What a row of ``strays`` holds."""


@dataclass(frozen=True, slots=True)
class Where:
    """One condition on a column; a list of them holds if all do. No condition but ``null`` holds for an empty column.

    Attributes:
        column: Which.
        relation: How it is compared.
        value: With what; a tuple for ``in``, nothing for ``null`` and ``not null``.
    """

    column: str
    relation: Literal["=", "in", "<", "<=", ">", ">=", "null", "not null"]
    value: Value | tuple[Value, ...] = None


class Rows(Protocol):
    """The rows within one transaction. All reads see the transaction's own writes."""

    def get(self, table: str, row_id: int) -> Row | None:
        """Return one row, or None if there is none."""
        ...

    def select(
        self,
        table: str,
        wheres: Sequence[Where],
        *,
        columns: Sequence[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        """Return the rows for which all conditions hold, in the order of their numbers.

        Args:
            table: Where.
            wheres: The conditions.
            columns: What of each row; all of it unless given.
            newest_first: Whether the largest number comes first.
            limit: The most rows.
        """
        ...

    def tally(self, table: str, wheres: Sequence[Where], columns: Sequence[str]) -> list[tuple[Row, int]]:
        """Return which values of some columns occur together in the rows for which all conditions hold, and how often.

        Args:
            table: Where.
            wheres: The conditions.
            columns: Which columns.
        """
        ...

    def insert(self, table: str, row: Mapping[str, Value]) -> int:
        """Add a row without a number, and return the number it got: larger than any before."""
        ...

    def update(self, table: str, row_id: int, changes: Mapping[str, Value]) -> None:
        """Change some columns of one row."""
        ...

    def delete(self, table: str, row_ids: Iterable[int]) -> None:
        """Remove rows."""
        ...

    def setting(self, name: str) -> str | None:
        """Return a setting of the ledger itself, or None."""
        ...

    def set_setting(self, name: str, value: str) -> None:
        """Set a setting of the ledger itself."""
        ...


class RowStore(Protocol):
    """Where the rows are kept. Safe to use from several threads."""

    def run(self, work: Callable[[Rows], Result], durability: Durability) -> Result:
        """Run a function as one transaction, alone: no other writer runs between its first read and its commit.

        What it raises undoes it and is passed on.

        Args:
            work: The function.
            durability: What its commit must survive.

        Raises:
            LedgerError: The store cannot; unless it says otherwise, nothing is known to be kept.
        """
        ...

    def read(self, work: Callable[[Rows], Result]) -> Result:
        """Run a function that only reads, on one state of the rows.

        Raises:
            LedgerError: The store cannot.
        """
        ...

    def reclaim(self) -> None:
        """Give the space of removed rows back, where the store can."""
        ...

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        ...


class Owner(Protocol):
    """Somebody who may hold licences to send, and is alive as long as this object holds its lock.

    The lock is one that a kill releases and a pause does not. Closing it while a licence is out
    is what dying is: the next look turns that licence into a doubt.
    """

    @property
    def name(self) -> str:
        """What rows call it; never used twice."""
        ...

    def hold(self) -> None:
        """Make sure that the lock is held; take it anew if it was lost.

        Raises:
            LedgerError: It cannot be held.
        """
        ...

    def close(self) -> None:
        """Release the lock. A second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        ...


class Liveness(Protocol):
    """Who is alive."""

    def open_owner(self) -> Owner:
        """Return a new owner that is alive.

        Raises:
            LedgerError: Its lock cannot be had.
        """
        ...

    def is_dead(self, name: str) -> bool:
        """Return whether an owner's lock is free. A paused owner's is not.

        Raises:
            LedgerError: Nobody can say.
        """
        ...

    def forget_the_dead(self) -> None:
        """Remove what dead owners left behind, once no row names them as senders."""
        ...
