"""Hints from outside, for code that awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import anyio

from resilient_poll.drive.clocks import LONGEST_NAP_S, AsyncClock, RealAsyncClock
from resilient_poll.machine.instant import Instant

__all__ = ["AsyncBell", "in_the_loop"]


class AsyncBell:
    """:class:`.Bell` for code that awaits. It is made in the event loop, and rung from any thread."""

    def __init__(self, clock: AsyncClock) -> None:
        self._clock = clock
        self._is_rung = False
        self._event = anyio.Event()
        self._in_the_loop = in_the_loop()

    def ring(self) -> None:
        """Wake it up."""
        self._is_rung = True
        with suppress(RuntimeError):  # Its event loop is over.
            self._in_the_loop(self._set)

    def take(self) -> bool:
        """Return whether it was rung since this was asked last."""
        was_rung, self._is_rung = self._is_rung, False
        return was_rung

    def now(self) -> Instant:
        """Return the present instant."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until it is rung."""
        if type(self._clock) is not RealAsyncClock:
            await self._clock.sleep(0.0 if self._is_rung else seconds)
            return
        self._event = anyio.Event()
        if self._is_rung:
            return
        with anyio.move_on_after(min(seconds, LONGEST_NAP_S)):
            await self._event.wait()

    def _set(self) -> None:
        self._event.set()


def in_the_loop() -> Callable[[Callable[[], None]], object]:
    """Return what has the event loop that runs here do something soon; it may be called from any thread."""
    if issubclass(anyio.get_cancelled_exc_class(), asyncio.CancelledError):
        return asyncio.get_running_loop().call_soon_threadsafe
    import trio  # noqa: PLC0415  # it runs already, and others need not have it

    return trio.lowlevel.current_trio_token().run_sync_soon
