"""The clock of a shell: the machine's own, the event loop's, or one that is passed in."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import anyio

__all__ = ["MACHINE", "AwaitingClock", "BlockingClock", "Moment", "Watch"]


_ONE_CLOCK_S = 60.0
"""Clocks that differ by less show the same time: an event loop may look at its clock once a turn, and a turn takes a
while."""


class _Machine:
    """Stands for the machine's own monotonic clock."""


MACHINE = _Machine()
"""See :meth:`.Watch.timekeeper`."""


class Moment(Protocol):
    """One reading of both clocks."""

    @property
    def monotonic_s(self) -> float:
        """Seconds that only grow."""
        ...

    @property
    def wall_s(self) -> float:
        """Seconds since 1970."""
        ...


class BlockingClock(Protocol):
    """A clock for code that blocks. The clocks of this package's drivers are such."""

    def now(self) -> Moment:
        """Return the present moment."""
        ...

    def sleep(self, seconds: float) -> Any:
        """Block for some seconds."""
        ...


class AwaitingClock(Protocol):
    """A clock for code that awaits."""

    def now(self) -> Moment:
        """Return the present moment."""
        ...

    def sleep(self, seconds: float) -> Any:
        """Return what waits for some seconds when it is awaited."""
        ...


def _loop_s() -> float:
    """Return the event loop's seconds. Every request asks some times, and anyio looks for its backend each time."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return anyio.current_time()  # trio, then


class Watch:
    """How a shell reads and spends time. Reading the machine's own clock makes no object.

    Args:
        clock: A clock that is passed in; None for the usual one.
        is_awaiting: Whether it is for code that awaits.

    Attributes:
        now_s: Returns monotonic seconds.
        wall_s: Returns seconds since 1970.
        sleep: Sleeps, or returns what sleeps when it is awaited.
    """

    def __init__(self, clock: BlockingClock | AwaitingClock | None, *, is_awaiting: bool) -> None:
        self._is_passed_in = clock is not None
        self._is_awaiting = is_awaiting
        self.now_s: Callable[[], float]
        self.wall_s: Callable[[], float]
        self.sleep: Callable[[float], Any]
        if clock is not None:
            self.now_s = lambda: clock.now().monotonic_s
            self.wall_s = lambda: clock.now().wall_s
            self.sleep = clock.sleep
        else:
            self.now_s = _loop_s if is_awaiting else time.monotonic
            self.wall_s = time.time
            self.sleep = anyio.sleep if is_awaiting else time.sleep

    def timekeeper(self) -> Any:
        """Return what stands for the clock that is read now; None for one that was passed in.

        Equal ones show the same instants. The machine's own clock is that of all blocking code and of the usual event
        loops of asyncio; trio begins each run at an instant of its own, and a loop for tests may too.
        """
        if self._is_passed_in:
            return None
        if not self._is_awaiting:
            return MACHINE
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # trio, then; it is loaded, since this runs in it.
            return sys.modules["trio"].lowlevel.current_trio_token()
        return MACHINE if abs(loop.time() - time.monotonic()) < _ONE_CLOCK_S else loop
