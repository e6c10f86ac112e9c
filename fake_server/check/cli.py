"""`fake-dashscope check`."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fake_server.check.expected import KnownFailuresError, news, read_known
from fake_server.check.judging import OPEN_OR_WORSE
from fake_server.check.plan import plan_runs
from fake_server.check.suites import SuiteError, read_suite
from fake_server.scenario.chaos import chaos_faults
from fake_server.scenario.library import load_scenario
from fake_server.scenario.yaml_nodes import ScenarioErrors, did_you_mean
from fake_server.telling import DRAWN_SEEDS, MOST_SEED, fail, fail_with, say, scenario_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fake_server.check.examine import Report, Settings
    from fake_server.check.expected import Known
    from fake_server.check.plan import Planned
    from fake_server.check.suites import Suite
    from fake_server.faults.model import Fault

FAILED = 1
# What shells give a program that was interrupted: 128, and the signal's number.
INTERRUPTED = 130
# Scripted generation takes seconds to minutes; a twentieth of it can still be polled in, and is soon over.
DEFAULT_SPEED = 20.0
# Longer than any Retry-After, back-off and sequence of polls of the usual scenarios, in a client's own seconds.
DEFAULT_LONGEST_S = 20.0
MOST_JOBS = 64
# Clients wait most of the time; a process of Python takes half a second of a processor to start.
DEFAULT_JOBS = 16
# A pipe and a CI system's log have no width of their own.
UNCUT_COLUMNS = 140
_OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


class CommandAfterDashes(click.Command):
    """A command line whose part after `--` is another program's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take off what stands after the first `--`."""
        place = args.index("--") if "--" in args else len(args)
        ctx.meta["command"] = args[place + 1 :]
        return super().parse_args(ctx, args[:place])


@click.command(
    cls=CommandAfterDashes,
    short_help="Judge a client, in any language.",
    options_metavar="[OPTIONS]",
    epilog="The page docs/driver.md says what COMMAND is told, and what it may print.",
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]... -- COMMAND...")
@click.option("--all", "takes_all", is_flag=True, help="Every scenario, but those longer than --longest.")
@click.option("--suite", metavar="NAME", help="A frozen set of scenarios, which later releases never change.")
@click.option(
    "--scenarios",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of scenarios to add.",
)
@click.option(
    "--dialect",
    default="dashscope",
    show_default=True,
    type=click.Choice(["dashscope", "aisa", "both", "any"]),
    help="Which dialect COMMAND speaks; any: each scenario in the first that it has.",
)
@click.option("--speed", default=DEFAULT_SPEED, show_default=True, type=float, help="Divides scripted times.")
@click.option(
    "--jobs", default=DEFAULT_JOBS, show_default=True, type=click.IntRange(1, MOST_JOBS), help="Runs at once."
)
@click.option(
    "--time-limit",
    "limit_s",
    type=click.FloatRange(0.1, 86_400),
    help="Seconds until COMMAND is killed.  [default: 60, and what a long scenario takes]",
)
@click.option(
    "--deadline",
    "deadline_s",
    type=click.FloatRange(0.1, 86_400),
    help="Seconds after which COMMAND gives up a task, at most.  [default: 30, and what a long scenario takes]",
)
@click.option(
    "--longest",
    "longest_s",
    default=DEFAULT_LONGEST_S,
    show_default=True,
    type=click.FloatRange(0),
    help="Leave out scenarios that take a good client longer; in seconds. One that is named is run.",
)
@click.option(
    "--chaos",
    metavar="light|heavy|FILE",
    help="Faults by chance, beside those of the scenarios. What a scenario expects is not judged then; the rules for "
    "everyone, the bill, the file and the deadline are.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    help="What all chance is drawn by.  [default: 0; with --chaos a new one]",
)
@click.option(
    "--expected-failures",
    "known_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Known failures, one a line: SCENARIO EXPECTATION # reason. A new one fails, and so does a stale line.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole report on standard output.")
@click.option("--junit", type=_OUTPUT_FILE, help="Write JUnit XML to this file.")
@click.option("--html", type=_OUTPUT_FILE, help="Write a page with every run's story to this file.")
@click.option("-v", "--verbose", is_flag=True, help="Show each expectation, not only what failed.")
@click.pass_context
def check(context: click.Context, /, **options: Any) -> None:
    """Run COMMAND, which is anyone's client, through scenarios, and judge it.

    For each SCENARIO the fake begins a world, runs COMMAND with the address and the key of that world in its
    environment, and judges by what it was asked, by the bill, by the exit code, and by what COMMAND printed. Exits
    with 1 if an expectation failed.
    """
    command: list[str] = context.meta["command"]
    if not command:
        fail("found no command, expected one after --, such as: fake-dashscope check --all -- python my_client.py")
    if not 0 < options["speed"] <= 1_000_000:
        fail(f"found --speed {options['speed']}, expected a number above 0, up to 1000000")
    _refuse_lost_reports(options)
    seed = _seed(options, command)
    files, suite = _files(options)
    plan = _plan(options, files)
    known = _known(options["known_file"], files)
    faults = _chaos(options["chaos"])
    from fake_server.check.examine import Settings  # noqa: PLC0415 - brings the server; mistakes above need none

    settings = Settings(
        command,
        options["jobs"],
        options["limit_s"],
        options["deadline_s"],
        None if suite is None else suite.rules,
        options["chaos"],
    )
    worlds = {"speed": options["speed"], "draw_seed": seed, "faults": faults}
    reports: list[Report] = []
    try:
        _run(plan, files, settings, worlds, reports)
    except KeyboardInterrupt:
        say(f"interrupted after {len(reports)} of {len(plan)} runs; what ran was killed")
        sys.exit(INTERRUPTED)
    try:
        _tell(reports, options)
    except OSError as error:
        fail(f"cannot write to standard output: {error.strerror or error}")
    _write(reports, options)
    sys.exit(_conclude(reports, known, {**options, "seed": seed}, command))


def _refuse_lost_reports(options: Mapping[str, Any]) -> None:
    """Exit if a report could not be written: better now than after a minute."""
    for name in ("junit", "html"):
        path: Path | None = options[name]
        if path is not None and not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            fail(f"cannot write {path}: there is no such folder, or it is not yours to write to")


def _seed(options: Mapping[str, Any], command: Sequence[str]) -> int:
    """What chance is drawn by; of chaos it is told before anything else, with the line that replays it."""
    if options["chaos"] is None:
        return options["seed"] or 0
    seed: int = secrets.randbelow(DRAWN_SEEDS) if options["seed"] is None else options["seed"]
    names = [*options["scenarios"], *(["--all"] if options["takes_all"] else [])]
    say(f"seed {seed}; the same again: {_replay(names, options['dialect'], {**options, 'seed': seed}, command)}")
    return seed


def _chaos(wanted: str | None) -> tuple[Fault, ...]:
    if wanted is None:
        return ()
    try:
        return chaos_faults(wanted)
    except ScenarioErrors as errors:
        fail_with(errors)


def _files(options: Mapping[str, Any]) -> tuple[Mapping[str, Path], Suite | None]:
    """Where the scenarios are that can be named, and the suite that they are of."""
    if options["suite"] is None:
        return scenario_files(options["folder"]), None
    if options["folder"] is not None or options["takes_all"]:
        fail("--suite says which scenarios are run, so neither --all nor --scenarios goes with it")
    try:
        suite = read_suite(options["suite"])
    except SuiteError as error:
        fail(str(error))
    return suite.files, suite


def _plan(options: Mapping[str, Any], files: Mapping[str, Path]) -> list[Planned]:
    names = list(options["scenarios"])
    if options["suite"] is None and bool(names) is options["takes_all"]:
        fail("expected either scenarios by name, or --all, or --suite; `fake-dashscope scenarios` lists them")
    for name in names:
        if name not in files:
            where = "" if options["suite"] is None else f" in the suite {options['suite']!r}"
            fail(f"there is no scenario {name!r}{where}{did_you_mean(name, files) or ''}")
    try:
        loaded = [load_scenario(files[name]) for name in dict.fromkeys(names) or files]
    except ScenarioErrors as errors:
        fail_with(errors)
    # What was named one by one is run, however long it takes; and a suite is always run whole.
    longest_s = options["longest_s"] if options["takes_all"] else None
    return plan_runs(loaded, options["dialect"], longest_s)


def _known(path: Path | None, files: Mapping[str, Path]) -> list[Known] | None:
    if path is None:
        return None
    try:
        known = read_known(path)
    except KnownFailuresError as error:
        fail(str(error))
    for entry in known:
        if entry.scenario not in files:
            hint = did_you_mean(entry.scenario, files) or ""
            fail(f"{path}:{entry.line}: there is no scenario {entry.scenario!r}{hint}")
    return known


def _run(
    plan: Sequence[Planned],
    files: Mapping[str, Path],
    settings: Settings,
    how: Mapping[str, Any],
    reports: list[Report],
) -> None:
    """Run the plan, and add the report of each run to those that there are."""
    from rich.console import Console  # noqa: PLC0415 - a mistake on the command line needs neither
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from fake_server.check.examine import examine  # noqa: PLC0415 - brings the server
    from fake_server.running import RunningServer  # noqa: PLC0415 - as above
    from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

    worlds = Worlds(files, plan[0].scenario.name if plan else next(iter(files)), **how)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with contextlib.suppress(ValueError):  # Not in the main thread: then others look after signals.
        signal.signal(signal.SIGTERM, _end_as_told)
    console = Console(stderr=True)
    # Without a terminal the bar would leave an empty line behind.
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress as bar, RunningServer(worlds) as server:
        shown = bar.add_task("", total=len(plan))
        try:
            for report in examine(plan, server, settings):
                reports.append(report)
                bar.update(shown, advance=1, description=report.planned.title)
        except OSError as error:
            fail(f"cannot run {settings.command[0]}: {error.strerror or error}")


def _end_as_told(*_: object) -> None:
    """End as at Ctrl-C: with nothing left behind."""
    raise KeyboardInterrupt


def _tell(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    from fake_server.check.reports import as_json, summary  # noqa: PLC0415 - as above
    from fake_server.check.table import print_table  # noqa: PLC0415 - as above

    if options["as_json"]:
        click.echo(json.dumps(as_json(reports), indent=2))
    else:
        is_cut = sys.stdout.isatty() or "COLUMNS" in os.environ
        print_table(reports, Console(width=None if is_cut else UNCUT_COLUMNS), verbose=options["verbose"])
    say(summary(reports))


def _write(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    from fake_server.check.reports import as_junit  # noqa: PLC0415 - as above

    writers: dict[str, Callable[[Sequence[Report]], bytes]] = {"junit": as_junit, "html": _as_html}
    for name, write in writers.items():
        if options[name] is None:
            continue
        try:
            options[name].write_bytes(write(reports))
        except OSError as error:
            fail(f"cannot write {options[name]}: {error.strerror or error}")


def _as_html(reports: Sequence[Report]) -> bytes:
    from fake_server.check.html import as_html  # noqa: PLC0415 - one page, seldom wanted

    return as_html(reports).encode()


def _conclude(
    reports: Sequence[Report], known: Sequence[Known] | None, options: Mapping[str, Any], command: Sequence[str]
) -> int:
    """Say what is to be done, and the exit code."""
    failed = [report for report in reports if report.verdict in OPEN_OR_WORSE]
    if reports and all(report.ended is None or not report.entries for report in reports):
        say("error: the command never asked the fake for anything; see docs/driver.md")
        return FAILED
    if known is not None:
        new, stale = news(reports, known)
        for text in new:
            say(f"new failure: {text}")
        for text in stale:
            say(f"no failure any more, remove it from {options['known_file']}: {text}")
        is_open = any(report.verdict == "INCOMPLETE" for report in reports)
        return FAILED if new or stale or is_open else 0
    if failed:
        names = list(dict.fromkeys(report.planned.scenario.name for report in failed))
        dialects = {report.planned.dialect for report in failed}
        dialect = dialects.pop() if len(dialects) == 1 else "both"
        say(f"what failed, again: {_replay(names, dialect, options, [], verbose=True)} -- {shlex.join(command)}")
    return FAILED if failed else 0


def _replay(
    names: Sequence[str], dialect: str, options: Mapping[str, Any], command: Sequence[str], *, verbose: bool = False
) -> str:
    """The line that runs these again, in the same way."""
    words = ["fake-dashscope", "check", *names]
    told = {
        "--suite": (options["suite"], None),
        "--scenarios": (options["folder"], None),
        "--dialect": (dialect, "dashscope"),
        "--speed": (options["speed"], DEFAULT_SPEED),
        "--time-limit": (options["limit_s"], None),
        "--deadline": (options["deadline_s"], None),
        "--chaos": (options["chaos"], None),
        "--seed": (options["seed"] or None, None),
    }
    for option, (value, default) in told.items():
        if value != default:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join([*words, *(["-v"] if verbose else []), *(["--", *command] if command else [])])
