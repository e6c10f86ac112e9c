"""Two protocols that lose and pay twice, as ledgers: what judges the genuine one must find them guilty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.rows import ENTRIES, Durability, Rows
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["LEDGERS", "DroppingFence", "TimeLease"]

LEASE_S = 300.0
"""Longer than every time-out of a create: the most careful lease still takes a paused owner for a dead one."""


class TimeLease(SqliteLedger):
    """Planted: a licence that is older than a lease is given to the next who asks."""

    def begin(self, *values: Any, now_wall_s: float, **named: Any) -> Entry:
        """Return the attempt of a key, as new again once its lease is over."""
        entry = super().begin(*values, now_wall_s=now_wall_s, **named)
        if entry.phase is not Phase.SUBMITTING or now_wall_s - (entry.licensed_wall_s or 0.0) < LEASE_S:
            return entry
        anew = {"phase": Phase.NEW.value, "billing": Billing.NONE.value, "owner": None}

        def work(rows: Rows) -> None:
            rows.update(ENTRIES, entry.entry_id, anew)

        self._store.run(work, Durability.SYNCED)
        return self.get(entry.entry_id)


class DroppingFence(SqliteLedger):
    """Planted: what an owner heard is written only while the row is still his and is being sent."""

    def accept(self, entry: Entry, task_id: str, **named: Any) -> Entry:
        """Record an id, unless the row moved on: then 0 rows are updated."""
        stands = self.get(entry.entry_id)
        if (stands.phase, stands.owner, stands.sends) != (Phase.SUBMITTING, entry.owner, entry.sends):
            return stands
        return super().accept(entry, task_id, **named)


LEDGERS: Mapping[str, Callable[..., SqliteLedger]] = {
    "genuine": SqliteLedger,
    "time lease": TimeLease,
    "dropping fence": DroppingFence,
}
