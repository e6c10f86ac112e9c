"""On the edge: the very instant at which a wait's time is up, and a step back along a task's life."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine import (
    Billing,
    Done,
    Fixed,
    Instant,
    Phase,
    Poller,
    Query,
    SleepUntil,
    StatusSeen,
    TaskRecord,
    Throttled,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE, OPEN_WORDS
from tests.support.polling_world import new_poller

# Halves of seconds are exact as floats: what is due on the edge is due on the edge, and not beside it.
halves = st.integers(1, 40).map(lambda count: count / 2)


def after(start: Instant, seconds: float) -> Instant:
    return Instant(start.monotonic_s + seconds, start.wall_s + seconds)


@settings(deadline=None)
@given(timeout_s=halves, interval_s=halves, hint_s=halves, late_s=st.sampled_from([0.0, 0.0, 0.5, 100.0]))
def test_nothing_begins_when_time_is_up(timeout_s: float, interval_s: float, hint_s: float, late_s: float) -> None:
    """At the end of a wait and after it nothing is asked, and nothing that is due there is waited for."""
    clock = VirtualClock()
    policy = WaitPolicy(timeout_s=timeout_s, schedule=Fixed(interval_s), minimum_interval_s=interval_s)
    poller = new_poller(policy, clock)
    begin = clock.now()
    assert isinstance(poller.next_command(after(begin, timeout_s + late_s)), Done)
    poller.receive(Throttled(retry_after_s=hint_s), begin)
    command = poller.next_command(begin)
    if isinstance(command, SleepUntil):
        assert command.at_s < begin.monotonic_s + timeout_s
    else:
        assert isinstance(command, Done)
        assert max(hint_s, interval_s) >= timeout_s


@settings(deadline=None)
@given(timeout_s=halves, interval_s=halves, asked_s=halves)
def test_every_query_has_time(timeout_s: float, interval_s: float, asked_s: float) -> None:
    """A query that is started has time left for its answer, and no more than the wait has."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(timeout_s=timeout_s, schedule=Fixed(interval_s)), clock)
    command = poller.next_command(after(clock.now(), asked_s))
    if isinstance(command, Query):
        assert 0.0 < command.timeout_s <= timeout_s - asked_s


@settings(deadline=None)
@given(interval_s=halves, floor_s=halves, hint_s=st.none() | halves, fails=st.booleans())
def test_the_floor_counts_from_the_last_answer(
    interval_s: float, floor_s: float, hint_s: float | None, fails: bool
) -> None:
    """After an answer, good or bad, nothing is asked before the floor and the Retry-After are over."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(schedule=Fixed(interval_s), minimum_interval_s=floor_s), clock)
    now = after(clock.now(), 7.0)
    answer = Throttled(retry_after_s=hint_s) if fails else StatusSeen(status="working", retry_after_s=hint_s)
    poller.receive(answer, now)
    command = poller.next_command(now)
    assert isinstance(command, SleepUntil)
    assert command.at_s >= now.monotonic_s + max(floor_s, hint_s or 0.0)


@settings(deadline=None)
@given(words=st.lists(st.sampled_from(OPEN_WORDS), max_size=4))
def test_what_ran_may_have_cost_something(words: list[str]) -> None:
    """A task that was seen running and is said to be queued again is believed to owe what a running one may."""
    clock = VirtualClock()
    now = clock.now()
    poller = Poller(TaskRecord.accepted("t", LIFECYCLE, now), LIFECYCLE, WaitPolicy(timeout_s=3000.0), now)
    for word in ("working", *words, "waiting"):
        poller.receive(StatusSeen(status=word), now)
    assert (poller.phase, poller.billing) == (Phase.QUEUED, Billing.ON_SUCCESS)
