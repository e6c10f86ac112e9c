"""What one task's client writes into the ledger: where it was seen, and that its end was handed over."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace

from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.keeping.filing import Filing
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import ENDS
from resilient_poll.machine.observations import Observation, StatusSeen
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["TaskFile"]


class TaskFile:
    """One task's place in the ledger.

    Args:
        books: The client's; None where there is no ledger.
        entry: What holds the task; None if nobody looked yet.
        record: What is known of it.
    """

    def __init__(self, books: Books | None, entry: Entry | None, record: TaskRecord) -> None:
        self._books = books
        if entry is not None and entry.task_id not in {None, record.task_id}:
            # This task's answer came when its entry already held another: the ledger keeps it beside, as a stray, and
            # what becomes of it is not what becomes of the entry's.
            entry = None
        self._entry = entry
        # What the ledger knows; of a task that is known by its id, nobody has looked yet.
        self._written = record if entry is not None else None

    def to_write(
        self, poller: Poller, observation: Observation, now: Instant, resume_token: Callable[[], str]
    ) -> Callable[[], None] | None:
        """Return what writes down where a look has seen the task, or None if the ledger need not know.

        It is called before the machine and the caller see the look. The writing waits for a disk.

        Args:
            poller: The task's machine.
            observation: What the look brought.
            now: When.
            resume_token: Makes what is logged if the ledger cannot be written.
        """
        books = self._books
        if books is None or not isinstance(observation, StatusSeen):
            return None
        probe = copy(poller)
        probe.receive(observation, now)
        after = probe.record
        if self._written is not None and not _is_worth_writing(self._written, after):
            return None

        def write() -> None:
            try:
                self._entry = self._entry or books.entry_of_task(after.task_id)
                if self._entry is not None:
                    self._entry = books.observe(self._entry, after, now)
                self._written = after
            except ResilientPollError as error:
                # The id is durable already, so nothing is lost: the next look is written, or another process looks.
                logger.error(
                    "where task %s stands (%s, billing %s) could not be written down: %s Resume token %s",
                    after.task_id,
                    after.phase,
                    after.billing,
                    error,
                    resume_token(),
                )

        return write

    def to_hand_over(self, record: TaskRecord, now: Instant) -> Callable[[], None] | None:
        """Return what notes that the caller is told of the task's end, or None if there is nothing to note."""
        books = self._books
        if books is None or not record.is_ended:
            return None

        def note() -> None:
            try:
                self._entry = self._entry or books.entry_of_task(record.task_id)
                if self._entry is None:
                    return
                if not self._entry.is_ended:
                    # It ended before this client looked, or could not be written when it did.
                    self._entry = books.observe(self._entry, record, now)
            except ResilientPollError as error:
                logger.error(
                    "that task %s ended (%s) could not be written down: %s", record.task_id, record.phase, error
                )
                return
            books.hand_over(self._entry, now)

        return note

    def next_attempt(self, filing: Filing | None, *, accept_second_charge: bool) -> Filing | None:
        """Return what the attempt after this one is called, where there is a ledger."""
        if filing is None or self._entry is None:
            return filing
        return replace(
            filing,
            entry=None,
            licence=None,
            is_found=False,
            is_joined=False,
            after=self._entry,
            accept_second_charge=accept_second_charge,
        )


def _is_worth_writing(before: TaskRecord, after: TaskRecord) -> bool:
    """Tell whether a look changed what must survive a crash: each writing waits for a disk."""
    changed = (before.phase, before.billing, before.result_readable) != (
        after.phase,
        after.billing,
        after.result_readable,
    )
    return changed or (after.phase in ENDS and before.code != after.code)
