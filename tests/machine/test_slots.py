"""How many may be open: declared, learned from refusals, or as many as the service can use."""

from __future__ import annotations

import math

import pytest

from resilient_poll.machine.slots import PROBE_FIRST_S, PROBE_LONGEST_S, QUEUED_AHEAD, UNSEEN_S, Slots

NEXT = ("somebody", -1)


def key(task: int) -> tuple[str, int]:
    return "us", task


def filled(slots: Slots, number: int) -> Slots:
    """Slots with some tasks open, accepted at 0."""
    for task in range(number):
        assert slots.start(key(task), 0.0)
        slots.accept(key(task), 0.0)
    return slots


def learned(cap: int, declared: int | None = None) -> Slots:
    """Slots that were refused one more at 0."""
    slots = filled(Slots(declared), cap)
    assert slots.start(NEXT, 0.0)
    assert slots.throttle(NEXT, 0.0)
    return slots


def test_a_declared_cap_is_never_exceeded() -> None:
    """With a declared cap as many may go side by side, and no more until one ends."""
    slots = Slots(3)
    assert [slots.start(key(number), 0.0) for number in range(100, 100 + 4)] == [True, True, True, False]
    assert slots.free_at_s(0.0) == math.inf
    slots.accept(key(100), 1.0)
    assert not slots.start(NEXT, 1.0)
    slots.end(key(100))
    assert slots.start(NEXT, 1.0)


def test_an_unknown_cap_is_found_one_by_one() -> None:
    """Without a declared cap one submit is out at a time, so the first refusal says exactly how many fit."""
    slots = filled(Slots(), 2)
    assert slots.start(NEXT, 0.0)
    assert not slots.start(NEXT, 0.0)
    assert slots.throttle(NEXT, 0.0)
    assert slots.learned == 2
    slots.end(key(0))
    assert slots.start(NEXT, 1.0)


def test_a_refusal_with_nothing_of_ours_open_leaves_one_slot() -> None:
    """Refused although nothing of ours is open: others fill the account, and one at a time is tried."""
    slots = Slots()
    assert slots.start(NEXT, 0.0)
    assert not slots.throttle(NEXT, 0.0), "our own tasks are not in the way"
    assert slots.learned == 1
    assert slots.start(NEXT, 0.0)


def test_probes_are_rare_and_get_rarer() -> None:
    """One more than the learned cap is tried after a minute, then after twice as long, up to ten minutes."""
    slots, now_s, pauses = learned(3), 0.0, []
    for _ in range(6):
        probe_s = slots.free_at_s(now_s)
        pauses.append(probe_s - now_s)
        now_s = probe_s
        assert slots.start(NEXT, now_s)
        assert slots.throttle(NEXT, now_s)
        assert slots.learned == 3
    assert pauses == [PROBE_FIRST_S, 120.0, 240.0, 480.0, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_an_accepted_probe_is_believed_when_all_others_were_seen_open() -> None:
    """One more than the cap proves a larger one only if none of the others had ended unseen."""
    slots = learned(2)
    assert slots.start(NEXT, 60.0)
    slots.accept(NEXT, 60.0)
    assert slots.learned == 2
    slots.saw(key(0), 63.0, is_queued=False)
    assert slots.learned == 2
    slots.saw(key(1), 63.0, is_queued=False)
    assert slots.learned == 3
    assert slots.free_at_s(63.0) == 63.0, "then the next may be tried at once"


def test_an_accepted_probe_that_took_a_slot_unseen_proves_nothing() -> None:
    """If one of the others turns out to have ended, the learned cap stays."""
    slots = learned(2)
    assert slots.start(NEXT, 60.0)
    slots.accept(NEXT, 60.0)
    slots.end(key(0))
    slots.saw(key(1), 63.0, is_queued=False)
    assert slots.learned == 2


def test_a_probe_that_ended_soon_is_tried_again_at_once() -> None:
    """One more fitted beside tasks that are all seen open again: though it is over by then, the next may go."""
    slots = learned(2)
    assert slots.start(NEXT, 60.0)
    slots.accept(NEXT, 60.0)
    slots.end(NEXT)
    slots.saw(key(0), 63.0, is_queued=False)
    slots.saw(key(1), 63.0, is_queued=False)
    assert slots.free_at_s(63.0) == 63.0


def test_probes_of_a_larger_cap_begin_with_the_first_pause_again() -> None:
    """However rare probes had become, a cap that proved larger is probed as any new one."""
    slots = learned(1)
    assert slots.start(NEXT, 60.0)
    assert slots.throttle(NEXT, 60.0)
    assert slots.start(NEXT, 180.0)
    slots.accept(NEXT, 180.0)
    slots.saw(key(0), 183.0, is_queued=False)
    assert slots.learned == 2
    assert slots.start(key(9), 184.0)
    slots.accept(key(9), 184.0)
    assert slots.free_at_s(185.0) == 184.0 + PROBE_FIRST_S


def test_a_refusal_below_the_cap_lowers_it() -> None:
    """Refused with fewer open than were believed to fit: somebody else is there, and the cap is what is open."""
    slots = learned(3)
    slots.end(key(0))
    assert slots.start(NEXT, 10.0)
    assert slots.throttle(NEXT, 10.0)
    assert slots.learned == 2


def test_probes_stop_at_the_declared_cap() -> None:
    """A learned cap grows back to the declared one and not above."""
    slots = learned(1, declared=2)
    assert slots.free_at_s(0.0) == PROBE_FIRST_S
    assert slots.start(NEXT, 60.0)
    slots.accept(NEXT, 60.0)
    slots.saw(key(0), 61.0, is_queued=False)
    assert slots.learned == 2
    assert slots.free_at_s(1e6) == math.inf


def test_a_service_that_queues_is_not_given_a_long_queue() -> None:
    """Where nothing is refused, a few tasks are queued ahead, and as many as run."""
    slots = filled(Slots(refuses=False, side_by_side=True), 0)
    for task in range(QUEUED_AHEAD):
        assert slots.start(key(task), 0.0)
        slots.accept(key(task), 0.0)
        slots.saw(key(task), 0.0, is_queued=True)
    assert slots.free_at_s(0.0) == math.inf
    slots.saw(key(0), 3.0, is_queued=False)
    assert slots.start(NEXT, 3.0)
    slots.drop(NEXT)
    for task in range(1, 20):
        slots.adopt(key(task))
        slots.saw(key(task), 3.0, is_queued=False)
    assert [slots.start(key(number), 3.0) for number in range(100, 100 + 21)] == [True] * 20 + [False]


def test_a_throttle_where_nothing_is_refused_over_a_cap_teaches_no_cap() -> None:
    """A rate that was exceeded says nothing of how many may be open."""
    slots = filled(Slots(refuses=False), 2)
    assert slots.start(NEXT, 0.0)
    assert not slots.throttle(NEXT, 0.0)
    assert slots.learned is None


@pytest.mark.parametrize("refuses", [True, False])
def test_what_is_over_counts_no_longer(refuses: bool) -> None:
    """Ended twice, or ended without having been open, changes no count."""
    slots = filled(Slots(5, refuses=refuses), 2)
    slots.saw(key(0), 0.0, is_queued=True)
    for task in (key(0), key(0), NEXT, key(1)):
        slots.end(task)
    assert slots.in_flight == 0
    assert [slots.start(key(number), 0.0) for number in range(100, 100 + 6)] == [True] * 5 + [False]


def test_who_leaves_takes_its_own_along() -> None:
    """What one owner put in goes when it leaves, and nothing of another's."""
    slots = filled(Slots(5), 2)
    assert slots.start(key(7), 0.0)
    assert slots.start(NEXT, 0.0)
    slots.leave("us", 0.0)
    assert slots.in_flight == 1
    slots.leave("somebody", 0.0)
    assert slots.in_flight == 0


def test_what_nobody_looks_at_any_more_counts_for_a_minute() -> None:
    """A task that goes on without anybody looking keeps its slot for a task's usual life, and no longer."""
    slots = filled(Slots(2), 2)
    slots.look_away(key(0), 100.0)
    slots.look_away(key(0), 110.0)
    assert slots.in_flight == 1
    assert slots.free_at_s(100.0) == 100.0 + UNSEEN_S
    assert not slots.start(NEXT, 159.0)
    assert slots.start(NEXT, 160.0)
