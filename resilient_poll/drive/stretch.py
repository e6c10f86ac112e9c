"""The loop for code that blocks and hands its queries to another thread: in stretches, each handed over once.

A blocking query runs in another thread, so that it can be left behind at its time. While the next one is due at once
and there is nothing to tell, that thread goes on by itself, and the caller's waits for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from resilient_poll.drive.clocks import Clock
from resilient_poll.drive.sync_driver import Machine, Publish, tell
from resilient_poll.events import Event, Waiting
from resilient_poll.machine.commands import Done, Query, SleepUntil
from resilient_poll.machine.observations import Observation

__all__ = ["CallWithin", "Queries", "run", "step"]

CallWithin = Callable[[Callable[[Any], Any], float, Callable[[Any], float | None]], bool]
"""Calls a function in a thread, again and again while the third argument returns for how long the next call is waited
for; returns False if a call took longer and was left behind. See :func:`.call_within`."""


class Queries(Protocol):
    """How one task is asked about."""

    def begin(self, timeout_s: float) -> Observation | None:
        """Make up the next query; an observation instead if nothing is to be sent."""
        ...

    def send(self, left_behind: Any) -> Any:
        """Send it, in another thread, and return what came; it changes nothing that others see."""
        ...

    def hear(self, came: Any) -> Observation | float:
        """Return what it means, or for how many seconds to wait for one more request that belongs to the same query."""
        ...

    def too_slow(self, timeout_s: float) -> Observation:
        """Return what it means that nothing came in time."""
        ...


class _Stretch:
    def __init__(self, machine: Machine, queries: Queries, clock: Clock, timeout_s: float) -> None:
        self._machine = machine
        self._queries = queries
        self._clock = clock
        self.timeout_s = timeout_s
        self.events: tuple[Event, ...] = ()

    def follow(self, came: Any) -> float | None:
        """Take in what came of a query, and return the time of the next one if that is due at once."""
        what = self._queries.hear(came)
        return what if isinstance(what, float) else self.take(what)

    def take(self, observation: Observation) -> float | None:
        machine = self._machine
        while True:
            now = self._clock.now()
            self.events = machine.receive(observation, now)
            # Whatever is to be told is told by the caller's own thread, and when it happens.
            command = None if self.events else machine.next_command(now)
            if not isinstance(command, Query):
                return None
            self.timeout_s = command.timeout_s
            instead = self._queries.begin(command.timeout_s)
            if instead is None:
                return command.timeout_s
            observation = instead


def step(machine: Machine, queries: Queries, clock: Clock, publish: Publish, within: CallWithin) -> Done | None:
    """Carry out one command, or a stretch of queries.

    Args:
        machine: Decides; it is past its submit.
        queries: Asks.
        clock: Waits.
        publish: Is told what happens, in the thread that calls this.
        within: Keeps the time of a query.

    Returns:
        ``Done`` if there was nothing left to do.
    """
    now = clock.now()
    command = machine.next_command(now)
    if isinstance(command, Done):
        return command
    if isinstance(command, SleepUntil):
        publish(Waiting(machine.task_id, now.monotonic_s, command.at_s, command.reason))
        clock.sleep(command.at_s - now.monotonic_s)
        return None
    stretch = _Stretch(machine, queries, clock, command.timeout_s)
    instead = queries.begin(command.timeout_s)
    if instead is not None:
        tell(publish, machine.receive(instead, now))
    elif within(queries.send, command.timeout_s, stretch.follow):
        tell(publish, stretch.events)
    else:
        tell(publish, machine.receive(queries.too_slow(stretch.timeout_s), clock.now()))
    return None


def run(machine: Machine, queries: Queries, clock: Clock, publish: Publish, within: CallWithin) -> Done:
    """Carry out commands until there are none; see :func:`step`."""
    while (done := step(machine, queries, clock, publish, within)) is None:
        pass
    return done
