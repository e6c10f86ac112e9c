"""The loop for code that blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from resilient_poll.drive.clocks import Clock
from resilient_poll.events import Event, Waiting
from resilient_poll.machine.commands import Command, Done, Query, SleepUntil, Submit
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import Observation, SubmitStarted

__all__ = ["Machine", "Perform", "Publish", "run", "step", "tell"]


class Machine(Protocol):
    """What both machines are to a driver."""

    @property
    def task_id(self) -> str | None:
        """The service's id, once there is one."""
        ...

    def next_command(self, now: Instant) -> Command:
        """Return what to do next."""
        ...

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said."""
        ...


Perform = Callable[[Submit | Query], Observation]
"""Sends one request and says what came of it."""
Publish = Callable[[Event], None]
"""Is told every event, in order, when it happens."""


def step(machine: Machine, perform: Perform, clock: Clock, publish: Publish) -> Done | None:
    """Carry out one command.

    Args:
        machine: Decides.
        perform: Acts.
        clock: Waits.
        publish: Is told what happens.

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
    if isinstance(command, Submit):
        # The licence is used up before the first byte leaves, so that an interruption between
        # here and the answer leaves a doubt, and never a second sending.
        tell(publish, machine.receive(SubmitStarted(), now))
    tell(publish, machine.receive(perform(command), clock.now()))
    return None


def run(machine: Machine, perform: Perform, clock: Clock, publish: Publish) -> Done:
    """Carry out commands until there are none; see :func:`step`."""
    while (done := step(machine, perform, clock, publish)) is None:
        pass
    return done


def tell(publish: Publish, events: tuple[Event, ...]) -> None:
    """Hand on events in order."""
    for event in events:
        publish(event)
