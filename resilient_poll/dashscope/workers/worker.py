"""The worker of the blocking client."""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.workers.bells import bells_of
from resilient_poll.dashscope.workers.duty import Heard, Parcel, Scan, Tell, WorkerCounts
from resilient_poll.dashscope.workers.handed_over import HandedOver
from resilient_poll.dashscope.workers.hands import Desk, Hands, InlineHands, News, ThreadHands
from resilient_poll.dashscope.workers.shift import Shift
from resilient_poll.dashscope.workers.worker_core import HANDLERS_END_S, WorkerCore
from resilient_poll.drive.clocks import RealClock
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ConfigurationError, ResilientPollError
from resilient_poll.machine.commands import Done, SleepUntil, Turn
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope

__all__ = ["Worker"]


class Worker:
    """Hands every end of the ledger's tasks to the application. Made by :meth:`.DashScope.worker`.

    ``with`` has it work in a thread of its own; :meth:`run` and :meth:`run_until_idle` in the caller's.
    """

    def __init__(
        self,
        client: DashScope,
        on_outcome: Callable[[HandedOver[Task]], Any],
        *,
        workers: int,
        handlers: int,
        handler_time: float,
    ) -> None:
        if inspect.iscoroutinefunction(on_outcome):
            raise ConfigurationError("a blocking worker cannot await its handler: pass a plain function")
        self._clock = client._clock  # noqa: SLF001  # a worker is a part of its client
        self._bells = bells_of(client)
        self._work = WorkerCore(
            client._core,  # noqa: SLF001  # as above
            on_outcome,
            workers=workers,
            handlers=handlers,
            handler_time=handler_time,
            make_task=lambda record, entry: Task(client, record, entry=entry),
        )
        self._handler = on_outcome
        self._desk = Desk(self._clock)
        self._thread: threading.Thread | None = None
        self._broke: BaseException | None = None

    @property
    def counts(self) -> WorkerCounts:
        """Where it stands, or stood when it stopped."""
        return self._work.counts

    def run(self) -> None:
        """Work until :meth:`stop` is called from another thread or a signal handler, or until Ctrl-C.

        Raises:
            ConfigurationError: It is at work already.
        """
        self._loop(self._begin())

    def run_until_idle(self, *, timeout: float | None = None) -> WorkerCounts:
        """Work until nothing is left to do: for a job that a timer starts.

        Args:
            timeout: How many seconds at most; without it, until the last open task has ended.

        Returns:
            What is left: ends whose handler raised three times, and tasks of which the service refuses to
            say anything, stay for the next run. What another worker has in hand is waited for as long as the
            leases of one that died last, half a minute, and is then counted as ``elsewhere``.

        Raises:
            LedgerError: The ledger cannot be used.
            ConfigurationError: It is at work already, or the time makes no sense.
        """
        self._loop(self._begin(until_idle=True, timeout_s=timeout))
        return self.counts

    def stop(self) -> None:
        """Have it stop soon, from any thread: handlers that are at work are waited for, up to 20 s."""
        if (shift := self._work.shift) is not None:
            shift.stop()
            self._desk.post(lambda: None)

    def wake(self, task_id: str) -> bool:
        """Have it ask about a task now; see :meth:`.DashScope.wake`."""
        if not self._work.holds(task_id):
            return False
        self._desk.post(lambda: self._wake(task_id))
        return True

    def look_soon(self) -> None:
        """Have it look into the ledger now: somebody submitted something."""
        self._desk.post(self._look_soon)

    def __enter__(self) -> Self:
        shift = self._begin()
        context = contextvars.copy_context()
        self._broke = None

        def work() -> None:
            try:
                context.run(self._loop, shift)
            except BaseException as error:  # noqa: BLE001  # raised where the worker is left
                logger.critical("the worker broke, and hands nothing over any more", exc_info=error)
                self._broke = error

        self._thread = threading.Thread(target=work, name="resilient-poll-worker", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if (thread := self._thread) is not None:
            thread.join()  # Bounded by its own end, and by a query's time.
            self._thread = None
        if self._broke is not None and error is None:
            raise self._broke

    def _begin(self, *, until_idle: bool = False, timeout_s: float | None = None) -> Shift[Task]:
        is_real = isinstance(self._clock, RealClock)
        self._desk = Desk(self._clock)
        shift = self._work.new_shift(self._clock.now(), until_idle=until_idle, timeout_s=timeout_s, at_once=is_real)
        self._askers: Hands = ThreadHands(shift.queries, self._desk) if is_real else InlineHands(self._desk)
        self._tellers: Hands = ThreadHands(shift.handlers, self._desk) if is_real else InlineHands(self._desk)
        return shift

    def _loop(self, shift: Shift[Task]) -> None:
        try:
            with self._bells.working(self):
                try:
                    while not self._step(shift):
                        pass
                finally:
                    self._end(shift)
        finally:
            self._work.end_shift()

    def _step(self, shift: Shift[Task]) -> bool:
        """Carry out one command; return whether there are no more."""
        now = self._clock.now()
        match shift.next_command(now):
            case Done():
                return True
            case Scan(plan):
                try:
                    found = self._work.rota.scan(plan, now)
                except ResilientPollError as error:
                    if shift.until_idle:
                        raise
                    self._work.ledger_failed("the worker could not look into the ledger", error)
                    shift.scan_failed(self._clock.now())
                else:
                    shift.found(plan, found, self._clock.now())
            case Turn() as turn:
                self._askers.start(self._asking(shift, turn))
            case Tell(parcel):
                self._tellers.start(self._telling(shift, parcel))
            case SleepUntil(at_s):
                self._desk.read(at_s - now.monotonic_s)
        return False

    def _asking(self, shift: Shift[Task], turn: Turn) -> Callable[[], News]:
        ask = shift.task_of(turn)._ask  # noqa: SLF001  # a task is a part of its client

        def work() -> News:
            observation: Observation | None = None
            broke: Exception | None = None
            try:
                observation = ask(turn.command)
            except Exception as error:  # noqa: BLE001  # taken in by the shift
                broke = error
            return lambda: shift.heard(turn, observation, broke, self._clock.now())

        return work

    def _telling(self, shift: Shift[Task], parcel: Parcel[Task]) -> Callable[[], News]:
        def work() -> News:
            heard = self._tell(parcel)
            return lambda: shift.told(parcel, heard, self._clock.now())

        return work

    def _tell(self, parcel: Parcel[Task]) -> Heard:
        if not parcel.is_told:
            try:
                if self._work.rota.is_told(parcel.entry):
                    return Heard.KNOWN
            except ResilientPollError as error:
                self._work.ledger_failed(f"{parcel.entry} could not be handed over yet", error)
                return Heard.FAILED
            try:
                self._handler(self._work.handed(parcel))
            except Exception as error:  # noqa: BLE001  # the application's own
                return self._work.handler_failed(parcel, error)
        try:
            self._work.rota.note_told(parcel.entry, self._work.record_of(parcel), self._clock.now())
        except ResilientPollError as error:
            return self._work.not_written(parcel, error)
        return Heard.TOLD

    def _end(self, shift: Shift[Task]) -> None:
        """Wait for handlers that are at work, and let go of the rest."""
        shift.stop()
        self._askers.end()
        until_s = self._clock.now().monotonic_s + HANDLERS_END_S
        while shift.at_work and (left_s := until_s - self._clock.now().monotonic_s) > 0:
            if not self._desk.read(left_s) and isinstance(self._tellers, InlineHands):
                break  # It was interrupted, and nothing more comes of it.
        self._tellers.end()
        if shift.at_work:
            logger.warning("%d handlers are still at work, and called again by the next worker", shift.at_work)
        self._work.rota.leave(shift.leases(), self._clock.now())

    def _wake(self, task_id: str) -> None:
        if (shift := self._work.shift) is not None:
            shift.wake(task_id, self._clock.now())

    def _look_soon(self) -> None:
        if (shift := self._work.shift) is not None:
            shift.look_soon()
