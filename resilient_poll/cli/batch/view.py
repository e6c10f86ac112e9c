"""What a person sees of a batch on stderr: a live table on a terminal, else a line of counts every few seconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from resilient_poll.cli.batch.results import Result
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.progress import FRAMES, FRAMES_A_SECOND, duration, trail_of
from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import PatientConsole, print_lines, say
from resilient_poll.events import BatchProgress, Event, JobAccepted, PhaseChanged, Throttled
from resilient_poll.machine.lifecycle import Phase

__all__ = ["BatchView", "Row"]

PLAIN_EVERY_S = 5.0
WIDEST_LABEL = 24
SHORT_ID = 8
LINES_AROUND_ROWS = 5
"""Of the terminal's height: the counts, pauses, notes, and the line that the shell's prompt needs."""
HELD_BATCH = "stopping: creates that are out are awaited (60 s at most), so that no paid task is lost; again to force"
_BAD = frozenset(ExitCode) - {ExitCode.SUCCEEDED, ExitCode.PARTLY, ExitCode.STILL_GOING}


@dataclass(frozen=True, slots=True)
class Row:
    """One job that is open. Each change makes a new one, so that the drawing thread never sees half of it.

    Attributes:
        task_id: Its task.
        label: What the job is called.
        trail: The service's words so far, each with the monotonic seconds when it was first heard.
        is_saved: Whether it has ended and its results are being fetched.
    """

    task_id: str
    label: str = ""
    trail: tuple[tuple[str, float], ...] = ()
    is_saved: bool = False


@dataclass(slots=True)
class _Counts:
    total: int
    over: int = 0
    saving: int = 0
    by_code: dict[ExitCode, int] = field(default_factory=dict)


class BatchView:
    """Tells the story of a batch while it happens.

    Args:
        total: How many jobs there are.
        labels: What each is called, by its key.
        as_json: Whether results are for machines also where stdout is a terminal.
        console: Where the story goes; stderr, unless given.
    """

    def __init__(self, total: int, labels: Mapping[str, str], *, as_json: bool, console: Console | None = None) -> None:
        self._console = console or PatientConsole(stderr=True)
        self._labels = labels
        self._began_s = time.monotonic()
        self._counts = _Counts(total)
        self._progress: BatchProgress | None = None
        self._rows: dict[str, Row] = {}
        self._pauses: dict[str, tuple[str, float]] = {}
        self._notes: list[str] = []
        self._said = ("", -PLAIN_EVERY_S)
        self._lock = threading.Lock()
        self._printing = threading.Lock()
        self.stdout_trouble: str | None = None
        """Why stdout took nothing more, if that happened and nobody just left."""
        self._is_for_people = not as_json and _is_terminal_stdout()
        # rich also calls a log file with FORCE_COLOR a terminal; an animation in one is noise.
        is_terminal = self._console.file.isatty() and not self._console.is_dumb_terminal
        self._live = (
            Live(self, console=self._console, refresh_per_second=FRAMES_A_SECOND, transient=True)
            if is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def codes(self) -> Mapping[ExitCode, int]:
        """How many jobs ended with each exit code so far."""
        return self._counts.by_code

    @property
    def is_idle(self) -> bool:
        """Whether nothing is out and no task is waited for."""
        return self._progress is not None and not (self._progress.submitting or self._progress.open)

    def on_event(self, event: Event) -> None:
        """Take in what the client tells."""
        with self._lock:
            match event:
                case BatchProgress():
                    self._progress = event
                case Throttled():
                    who = "polls" if event.task_id else "creates"
                    code = f" ({event.code})" if event.code else ""
                    self._pauses[who] = (f"{who} throttled{code}", event.until_s)
                case PhaseChanged(task_id=str() as task_id) if event.before is Phase.SUBMITTING or event.status:
                    row = self._rows.get(task_id) or Row(task_id)
                    word = event.status or str(event.after)
                    if not row.trail or row.trail[-1][0] != word:
                        row = replace(row, trail=(*row.trail, (word, time.monotonic())))
                    self._rows[task_id] = row
                case JobAccepted(task_id=str() as task_id):
                    label = self._labels.get(event.label or "", event.label or "")
                    self._rows[task_id] = replace(self._rows.get(task_id) or Row(task_id), label=label)
        self._say_counts()

    def saving(self, task_id: str | None) -> None:
        """Take in that a job's results are being fetched."""
        with self._lock:
            self._counts.saving += 1
            if task_id in self._rows:
                self._rows[task_id] = replace(self._rows[task_id], is_saved=True)

    def over(self, result: Result, *, was_saving: bool = True) -> None:
        """Print what came of a job: on stdout for machines, or above the table for people."""
        with self._lock:
            self._rows.pop(str(result.values.get("task_id")), None)
            self._counts.saving -= was_saving
            self._counts.over += 1
            self._counts.by_code[result.exit_code] = self._counts.by_code.get(result.exit_code, 0) + 1
        # Not under the lock that drawing takes: whoever prints waits for whoever draws.
        with self._printing:
            if not self._is_for_people:
                self._print(result.as_json())
            elif self._live is None:
                self._print(result.for_people())
            if (self._is_for_people and self._live is not None) or (
                not self._is_for_people and result.exit_code in _BAD
            ):
                say(self._console, result.for_people())
        self._say_counts()

    def _print(self, line: str) -> None:
        trouble = print_lines([line])
        self.stdout_trouble = self.stdout_trouble or trouble

    def tell(self, line: str) -> None:
        """Leave a line on stderr for good."""
        with self._printing:
            say(self._console, printable(line))

    def on_signal(self) -> None:
        """Tell that what is out is awaited. Called from a signal handler, so it takes no lock and no buffer."""
        if self._live is not None:
            self._notes.append(HELD_BATCH)
            return
        with suppress(OSError):
            os.write(2, f"{HELD_BATCH}\n".encode())

    def _say_counts(self) -> None:
        """Without a terminal, tell the counts now and then."""
        if self._live is not None:
            return
        with self._printing:
            line, now_s = self._counted(), time.monotonic()
            before, at_s = self._said
            if line != before and now_s - at_s >= PLAIN_EVERY_S:
                self._said = (line, now_s)
                self._console.print(Text(f"{line} · after {duration(now_s - self._began_s)}"), soft_wrap=True)

    def _counted(self) -> str:
        counts, progress = self._counts, self._progress
        submitting, is_open = (0, 0) if progress is None else (progress.submitting, progress.open)
        queued = max(0, counts.total - counts.over - counts.saving - submitting - is_open)
        succeeded = counts.by_code.get(ExitCode.SUCCEEDED, 0)
        named = (
            (queued, "queued"),
            (submitting, "submitting"),
            (is_open, "open"),
            (counts.saving, "saving"),
            (succeeded, "succeeded"),
            (counts.over - succeeded, "otherwise"),
        )
        return " · ".join(f"{count} {word}" for count, word in named if count) or "starting"

    def __rich__(self) -> RenderableType:
        now_s = time.monotonic()
        with self._lock:
            rows, pauses, notes = list(self._rows.values()), list(self._pauses.values()), list(self._notes)
            counted = self._counted()
        most = max(1, self._console.height - LINES_AROUND_ROWS - len(notes))
        frame = FRAMES[int((now_s - self._began_s) * FRAMES_A_SECOND) % len(FRAMES)]
        lines: list[RenderableType] = []
        if rows:
            lines.append(_table_of(rows[:most], now_s, self._console.width))
        if len(rows) > most:
            lines.append(Text(f"  … and {len(rows) - most} more", style="dim"))
        for what, until_s in pauses:
            if until_s > now_s:
                lines.append(_line(f"  ! {printable(what)} · quiet for {until_s - now_s:.1f} s", "yellow"))
        lines += [_line(f"  ! {printable(note)}", "bold yellow") for note in notes]
        counted = f"{counted} · {duration(now_s - self._began_s)}"
        lines.append(Text.assemble((frame, "cyan"), " ", counted, no_wrap=True, overflow="ellipsis"))
        return Group(*lines)


def _table_of(rows: list[Row], now_s: float, width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    widest = max(8, min(WIDEST_LABEL, width // 4))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=widest)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        trail = trail_of(row.trail, now_s)
        if row.is_saved:
            trail.append("  saving", style="bold")
        table.add_row(Text(printable(row.label)), Text(printable(row.task_id[:SHORT_ID])), trail)
    return table


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _is_terminal_stdout() -> bool:
    return PatientConsole(stderr=False).file.isatty()
