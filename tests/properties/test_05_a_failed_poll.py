"""Property 5: a failed poll is not a failed task."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine import (
    Done,
    DoneReason,
    Instant,
    Observation,
    Phase,
    Poller,
    Refused,
    StatusSeen,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE, Reply, failures, refusals, statuses
from tests.support.polling_world import new_poller, watch
from tests.support.properties import Property

# No limit but these: what ends the wait must be what is looked at.
LONG = WaitPolicy(timeout_s=1_000_000.0, phase_limits_s={Phase.UNLISTED: 1_000_000.0})


def absorbed(bad: Sequence[Observation], word: str) -> None:
    clock = VirtualClock()
    poller = new_poller(LONG, clock)
    world = [Reply(0.0, observation) for observation in [*bad, StatusSeen(status=word)]]
    seen = watch(poller, world, clock)
    assert seen.done == Done(DoneReason.ENDED)
    assert poller.phase is LIFECYCLE.phase_of(word)
    assert len(seen.heard) == len(bad) + 1


def unchanged(before: Sequence[Observation], refusal: Refused) -> None:
    clock = VirtualClock()
    poller = new_poller(LONG, clock)
    world = [Reply(0.0, observation) for observation in before]
    seen = watch(poller, [*world, Reply(0.0, refusal)], clock)
    assert seen.done == Done(DoneReason.POLL_REFUSED)
    without = new_poller(LONG, VirtualClock())
    for observation in before:
        without.receive(observation, clock.now())
    assert (poller.phase, poller.billing) == (without.phase, without.billing)
    assert poller.phase not in {"FAILED", "REFUSED"}


ABSORBED = Property(absorbed, bad=st.lists(failures, max_size=12), word=st.sampled_from(["done", "broken", "stopped"]))
UNCHANGED = Property(
    unchanged,
    before=st.lists(statuses(st.sampled_from(["waiting", "working", "novel"])) | failures, max_size=5),
    refusal=refusals,
)


def test_failures_are_absorbed() -> None:
    """Whatever goes wrong on the way, and however often within the deadline, the wait finds the same end."""
    ABSORBED.holds()


def test_a_refusal_ends_the_wait_and_not_the_task() -> None:
    """401, 403 and 404 on a poll end the wait and leave the task's phase and bill as they were."""
    UNCHANGED.holds()


def test_a_third_failure_that_ends_the_wait_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: three failures in a row end the wait, as in a known peer."""
    monkeypatch.setattr(Poller, "_budget_is_spent", lambda self, failures, failing_s: failures >= 3)  # noqa: ARG005
    ABSORBED.catches_the_planted_fault()


def test_a_refusal_that_fails_the_task_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: 401 on a poll is read as "failed, not billed"."""
    genuine = Poller._on_refusal

    def fail(self: Poller, observation: Refused, now: Instant) -> object:
        events = genuine(self, observation, now)
        self.receive(StatusSeen(status="broken"), now)
        return events

    monkeypatch.setattr(Poller, "_on_refusal", fail)
    UNCHANGED.catches_the_planted_fault()
