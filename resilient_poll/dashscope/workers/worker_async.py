"""The worker of the client that awaits, on asyncio and trio; the blocking worker's other colour."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread

from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.dashscope.workers.bells import bells_of
from resilient_poll.dashscope.workers.bells_async import in_the_loop
from resilient_poll.dashscope.workers.duty import Heard, Parcel, Scan, Tell, WorkerCounts
from resilient_poll.dashscope.workers.handed_over import HandedOver
from resilient_poll.dashscope.workers.shift import Shift
from resilient_poll.dashscope.workers.worker_core import HANDLERS_END_S, WorkerCore
from resilient_poll.drive.clocks import LONGEST_NAP_S, RealAsyncClock
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.machine.commands import Done, SleepUntil, Turn
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["AsyncWorker"]

News = Callable[[], None]
Work = Callable[[], Awaitable[News]]


class AsyncWorker:
    """:class:`.Worker` for code that awaits. Made by :meth:`.AsyncDashScope.worker`.

    ``async with`` has it work beside the block. It belongs to one event loop.
    """

    def __init__(
        self,
        client: AsyncDashScope,
        on_outcome: Callable[[HandedOver[AsyncTask]], Any],
        *,
        workers: int,
        handlers: int,
        handler_time: float,
    ) -> None:
        self._client = client
        self._clock = client._clock  # noqa: SLF001  # a worker is a part of its client
        self._is_real = isinstance(self._clock, RealAsyncClock)
        self._bells = bells_of(client)
        self._work = WorkerCore(
            client._core,  # noqa: SLF001  # as above
            on_outcome,
            workers=workers,
            handlers=handlers,
            handler_time=handler_time,
            make_task=lambda record, entry: AsyncTask(client, record, entry=entry),
        )
        self._handler = on_outcome
        self._handlers = handlers
        self._places: anyio.CapacityLimiter | None = None
        self._awaits = inspect.iscoroutinefunction(on_outcome) or inspect.iscoroutinefunction(type(on_outcome).__call__)
        self._news: deque[News] = deque()
        self._has_news = anyio.Event()
        self._soon: Callable[[Callable[[], None]], object] = lambda news: news()
        self._handling: set[anyio.CancelScope] = set()
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def counts(self) -> WorkerCounts:
        """Where it stands, or stood when it stopped."""
        return self._work.counts

    async def run(self) -> None:
        """Work until :meth:`stop` is called, or until it is cancelled; see :meth:`.Worker.run`."""
        await self._loop(self._begin())

    async def run_until_idle(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # what is at work then is brought to its end
    ) -> WorkerCounts:
        """Work until nothing is left to do; see :meth:`.Worker.run_until_idle`."""
        await self._loop(self._begin(until_idle=True, timeout_s=timeout))
        return self.counts

    def stop(self) -> None:
        """Have it stop soon, from any thread; see :meth:`.Worker.stop`."""
        if (shift := self._work.shift) is not None:
            shift.stop()
            self._post_from_anywhere(lambda: None)

    def wake(self, task_id: str) -> bool:
        """Have it ask about a task now; see :meth:`.DashScope.wake`."""
        if not self._work.holds(task_id):
            return False
        self._post_from_anywhere(lambda: self._wake(task_id))
        return True

    def look_soon(self) -> None:
        """Have it look into the ledger now: somebody submitted something."""
        self._post_from_anywhere(self._look_soon)

    async def __aenter__(self) -> Self:
        shift = self._begin()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._loop, shift)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self.stop()
        group, self._group = self._group, None
        assert group is not None  # noqa: S101  # it was entered
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await group.__aexit__(kind, error, trace)
            # What the block raised goes on as it is, not inside a group of errors.
            await group.__aexit__(None, None, None)
            return None
        except BaseExceptionGroup as several:
            raise _alone(several) from None

    def _begin(self, *, until_idle: bool = False, timeout_s: float | None = None) -> Shift[AsyncTask]:
        now = self._clock.now()
        shift = self._work.new_shift(now, until_idle=until_idle, timeout_s=timeout_s, at_once=self._is_real)
        self._news.clear()
        self._places = anyio.CapacityLimiter(self._handlers)
        self._soon = in_the_loop()
        return shift

    async def _loop(self, shift: Shift[AsyncTask]) -> None:
        try:
            with self._bells.working(self):
                async with anyio.create_task_group() as group:
                    try:
                        while not await self._step(shift, group):
                            await anyio.lowlevel.checkpoint()
                    finally:
                        await self._end(shift, group)
        except BaseExceptionGroup as several:
            raise _alone(several) from None
        finally:
            self._work.end_shift()

    async def _step(self, shift: Shift[AsyncTask], group: anyio.abc.TaskGroup) -> bool:
        """Carry out one command; return whether there are no more."""
        now = self._clock.now()
        match shift.next_command(now):
            case Done():
                return True
            case Scan(plan):
                rota = self._work.rota
                try:
                    found = await self._off_the_loop(lambda: rota.scan(plan, now))
                except ResilientPollError as error:
                    if shift.until_idle:
                        raise
                    self._work.ledger_failed("the worker could not look into the ledger", error)
                    shift.scan_failed(self._clock.now())
                else:
                    shift.found(plan, found, self._clock.now())
            case Turn() as turn:
                await self._start(group, self._asking(shift, turn))
            case Tell(parcel):
                await self._start(group, self._telling(shift, parcel))
            case SleepUntil(at_s):
                await self._read(at_s - now.monotonic_s)
        return False

    async def _start(self, group: anyio.abc.TaskGroup, work: Work) -> None:
        async def carry_out() -> None:
            self._post(await work())

        if self._is_real:
            group.start_soon(carry_out)
        else:
            await carry_out()

    async def _read(self, seconds: float) -> None:
        """Take in the news; without any, wait for some, but no longer than this."""
        if not self._news:
            longest_s = max(0.0, min(seconds, LONGEST_NAP_S))
            if not self._is_real:
                await self._clock.sleep(longest_s)
                return
            self._has_news = anyio.Event()
            with anyio.move_on_after(longest_s):
                await self._has_news.wait()
        while self._news:
            self._news.popleft()()

    def _asking(self, shift: Shift[AsyncTask], turn: Turn) -> Work:
        ask = shift.task_of(turn)._ask  # noqa: SLF001  # a task is a part of its client

        async def work() -> News:
            observation: Observation | None = None
            broke: Exception | None = None
            try:
                observation = await ask(turn.command)
            except Exception as error:  # noqa: BLE001  # taken in by the shift
                broke = error
            return lambda: shift.heard(turn, observation, broke, self._clock.now())

        return work

    def _telling(self, shift: Shift[AsyncTask], parcel: Parcel[AsyncTask]) -> Work:
        async def work() -> News:
            heard = Heard.FAILED
            # Whoever stops the worker waits for handlers, and cuts those that take too long by their scopes.
            with anyio.CancelScope(shield=True) as scope:
                self._handling.add(scope)
                try:
                    heard = await self._tell(parcel)
                finally:
                    self._handling.discard(scope)
            return lambda: shift.told(parcel, heard, self._clock.now())

        return work

    async def _tell(self, parcel: Parcel[AsyncTask]) -> Heard:
        rota = self._work.rota
        if not parcel.is_told:
            try:
                if await self._off_the_loop(lambda: rota.is_told(parcel.entry)):
                    return Heard.KNOWN
            except ResilientPollError as error:
                self._work.ledger_failed(f"{parcel.entry} could not be handed over yet", error)
                return Heard.FAILED
            try:
                await self._handle(self._work.handed(parcel))
            except Exception as error:  # noqa: BLE001  # the application's own
                return self._work.handler_failed(parcel, error)
        now = self._clock.now()
        try:
            await self._off_the_loop(lambda: rota.note_told(parcel.entry, self._work.record_of(parcel), now))
        except ResilientPollError as error:
            return self._work.not_written(parcel, error)
        return Heard.TOLD

    async def _handle(self, handed: HandedOver[AsyncTask]) -> None:
        """Call the handler: in a thread, where it is a plain function, as it may block."""
        if self._awaits:
            await self._handler(handed)
            return

        def call() -> list[Any]:
            return [self._handler(handed)]  # In a list, as trio takes what awaits for a mistake.

        if self._client._run_blocking is anyio.to_thread.run_sync:  # noqa: SLF001  # a worker is a part of its client
            # Places of their own: handlers that fill the ones that the ledger's calls need would wait for each other.
            (came,) = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._places)
        else:
            (came,) = await self._client._run_blocking(call)  # noqa: SLF001  # as above
        if inspect.isawaitable(came):
            await came

    async def _end(self, shift: Shift[AsyncTask], group: anyio.abc.TaskGroup) -> None:
        """Wait for handlers that are at work, and let go of the rest."""
        shift.stop()
        with anyio.CancelScope(shield=True):
            if self._is_real:
                with anyio.move_on_after(HANDLERS_END_S):
                    while shift.at_work:
                        await self._read(HANDLERS_END_S)
            for scope in list(self._handling):
                scope.cancel()
            while self._news:
                self._news.popleft()()
            if shift.at_work:
                logger.warning("%d handlers were cut off, and are called again by the next worker", shift.at_work)
            group.cancel_scope.cancel()
            now, rota = self._clock.now(), self._work.rota
            await self._off_the_loop(lambda: rota.leave(shift.leases(), now))

    async def _off_the_loop(self, work: Callable[[], Any]) -> Any:
        return await self._client._off_the_loop(work)  # noqa: SLF001  # a worker is a part of its client

    def _post(self, news: News) -> None:
        self._news.append(news)
        self._has_news.set()

    def _post_from_anywhere(self, news: News) -> None:
        try:
            self._soon(lambda: self._post(news))
        except RuntimeError as error:  # Its event loop is over.
            logger.debug("a hint came when the worker's event loop was over: %s", error)

    def _wake(self, task_id: str) -> None:
        if (shift := self._work.shift) is not None:
            shift.wake(task_id, self._clock.now())

    def _look_soon(self) -> None:
        if (shift := self._work.shift) is not None:
            shift.look_soon()


def _alone(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what broke by itself, where it is one."""
    return several.exceptions[0] if len(several.exceptions) == 1 else several
