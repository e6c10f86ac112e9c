"""The command line as a program that kills itself at a named point: ``killed_at.py WHEN:STEP:COUNT words...``.

WHEN is ``before`` or ``after`` a line of the batch's state is on disk, or ``torn``: in the middle of writing it. STEP
is the line's step, or ``keep``: just before a result gets its final name. COUNT is which of them, from 1.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from resilient_poll.cli.__main__ import main
from resilient_poll.cli.batch.state import StateFile
from resilient_poll.dashscope.saving.download import PartialFile

WHEN, STEP, COUNT = sys.argv[1].split(":")
seen = 0


def is_there(step: str) -> bool:
    """Count the step, and tell whether this is the point."""
    global seen  # noqa: PLW0603  # one number, in a program of one purpose
    seen += step == STEP
    return step == STEP and seen == int(COUNT)


def die() -> None:
    """As a power cut would: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


note, keep, pwrite = StateFile.note, PartialFile.keep, os.pwrite


def note_and_die(self: StateFile, key: str, step: Any, **values: Any) -> None:
    """Write a line of the state, or a part of it, and die where it was asked for."""
    point = is_there(str(step))
    if point and WHEN == "before":
        die()
    if point and WHEN == "torn":
        os.pwrite = lambda where, data, at: (pwrite(where, data[: len(data) // 2], at), die())  # type: ignore[assignment]  # dies
    note(self, key, step, **values)
    if point:
        die()


def keep_or_die(self: PartialFile) -> None:
    """Keep a result, or die just before."""
    if is_there("keep"):
        die()
    keep(self)


StateFile.note = note_and_die  # type: ignore[method-assign]  # what this program is for
PartialFile.keep = keep_or_die  # type: ignore[method-assign]  # as above

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
