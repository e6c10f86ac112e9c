"""stdout and stderr, which may close or fill up at any moment: that changes nothing of the task."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, TextIO, cast

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.report import Report, printable

__all__ = [
    "PatientConsole",
    "emit",
    "give_up_on",
    "print_lines",
    "print_report",
    "say",
    "say_stdout_trouble",
    "trouble_of",
    "wrapped",
    "write_any_character",
]

SMALLEST_WIDTH = 20
"""rich prints nothing at all on a terminal whose width it takes for 0."""

_NOT_WRAPPED = ("$ ", "{", "[")
"""Commands and JSON are there to be copied."""
_LINE_STYLES = {"✓": "bold green", "✗": "bold red", "…": "bold yellow", "!": "bold yellow", "  $": "bold", "  ": "dim"}


def say(console: Console, line: str) -> None:
    """Print a line for people: on a terminal it is wrapped between words, elsewhere it stays one line.

    What is to be copied stays in one piece: commands, JSON, and words that are longer than the terminal is wide.

    Args:
        console: Where to.
        line: The line, or lines.
    """
    if console.file.isatty():
        line = "\n".join(piece for part in line.split("\n") for piece in wrapped(part, console.width))
    console.print(_styled(line), soft_wrap=True)


def wrapped(line: str, width: int) -> list[str]:
    """Return a line in pieces that are no wider than a terminal, broken between words only.

    Args:
        line: The line. Pieces after the first are indented below it; commands and JSON stay whole.
        width: The columns of the terminal.
    """
    body = line.lstrip(" ")
    lead = line[: len(line) - len(body)]
    if body.startswith(_NOT_WRAPPED):
        return [line]
    first, *words = body.split(" ")
    pieces = [lead + first]
    for word in words:
        longer = f"{pieces[-1]} {word}"
        if cell_len(longer) <= width:
            pieces[-1] = longer
        else:
            pieces.append(f"{lead}  {word}")
    return pieces


class _PatientStream:
    """A text stream that writes to nowhere once it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.trouble: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, somewhere."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self.trouble = self.trouble or trouble_of(error)
            give_up_on(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, if there is anywhere to."""
        try:
            self._stream.flush()
        except OSError as error:
            self.trouble = self.trouble or trouble_of(error)
            give_up_on(self._stream)


class PatientConsole(Console):
    """A console whose reader may leave, and whose file may be full. rich would end a wait by that.

    Args:
        stderr: Whether it writes there and not to stdout.
    """

    def __init__(self, *, stderr: bool) -> None:
        self._patient = _PatientStream(sys.stderr if stderr else sys.stdout)
        super().__init__(file=cast(IO[str], self._patient), highlight=False)
        if self.width < SMALLEST_WIDTH:
            self.width = SMALLEST_WIDTH

    @property
    def trouble(self) -> str | None:
        """Why it could not be written, if that happened and nobody just left."""
        return self._patient.trouble


def write_any_character() -> None:
    """Let no character that a terminal lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def trouble_of(error: OSError) -> str | None:
    """Return why stdout takes nothing more, or None if its reader just left: that is the reader's own affair."""
    return None if isinstance(error, BrokenPipeError) else error.strerror or type(error).__name__


def say_stdout_trouble(trouble: str | None, code: int) -> int:
    """Say on stderr that a result could not be printed, and return the exit code: that of a success it is not.

    Args:
        trouble: Why; None if it could be.
        code: The exit code otherwise.
    """
    if trouble is None:
        return code
    say(PatientConsole(stderr=True), f"✗ stdout: {trouble}; what was to be printed is lost")
    return int(ExitCode.OTHER) if code == ExitCode.SUCCEEDED else code


def emit(report: Report, *, as_json: bool) -> int:
    """Print a report, and return its exit code; where stdout takes nothing, that of a success is 1."""
    trouble = print_report(report, as_json=as_json)
    return int(ExitCode.OTHER if trouble and report.exit_code is ExitCode.SUCCEEDED else report.exit_code)


def print_lines(lines: list[str]) -> str | None:
    """Print lines on stdout at once.

    Returns:
        Why nobody takes them, which changes nothing else; None also if their reader just left.
    """
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError as error:
        give_up_on(sys.stdout)
        return trouble_of(error)
    return None


def print_report(report: Report, *, as_json: bool) -> str | None:
    """Print a report: one JSON object on stdout, or its lines on both streams.

    Returns:
        Why stdout takes nothing; None also if its reader just left.
    """
    trouble: str | None = None
    notes = list(report.notes)
    lines = [report.as_json()] if as_json else [printable(line) for line in report.result]
    if as_json:
        notes = []
    try:
        _print_result(lines, as_json=as_json)
    except OSError as error:
        give_up_on(sys.stdout)
        trouble = trouble_of(error)
        notes.insert(0, f"✗ stdout: {error.strerror}; the result was {_named(report)} ({report.outcome})")
    console = PatientConsole(stderr=True)
    for line in notes:
        say(console, printable(line))
    return trouble


def _named(report: Report) -> str:
    """Return what is left of a result that could not be printed: its task, its files, else where it can be fetched."""
    task_id = report.task_id if report.standing is None else report.standing.task_id
    if task_id is not None:
        return f"task {task_id}"
    kept = [str(file) for file in report.files] or report.made.urls
    return ", ".join(kept) or f"without a task, request {report.request_id or 'without an id'}"


def _print_result(lines: list[str], *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        # No library in between: a result depends on no terminal's width.
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        console = Console(highlight=False, width=max(SMALLEST_WIDTH, Console().width))
        for line in lines:
            say(console, line)
    sys.stdout.flush()


def _styled(line: str) -> Text:
    """Return a line in the colour of its mark."""
    return Text(line, next((style for mark, style in _LINE_STYLES.items() if line.startswith(mark)), ""))


def give_up_on(stream: TextIO) -> None:
    """Lead a stream to nowhere. It is not closed: the interpreter flushes it once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
