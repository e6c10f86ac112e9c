"""A ledger in this process's memory: the same rules, and gone when the process is."""

from __future__ import annotations

import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from resilient_poll.ledger.errors import LedgerForked, LedgerUnavailable
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.rows import ENTRIES, SLOTS, STRAYS, Durability, Row, Rows, Value, Where

__all__ = ["MemoryLedger"]

Result = TypeVar("Result")
_BY_KEY = ("origin", "dialect", "account", "key")
_BY_TASK = ("origin", "dialect", "account", "task_id")
_INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    ENTRIES: (_BY_KEY, _BY_TASK),
    STRAYS: (_BY_TASK,),
    SLOTS: (("scope",),),
}
_UNIQUE: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    ENTRIES: ((_BY_KEY, "attempt"), (_BY_TASK, "task_id")),
    STRAYS: ((_BY_TASK, "task_id"),),
    SLOTS: (),
}
"""What may not be twice: the columns of an index, and one more that may differ."""


class MemoryLedger(LedgerLogic):
    """A ledger that lives and dies with this process. For tests, and for those who accept that."""

    def __init__(self) -> None:
        super().__init__(_MemoryStore(), _MemoryLiveness())


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, value: bool(found == value),
    "in": lambda found, value: found in value,
    "<": lambda found, value: bool(found < value),
    "<=": lambda found, value: bool(found <= value),
    ">": lambda found, value: bool(found > value),
    ">=": lambda found, value: bool(found >= value),
}


def _holds(where: Where, row: Row) -> bool:
    found = row[where.column]
    if where.relation in {"null", "not null"}:
        return (found is None) is (where.relation == "null")
    return found is not None and where.value is not None and _COMPARE[where.relation](found, where.value)


class _MemoryRows:
    """The rows, what finds them quickly, and what undoes the present transaction."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, Row]] = {ENTRIES: {}, STRAYS: {}, SLOTS: {}}
        self._found: dict[tuple[object, ...], set[int]] = {}
        self._last = {ENTRIES: 0, STRAYS: 0, SLOTS: 0}
        self._settings: dict[str, str] = {}
        self._settings_before: dict[str, str] = {}
        self._before: list[tuple[str, int, Row | None]] = []

    def begin(self) -> None:
        self._before = []
        self._settings_before = dict(self._settings)

    def undo(self) -> None:
        for table, row_id, row in reversed(self._before):
            self._place(table, row_id, row)
        self._settings = self._settings_before

    def get(self, table: str, row_id: int) -> Row | None:
        row = self._tables[table].get(row_id)
        return None if row is None else dict(row)

    def select(
        self,
        table: str,
        wheres: Sequence[Where],
        *,
        columns: Sequence[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        rows = self._tables[table]
        numbers = sorted(self._candidates(table, wheres), reverse=newest_first)
        found = [rows[number] for number in numbers if all(_holds(where, rows[number]) for where in wheres)]
        return [dict(row) if columns is None else {name: row[name] for name in columns} for row in found[:limit]]

    def tally(self, table: str, wheres: Sequence[Where], columns: Sequence[str]) -> list[tuple[Row, int]]:
        found = self.select(table, wheres, columns=columns)
        counted = Counter(tuple(row.values()) for row in found)
        return [(dict(zip(columns, values, strict=True)), count) for values, count in counted.items()]

    def insert(self, table: str, row: Mapping[str, Value]) -> int:
        self._last[table] += 1
        number = self._last[table]
        self._change(table, number, {**row, "row_id": number})
        return number

    def update(self, table: str, row_id: int, changes: Mapping[str, Value]) -> None:
        self._change(table, row_id, {**self._tables[table][row_id], **changes})

    def delete(self, table: str, row_ids: Iterable[int]) -> None:
        for row_id in row_ids:
            if row_id in self._tables[table]:
                self._change(table, row_id, None)

    def setting(self, name: str) -> str | None:
        return self._settings.get(name)

    def set_setting(self, name: str, value: str) -> None:
        self._settings[name] = value

    def _candidates(self, table: str, wheres: Sequence[Where]) -> Iterable[int]:
        equal = {where.column: where.value for where in wheres if where.relation == "="}
        for index in _INDEXES[table]:
            if equal.keys() >= set(index):
                return self._found.get((table, index, *(equal[name] for name in index)), ())
        return self._tables[table]

    def _change(self, table: str, row_id: int, row: Row | None) -> None:
        before = self._tables[table].get(row_id)
        if row is not None:
            self._check_unique(table, row_id, row)
        self._before.append((table, row_id, before))
        self._place(table, row_id, row)

    def _check_unique(self, table: str, row_id: int, row: Row) -> None:
        for index, other in _UNIQUE[table]:
            for number in self._found.get((table, index, *(row[name] for name in index)), ()):
                if number != row_id and self._tables[table][number][other] == row[other]:
                    raise LedgerUnavailable(f"two rows of {table} would have the same {other}")

    def _place(self, table: str, row_id: int, row: Row | None) -> None:
        before = self._tables[table].pop(row_id, None)
        for index in _INDEXES[table]:
            if before is not None and before[index[-1]] is not None:
                self._found[(table, index, *(before[name] for name in index))].discard(row_id)
            if row is not None and row[index[-1]] is not None:
                self._found.setdefault((table, index, *(row[name] for name in index)), set()).add(row_id)
        if row is not None:
            self._tables[table][row_id] = row


class _MemoryStore:
    """Rows in a dictionary, one transaction at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows = _MemoryRows()
        self._process = os.getpid()

    def run(self, work: Callable[[Rows], Result], durability: Durability) -> Result:  # noqa: ARG002  # nothing here survives
        if os.getpid() != self._process:
            raise LedgerForked
        with self._lock:
            self._rows.begin()
            try:
                return work(self._rows)
            except BaseException:
                self._rows.undo()
                raise

    def read(self, work: Callable[[Rows], Result]) -> Result:
        return self.run(work, Durability.QUICK)

    def reclaim(self) -> None:
        """Nothing is left behind here."""

    def close(self) -> None:
        """Nothing is open here."""


class _MemoryOwner:
    """An owner that is alive until it is closed."""

    def __init__(self, alive: set[str]) -> None:
        self._alive = alive
        self._name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._is_closed = False
        self.hold()

    @property
    def name(self) -> str:
        return self._name

    def hold(self) -> None:
        if self._is_closed:
            raise LedgerUnavailable("this owner is closed, so it may hold no licence: open another; nothing was sent")
        self._alive.add(self._name)

    def close(self) -> None:
        self._is_closed = True
        self._alive.discard(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _MemoryLiveness:
    """Who was opened and not closed."""

    def __init__(self) -> None:
        self._alive: set[str] = set()

    def open_owner(self) -> _MemoryOwner:
        return _MemoryOwner(self._alive)

    def is_dead(self, name: str) -> bool:
        return name not in self._alive

    def forget_the_dead(self) -> None:
        """They leave nothing behind here."""
