"""The named stop points: where in a worker's life a signal hits it.

None of them is in the code that is tested. They lie in what is passed into it (the ledger, the
handler, the clock), in what SQLite and Python tell whoever listens (each statement; each connection
that is made, each file that is opened or renamed), and at the far side, which holds a request or an
answer until the signal has hit.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["FAR_POINTS", "NEAR_POINTS", "POINTS", "HitLedger", "Hitter"]

_CALLS = ("begin", "license", "accept", "doubt", "observe", "saved", "delivered")
NEAR_POINTS = (
    *(f"before {call}" for call in ("begin", "license", "accept", "observe", "saved", "delivered")),
    *(f"inside {call}" for call in _CALLS),
    *(f"at the commit of {call}" for call in _CALLS),
    *(f"after {call}" for call in ("begin", "license", "accept", "observe", "saved", "delivered")),
    "before the first byte",
    "file opened",
    "before the rename",
    "handler called",
    "handler done",
)
"""Those that lie in the worker. Which of them its way really passes depends on what it does."""
FAR_POINTS = ("request held", "answer held", "half an asset")
"""Those that lie at the far side: nothing done yet, a task made and its answer held, half of a file sent."""
POINTS = (*NEAR_POINTS, *FAR_POINTS)
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Hitter:
    """Hits this process at one point, once.

    Args:
        point: Where; nowhere, if None.
        how: ``kill`` or ``stop``.
        nth: At which passing of the point, from 1.
        tell: Is told of the hit just before it.
    """

    def __init__(self, point: str | None, how: str, nth: int, tell: Callable[[str], None]) -> None:
        self._point, self._signal, self._left, self._tell = point, _SIGNALS[how], nth, tell
        self.is_licensed = False

    def passes(self, point: str) -> None:
        """Say that a point is passed."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self._tell(point)
            # To this thread: another one would be stopped first, and this one come some steps further.
            signal.pthread_kill(threading.get_ident(), self._signal)

    def listen(self, folder: Path) -> None:
        """Notice connections that are made and files that are written, for as long as this process lives.

        Args:
            folder: Where downloads go to.
        """
        inside = os.fspath(folder)

        def heard(event: str, values: tuple[Any, ...]) -> None:
            if event == "socket.connect" and self.is_licensed:
                self.is_licensed = False
                self.passes("before the first byte")
            elif event == "open" and isinstance(values[0], str | os.PathLike) and _writes(values):
                if os.fspath(values[0]).startswith(inside):
                    self.passes("file opened")
            elif event == "os.rename" and os.fspath(values[1]).startswith(inside):
                self.passes("before the rename")

        sys.addaudithook(heard)


def _writes(values: tuple[Any, ...]) -> bool:
    mode, flags = values[1], values[2]
    return (isinstance(mode, str) and mode[:1] in "wxa") or bool(flags & (os.O_WRONLY | os.O_RDWR))


class HitLedger:
    """A ledger that says when its points are passed, and does nothing else.

    Args:
        ledger: The ledger.
        hitter: Is told.
        heard: Is told the id of a task whose acceptance the ledger has confirmed.
    """

    def __init__(self, ledger: Any, hitter: Hitter, heard: Callable[[str], None]) -> None:
        self._ledger, self._hitter, self._heard = ledger, hitter, heard
        self._calls = threading.local()
        for connection in (ledger._store._synced, ledger._store._quick):
            connection.set_trace_callback(self._traced)

    def __getattr__(self, name: str) -> Any:
        genuine = getattr(self._ledger, name)
        if name not in _CALLS:
            return genuine

        def call(*values: Any, **named: Any) -> Any:
            self._hitter.passes(f"before {name}")
            self._calls.name = name
            try:
                result = genuine(*values, **named)
            finally:
                self._calls.name = None
            if name == "license":
                self._hitter.is_licensed = result is not None
            if name == "accept":
                self._heard(values[1])
            self._hitter.passes(f"after {name}")
            return result

        return call

    def _traced(self, statement: str) -> None:
        if (name := getattr(self._calls, "name", None)) is None:
            return
        if statement == "COMMIT":
            self._hitter.passes(f"at the commit of {name}")
        elif statement.startswith(("INSERT", "UPDATE")):
            self._hitter.passes(f"inside {name}")
