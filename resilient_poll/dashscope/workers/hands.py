"""Those who ask and tell for a worker that blocks, and the news of it."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from resilient_poll.drive.clocks import LONGEST_NAP_S, Clock, RealClock

__all__ = ["Desk", "Hands", "InlineHands", "News", "ThreadHands"]

News = Callable[[], None]
"""What came of some work: it is called in the worker's own thread."""
Work = Callable[[], News]


class Desk:
    """Where news arrive, from any thread.

    Args:
        clock: How to wait. One that is not the real one is moved by who sleeps on it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()

    def post(self, news: News) -> None:
        """Bring news."""
        self._news.put(news)

    def read(self, seconds: float) -> bool:
        """Take in the news; without any, wait for some, but no longer than this. Return whether there were any."""
        longest_s = max(0.0, min(seconds, LONGEST_NAP_S))
        try:
            if type(self._clock) is RealClock:
                self._news.get(timeout=longest_s)()
            else:
                self._news.get_nowait()()
        except queue.Empty:
            if type(self._clock) is not RealClock:
                self._clock.sleep(longest_s)
            return False
        while True:
            try:
                self._news.get_nowait()()
            except queue.Empty:
                return True


class Hands(Protocol):
    """Those who do what takes a while."""

    def start(self, work: Work) -> None:
        """Begin some work; what it returns is posted."""
        ...

    def end(self) -> None:
        """Begin nothing any more; what is being done is not waited for."""
        ...


class InlineHands:
    """Does everything at once, in the worker's own thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def start(self, work: Work) -> None:
        """Do some work; see :class:`Hands`."""
        self._desk.post(work())

    def end(self) -> None:
        """There is nothing to end."""


class ThreadHands:
    """Does everything in threads, which are made when they are needed and do not keep the process alive.

    Args:
        size: How many there are at most.
        desk: Where what came of it is posted.
    """

    def __init__(self, size: int, desk: Desk) -> None:
        self._size = size
        self._desk = desk
        self._orders: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._busy = 0
        self._threads = 0

    def start(self, work: Work) -> None:
        """Hand some work to a thread; see :class:`Hands`."""
        self._busy += 1
        self._orders.put(work)
        if self._threads >= min(self._size, self._busy):
            return
        context = contextvars.copy_context()
        try:
            threading.Thread(target=context.run, args=(self._work,), name="resilient-poll-worker", daemon=True).start()
            self._threads += 1
        except RuntimeError:  # There are no more threads to be had.
            if not self._threads and (order := self._orders.get()) is not None:
                self._carry_out(order)

    def end(self) -> None:
        """Send the threads home; see :class:`Hands`."""
        for _ in range(self._threads):
            self._orders.put(None)

    def _work(self) -> None:
        while (work := self._orders.get()) is not None:
            self._carry_out(work)

    def _carry_out(self, work: Work) -> None:
        try:
            news = work()
        except BaseException as error:  # noqa: BLE001  # an exit: it ends the worker, as it would end anything else
            news = _raising(error)

        def over() -> None:
            self._busy -= 1
            news()

        self._desk.post(over)


def _raising(error: BaseException) -> News:
    def raise_it() -> None:
        raise error

    return raise_it
