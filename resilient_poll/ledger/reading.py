"""What the ledger knows, and what it no longer needs to keep."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from resilient_poll.ledger.bill import BillRow, bill_of
from resilient_poll.ledger.checks import is_keepable, stray_of
from resilient_poll.ledger.core import WITHOUT_RESULT, LedgerCore, listing_of, within
from resilient_poll.ledger.entry import Entry, Listing, Namespace, Stray
from resilient_poll.ledger.errors import EntryCorrupt
from resilient_poll.ledger.rows import ENTRIES, STRAYS, Durability, Rows, Where
from resilient_poll.machine.lifecycle import Phase

__all__ = ["Archived", "Bill", "Reading"]


@dataclass(frozen=True, slots=True)
class Bill:
    """What is owed.

    Attributes:
        rows: By day, model and currency.
        corrupt: What could not be read, and so is in no sum.
    """

    rows: tuple[BillRow, ...]
    corrupt: tuple[EntryCorrupt, ...] = ()


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archiving or a vacuum did.

    Attributes:
        count: How many entries it took.
        kept: How many it left, by the reason: ``in doubt``, ``unfinished``, ``not downloaded``,
            ``not delivered``, ``a stray`` (see :class:`.Stray`), ``damaged``.
    """

    count: int
    kept: Mapping[str, int]


class Reading(LedgerCore):
    """The part of a ledger that is looked at. What each method promises stands in :class:`.Ledger`."""

    def get(self, entry_id: int) -> Entry:
        """See :meth:`.Ledger.get`."""
        return self._store.read(lambda rows: self._load(rows, entry_id))

    def find(self, namespace: Namespace, key: str) -> Entry | None:
        """See :meth:`.Ledger.find`."""
        return self._store.read(lambda rows: self._latest(rows, namespace, key))

    def by_task(self, namespace: Namespace, task_id: str) -> Entry | None:
        """See :meth:`.Ledger.by_task`."""

        def work(rows: Rows) -> Entry | None:
            holder = self._holder(rows, namespace, task_id)
            return None if holder is None else self._load(rows, holder)

        return self._store.read(work)

    def entries(
        self,
        *,
        namespace: Namespace | None = None,
        phases: Collection[Phase] | None = None,
        key: str | None = None,
        since_wall_s: float | None = None,
        until_wall_s: float | None = None,
        before_entry_id: int | None = None,
        with_archived: bool = False,
        limit: int = 100,
    ) -> Listing:
        """See :meth:`.Ledger.entries`."""
        if key is not None and not is_keepable(key):
            return Listing(())  # No entry can be called so, and not every store can be asked for it.
        wheres = within(namespace)
        if phases is not None:
            wheres.append(Where("phase", "in", tuple(sorted(phase.value for phase in phases))))
        if key is not None:
            wheres.append(Where("key", "=", key))
        if since_wall_s is not None:
            wheres.append(Where("created_wall_s", ">=", since_wall_s))
        if until_wall_s is not None:
            wheres.append(Where("created_wall_s", "<", until_wall_s))
        if before_entry_id is not None:
            wheres.append(Where("row_id", "<", before_entry_id))
        if not with_archived:
            wheres.append(Where("archived_wall_s", "null"))
        return self._store.read(
            lambda rows: listing_of(
                rows.select(ENTRIES, wheres, columns=WITHOUT_RESULT, newest_first=True, limit=limit)
            )
        )

    def strays(self, namespace: Namespace | None = None) -> tuple[Stray, ...]:
        """See :meth:`.Ledger.strays`."""
        return self._store.read(lambda rows: tuple(stray_of(row) for row in rows.select(STRAYS, within(namespace))))

    def counts(self, namespace: Namespace | None = None) -> Mapping[Phase, int]:
        """See :meth:`.Ledger.counts`."""

        def work(rows: Rows) -> Mapping[Phase, int]:
            wheres = [*within(namespace), Where("archived_wall_s", "null")]
            found = {row["phase"]: count for row, count in rows.tally(ENTRIES, wheres, ("phase",))}
            return MappingProxyType({phase: found[phase.value] for phase in Phase if phase.value in found})

        return self._store.read(work)

    def bill(
        self,
        namespace: Namespace | None = None,
        *,
        since_wall_s: float | None = None,
        until_wall_s: float | None = None,
    ) -> Bill:
        """See :meth:`.Ledger.bill`."""
        wheres = within(namespace)
        if since_wall_s is not None:
            wheres.append(Where("licensed_wall_s", ">=", since_wall_s))
        wheres.append(Where("licensed_wall_s", "not null"))
        if until_wall_s is not None:
            wheres.append(Where("licensed_wall_s", "<", until_wall_s))

        def work(rows: Rows) -> Bill:
            found = listing_of(rows.select(ENTRIES, wheres, columns=WITHOUT_RESULT))
            strays: dict[int, int] = {}
            for row in rows.select(STRAYS, within(namespace), columns=("row_id", "entry_id")):
                entry_id = int(row["entry_id"] or 0)
                strays[entry_id] = strays.get(entry_id, 0) + 1
            return Bill(bill_of(found, strays), found.corrupt)

        return self._store.read(work)

    def setting(self, name: str) -> str | None:
        """See :meth:`.Ledger.setting`."""
        return self._store.read(lambda rows: rows.setting(name))

    def set_setting(self, name: str, value: str) -> None:
        """See :meth:`.Ledger.set_setting`."""
        self._store.run(lambda rows: rows.set_setting(name, value), Durability.SYNCED)

    def archive(
        self,
        before_wall_s: float,
        *,
        namespace: Namespace | None = None,
        including_not_downloaded: bool = False,
        now_wall_s: float,
    ) -> Archived:
        """See :meth:`.Ledger.archive`."""
        wheres = [*within(namespace), Where("archived_wall_s", "null"), Where("updated_wall_s", "<", before_wall_s)]

        def work(rows: Rows) -> Archived:
            found = listing_of(rows.select(ENTRIES, wheres, columns=WITHOUT_RESULT))
            kept = {"damaged": len(found.corrupt)} if found.corrupt else {}
            count = 0
            for entry in found:
                reason = _reason_to_keep(entry, including_not_downloaded=including_not_downloaded)
                if reason is not None:
                    kept[reason] = kept.get(reason, 0) + 1
                    continue
                lighter = {"archived_wall_s": now_wall_s, "snapshot": None, "result": None}
                rows.update(ENTRIES, entry.entry_id, lighter)
                count += 1
            return Archived(count, kept)

        return self._store.run(work, Durability.SYNCED)

    def vacuum(self, archived_before_wall_s: float) -> Archived:
        """See :meth:`.Ledger.vacuum`."""
        wheres = [Where("archived_wall_s", "<", archived_before_wall_s)]

        def work(rows: Rows) -> Archived:
            found = listing_of(rows.select(ENTRIES, wheres, columns=WITHOUT_RESULT))
            going, kept = [], {"damaged": len(found.corrupt)} if found.corrupt else {}
            strays = {row["entry_id"] for row in rows.select(STRAYS, (), columns=("row_id", "entry_id"))}
            for entry in found:
                # It was archived by the same rule, which a bill or an answer since may have changed.
                reason = _reason_to_keep(entry, including_not_downloaded=True)
                reason = "a stray" if entry.entry_id in strays else reason
                if reason is None:
                    going.append(entry.entry_id)
                else:
                    kept[reason] = kept.get(reason, 0) + 1
            rows.delete(ENTRIES, going)
            return Archived(len(going), kept)

        done = self._store.run(work, Durability.SYNCED)
        self._store.reclaim()
        return done


def _reason_to_keep(entry: Entry, *, including_not_downloaded: bool) -> str | None:
    if entry.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}:
        return "in doubt"
    if not entry.is_ended:
        return "unfinished"
    if entry.is_paid_and_not_saved and not including_not_downloaded:
        return "not downloaded"
    return "not delivered" if entry.delivered_wall_s is None else None
