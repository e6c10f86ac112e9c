"""A wall clock that is set while somebody waits: by the injected clock, since freezegun moves the monotonic one too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.testing import InProcessDashScope
from resilient_poll import DashScope, ResilientPollError, StillGoing
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine.instant import Instant
from tests.support.colours import INPUT, MODEL
from tests.support.profiles import examples

START = Instant(0.0, datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC).timestamp())
STILL_RUNNING = "StillRunning"
LIVES = {
    "a video": "tasks: [PENDING 3 polls -> RUNNING 4 polls -> SUCCEEDED]",
    "a task that goes on": "tasks: [RUNNING]",
    "an id that is only late": "tasks: [UNKNOWN 6 polls -> RUNNING 2 polls -> SUCCEEDED]",
    "throttled in seconds": "poll: [{throttle: {retry_after: 17s}}]\ntasks: [RUNNING 3 polls -> SUCCEEDED]",
    "throttled with a date": (
        "poll: [{throttle: {retry_after: 17s, form: http-date}}]\ntasks: [RUNNING 3 polls -> SUCCEEDED]"
    ),
    "a create that is throttled": (
        "create: [{throttle: {retry_after: 7s, form: http-date}}]\ntasks: [RUNNING 1 poll -> SUCCEEDED]"
    ),
    "a bad gateway": "poll: [{status: 502, times: 3}]\ntasks: [RUNNING 3 polls -> SUCCEEDED]",
}


class SetClock(VirtualClock):
    """A clock whose wall time somebody sets, at some moments, while its monotonic time goes on.

    Args:
        sets: By how many seconds it is set, by the monotonic second.
    """

    def __init__(self, sets: dict[float, float]) -> None:
        super().__init__(START)
        self._sets = sets

    def now(self) -> Instant:
        """Return what both clocks show."""
        now = super().now()
        by_s = sum(by_s for at_s, by_s in self._sets.items() if at_s <= now.monotonic_s)
        return Instant(now.monotonic_s, now.wall_s + by_s)


class TrueClock:
    """The same time for the service, whose wall clock nobody sets."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> Instant:
        """Return the present."""
        return VirtualClock.now(self._clock)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)


def played(life: str, sets: dict[float, float], deadline_in_s: float | None = None) -> list[str]:
    """Play a life; return when the service was asked what, and how it ended, by the monotonic clock."""
    clock = SetClock(sets)
    text = f"version: 1\nsummary: Drawn.\n{LIVES[life]}\nexpect: {{outcome: SUCCEEDED}}\n"
    fake = InProcessDashScope(text, clock=TrueClock(clock))
    ended = ""
    deadline = None if deadline_in_s is None else datetime.fromtimestamp(START.wall_s + deadline_in_s, UTC)
    with httpx.Client(transport=fake.httpx_transport()) as http_client:
        options: dict[str, Any] = {"http_client": http_client, "clock": clock, "make_seed": lambda: "seed"}
        url = f"{fake.origin}/api/v1"
        with DashScope(dialect="dashscope", api_key=fake.key, base_url=url, **options) as client:
            try:
                task = client.submit(MODEL, INPUT)
                made = task.wait(timeout=90 if deadline is None else None, deadline=deadline)
                ended = f"{made.status} after {made.polls} polls"
                client.task(task.resume_token)
            except ResilientPollError as error:
                ended = type(error).__name__
    asked = [f"{line.route} at {line.at_s:.3f}" for line in fake.engine.journal.entries]
    return [*asked, f"{ended} at {clock.now().monotonic_s:.3f}"]


sets = st.dictionaries(
    st.floats(0.0, 60.0),
    st.sampled_from([-86_400.0 * 400, -90_000.0, -3600.0, -1.0, 1.0, 3600.0, 90_000.0, 86_400.0 * 400]),
    min_size=1,
    max_size=3,
)


@settings(max_examples=examples(80))
@given(life=st.sampled_from(sorted(LIVES)), sets=sets)
def test_a_clock_that_is_set_changes_nothing(life: str, sets: dict[float, float]) -> None:
    """However the wall clock is set while it is waited, every request goes out when it would have, to the same end."""
    assert played(life, sets) == played(life, {})


@settings(max_examples=examples(30))
@given(at_s=st.floats(5.0, 40.0), by_s=st.sampled_from([-90_000.0, -3600.0, 3600.0, 90_000.0]))
def test_a_deadline_that_was_agreed_on_does_not_move(at_s: float, by_s: float) -> None:
    """A deadline given as a moment is that of the clock when the wait began, whatever the clock is set to later."""
    trace = played("a task that goes on", {at_s: by_s}, deadline_in_s=45.0)
    assert trace == played("a task that goes on", {}, deadline_in_s=45.0)
    assert trace[-1].startswith(STILL_RUNNING)
    assert 40.0 <= float(trace[-1].rpartition(" ")[2]) <= 45.25


@pytest.mark.parametrize("life", LIVES)
def test_each_life_is_one_that_could_be_disturbed(life: str) -> None:
    """Each life asks at several moments, so that a clock has been set between some of them."""
    assert len(played(life, {})) >= 5


def test_a_clock_set_ahead_gives_up_no_late_id() -> None:
    """A clock that is set ahead by more than a day makes no task of today one of yesterday: an id may still be late."""
    trace = played("an id that is only late", {4.0: 90_000.0})
    assert trace[-1].startswith("SUCCEEDED")


def test_the_error_is_one_of_a_wait() -> None:
    """The name above is that of an error of this package."""
    assert STILL_RUNNING in {kind.__name__ for kind in StillGoing.__subclasses__()}
