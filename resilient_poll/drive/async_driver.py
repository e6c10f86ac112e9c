"""The loop for code that awaits, on asyncio and trio.

Line for line the loop of :mod:`.sync_driver`; the tests hold their traces equal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.drive.sync_driver import Machine, Publish, tell
from resilient_poll.events import Waiting
from resilient_poll.machine.commands import Done, Query, SleepUntil, Submit
from resilient_poll.machine.observations import Observation, SubmitStarted

__all__ = ["AsyncPerform", "run", "step"]

AsyncPerform = Callable[[Submit | Query], Awaitable[Observation]]
"""Sends one request and says what came of it."""


async def step(machine: Machine, perform: AsyncPerform, clock: AsyncClock, publish: Publish) -> Done | None:
    """Carry out one command; see :func:`resilient_poll.drive.sync_driver.step`."""
    now = clock.now()
    command = machine.next_command(now)
    if isinstance(command, Done):
        return command
    if isinstance(command, SleepUntil):
        publish(Waiting(machine.task_id, now.monotonic_s, command.at_s, command.reason))
        await clock.sleep(command.at_s - now.monotonic_s)
        return None
    if isinstance(command, Submit):
        tell(publish, machine.receive(SubmitStarted(), now))
    tell(publish, machine.receive(await perform(command), clock.now()))
    return None


async def run(machine: Machine, perform: AsyncPerform, clock: AsyncClock, publish: Publish) -> Done:
    """Carry out commands until there are none; see :func:`resilient_poll.drive.sync_driver.run`."""
    while (done := await step(machine, perform, clock, publish)) is None:
        pass
    return done
