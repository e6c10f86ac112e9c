"""Paces, gates and places: never more than so many in any window, first come, first served."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Floor,
    Instant,
    Poller,
    Query,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    SubmitStarted,
    TaskRecord,
    WaitPolicy,
)
from resilient_poll.machine.pace import ARRIVAL_JITTER_S, Gate, InTurn, Pace, Place
from tests.support.machine_strategies import LIFECYCLE

ROUNDING_S = 1e-6
WALL_S = 1_750_000_000.0


def at(seconds: float) -> Instant:
    return Instant(seconds, WALL_S + seconds)


def most_in_a_window(starts: list[float], window_s: float) -> int:
    """The largest number of starts in a half-open window; one begins at a start if it is fullest."""
    ordered = sorted(starts)
    return max(
        (sum(start <= other < start + window_s - ROUNDING_S for other in ordered) for start in ordered), default=0
    )


# What waiters do: ask for a turn now, take a ticket, or give the last ticket back.
steps = st.lists(
    st.tuples(st.sampled_from(["take", "reserve", "give back"]), st.sampled_from([0.0, 0.0, 0.1, 0.37, 1.0, 5.0])),
    max_size=60,
)


@given(count=st.integers(1, 6), window_s=st.sampled_from([0.3, 1.0, 7.5]), steps=steps)
def test_a_pace_admits_no_more_in_any_window(count: int, window_s: float, steps: list[tuple[str, float]]) -> None:
    """Whatever is asked, and whatever is given back, no window holds more starts than allowed."""
    pace, now_s, starts = Pace(count, window_s), 0.0, []
    for what, pause_s in steps:
        now_s += pause_s
        if what == "take" and pace.take(now_s):
            starts.append(now_s)
        elif what == "reserve":
            starts.append(pace.reserve(now_s))
        elif what == "give back" and starts and starts[-1] >= now_s:
            pace.release(starts.pop())
    assert most_in_a_window(starts, window_s) <= count


@given(
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=2),
    steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([0.0, 0.2, 1.0])), max_size=40),
)
def test_a_pace_at_two_gates_is_one_limit(counts: list[int], steps: list[tuple[bool, bool, float]]) -> None:
    """A pace that stands at two gates admits no more in any window than it allows both together."""
    both, one = Pace(counts[0], 1.0), Pace(counts[1], 2.0)
    gates = [Gate([both, one]), Gate([both])]
    now_s, starts = 0.0, ([], [])  # type: tuple[float, tuple[list[float], list[float]]]
    for is_first, is_ticket, pause_s in steps:
        now_s += pause_s
        gate, mine = (gates[0], starts[0]) if is_first else (gates[1], starts[1])
        if is_ticket:
            mine.append(gate.reserve(now_s))
        elif gate.take(now_s):
            mine.append(now_s)
    assert most_in_a_window(starts[0] + starts[1], 1.0) <= counts[0]
    assert most_in_a_window(starts[0], 2.0) <= counts[1]


def test_tickets_are_served_in_order_and_at_full_speed() -> None:
    """A thousand who ask at once get ascending turns, as close together as the limit allows."""
    pace = Pace(20, 1.0)
    tickets = [pace.reserve(0.0) for _ in range(1000)]
    assert all(first <= second for first, second in pairwise(tickets))
    assert tickets[-1] == pytest.approx(49 * (1.0 + ARRIVAL_JITTER_S))


def test_a_free_gap_is_used_by_who_comes_later() -> None:
    """Tickets far ahead do not hold back somebody for whom there is room before them."""
    minute, slow = Pace(10, 60.0), Pace(1, 20.0)
    creates, queries = Gate([minute, slow]), Gate([minute])
    assert [round(creates.reserve(0.0), 1) for _ in range(3)] == [0.0, 20.1, 40.2]
    assert queries.take(1.0)


def test_an_unused_turn_is_free_again() -> None:
    """Who leaves the queue leaves its turn to the next."""
    gate = Gate([Pace(1, 1.0)])
    first, second = Place(gate), Place(gate)
    assert first.turn_s(0.0) == 0.0
    assert second.turn_s(0.0) > 0.0
    first.leave()
    second.leave()
    assert gate.take(0.0)


def test_who_comes_late_queues_anew() -> None:
    """A turn that was missed is not used later, when it would be a start that nobody counted."""
    gate = Gate([Pace(1, 1.0)])
    place = Place(gate)
    assert gate.take(0.0)
    turn_s = place.turn_s(0.0)
    assert place.turn_s(turn_s + ARRIVAL_JITTER_S / 2) == turn_s, "a sleeper wakes a little late"
    assert place.turn_s(turn_s + 3.0) == turn_s + 3.0


@pytest.mark.parametrize(("count", "window_s"), [(0, 1.0), (1, 0.0), (1, math.inf), (1, math.nan)])
def test_a_pace_that_never_admits_is_refused(count: int, window_s: float) -> None:
    """A limit under which nothing would ever be sent is a mistake of the call."""
    with pytest.raises(ConfigurationError, match="a pace needs"):
        Pace(count, window_s)


def poller(policy: WaitPolicy | None = None, floor: Floor | None = None) -> Poller:
    record = TaskRecord.accepted("t", LIFECYCLE, at(0), status="waiting")
    return Poller(record, LIFECYCLE, policy or WaitPolicy(), at(0), floor=floor)


def test_a_poll_waits_for_its_turn() -> None:
    """A due query sleeps until its turn, says that it is a limit, and asking twice says the same."""
    gate = Gate([Pace(1, 10.0)])
    assert gate.take(0.0)
    machine = InTurn(poller(), gate)
    assert machine.next_command(at(0)) == SleepUntil(3.0, SleepReason.SCHEDULE)
    first = machine.next_command(at(3))
    assert first == machine.next_command(at(3)) == SleepUntil(10.1, SleepReason.LIMIT)
    assert isinstance(machine.next_command(at(10.1)), Query)
    assert isinstance(machine.next_command(at(10.1)), Query), "the turn lasts until the answer"
    machine.receive(StatusSeen(status="working"), at(10.2))
    assert machine.next_command(at(13.2)) == SleepUntil(pytest.approx(20.2), SleepReason.LIMIT)


def test_no_turn_before_the_deadline_ends_the_wait_in_time() -> None:
    """Whose turn lies beyond the deadline hears at the deadline, and nothing was sent."""
    gate = Gate([Pace(1, 100.0)])
    assert gate.take(0.0)
    machine = InTurn(poller(WaitPolicy(timeout_s=20.0)), gate)
    now_s, slept = 3.0, 0
    while isinstance(command := machine.next_command(at(now_s)), SleepUntil):
        now_s, slept = command.at_s, slept + 1
    assert command == Done(DoneReason.DEADLINE)
    assert now_s == 20.0
    assert slept <= 3
    assert gate.earliest_s(101.0) == 101.0, "its ticket was given back"


def test_a_retry_after_that_comes_while_queueing_is_kept() -> None:
    """A floor that rises while a query waits for its turn holds it back, and the turn is not used."""
    floor = Floor()
    gate = Gate([Pace(1, 10.0)])
    assert gate.take(0.0)
    machine = InTurn(poller(floor=floor), gate)
    assert machine.next_command(at(3)) == SleepUntil(10.1, SleepReason.LIMIT)
    floor.raise_to(30.0)
    assert machine.next_command(at(10.1)) == SleepUntil(30.0, SleepReason.SERVER)
    assert isinstance(machine.next_command(at(30)), Query)


def test_a_submit_in_turn_is_counted_when_it_leaves() -> None:
    """Two submits under one a second go a second and the margin apart; the licence is used at the turn only."""
    gate = Gate([Pace(1, 1.0)])
    first, second = (InTurn(Submission(SubmitPolicy(), at(0), seed=seed), gate) for seed in "ab")
    assert isinstance(first.next_command(at(0)), Submit)
    first.receive(SubmitStarted(), at(0))
    first.receive(Accepted(task_id="t"), at(0))
    assert second.next_command(at(0)) == SleepUntil(pytest.approx(1.1), SleepReason.LIMIT)
    assert isinstance(second.next_command(at(1.1)), Submit)


def test_a_submit_whose_turn_is_too_late_says_when() -> None:
    """A single submit that gets no turn within its time ends at once, says when one comes, and holds no place."""
    gate = Gate([Pace(1, 100.0)])
    assert gate.take(0.0)
    machine = InTurn(Submission(SubmitPolicy(timeout_s=10.0), at(0), seed="a"), gate)
    assert machine.next_command(at(0)) == Done(DoneReason.COME_BACK_LATER, pytest.approx(100.1))
    assert gate.earliest_s(101.0) == 101.0
