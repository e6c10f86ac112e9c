"""stdout and stderr, which may close or fill up at any moment: that changes nothing of the task."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from resilient_poll.cli.report import Report, printable

__all__ = ["PatientConsole", "emit", "give_up_on", "print_lines", "print_report", "styled", "write_any_character"]

SMALLEST_WIDTH = 20
"""rich prints nothing at all on a terminal whose width it takes for 0."""

_LINE_STYLES = {"✓": "bold green", "✗": "bold red", "…": "bold yellow", "!": "bold yellow", "  $": "bold", "  ": "dim"}


class _PatientStream:
    """A text stream that writes to nowhere once it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, somewhere."""
        try:
            return self._stream.write(text)
        except OSError:
            give_up_on(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, if there is anywhere to."""
        try:
            self._stream.flush()
        except OSError:
            give_up_on(self._stream)


class PatientConsole(Console):
    """A console whose reader may leave, and whose file may be full. rich would end a wait by that.

    Args:
        stderr: Whether it writes there and not to stdout.
    """

    def __init__(self, *, stderr: bool) -> None:
        stream = _PatientStream(sys.stderr if stderr else sys.stdout)
        super().__init__(file=cast(IO[str], stream), highlight=False)
        if self.width < SMALLEST_WIDTH:
            self.width = SMALLEST_WIDTH


def write_any_character() -> None:
    """Let no character that a terminal lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def emit(report: Report, *, as_json: bool) -> int:
    """Print a report, and return its exit code."""
    print_report(report, as_json=as_json)
    return int(report.exit_code)


def print_lines(lines: list[str]) -> None:
    """Print lines on stdout at once; if nobody takes them, that changes nothing else."""
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError:
        give_up_on(sys.stdout)


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report: one JSON object on stdout, or its lines on both streams."""
    notes = list(report.notes)
    lines = [report.as_json()] if as_json else [printable(line) for line in report.result]
    if as_json:
        notes = []
    try:
        _print_result(lines, as_json=as_json)
    except OSError as error:
        give_up_on(sys.stdout)
        task_id = report.task_id if report.standing is None else report.standing.task_id
        notes.insert(0, f"✗ stdout: {error.strerror}; the result was task {task_id} ({report.outcome})")
    console = PatientConsole(stderr=True)
    for line in notes:
        console.print(styled(printable(line)), soft_wrap=True)


def _print_result(lines: list[str], *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        # No library in between: a result depends on no terminal's width.
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        console = Console(highlight=False, width=max(SMALLEST_WIDTH, Console().width))
        for line in lines:
            console.print(styled(line), soft_wrap=True)
    sys.stdout.flush()


def styled(line: str) -> Text:
    """Return a line in the colour of its mark."""
    return Text(line, next((style for mark, style in _LINE_STYLES.items() if line.startswith(mark)), ""))


def give_up_on(stream: TextIO) -> None:
    """Lead a stream to nowhere. It is not closed: the interpreter flushes it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
