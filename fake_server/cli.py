"""`fake-dashscope`: serve the fake, judge a client, list scenarios, check a scenario file."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fake_server.check.cli import check
from fake_server.scenario.library import load_scenario
from fake_server.scenario.yaml_nodes import ScenarioErrors
from fake_server.serving import DEFAULT_SCENARIO, SCENARIO_FOLDER, serve
from fake_server.telling import USAGE_ERROR, scenario_files
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Iterator

UNCUT_COLUMNS = 1_000
# A summary is a sentence or two: in fewer columns it stands below its scenario, not beside it.
NARROWEST_SUMMARY = 40
INDENT = 4


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version=version(), prog_name="fake-dashscope")
def cli() -> None:
    """A fake DashScope: scripted tasks, quotas and faults, and the true bill."""


cli.add_command(serve)
cli.add_command(check)


@cli.command()
@click.option("--scenarios", "folder", type=SCENARIO_FOLDER, help="A folder of scenarios to add.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def scenarios(folder: Path | None, as_json: bool) -> None:
    """List the scenarios."""
    from fake_server.admin import list_scenarios  # noqa: PLC0415 - brings the web framework; `validate` needs none
    from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

    rows = list_scenarios(Worlds(scenario_files(folder), DEFAULT_SCENARIO))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    _print_table(rows)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Check scenario FILES; every mistake is a line with its place. Exits with 2 if there is any."""
    has_errors = False
    for path in files:
        try:
            scenario = load_scenario(path)
        except ScenarioErrors as errors:
            has_errors = True
            for line in errors.lines():
                click.echo(line, err=True)
        else:
            click.echo(f"{click.format_filename(path)}: ok, {scenario.name}: {scenario.summary}")
    if has_errors:
        sys.exit(USAGE_ERROR)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only the table needs it

    # Lines fit a terminal; a pipe gets them whole, so that they can be searched.
    is_wrapped = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_wrapped else UNCUT_COLUMNS)
    for line in _table(rows, console.width):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _table(rows: list[dict[str, Any]], width: int) -> Iterator[str]:
    """A line for each scenario, whose summary alone is wrapped, below itself; in few columns, below the name."""
    # Each word once: `demo` ends with SUCCEEDED, FAILED, SUCCEEDED, and the summary needs the room.
    ends = ["broken" if "error" in row else ",".join(dict.fromkeys(row["expect"]["outcomes"])) for row in rows]
    name_columns = max((len(row["name"]) for row in rows), default=0)
    start = name_columns + 2 + max(map(len, ends), default=0) + 2
    is_beside = width - start >= NARROWEST_SUMMARY
    start = start if is_beside else INDENT
    for row, end in zip(rows, ends, strict=True):
        summary = " ".join((row.get("error") or row["summary"]).split())
        lines = textwrap.wrap(summary, max(width - start, NARROWEST_SUMMARY // 2), break_on_hyphens=False)
        left = f"{row['name']:<{name_columns}}  {end}"
        if is_beside:
            left, lines = f"{left:<{start}}{lines[0] if lines else ''}", lines[1:]
        yield left.rstrip()
        for line in lines:
            yield " " * start + line
