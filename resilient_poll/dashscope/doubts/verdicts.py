"""What looking for a doubt's task came to, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.ledger.entry import Entry

__all__ = ["RECONCILE_S", "Reconciled", "Verdict"]

RECONCILE_S = 300.0
"""How long all of it may take: two readings of some thousand tasks at the account's 20 queries a second, and a
look at those that may be it."""


class Verdict(StrEnum):
    """What looking for a doubt's task came to."""

    ADOPTED = "ADOPTED"
    """Its task was found, and the ledger has it: wait for it as for any other."""
    NONE_FOUND = "NONE_FOUND"
    """The list shows no task that it can have made, though it shows others of that time. It stays in doubt until
    somebody decides."""
    UNCLEAR = "UNCLEAR"
    """It cannot be told; ``candidates`` are the tasks that may be it."""
    CANNOT_LIST = "CANNOT_LIST"
    """There is no list in which it could be found; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What looking for one doubt's task came to.

    Attributes:
        entry: The doubt's entry, as it stands now.
        verdict: What it came to.
        task_id: The task that was adopted; None otherwise.
        candidates: Tasks at the service that it may have made and nobody is known to own.
        why: One sentence for people.
    """

    entry: Entry
    verdict: Verdict
    task_id: str | None
    candidates: tuple[ListedTask, ...]
    why: str

    def __str__(self) -> str:
        return f"{self.entry}: {self.verdict}; {self.why}"
