"""The program: its commands, and what becomes of a call that makes no sense."""

from __future__ import annotations

import io
import logging
import sys

import click

from resilient_poll import __version__
from resilient_poll.cli import listing, tasks
from resilient_poll.cli.batch.command import batch
from resilient_poll.cli.completion import completion, is_asked_by_a_shell
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.exit_codes import ExitCode, exit_code_help
from resilient_poll.cli.interrupts import Interrupts
from resilient_poll.cli.records.archive import archive
from resilient_poll.cli.records.bill import bill
from resilient_poll.cli.records.show import show
from resilient_poll.cli.report import makes_nothing
from resilient_poll.cli.session import PROGRAM
from resilient_poll.cli.settling.reconcile import reconcile
from resilient_poll.cli.settling.resume import resume
from resilient_poll.cli.settling.work import work
from resilient_poll.cli.streams import (
    PatientConsole,
    emit,
    give_up_on,
    say,
    say_stdout_trouble,
    trouble_of,
    write_any_character,
)
from resilient_poll.errors import ConfigurationError

__all__ = ["cli", "run"]

LARGEST_SHOWN_WIDTH = 110
_SILENCE = logging.NullHandler()


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
    if not arguments and not is_asked_by_a_shell():
        click.echo(cli.get_help(click.Context(cli, info_name=PROGRAM)), err=True)
        return int(ExitCode.USAGE)
    try:
        report = cli.main(args=arguments, prog_name=PROGRAM, standalone_mode=False, obj=interrupts)
    except click.ClickException as error:
        return _usage(error, arguments, as_json="--json" in arguments)
    except OSError as error:
        give_up_on(sys.stdout)  # Only a help or a version that cannot be written; reports look after themselves.
        return say_stdout_trouble(trouble_of(error), int(ExitCode.OTHER))
    # --help and --version end with a number.
    return report if isinstance(report, int) else int(ExitCode.SUCCEEDED)


@click.group(
    no_args_is_help=False,  # Versions of click differ in the exit code of that help.
    epilog=exit_code_help(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": LARGEST_SHOWN_WIDTH},
)
@click.version_option(version=__version__, prog_name=PROGRAM)
def cli() -> None:
    """Create videos, images and more and wait for them, without losing one, paying twice or hammering.

    The API key comes from the environment only, AISA_API_KEY or DASHSCOPE_API_KEY: what is
    given as an option shows in every list of processes.

    ID is a task's id, or the resume token of an error or log line.
    """


for command in (
    tasks.run,
    tasks.submit,
    tasks.wait,
    tasks.status,
    tasks.cancel,
    tasks.download,
    listing.list_tasks,
    show,
    resume,
    reconcile,
    bill,
    work,
    archive,
    batch,
    completion,
):
    cli.add_command(command)


def _usage(error: click.ClickException, arguments: list[str], *, as_json: bool) -> int:
    if not as_json:
        shown = io.StringIO()
        error.show(shown)
        console = PatientConsole(stderr=True)
        for line in shown.getvalue().splitlines():
            say(console, line)
        return int(ExitCode.USAGE)
    problem = ConfigurationError(f"{error.format_message().removesuffix('.')}; nothing was sent")
    report = report_of_error(problem, task_id=None, creates=not makes_nothing(arguments), next_command=None)
    return emit(report, as_json=True)
