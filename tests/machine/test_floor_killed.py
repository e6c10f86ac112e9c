"""Floors: looking for slots, crowds, and whose floors are kept."""

from __future__ import annotations

from contextlib import nullcontext

from resilient_poll.machine import floor as floors
from resilient_poll.machine.floor import CROWD_GAP_S, CROWDED_S, LOOKING_S, Floor, TaskFloors


def test_the_numbers_of_floors() -> None:
    """A crowd goes a second apart for a minute, looks come four times a second, and 10,000 floors are kept."""
    assert (CROWD_GAP_S, CROWDED_S, LOOKING_S, floors.MOST_TASK_FLOORS) == (1.0, 60.0, 0.25, 10_000)


def test_nobody_looks_before_it_was_said() -> None:
    """Of several instants before which nobody looks again the latest holds."""
    floor = Floor()
    floor.look_again_from(5.0)
    floor.look_again_from(3.0)
    assert floor.looks_from_s == 5.0


def test_one_looks_and_the_others_wait_for_what_it_finds() -> None:
    """While some wait for a slot, a look keeps the next for a quarter of a second; where none does, it keeps nobody."""
    floor = Floor()
    floor.look(100.0)
    assert floor.looks_from_s < 100.0
    floor.look_again_from(100.0)
    floor.look(100.0)
    assert floor.looks_from_s == 100.0 + LOOKING_S
    floor.look(100.0 + 2 * LOOKING_S)
    assert floor.looks_from_s == 100.0 + LOOKING_S


def test_a_crowd_steps_through_one_by_one_while_it_is_one() -> None:
    """After a throttle the next may go a second after the last, until the minute is over and not at its end."""
    floor = Floor()
    floor.throttle_until(10.0)
    assert (floor.not_before_s, floor.crowded_until_s) == (10.0, 10.0 + CROWDED_S)
    floor.step_through(10.0)
    assert floor.not_before_s == 10.0 + CROWD_GAP_S
    floor.step_through(10.0 + CROWDED_S)
    assert floor.not_before_s == 10.0 + CROWD_GAP_S


def test_a_tasks_floor_is_the_same_for_all_and_the_oldest_go() -> None:
    """A task's floor is one object while it is among the most recent, and the one that was used least recently goes."""
    kept = TaskFloors(nullcontext())
    first, second = kept.of("first"), kept.of("second")
    for number in range(floors.MOST_TASK_FLOORS - 2):
        kept.of(f"other-{number}")
    assert kept.of("first") is first
    kept.of("one more")
    assert kept.of("first") is first
    assert kept.of("second") is not second


def test_floors_compare_by_what_they_know() -> None:
    """Two floors that know the same are equal, whatever guards them, and their text names no guard."""
    assert Floor() == Floor(guard=nullcontext())
    assert "guard" not in repr(Floor())
