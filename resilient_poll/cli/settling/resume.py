"""``resilient-poll resume``: waits for what was submitted, by whichever process, and saves it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from resilient_poll.cli.batch.results import exit_code_of
from resilient_poll.cli.endings import told
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.examples import epilog
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.keys import files_there
from resilient_poll.cli.options import books_options, connection_options_with, output_option, wait_options
from resilient_poll.cli.records.reading import Reader
from resilient_poll.cli.records.values import URL_LIVES_S
from resilient_poll.cli.report import Report, report_of_direct, report_of_standing
from resilient_poll.cli.saving import IfThere, check_writable, is_folder
from resilient_poll.cli.session import Plan, Session
from resilient_poll.cli.streams import emit, print_report, say_stdout_trouble
from resilient_poll.cli.watched_client import OUTPUT, WatchedClient, outcome_of_entry
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import ConfigurationError, ResilientPollError, SafeToSubmitAgain, SubmitInDoubt, TaskError
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import OPEN, Phase

__all__ = ["resume"]

_WHERE = (
    "Save it: a file; a folder; or a template with {task_id}, {index}, {extension}. Default: where run was to save it."
)
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("resume"))
@click.argument("names", nargs=-1, metavar="[ID|KEY]...")
@click.option("--all", "is_all", is_flag=True, help="All that goes on, and all that is paid and not on disk.")
@output_option(default=None, text=_WHERE)
@wait_options
@connection_options_with("Print one JSON object a line, for each result, in order of completion.")
@books_options
@_pass_interrupts
def resume(
    interrupts: Interrupts,
    /,
    names: tuple[str, ...],
    is_all: bool,
    output: str | None,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Go on with what was submitted, by whichever process: wait for it, and save it.

    ID is a task's id or resume token, KEY the idempotency key that list shows. Nothing is
    created and nothing is paid. Of several, the exit code is 0 if all succeeded; else 5, 4, 1
    or 7 if that is true of any, in this order; else 8 if any succeeded, and 3 or 6 if none did.
    """
    plan = Plan.of(options, target=output, needs_ledger=is_all, task_id=names[0] if len(names) == 1 else None)
    reports: list[Report] = []
    trouble: list[str] = []

    def show(session: Session, report: Report) -> None:
        reports.append(report)
        with session.progress.paused():
            trouble.extend(filter(None, [print_report(report, as_json=as_json)]))

    def work(session: Session, client: WatchedClient) -> Report:
        _check(names, output, is_all=is_all)
        going_on = _Resuming(session, client, plan, timeout)
        if len(names) == 1 and not is_all:
            return going_on.one(names[0])
        for report in going_on.many(names, is_all=is_all):
            show(session, report)
        codes = Counter(report.exit_code for report in reports)
        return Report(
            exit_code=exit_code_of(codes),
            outcome="resumed",
            safe_to_submit_again=SafeToSubmitAgain.NO,
            notes=going_on.summary(len(reports)),
        )

    report = Session.perform(plan, interrupts, work)
    is_summary = report.outcome == "resumed"
    code = int(report.exit_code) if is_summary and as_json else emit(report, as_json=as_json)
    return say_stdout_trouble(trouble[0] if trouble else None, code)


def _check(names: Sequence[str], output: str | None, *, is_all: bool) -> None:
    if bool(names) is is_all:
        raise ConfigurationError("name what to resume: ids or keys, or --all; nothing was sent")
    if output is not None:
        if len(names) != 1 and not is_folder(output) and "{task_id}" not in output:
            raise ConfigurationError(
                f"several results cannot be saved as {output!r}: name a folder, or put {{task_id}} into it; "
                "nothing was sent"
            )
        check_writable(output)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """What is gone on with.

    Attributes:
        made: The task, or the result that came at once.
        entry: What the ledger has of it.
        target: Where it is saved, if anywhere.
    """

    made: Task | DirectOutcome
    entry: Entry | None
    target: str | None


def _waiting_for(count: int) -> str:
    return f"waiting for {count} task{'' if count == 1 else 's'}"


class _Resuming:
    def __init__(self, session: Session, client: WatchedClient, plan: Plan, timeout_s: float) -> None:
        self._session = session
        self._client = client
        self._plan = plan
        self._timeout_s = timeout_s
        self._doubts = self._expired = 0

    def one(self, name: str) -> Report:
        """Go on with one, as wait does."""
        item = self._item(name)
        if item.entry is not None:
            self._session.note_key(item.entry.key)
        if (there := self._report_of_what_is_there(item)) is not None:
            return there
        if isinstance(item.made, Task):
            self._session.take_up(item.made)
            standing = self._session.wait(item.made, self._timeout_s)
            if item.target is None:
                return told(self._plan, standing)
        else:
            self._session.take_up_result(item.made)
        return self._report(item)

    def many(self, names: Sequence[str], *, is_all: bool) -> Iterator[Report]:
        """Go on with several at once, and yield the report of each as it is done."""
        items: list[_Item] = []
        for name in dict.fromkeys(names):
            try:
                items.append(self._item(name))
            except ResilientPollError as error:
                yield self._report_of_error(error, name)
        if is_all:
            items += self._all()
        waited: list[_Item] = []
        for item in items:
            if (there := self._report_of_what_is_there(item)) is not None:
                yield there
            elif isinstance(item.made, Task):
                waited.append(item)
            else:
                yield self._ended(item)
        tasks = [item.made for item in waited if isinstance(item.made, Task)]
        left = len(tasks)
        self._session.progress.go_on(_waiting_for(left))
        for finished in self._client.as_completed(tasks, timeout=self._timeout_s) if tasks else ():
            yield self._ended(waited[finished.ordinal], finished.error)
            left -= 1
            self._session.progress.go_on(_waiting_for(left))

    def summary(self, count: int) -> tuple[str, ...]:
        """Return what to say at the end."""
        lines = [f"{count} result{'' if count == 1 else 's'}"] if count else ["there is nothing to go on with"]
        if self._doubts:
            lines += [
                f"! {self._doubts} more in doubt; settle {'it' if self._doubts == 1 else 'them'} with",
                "  $ resilient-poll reconcile",
            ]
        if self._expired:
            lines.append(f"! {self._expired} more paid and not on disk, whose URLs have expired: see list")
        return tuple(lines)

    def _item(self, name: str) -> _Item:
        client, ledger = self._client, self._client.ledger
        if ledger is None or client.is_token(name):
            return self._item_of(client.task(name), None)
        entry = ledger.find(client.namespace, name) or ledger.by_task(client.namespace, name)
        if entry is not None:
            return self._item_of_entry(entry)
        elsewhere = next(Reader(ledger).entries(key=name, with_archived=True), None)
        if elsewhere is not None:
            raise ConfigurationError(
                f"the key {name!r:.200} is of account {elsewhere.namespace.account} at {elsewhere.namespace.origin}, "
                "which this is not: set its API key, or give its --account and --base-url; nothing was sent"
            )
        self._session.tell(f"{name} is not in the ledger: taken for a task's id")
        return self._item_of(client.task(name), None)

    def _item_of_entry(self, entry: Entry) -> _Item:
        if entry.task_id is None and entry.phase is Phase.SUCCEEDED and entry.result is not None:
            return self._item_of(outcome_of_entry(entry), entry)
        task = self._client.resume(entry.key)  # Of a submit without a task, it says why.
        if entry.task_id is not None and task.id != entry.task_id:
            task = self._client.task(entry.task_id)  # An earlier attempt.
        return self._item_of(task, entry)

    def _item_of(self, made: Task | DirectOutcome, entry: Entry | None) -> _Item:
        wanted = None if entry is None else entry.about.get(OUTPUT)
        target = self._plan.target or wanted or (None if isinstance(made, Task) else ".")
        return _Item(made=made, entry=entry, target=target)

    def _all(self) -> Iterator[_Item]:
        ledger, now_wall_s = self._client.ledger, time.time()
        if ledger is None:
            return
        ledger.settle_the_dead(now_wall_s=now_wall_s)
        reader = Reader(ledger)
        seen: set[str] = set()
        for entry in reader.entries():
            if entry.namespace != self._client.namespace or entry.key in seen:
                continue
            seen.add(entry.key)
            self._doubts += entry.phase is Phase.IN_DOUBT
            if entry.is_paid_and_not_saved and now_wall_s - (entry.ended_wall_s or 0.0) > URL_LIVES_S:
                self._expired += 1
            elif entry.phase in OPEN or entry.is_paid_and_not_saved:
                try:
                    yield self._item_of_entry(ledger.get(entry.entry_id))
                except ResilientPollError as error:
                    self._session.tell(f"! {entry}: {error}")  # The others are gone on with.
        reader.say_damage()

    def _report_of_what_is_there(self, item: _Item) -> Report | None:
        """Return the report of a result that is on disk already, unless it is to be somewhere else."""
        if item.entry is None or self._plan.target is not None or item.entry.phase is not Phase.SUCCEEDED:
            return None
        files = files_there(item.entry)
        if files is None:
            return None
        if isinstance(item.made, Task):
            return report_of_standing(item.made.standing, files=files)
        return report_of_direct(item.made, files=files)

    def _ended(self, item: _Item, error: Exception | None = None) -> Report:
        try:
            if error is not None:
                raise error
            if item.target is None and isinstance(item.made, Task):
                report = told(self._plan, item.made.standing)
            else:
                report = self._report(item)
        except ResilientPollError as problem:
            report = self._report_of_error(problem, None)
        key = None if item.entry is None else item.entry.key
        return replace(report, key=report.key or key)

    def _report(self, item: _Item) -> Report:
        assert item.target is not None  # noqa: S101  # the callers saw to it
        files = self._session.save(self._client, item.made, item.target, IfThere.BESIDE)
        if isinstance(item.made, DirectOutcome):
            return report_of_direct(item.made, files=files)
        return report_of_standing(item.made.standing, files=files)

    def _report_of_error(self, error: ResilientPollError, name: str | None) -> Report:
        next_command = None
        if isinstance(error, SubmitInDoubt) and name is not None:
            next_command = self._plan.reconcile_command(name)
        elif isinstance(error, TaskError) and error.phase in OPEN | {Phase.SUCCEEDED}:
            next_command = self._plan.command("resume", error.task_id)
        return report_of_error(error, task_id=None, creates=False, next_command=next_command)
