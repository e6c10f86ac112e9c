"""The loop for many at once, for code that awaits, on asyncio and trio.

Line for line the blocking loop of :mod:`.crew`, but that leaving it cannot always wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel

from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.drive.crew import Desk, add, take_in
from resilient_poll.drive.crew_tasks import AsyncCrew
from resilient_poll.drive.sending import Sending
from resilient_poll.drive.sync_driver import tell
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Done, Settled, SleepUntil, Take, Turn
from resilient_poll.machine.observations import Observation

__all__ = ["AsyncFinishing", "AsyncSend"]

Result = TypeVar("Result")

AsyncSend = Callable[[Turn], Callable[[], Awaitable[Observation]]]
"""Returns what sends a turn's request, without sending it."""


class AsyncFinishing(Generic[Result]):
    """The results of a batch, as they come; see the module.

    Leave it early with ``break``, ``aclose()`` or ``async with``: what was accepted goes on at the
    service, and the log says how to go on with it. A cancellation closes it too. Closing it waits
    for a submit that is out, as that costs money; what comes of one after a mere ``break`` is logged
    once it is there.

    Args:
        batch: Decides.
        desk: Knows what the entries stand for.
        clock: Says what time it is.
        crew: Acts.
        send: Sends.
    """

    def __init__(self, batch: Batch, desk: Desk[Result], clock: AsyncClock, crew: AsyncCrew, send: AsyncSend) -> None:
        self._batch = batch
        self._desk = desk
        self._clock = clock
        self._crew = crew
        self._send = send
        self._results: deque[Result] = deque()
        self._has_begun = False
        self._is_at_work = False
        self._is_done = False
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        self._refuse_a_second()
        if not self._results and not self._is_done and not self._is_closed:
            self._is_at_work = True
            try:
                await self._work()
            except BaseException as interruption:
                await self._close(interruption)
                raise
            finally:
                self._is_at_work = False
        if self._results:
            self._desk.hand_out(self._results[0])
            return self._results.popleft()
        if not self._is_closed:
            self._is_closed = True
            self._desk.end()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._take_late(self._crew.call_home(), GeneratorExit())

    async def aclose(self) -> None:
        """End the iteration: wait for submits that are out, and say what goes on.

        Raises:
            RuntimeError: Another task is waiting for the next result.
        """
        self._refuse_a_second()
        await self._close(GeneratorExit())

    def _refuse_a_second(self) -> None:
        if self._is_at_work:
            raise RuntimeError("another task is waiting for the next of these results; only one may at a time")

    async def _close(self, interruption: BaseException) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        sent: list[Sending] = []
        try:
            sent = await self._crew.bring_home()
        finally:
            # A second cancellation does not wait.
            self._take_late(sent or self._crew.call_home(), interruption)

    def _take_late(self, sent: list[Sending], interruption: BaseException) -> None:
        desk, clock = self._desk, self._clock
        self._results.clear()
        try:
            for sending in sent:
                if sending.observation is not None:
                    desk.take_late(sending.turn, sending.observation, clock.now())
        finally:
            desk.leave(interruption)
            self._crew.leave(lambda sending: desk.take_late(sending.turn, sending.observation, clock.now()))

    async def _work(self) -> None:
        """Go on until there is a result, or nothing left to do."""
        if not self._has_begun:
            self._has_begun = True
            self._desk.begin(self._clock.now())
        while not self._results and not self._is_done:
            # Whoever is cancelled already asks for nothing more that costs money.
            await anyio.lowlevel.checkpoint()
            await self._decide()

    async def _decide(self) -> None:
        now = self._clock.now()
        command = self._batch.next_command(now)
        tell(self._desk.publish, self._batch.take_events())
        match command:
            case Turn():
                self._desk.show_progress(now)
                await self._crew.start(Sending(command), self._send(command))
            case Take():
                add(self._results, self._desk.take(now))
            case Settled():
                add(self._results, self._desk.settle(command, now))
            case SleepUntil(at_s):
                self._desk.show_progress(now)
                for sending in await self._crew.wait(at_s - now.monotonic_s):
                    add(self._results, take_in(self._batch, self._desk, sending, self._clock.now()))
                    self._crew.forget(sending)
            case Done():
                self._is_done = True
        if self._results:
            self._desk.show_progress(now)
