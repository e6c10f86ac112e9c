"""Hints from outside that a task is worth a look now: a webhook, an event. A hint is never a result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from resilient_poll.drive.clocks import LONGEST_NAP_S, Clock, RealClock
from resilient_poll.events import Event
from resilient_poll.machine.commands import Command
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.pace import InTurn
from resilient_poll.machine.poller import Poller

__all__ = ["Bell", "Bells", "Ringing", "Wakeable", "Woken", "bells_of"]


class Wakeable(Protocol):
    """Who asks about tasks, and can be told to do it now; from any thread."""

    def wake(self, task_id: str) -> bool:
        """Ask about a task now; False if it is not in hand here."""
        ...

    def look_soon(self) -> None:
        """Look for a task that was submitted just now."""
        ...


class Ringing(Protocol):
    """What wakes one wait up; from any thread."""

    def ring(self) -> None:
        """Wake it up."""
        ...

    def take(self) -> bool:
        """Return whether it was rung since this was asked last."""
        ...


class Bells:
    """Who in a client waits for which task, and its workers. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[str, list[Ringing]] = {}
        self._workers: list[Wakeable] = []

    def wake(self, task_id: str) -> bool:
        """Have everybody here who asks about a task do it now; False if nobody does."""
        with self._lock:
            bells, workers = list(self._waits.get(task_id, ())), list(self._workers)
        for bell in bells:
            bell.ring()
        woken = [worker.wake(task_id) for worker in workers]
        return bool(bells) or any(woken)

    def tell_workers(self) -> None:
        """Tell the workers that a task was submitted."""
        for worker in list(self._workers):
            worker.look_soon()

    @contextmanager
    def waiting(self, task_id: str, bell: Ringing) -> Generator[None, None, None]:
        """Ring a bell for a task, while the block lasts."""
        with self._lock:
            self._waits.setdefault(task_id, []).append(bell)
        try:
            yield
        finally:
            with self._lock:
                left = [other for other in self._waits[task_id] if other is not bell]
                self._waits[task_id] = left
                if not left:
                    del self._waits[task_id]

    @contextmanager
    def working(self, worker: Wakeable) -> Generator[None, None, None]:
        """Tell a worker of hints, while the block lasts."""
        with self._lock:
            self._workers.append(worker)
        try:
            yield
        finally:
            with self._lock:
                self._workers = [other for other in self._workers if other is not worker]


def bells_of(client: object) -> Bells:
    """Return the bells of a client, one set for all its threads."""
    found: Bells = vars(client).setdefault("_bells", Bells())
    return found


class Bell:
    """Wakes up a wait that blocks. On a clock that is not the real one, it is heard after the sleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake it up."""
        self._rung.set()

    def take(self) -> bool:
        """Return whether it was rung since this was asked last."""
        if not self._rung.is_set():
            return False
        self._rung.clear()
        return True

    def now(self) -> Instant:
        """Return the present instant."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Block for some seconds, or until it is rung."""
        if type(self._clock) is RealClock:
            self._rung.wait(min(seconds, LONGEST_NAP_S))
        elif not self._rung.is_set():
            self._clock.sleep(seconds)


class Woken:
    """A wait that asks now when its bell is rung.

    Args:
        machine: The wait, in its turn.
        bell: Its bell.
        ask_now: Makes the next query due.
    """

    def __init__(self, machine: Poller | InTurn, bell: Ringing, ask_now: Callable[[Instant], None]) -> None:
        self._machine = machine
        self._bell = bell
        self._ask_now = ask_now

    @property
    def task_id(self) -> str | None:
        """The service's id."""
        return self._machine.task_id

    def next_command(self, now: Instant) -> Command:
        """Return what to do next."""
        if self._bell.take():
            self._ask_now(now)
        return self._machine.next_command(now)

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said."""
        return self._machine.receive(observation, now)
