"""``resilient-poll bill``: what is owed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.options import account_option, ledger_option, prices_option
from resilient_poll.cli.records.durations import moment_option
from resilient_poll.cli.records.listed import WIDEST_LINE
from resilient_poll.cli.records.reading import Reader, note, reading, with_reports
from resilient_poll.cli.records.values import money, result_of
from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import PatientConsole, print_lines, say_stdout_trouble
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.ledger.bill import BillRow, bill_of
from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import EntryCorrupt
from resilient_poll.machine.lifecycle import Phase

__all__ = ["bill", "grouped"]

_pass_interrupts = click.make_pass_decorator(Interrupts)
_SUMS = ("billed", "may_yet_be_billed", "in_doubt")
_COUNTS = ("tasks_billed", "tasks_that_may_be", "tasks_in_doubt")


@click.command(epilog=epilog("bill"))
@click.option("--since", callback=moment_option, metavar="TIME", help="What was sent from then on.")
@click.option("--until", callback=moment_option, metavar="TIME", help="What was sent before then.")
@click.option(
    "--by", type=click.Choice(["model", "day"]), default="model", show_default=True, help="What each line is of."
)
@account_option
@prices_option
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; amounts are texts, as they are exact.")
@_pass_interrupts
def bill(
    interrupts: Interrupts, /, since: datetime | None, until: datetime | None, by: str, as_json: bool, **options: Any
) -> int:
    """Show what is billed, what may yet be billed, and what is in doubt, for what was sent from here.

    Prices are those at the time of the submit, if it was given a table; what has none is
    priced by --prices now, as far as its answer says how much it was. What is not over is
    reckoned at the most that it may cost: 15 s where no duration was asked for. Days are in
    UTC. TIME is a date, ISO 8601 with a time zone, or how long ago: 30m, 6h, 1d.

    \b
    FILE holds prices by model, for a second of video, an image or a task:
      currency: USD
      models:
        wan2.6-*: {second: "0.10"}
        wan2.6-image: {image: "0.03"}
    """
    wish = LedgerWish.of(options)
    return with_reports(interrupts, lambda: _bill(wish, since, until, by, as_json=as_json), as_json=as_json)


def _bill(wish: LedgerWish, since: datetime | None, until: datetime | None, by: str, *, as_json: bool) -> int:
    prices = wish.price_table()
    with reading(wish) as reader:
        sent = [_priced(reader, entry, prices) for entry in _sent(reader, wish.account, since, until)]
        rows = bill_of(sent, _strays(reader))
        damaged = reader.damaged
    groups = grouped(rows, by)
    totals = grouped(rows, "currency")
    if as_json:
        trouble = print_lines([json.dumps(_document(groups, totals, by, since, until, damaged))])
    else:
        trouble = _print(groups, totals, by) if groups else None
        _say_more(groups, damaged)
    return say_stdout_trouble(trouble, int(ExitCode.SUCCEEDED))


def _sent(reader: Reader, account: str | None, since: datetime | None, until: datetime | None) -> Iterator[Entry]:
    for entry in reader.entries(account=account, with_archived=True):
        at_s = entry.licensed_wall_s
        is_in_time = (since is None or (at_s or 0) >= since.timestamp()) and (
            until is None or (at_s or 0) < until.timestamp()
        )
        if at_s is not None and is_in_time:
            yield entry


def _strays(reader: Reader) -> dict[int, int]:
    counts: dict[int, int] = {}
    try:
        for stray in () if reader.ledger is None else reader.ledger.strays():
            counts[stray.entry_id] = counts.get(stray.entry_id, 0) + 1
    except EntryCorrupt as error:
        reader.damaged.append(error)
    return counts


def _priced(reader: Reader, entry: Entry, prices: PriceTable | None) -> Entry:
    """Return an entry with the price that it would have had."""
    if prices is None or entry.charge is not None:
        return entry
    try:
        result = result_of(reader.whole(entry)) if entry.phase is Phase.SUCCEEDED else None
    except EntryCorrupt as error:
        reader.damaged.append(error)
        return entry
    return replace(entry, charge=prices.charged(entry.about.get("model", ""), result or {}))


def grouped(rows: Sequence[BillRow], by: str) -> list[tuple[str, BillRow]]:
    """Return the sums of rows for each model, day or currency, and each currency by itself.

    Args:
        rows: By day, model and currency.
        by: ``model``, ``day`` or ``currency``.
    """
    sums: dict[tuple[str, str], BillRow] = {}
    for row in rows:
        name: str = getattr(row, by)
        so_far = sums.get((name, row.currency))
        if so_far is None:
            sums[name, row.currency] = row
            continue
        values = {field: getattr(so_far, field) + getattr(row, field) for field in (*_SUMS, *_COUNTS)}
        sums[name, row.currency] = replace(so_far, **values)
    return [(name, row) for (name, _), row in sorted(sums.items(), key=_priceless_last)]


def _priceless_last(item: tuple[tuple[str, str], BillRow]) -> tuple[str, bool, str]:
    name, currency = item[0]
    # Of all currencies, that without a price is the last line.
    return ("" if name == currency else name), not currency, currency


def _document(
    groups: list[tuple[str, BillRow]],
    totals: list[tuple[str, BillRow]],
    by: str,
    since: datetime | None,
    until: datetime | None,
    damaged: Sequence[EntryCorrupt],
) -> dict[str, Any]:
    return {
        "since": None if since is None else since.isoformat(),
        "until": None if until is None else until.isoformat(),
        "by": by,
        "rows": [{by: name, **_values(row)} for name, row in groups],
        "totals": [_values(row) for _, row in totals],
        "damaged": sorted({error.entry_id for error in damaged}),
    }


def _values(row: BillRow) -> dict[str, Any]:
    """Return a row; what has no price has no currency and no sums."""
    amounts = {name: f"{getattr(row, name):f}" if row.currency else None for name in _SUMS}
    return {"currency": row.currency or None, **amounts, **{name: getattr(row, name) for name in _COUNTS}}


def _print(groups: list[tuple[str, BillRow]], totals: list[tuple[str, BillRow]], by: str) -> str | None:
    console = PatientConsole(stderr=False)
    if not sys.stdout.isatty():
        console.width = WIDEST_LINE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(by.upper(), overflow="fold")
    for heading in ("BILLED", "MAY YET BE BILLED", "IN DOUBT"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in groups:
        table.add_row(Text(printable(name or "?")), *_cells(row))
    table.add_section()
    for currency, row in totals:
        table.add_row(Text(f"all in {currency}" if currency else "all without a price", style="bold"), *_cells(row))
    console.print(table)
    console.file.flush()
    return console.trouble


def _cells(row: BillRow) -> Iterator[Text]:
    for amount_name, count_name in zip(_SUMS, _COUNTS, strict=True):
        amount: Decimal = getattr(row, amount_name)
        count: int = getattr(row, count_name)
        tasks = f"{count} task{'' if count == 1 else 's'}"
        if not count:
            yield Text("-", style="dim")
        elif row.currency:
            yield Text(f"{money(amount)} {row.currency} ({tasks})")
        else:
            yield Text(f"? ({tasks})", style="yellow")


def _say_more(groups: list[tuple[str, BillRow]], damaged: Sequence[EntryCorrupt]) -> None:
    if not groups:
        note("nothing was sent that is, or may be, billed")
    if any(not row.currency for _, row in groups):
        note("! no price is known for some of it: give --prices FILE, or set RESILIENT_POLL_PRICES, also for submits")
    for error in {error.entry_id: error for error in damaged}.values():
        note(f"! {error}; it is in no sum")
