"""``resilient-poll batch FILE``."""

from __future__ import annotations

import json
import os
import shlex
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from resilient_poll.cli.accidents import report_of_interruption, report_of_surprise
from resilient_poll.cli.batch.jobs import JOB_PLACEHOLDERS, Defaults, JobFile, open_source, read_jobs
from resilient_poll.cli.batch.plan import Fate, Wishes, fates_of, learn_from_ledger, note_on_strangers
from resilient_poll.cli.batch.recording import Recorder, RecordingClient
from resilient_poll.cli.batch.results import exit_code_of, summary_of
from resilient_poll.cli.batch.state import Entry, Owner, StateFile, Step
from resilient_poll.cli.batch.view import BatchView
from resilient_poll.cli.batch.work import BatchWork, Times
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.examples import epilog
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from resilient_poll.cli.ledgers import LedgerWish
from resilient_poll.cli.options import (
    connection_options_with,
    endpoint_option,
    json_object,
    ledger_options,
    output_option,
    prices_option,
    submit_timeout_option,
    wait_options,
)
from resilient_poll.cli.plan import Plan
from resilient_poll.cli.report import Report
from resilient_poll.cli.saving import check_free, check_writable, is_folder
from resilient_poll.cli.session import PROGRAM
from resilient_poll.cli.streams import PatientConsole, emit, say
from resilient_poll.dashscope.limits import Limits
from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.errors import ConfigurationError, ResilientPollError
from resilient_poll.events import Event
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.schedules import Fixed

__all__ = ["batch"]

_ONCE = frozenset({"resubmit_doubtful", "retry_failed"})
"""Options that are a decision of one moment, and no part of the way on."""
_COME_BACK = frozenset({ExitCode.STILL_GOING, ExitCode.THROTTLED, ExitCode.OTHER})
_pass_interrupts = click.make_pass_decorator(Interrupts)


@click.command(epilog=epilog("batch", creates=True))
@click.argument("file", type=click.Path(allow_dash=True), metavar="FILE")
@click.option("--model", metavar="MODEL", help="For lines that name none.")
@click.option(
    "--parameters",
    callback=json_object,
    metavar="JSON",
    help="For all lines; a line's own parameters are laid over these.",
)
@endpoint_option()
@output_option(
    default=".",
    text="For lines that name none: a folder, in which results get the line's id, else the task's (clips/ is made if "
    "need be); or a template with {id}, {line}, {task_id}, {index}, {extension}.",
    placeholders=JOB_PLACEHOLDERS,
)
@click.option("--state", type=click.Path(), metavar="PATH", help="Where the state is kept. Default: FILE.state.jsonl.")
@click.option(
    "--concurrent",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many tasks the account may have open at once; otherwise it is learned from refusals.",
)
@submit_timeout_option()
@wait_options
@click.option(
    "--keep-going/--stop-on-failure",
    default=True,
    show_default=True,
    help="Whether jobs are still sent after one has failed. Those that are out are waited for anyway.",
)
@click.option(
    "--resubmit-doubtful",
    is_flag=True,
    help="Send again what was sent and never answered. It may be paid twice: look at the service first.",
)
@click.option("--retry-failed", is_flag=True, help="Send again what failed and cost nothing.")
@ledger_options
@prices_option
@click.option("--same-account", is_flag=True, help="The API key has changed, and is of the same account as before.")
@connection_options_with("Print JSON lines on stdout also where that is a terminal.")
@_pass_interrupts
def batch(interrupts: Interrupts, /, file: str, as_json: bool, **options: Any) -> int:
    """Make everything that a file asks for, one JSON object a line.

    A line is {"input": {...}} with "model", "parameters", "endpoint", "id" and "output" if
    the options do not say it for all. A line without "id" is known by what it asks for, to
    which --model, --parameters and --endpoint belong: change one, and it is a new job.
    FILE may be - for standard input, with --state.
    Results go to stdout as JSON lines, in order of completion.

    What was sent, accepted and saved is kept in the state file, and in the ledger. Run it
    again, after a crash too, and it goes on: nothing is paid twice, tasks are waited for, what
    is done is printed again. A line whose submit was never answered is in doubt, and not sent
    again.

    It ends with 0 if all succeeded; else with 5, 4, 1 or 7 if that is true of any job, in
    this order; else with 8 if any succeeded, and with 3 or 6 if none did.
    """
    run = _Run(file, options, as_json=as_json)
    try:
        return run.carry_out(interrupts)
    except ResilientPollError as error:
        return emit(report_of_error(error, task_id=None, creates=True, next_command=None), as_json=as_json)
    except Interrupted as interruption:
        verdict = (ExitCode.STILL_GOING, "interrupted")
        said = f"nothing is lost; go on with\n  $ {_again()}" if run.has_begun else "nothing was sent."
        if not run.has_begun:
            verdict = (ExitCode.OTHER, "interrupted")
        report = report_of_interruption(interruption.signal_name, verdict, said, creates=not run.has_begun)
        return emit(report, as_json=as_json)
    except Exception as error:  # noqa: BLE001  # the last one who can say how to go on
        if os.environ.get("RESILIENT_POLL_TRACEBACK") == "1":
            traceback.print_exc()
        return emit(_surprise(error, has_begun=run.has_begun), as_json=as_json)
    finally:
        interrupts.finish()


class _Run:
    def __init__(self, file: str, options: Mapping[str, Any], *, as_json: bool) -> None:
        self._file = file
        self._options = options
        self._as_json = as_json
        self.has_begun = False
        """Whether anything may have been sent."""
        self._view: BatchView | None = None

    def carry_out(self, interrupts: Interrupts) -> int:
        options = self._options
        with self._connect() as client, open_source(self._file) as source:
            defaults = Defaults(
                model=options["model"],
                parameters=options["parameters"] or {},
                endpoint=options["endpoint"],
                output=options["output"],
            )
            jobs = read_jobs(self._file, source, defaults, client.dialect, client.check)
            with self._state_file(client) as state:
                keys = _keys_of(jobs, client, state.path)
                learn_from_ledger(state.entries, lambda key: client.entry_of(keys.get(key)))
                wishes = Wishes(resubmit_doubtful=options["resubmit_doubtful"], retry_failed=options["retry_failed"])
                fates = fates_of(jobs.lines, state.entries, wishes, os.path.exists)
                _check_targets(jobs, fates, overwrite=options["overwrite"])
                labels = {line.key: line.label for line in jobs.lines}
                view = BatchView(len(jobs.lines), labels, as_json=self._as_json)
                self._view = view
                if (note := note_on_strangers(jobs.lines, state.entries, fates)) is not None:
                    view.tell(note)
                known = {
                    key: str(state.entries[key].task_id)
                    for key, fate in fates.items()
                    if fate in {Fate.GO_ON, Fate.FETCH}
                }
                client.recorder = Recorder(state, {line.key: line for line in jobs.lines}, known, view.tell)
                times = Times(
                    submit_s=options["submit_timeout"], wait_s=options["timeout"], keep_going=options["keep_going"]
                )
                may_replace = _may_replace(jobs, fates, state.entries, overwrite=options["overwrite"])
                state.targets = {line.key: line.target for line in jobs.lines}
                if wishes.resubmit_doubtful:
                    _permit_resubmits(client, fates, keys)
                work = BatchWork(jobs, fates, state.entries, client, view, times, may_replace, keys, Plan.of(options))
                self.has_begun = True
                with view:
                    signal_name = work.carry_out(interrupts)
                interrupts.finish()
                code = _ended(view, len(jobs.lines), _left(state, jobs, view), signal_name, client.recorder.trouble)
                if keys and (doubts := view.codes.get(ExitCode.IN_DOUBT, 0)):
                    _say_how_to_settle(doubts, Plan.of(options))
                return code

    def _connect(self) -> RecordingClient:
        options = self._options
        wish = LedgerWish.of(options)
        # Before a ledger is made: a call that makes no sense leaves nothing behind.
        where = {"dialect": options["dialect"], "base_url": options["base_url"]}
        resolve_settings(**where, api_key=None, headers=None, environ=os.environ)
        prices = wish.price_table()
        ledger = wish.open()
        try:
            return RecordingClient(
                **where,
                wait_policy=WaitPolicy(schedule=Fixed(options["interval"])),
                limits=Limits(concurrent_tasks=options["concurrent"]),
                on_event=self._show,
                ledger=ledger,
                account=wish.account,
                prices=prices,
            )
        except BaseException:
            if ledger is not None:
                ledger.close()
            raise

    def _show(self, event: Event) -> None:
        if self._view is not None:
            self._view.on_event(event)

    def _state_file(self, client: RecordingClient) -> StateFile:
        path = self._options["state"]
        if path is None and (self._file == "-" or not os.path.isfile(self._file)):  # noqa: PTH113  # never raises
            raise ConfigurationError(
                f"beside {self._file!r} no state can be kept, without which a crash loses what is paid: "
                "say where with --state; nothing was sent"
            )
        settings = client.settings
        owner = Owner(
            file="-" if self._file == "-" else os.path.basename(self._file),  # noqa: PTH119  # as typed
            dialect=settings.dialect.name,
            service=settings.origin_mark,
            key=settings.api_key,
            may_have_new_key=self._options["same_account"],
        )
        return StateFile(Path(path or f"{self._file}.state.jsonl"), owner)


def _keys_of(jobs: JobFile, client: RecordingClient, state: Path) -> dict[str, str]:
    named = ((line.key, client.idempotency_key_of(line, str(state))) for line in jobs.lines)
    return {key: name for key, name in named if name is not None}


def _permit_resubmits(client: RecordingClient, fates: Mapping[str, Fate], keys: Mapping[str, str]) -> None:
    """Let the ledger send again what the user wants sent again; what is in doubt stays on the bill."""
    for key, fate in fates.items():
        entry = client.entry_of(keys.get(key))
        if fate is Fate.SEND and entry is not None and entry.phase is Phase.IN_DOUBT:
            client.permit_resubmit(entry.key)


def _ended(view: BatchView, total: int, left: str, signal_name: str | None, trouble: str | None) -> int:
    codes = view.codes
    code = exit_code_of(codes)
    is_unfinished = signal_name is not None or trouble is not None or code in _COME_BACK or sum(codes.values()) < total
    if signal_name is not None:
        code = ExitCode.STILL_GOING
    elif trouble is not None and code not in {ExitCode.IN_DOUBT, ExitCode.STILL_GOING}:
        code = ExitCode.OTHER
    console = PatientConsole(stderr=True)
    if (stdout_trouble := view.stdout_trouble) is not None:
        said = f"✗ stdout: {stdout_trouble}; not all results were printed: they are in the state file, run it again"
        say(console, said)
        if code is ExitCode.SUCCEEDED:
            code, is_unfinished = ExitCode.OTHER, True
    head = "✓" if code is ExitCode.SUCCEEDED else "…" if is_unfinished else "!"
    why = f"interrupted ({signal_name}); " if signal_name else ""
    say(console, f"{head} {why}{summary_of(codes, total)}{left}")
    if is_unfinished:
        say(console, "  What is paid is in the state file. Go on with")
        say(console, f"  $ {_again()}")
    return int(code)


def _say_how_to_settle(doubts: int, plan: Plan) -> None:
    console = PatientConsole(stderr=True)
    say(console, f"! {doubts} {'is' if doubts == 1 else 'are'} in doubt; settle {'it' if doubts == 1 else 'them'} with")
    say(console, f"  $ {plan.reconcile_command()}")


def _left(state: StateFile, jobs: JobFile, view: BatchView) -> str:
    """Return what is left to do, for people; empty if nothing is."""
    left = len(jobs.lines) - sum(view.codes.values())
    steps = Counter(entry.step for entry in state.entries.values())
    told = [(steps[Step.ACCEPTED], "accepted and not over"), (steps[Step.SUBMITTING], "in doubt")]
    said = ", ".join(f"{count} {word}" for count, word in told if count)
    return f" ({said})" if left and said else ""


def _may_replace(
    jobs: JobFile, fates: Mapping[str, Fate], entries: Mapping[str, Entry], *, overwrite: bool
) -> frozenset[str]:
    """Return the keys of the jobs whose file, if it is there, is their own: an earlier run may have just saved it."""
    return frozenset(
        line.key
        for line in jobs.lines
        if overwrite or (fates[line.key] is not Fate.SEND and entries[line.key].target in {None, line.target})
    )


def _check_targets(jobs: JobFile, fates: Mapping[str, Fate], *, overwrite: bool) -> None:
    """Refuse to pay for results that have nowhere to go, or would replace a file; each folder is tried once."""
    tried: set[str] = set()
    for line in jobs.lines:
        if fates[line.key] in {Fate.REPEAT, Fate.DOUBT}:
            continue
        where = line.folder or line.target
        folder = where if is_folder(where) else os.path.dirname(where)  # noqa: PTH120  # as it was typed
        try:
            if folder not in tried or (line.folder is None and os.path.lexists(where)):
                tried.add(folder)
                check_writable(where)
            if fates[line.key] is Fate.SEND and not overwrite:
                check_free(line.target)
        except ConfigurationError as error:
            raise ConfigurationError(f"line {line.number} of {jobs.name!r}: {error}") from None


def _surprise(error: Exception, *, has_begun: bool) -> Report:
    if not has_begun:
        return report_of_surprise(error, standing=None, task_id=None, doubt=None, creates=True, next_command=None)
    doubt = "what was sent is in the state file; go on with the command below"
    return report_of_surprise(error, standing=None, task_id=None, doubt=doubt, creates=True, next_command=_again())


def _again() -> str:
    """Return what to type to go on, under the same options."""
    context = click.get_current_context()
    words = [PROGRAM, "batch"]
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        if name in _ONCE or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if isinstance(parameter, click.Argument):
            words.append(str(value))
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            words.append((parameter.opts if value else parameter.secondary_opts)[-1])
        else:
            words += [parameter.opts[-1], json.dumps(value) if isinstance(value, dict) else str(value)]
    return shlex.join(words)
