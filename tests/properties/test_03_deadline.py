"""Property 3: the deadline is hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.drive.outcome import task_error
from resilient_poll.machine import Command, DoneReason, Instant, Poller, Query, StatusSeen, WaitPolicy
from resilient_poll.machine.policy import DEADLINE_MARGIN_S
from tests.support.machine_strategies import Reply, policies, worlds
from tests.support.polling_world import new_poller, watch
from tests.support.properties import Property

ROUNDING_S = 1e-6


def by_its_deadline(policy: WaitPolicy, world: Sequence[Reply]) -> None:
    clock = VirtualClock()
    poller = new_poller(policy, clock)
    seen = watch(poller, world, clock)
    assert seen.ended is not None
    assert seen.done is not None
    assert seen.ended.monotonic_s <= seen.began.monotonic_s + policy.timeout_s + DEADLINE_MARGIN_S
    error = task_error(poller.record, seen.done, seen.ended, resume_token="the-token", waited_s=1.0)
    if error is not None:
        assert error.task_id == "task-1"
        assert error.status == poller.record.status
        assert error.billing is poller.record.billing
        assert "task-1" in str(error)
        assert "the-token" in str(error)


def a_last_poll_just_before(policy: WaitPolicy, latency_s: float, word: str) -> None:
    clock = VirtualClock()
    poller = new_poller(policy, clock)
    seen = watch(poller, [Reply(latency_s, StatusSeen(status=word))], clock)
    assert seen.done is not None
    if seen.done.reason is not DoneReason.DEADLINE:
        return  # The phase had a limit of its own, and that came first.
    deadline_s = seen.began.monotonic_s + policy.timeout_s
    # 2 s or a tenth; the floor of 2 Hz may forbid a poll so soon after the one before.
    window_s = max(min(2.0, 0.10 * policy.timeout_s), 0.5)
    assert seen.answered_s, "a wait without one poll"
    assert seen.answered_s[-1] >= deadline_s - window_s - ROUNDING_S


BY_ITS_DEADLINE = Property(by_its_deadline, policy=policies, world=worlds)
LAST_POLL = Property(
    a_last_poll_just_before,
    policy=policies.map(lambda policy: replace(policy, start_spread_s=0.0)),
    latency_s=st.sampled_from([0.0, 0.01]),
    word=st.sampled_from(["waiting", "working"]),
)


def test_a_wait_ends_by_its_deadline() -> None:
    """Whatever the world says and however slowly, the caller hears in time, and with the id in hand."""
    BY_ITS_DEADLINE.holds()


def test_a_last_poll_comes_just_before_the_deadline() -> None:
    """A task that never ends is asked about once more in the last 2 s, or the last tenth, of the wait."""
    LAST_POLL.holds()


def test_a_query_that_is_not_cut_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a query may take its whole attempt time, whatever remains of the wait."""
    genuine = Poller.next_command

    def uncut(self: Poller, now: Instant) -> Command:
        command = genuine(self, now)
        return Query(command.attempt, 15.0) if isinstance(command, Query) else command

    monkeypatch.setattr(Poller, "next_command", uncut)
    BY_ITS_DEADLINE.catches_the_planted_fault()


def test_a_missing_last_poll_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the schedule alone decides, so the last look may be a whole interval old."""
    monkeypatch.setattr("resilient_poll.machine.poller.LAST_POLL_LEAD_S", -1e9)
    LAST_POLL.catches_the_planted_fault()
