"""Those who carry out requests in code that awaits, on asyncio and trio.

A request outlives the step of the iteration that began it: a task group may not stay open while a
result is handed out, and one that is closed before waits for its slowest request, a stalled
create of a minute say, while everybody else's deadline goes by. So each request is a task of
the event loop's own. None of them is lost sight of: whoever leaves waits for creates, and
whoever cannot wait is told later.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import anyio

from resilient_poll.drive.clocks import LONGEST_NAP_S, AsyncClock
from resilient_poll.drive.sending import Late, Sending
from resilient_poll.machine.observations import Observation

__all__ = ["AsyncCrew", "InlineAsyncCrew", "TaskCrew"]

Send = Callable[[], Awaitable[Observation]]


class AsyncCrew(Protocol):
    """Those who carry out requests; :class:`.Crew` in the other colour."""

    async def start(self, sending: Sending, send: Send) -> None:
        """Begin a request."""
        ...

    async def wait(self, seconds: float) -> list[Sending]:
        """Return requests that are over; without any, wait for one, but no longer than this."""
        ...

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        ...

    def call_home(self) -> list[Sending]:
        """Begin nothing any more, and return what was not taken in."""
        ...

    async def bring_home(self) -> list[Sending]:
        """Begin nothing any more, wait for submits that are out, and return what was not taken in."""
        ...

    def leave(self, late: Late) -> None:
        """Nobody waits any more: what is still out is told to ``late`` when it is over."""
        ...


class InlineAsyncCrew:
    """Carries out requests one by one in the caller's task, and waits by the client's clock."""

    def __init__(self, clock: AsyncClock) -> None:
        self._clock = clock
        self._sent: list[Sending] = []

    async def start(self, sending: Sending, send: Send) -> None:
        """Carry out a request; see :class:`AsyncCrew`."""
        self._sent.append(sending)
        sending.claim()
        try:
            sending.observation = await send()
        except Exception as error:  # noqa: BLE001  # handed over, whatever it is
            sending.error = error
        finally:
            sending.is_over.set()

    async def wait(self, seconds: float) -> list[Sending]:
        """Return the last request, or sleep; see :class:`AsyncCrew`."""
        if not self._sent:
            await self._clock.sleep(seconds)
        return list(self._sent)

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        self._sent.remove(sending)

    def call_home(self) -> list[Sending]:
        """Return what was not taken in; see :class:`AsyncCrew`."""
        return list(self._sent)

    async def bring_home(self) -> list[Sending]:
        """Return what was not taken in; see :class:`AsyncCrew`."""
        return list(self._sent)

    def leave(self, late: Late) -> None:
        """Nothing is out here; see :class:`AsyncCrew`."""


class TaskCrew:
    """Carries out requests in tasks of the event loop's own, and waits in real time.

    It knows nothing of the iteration, so that one that is forgotten is collected, and
    says what goes on, while requests are out.
    """

    def __init__(self) -> None:
        self._sent: dict[Sending, anyio.CancelScope] = {}
        self._news = anyio.Event()
        self._late: Late | None = None

    async def start(self, sending: Sending, send: Send) -> None:
        """Hand a request to a task of its own; see :class:`AsyncCrew`."""
        scope = self._sent[sending] = anyio.CancelScope()

        async def carry_out() -> None:
            with scope:
                await self._carry_out(sending, send)

        _run_apart(carry_out)

    async def wait(self, seconds: float) -> list[Sending]:
        """Wait for requests; see :class:`AsyncCrew`."""
        if not (over := self._over()):
            self._news = anyio.Event()
            with anyio.move_on_after(max(0.0, min(seconds, LONGEST_NAP_S))):
                await self._news.wait()
            over = self._over()
        return over

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        del self._sent[sending]

    def call_home(self) -> list[Sending]:
        """Revoke what has not left, and return everything; see :class:`AsyncCrew`."""
        for sending in self._sent:
            sending.revoke()
        return list(self._sent)

    async def bring_home(self) -> list[Sending]:
        """End queries, and wait for submits; see :class:`AsyncCrew`."""
        sent = self.call_home()
        for sending, scope in self._sent.items():
            if not sending.costs_money:
                scope.cancel()
        with anyio.CancelScope(shield=True):
            # Bounded by a submit's own attempt time.
            while any(sending.costs_money and not sending.is_over.is_set() for sending in sent):
                self._news = anyio.Event()
                await self._news.wait()
        return sent

    def leave(self, late: Late) -> None:
        """Tell of what is still out when it is over; see :class:`AsyncCrew`."""
        self._late = late

    def _over(self) -> list[Sending]:
        return [sending for sending in self._sent if sending.is_over.is_set()]

    async def _carry_out(self, sending: Sending, send: Send) -> None:
        if not sending.claim():
            return
        try:
            sending.observation = await send()
        except anyio.get_cancelled_exc_class() as cancellation:
            sending.error = cancellation
            raise
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is: it must not end the event loop
            sending.error = error
        finally:
            sending.is_over.set()
            self._news.set()
            if self._late is not None:
                self._late(sending)


_running: set[asyncio.Task[None]] = set()
"""An event loop of asyncio holds its tasks weakly."""


def _run_apart(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run something beside everything else, until the event loop ends. It must not raise."""
    if issubclass(anyio.get_cancelled_exc_class(), asyncio.CancelledError):
        task = asyncio.get_running_loop().create_task(work(), name="resilient-poll-crew")
        _running.add(task)
        task.add_done_callback(_running.discard)
        return
    import trio  # noqa: PLC0415  # it runs already, and others need not have it

    trio.lowlevel.spawn_system_task(work, name="resilient-poll-crew", context=contextvars.copy_context())
