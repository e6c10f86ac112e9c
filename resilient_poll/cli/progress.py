"""What a person sees on stderr while a command works: a live line on a terminal, else a line for each change."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import PatientConsole, say
from resilient_poll.dashscope.task import Task
from resilient_poll.events import AttemptFailed, Event, HintIgnored, IllegalMove, Throttled, UnlistedStatus

__all__ = [
    "FRAMES",
    "FRAMES_A_SECOND",
    "HELD_RESULT",
    "HELD_TASK",
    "LISTING",
    "STATUS_STYLES",
    "Progress",
    "Story",
    "duration",
    "trail_of",
]

LISTING = "listing"
FRAMES_A_SECOND = 10
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHORT_ID = 8
"""As git shows its hashes: enough to tell tasks apart on one screen."""
HELD_TASK = "a create is out: waiting for its answer (60 s at most), so that no paid task is lost; again to force"
HELD_RESULT = (
    "the request is out: waiting for its answer (180 s at most), so that no paid result is lost; again to force"
)
STATUS_STYLES = {"SUCCEEDED": "bold green", "FAILED": "bold red", "CANCELED": "bold red", "RUNNING": "bold cyan"}


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to tell, as of now. Each change makes a new one, so that the drawing thread never sees half of it.

    Attributes:
        doing: What the command is at.
        task_id: The service's id.
        trail: The service's words so far, each with the monotonic seconds when it was first heard.
        polls: How often it was asked.
        trouble: What went wrong last, and when.
        quiet_until_s: Until when the service asked for silence.
        next_s: When it is asked next; None while a request is out.
        note: What the person should know about their own Ctrl-C.
    """

    began_s: float
    doing: str = "starting"
    task_id: str | None = None
    trail: tuple[tuple[str, float], ...] = ()
    polls: int = 0
    trouble: tuple[str, float] | None = None
    quiet_until_s: float = 0.0
    next_s: float | None = None
    note: str | None = None

    def heard(self, word: str, now_s: float) -> Story:
        """Return the story after the service said where the task stands."""
        if self.trail and self.trail[-1][0] == word:
            return self
        return replace(self, trail=(*self.trail, (word, now_s)))


class Progress:
    """Tells the story of one command while it happens.

    Args:
        console: Where to; stderr, unless given.

    Attributes:
        held_note: What to tell when a signal has to wait.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or PatientConsole(stderr=True)
        self.story = Story(time.monotonic())
        self._task: Task | None = None
        self.held_note = HELD_TASK
        self._without_answer = "not sent"
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

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Draw nothing within the block: somebody is asked something."""
        if self._live is None:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def begin(self, doing: str) -> None:
        """Tell what the command is at now."""
        self.story = replace(self.story, doing=doing, next_s=None)
        self._say(doing)
        self._without_answer = "a page did not come" if doing == LISTING else "not sent"

    def accepted(self, task: Task) -> None:
        """Leave the id of a new task on the terminal for good: the live line is short, and gone after a kill."""
        if self._live is not None:
            # In one piece, however narrow the terminal: it is there to be copied.
            self._console.print(Text(f"accepted: task {printable(task.id)}"), soft_wrap=True)
        self.watch(task)

    def tell(self, line: str) -> None:
        """Leave a line on the terminal for good."""
        say(self._console, printable(line))

    def go_on(self, doing: str) -> None:
        """Show what the command is at now, where that is shown live."""
        self.story = replace(self.story, doing=doing, next_s=None)

    def watch(self, task: Task) -> None:
        """Follow a task from here on."""
        self._task = task
        self.story = replace(self.story, task_id=task.id, quiet_until_s=0.0, next_s=None)
        self._look()

    def on_event(self, event: Event) -> None:
        """Take in what the client tells."""
        now_s = time.monotonic()
        trouble: str | None = None
        match event:
            case Throttled():
                code = f" ({event.code})" if event.code else ""
                trouble = f"throttled{code}"
                self.story = replace(self.story, quiet_until_s=event.until_s)
                # Whether it is asked again after that is not known here: the time may be up before.
                self._say(f"{trouble}, quiet for {max(0.0, event.until_s - now_s):.1f} s")
            case AttemptFailed():
                what = "a poll brought nothing" if event.task_id else self._without_answer
                trouble = f"{what} ({event.reason})"
                self._say(f"{trouble}, trying again")
            case HintIgnored():
                trouble = f"Retry-After ignored: {event.reason}"
                self._say(trouble)
            case IllegalMove():
                trouble = f"{event.status} after {event.before} is no move that the service documents"
                self._say(trouble)
            case UnlistedStatus():
                trouble = f"{event.status} is a status that nobody listed"
                self._say(trouble)
        if trouble is not None:
            self.story = replace(self.story, trouble=(trouble, now_s))
        if event.task_id is not None:
            self._look()

    def on_sleep(self, seconds: float) -> None:
        """Take in that the client pauses."""
        self._look()
        self.story = replace(self.story, next_s=time.monotonic() + seconds)

    def on_wake(self) -> None:
        """Take in that the pause is over and a request goes out."""
        self.story = replace(self.story, next_s=None)

    def on_deferred(self) -> None:
        """Tell that a signal has to wait. Called from a signal handler, so it writes past every buffer."""
        note = self.held_note
        self.story = replace(self.story, note=note)
        if self._live is None:
            # Raised in the middle of the create, it would cut that.
            with suppress(OSError):
                os.write(2, f"{note}\n".encode())

    def _look(self) -> None:
        """Take over what the task says of itself."""
        if self._task is None:
            return
        standing, now_s = self._task.standing, time.monotonic()
        before = self.story
        story = replace(before, polls=standing.polls)
        self.story = story if standing.status is None else story.heard(standing.status, now_s)
        if self.story.trail != before.trail:
            self._say(f"{standing.status} after {now_s - before.began_s:.1f} s")

    def _say(self, line: str) -> None:
        if self._live is None:
            task_id = self.story.task_id
            who = f"task {task_id}: " if task_id else ""
            self._console.print(Text(printable(who + line)), soft_wrap=True)

    def __rich__(self) -> RenderableType:
        story, now_s = self.story, time.monotonic()
        # Put together here: rich's spinner wraps a text of its own, and a line that wraps flickers.
        frame = FRAMES[int((now_s - story.began_s) * FRAMES_A_SECOND) % len(FRAMES)]
        first = Text.assemble((frame, "cyan"), " ", _first_line(story, now_s), no_wrap=True, overflow="ellipsis")
        more = [line for line in (_trouble_line(story, now_s), _note_line(story)) if line is not None]
        return Group(first, *more)


def _first_line(story: Story, now_s: float) -> Text:
    line = Text()
    if story.task_id is not None:
        line.append(f"{story.task_id[:SHORT_ID]}  ", style="dim")
    line.append_text(trail_of(story.trail, now_s))
    is_saving = story.doing.startswith("saving")
    if is_saving or not story.trail:
        line.append(f"{'  ' if story.trail else ''}{printable(story.doing)}", style="bold")
    asides = [] if story.trail else [duration(now_s - story.began_s)]
    if story.polls:
        asides.append(f"{story.polls} poll{'' if story.polls == 1 else 's'}")
    if story.next_s is not None:
        asides.append(f"next in {max(0.0, story.next_s - now_s):.1f} s")
    elif story.trail and not is_saving:
        asides.append("asking")
    return line.append("".join(f"  · {aside}" for aside in asides), style="dim")


def trail_of(words: tuple[tuple[str, float], ...], now_s: float) -> Text:
    """Return the service's words and how long each held; the last one holds until now."""
    trail = Text()
    for index, (word, since_s) in enumerate(words):
        is_last = index == len(words) - 1
        end_s = now_s if is_last else words[index + 1][1]
        trail.append(" → " if index else "", style="dim")
        trail.append(printable(word), style=STATUS_STYLES.get(word, "bold") if is_last else "dim")
        trail.append(f" {duration(end_s - since_s)}", style="" if is_last else "dim")
    return trail


def _trouble_line(story: Story, now_s: float) -> Text | None:
    if story.trouble is None:
        return None
    what, at_s = story.trouble
    left_s = story.quiet_until_s - now_s
    when = f"quiet for {left_s:.1f} s" if left_s > 0 else f"{duration(now_s - at_s)} ago"
    return Text(f"  ! {printable(what)} · {when}", style="yellow", no_wrap=True, overflow="ellipsis")


def _note_line(story: Story) -> Text | None:
    return None if story.note is None else Text(f"  ! {story.note}", style="bold yellow")


def duration(seconds: float) -> str:
    """Return a duration for people."""
    minutes, rest_s = divmod(max(0.0, seconds), 60)
    return f"{int(minutes)} min {rest_s:02.0f} s" if minutes else f"{rest_s:.1f} s"
