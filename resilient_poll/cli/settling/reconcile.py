"""``resilient-poll reconcile``: shows what is in doubt, looks for its tasks, and lets a human settle it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.keys import ago
from resilient_poll.cli.options import books_options, connection_options_with, yes_option
from resilient_poll.cli.records.values import amount_of, entry_values
from resilient_poll.cli.report import Report, printable
from resilient_poll.cli.session import Plan, Session
from resilient_poll.cli.streams import PatientConsole, emit, print_lines, say, say_stdout_trouble
from resilient_poll.cli.watched_client import WatchedClient
from resilient_poll.dashscope.doubts.decide import SOLE_SUBMITTER
from resilient_poll.dashscope.doubts.verdicts import Reconciled, Verdict
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Phase

__all__ = ["reconcile"]

_MARKS: Mapping[Verdict, str] = {Verdict.ADOPTED: "✓"}
_BY_PROGRAM, _BY_HAND = "adopt()", "--adopt ID"
"""What the library names as the way to settle it, and what that is here."""
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("reconcile"))
@click.argument("key", required=False, metavar="[KEY]")
@click.option("--adopt", metavar="ID", help="Say that this task is what KEY made. If it is not, another's is lost.")
@click.option("--resubmit", is_flag=True, help="Let run or submit send KEY once more. It may be paid twice.")
@click.option("--abandon", is_flag=True, help="Give KEY up. If it made a task, its result is lost, and billed.")
@click.option(
    "--sole-submitter",
    type=click.Choice(["yes", "no"]),
    help="Declare, for good, whether nothing but this ledger submits for its accounts: then the only task that may be "
    "it is it.",
)
@click.option("--reason", metavar="TEXT", default="", help="Why it is given up, for who reads it later.")
@yes_option
@connection_options_with("Print one JSON object a line, for each doubt.")
@books_options
@_pass_interrupts
def reconcile(interrupts: Interrupts, /, key: str | None, as_json: bool, **options: Any) -> int:
    """Settle submits of which nobody knows whether they were accepted: their answers were lost.

    Their tasks are looked for in the service's list, where it has one, and those that are
    certain are adopted: run, submit and resume go on with them. What stays in doubt is shown
    with what may be it; then you decide, with --adopt, --resubmit or --abandon, which ask
    first. Nothing is ever sent again by this. It ends with 0 if no doubt is left, else with 5.
    """
    plan = Plan.of(options, needs_ledger=True)
    told: list[str] = []

    def work(session: Session, client: WatchedClient) -> Report:
        act = _act_of(key, options)
        if key is not None:
            session.note_key(key)
        if client.ledger is None and options["sole_submitter"] is not None:
            raise ConfigurationError("there is no ledger yet of which that could be said: run or submit makes it")
        if client.ledger is None and key is None:
            return _report(())
        if act is not None:
            return _settled(session, client, key or "", act, options)
        if options["sole_submitter"] is not None:
            _declare(session, client, options)
        if key is not None:
            _doubt(client, key)
        session.tell("looking for the tasks of doubts in the service's list")
        found = client.reconcile(key) if key is not None or client.doubts() else ()
        with session.progress.paused():
            trouble = _show(found, plan, as_json=as_json)
        told.extend(filter(None, [trouble]))
        return _report(found)

    report = Session.perform(plan, interrupts, work)
    is_listing = report.outcome == "reconciled"
    code = int(report.exit_code) if is_listing and as_json else emit(report, as_json=as_json)
    return say_stdout_trouble(told[0] if told else None, code)


def _declare(session: Session, client: WatchedClient, options: Mapping[str, Any]) -> None:
    if options["sole_submitter"] == "yes":
        session.check_consent(
            "from now on the only task that a doubt can have made is taken for it: if anybody else submits for the "
            "same account, their result may be taken for yours",
            options["yes"],
        )
    if client.ledger is not None:
        client.ledger.set_setting(SOLE_SUBMITTER, options["sole_submitter"])


def _act_of(key: str | None, options: Mapping[str, Any]) -> str | None:
    acts = [name for name in ("adopt", "resubmit", "abandon") if options[name]]
    if len(acts) > 1:
        raise ConfigurationError(f"--{acts[0]} and --{acts[1]} contradict each other; nothing was changed")
    if acts and key is None:
        raise ConfigurationError(f"--{acts[0]} is about one KEY: name it; nothing was changed")
    return acts[0] if acts else None


def _settled(session: Session, client: WatchedClient, key: str, act: str, options: Mapping[str, Any]) -> Report:
    """Do what the user decided, once they took the risk upon themselves."""
    entry = _doubt(client, key)
    owed = amount_of(entry.charge, entry.billing)
    price = "" if owed == "?" else f" ({owed})"
    match act:
        case "adopt":
            task_id = options["adopt"]
            session.check_consent(
                f"task {task_id} becomes what {key} made: if it is another's, that one's result is taken for it, and "
                "its own is lost",
                options["yes"],
            )
            task = client.adopt(key, task_id)
            return _done("adopted", key, f"✓ {key} made task {task.id}", f"resilient-poll resume {key}", task.id)
        case "resubmit":
            session.check_consent(
                f"the next run or submit of {key} is sent: if the first one was accepted after all, both are paid"
                f"{price}",
                options["yes"],
            )
            client.permit_resubmit(key)
            said = f"✓ {key} may be sent once more, by the same run or submit; the first stays on the bill as a doubt"
            return _done("resubmit_permitted", key, said)
        case _:
            session.check_consent(
                f"{key} is given up: if it was accepted, its task goes on unseen, and is paid{price}", options["yes"]
            )
            client.abandon(key, options["reason"])
            return _done("abandoned", key, f"✓ {key} is given up; what may be owed for it stays on the bill")


def _doubt(client: WatchedClient, key: str) -> Entry:
    doubts = () if client.ledger is None else client.doubts()
    entry = next((one for one in doubts if one.key == key), None)
    if entry is not None:
        return entry
    known = None if client.ledger is None else client.ledger.find(client.namespace, key)
    what = "is not known here" if known is None else f"is {known.phase}"
    raise ConfigurationError(f"{key!r:.200} {what}, and not in doubt; nothing was changed")


def _done(outcome: str, key: str, said: str, next_command: str | None = None, task_id: str | None = None) -> Report:
    return Report(
        exit_code=ExitCode.SUCCEEDED,
        outcome=outcome,
        safe_to_submit_again=SafeToSubmitAgain.YES if outcome == "resubmit_permitted" else SafeToSubmitAgain.NO,
        task_id=task_id,
        key=key,
        result=(said,),
        notes=() if next_command is None else (f"  $ {next_command}",),
    )


def _report(found: Sequence[Reconciled]) -> Report:
    left = sum(one.entry.phase is Phase.IN_DOUBT for one in found)
    settled = len(found) - left
    said = f"{settled} settled, {left} still in doubt" if found else "nothing is in doubt"
    return Report(
        exit_code=ExitCode.IN_DOUBT if left else ExitCode.SUCCEEDED,
        outcome="reconciled",
        safe_to_submit_again=SafeToSubmitAgain.UNKNOWN if left else SafeToSubmitAgain.NO,
        notes=(said,),
    )


def _show(found: Sequence[Reconciled], plan: Plan, *, as_json: bool) -> str | None:
    now_wall_s = time.time()
    if as_json:
        return print_lines([json.dumps(_values(one, now_wall_s)) for one in found])
    lines = [printable(line) for one in found for line in _lines(one, plan, now_wall_s)]
    if not sys.stdout.isatty():
        return print_lines(lines)
    console = PatientConsole(stderr=False)
    for line in lines:
        say(console, line)
    return console.trouble


def _values(one: Reconciled, now_wall_s: float) -> dict[str, Any]:
    return {
        **entry_values(one.entry, now_wall_s),
        "verdict": one.verdict,
        "why": one.why,
        "candidates": [_candidate(task) for task in one.candidates],
    }


def _candidate(task: ListedTask) -> dict[str, Any]:
    at = task.submitted_at
    return {
        "task_id": task.task_id,
        "status": task.status,
        "model": task.model,
        "submitted_at": None if at is None else at.isoformat(),
    }


def _lines(one: Reconciled, plan: Plan, now_wall_s: float) -> Iterator[str]:
    entry = one.entry
    at_s = entry.created_wall_s if entry.licensed_wall_s is None else entry.licensed_wall_s
    owed = amount_of(entry.charge, entry.billing)
    yield f"{_MARKS.get(one.verdict, '?')} {entry.key}  {one.verdict}"
    yield f"  {entry.about.get('model', '?')}, sent {ago(now_wall_s - at_s)} ago, {owed}"
    yield f"  {one.why.replace(_BY_PROGRAM, _BY_HAND)}"
    for task in one.candidates:
        when = "" if task.submitted_at is None else f", submitted {task.submitted_at.isoformat(timespec='seconds')}"
        yield f"  - {task.task_id}  {task.status or '?'}, {task.model or '?'}{when}"
    if one.verdict is Verdict.ADOPTED:
        yield f"  $ {plan.command('resume', entry.key)}"
    elif entry.phase is Phase.IN_DOUBT:
        base = plan.reconcile_command(entry.key)
        if one.candidates:
            yield f"  $ {base} --adopt ID"
        yield f"  $ {base} --resubmit"
        yield f"  $ {base} --abandon"
