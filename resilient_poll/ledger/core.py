"""What all parts of the logic share: entries instead of rows, checked on both ways."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from resilient_poll.ledger.checks import changes_of, entry_of, is_keepable, stray_row_of
from resilient_poll.ledger.counting import figures_of
from resilient_poll.ledger.entry import Charge, Entry, Listing, Namespace, Stray
from resilient_poll.ledger.errors import ActRefused, EntryCorrupt
from resilient_poll.ledger.guards import Guards, refusal
from resilient_poll.ledger.rows import (
    ENTRIES,
    ENTRY_COLUMNS,
    NAMESPACE_COLUMNS,
    STRAYS,
    Liveness,
    Row,
    Rows,
    RowStore,
    Where,
)

__all__ = ["WITHOUT_RESULT", "LedgerCore", "listing_of", "within"]

WITHOUT_RESULT = tuple(column.name for column in ENTRY_COLUMNS if column.name != "result")
"""What lists read of each row."""


def within(namespace: Namespace | None) -> list[Where]:
    """Return the conditions that hold for the rows of a namespace; none for all of them."""
    if namespace is None:
        return []
    return [Where(column, "=", getattr(namespace, column)) for column in NAMESPACE_COLUMNS]


def listing_of(rows: Iterable[Row]) -> Listing:
    """Return the entries of some rows, with those that cannot be read apart."""
    entries, corrupt = [], []
    for row in rows:
        try:
            entries.append(entry_of({"result": None, **row}))
        except EntryCorrupt as error:
            corrupt.append(error)
    return Listing(tuple(entries), tuple(corrupt))


class LedgerCore:
    """Rows as entries.

    Args:
        store: Keeps the rows.
        liveness: Knows who is alive.
    """

    def __init__(self, store: RowStore, liveness: Liveness) -> None:
        self._store = store
        self._liveness = liveness

    def _load(self, rows: Rows, entry_id: int) -> Entry:
        row = rows.get(ENTRIES, entry_id)
        if row is None:
            raise ActRefused(f"this ledger has no entry {entry_id}; is it another ledger, or was it vacuumed?")
        return entry_of(row)

    def _add(self, rows: Rows, entry: Entry, row: Row) -> Entry:
        return replace(entry, entry_id=rows.insert(ENTRIES, row))

    def _save(self, rows: Rows, before: Entry, after: Entry, now_wall_s: float) -> Entry:
        """Write what differs, if anything does, and return the entry as it then stands."""
        changes = changes_of(before, after)
        if not changes:
            return before
        rows.update(ENTRIES, before.entry_id, {**changes, "updated_wall_s": now_wall_s})
        return replace(after, updated_wall_s=now_wall_s)

    def _latest(self, rows: Rows, namespace: Namespace, key: str) -> Entry | None:
        if not is_keepable(key):
            return None
        wheres = [*within(namespace), Where("key", "=", key)]
        attempts = rows.select(ENTRIES, wheres, columns=("row_id", "attempt"))
        if not attempts:
            return None
        # Whose number cannot be read may be the newest: then it is told, and nothing is sent as if it were not there.
        newest = max(attempts, key=lambda row: row["attempt"] if isinstance(row["attempt"], int) else math.inf)
        return self._load(rows, int(newest["row_id"] or 0))

    def _holder(self, rows: Rows, namespace: Namespace, task_id: str) -> int | None:
        """Return the number of the entry that holds a task id, or None."""
        if not is_keepable(task_id):
            return None
        found = rows.select(ENTRIES, [*within(namespace), Where("task_id", "=", task_id)], columns=("row_id",))
        return int(found[0]["row_id"] or 0) if found else None

    def _record_stray(self, rows: Rows, stray: Stray) -> bool:
        """Add a stray unless its task id is among the strays already; return whether it was added."""
        row = stray_row_of(stray)
        same = [*within(stray.namespace), Where("task_id", "=", stray.task_id)]
        if stray.task_id is None:
            same = [Where("entry_id", "=", stray.entry_id), Where("send", "=", stray.send), Where("task_id", "null")]
        if rows.select(STRAYS, same, columns=("row_id",)):
            return False
        rows.insert(STRAYS, row)
        return True

    def _guard(
        self,
        rows: Rows,
        guards: Guards | None,
        namespace: Namespace,
        charge: Charge | None,
        now_wall_s: float,
        *,
        asking: Entry | None = None,
        are_intents_counted: bool = True,
    ) -> None:
        """Do nothing if the limits allow one more task.

        Raises:
            GuardRefused: They do not.
        """
        if guards is None or guards == Guards():
            return
        figures = figures_of(
            rows, guards, within(namespace), now_wall_s, asking=asking, are_intents_counted=are_intents_counted
        )
        error = refusal(guards, charge, figures)
        if error is not None:
            raise error
