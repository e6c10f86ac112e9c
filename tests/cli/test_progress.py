"""The live line: on a terminal only, one line, and always the truth."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from resilient_poll import events
from resilient_poll.cli.progress import Progress, Story
from resilient_poll.cli.report import printable
from resilient_poll.cli.streams import say, wrapped
from resilient_poll.machine.lifecycle import Phase
from tests.cli.command_line import LONGEST_RUN_S, MAKE, SOON, Account, command, here

NOW_S = 1000.0


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def drawn(progress: Progress, width: int = 100) -> list[str]:
    """What the live line shows at this moment."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(progress)
    return capture.get().splitlines()


def on_a_terminal() -> Progress:
    """Progress that believes to be on a terminal."""
    return Progress(Console(file=Terminal(), force_terminal=True, width=100))


def test_a_terminal_sees_a_live_line(account: Account) -> None:
    """On a real terminal the line moves in place and is gone at the end; the result stays."""
    key = account.open("one-bad-gateway", TERM="xterm-256color", COLUMNS="100")
    ours, theirs = pty.openpty()
    arguments = command("run", *MAKE, "-o", "clip.mp4", *SOON)
    with subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:  # noqa: S603  # our own command
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
        assert process.wait(LONGEST_RUN_S) == 0
    os.close(ours)
    text = shown.decode()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "\x1b[2K" in text, "a line was drawn over"
    assert text.rstrip().rpartition("\x1b[2K")[2].count("clip.mp4") == 1
    for part in ("RUNNING", "1 poll", "next in", "! a poll brought nothing (HTTP 502)", "✓ clip.mp4"):
        assert part in plain
    assert key not in plain


def test_a_narrow_terminal_keeps_the_whole_id(account: Account) -> None:
    """The full id is printed above the live line once it is known, in one piece however narrow the terminal is."""
    account.open("fails-at-once", TERM="xterm-256color", COLUMNS="24")
    ours, theirs = pty.openpty()
    with subprocess.Popen(command("run", *MAKE, *SOON), stdin=theirs, stdout=theirs, stderr=theirs) as process:  # noqa: S603  # our own command
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
        assert process.wait(LONGEST_RUN_S) == 3
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    found = re.search(r"accepted: task ([0-9a-f-]{36})\r\n", plain)
    assert found, plain
    assert plain.count("accepted") == 1
    # What went wrong is wrapped between its words, and an id that is wider than the terminal is still in one piece.
    said = plain[plain.index("✗ ") :]
    assert found[1] in said
    assert "DataInspectionFailed" in said
    assert all(len(line) <= 24 or " " not in line.strip() for line in said.splitlines()), said


def test_a_pause_promises_no_request(account: Account, capfd: pytest.CaptureFixture[str]) -> None:
    """A create that is given up because the pause is too long is not said to be sent again."""
    account.open("throttled-create-too-long")
    ended = here(capfd, "submit", *MAKE)
    assert ended.code == 7
    assert re.search(r"throttled .*quiet for [\d.]+ s\n", ended.stderr)
    assert "again in" not in ended.stderr.partition("✗")[0]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""  # Linux ends a terminal whose other side is closed with an error.


def test_the_first_drawing_needs_no_task() -> None:
    """The line can be drawn from the first moment on: a fault in the drawing thread would never be seen."""
    with on_a_terminal() as progress:
        progress.begin("submitting")
        assert re.fullmatch(r". submitting  · 0\.\d s", drawn(progress)[0])


def test_the_line_tells_the_whole_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line holds the id, the service's words with their seconds, the polls and when the next one comes."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW_S)
    progress = on_a_terminal()
    progress.story = Story(
        NOW_S - 80,
        task_id="0123456789",
        trail=(("PENDING", NOW_S - 78.0), ("RUNNING", NOW_S - 75.0)),
        polls=2,
        next_s=NOW_S + 1.5,
    )
    assert drawn(progress)[0][1:] == " 01234567  PENDING 3.0 s → RUNNING 1 min 15 s  · 2 polls  · next in 1.5 s"
    assert drawn(progress, width=30)[0].endswith("…")
    assert len(drawn(progress, width=30)) == 1
    progress.on_wake()
    assert drawn(progress)[0].endswith("2 polls  · asking")
    progress.begin("saving to clip.mp4")
    assert drawn(progress)[0].endswith("saving to clip.mp4  · 2 polls")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (events.Throttled(None, NOW_S, "rate", 2.0, NOW_S + 2.0), "! throttled (rate) · quiet for 2.0 s"),
        (events.Throttled(None, NOW_S, None, None, NOW_S), "! throttled · 0.0 s ago"),
        (events.AttemptFailed(None, NOW_S, "connect", 1), "! not sent (connect) · 0.0 s ago"),
        (events.AttemptFailed("t", NOW_S, "HTTP 502", 1), "! a poll brought nothing (HTTP 502) · 0.0 s ago"),
        (
            events.HintIgnored("t", NOW_S, "'soon' is no number"),
            "! Retry-After ignored: 'soon' is no number · 0.0 s ago",
        ),
        (
            events.IllegalMove("t", NOW_S, Phase.RUNNING, Phase.QUEUED, "PENDING", believed=True),
            "! PENDING after RUNNING is no move that the service documents · 0.0 s ago",
        ),
        (events.UnlistedStatus("t", NOW_S, "\x1bODD"), r"! \x1bODD is a status that nobody listed · 0.0 s ago"),
    ],
)
def test_trouble_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch, event: events.Event, said: str) -> None:
    """What goes wrong is shown below the line with its age, and as a plain line without a terminal."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW_S)
    progress = on_a_terminal()
    progress.on_event(event)
    assert drawn(progress)[1].strip() == said
    file = io.StringIO()
    Progress(Console(file=file, width=20)).on_event(event)
    assert file.getvalue().startswith(said.removeprefix("! ").partition(" · ")[0])
    assert file.getvalue().count("\n") == 1


def test_a_held_signal_is_shown_below_the_line() -> None:
    """On a terminal the note about a signal that has to wait is part of the live lines."""
    progress = on_a_terminal()
    progress.on_deferred()
    assert "a create is out" in drawn(progress, width=200)[1]


def test_printable_text_is_left_alone() -> None:
    """Ordinary text of any script passes; what a terminal would obey, or could not write, is spelt out."""
    assert printable("ein Kätzchen 猫 a\nb") == "ein Kätzchen 猫 a\nb"
    assert printable("\x1b\r\udcff") == r"\x1b\r\udcff"


WORDS = st.text(alphabet="ab猫é-", min_size=1, max_size=30)


@given(st.lists(WORDS, min_size=1), st.sampled_from(["", "  ", "    "]), st.integers(20, 60))
def test_lines_are_wrapped_between_words(words: list[str], indent: str, width: int) -> None:
    """No wrapped line is wider than the terminal unless one word is, and nothing but line ends and indents is added."""
    line = indent + " ".join(words)
    pieces = wrapped(line, width)
    assert " ".join(piece.strip() for piece in pieces) == " ".join(words)
    assert pieces[0].startswith(indent)
    assert all(piece.startswith(f"{indent}  ") for piece in pieces[1:])
    assert all(cell_len(piece) <= width or " " not in piece.strip() for piece in pieces)


@pytest.mark.parametrize(
    "line", ["  $ resilient-poll wait a-long-id -o 'a name of a file'", '{"a": 1, "b": [1, 2, 3]}']
)
def test_what_is_copied_is_not_wrapped(line: str) -> None:
    """Commands and JSON stay in one line, however narrow the terminal is."""
    assert wrapped(line, 20) == [line]


def test_only_terminals_get_wrapped_lines() -> None:
    """Into a file or a pipe each line goes as it is."""
    line = "✗ " + "word " * 40 + "end"
    for file, lines in ((io.StringIO(), 1), (Terminal(), 14)):
        say(Console(file=file, width=20, color_system=None), line)
        assert file.getvalue().count("\n") == lines
        assert "".join(file.getvalue().split()) == "".join(line.split())
