"""``resilient-poll work``: hands every end to a program, at least once."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from resilient_poll.cli.connecting import connect
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from resilient_poll.cli.options import books_options, connection_options_with, interval_option
from resilient_poll.cli.plan import Plan
from resilient_poll.cli.records.reading import note, with_reports
from resilient_poll.cli.report import Report, printable, report_of_direct, report_of_standing
from resilient_poll.cli.saving import IfThere, check_writable, is_folder, save_direct, save_task
from resilient_poll.cli.streams import give_up_on
from resilient_poll.cli.watched_client import WatchedClient
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.workers.duty import WorkerCounts
from resilient_poll.dashscope.workers.handed_over import HandedOver
from resilient_poll.dashscope.workers.worker import Worker
from resilient_poll.drive.clocks import RealClock
from resilient_poll.errors import ConfigurationError, ResilientPollError

__all__ = ["work"]

HANDLER_S = 900.0
"""How long a download and a COMMAND may take together before another worker takes this one for dead."""
_IF_THERE = IfThere.BESIDE
_pass_interrupts = click.make_pass_decorator(Interrupts)


class _NotTaken(Exception):
    """Nobody took an outcome: it is handed over again later."""


def _seconds(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value!r} is not a finite number of seconds above zero")
    return value


@click.command(epilog=epilog("work"))
@click.option("-o", "--output", metavar="FOLDER", help="Save what was made there, before it is handed over.")
@click.option(
    "--exec",
    "command",
    metavar="COMMAND",
    help="Run by the shell for each outcome, which it reads as JSON; unless it ends with 0, it is run again later.",
)
@click.option("--once", is_flag=True, help="End when nothing goes on any more, and all is handed over.")
@click.option(
    "--timeout", type=float, callback=_seconds, metavar="SECONDS", help="With --once: when to end all the same."
)
@interval_option
@connection_options_with("Print errors as one JSON object, too.")
@books_options
@_pass_interrupts
def work(interrupts: Interrupts, /, as_json: bool, **options: Any) -> int:
    """Wait for all that was submitted, by whichever process, and hand each end over, at least once.

    Each end is one JSON object a line on stdout, with the words of run --json, "attempt" and
    "model". An outcome counts as handed over when it is printed, saved and taken by COMMAND;
    until then, it is handed over again, also after a crash. Several may work on one ledger.
    What COMMAND prints goes to stderr. A signal ends it in order: COMMANDs that run are waited
    for, for 20 s.
    """
    plan = Plan.of(options, needs_ledger=True)
    return with_reports(interrupts, lambda: _work(interrupts, plan, options), as_json=as_json)


def _work(interrupts: Interrupts, plan: Plan, options: Mapping[str, Any]) -> int:
    output: str | None = options["output"]
    if output is not None:
        if not is_folder(output):
            output = f"{output}/"
        check_writable(output)
    if options["timeout"] is not None and not options["once"]:
        raise ConfigurationError("--timeout is for --once; nothing was sent")
    with connect(plan, RealClock(), lambda _: None, note) as client:
        if client.ledger is None:
            if options["once"]:
                note(f"there is no ledger yet at {plan.ledger.place}: nothing is to be handed over")
                return int(ExitCode.SUCCEEDED)
            raise ConfigurationError(f"there is no ledger yet at {plan.ledger.place}: run, submit and batch make it")
        handler = _Handler(client, output, options["command"])
        handler.worker = worker = client.worker(handler, handler_time=HANDLER_S)
        return _worked(worker, interrupts, handler, once=options["once"], timeout_s=options["timeout"])


def _worked(worker: Worker, interrupts: Interrupts, handler: _Handler, *, once: bool, timeout_s: float | None) -> int:
    try:
        # A signal asks it to stop, and breaks off nothing; the second one does.
        interrupts.on_deferred = worker.stop
        with interrupts.deferred():
            if once:
                worker.run_until_idle(timeout=timeout_s)
            else:
                worker.run()
    except Interrupted as interruption:
        note(f"stopped ({interruption.signal_name}); what is not handed over is handed over by the next one")
        return int(ExitCode.OTHER if interruption.forced or handler.trouble else ExitCode.SUCCEEDED)
    counts = worker.counts
    note(_told(counts, handler))
    if handler.trouble is not None:
        return int(ExitCode.OTHER)
    return int(_code_of(counts))


def _told(counts: WorkerCounts, handler: _Handler) -> str:
    left = {
        "wait for being handed over": counts.waiting,
        "go on": counts.open,
        "in doubt (reconcile shows them)": counts.in_doubt,
        "of which the service refuses to say anything": counts.refused,
    }
    return ", ".join([f"{handler.taken} handed over", *(f"{number} {what}" for what, number in left.items() if number)])


def _code_of(counts: WorkerCounts) -> ExitCode:
    if counts.waiting:
        return ExitCode.OTHER
    if counts.open:
        return ExitCode.STILL_GOING
    if counts.in_doubt:
        return ExitCode.IN_DOUBT
    return ExitCode.REFUSED if counts.refused else ExitCode.SUCCEEDED


class _Handler:
    """Saves, runs the command, and prints; in several threads at once.

    Args:
        client: Saves.
        output: Where to, if anywhere.
        command: What is run, if anything is.

    Attributes:
        worker: Whom it works for; set before anything is handed over.
        taken: How many outcomes were taken.
        trouble: Why nothing more can be printed, once that happened.
    """

    worker: Worker

    def __init__(self, client: WatchedClient, output: str | None, command: str | None) -> None:
        self._client = client
        self._output = output
        self._command = command
        self._printing = threading.Lock()
        self.taken = 0
        self.trouble: str | None = None

    def __call__(self, handed: HandedOver[Task]) -> None:
        """Hand one outcome over.

        Raises:
            Exception: It was not taken.
        """
        name = f"{handed.idempotency_key}{f', task {handed.task_id}' if handed.task_id else ''}"
        try:
            line = json.dumps(self._values(handed))
            if self._command is not None:
                self._run(self._command, line)
            self._print(line)
        except Exception as error:
            what = str(error) if isinstance(error, _NotTaken | ResilientPollError) else type(error).__name__
            note(printable(f"✗ {name}: not handed over: {what}"))
            raise

    def _values(self, handed: HandedOver[Task]) -> dict[str, Any]:
        report = replace(self._report(handed), key=handed.idempotency_key)
        return {**report.values(), "attempt": handed.attempt, "model": handed.model}

    def _report(self, handed: HandedOver[Task]) -> Report:
        if handed.error is not None:
            return report_of_error(handed.error, task_id=handed.task_id, creates=False, next_command=None)
        if isinstance(handed.outcome, DirectOutcome):
            saved = () if self._output is None else save_direct(self._client, handed.outcome, self._output, _IF_THERE)
            return report_of_direct(handed.outcome, files=saved)
        assert handed.task is not None  # noqa: S101  # what is no error and no result at once is a task
        files = () if self._output is None else save_task(handed.task, self._output, _IF_THERE)
        return report_of_standing(handed.task.standing, files=files)

    def _run(self, command: str, line: str) -> None:
        # A session of its own: Ctrl-C is for us, and what is at work is waited for. stdout is for the outcomes.
        done = subprocess.run(  # noqa: S602  # the shell is what the user asked for
            command, shell=True, input=f"{line}\n", text=True, stdout=sys.stderr, check=False, start_new_session=True
        )
        if done.returncode != 0:
            raise _NotTaken(f"the command ended with {done.returncode}; it is run again later")

    def _print(self, line: str) -> None:
        with self._printing:
            try:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            except OSError as error:
                # Also a reader that left: what nobody read is handed over again.
                self.trouble = error.strerror or type(error).__name__
                give_up_on(sys.stdout)
                self.worker.stop()
            if self.trouble is not None:
                raise _NotTaken(f"stdout: {self.trouble}")
            self.taken += 1
