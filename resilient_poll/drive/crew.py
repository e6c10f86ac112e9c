"""The loop for many at once, for code that blocks.

The deciding goes on in the caller's thread, while it waits for the next result; a crew carries
out the requests. What it is doing when the caller leaves is brought to an end as far as it costs money.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from resilient_poll.drive.clocks import LONGEST_NAP_S, Clock, RealClock
from resilient_poll.drive.sending import Late, Sending
from resilient_poll.drive.sync_driver import tell
from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Done, Settled, SleepUntil, Take, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import Observation

__all__ = ["Crew", "Desk", "InlineCrew", "Sending", "ThreadCrew", "add", "crew_for", "finish_all", "take_in"]

Result = TypeVar("Result")


class Desk(Protocol[Result]):
    """Where jobs become entries of a batch, and what came of them becomes results."""

    def begin(self, now: Instant) -> None:
        """Put into the batch what is there from the beginning."""
        ...

    def take(self, now: Instant) -> Result | None:
        """Put the next job into the batch, or say that there are no more; the result of one that cannot be tried."""
        ...

    def settle(self, settled: Settled, now: Instant) -> Result | None:
        """Go on with an accepted job, or return what came of one."""
        ...

    def lose(self, turn: Turn, error: Exception, now: Instant) -> Result:
        """Return the result of a job whose request broke in a way that nobody here understands."""
        ...

    def take_late(self, turn: Turn, observation: Observation | None, now: Instant) -> None:
        """Take in what came of a request after the caller left, and say it if all else was said already."""
        ...

    def publish(self, event: Event) -> None:
        """Tell an event."""
        ...

    def show_progress(self, now: Instant) -> None:
        """Tell where the jobs stand, if that changed."""
        ...

    def hand_out(self, result: Result) -> None:
        """The caller has a result: it is no longer looked after here."""
        ...

    def leave(self, interruption: BaseException) -> None:
        """Say of every job whose result the caller has not got what may be owed, and how to go on with it."""
        ...

    def end(self) -> None:
        """Raise what kept the list of jobs from being read to its end, if anything did."""
        ...


class Crew(Protocol):
    """Those who carry out requests.

    Attributes:
        size: How many requests they can carry out at once.
    """

    size: int

    def start(self, sending: Sending, send: Callable[[], Observation]) -> None:
        """Begin a request."""
        ...

    def wait(self, seconds: float) -> list[Sending]:
        """Return requests that are over; without any, wait for one, but no longer than this."""
        ...

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        ...

    def bring_home(self) -> list[Sending]:
        """Begin nothing any more, wait for submits that are out, and return what was not taken in."""
        ...

    def leave(self, late: Late) -> None:
        """Nobody waits any more: what is still out is told to ``late`` when it is over."""
        ...


class InlineCrew:
    """Carries out requests one by one in the caller's thread, and waits by the client's clock."""

    size = 1

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: list[Sending] = []

    def start(self, sending: Sending, send: Callable[[], Observation]) -> None:
        """Carry out a request; see :class:`Crew`."""
        self._sent.append(sending)
        sending.carry_out(send)
        if sending.error is not None and not isinstance(sending.error, Exception):
            raise sending.error  # Ctrl-C

    def wait(self, seconds: float) -> list[Sending]:
        """Return the last request, or sleep; see :class:`Crew`."""
        if not self._sent:
            self._clock.sleep(seconds)
        return list(self._sent)

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        self._sent.remove(sending)

    def bring_home(self) -> list[Sending]:
        """Return what was not taken in; see :class:`Crew`."""
        return list(self._sent)

    def leave(self, late: Late) -> None:
        """Nothing is out here; see :class:`Crew`."""


class ThreadCrew:
    """Carries out requests in threads, and waits in real time.

    The threads are made when they are needed. They end with the batch; a query that is still out
    then ends by its own timeout, unheard.

    Args:
        size: How many there are at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._sent: set[Sending] = set()
        self._orders: queue.SimpleQueue[tuple[Sending, Callable[[], Observation]] | None] = queue.SimpleQueue()
        self._over: queue.SimpleQueue[Sending] = queue.SimpleQueue()
        self._threads = 0
        self._late: Late | None = None

    def start(self, sending: Sending, send: Callable[[], Observation]) -> None:
        """Hand a request to a thread; see :class:`Crew`."""
        self._sent.add(sending)
        self._orders.put((sending, send))
        if self._threads >= min(self.size, len(self._sent)):
            return
        self._threads += 1
        context = contextvars.copy_context()
        try:
            threading.Thread(target=context.run, args=(self._work,), name="resilient-poll-crew", daemon=True).start()
        except RuntimeError:  # There are no more threads to be had.
            self._threads -= 1
            if not self._threads:
                sending.carry_out(send)
                self._over.put(sending)

    def wait(self, seconds: float) -> list[Sending]:
        """Wait for requests; see :class:`Crew`."""
        over = []
        try:
            over.append(self._over.get(timeout=max(0.0, min(seconds, LONGEST_NAP_S))))
            while True:
                over.append(self._over.get_nowait())
        except queue.Empty:
            return over

    def forget(self, sending: Sending) -> None:
        """What came of a request was taken in."""
        self._sent.discard(sending)

    def bring_home(self) -> list[Sending]:
        """Send the threads home and wait for submits; see :class:`Crew`."""
        for _ in range(self._threads):
            self._orders.put(None)
        self._threads = 0
        sent = list(self._sent)
        for sending in sent:
            if not sending.revoke() and sending.costs_money:
                sending.is_over.wait()  # Bounded by the submit's own attempt time.
        return sent

    def leave(self, late: Late) -> None:
        """Tell of what is still out when it is over; see :class:`Crew`."""
        self._late = late
        for sending in self._sent:
            if sending.is_over.is_set():
                late(sending)  # It ended between the last look and now.

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            sending, send = order
            sending.carry_out(send)
            if self._late is None:
                self._over.put(sending)
            else:
                self._late(sending)


def crew_for(workers: int, clock: Clock) -> Crew:
    """Return the crew for a number of workers.

    A clock that is not the real one is moved by who sleeps on it, so there everything is
    carried out in the caller's thread, one after the other.
    """
    return ThreadCrew(workers) if workers > 1 and isinstance(clock, RealClock) else InlineCrew(clock)


_begun: weakref.WeakSet[Generator[Any, None, None]] = weakref.WeakSet()


@atexit.register
def _leave_all() -> None:
    """Leave what is still open when the interpreter ends: after this its threads stand still."""
    for results in list(_begun):
        with suppress(ValueError):  # It is running, in a thread that ends with the interpreter.
            results.close()


def finish_all(
    batch: Batch, desk: Desk[Result], crew: Crew, clock: Clock, send: Callable[[Turn], Callable[[], Observation]]
) -> Generator[Result, None, None]:
    """Carry out a batch, and yield the results as they come.

    Args:
        batch: Decides.
        desk: Knows what the entries stand for.
        crew: Acts.
        clock: Says what time it is.
        send: Returns what sends a turn's request, without sending it.
    """
    results = _finish_all(batch, desk, crew, clock, send)
    _begun.add(results)
    return results


def _finish_all(
    batch: Batch, desk: Desk[Result], crew: Crew, clock: Clock, send: Callable[[Turn], Callable[[], Observation]]
) -> Generator[Result, None, None]:
    results: deque[Result] = deque()
    given: Result | None = None
    process = os.getpid()
    try:
        desk.begin(clock.now())
        while _decide(batch, desk, crew, clock, send, results) is None:
            while results:
                given = results.popleft()
                yield given
                _refuse_in_a_fork(process)
                desk.hand_out(given)
                given = None
        crew.bring_home()
        desk.end()
    except BaseException as interruption:
        # Ctrl-C, a generator that is closed early, a fault of the program.
        if os.getpid() == process:  # In a fork there are no threads to wait for, and nothing that is its own.
            if given is not None and isinstance(interruption, GeneratorExit):
                desk.hand_out(given)  # Closed while the caller has it; with Ctrl-C it may not.
            _leave(desk, crew, clock, interruption)
        raise


def _refuse_in_a_fork(process: int) -> None:
    if os.getpid() != process:
        raise ConfigurationError(
            "these results belong to the process that this one was forked from, which goes on with them; nothing was "
            "sent here"
        )


def _leave(desk: Desk[Result], crew: Crew, clock: Clock, interruption: BaseException) -> None:
    """Bring a batch to its end as far as it costs money, and say what goes on."""
    try:
        for sending in crew.bring_home():
            if sending.observation is not None:
                desk.take_late(sending.turn, sending.observation, clock.now())
    finally:
        # With a second Ctrl-C something may be out.
        desk.leave(interruption)
        crew.leave(lambda sending: desk.take_late(sending.turn, sending.observation, clock.now()))


def _decide(
    batch: Batch,
    desk: Desk[Result],
    crew: Crew,
    clock: Clock,
    send: Callable[[Turn], Callable[[], Observation]],
    results: deque[Result],
) -> Done | None:
    now = clock.now()
    command = batch.next_command(now)
    tell(desk.publish, batch.take_events())
    match command:
        case Turn():
            desk.show_progress(now)
            crew.start(Sending(command), send(command))
        case Take():
            add(results, desk.take(now))
        case Settled():
            add(results, desk.settle(command, now))
        case SleepUntil(at_s):
            desk.show_progress(now)
            for sending in crew.wait(at_s - now.monotonic_s):
                add(results, take_in(batch, desk, sending, clock.now()))
                crew.forget(sending)
        case Done():
            return command
    if results:
        desk.show_progress(now)
    return None


def take_in(batch: Batch, desk: Desk[Result], sending: Sending, now: Instant) -> Result | None:
    """Take in what came of a request that is over.

    Returns:
        The result of a job whose request broke.
    """
    if sending.observation is None:
        assert sending.error is not None  # noqa: S101  # over means one of the two
        if not isinstance(sending.error, Exception):
            raise sending.error  # An exit, or an outcome of a test's: it ends everything, as it does anywhere else.
        return desk.lose(sending.turn, sending.error, now)
    batch.receive(sending.turn.ordinal, sending.observation, now)
    tell(desk.publish, batch.take_events())
    return None


def add(results: deque[Result], result: Result | None) -> None:
    """Keep a result, if there is one."""
    if result is not None:
        results.append(result)
