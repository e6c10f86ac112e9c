"""Property 4: no hammering."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine import (
    ENDS,
    Done,
    Fixed,
    Floor,
    Phase,
    Poller,
    StatusSeen,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from resilient_poll.machine.policy import RESULT_REFETCHES
from tests.support.machine_strategies import LIFECYCLE, Reply, policies, worlds
from tests.support.polling_world import Seen, new_poller, watch
from tests.support.properties import Property

ROUNDING_S = 1e-6


def _floors(seen: Seen) -> list[tuple[float, float]]:
    """When each hint was heard, and until when it asks to stay away."""
    return [
        (at_s, at_s + heard.retry_after_s)
        for at_s, heard in zip(seen.answered_s, seen.heard, strict=True)
        if isinstance(heard, Throttled | Unreachable) and heard.retry_after_s is not None
    ]


def gently(policy: WaitPolicy, world: Sequence[Reply]) -> None:
    clock = VirtualClock()
    seen = watch(new_poller(policy, clock), world, clock)
    for (answered_s, asked_s), after in zip(
        zip(seen.answered_s, seen.asked_s[1:], strict=False), seen.heard, strict=False
    ):
        assert asked_s - answered_s >= 0.5 - ROUNDING_S, f"twice within half a second, after {after}"
    for heard_s, until_s in _floors(seen):
        early = [asked_s for asked_s in seen.asked_s if heard_s < asked_s < until_s - ROUNDING_S]
        assert not early, f"asked at {early} and told to stay away until {until_s}"


def not_after_an_end(policy: WaitPolicy, world: Sequence[Reply]) -> None:
    clock = VirtualClock()
    poller = new_poller(policy, clock)
    seen = watch(poller, world, clock)
    phases = [LIFECYCLE.phase_of(heard.status) if isinstance(heard, StatusSeen) else None for heard in seen.heard]
    ends = [ordinal for ordinal, phase in enumerate(phases) if phase in ENDS]
    if not ends:
        return
    first = ends[0]
    lacking = phases[first] is Phase.SUCCEEDED and not seen.heard[first].result_readable  # type: ignore[union-attr]
    assert len(seen.heard) - first - 1 <= (RESULT_REFETCHES if lacking else 0)
    clock.advance(10_000)
    assert isinstance(poller.next_command(clock.now()), Done)


def together(policy: WaitPolicy, world: Sequence[Reply], other: Sequence[Reply]) -> None:
    clock, floor = VirtualClock(), Floor()
    first = watch(new_poller(policy, clock, floor), world, clock)
    second = watch(new_poller(policy, clock, floor), other, clock)
    for heard_s, until_s in _floors(first):
        early = [asked_s for asked_s in second.asked_s if heard_s < asked_s < until_s - ROUNDING_S]
        assert not early, f"another task asked at {early}; the account is to stay away until {until_s}"


GENTLY = Property(gently, policy=policies, world=worlds)
NOT_AFTER_AN_END = Property(not_after_an_end, policy=policies, world=worlds)
TOGETHER = Property(together, policy=policies, world=worlds, other=worlds)


FAST = Property(gently, policy=st.builds(WaitPolicy, schedule=st.builds(Fixed, st.floats(0.01, 1))), world=worlds)


def test_polls_keep_their_distance() -> None:
    """No poll comes within half a second of the last answer, or before the service's Retry-After."""
    GENTLY.holds()


def test_no_poll_follows_an_end() -> None:
    """After an end nothing is scheduled; a success without a result is asked about three times more at most."""
    NOT_AFTER_AN_END.holds()


def test_floors_are_shared_by_the_account() -> None:
    """What one task is told by Retry-After, the other tasks of the account obey."""
    TOGETHER.holds()


def test_a_schedule_without_a_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the floor under the schedule is gone."""
    original = WaitPolicy.__post_init__

    def floorless(self: WaitPolicy) -> None:
        original(self)
        object.__setattr__(self, "minimum_interval_s", 0.0)

    monkeypatch.setattr(WaitPolicy, "__post_init__", floorless)
    FAST.catches_the_planted_fault()


def test_an_ignored_hint_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: Retry-After is read and forgotten."""
    genuine = Poller.__init__

    class Deaf(Floor):
        def raise_to(self, at_s: float) -> None:
            """Forget it."""

    def deaf(self: Poller, *parts: Any, **named: Any) -> None:
        genuine(self, *parts, **{**named, "floor": Deaf()})

    monkeypatch.setattr(Poller, "__init__", deaf)
    GENTLY.catches_the_planted_fault()


def test_a_private_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: each task keeps a floor of its own."""
    genuine = Poller.__init__

    def alone(self: Poller, *parts: Any, floor: Floor, **named: Any) -> None:
        del floor
        genuine(self, *parts, **named)

    monkeypatch.setattr(Poller, "__init__", alone)
    TOGETHER.catches_the_planted_fault()


def test_a_poll_after_the_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the machine does not see that the task has ended."""
    monkeypatch.setattr("resilient_poll.machine.task_record.TaskRecord.is_ended", property(lambda self: False))  # noqa: ARG005
    NOT_AFTER_AN_END.catches_the_planted_fault()


def test_pairs_are_looked_at() -> None:
    """The check for distance looks at pairs of queries at all: an ordinary wait has several."""
    clock = VirtualClock()
    seen = watch(new_poller(WaitPolicy(timeout_s=30.0), clock), [Reply(0.0, StatusSeen(status="working"))], clock)
    assert len(list(pairwise(seen.asked_s))) >= 8
