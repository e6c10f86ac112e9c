"""What ``resilient-poll list`` shows of the ledger."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.records.reading import Reader, note, reading
from resilient_poll.cli.records.table import NARROWEST_TABLE, lines_of, table_of_entries
from resilient_poll.cli.records.values import entry_values
from resilient_poll.cli.streams import PatientConsole, print_lines, say_stdout_trouble
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Phase

__all__ = ["WIDEST_LINE", "Filter", "list_ledger"]

MOST_SHOWN = 50
"""Entries that people get unasked; machines get all."""
WIDEST_LINE = 1000
"""Where no terminal sets a width, no line is wrapped: its reader may be a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are shown.

    Attributes:
        since, until: Wanted in this time.
        model: Of this model.
        status: In this phase, or in this status in the service's own word.
        with_archived: Whether archived ones are shown.
        limit: How many.
    """

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    status: str | None = None
    with_archived: bool = False
    limit: int | None = None

    def lets_through(self, entry: Entry) -> bool:
        """Tell whether an entry is shown."""
        word = None if self.status is None else self.status.upper()
        return (
            (self.since is None or entry.created_wall_s >= self.since.timestamp())
            and (self.until is None or entry.created_wall_s < self.until.timestamp())
            and (self.model is None or entry.about.get("model") == self.model)
            and (word is None or word in {entry.phase.value.upper(), (entry.status or "").upper()})
        )


def list_ledger(wish: LedgerWish, which: Filter, *, as_json: bool) -> int:
    """Print what the ledger has, newest first; return the exit code.

    Args:
        wish: Which ledger.
        which: Which entries.
        as_json: Whether one JSON object a line is printed.

    Raises:
        ResilientPollError: The ledger cannot be read.
    """
    now_wall_s = time.time()
    with reading(wish) as reader:
        found = (entry for entry in _all(reader, wish, which) if which.lets_through(entry))
        if as_json:
            trouble = _print_json(islice(found, which.limit), now_wall_s)
        else:
            most = which.limit or MOST_SHOWN
            shown = list(islice(found, most))
            trouble = _print(shown, now_wall_s) if shown else None
            _say_count(reader, wish, len(shown), is_cut=len(shown) == most and next(found, None) is not None)
            _say_what_to_do(shown)
        if not as_json:
            reader.say_damage()
        elif trouble is None and reader.damaged:
            trouble = print_lines([json.dumps({"entry": one.entry_id, "error": str(one)}) for one in reader.damaged])
    return say_stdout_trouble(trouble, int(ExitCode.SUCCEEDED))


def _all(reader: Reader, wish: LedgerWish, which: Filter) -> Iterator[Entry]:
    return reader.entries(account=wish.account, with_archived=which.with_archived)


def _print_json(entries: Iterable[Entry], now_wall_s: float) -> str | None:
    for entry in entries:
        if (trouble := print_lines([json.dumps(entry_values(entry, now_wall_s))])) is not None:
            return trouble
    return None


def _print(entries: list[Entry], now_wall_s: float) -> str | None:
    console = PatientConsole(stderr=False)
    if not sys.stdout.isatty():
        console.width = WIDEST_LINE
    if console.width >= NARROWEST_TABLE:
        console.print(table_of_entries(entries, now_wall_s))
    else:
        for line in lines_of(entries, now_wall_s, console.width):
            console.print(line, soft_wrap=True)
    console.file.flush()
    return console.trouble


def _say_count(reader: Reader, wish: LedgerWish, count: int, *, is_cut: bool) -> None:
    if reader.ledger is None:
        note(f"there is no ledger yet at {wish.place}: run, submit and batch make it; --remote asks the service")
        return
    older = "; there are older ones: --limit N" if is_cut else ""
    note(f"{count} {'entry' if count == 1 else 'entries'}{older}")


def _say_what_to_do(shown: list[Entry]) -> None:
    unsaved = sum(entry.is_paid_and_not_saved and entry.archived_wall_s is None for entry in shown)
    doubts = sum(entry.phase is Phase.IN_DOUBT for entry in shown)
    if unsaved:
        are, it = ("paid result is", "it") if unsaved == 1 else ("paid results are", "them")
        note(f"! {unsaved} {are} not on disk; fetch {it} with\n  $ resilient-poll resume --all")
    if doubts:
        are, it = ("is", "it") if doubts == 1 else ("are", "them")
        note(f"! {doubts} {are} in doubt; settle {it} with\n  $ resilient-poll reconcile")
