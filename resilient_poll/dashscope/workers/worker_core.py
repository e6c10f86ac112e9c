"""What both workers share: everything but the waiting."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from resilient_poll.dashscope.checking import checked_seconds, shown
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.keeping.books import Books
from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.many_core import checked_workers
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.workers.duty import Heard, Parcel, WorkerCounts
from resilient_poll.dashscope.workers.handed_over import HandedOver, handed_over
from resilient_poll.dashscope.workers.rota import Rota
from resilient_poll.dashscope.workers.shift import Shift
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ConfigurationError, ResilientPollError, SnapshotError
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["HANDLERS_END_S", "WorkerCore"]

HANDLERS_END_S = 20.0
"""How long handlers that are at work are waited for at the end: supervisors kill after thirty seconds."""

AnyTask = TypeVar("AnyTask", bound=TaskCore)


class WorkerCore(Generic[AnyTask]):
    """One worker, without the waiting.

    Args:
        core: The client's account.
        on_outcome: The handler.
        workers: How many queries may be out at once.
        handlers: How many handlers may be at work at once.
        handler_time: How long a handler may take, in seconds.
        make_task: Makes the client's task of an entry and its record.

    Raises:
        ConfigurationError: It makes no sense, or there is no ledger.
    """

    def __init__(
        self,
        core: ClientCore,
        on_outcome: Callable[[HandedOver[AnyTask]], Any],
        *,
        workers: int,
        handlers: int,
        handler_time: float,
        make_task: Callable[[TaskRecord, Entry], AnyTask],
    ) -> None:
        if not callable(on_outcome):
            raise ConfigurationError(f"on_outcome must be a function that takes an outcome, not {shown(on_outcome)}")
        self._core = core
        self._handler = on_outcome
        self._queries = checked_workers(workers)
        self._handlers = checked_workers(handlers)
        self._handler_s = checked_seconds("handler_time", handler_time)
        self._make_task = make_task
        self._books = _books_of(core)
        self.shift: Shift[AnyTask] | None = None
        self._is_stopped = False
        self._last = WorkerCounts()

    @property
    def counts(self) -> WorkerCounts:
        """Where it stands, or stood when it stopped."""
        shift = self.shift
        return self._last if shift is None else shift.counts

    def new_shift(self, now: Instant, *, until_idle: bool, timeout_s: float | None, at_once: bool) -> Shift[AnyTask]:
        """Begin to work.

        Args:
            now: When.
            until_idle: Whether to stop when there is nothing left to do.
            timeout_s: When to stop, in seconds.
            at_once: Whether several things can be done at once.

        Raises:
            ConfigurationError: It is at work already, or the time makes no sense.
        """
        if self.shift is not None:
            raise ConfigurationError("this worker is at work already; client.worker() makes another one")
        until_s = math.inf if timeout_s is None else now.monotonic_s + checked_seconds("timeout", timeout_s)
        self._is_stopped = False
        self.rota = Rota(self._books)
        self.shift = Shift(
            self._core.account,
            self._core.wait_policy,
            self.task_of,
            self._core.publish,
            queries=self._queries if at_once else 1,
            handlers=self._handlers if at_once else 1,
            handler_s=self._handler_s,
            until_idle=until_idle,
            until_s=until_s,
        )
        return self.shift

    def end_shift(self) -> None:
        """It is over."""
        if self.shift is not None:
            self._last, self.shift = self.shift.counts, None

    def task_of(self, entry: Entry, now: Instant) -> AnyTask:
        """Return the task of an entry; where its snapshot is damaged, what the rest of the row says."""
        try:
            record = restored(entry, now)
        except SnapshotError as error:
            logger.error("%s: %s; the task is asked about by its id", entry, error)
            record = restored(replace(entry, snapshot=None), now)
        return self._make_task(record, entry)

    def holds(self, task_id: str) -> bool:
        """Tell whether it asks about a task; from any thread."""
        shift = self.shift
        return shift is not None and task_id in shift.held

    def handed(self, parcel: Parcel[AnyTask]) -> HandedOver[AnyTask]:
        """Return what the handler is given, the same each time it is called."""
        if not isinstance(parcel.handed, HandedOver):
            parcel.handed = handed_over(parcel, self._core)
        return parcel.handed

    def handler_failed(self, parcel: Parcel[AnyTask], error: BaseException) -> Heard:
        """Say that the handler raised."""
        logger.error(
            "the handler raised %s for task %s (idempotency key %s, %s), %d times by now; it is called again",
            type(error).__name__,
            parcel.entry.task_id,
            parcel.entry.key,
            parcel.entry.phase if parcel.task is None else parcel.task.phase,
            parcel.tries + 1,
            exc_info=error,
        )
        return Heard.FAILED

    def not_written(self, parcel: Parcel[AnyTask], error: ResilientPollError) -> Heard:
        """Say that the ledger does not know that the handler took an end."""
        logger.warning("that %s was handed over could not be written down, it is tried again: %s", parcel.entry, error)
        return Heard.UNWRITTEN

    def ledger_failed(self, what: str, error: ResilientPollError) -> None:
        """Say that the ledger could not be used."""
        logger.error("%s: %s; it is tried again", what, error)

    def record_of(self, parcel: Parcel[AnyTask]) -> TaskRecord | None:
        """Return what is known of a parcel's task."""
        return None if parcel.task is None else parcel.task._poller.record  # noqa: SLF001  # a task is a part of its client


def _books_of(core: ClientCore) -> Books:
    if core.books is None:
        raise ConfigurationError(
            "a worker hands over what a ledger keeps, and this client has none: pass ledger=SqliteLedger(path), or "
            "ledger=MemoryLedger() if a crash may lose everything"
        )
    return core.books
