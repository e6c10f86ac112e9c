"""The commands."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from resilient_poll import __version__
from resilient_poll.cli.exit_codes import ExitCode, exit_code_help
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.options import (
    connection_options,
    create_options,
    output_option,
    task_argument,
    wait_options,
)
from resilient_poll.cli.report import Report, asks_about_a_task, report_of_error, report_of_standing
from resilient_poll.cli.session import PROGRAM, Plan, Session
from resilient_poll.cli.streams import give_up_on, print_report, write_any_character
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.download import DownloadProblem, PartialFile, target_paths
from resilient_poll.dashscope.results import Asset
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import ConfigurationError, SafeToSubmitAgain, Standing
from resilient_poll.machine.lifecycle import OPEN, Phase

__all__ = ["run"]

LARGEST_SHOWN_WIDTH = 110
REFETCH_S = 15.0
"""How long a download asks again for a success whose answer lacks its result."""
_SILENCE = logging.NullHandler()
_PROBE = Asset("", "", None)
_IN_A_FOLDER = "Where to save the video; in a folder it gets the task's name."
_pass_interrupts = click.make_pass_decorator(Interrupts)


def run(arguments: list[str], interrupts: Interrupts) -> int:
    """Run one command and print what came of it.

    Args:
        arguments: What follows the program's name.
        interrupts: Who hears Ctrl-C and SIGTERM.

    Returns:
        The exit code.
    """
    write_any_character()
    # The client logs for programs; here its every line would double what the reports say.
    logging.getLogger("resilient_poll").addHandler(_SILENCE)
    if not arguments:
        click.echo(cli.get_help(click.Context(cli, info_name=PROGRAM)), err=True)
        return int(ExitCode.USAGE)
    try:
        report = cli.main(args=arguments, prog_name=PROGRAM, standalone_mode=False, obj=interrupts)
    except click.ClickException as error:
        return _usage(error, arguments, as_json="--json" in arguments)
    except OSError:
        give_up_on(sys.stdout)  # Only a help or a version that cannot be written; reports look after themselves.
        return int(ExitCode.OTHER)
    # --help and --version end with a number.
    return report if isinstance(report, int) else int(ExitCode.SUCCEEDED)


@click.group(
    no_args_is_help=False,  # Versions of click differ in the exit code of that help.
    epilog=exit_code_help(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": LARGEST_SHOWN_WIDTH},
)
@click.version_option(version=__version__, prog_name=PROGRAM)
def cli() -> None:
    """Create videos and wait for them, without losing one, paying twice or hammering.

    The API key comes from the environment only, AISA_API_KEY or DASHSCOPE_API_KEY: what is
    given as an option shows in every list of processes.

    ID is a task's id, or the resume token of an error or log line.
    """


@cli.command("run", epilog=exit_code_help())
@create_options
@output_option(default=".", text=_IN_A_FOLDER)
@wait_options
@connection_options
@_pass_interrupts
def run_command(
    interrupts: Interrupts, /, output: Path, timeout: float, submit_timeout: float, as_json: bool, **options: Any
) -> int:
    """Create a video, wait for it and download it."""
    plan = Plan(dialect=options["dialect"], base_url=options["base_url"], interval_s=options["interval"], target=output)

    def work(session: Session, client: DashScope) -> Report:
        what = _what_to_make(options["prompt"], options["input_"])
        _check_writable(output)
        task = session.submit(client, options["model"], what, options["parameters"], submit_timeout)
        session.wait(task, timeout)
        return _saved(session, task, output)

    return _emit(Session.perform(plan, interrupts, work), as_json=as_json)


@cli.command(epilog=exit_code_help())
@create_options
@connection_options
@_pass_interrupts
def submit(interrupts: Interrupts, /, submit_timeout: float, as_json: bool, **options: Any) -> int:
    """Create a video and print its task id, which is all that goes to stdout."""
    plan = Plan(dialect=options["dialect"], base_url=options["base_url"])

    def work(session: Session, client: DashScope) -> Report:
        what = _what_to_make(options["prompt"], options["input_"])
        task = session.submit(client, options["model"], what, options["parameters"], submit_timeout)
        return Report(
            exit_code=ExitCode.SUCCEEDED,
            outcome="accepted",
            safe_to_submit_again=SafeToSubmitAgain.NO,
            standing=task.standing,
            notes=("… accepted; wait for it with", f"  $ {plan.command('wait', task.id)}"),
        )

    report = Session.perform(plan, interrupts, work)
    if report.standing is not None:
        # Also when a signal came meanwhile: whoever captures stdout gets the id that was paid for.
        report = replace(report, result=(report.standing.task_id,))
    return _emit(report, as_json=as_json)


@cli.command(epilog=exit_code_help())
@task_argument
@output_option(default=None, text="Also save the video there.")
@wait_options
@connection_options
@_pass_interrupts
def wait(
    interrupts: Interrupts,
    task_id: str,
    output: Path | None,
    timeout: float,
    interval: float,
    dialect: str | None,
    base_url: str | None,
    as_json: bool,
) -> int:
    """Wait until a task is done."""
    plan = Plan(dialect=dialect, base_url=base_url, interval_s=interval, target=output, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        if output is not None:
            _check_writable(output)
        task = session.pick_up(client)
        standing = session.wait(task, timeout)
        return _told(plan, standing) if output is None else _saved(session, task, output)

    return _emit(Session.perform(plan, interrupts, work), as_json=as_json)


@cli.command(epilog=exit_code_help())
@task_argument
@connection_options
@_pass_interrupts
def status(interrupts: Interrupts, task_id: str, dialect: str | None, base_url: str | None, as_json: bool) -> int:
    """Ask once where a task stands. The exit code says it too."""
    plan = Plan(dialect=dialect, base_url=base_url, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return _told(plan, session.look(session.pick_up(client)))

    return _emit(Session.perform(plan, interrupts, work), as_json=as_json)


@cli.command(epilog=exit_code_help())
@task_argument
@connection_options
@_pass_interrupts
def cancel(interrupts: Interrupts, task_id: str, dialect: str | None, base_url: str | None, as_json: bool) -> int:
    """Cancel a task, then ask where it stands. 0 if it is canceled, 6 if it had come to another end."""
    plan = Plan(dialect=dialect, base_url=base_url, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        return _canceled(session.cancel(session.pick_up(client)))

    return _emit(Session.perform(plan, interrupts, work), as_json=as_json)


@cli.command(epilog=exit_code_help())
@task_argument
@output_option(default=".", text=_IN_A_FOLDER)
@connection_options
@_pass_interrupts
def download(
    interrupts: Interrupts, task_id: str, output: Path, dialect: str | None, base_url: str | None, as_json: bool
) -> int:
    """Save the video of a task that succeeded."""
    plan = Plan(dialect=dialect, base_url=base_url, target=output, task_id=task_id)

    def work(session: Session, client: DashScope) -> Report:
        _check_writable(output)
        task = session.pick_up(client)
        standing = session.look(task)
        if standing.phase is not Phase.SUCCEEDED:
            return report_of_standing(
                standing,
                problem=f"there is nothing to download: {_where(standing)}",
                next_command=plan.command("wait", task.id) if standing.phase in OPEN else None,
            )
        session.wait(task, REFETCH_S)  # Asks no more, unless the answer lacks its result.
        return _saved(session, task, output)

    return _emit(Session.perform(plan, interrupts, work), as_json=as_json)


def _what_to_make(prompt: str | None, more: Mapping[str, Any] | None) -> Mapping[str, Any]:
    what = {**(more or {}), **({} if prompt is None else {"prompt": prompt})}
    if not what:
        raise ConfigurationError("there is nothing to make: give --prompt or --input; nothing was sent")
    return what


def _check_writable(output: Path) -> None:
    """Refuse to pay for a video that has nowhere to go."""
    try:
        # What the download will do, with nothing in it: no question about rights answers as surely.
        with PartialFile(target_paths(output, "probe", (_PROBE,), "part")[0]):
            pass
    except (OSError, DownloadProblem) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"nothing can be saved to {str(output)!r}: {reason}; nothing was sent") from None


def _told(plan: Plan, standing: Standing) -> Report:
    """Report where a task stands, and how to get its video."""
    has_video = standing.phase is Phase.SUCCEEDED
    target = replace(plan, target=plan.target or Path())
    return report_of_standing(
        standing, next_command=target.command("download", standing.task_id) if has_video else None
    )


def _saved(session: Session, task: Task, output: Path) -> Report:
    file = session.save(task, output)
    return report_of_standing(task.standing, file=file, headline=f"{file} ({file.stat().st_size:,} bytes)")


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


def _usage(error: click.ClickException, arguments: list[str], *, as_json: bool) -> int:
    if not as_json:
        error.show()
        return int(ExitCode.USAGE)
    problem = ConfigurationError(f"{error.format_message().removesuffix('.')}; nothing was sent")
    creates = not asks_about_a_task(arguments)
    return _emit(report_of_error(problem, task_id=None, creates=creates, next_command=None), as_json=True)


def _emit(report: Report, *, as_json: bool) -> int:
    print_report(report, as_json=as_json)
    return int(report.exit_code)
