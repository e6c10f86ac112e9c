"""``resilient-poll show ID|KEY``: everything that the ledger has about one result."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import click

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.keys import ago
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.options import ledger_option
from resilient_poll.cli.records.reading import Reader, reading, with_reports
from resilient_poll.cli.records.values import (
    BILLING_WORDS,
    amount_of,
    entry_values,
    moment_text,
    result_of,
    warning_of,
)
from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import print_lines, say_stdout_trouble
from resilient_poll.dashscope.wire.results import assets_of
from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.entry import Entry, Stray
from resilient_poll.ledger.errors import EntryCorrupt

__all__ = ["show"]

_WIDTH = 10
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("show"))
@click.argument("name", metavar="ID|KEY")
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, the attempts in it newest first.")
@_pass_interrupts
def show(interrupts: Interrupts, /, name: str, as_json: bool, **options: Any) -> int:
    """Show everything that the ledger has about one result: each attempt, its times, bill, files and answer.

    ID is a task's id, KEY the idempotency key that list shows. Nothing is sent.
    """
    return with_reports(interrupts, lambda: _show(LedgerWish.of(options), name, as_json=as_json), as_json=as_json)


def _show(wish: LedgerWish, name: str, *, as_json: bool) -> int:
    now_wall_s = time.time()
    with reading(wish) as reader:
        found = [_whole(reader, entry) for entry in reader.of(name.strip())]
        if not found and reader.damaged:
            raise reader.damaged[0]
        if not found:
            raise ConfigurationError(
                f"the ledger {os.fspath(wish.place)!r} knows neither a task nor a key {name!r:.200}: see list"
            )
        strays = _strays_of(reader, found)
        if as_json:
            lines = [json.dumps(_document(found, strays, now_wall_s))]
        else:
            lines = [printable(line) for entry in found for line in _block(entry, now_wall_s)]
            lines += [printable(line) for stray in strays for line in _about_stray(stray)]
        trouble = print_lines(lines)
        reader.say_damage()
    return say_stdout_trouble(trouble, int(ExitCode.SUCCEEDED))


def _whole(reader: Reader, entry: Entry) -> Entry:
    try:
        return reader.whole(entry)
    except EntryCorrupt as error:
        reader.damaged.append(error)
        return entry


def _strays_of(reader: Reader, entries: list[Entry]) -> list[Stray]:
    numbers = {entry.entry_id for entry in entries}
    try:
        return [] if reader.ledger is None else [one for one in reader.ledger.strays() if one.entry_id in numbers]
    except EntryCorrupt as error:
        reader.damaged.append(error)
        return []


def _document(entries: list[Entry], strays: list[Stray], now_wall_s: float) -> dict[str, Any]:
    return {
        "idempotency_key": entries[0].key,
        "attempts": [{**entry_values(entry, now_wall_s), "result": result_of(entry)} for entry in entries],
        "strays": [
            {"task_id": one.task_id, "request_id": one.request_id, "reason": one.reason, "result": one.result}
            for one in strays
        ],
    }


def _block(entry: Entry, now_wall_s: float) -> Iterator[str]:
    yield f"{entry.key}  {entry.phase} · {BILLING_WORDS[entry.billing]} · {amount_of(entry.charge, entry.billing)}"
    about = entry.about
    yield from _row("task", entry.task_id or "no id is known")
    yield from _row("model", " ".join(filter(None, (about.get("model"), f"({about.get('endpoint', '?')})"))))
    yield from _row("service", f"{entry.namespace.dialect} {entry.namespace.origin}")
    yield from _row("account", entry.namespace.account)
    sends = f"{entry.sends} time{'' if entry.sends == 1 else 's'}"
    doubt = f", {len(entry.doubtful_sends)} of them in doubt and overruled" if entry.doubtful_sends else ""
    yield from _row("attempt", f"{entry.attempt}, sent {sends}{doubt}")
    yield from _row("request", entry.request_id)
    said = ": ".join(filter(None, (entry.code, entry.message)))
    yield from _row("said", ", ".join(filter(None, (entry.status, said))))
    if entry.charge is not None and entry.charge.unit:
        yield from _row("price", f"{entry.charge.units.normalize():f} x {entry.charge.unit}")
    for name, at_s in (
        ("wanted", entry.created_wall_s),
        ("submitted", entry.licensed_wall_s),
        ("ended", entry.ended_wall_s),
        ("told", entry.delivered_wall_s),
        ("archived", entry.archived_wall_s),
    ):
        if at_s is not None:
            yield from _row(name, f"{moment_text(at_s)} ({ago(now_wall_s - at_s)} ago)")
    if entry.not_before_wall_s is not None and entry.not_before_wall_s > now_wall_s:
        yield from _row("not before", moment_text(entry.not_before_wall_s))
    yield from _row("goes to", about.get("output"))
    for file in entry.files:
        gone = "" if os.path.isfile(file.path) else " (gone)"  # noqa: PTH113  # never raises
        yield from _row("file", f"{file.path} ({file.size_bytes:,} bytes){gone}")
        yield from _row("sha256", file.sha256)
    for asset in assets_of(result_of(entry)):
        yield from _row("url", asset.url)
    if (warning := warning_of(entry, now_wall_s)) is not None:
        yield f"  ! {warning}"


def _row(name: str, value: str | None) -> Iterator[str]:
    if value:
        yield f"  {name.ljust(_WIDTH)}  {value}"


def _about_stray(stray: Stray) -> Iterator[str]:
    what = f"task {stray.task_id}" if stray.task_id else "a result"
    yield f"stray: {what} may be billed as well: {stray.reason}"
