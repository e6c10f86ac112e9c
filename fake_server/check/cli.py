"""`fake-dashscope check`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fake_server.check.expected import KnownFailuresError, news, read_known
from fake_server.check.plan import plan_runs
from fake_server.check.suites import SuiteError, read_suite
from fake_server.scenario.library import load_scenario
from fake_server.scenario.yaml_nodes import ScenarioErrors, did_you_mean
from fake_server.telling import fail, fail_with, say, scenario_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fake_server.check.examine import Report, Settings
    from fake_server.check.expected import Known
    from fake_server.check.plan import Planned

FAILED = 1
# Scripted generation takes seconds to minutes; a twentieth of it can still be polled in, and is soon over.
DEFAULT_SPEED = 20.0
DEFAULT_LIMIT_S = 60.0
DEFAULT_DEADLINE_S = 30.0
# Longer than any Retry-After, back-off and sequence of polls of the usual scenarios, in a client's own seconds.
DEFAULT_LONGEST_S = 20.0
MOST_JOBS = 64
# Clients wait most of the time; a process of Python takes half a second of a processor to start.
DEFAULT_JOBS = 8
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
    options_metavar="[OPTIONS]",
    epilog="The page docs/driver.md says what COMMAND is told, and what it may print.",
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]... -- COMMAND...")
@click.option("--all", "takes_all", is_flag=True, help="Every scenario.")
@click.option("--suite", help="A frozen list of scenarios, which later releases never change.")
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
    default=DEFAULT_LIMIT_S,
    show_default=True,
    type=click.FloatRange(0.1, 86_400),
    help="Seconds until COMMAND is killed.",
)
@click.option(
    "--deadline",
    "deadline_s",
    default=DEFAULT_DEADLINE_S,
    show_default=True,
    type=click.FloatRange(0.1, 86_400),
    help="Seconds after which COMMAND gives up a task, at most.",
)
@click.option(
    "--longest",
    "longest_s",
    default=DEFAULT_LONGEST_S,
    show_default=True,
    type=click.FloatRange(0),
    help="Leave out scenarios that take a good client longer; in seconds. One that is named is run.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of ids and of chances.")
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
    files = scenario_files(options["folder"])
    plan = _plan(options, files)
    known = _known(options["known_file"])
    from fake_server.check.examine import Settings  # noqa: PLC0415 - brings the server; mistakes above need none

    settings = Settings(command, options["jobs"], options["limit_s"], options["deadline_s"])
    reports = _run(plan, files, settings, options)
    _tell(reports, options)
    sys.exit(_conclude(reports, known, options, command))


def _plan(options: Mapping[str, Any], files: Mapping[str, Path]) -> list[Planned]:
    names = list(options["scenarios"])
    chosen = sum((bool(names), options["takes_all"], options["suite"] is not None))
    if chosen != 1:
        fail("expected either scenarios by name, or --all, or --suite; `fake-dashscope scenarios` lists them")
    for name in names:
        if name not in files:
            fail(f"there is no scenario {name!r}{did_you_mean(name, files) or ''}")
    try:
        if options["suite"] is not None:
            names = read_suite(options["suite"], files)
        loaded = [load_scenario(files[name]) for name in names or files]
    except SuiteError as error:
        fail(str(error))
    except ScenarioErrors as errors:
        fail_with(errors)
    # What was named one by one is run, however long it takes.
    longest_s = None if options["scenarios"] else options["longest_s"]
    return plan_runs(loaded, options["dialect"], longest_s)


def _known(path: Path | None) -> list[Known] | None:
    if path is None:
        return None
    try:
        return read_known(path)
    except KnownFailuresError as error:
        fail(str(error))


def _run(
    plan: Sequence[Planned], files: Mapping[str, Path], settings: Settings, options: Mapping[str, Any]
) -> list[Report]:
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

    worlds = Worlds(
        files, plan[0].scenario.name if plan else "succeeds", speed=options["speed"], draw_seed=options["seed"]
    )
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    reports: list[Report] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar, RunningServer(worlds) as server:
        shown = bar.add_task("", total=len(plan))
        try:
            for report in examine(plan, server, settings):
                reports.append(report)
                bar.update(shown, advance=1, description=report.planned.title)
        except OSError as error:
            fail(f"cannot run {settings.command[0]}: {error.strerror or error}")
    return reports


def _tell(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    from fake_server.check.reports import as_json, as_junit, print_table, summary  # noqa: PLC0415 - as above

    try:
        if options["junit"] is not None:
            options["junit"].write_bytes(as_junit(reports))
        if options["html"] is not None:
            from fake_server.check.html import as_html  # noqa: PLC0415 - one page, seldom wanted

            options["html"].write_text(as_html(reports), encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}")
    if options["as_json"]:
        click.echo(json.dumps(as_json(reports), indent=2))
    else:
        is_cut = sys.stdout.isatty() or "COLUMNS" in os.environ
        print_table(reports, Console(width=None if is_cut else 160), verbose=options["verbose"])
    say(summary(reports))


def _conclude(
    reports: Sequence[Report], known: Sequence[Known] | None, options: Mapping[str, Any], command: Sequence[str]
) -> int:
    """Say what is to be done, and the exit code."""
    failed = [report for report in reports if report.verdict == "FAIL"]
    if reports and all(report.ended is None or not report.entries for report in reports):
        say("error: the command never asked the fake for anything; see docs/driver.md")
        return FAILED
    if known is not None:
        new, stale = news(reports, known)
        for text in new:
            say(f"new failure: {text}")
        for text in stale:
            say(f"no failure any more, remove it from {options['known_file']}: {text}")
        return FAILED if new or stale else 0
    for report in failed:
        again = f"fake-dashscope check {report.planned.scenario.name} --dialect {report.planned.dialect}"
        say(f"again: {again} --seed {options['seed']} -v -- {shlex.join(command)}")
    return FAILED if failed else 0
