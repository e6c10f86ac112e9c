"""What a ledger promises. :class:`.MemoryLedger`, :class:`.SqliteLedger` and :class:`.PostgresLedger` keep it.

The way of one submit::

    entry = ledger.begin(namespace, key, digest, about, now_wall_s=…)
    licence = ledger.license(entry, owner, now_wall_s=…)    # None: somebody else, or not yet
    …send…                                                  # the only place where anything is sent
    ledger.accept(licence, task_id, …)      it was accepted
    ledger.answered(licence, result, …)     the result itself came
    ledger.give_back(licence, …)            surely not accepted: it may be licensed again
    ledger.refuse(licence, …)               refused for good
    ledger.doubt(licence, reason, …)        nobody knows

The entry that ``license`` returned is the proof of the licence; the others are given *it*. Times are
wall-clock seconds since 1970 and are passed in. Every method may raise :class:`.LedgerError`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Protocol, Self

from resilient_poll.ledger.entry import Charge, Entry, Listing, Namespace, Said, SavedFile, Stray
from resilient_poll.ledger.protocol_submits import SubmitLedger
from resilient_poll.ledger.reading import Archived, Bill
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["Ledger"]


class Ledger(SubmitLedger, Protocol):
    """The durable record of intents, ids, phases and bills. Safe to use from several threads and processes."""

    def observe(
        self,
        entry: Entry,
        *,
        phase: Phase,
        billing: Billing,
        said: Said = ...,
        result: str | None = None,
        charge: Charge | None = None,
        now_wall_s: float,
    ) -> Entry:
        """Record what a poll saw. Worth a call when phase or billing change: each is a synced write.

        Ends absorb, after an end the bill may only rise, and ``EXPIRED`` can be reopened.

        Args:
            entry: The entry that holds the task.
            phase: Where the task was seen, or concluded to be (``EXPIRED``).
            billing: What may be owed by that.
            said: What else was said; the snapshot.
            result: The raw answer as JSON text, if it can be read.
            charge: What it really costs, if that is known now.
            now_wall_s: When.

        Raises:
            ActRefused: The entry holds another task, or none.
        """
        ...

    def claim(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """Choose open tasks that a worker polls from now on, those that nobody looked at for longest first.

        A lease only says who polls, never who sends. It is not durable, and at most an hour.

        Args:
            namespace: Of whom; of all, if None.
            worker: Who.
            for_s: For how many seconds.
            limit: The most tasks.
            now_wall_s: When.
        """
        ...

    def claim_ends(
        self, namespace: Namespace | None, worker: str, *, for_s: float, limit: int = 100, now_wall_s: float
    ) -> Listing:
        """Choose ends that nobody was told of, and that a worker hands over from now on, oldest first, with results.

        Whoever polled a task keeps its lease when it ends, so that two workers do not tell of one end. A lease as
        in :meth:`claim`.

        Args:
            namespace: Of whom; of all, if None.
            worker: Who.
            for_s: For how many seconds.
            limit: The most ends.
            now_wall_s: When.
        """
        ...

    def renew(self, entry: Entry, worker: str, *, for_s: float, now_wall_s: float) -> bool:
        """Lengthen a lease; return whether it is still the worker's, and the task open or its end not handed over."""
        ...

    def release(self, entry: Entry, worker: str, *, now_wall_s: float) -> None:
        """Let go of a lease; of another's, nothing happens."""
        ...

    def undelivered(self, namespace: Namespace | None = None, *, limit: int = 100) -> Listing:
        """Return ends that nobody was told of, oldest first, with their results."""
        ...

    def delivered(self, entry: Entry, *, now_wall_s: float) -> Entry:
        """Record that an end was handed to the caller, and let go of its lease.

        Not durable: an end that is told twice does no harm.
        """
        ...

    def saved(self, entry: Entry, file: SavedFile, *, now_wall_s: float) -> Entry:
        """Record that a result is on disk; a file of the same path is replaced."""
        ...

    def get(self, entry_id: int) -> Entry:
        """Return an entry as it stands, with its result.

        Raises:
            ActRefused: There is none.
            EntryCorrupt: It cannot be read.
        """
        ...

    def find(self, namespace: Namespace, key: str) -> Entry | None:
        """Return the latest attempt of a key, with its result, or None."""
        ...

    def by_task(self, namespace: Namespace, task_id: str) -> Entry | None:
        """Return the entry that holds a task, with its result, or None."""
        ...

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
        """Return entries, newest first, without their results.

        Args:
            namespace: Of whom; of all, if None.
            phases: In which phases.
            key: Of which key.
            since_wall_s: Created at or after.
            until_wall_s: Created before.
            before_entry_id: Older than this one, for the next page.
            with_archived: Whether archived ones are among them.
            limit: The most of them.
        """
        ...

    def strays(self, namespace: Namespace | None = None) -> tuple[Stray, ...]:
        """Return what came for sends whose entries had moved on, oldest first.

        Raises:
            EntryCorrupt: One of them cannot be read.
        """
        ...

    def counts(self, namespace: Namespace | None = None) -> Mapping[Phase, int]:
        """Return how many entries are in each phase, without archived ones and phases that have none."""
        ...

    def bill(
        self,
        namespace: Namespace | None = None,
        *,
        since_wall_s: float | None = None,
        until_wall_s: float | None = None,
    ) -> Bill:
        """Return what is owed for what was sent within a time, by day, model and currency, archived ones included."""
        ...

    def setting(self, name: str) -> str | None:
        """Return a setting of the ledger itself, such as whether it is the account's only submitter."""
        ...

    def set_setting(self, name: str, value: str) -> None:
        """Set a setting of the ledger itself, for everybody who uses it."""
        ...

    def archive(
        self,
        before_wall_s: float,
        *,
        namespace: Namespace | None = None,
        including_not_downloaded: bool = False,
        now_wall_s: float,
    ) -> Archived:
        """Put aside what is over: its snapshot and result go, its key, id, bill and files stay.

        What is in doubt, unfinished, not handed over, or paid and not on disk is kept as it is.

        Args:
            before_wall_s: What was last written before this.
            namespace: Of whom; of all, if None.
            including_not_downloaded: Whether paid results that are not on disk may go as well.
            now_wall_s: When.
        """
        ...

    def vacuum(self, archived_before_wall_s: float) -> Archived:
        """Remove what was archived before a time, bill included, and give its space back.

        Afterwards its keys are unknown: using one again pays again.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Owners are closed by themselves. A second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        ...
