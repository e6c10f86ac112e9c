"""From a task id to a result on disk: who polls, what was seen, what was handed over."""

from __future__ import annotations

from dataclasses import replace

from resilient_poll.ledger import moves
from resilient_poll.ledger.core import LedgerCore, listing_of, within
from resilient_poll.ledger.entry import Charge, Entry, Listing, Namespace, Said, SavedFile
from resilient_poll.ledger.errors import ActRefused, EntryCorrupt, EntryInvalid
from resilient_poll.ledger.rows import ENTRIES, Durability, Rows, Where
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase

__all__ = ["Tasks"]

_NOTHING = Said()
_OPEN_WORDS = tuple(sorted(phase.value for phase in OPEN))
_END_WORDS = tuple(sorted(phase.value for phase in ENDS))
_SEEN = OPEN | (ENDS - {Phase.REFUSED, Phase.ABANDONED})


class Tasks(LedgerCore):
    """The part of a ledger that is about accepted tasks. What each method promises stands in :class:`.Ledger`."""

    def observe(
        self,
        entry: Entry,
        *,
        phase: Phase,
        billing: Billing,
        said: Said = _NOTHING,
        result: str | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """See :meth:`.Ledger.observe`."""
        if phase not in _SEEN:
            raise EntryInvalid([f"no task can be seen in phase {phase}"])

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            if stands.task_id is None or stands.task_id != entry.task_id:
                raise ActRefused(f"{stands} does not hold the task that was seen; nothing was changed", stands)
            after = moves.observed(stands, phase, billing, said, result=result, charge=charge, now_wall_s=now_wall_s)
            return self._save(rows, stands, after, now_wall_s)

        return self._store.run(work, Durability.SYNCED)

    def claim(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """See :meth:`.Ledger.claim`."""
        wheres = [*within(namespace), Where("phase", "in", _OPEN_WORDS)]
        return self._claim(wheres, worker, for_s, limit, now_wall_s)

    def claim_ends(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """See :meth:`.Ledger.claim_ends`."""
        wheres = [*within(namespace), Where("phase", "in", _END_WORDS), Where("delivered_wall_s", "null")]
        return self._claim(wheres, worker, for_s, limit, now_wall_s, by_age=True)

    def _claim(
        self, wheres: list[Where], worker: str, for_s: float, limit: int, now_wall_s: float, *, by_age: bool = False
    ) -> Listing:
        def work(rows: Rows) -> Listing:
            found = rows.select(ENTRIES, wheres, columns=("row_id", "worker", "worker_until_wall_s"))
            free = [row for row in found if moves.is_claimable(row, worker, now_wall_s)]
            if not by_age:
                # Whom nobody looked at for longest comes first.
                free.sort(key=lambda row: (moves.lease_end(row), row["row_id"]))
            taken: list[Entry] = []
            corrupt: list[EntryCorrupt] = []
            for row in free:
                if len(taken) == limit:
                    break
                try:
                    entry = self._load(rows, int(row["row_id"] or 0))
                except EntryCorrupt as error:
                    corrupt.append(error)
                else:
                    taken.append(self._lease(rows, entry, worker, for_s, now_wall_s))
            return Listing(tuple(taken), tuple(corrupt))

        return self._store.run(work, Durability.QUICK)

    def renew(self, entry: Entry, worker: str, *, for_s: float, now_wall_s: float) -> bool:
        """See :meth:`.Ledger.renew`."""

        def work(rows: Rows) -> bool:
            stands = self._load(rows, entry.entry_id)
            is_over = stands.phase not in OPEN and not (stands.is_ended and stands.delivered_wall_s is None)
            if stands.worker != worker or is_over:
                return False
            self._lease(rows, stands, worker, for_s, now_wall_s)
            return True

        return self._store.run(work, Durability.QUICK)

    def release(self, entry: Entry, worker: str, *, now_wall_s: float) -> None:
        """See :meth:`.Ledger.release`."""

        def work(rows: Rows) -> None:
            stands = self._load(rows, entry.entry_id)
            if stands.worker == worker:
                # When it was let go stays, so that the next claim begins with whom nobody looked at for longest.
                rows.update(ENTRIES, stands.entry_id, {"worker": None, "worker_until_wall_s": now_wall_s})

        self._store.run(work, Durability.QUICK)

    def _lease(self, rows: Rows, entry: Entry, worker: str, for_s: float, now_wall_s: float) -> Entry:
        after = moves.claimed(entry, worker, for_s, now_wall_s)
        rows.update(ENTRIES, entry.entry_id, {"worker": after.worker, "worker_until_wall_s": after.worker_until_wall_s})
        return after

    def undelivered(self, namespace: Namespace | None = None, *, limit: int = 100) -> Listing:
        """See :meth:`.Ledger.undelivered`."""
        wheres = [*within(namespace), Where("phase", "in", _END_WORDS), Where("delivered_wall_s", "null")]
        return self._store.read(lambda rows: listing_of(rows.select(ENTRIES, wheres, limit=limit)))

    def delivered(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.delivered`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            if not stands.is_ended or stands.delivered_wall_s is not None:
                return stands
            return self._save(rows, stands, moves.delivered(stands, now_wall_s), now_wall_s)

        return self._store.run(work, Durability.QUICK)

    def saved(self, entry: Entry, file: SavedFile, *, now_wall_s: float) -> Entry:
        """See :meth:`.Ledger.saved`."""

        def work(rows: Rows) -> Entry:
            stands = self._load(rows, entry.entry_id)
            others = tuple(one for one in stands.files if one.path != file.path)
            return self._save(rows, stands, replace(stands, files=(*others, file)), now_wall_s)

        return self._store.run(work, Durability.SYNCED)
