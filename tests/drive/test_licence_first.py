"""The licence to send is used up before anything is sent, in each of the loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilient_poll.drive import async_driver, sync_driver
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Observation,
    Phase,
    Query,
    Submission,
    Submit,
    SubmitPolicy,
    Throttled,
)
from tests.support.colours import COLOURS, run_in


class Broken(Exception):
    """Something that nobody foresaw, in the middle of a sending."""


def driven(colour: str, machine: Submission, perform: Callable[[Submit | Query], Observation]) -> list[Event]:
    """Drive a submit to its end in one of the colours, and return what was told."""
    clock, events = VirtualClock(), list[Event]()

    async def awaiting(command: Submit | Query) -> Observation:
        return perform(command)

    async def main() -> None:
        if colour == "sync":
            sync_driver.run(machine, perform, clock, events.append)
        else:
            await async_driver.run(machine, awaiting, clock.for_async(), events.append)

    run_in(colour, main)
    return events


def a_submission() -> Submission:
    return Submission(SubmitPolicy(), VirtualClock().now(), seed="seed")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_submit_is_out_before_it_is_sent(colour: str) -> None:
    """Whoever sends finds the machine in SUBMITTING, at each attempt, and the listener has heard of it."""
    machine, phases = a_submission(), list[Phase]()

    def perform(command: Submit | Query) -> Observation:
        assert isinstance(command, Submit)
        phases.append(machine.phase)
        return Throttled(retry_after_s=2.0) if command.attempt < 3 else Accepted(task_id="task-1")

    driven(colour, machine, perform)
    assert phases == [Phase.SUBMITTING] * 3
    assert machine.task_id == "task-1"


@pytest.mark.parametrize("colour", COLOURS)
def test_a_sending_that_breaks_leaves_a_doubt(colour: str) -> None:
    """Where sending breaks in a way that nobody foresaw, the machine says in doubt, and never sends again."""
    machine, sent = a_submission(), [0]

    def perform(command: Submit | Query) -> Observation:
        assert isinstance(command, Submit)
        sent[0] += 1
        raise Broken

    with pytest.raises(Broken):
        driven(colour, machine, perform)
    driven(colour, machine, perform)
    assert sent == [1]
    assert machine.next_command(VirtualClock().now()) == Done(DoneReason.IN_DOUBT)
