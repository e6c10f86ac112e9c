"""Ledgers that are watched: one whose calls are timed, and one on a disk that is slow to say that it has written."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.ledger.owners import FileOwners
from resilient_poll.ledger.sqlite import SqliteLedger, SqliteStore

__all__ = ["Histogram", "StalledLedger", "TimedLedger"]

_STEP = math.log(1.01)


class Histogram:
    """Figures of which only quantiles are wanted, to one per cent, in a memory that does not grow with them."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._guard = threading.Lock()
        self.most = 0.0

    def add(self, value: float) -> None:
        """Take in a figure above 0."""
        with self._guard:
            self._counts[round(math.log(max(value, 1e-9)) / _STEP)] += 1
            self.most = max(self.most, value)

    def quantile(self, part: float) -> float:
        """Return the figure below which a part of all lies, such as 0.99 of them; NaN if there is none."""
        left = part * self._counts.total()
        for step, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return math.exp(step * _STEP)
        return float("nan")


class TimedLedger(SqliteLedger):
    """A ledger in a file that notes how long its writes take, waiting for another thread's write included.

    Attributes:
        took_us: By the name of the write, in microseconds.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, busy_s=60)
        self.took_us = {name: Histogram() for name in ("begin", "license", "accept", "observe", "delivered")}

    def begin(self, *values: Any, **named: Any) -> Entry:
        """See :meth:`.Ledger.begin`."""
        with self._timed("begin"):
            return super().begin(*values, **named)

    def license(self, *values: Any, **named: Any) -> Entry | None:
        """See :meth:`.Ledger.license`."""
        with self._timed("license"):
            return super().license(*values, **named)

    def accept(self, *values: Any, **named: Any) -> Entry:
        """See :meth:`.Ledger.accept`."""
        with self._timed("accept"):
            return super().accept(*values, **named)

    def observe(self, *values: Any, **named: Any) -> Entry:
        """See :meth:`.Ledger.observe`."""
        with self._timed("observe"):
            return super().observe(*values, **named)

    def delivered(self, *values: Any, **named: Any) -> Entry:
        """See :meth:`.Ledger.delivered`."""
        with self._timed("delivered"):
            return super().delivered(*values, **named)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self.took_us[name].add((time.perf_counter() - began_s) * 1e6)


class StalledLedger(LedgerLogic):
    """A ledger in a file on a disk that takes its time for every write that must be on it.

    Args:
        path: The file.
        stall_s: How long a commit of the synced connection stands still, its transaction open.
        sleep: Stands still for some seconds, in the thread that writes.
    """

    def __init__(self, path: Path, stall_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        owners = Path(f"{path}.owners")
        self._stalled_store = _StalledStore(path, owners, busy_s=60)
        super().__init__(self._stalled_store, FileOwners(owners))
        self._stalled_store.pause = lambda: sleep(stall_s)

    @property
    def stalls(self) -> int:
        """How many commits stood still."""
        return self._stalled_store.stalls


class _StalledStore(SqliteStore):
    stalls = 0

    # While the file is made, nothing stands still.
    pause: Callable[[], None] | None = None

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        connection = super()._connect(synchronous)
        written = 0

        def hear(statement: str) -> None:
            # SQLite tells of a statement before it carries it out, in the thread that asked for it.
            nonlocal written
            if statement == "COMMIT" and connection.total_changes != written:
                written = connection.total_changes
                if self.pause is not None:
                    self.stalls += 1
                    self.pause()

        if synchronous == "FULL":
            connection.set_trace_callback(hear)
        return connection
