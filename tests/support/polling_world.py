"""Run a poller against a scripted world in virtual time, and keep what a server would have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.drive.sync_driver import run
from resilient_poll.events import Event
from resilient_poll.machine import (
    Done,
    Floor,
    Instant,
    Observation,
    Poller,
    Query,
    Submit,
    TaskRecord,
    Unreachable,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE, Reply


@dataclass
class Seen:
    """What one wait looked like from outside.

    Attributes:
        asked_s: When each query left.
        answered_s: When each query was answered or given up.
        heard: What each query brought.
        events: All events, in order.
        done: Why it was over.
        began: When it began.
        ended: When it was over.
    """

    began: Instant
    asked_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    heard: list[Observation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    done: Done | None = None
    ended: Instant | None = None


def new_poller(policy: WaitPolicy, clock: VirtualClock, floor: Floor | None = None) -> Poller:
    """Return a poller of a task that was accepted just now."""
    now = clock.now()
    return Poller(TaskRecord.accepted("task-1", LIFECYCLE, now, status="waiting"), LIFECYCLE, policy, now, floor=floor)


def watch(poller: Poller, world: Sequence[Reply], clock: VirtualClock) -> Seen:
    """Drive a poller until its wait is over; the world's last reply repeats.

    A reply that takes longer than the query's time is one that was given up, as a driver
    with a hard attempt time would.
    """
    seen = Seen(began=clock.now())

    def perform(command: Submit | Query) -> Observation:
        assert isinstance(command, Query)
        reply = world[min(len(seen.asked_s), len(world) - 1)]
        seen.asked_s.append(clock.now().monotonic_s)
        clock.advance(min(reply.latency_s, command.timeout_s))
        late = reply.latency_s > command.timeout_s
        observation = Unreachable(reason="no answer in time") if late else reply.observation
        seen.answered_s.append(clock.now().monotonic_s)
        seen.heard.append(observation)
        return observation

    seen.done = run(poller, perform, clock, seen.events.append)
    seen.ended = clock.now()
    return seen
