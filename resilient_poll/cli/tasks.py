"""The commands about one task, or one result: run, submit, wait, status, cancel, download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from resilient_poll.cli.endings import picked_up, saved, told
from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.making import Making
from resilient_poll.cli.options import (
    connection_options,
    create_options,
    key_option,
    ledger_options,
    output_option,
    prices_option,
    task_argument,
    wait_options,
)
from resilient_poll.cli.report import Report, report_of_direct, report_of_standing
from resilient_poll.cli.saving import check_free, check_writable
from resilient_poll.cli.session import Plan, Session, Wanted, check_makes_task
from resilient_poll.cli.streams import emit
from resilient_poll.cli.watched_client import WatchedClient
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain, Standing
from resilient_poll.machine.lifecycle import OPEN, Phase

__all__ = ["cancel", "download", "run", "status", "submit", "wait"]

REFETCH_S = 15.0
"""How long a download asks again for a success whose answer lacks its result."""
_WHERE = (
    "A file; a folder, in which results get the task's name (clips/ is made if need be); or a template with {task_id}, "
    "{index}, {extension}. Several results get numbers."
)
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("run", creates=True))
@create_options
@output_option(default=".", text=_WHERE)
@click.option("--new", "is_new", is_flag=True, help="Pay for another one, where this one was made, or is being made.")
@key_option
@wait_options
@connection_options
@ledger_options
@prices_option
@_pass_interrupts
def run(interrupts: Interrupts, /, output: str, timeout: float, as_json: bool, **options: Any) -> int:
    """Create a video, images or more, wait for it and save it.

    Run again with the same words in the same folder, after a crash too, it goes on where it
    was and pays nothing: what is made is known by service, account, request and PATH. What
    failed and cost nothing is tried again. --new pays for another one, which is what is gone
    on with from then on.

    An endpoint that answers with the result itself is asked once: there is no task then, and a
    lost answer may be billed and cannot be found again.
    """
    plan = Plan.of(options, target=output, creates=True)

    def work(session: Session, client: WatchedClient) -> Report:
        wanted = _what_to_make(options)
        check_writable(output)
        making = Making(session, client, wanted, options["submit_timeout"])
        if plan.ledger.is_off:
            making.check_without_ledger(key=options["key"])
        else:
            making.look_up(key=options["key"], output=output, is_new=options["is_new"])
        if (there := making.report_of_what_is_there(overwrite=plan.overwrite)) is not None:
            return there
        if not plan.overwrite and not making.goes_on:
            check_free(output)
        made = making.make()
        if isinstance(made, Task):
            session.wait(made, timeout)
        return making.saved(made, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("submit", creates=True))
@create_options
@key_option
@connection_options
@ledger_options
@prices_option
@_pass_interrupts
def submit(interrupts: Interrupts, /, as_json: bool, **options: Any) -> int:
    """Create a task and print its id, which is all that goes to stdout.

    Each call pays for a task; with --key, only the first of that key does, and the others
    print its id.
    """
    plan = Plan.of(options, creates=True)

    def work(session: Session, client: WatchedClient) -> Report:
        wanted = _what_to_make(options)
        check_makes_task(wanted)
        making = Making(session, client, wanted, options["submit_timeout"])
        if plan.ledger.is_off:
            making.check_without_ledger(key=options["key"])
        elif options["key"] is not None:
            making.look_up(key=options["key"])
        made = making.make()
        if isinstance(made, DirectOutcome):
            return report_of_direct(made)
        return Report(
            exit_code=ExitCode.SUCCEEDED,
            outcome="accepted",
            safe_to_submit_again=SafeToSubmitAgain.NO,
            standing=made.standing,
            notes=("… accepted; wait for it with", f"  $ {plan.command('wait', made.id)}"),
        )

    report = Session.perform(plan, interrupts, work)
    if report.standing is not None:
        # Also when a signal came meanwhile: whoever captures stdout gets the id that was paid for.
        report = replace(report, result=(report.standing.task_id,))
    return emit(report, as_json=as_json)


@click.command(epilog=epilog("wait"))
@task_argument
@output_option(default=None, text="Also save what it made: a file, a folder or a template, as in run.")
@wait_options
@connection_options
@ledger_options
@_pass_interrupts
def wait(
    interrupts: Interrupts, /, task_id: str, output: str | None, timeout: float, as_json: bool, **options: Any
) -> int:
    """Wait until a task is done."""
    plan = Plan.of(options, target=output, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        task = picked_up(session, client, plan)
        standing = session.wait(task, timeout)
        return told(plan, standing) if output is None else saved(session, client, task, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("status"))
@task_argument
@connection_options
@ledger_options
@_pass_interrupts
def status(interrupts: Interrupts, /, task_id: str, as_json: bool, **options: Any) -> int:
    """Ask once where a task stands. The exit code says it too."""
    plan = Plan.of(options, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return told(plan, session.look(session.pick_up(client)))

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("cancel"))
@task_argument
@connection_options
@ledger_options
@_pass_interrupts
def cancel(interrupts: Interrupts, /, task_id: str, as_json: bool, **options: Any) -> int:
    """Cancel a task, then ask where it stands. 0 if it is canceled, 6 if it had come to another end."""
    plan = Plan.of(options, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return _canceled(session.cancel(session.pick_up(client)))

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("download"))
@task_argument
@output_option(default=".", text=_WHERE)
@connection_options
@ledger_options
@_pass_interrupts
def download(interrupts: Interrupts, /, task_id: str, output: str, as_json: bool, **options: Any) -> int:
    """Save what a task made that succeeded."""
    plan = Plan.of(options, target=output, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        task = picked_up(session, client, plan)
        standing = session.look(task)
        if standing.phase is not Phase.SUCCEEDED:
            return report_of_standing(
                standing,
                problem=f"there is nothing to download: {_where(standing)}",
                next_command=plan.command("wait", task.id) if standing.phase in OPEN else None,
            )
        session.wait(task, REFETCH_S)  # Asks no more, unless the answer lacks its result.
        return saved(session, client, task, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


def _what_to_make(options: Mapping[str, Any]) -> Wanted:
    prompt: str | None = options["prompt"]
    what = {**(options["input_"] or {}), **({} if prompt is None else {"prompt": prompt})}
    if not what:
        raise ConfigurationError("there is nothing to make: give --prompt or --input; nothing was sent")
    return Wanted(model=options["model"], what=what, how=options["parameters"], endpoint=options["endpoint"])


def _canceled(standing: Standing) -> Report:
    if standing.phase is Phase.CANCELED:
        return report_of_standing(standing, verdict=(ExitCode.SUCCEEDED, "canceled"))
    if standing.phase in {Phase.SUCCEEDED, Phase.FAILED, Phase.EXPIRED}:
        return report_of_standing(
            standing, verdict=(ExitCode.REFUSED, "cancel_refused"), problem=f"too late to cancel: {_where(standing)}"
        )
    return report_of_standing(standing, headline=f"cancel was accepted, and so far {_where(standing)}")


def _where(standing: Standing) -> str:
    return f"the task is {standing.status or standing.phase}"
