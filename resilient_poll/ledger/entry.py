"""What the ledger keeps: one entry for each attempt of an intent, and what no entry could hold.

Values only. What may change into what is in :mod:`.moves`; what a row must look like is in
:mod:`.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

if TYPE_CHECKING:
    from resilient_poll.ledger.errors import EntryCorrupt

__all__ = ["LONGEST_ABOUT", "Charge", "Entry", "Listing", "Namespace", "Said", "SavedFile", "Stray"]


LONGEST_ABOUT = 1024
"""Characters of each of the short texts about a request, its name included."""


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """Within what an idempotency key and a task id mean something.

    A key that was used against a fake must never bring the fake's task in production.

    Attributes:
        origin: Where the service is: scheme, host, port and base path.
        dialect: How it is spoken to.
        account: The caller's own label for the account; never the key itself.
    """

    origin: str
    dialect: str
    account: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What one task costs if it is billed, as far as it is known.

    Attributes:
        amount: The price of the whole task, zero or more.
        currency: In what, as ``USD``; sums are made for each currency by itself.
        unit: What is charged by, as ``second`` or ``image``; may be empty.
        units: How many of them; one where the price is for the task.
    """

    amount: Decimal
    currency: str
    unit: str = ""
    units: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A result that is on disk.

    Attributes:
        path: Where, as the caller named it.
        size_bytes: How large.
        sha256: Of its content, in hexadecimal.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt of one intent. Times are wall-clock seconds since 1970, or None if it did not happen.

    Attributes:
        entry_id: The ledger's own number; larger is newer.
        namespace: Within what key and task id mean something.
        key: The caller's idempotency key.
        attempt: Which attempt of the key, from 1.
        digest: Of the request, so that another request under the same key is noticed.
        about: Short texts for people: model, endpoint, workspace, base URL.
        phase: Where it stands.
        sends: How many licences to send were used.
        doubtful_sends: The numbers of those sends whose doubt was overruled by an explicit new
            licence: each may have made a task that is billed.
        owner: Who holds, or last held, the licence; None where nobody may give it back.
        not_before_wall_s: Before when the service asked not to be sent anything.
        created_wall_s: When it was wanted.
        licensed_wall_s: When the last licence was given.
        updated_wall_s: When anything was last written.
        ended_wall_s: When it ended.
        task_id: The service's id.
        status: The service's own last word.
        billing: What may be owed.
        request_id: The service's id of the last request that had one.
        code: The service's error code.
        message: Its explanation, or why this entry is in doubt.
        snapshot: The text of ``machine.snapshot``, which has its own version.
        result: The raw answer as JSON text. Lists leave it out.
        delivered_wall_s: When the end was handed to the caller.
        charge: What it costs if it is billed; None if no price is known.
        files: What of its result is on disk.
        worker: Who polls it.
        worker_until_wall_s: Until when that is agreed; 0 if nobody does.
        archived_wall_s: When it was archived.
    """

    entry_id: int
    namespace: Namespace
    key: str
    attempt: int
    digest: str
    created_wall_s: float
    updated_wall_s: float
    about: Mapping[str, str] = field(default_factory=dict)
    phase: Phase = Phase.NEW
    sends: int = 0
    doubtful_sends: tuple[int, ...] = ()
    owner: str | None = None
    not_before_wall_s: float | None = None
    licensed_wall_s: float | None = None
    ended_wall_s: float | None = None
    task_id: str | None = None
    status: str | None = None
    billing: Billing = Billing.NONE
    request_id: str | None = None
    code: str | None = None
    message: str | None = None
    snapshot: str | None = None
    result: str | None = field(default=None, repr=False)
    delivered_wall_s: float | None = None
    charge: Charge | None = None
    files: tuple[SavedFile, ...] = ()
    worker: str | None = None
    worker_until_wall_s: float = 0.0
    archived_wall_s: float | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the attempt reached an end."""
        return self.phase in ENDS

    @property
    def is_paid_and_not_saved(self) -> bool:
        """Whether it succeeded, is not free, and nothing of it is on disk."""
        return self.phase is Phase.SUCCEEDED and self.billing is not Billing.NONE and not self.files

    def __str__(self) -> str:
        held = f", task {self.task_id}" if self.task_id else ""
        return f"entry {self.entry_id} (key {self.key!r}, attempt {self.attempt}{held}, {self.phase})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the service said beside the main thing; what it did not say stays as it was.

    Attributes:
        status: Its own word.
        request_id: Its id of the request.
        code: Its error code.
        message: Its explanation.
        snapshot: What the machine keeps of the task, as text.
    """

    status: str | None = None
    request_id: str | None = None
    code: str | None = None
    message: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """What the service gave for a send whose entry had moved on: recorded, because it may be billed.

    Attributes:
        stray_id: The ledger's own number.
        namespace: Within what the task id means something.
        entry_id: The entry that was sent.
        send: Which of its sends this came of.
        task_id: The service's id; None where it answered with a result.
        request_id: The service's id of the request.
        snapshot: The text of ``machine.snapshot``.
        result: The raw answer as JSON text.
        reason: Why it is in no entry.
        seen_wall_s: When it was recorded, in seconds since 1970.
    """

    stray_id: int
    namespace: Namespace
    entry_id: int
    send: int
    task_id: str | None
    request_id: str | None
    snapshot: str | None
    result: str | None = field(repr=False)
    reason: str
    seen_wall_s: float


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries that could be read, and those that could not. Iterating gives the former.

    Attributes:
        entries: What could be read, in the order that was asked for.
        corrupt: One error for each row that could not.
    """

    entries: tuple[Entry, ...]
    corrupt: tuple[EntryCorrupt, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)
