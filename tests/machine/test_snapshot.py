"""Snapshots come from outside: what is damaged, foreign or too new is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import SnapshotError
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine import (
    Instant,
    Phase,
    Poller,
    Query,
    SleepReason,
    SleepUntil,
    StatusSeen,
    TaskRecord,
    Throttled,
    WaitPolicy,
    snapshot,
)
from tests.support.machine_strategies import LIFECYCLE, Reply, worlds
from tests.support.polling_world import new_poller, watch
from tests.support.properties import Property

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


def good() -> dict[str, Any]:
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    clock.advance(3.0)
    poller.receive(StatusSeen(status="working", request_id="r"), clock.now())
    clock.advance(3.0)
    return snapshot.take(poller.record, clock.now())


def test_a_hint_survives_a_restart() -> None:
    """What the service asked for is kept by the wall clock; a hint beyond all reason is forgotten."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    poller.receive(Throttled(retry_after_s=60.0), clock.now())
    kept = snapshot.take(poller.record, clock.now())
    later = Instant(500.0, clock.now().wall_s + 20.0)
    restored = snapshot.restore(kept, later)
    assert Poller(restored, LIFECYCLE, WaitPolicy(), later).next_command(later) == SleepUntil(
        pytest.approx(540.0), SleepReason.SERVER
    )
    beyond_reason = {**kept, "not_before": later.wall_s + 7 * 86_400 + 1, "not_before_in": None}
    assert snapshot.restore(beyond_reason, later).not_before is None
    longest = {**kept, "not_before": later.wall_s + 7 * 86_400, "not_before_in": None}
    assert snapshot.restore(longest, later).not_before == Instant(500.0 + 7 * 86_400, later.wall_s + 7 * 86_400)


def test_a_clock_that_was_set_back_lengthens_no_hint() -> None:
    """After a restart with the clock set back by hours, the account is left alone for what was left of the hint."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    poller.receive(Throttled(retry_after_s=60.0), clock.now())
    clock.advance(20.0)
    kept = snapshot.take(poller.record, clock.now())
    set_back = Instant(500.0, clock.now().wall_s - 7_000.0)
    restored = snapshot.restore(kept, set_back)
    assert restored.not_before == set_back.later(40.0)
    earlier_release = {name: value for name, value in kept.items() if name != "not_before_in"}
    assert snapshot.restore(earlier_release, set_back).not_before == set_back.later(7_040.0)


NOW = Instant(50.0, 1_750_000_100.0)


def round_trip(world: list[Reply]) -> None:
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    watch(poller, world, clock)
    kept = snapshot.take(poller.record, clock.now())
    again = snapshot.restore(json.loads(json.dumps(kept)), clock.now())
    for name, value in snapshot.take(again, clock.now()).items():
        assert value == (pytest.approx(kept[name]) if isinstance(kept[name], float) else kept[name]), name


ROUND_TRIP = Property(round_trip, world=worlds)


def test_a_snapshot_survives_json() -> None:
    """What is taken, written as JSON, read and restored is the same, whatever the task went through."""
    ROUND_TRIP.holds()


def test_a_snapshot_holds_nothing_of_the_result() -> None:
    """No answer, message or address is kept: a snapshot may lie in a log."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    poller.receive(
        StatusSeen(status="done", message="secret words", result={"url": "http://assets/secret"}), clock.now()
    )
    kept = json.dumps(snapshot.take(poller.record, clock.now()))
    assert "secret" not in kept
    assert "http" not in kept


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.NEW, Phase.SUBMITTING, Phase.IN_DOUBT, Phase.REFUSED}))
def test_every_phase_of_an_accepted_task_is_restored(phase: Phase) -> None:
    """Wherever an accepted task can stand, given up by a human included, its snapshot can be read."""
    assert snapshot.restore({**good(), "phase": phase.value}, Instant(0.0, 1e9)).phase is phase


@pytest.mark.parametrize("length", [1, 1024])
def test_long_ids_and_ids_that_were_picked_up_are_restored(length: int) -> None:
    """A task picked up by its id, of up to 1,024 characters, goes on with draws of its own in another process."""
    now = Instant(0.0, 1e9)
    picked_up = TaskRecord.known_by_id("i" * length, now)
    accepted = TaskRecord.accepted("i" * length, LIFECYCLE, now, seed="its submit's")
    for record in (picked_up, accepted):
        assert snapshot.restore(snapshot.take(record, now), now) == record
    assert (picked_up.seed, accepted.seed) == (picked_up.task_id, "its submit's")


def test_a_restored_success_fetches_its_result() -> None:
    """A success without its result, as a snapshot has it, is asked about again."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    poller.receive(StatusSeen(status="done"), clock.now())
    restored = snapshot.restore(snapshot.take(poller.record, clock.now()), clock.now())
    assert restored.phase is Phase.SUCCEEDED
    assert isinstance(Poller(restored, LIFECYCLE, WaitPolicy(), clock.now()).next_command(clock.now()), Query)


def test_times_survive_another_clock() -> None:
    """In another process, whose monotonic clock starts elsewhere, ages are kept by the wall clock."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    kept = snapshot.take(poller.record, clock.now())
    later = Instant(7.0, clock.now().wall_s + 40.0)
    restored = snapshot.restore(kept, later)
    assert restored.time_per_phase(later) == {Phase.QUEUED: pytest.approx(40.0)}


def test_a_clock_that_was_set_back_places_nothing_in_the_future() -> None:
    """Where the wall clock went back, ages are zero, never negative."""
    clock = VirtualClock()
    kept = snapshot.take(new_poller(WaitPolicy(), clock).record, clock.now())
    earlier = Instant(7.0, clock.now().wall_s - 1000.0)
    assert snapshot.restore(kept, earlier).time_per_phase(earlier) == {Phase.QUEUED: 0.0}


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, True, 1.5])
def test_an_unknown_version_is_refused(version: object) -> None:
    """A version that this release does not know is refused, with what to do."""
    with pytest.raises(SnapshotError, match="version"):
        snapshot.restore({**good(), "version": version}, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_id", ""),
        ("task_id", 7),
        ("task_id", "x" * 2000),
        ("seed", None),
        ("phase", "PENDING"),
        ("phase", "NEW"),
        ("phase", "REFUSED"),
        ("phase", 3),
        ("phase_since", float("nan")),
        ("phase_since", True),
        ("phase_since", 10**400),
        ("billing", "FREE"),
        ("seen", 1),
        ("polls", -1),
        ("polls", 1.0),
        ("polls", True),
        ("earlier_s", []),
        ("earlier_s", {"QUEUED": -1}),
        ("earlier_s", {"queued": 1}),
        ("accepted_at", "now"),
        ("status", 5),
        ("code", []),
    ],
)
def test_a_damaged_field_is_refused_by_name(name: str, value: object) -> None:
    """Each field is checked, and the complaint names it or the phase."""
    with pytest.raises(SnapshotError, match=f"{name}|phase"):
        snapshot.restore({**good(), name: value}, NOW)


@given(json_values)
def test_garbage_is_refused(garbage: Any) -> None:
    """Anything that is no snapshot gives a SnapshotError and nothing else."""
    with pytest.raises(SnapshotError):
        snapshot.restore(garbage, NOW)


@given(st.sampled_from(sorted(good())), json_values)
def test_one_strange_field_gives_a_record_or_a_typed_error(name: str, value: Any) -> None:
    """With any field replaced by anything, a snapshot is read or refused, and nothing else happens."""
    try:
        snapshot.restore({**good(), name: value}, NOW)
    except SnapshotError as error:
        assert str(error)  # noqa: PT017  # both ways are right; a bare raise of anything else is not
