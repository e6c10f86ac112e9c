"""What the commands say to people: on stderr, a sentence a line, and exit code 2 for what cannot be done."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from fake_server.scenario.library import find_scenarios, merged, shipped_scenarios
from fake_server.scenario.yaml_nodes import ScenarioErrors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

USAGE_ERROR = 2
# Seeds that are drawn: enough that two runs differ, and short enough to be typed again.
DRAWN_SEEDS = 1_000_000_000
MOST_SEED = 2**63 - 1


def say(text: str) -> None:
    """Say something on stderr."""
    click.echo(text, err=True)


def say_while_serving(text: str) -> None:
    """Say something while serving; nobody listening is no reason to fail a request."""
    with contextlib.suppress(OSError):
        say(text)


def fail(text: str) -> NoReturn:
    """Say why not, and exit."""
    say(f"error: {text}")
    sys.exit(USAGE_ERROR)


def fail_with(errors: ScenarioErrors) -> NoReturn:
    """Say every complaint about a file, and exit."""
    for line in errors.lines():
        say(line)
    sys.exit(USAGE_ERROR)


def scenario_files(folder: Path | None) -> Mapping[str, Path]:
    """The files of the shipped scenarios and those of a folder, by name; exits if the folder is wrong."""
    try:
        return merged(shipped_scenarios(), find_scenarios(folder) if folder else {})
    except ScenarioErrors as errors:
        fail_with(errors)
