"""Ending with the process that started this one.

What is watched is the parent's process, by a handle of the kernel's (Linux) or by asking twice a second who the parent
is (elsewhere): an orphan gets another one. Two other ways were left: `PR_SET_PDEATHSIG` follows the *thread* that
started us, and so ends a server too early; the end of standard input is no sign where that was closed, or is
/dev/null, from the beginning. A parent that dies before this module is read, some tenths of a second after the start,
is seen only where orphans go to process 1.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Read as early as can be: before anything that takes time.
PARENT_PID = os.getppid()
# Where the kernel has no handle for a process, this often somebody looks.
LOOK_EVERY_S = 0.5
_PROCESS_ONE = 1


def is_orphan() -> bool:
    """Whether the process that started this one is gone.

    Under process 1 itself this is said too: it never starts servers that shall end with it.
    """
    return PARENT_PID == _PROCESS_ONE or os.getppid() != PARENT_PID


def call_when_orphaned(then: Callable[[], None]) -> threading.Thread:
    """Call a function, in a thread of its own, once the process that started this one is gone.

    Args:
        then: What to do.

    Returns:
        The thread; it keeps no process alive.
    """

    def watch() -> None:
        _wait_for_parent()
        then()

    thread = threading.Thread(target=watch, name="watches the parent", daemon=True)
    thread.start()
    return thread


def _wait_for_parent() -> None:
    try:
        handle = os.pidfd_open(PARENT_PID)
    except (AttributeError, OSError):  # Not Linux, an old one, or the parent is gone already.
        while not is_orphan():
            time.sleep(LOOK_EVERY_S)
        return
    try:
        # Its number may have been another's by the time we asked; then we are an orphan by now.
        if not is_orphan():
            select.select([handle], [], [])
    finally:
        os.close(handle)
