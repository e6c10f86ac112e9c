"""The loop for code that awaits, on asyncio and trio.

Line for line the loop of :mod:`.sync_driver`; the tests hold their traces equal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.drive.sync_driver import Machine
from resilient_poll.events import Event
from resilient_poll.machine.commands import Done, Query, SleepUntil, Submit
from resilient_poll.machine.observations import Observation, SubmitStarted

__all__ = ["AsyncPerform", "run", "step"]

AsyncPerform = Callable[[Submit | Query], Awaitable[Observation]]
"""Sends one request and says what came of it."""


async def step(machine: Machine, perform: AsyncPerform, clock: AsyncClock) -> Done | tuple[Event, ...]:
    """Carry out one command; see :func:`resilient_poll.drive.sync_driver.step`."""
    now = clock.now()
    match machine.next_command(now):
        case Done() as done:
            return done
        case SleepUntil(at_s=at_s):
            await clock.sleep(at_s - now.monotonic_s)
            return ()
        case Submit() as command:
            started = machine.receive(SubmitStarted(), now)
            return (*started, *machine.receive(await perform(command), clock.now()))
        case Query() as command:
            return machine.receive(await perform(command), clock.now())


async def run(machine: Machine, perform: AsyncPerform, clock: AsyncClock, publish: Callable[[Event], None]) -> Done:
    """Carry out commands until there are none; see :func:`resilient_poll.drive.sync_driver.run`."""
    while not isinstance(happened := await step(machine, perform, clock), Done):
        for event in happened:
            publish(event)
    return happened
