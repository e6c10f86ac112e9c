"""``resilient-poll list``: the account's tasks at the service."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.options import connection_options_with
from resilient_poll.cli.progress import STATUS_STYLES
from resilient_poll.cli.report import Report, printable
from resilient_poll.cli.session import Plan, Session
from resilient_poll.cli.streams import PatientConsole, emit, print_lines, say_stdout_trouble
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain

__all__ = ["list_tasks", "moment_of", "short_duration", "table_of"]

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WIDEST_LINE = 1000
"""Where no terminal sets a width, no line is wrapped: its reader may be a program."""
_ID_WIDTH = 36
"""A UUID's."""
_TIMES_WIDTH = len("  9d23h ago  9d23h") + 2 + 2
_NARROWEST_MODEL = 6
_pass_interrupts = click.make_pass_decorator(Interrupts)


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that a text means.

    Args:
        text: ISO 8601 with a time zone, or how long ago: ``90s``, ``30m``, ``6h``, ``1d``.
        now: The time.

    Raises:
        ValueError: It is neither; the error says what is wrong.
    """
    if match := _DURATION.fullmatch(text.strip()):
        with suppress(OverflowError):
            return now - timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])
        raise ValueError(f"{text!r} is longer ago than there are dates")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r:.80} is neither a time such as 2026-11-22T08:00+01:00 nor how long ago, such as 6h"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone: add Z for UTC, or an offset such as +08:00")
    return moment


def _moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else moment_of(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("list", epilog=epilog("list"))
@click.option("--remote", is_flag=True, help="Ask the service for its list; so far, there is no other.")
@click.option("--since", callback=_moment, metavar="TIME", help="Tasks created from then on. Default: a day ago.")
@click.option("--until", callback=_moment, metavar="TIME", help="Tasks created until then. Default: now.")
@click.option("--model", metavar="MODEL", help="Tasks of this model only.")
@click.option("--status", metavar="STATUS", help="Tasks in this status only, in the service's word: RUNNING, say.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N that the service names.")
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
    """List the account's tasks at the service, whoever submitted them.

    The service remembers them for a day. TIME is ISO 8601 with a time zone, or how long
    ago: 90s, 30m, 6h, 1d.
    """
    plan = Plan(dialect=options["dialect"], base_url=options["base_url"])
    if since is not None and until is None:
        until = datetime.now(UTC)
    rows: list[ListedTask] = []
    stdout_trouble: list[str] = []

    def work(session: Session, client: DashScope) -> Report:
        if not remote:
            raise ConfigurationError(
                "there is no ledger of tasks on this machine yet: add --remote for the service's own list; "
                "nothing was sent"
            )
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


def short_duration(seconds: float) -> str:
    """Return a duration in at most six characters: ``3.2s``, ``5m08s``, ``2h05m``, ``3d04h``."""
    whole = round(max(0.0, seconds))
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
