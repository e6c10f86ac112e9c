"""How commands that only read use the ledger: they make none, need no API key, and a damaged row hides no other."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from resilient_poll.cli.accidents import report_of_interruption, report_of_surprise
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.streams import PatientConsole, emit, say
from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import EntryCorrupt
from resilient_poll.ledger.protocol import Ledger

__all__ = ["Reader", "note", "reading", "with_reports"]

PAGE = 500
"""Entries that are read at once: a few hundred kilobytes."""


class Reader:
    """A ledger that is read, and what of it could not be.

    Args:
        ledger: The ledger; None if there is none yet.

    Attributes:
        ledger: The same.
        damaged: What could not be read so far.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self.ledger = ledger
        self.damaged: list[EntryCorrupt] = []

    def entries(
        self, *, account: str | None = None, key: str | None = None, with_archived: bool = False
    ) -> Iterator[Entry]:
        """Yield what can be read, newest first.

        Args:
            account: Of this label only.
            key: Of this key only.
            with_archived: Whether archived ones are among them.
        """
        if self.ledger is None:
            return
        before: int | None = None
        while True:
            page = self.ledger.entries(key=key, before_entry_id=before, with_archived=with_archived, limit=PAGE)
            self.damaged += page.corrupt
            yield from (entry for entry in page if account is None or entry.namespace.account == account)
            seen = [entry.entry_id for entry in page] + [error.entry_id for error in page.corrupt]
            if len(seen) < PAGE:
                return
            before = min(seen)

    def of(self, word: str) -> list[Entry]:
        """Return all attempts of what is called so: a key, or a task's id; newest first."""
        by_key = list(self.entries(key=word, with_archived=True))
        if by_key or self.ledger is None:
            return by_key
        holder = next((entry for entry in self.entries(with_archived=True) if entry.task_id == word), None)
        if holder is None:
            return []
        return [
            entry for entry in self.entries(key=holder.key, with_archived=True) if entry.namespace == holder.namespace
        ]

    def whole(self, entry: Entry) -> Entry:
        """Return an entry with its result."""
        return entry if self.ledger is None else self.ledger.get(entry.entry_id)

    def say_damage(self) -> None:
        """Say on stderr what could not be read, each row once."""
        for error in {error.entry_id: error for error in self.damaged}.values():
            note(f"! {error}")


def note(line: str) -> None:
    """Say something on stderr."""
    say(PatientConsole(stderr=True), line)


@contextmanager
def reading(wish: LedgerWish) -> Generator[Reader, None, None]:
    """Open the ledger, if there is one, for the block.

    Args:
        wish: Which.

    Raises:
        LedgerError: It cannot be used.
        ConfigurationError: There is none where an option says so.
    """
    ledger = wish.open_if_there()
    try:
        yield Reader(ledger)
    finally:
        if ledger is not None:
            ledger.close()


def with_reports(interrupts: Interrupts, work: Callable[[], int], *, as_json: bool) -> int:
    """Do a command's work; whatever happens becomes a report and an exit code.

    Args:
        interrupts: Who hears Ctrl-C and SIGTERM.
        work: Prints, and returns the exit code.
        as_json: Whether a report is printed as JSON.
    """
    about: dict[str, Any] = {"task_id": None, "creates": False, "next_command": None}
    try:
        return work()
    except ResilientPollError as error:
        return emit(report_of_error(error, **about), as_json=as_json)
    except Interrupted as interruption:
        verdict = (ExitCode.OTHER, "interrupted")
        report = report_of_interruption(interruption.signal_name, verdict, "nothing was sent.", creates=False)
        return emit(report, as_json=as_json)
    except Exception as error:  # noqa: BLE001  # no traceback is shown unasked
        if os.environ.get("RESILIENT_POLL_TRACEBACK") == "1":
            traceback.print_exc()
        return emit(report_of_surprise(error, standing=None, doubt=None, **about), as_json=as_json)
    finally:
        interrupts.finish()
