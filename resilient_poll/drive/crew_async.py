"""The loop for many at once, for code that awaits, on asyncio and trio.

A task group may not stay open while a generator hands out a value: whoever leaves the loop
early, or cancels it, would end the group from the wrong place. So each step of the iteration has
a group of its own, which is over before the result is handed out: requests that are out then are
waited for. Between two steps nothing runs, so leaving the loop leaves nothing behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from resilient_poll.drive.clocks import LONGEST_NAP_S, AsyncClock
from resilient_poll.drive.crew import Desk, Sending, add, take_in
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
    service, and the log says how to go on with it. A cancellation closes it too; a submit that is
    out then is waited for, as it costs money.

    Args:
        batch: Decides.
        desk: Knows what the entries stand for.
        clock: Says what time it is.
        send: Sends.
        is_inline: Whether requests are carried out one after the other.
    """

    def __init__(
        self, batch: Batch, desk: Desk[Result], clock: AsyncClock, send: AsyncSend, *, is_inline: bool
    ) -> None:
        self._batch = batch
        self._desk = desk
        self._clock = clock
        self._send = send
        self._is_inline = is_inline
        self._results: deque[Result] = deque()
        self._sent: list[Sending] = []
        self._news = anyio.Event()
        self._has_begun = False
        self._is_done = False
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if not self._results and not self._is_done and not self._is_closed:
            try:
                await self._work()
            except BaseException as interruption:
                self._close(interruption)
                raise
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
        self._close(GeneratorExit())

    async def aclose(self) -> None:
        """End the iteration. Nothing runs between its steps, so there is nothing to wait for."""
        self._close(GeneratorExit())

    def _close(self, interruption: BaseException) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for sending in self._sent:
                if sending.observation is not None:
                    self._desk.take_late(sending.turn, sending.observation, self._clock.now())
        finally:
            self._desk.leave(interruption)

    async def _work(self) -> None:
        """Go on until there is a result, or nothing left to do."""
        if not self._has_begun:
            self._has_begun = True
            self._desk.begin(self._clock.now())
        if self._is_inline:
            while not self._results and not self._is_done:
                await self._decide(None)
            return
        faults: list[Exception] = []
        async with anyio.create_task_group() as group:
            try:
                while not self._results and not self._is_done:
                    await self._decide(group)
            except Exception as fault:  # noqa: BLE001  # raised below: the group would wrap it
                faults.append(fault)
        if faults:
            raise faults[0]
        self._take_in_all()

    async def _decide(self, group: TaskGroup | None) -> None:
        now = self._clock.now()
        command = self._batch.next_command(now)
        tell(self._desk.publish, self._batch.take_events())
        match command:
            case Turn():
                self._desk.show_progress(now)
                sending = Sending(command)
                self._sent.append(sending)
                if group is None:
                    await self._carry_out(sending)
                else:
                    group.start_soon(self._carry_out, sending)
            case Take():
                add(self._results, self._desk.take(now))
            case Settled():
                add(self._results, self._desk.settle(command, now))
            case SleepUntil(at_s):
                self._desk.show_progress(now)
                await self._wait(at_s - now.monotonic_s)
                self._take_in_all()
            case Done():
                self._is_done = True
        if self._results:
            self._desk.show_progress(now)

    async def _carry_out(self, sending: Sending) -> None:
        try:
            sending.observation = await self._send(sending.turn)()
        except Exception as error:  # noqa: BLE001  # handed over, whatever it is
            sending.error = error
        sending.is_over.set()
        self._news.set()

    async def _wait(self, seconds: float) -> None:
        if any(sending.is_over.is_set() for sending in self._sent):
            return
        if self._is_inline:
            await self._clock.sleep(seconds)
            return
        self._news = anyio.Event()
        with anyio.move_on_after(max(0.0, min(seconds, LONGEST_NAP_S))):
            await self._news.wait()

    def _take_in_all(self) -> None:
        for sending in [sending for sending in self._sent if sending.is_over.is_set()]:
            add(self._results, take_in(self._batch, self._desk, sending, self._clock.now()))
            self._sent.remove(sending)
