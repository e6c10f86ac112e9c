"""stdout and stderr, which may close at any moment: that is their reader's right, and changes nothing of the task."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click
from rich.console import Console
from rich.text import Text

from resilient_poll.cli.report import Report, printable

__all__ = ["PatientConsole", "print_report", "write_any_character"]

_LINE_STYLES = {"✓": "bold green", "✗": "bold red", "…": "bold yellow", "  $": "bold", "  ": "dim"}


class PatientConsole(Console):
    """A console whose reader may leave. rich would end the program, in the middle of a wait."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        _give_up_on(sys.stderr if self.stderr else sys.stdout)


def write_any_character() -> None:
    """Let no character that a terminal lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report: one JSON object on stdout, or its lines on both streams."""
    if as_json:
        try:
            click.echo(report.as_json())
        except BrokenPipeError:
            _give_up_on(sys.stdout)
        return
    for lines, is_error in ((report.result, False), (report.notes, True)):
        console = PatientConsole(stderr=is_error, highlight=False)
        for line in lines:
            style = next((style for mark, style in _LINE_STYLES.items() if line.startswith(mark)), "")
            console.print(Text(printable(line), style), soft_wrap=True)


def _give_up_on(stream: TextIO) -> None:
    # Not closed: the interpreter flushes it once more at its end, and would complain.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
