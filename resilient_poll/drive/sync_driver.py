"""The loop for code that blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from resilient_poll.drive.clocks import Clock
from resilient_poll.events import Event
from resilient_poll.machine.commands import Command, Done, Query, SleepUntil, Submit
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import Observation, SubmitStarted

__all__ = ["Machine", "Perform", "run", "step"]


class Machine(Protocol):
    """What both machines are to a driver."""

    def next_command(self, now: Instant) -> Command:
        """Return what to do next."""
        ...

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said."""
        ...


Perform = Callable[[Submit | Query], Observation]
"""Sends one request and says what came of it."""


def step(machine: Machine, perform: Perform, clock: Clock) -> Done | tuple[Event, ...]:
    """Carry out one command.

    Args:
        machine: Decides.
        perform: Acts.
        clock: Waits.

    Returns:
        ``Done`` if there was nothing left to do, else what happened.
    """
    now = clock.now()
    match machine.next_command(now):
        case Done() as done:
            return done
        case SleepUntil(at_s=at_s):
            clock.sleep(at_s - now.monotonic_s)
            return ()
        case Submit() as command:
            # The licence is used up before the first byte leaves, so that an interruption
            # between here and the answer leaves a doubt, and never a second sending.
            started = machine.receive(SubmitStarted(), now)
            return (*started, *machine.receive(perform(command), clock.now()))
        case Query() as command:
            return machine.receive(perform(command), clock.now())


def run(machine: Machine, perform: Perform, clock: Clock, publish: Callable[[Event], None]) -> Done:
    """Carry out commands until there are none.

    Args:
        machine: Decides.
        perform: Acts.
        clock: Waits.
        publish: Is told every event, in order.
    """
    while not isinstance(happened := step(machine, perform, clock), Done):
        for event in happened:
            publish(event)
    return happened
