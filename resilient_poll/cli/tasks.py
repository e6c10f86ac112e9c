"""The commands about one task, or one result: run, submit, wait, status, cancel, download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.options import (
    connection_options,
    create_options,
    output_option,
    task_argument,
    wait_options,
)
from resilient_poll.cli.report import Report, report_of_direct, report_of_standing
from resilient_poll.cli.saving import check_free, check_writable
from resilient_poll.cli.session import Plan, Session, Wanted
from resilient_poll.cli.streams import emit
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
@wait_options
@connection_options
@_pass_interrupts
def run(
    interrupts: Interrupts, /, output: str, timeout: float, submit_timeout: float, as_json: bool, **options: Any
) -> int:
    """Create a video, images or more, wait for it and save it.

    An endpoint that answers with the result itself is asked once: there is no task then, and a
    lost answer may be billed and cannot be found again.
    """
    plan = Plan(
        dialect=options["dialect"],
        base_url=options["base_url"],
        interval_s=options["interval"],
        target=output,
        overwrite=options["overwrite"],
        creates=True,
    )

    def work(session: Session, client: DashScope) -> Report:
        wanted = _what_to_make(options)
        check_writable(output)
        if not plan.overwrite:
            check_free(output)
        made = session.make(client, wanted, submit_timeout)
        if isinstance(made, Task):
            session.wait(made, timeout)
        return _saved(session, client, made, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("submit", creates=True))
@create_options
@connection_options
@_pass_interrupts
def submit(interrupts: Interrupts, /, submit_timeout: float, as_json: bool, **options: Any) -> int:
    """Create a task and print its id, which is all that goes to stdout."""
    plan = Plan(dialect=options["dialect"], base_url=options["base_url"], creates=True)

    def work(session: Session, client: DashScope) -> Report:
        made = session.submit(client, _what_to_make(options), submit_timeout)
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
@_pass_interrupts
def wait(
    interrupts: Interrupts, /, task_id: str, output: str | None, timeout: float, as_json: bool, **options: Any
) -> int:
    """Wait until a task is done."""
    plan = Plan(
        dialect=options["dialect"],
        base_url=options["base_url"],
        interval_s=options["interval"],
        target=output,
        overwrite=options["overwrite"],
        task_id=task_id,
    )

    def work(session: Session, client: DashScope) -> Report:
        task = _picked_up(session, client, plan)
        standing = session.wait(task, timeout)
        return _told(plan, standing) if output is None else _saved(session, client, task, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("status"))
@task_argument
@connection_options
@_pass_interrupts
def status(interrupts: Interrupts, task_id: str, dialect: str | None, base_url: str | None, as_json: bool) -> int:
    """Ask once where a task stands. The exit code says it too."""
    plan = Plan(dialect=dialect, base_url=base_url, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return _told(plan, session.look(session.pick_up(client)))

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("cancel"))
@task_argument
@connection_options
@_pass_interrupts
def cancel(interrupts: Interrupts, task_id: str, dialect: str | None, base_url: str | None, as_json: bool) -> int:
    """Cancel a task, then ask where it stands. 0 if it is canceled, 6 if it had come to another end."""
    plan = Plan(dialect=dialect, base_url=base_url, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return _canceled(session.cancel(session.pick_up(client)))

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


@click.command(epilog=epilog("download"))
@task_argument
@output_option(default=".", text=_WHERE)
@connection_options
@_pass_interrupts
def download(interrupts: Interrupts, /, task_id: str, output: str, as_json: bool, **options: Any) -> int:
    """Save what a task made that succeeded."""
    plan = Plan(
        dialect=options["dialect"],
        base_url=options["base_url"],
        target=output,
        overwrite=options["overwrite"],
        task_id=task_id,
    )

    def work(session: Session, client: DashScope) -> Report:
        task = _picked_up(session, client, plan)
        standing = session.look(task)
        if standing.phase is not Phase.SUCCEEDED:
            return report_of_standing(
                standing,
                problem=f"there is nothing to download: {_where(standing)}",
                next_command=plan.command("wait", task.id) if standing.phase in OPEN else None,
            )
        session.wait(task, REFETCH_S)  # Asks no more, unless the answer lacks its result.
        return _saved(session, client, task, output)

    return emit(Session.perform(plan, interrupts, work), as_json=as_json)


def _what_to_make(options: Mapping[str, Any]) -> Wanted:
    prompt: str | None = options["prompt"]
    what = {**(options["input_"] or {}), **({} if prompt is None else {"prompt": prompt})}
    if not what:
        raise ConfigurationError("there is nothing to make: give --prompt or --input; nothing was sent")
    return Wanted(model=options["model"], what=what, how=options["parameters"], endpoint=options["endpoint"])


def _picked_up(session: Session, client: DashScope, plan: Plan) -> Task:
    """Take up the task that was typed, once it is clear that what it made has a place."""
    if plan.target is not None:
        check_writable(plan.target)
    task = session.pick_up(client)
    if plan.target is not None and not plan.overwrite:
        check_free(plan.target, task.id)
    return task


def _told(plan: Plan, standing: Standing) -> Report:
    """Report where a task stands, and how to get what it made."""
    report = report_of_standing(standing)
    if standing.phase is not Phase.SUCCEEDED or not (report.made.assets or report.made.raw):
        return report
    target = replace(plan, target=plan.target or ".")
    return report_of_standing(standing, next_command=target.command("download", standing.task_id))


def _saved(session: Session, client: DashScope, made: Task | DirectOutcome, output: str) -> Report:
    files = session.save(client, made, output)
    if isinstance(made, DirectOutcome):
        return report_of_direct(made, files=files)
    return report_of_standing(made.standing, files=files)


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
