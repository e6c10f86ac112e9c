"""The loop for many at once, for code that blocks.

The deciding goes on in the caller's thread, while it waits for the next result; a crew carries
out the requests. What it is doing when the caller leaves is brought to an end as far as it costs money.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from resilient_poll.drive.clocks import LONGEST_NAP_S, Clock, RealClock
from resilient_poll.drive.sync_driver import tell
from resilient_poll.events import Event
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Done, Settled, SleepUntil, Submit, Take, Turn
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

    def take_late(self, turn: Turn, observation: Observation, now: Instant) -> None:
        """Take in what came of a request after the caller left."""
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


@dataclass(slots=True, eq=False)
class Sending:
    """One request on its way.

    Attributes:
        turn: Whose.
        observation: What was heard, once something was.
        error: What broke instead.
        is_over: Set once one of them is there.
    """

    turn: Turn
    observation: Observation | None = None
    error: Exception | None = None
    is_over: threading.Event = field(default_factory=threading.Event)

    def carry_out(self, send: Callable[[], Observation]) -> None:
        """Send it, and note what came of it."""
        try:
            self.observation = send()
        except Exception as error:  # noqa: BLE001  # handed over, whatever it is
            self.error = error
        self.is_over.set()


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

    def start(self, sending: Sending, send: Callable[[], Observation]) -> None:
        """Hand a request to a thread; see :class:`Crew`."""
        self._sent.add(sending)
        if self._threads < min(self.size, len(self._sent)):
            self._threads += 1
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(self._work,), name="resilient-poll-crew", daemon=True).start()
        self._orders.put((sending, send))

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
        for sending in self._sent:
            if isinstance(sending.turn.command, Submit):
                sending.is_over.wait()  # Bounded by the submit's own attempt time.
        return list(self._sent)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            sending, send = order
            sending.carry_out(send)
            self._over.put(sending)


def crew_for(workers: int, clock: Clock) -> Crew:
    """Return the crew for a number of workers.

    A clock that is not the real one is moved by who sleeps on it, so there everything is
    carried out in the caller's thread, one after the other.
    """
    return ThreadCrew(workers) if workers > 1 and isinstance(clock, RealClock) else InlineCrew(clock)


def finish_all(
    batch: Batch, desk: Desk[Result], crew: Crew, clock: Clock, send: Callable[[Turn], Callable[[], Observation]]
) -> Iterator[Result]:
    """Carry out a batch, and yield the results as they come.

    Args:
        batch: Decides.
        desk: Knows what the entries stand for.
        crew: Acts.
        clock: Says what time it is.
        send: Returns what sends a turn's request, without sending it.
    """
    results: deque[Result] = deque()
    try:
        desk.begin(clock.now())
        while _decide(batch, desk, crew, clock, send, results) is None:
            while results:
                result = results.popleft()
                try:
                    yield result
                finally:
                    desk.hand_out(result)  # Also if the generator is closed here: the caller has it.
        crew.bring_home()
        desk.end()
    except BaseException as interruption:
        # Ctrl-C, a generator that is closed early, a fault of the program.
        try:
            for sending in crew.bring_home():
                if sending.observation is not None:
                    desk.take_late(sending.turn, sending.observation, clock.now())
        finally:
            desk.leave(interruption)
        raise


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
        return desk.lose(sending.turn, sending.error, now)
    batch.receive(sending.turn.ordinal, sending.observation, now)
    tell(desk.publish, batch.take_events())
    return None


def add(results: deque[Result], result: Result | None) -> None:
    """Keep a result, if there is one."""
    if result is not None:
        results.append(result)
