"""``resilient-poll archive``: puts aside what is over."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from resilient_poll.cli.consent import check_consent
from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.options import ledger_option, yes_option
from resilient_poll.cli.records.durations import moment_option
from resilient_poll.cli.records.reading import Reader, note, reading, with_reports
from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import print_lines, say_stdout_trouble
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.reading import Archived
from resilient_poll.machine.lifecycle import Phase

__all__ = ["archive", "reason_to_keep"]

MOST_NAMED = 20
"""Entries that are named one by one for people; the JSON object has all."""
_RISK = "what was archived before then is removed for good: its bill is gone, and its keys pay again"
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("archive"))
@click.option(
    "--before", callback=moment_option, metavar="TIME", required=True, help="What nothing was heard of since then."
)
@click.option(
    "--including-not-downloaded", is_flag=True, help="Also what is paid and not on disk; its URL is lost by that."
)
@click.option(
    "--vacuum", is_flag=True, help="Then remove for good what was archived before TIME, and give its space back."
)
@yes_option
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: how many, and all that were kept.")
@_pass_interrupts
def archive(interrupts: Interrupts, /, before: datetime, as_json: bool, **options: Any) -> int:
    """Put aside what is over, so that list is short; bills, keys and ids stay.

    What is in doubt, unfinished, not told to anybody, or paid and not downloaded is kept as
    it is, and named. TIME is a date, ISO 8601 with a time zone, or how long ago: 30d.
    """
    return with_reports(interrupts, lambda: _archive(before, options, as_json=as_json), as_json=as_json)


def _archive(before: datetime, options: Mapping[str, Any], *, as_json: bool) -> int:
    with reading(LedgerWish.of(options)) as reader:
        if options["vacuum"]:
            check_consent(_RISK, options["yes"])
        done, removed = Archived(0, {}), None
        if reader.ledger is not None:
            done = reader.ledger.archive(
                before.timestamp(),
                including_not_downloaded=options["including_not_downloaded"],
                now_wall_s=time.time(),
            )
            removed = reader.ledger.vacuum(before.timestamp()) if options["vacuum"] else None
        kept = _kept(reader, before)
    if as_json:
        trouble = print_lines([json.dumps(_document(done, removed, kept, reader))])
    else:
        trouble = _print(done, removed, kept)
        reader.say_damage()
    return say_stdout_trouble(trouble, int(ExitCode.SUCCEEDED))


def _kept(reader: Reader, before: datetime) -> list[tuple[Entry, str]]:
    return [(one, reason_to_keep(one)) for one in reader.entries() if one.updated_wall_s < before.timestamp()]


def reason_to_keep(entry: Entry) -> str:
    """Return why the ledger does not archive an entry."""
    if entry.phase in {Phase.SUBMITTING, Phase.IN_DOUBT}:
        return "in doubt"
    if not entry.is_ended:
        return "unfinished"
    return "not downloaded" if entry.is_paid_and_not_saved else "not told to anybody"


def _document(
    done: Archived, removed: Archived | None, kept: list[tuple[Entry, str]], reader: Reader
) -> dict[str, Any]:
    return {
        "archived": done.count,
        "removed": None if removed is None else removed.count,
        "kept": [
            {"idempotency_key": one.key, "attempt": one.attempt, "task_id": one.task_id, "reason": why}
            for one, why in kept
        ],
        "damaged": sorted({error.entry_id for error in reader.damaged}),
    }


def _print(done: Archived, removed: Archived | None, kept: list[tuple[Entry, str]]) -> str | None:
    lines = [f"archived {done.count}" + ("" if removed is None else f", removed {removed.count} for good")]
    trouble = print_lines(lines)
    for entry, why in kept[:MOST_NAMED]:
        note(printable(f"  kept {entry.key}{f', task {entry.task_id}' if entry.task_id else ''}: {why}"))
    if len(kept) > MOST_NAMED:
        note(f"  and {len(kept) - MOST_NAMED} more are kept: --json names them")
    return trouble
