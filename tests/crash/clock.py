"""Time for processes that are killed: faster than the world's, one for all, and moved on by hand where need be."""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from resilient_poll.drive.clocks import RealClock
from resilient_poll.machine.instant import Instant

__all__ = ["AsyncPacedClock", "LeapingClock", "PacedClock", "keeping_up"]

START_WALL_S = 1_767_225_600.0
"""2026-01-01, when the fake's manual clocks begin."""
_LONGEST_NAP_S = 0.02
"""A longer sleep is over early, and asked for again: so a worker of ours that waits for news hears them in time."""
_NAP_S = 0.002
"""Lets others run, so that who leaps through a wait does not ask thousands of times."""
_NUMBERS = struct.Struct("ddd")


class _Paced:
    """One time for many processes.

    Args:
        path: The file; made if there is none.
        speed: How many of its seconds pass in one of the world's. Who makes the file says it.
    """

    def __init__(self, path: Path, speed: float | None = None) -> None:
        self._leapt_s = 0.0
        with path.open("a+b") as file:
            if speed is not None:
                file.write(_NUMBERS.pack(time.monotonic(), speed, 0.0))
                file.flush()
            self._bytes = mmap.mmap(file.fileno(), _NUMBERS.size)

    def elapsed_s(self) -> float:
        """Return for how many of its seconds it has run."""
        began_s, speed, jumped_s = _NUMBERS.unpack(self._bytes[:])
        return float((time.monotonic() - began_s) * speed + jumped_s + self._leapt_s)

    def now(self) -> Instant:
        """Return the present instant."""
        elapsed_s = self.elapsed_s()
        return Instant(elapsed_s, START_WALL_S + elapsed_s)

    def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        time.sleep(self._real_s(seconds))  # real: in a process of its own, whose seconds are short

    def jump(self, seconds: float) -> None:
        """Move time on for everybody, at once."""
        began_s, speed, jumped_s = _NUMBERS.unpack(self._bytes[:])
        self._bytes[:] = _NUMBERS.pack(began_s, speed, jumped_s + seconds)

    def for_async(self) -> AsyncPacedClock:
        """Return the same clock for code that awaits."""
        return AsyncPacedClock(self)

    def _real_s(self, seconds: float) -> float:
        _, speed, _ = _NUMBERS.unpack(self._bytes[:])
        return float(min(_LONGEST_NAP_S, max(0.0, seconds) / speed))


class PacedClock(_Paced, RealClock):
    """A clock for code that blocks; every process that opens its file sees the same."""


class LeapingClock(_Paced):
    """The same for one process in which a sleep is over at once, and has moved its clock on by all of it.

    It is no real clock to the client, which then does one thing after the other.
    """

    def _real_s(self, seconds: float) -> float:
        self._leapt_s += max(0.0, seconds)
        return _NAP_S


class AsyncPacedClock:
    """:class:`PacedClock` for code that awaits."""

    def __init__(self, clock: _Paced) -> None:
        self._clock = clock

    def now(self) -> Instant:
        """Return the present instant."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        await anyio.sleep(self._clock._real_s(seconds))  # real: as above


@contextmanager
def keeping_up(clock: PacedClock, advance: Callable[[float], None], every_s: float = 0.02) -> Iterator[None]:
    """Have the fake's manual clock follow one of ours.

    Args:
        clock: Ours.
        advance: Moves the fake's clock on by some seconds.
        every_s: How often, in the world's seconds.
    """
    is_over = threading.Event()

    def follow() -> None:
        told_s = 0.0
        while not is_over.wait(every_s):
            now_s = clock.elapsed_s()
            advance(now_s - told_s)
            told_s = now_s

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        is_over.set()
        follower.join()
