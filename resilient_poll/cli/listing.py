"""``resilient-poll list``: what the ledger has, or the account's tasks at the service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.options import account_option, connection_options_with, ledger_option
from resilient_poll.cli.progress import STATUS_STYLES
from resilient_poll.cli.records.durations import moment_option, short_duration
from resilient_poll.cli.records.listed import WIDEST_LINE, Filter, list_ledger
from resilient_poll.cli.records.reading import with_reports
from resilient_poll.cli.report import Report, printable
from resilient_poll.cli.session import Plan, Session
from resilient_poll.cli.streams import PatientConsole, emit, print_lines, say_stdout_trouble
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.errors import SafeToSubmitAgain

__all__ = ["list_tasks", "table_of"]

_ID_WIDTH = 36
"""A UUID's."""
_TIMES_WIDTH = len("  9d23h ago  9d23h") + 2 + 2
_NARROWEST_MODEL = 6
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command("list", epilog=epilog("list"))
@click.option("--remote", is_flag=True, help="Ask the service for its list, whoever submitted. It forgets in a day.")
@click.option("--since", callback=moment_option, metavar="TIME", help="Tasks created from then on.")
@click.option("--until", callback=moment_option, metavar="TIME", help="Tasks created until then. Default: now.")
@click.option("--model", metavar="MODEL", help="Tasks of this model only.")
@click.option("--status", metavar="STATUS", help="Tasks in this status or phase only: RUNNING, IN_DOUBT.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="The first N. Default: 50 of the ledger; with --json, all."
)
@click.option("--archived", is_flag=True, help="Also what archive has put aside.")
@account_option
@ledger_option
@connection_options_with("Print one JSON object a line: the tasks, then an error if there was one.")
@_pass_interrupts
def list_tasks(
    interrupts: Interrupts,
    /,
    remote: bool,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """List what was submitted from here, newest first: keys, tasks, phases, bills and files.

    It needs no API key and sends nothing, but with --remote, which lists the account's tasks
    at the service for the last day. TIME is a date, ISO 8601 with a time zone, or how long
    ago: 90s, 30m, 6h, 1d. With --json, each has the words that show --json has: its key,
    task, phase, bill, times, files, and what to do about it as "warning".
    """
    if not remote:
        which = Filter(
            since=since,
            until=until,
            model=options["model"],
            status=options["status"],
            with_archived=options["archived"],
            limit=limit,
        )
        wish = LedgerWish.of(options)
        return with_reports(interrupts, lambda: list_ledger(wish, which, as_json=as_json), as_json=as_json)
    return _list_remote(interrupts, since, until, limit, options, as_json=as_json)


def _list_remote(
    interrupts: Interrupts,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> int:
    plan = Plan(dialect=options["dialect"], base_url=options["base_url"], ledger=LedgerWish(is_off=True))
    if since is not None and until is None:
        until = datetime.now(UTC)
    rows: list[ListedTask] = []
    stdout_trouble: list[str] = []

    def work(session: Session, client: DashScope) -> Report:
        found = session.listing(
            client.list_remote(start=since, end=until, model=options["model"], status=options["status"])
        )
        for task in islice(found, limit):
            rows.append(task)
            if as_json:
                trouble = print_lines([json.dumps(_as_json(task))])
                stdout_trouble.extend([trouble] if trouble else [])
        count = f"{len(rows)} task{'' if len(rows) == 1 else 's'}"
        more = " (there may be more: --limit)" if len(rows) == limit else ""
        return Report(
            exit_code=ExitCode.SUCCEEDED,
            outcome="listed",
            safe_to_submit_again=SafeToSubmitAgain.NO,
            notes=(f"{count}{more}",),
        )

    report = Session.perform(plan, interrupts, work)
    if as_json:
        # Each row is printed already; what went wrong is one more line, and told by its "error".
        code = emit(report, as_json=True) if report.error is not None else int(report.exit_code)
        return say_stdout_trouble(stdout_trouble[0] if stdout_trouble else None, code)
    # Also when a page did not come: what was heard is shown.
    trouble = _print_table(rows) if rows else None
    return say_stdout_trouble(trouble, emit(report, as_json=False))


def _as_json(task: ListedTask) -> dict[str, Any]:
    times = {"submitted_at": task.submitted_at, "started_at": task.started_at, "ended_at": task.ended_at}
    return {
        "task_id": task.task_id,
        "status": task.status,
        "phase": task.phase,
        "model": task.model,
        "request_id": task.request_id,
        **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
    }


def _print_table(rows: Iterable[ListedTask]) -> str | None:
    console = PatientConsole(stderr=False)
    if not sys.stdout.isatty():
        console.width = WIDEST_LINE
    console.print(table_of(rows, datetime.now(UTC), console.width))
    console.file.flush()
    return console.trouble


def table_of(rows: Iterable[ListedTask], now: datetime, width: int) -> Table:
    """Return the table that people read, the newest task first. Ids are never cut: they are what one copies.

    Args:
        rows: The tasks.
        now: The time.
        width: How many columns the terminal has; it is the model's name that gives way.
    """
    rows = list(rows)
    statuses = max((len(task.status or "?") for task in rows), default=0)
    room = width - _ID_WIDTH - max(statuses, len("STATUS")) - _TIMES_WIDTH
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("TASK", overflow="fold", min_width=_ID_WIDTH)
    table.add_column("STATUS", no_wrap=True, overflow="ellipsis")
    table.add_column("MODEL", no_wrap=True, overflow="ellipsis", max_width=max(_NARROWEST_MODEL, room))
    table.add_column("SUBMITTED", no_wrap=True, justify="right")
    table.add_column("TOOK", no_wrap=True, justify="right")
    oldest = datetime.min.replace(tzinfo=UTC)
    for task in sorted(rows, key=lambda task: task.submitted_at or oldest, reverse=True):
        word = task.status or "?"
        table.add_row(*_cells(task, word, now))
    return table


def _cells(task: ListedTask, word: str, now: datetime) -> Iterator[Text]:
    yield Text(printable(task.task_id))
    yield Text(printable(word), style=STATUS_STYLES.get(word, "yellow"))
    yield Text(printable(task.model or "?"))
    submitted = task.submitted_at
    yield Text("?" if submitted is None else f"{short_duration((now - submitted).total_seconds())} ago", style="dim")
    took = None if submitted is None or task.ended_at is None else (task.ended_at - submitted).total_seconds()
    yield Text("" if took is None else short_duration(took))
