"""What can go wrong with a ledger.

::

    ResilientPollError
    ├── ConfigurationError (ValueError)
    │   ├── IdempotencyConflict      the key was used for another request: use another key
    │   ├── ActRefused               the entry is not where this act is allowed
    │   └── EntryInvalid             a record that must not be written
    ├── GuardRefused                 a limit of the caller's own forbids it; nothing was sent
    └── LedgerError
        ├── LedgerUnavailable        for now: busy, full, disk or connection trouble
        ├── LedgerUnusable           as it stands: foreign, newer, damaged, in a place that cannot be locked
        ├── LedgerForked             opened before a fork: open it again in the child
        ├── EntryCorrupt             one row cannot be read; the others can
        └── NotSaved                 accepted and paid, and the ledger could not write it down

As everywhere here, none of them is a ``TimeoutError``, an ``OSError`` or a database's error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resilient_poll.error_kinds import ErrorKind, SafeToSubmitAgain, TryAgain
from resilient_poll.errors import ConfigurationError, ResilientPollError

if TYPE_CHECKING:
    from resilient_poll.ledger.entry import Entry

__all__ = [
    "ActRefused",
    "EntryCorrupt",
    "EntryInvalid",
    "GuardRefused",
    "IdempotencyConflict",
    "LedgerError",
    "LedgerForked",
    "LedgerUnavailable",
    "LedgerUnusable",
    "NotSaved",
]


class IdempotencyConflict(ConfigurationError):
    """The idempotency key was used for another request; nothing was sent.

    Args:
        entry: What the key was used for.

    Attributes:
        entry: The same.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        super().__init__(
            f"the idempotency key {entry.key!r} already stands for another request ({entry}); nothing was sent: "
            "a key names one wanted result, so use another key, or repeat exactly the same request"
        )


class ActRefused(ConfigurationError):
    """The entry is not where this act is allowed; nothing was sent or changed.

    Args:
        summary: What was refused, why, and what to do.
        entry: The entry as it stands.

    Attributes:
        entry: The same.
    """

    def __init__(self, summary: str, entry: Entry | None = None) -> None:
        self.entry = entry
        super().__init__(summary)


class EntryInvalid(ConfigurationError):
    """A record that must not be written: too long, of the wrong type, or against the table of phases.

    Args:
        problems: What should be what.

    Attributes:
        problems: The same.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"this cannot be kept in a ledger, and nothing was written: {'; '.join(problems)}")


class GuardRefused(ResilientPollError):
    """A limit that the caller set forbids one more task; nothing was sent.

    Args:
        summary: What was refused and why, in one sentence.
        guard: Which limit: ``max_open_tasks``, ``max_tasks_per_day`` or ``max_spend``.
        limit: The limit, as text.
        used: What counts against it already, as text.
        asked: What would be added, as text; None if it cannot be said.
        try_again: ``LATER`` where time frees the limit, ``AFTER_A_CHANGE`` where only a change does.

    Attributes:
        guard, limit, used, asked: The same.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.YES

    def __init__(
        self, summary: str, *, guard: str, limit: str, used: str, asked: str | None, try_again: TryAgain
    ) -> None:
        self.guard, self.limit, self.used, self.asked = guard, limit, used, asked
        self.kind = ErrorKind.MONEY if guard == "max_spend" else ErrorKind.QUOTA
        self.try_again = try_again
        super().__init__(f"{summary}; nothing was sent [{guard}: limit {limit}, used {used}, asked {asked or '?'}]")


class LedgerError(ResilientPollError):
    """The ledger cannot do what was asked of it. It says nothing about the service."""

    try_again: TryAgain = TryAgain.UNKNOWN


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written at the moment; nothing of this call is known to be kept."""

    try_again: TryAgain = TryAgain.LATER


class LedgerUnusable(LedgerError):
    """The ledger cannot be used as it stands, now or later: something has to be changed first."""

    try_again: TryAgain = TryAgain.AFTER_A_CHANGE


class SlotsTaken(LedgerError):
    """As many tasks of the account may be open as were allowed, or others have stood in line for longer.

    Args:
        slots: How many tasks may be open.
        taken: How many are, or may be.

    Attributes:
        slots, taken: The same.
        reason: What stands in the way, in one clause.
    """

    try_again: TryAgain = TryAgain.LATER
    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.YES

    def __init__(self, slots: int, taken: int) -> None:
        self.slots, self.taken = slots, taken
        known = f"{taken} of at most {slots} tasks of the account are open, being sent or in doubt in the ledger"
        self.reason = known if taken >= slots else f"{known}, and what is free is for those who asked before"
        super().__init__(f"{self.reason}; nothing was sent: wait for one to end, or settle a doubt")


class LedgerForked(LedgerError):
    """The ledger was opened before this process was forked; a child opens its own."""

    try_again: TryAgain = TryAgain.AFTER_A_CHANGE

    def __init__(self) -> None:
        super().__init__(
            "this ledger was opened before the process was forked, and its connection and locks belong to the "
            "parent: open it again in the child; nothing was read or written"
        )


class EntryCorrupt(LedgerError):
    """One row of the ledger cannot be read. The others can.

    Args:
        entry_id: Its number.
        problems: What should be what.

    Attributes:
        entry_id, problems: The same.
    """

    try_again: TryAgain = TryAgain.AFTER_A_CHANGE

    def __init__(self, entry_id: int, problems: Sequence[str]) -> None:
        self.entry_id = entry_id
        self.problems = tuple(problems)
        super().__init__(
            f"entry {entry_id} of the ledger is damaged ({'; '.join(problems)}); a task that it stands for may be "
            "billed: look at the row before anything is sent under its key"
        )


class NotSaved(LedgerError):
    """The service accepted, and the ledger could not write it down: this error is now the only record.

    Args:
        entry: The entry whose send was accepted.
        task_id: The service's id; None if it answered with the result.
        result: The raw answer as JSON text, if that came.
        why: What the ledger said.

    Attributes:
        entry, task_id, result, why: The same.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.NO
    try_again: TryAgain = TryAgain.NO

    def __init__(self, entry: Entry, *, task_id: str | None, result: str | None, why: str) -> None:
        self.entry, self.task_id, self.result, self.why = entry, task_id, result, why
        what = f"task {task_id} was accepted" if task_id else "a result came"
        super().__init__(
            f"{what} for key {entry.key!r} and the ledger could not write it down: {why}. It may be billed: note it, "
            "do not submit again; the ledger's row stays as a doubt until it is told"
        )
