"""What a worker does in the ledger. Everything here blocks; code that awaits has it run elsewhere."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field

from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.workers.duty import Found, Plan
from resilient_poll.dashscope.workers.shift import LEASE_S
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Entry, Listing
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import OPEN, Phase
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["Rota"]

DOUBTS_TOLD = 100
"""Doubts that are named one by one; the number of all of them is counted."""


def _name() -> str:
    return f"worker-{os.getpid()}-{secrets.token_hex(6)}"


@dataclass(slots=True)
class Rota:
    """One worker's side of the ledger.

    Attributes:
        books: The client's.
        name: What the ledger calls the worker; each run has a name of its own.
    """

    books: Books
    name: str = field(default_factory=_name)
    _told: set[str] = field(default_factory=set)

    def scan(self, plan: Plan, now: Instant) -> Found:
        """Carry out a plan, and return what there is to do.

        Raises:
            LedgerError: The ledger cannot be used.
        """
        ledger, namespace, now_s = self.books.ledger, self.books.namespace, now.wall_s
        ledger.settle_the_dead(now_wall_s=now_s)
        lost = frozenset(
            entry.entry_id
            for entry in plan.renew
            if not ledger.renew(entry, self.name, for_s=LEASE_S, now_wall_s=now_s)
        )
        claimed = ends = Listing(())
        if plan.claim:
            claimed = ledger.claim(namespace, self.name, for_s=LEASE_S, limit=plan.claim, now_wall_s=now_s)
        if plan.ends:
            ends = ledger.claim_ends(namespace, self.name, for_s=LEASE_S, limit=plan.ends, now_wall_s=now_s)
        self._release(plan.release, now)  # Afterwards, so that they are not claimed anew by that.
        counts = ledger.counts(namespace)
        in_doubt = counts.get(Phase.IN_DOUBT, 0)
        self._tell_of_damage(claimed)
        self._tell_of_damage(ends)
        if in_doubt:
            self._tell_of_doubts()
        return Found(
            lost=lost,
            claimed=claimed.entries,
            ends=ends.entries,
            untold=len(ledger.undelivered(namespace, limit=plan.count_ends)) if plan.count_ends else 0,
            open=sum(counts.get(phase, 0) for phase in OPEN),
            in_doubt=in_doubt,
        )

    def is_told(self, entry: Entry) -> bool:
        """Tell whether somebody handed an end over meanwhile.

        Raises:
            LedgerError: The ledger cannot be used.
        """
        return self.books.ledger.get(entry.entry_id).delivered_wall_s is not None

    def note_told(self, entry: Entry, record: TaskRecord | None, now: Instant) -> None:
        """Write down that the handler took an end; the end itself as well, if that could not be written before.

        Raises:
            LedgerError: The ledger cannot be used.
        """
        stands = self.books.ledger.get(entry.entry_id)
        if record is not None and not stands.is_ended:
            stands = self.books.observe(stands, record, now)
        self.books.ledger.delivered(stands, now_wall_s=now.wall_s)

    def leave(self, leased: tuple[Entry, ...], now: Instant) -> None:
        """Let go of what is leased. A fault is only logged: a lease runs out by itself."""
        try:
            self._release(leased, now)
        except ResilientPollError as error:
            logger.warning("the worker's tasks could not be let go of, others wait %.0f s: %s", LEASE_S, error)

    def _release(self, entries: tuple[Entry, ...], now: Instant) -> None:
        for entry in entries:
            self.books.ledger.release(entry, self.name, now_wall_s=now.wall_s)

    def _tell_of_damage(self, listing: Listing) -> None:
        for error in listing.corrupt:
            self._tell_once(f"{error}", "a row of the ledger cannot be read and is left out: %s", error)

    def _tell_of_doubts(self) -> None:
        listing = self.books.ledger.entries(namespace=self.books.namespace, phases=(Phase.IN_DOUBT,), limit=DOUBTS_TOLD)
        for entry in listing:
            self._tell_once(
                f"{entry.entry_id}, {entry.sends}",
                "%s is in doubt: there may be a task that will be billed, and nothing is handed over for it before it "
                "is settled; see reconcile()",
                entry,
            )

    def _tell_once(self, what: str, text: str, *values: object) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.error(text, *values)
