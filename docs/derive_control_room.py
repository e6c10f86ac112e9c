"""The blocks of docs/control-room.md, made of the tables that the pictures are drawn by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fake_server.check.examine import MOST_TOLD_LINES, MOST_TOLD_TASKS
from fake_server.story import MARKS, MOST_LINES, MOST_TASKS


def marks() -> str:
    """Name what can stand below a bar."""
    return f"Below the bars stands a mark for each request: {', '.join(MARKS.values())}."


def bounds() -> str:
    """Tell how much is drawn."""
    return (
        f"A story holds the latest {MOST_TASKS} tasks and {MOST_LINES:,} lines of the journal, in a report "
        f"{MOST_TOLD_TASKS} and {MOST_TOLD_LINES} for each run. What is left out is counted, and is in the bill."
    )


BLOCKS: Mapping[str, Callable[[], str]] = {"control-room-marks": marks, "control-room-bounds": bounds}
