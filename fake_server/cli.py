"""`fake-dashscope`: serve the fake, list its scenarios, check a scenario file."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fake_server.scenario.library import find_scenarios, load_scenario, merged, shipped_scenarios
from fake_server.scenario.yaml_nodes import ScenarioErrors, did_you_mean
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SCENARIO = "succeeds"
USAGE_ERROR = 2
UNCUT_COLUMNS = 1_000
SCENARIO_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version=version(), prog_name="fake-dashscope")
def cli() -> None:
    """A fake DashScope: scripted tasks, quotas and faults, and the true bill."""


@cli.command()
@click.argument("scenario", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--speed", default=1.0, show_default=True, type=float, help="Divides scripted times.")
@click.option(
    "--clock",
    default="real",
    show_default=True,
    type=click.Choice(["real", "manual"]),
    help="How time passes.",
)
@click.option("--scenarios", "folder", type=SCENARIO_FOLDER, help="A folder of scenarios to add.")
@click.option("--public-url", help="What URLs in answers start with (default: as the client reached us).")
@click.option("--allow-remote", is_flag=True, help="Listen beyond this machine.")
def serve(
    scenario: str | None,
    host: str,
    port: int,
    speed: float,
    clock: str,
    folder: Path | None,
    public_url: str | None,
    allow_remote: bool,
) -> None:
    """Serve the fake until it is told to stop.

    SCENARIO is played to every key that names none; sk-NAME as API key picks the scenario NAME, sk-NAME.x
    in a world of its own.
    """
    files = _scenario_files(folder)
    name = scenario or DEFAULT_SCENARIO
    if name not in files:
        hint = did_you_mean(name, files) or "; `fake-dashscope scenarios` lists them"
        _fail(f"there is no scenario {name!r}{hint}")
    if not 0 < speed <= 1_000_000:
        _fail(f"found --speed {speed}, expected a number above 0, up to 1000000")
    if public_url is not None and not public_url.startswith(("http://", "https://")):
        _fail(f"found --public-url {public_url!r}, expected one that starts with http:// or https://")
    if not _is_loopback(host):
        if not allow_remote:
            _fail(f"{host} is not the loopback: everyone who reaches it may use this fake; add --allow-remote")
        _say(f"warning: listening on {host}; everyone who reaches it may use this fake")

    from fake_server.server import bind, serve  # noqa: PLC0415 - `scenarios` and `--help` need no server
    from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

    worlds = Worlds(files, name, speed=speed, manual=clock == "manual", tell=_tell)
    try:
        for own in {name} | set(find_scenarios(folder) if folder else ()):
            worlds.load(own)
    except ScenarioErrors as errors:
        _fail_with(errors)
    try:
        listener = bind(host, port)
    except OSError as error:
        _fail(f"cannot listen on {host} port {port}: {error.strerror or error}")
    _say(f"playing {name!r} to every key; a key such as sk-bad-gateway picks another scenario")
    serve(worlds, listener, host, public_url=public_url)


@cli.command()
@click.option("--scenarios", "folder", type=SCENARIO_FOLDER, help="A folder of scenarios to add.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def scenarios(folder: Path | None, as_json: bool) -> None:
    """List the scenarios."""
    from fake_server.admin import list_scenarios  # noqa: PLC0415 - brings the web framework; `validate` needs none
    from fake_server.worlds import Worlds  # noqa: PLC0415 - as above

    rows = list_scenarios(Worlds(_scenario_files(folder), DEFAULT_SCENARIO))
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
            click.echo(f"{path}: ok, {scenario.name}: {scenario.summary}")
    if has_errors:
        sys.exit(USAGE_ERROR)


def _scenario_files(folder: Path | None) -> Mapping[str, Path]:
    try:
        return merged(shipped_scenarios(), find_scenarios(folder) if folder else {})
    except ScenarioErrors as errors:
        _fail_with(errors)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only the table needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    # Each word once: `demo` ends with SUCCEEDED, FAILED, SUCCEEDED, and the summary needs the room.
    ends = ["broken" if "error" in row else ",".join(dict.fromkeys(row["expect"]["outcomes"])) for row in rows]
    # The summary alone is wrapped, below itself.
    table.add_column(no_wrap=True, min_width=max((len(row["name"]) for row in rows), default=0))
    table.add_column(no_wrap=True, min_width=max(map(len, ends), default=0))
    table.add_column(overflow="fold")
    for row, end in zip(rows, ends, strict=True):
        table.add_row(row["name"], end, Text(" ".join((row.get("error") or row["summary"]).split())))
    # Lines fit a terminal; a pipe gets them whole, so that they can be searched.
    is_wrapped = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if is_wrapped else UNCUT_COLUMNS).print(table)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say(text: str) -> None:
    click.echo(text, err=True)


def _tell(text: str) -> None:
    """Say something while serving; nobody listening is no reason to fail a request."""
    with contextlib.suppress(OSError):
        _say(text)


def _fail(text: str) -> NoReturn:
    _say(f"error: {text}")
    sys.exit(USAGE_ERROR)


def _fail_with(errors: ScenarioErrors) -> NoReturn:
    for line in errors.lines():
        _say(line)
    sys.exit(USAGE_ERROR)
