"""A stretch of queries is handed over once, and means what single queries mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resilient_poll import Lifecycle, WaitPolicy
from resilient_poll.drive import stretch
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import AttemptFailed, Event, PhaseChanged, Polled
from resilient_poll.machine.commands import DoneReason
from resilient_poll.machine.observations import Observation, StatusSeen, Unreachable
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Fixed
from resilient_poll.machine.task_record import TaskRecord

LIFECYCLE = Lifecycle.of(running=["RUNNING"], succeeded=["SUCCEEDED"])


class Scripted:
    """Queries whose answers are known: words, None for one that is too slow, two words for one of two requests."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.handed_over = 0
        self.asked_for_s: list[float] = []

    def begin(self, timeout_s: float) -> None:
        self.asked_for_s.append(timeout_s)

    def send(self, left_behind: Any) -> Any:
        del left_behind
        return self.answers.pop(0)

    def hear(self, came: Any) -> Observation | float:
        return 1.0 if came == "(more)" else StatusSeen(status=came)

    def too_slow(self, timeout_s: float) -> Observation:
        return Unreachable(reason=f"no answer within {timeout_s:g} s")

    def within(self, function: Callable[[Any], Any], timeout_s: float, follow: Callable[[Any], float | None]) -> bool:
        """Do what :func:`.is_within` does, in this thread and without time."""
        self.handed_over += 1
        left_s: float | None = timeout_s
        while left_s is not None:
            came = function(None)
            if came is None:
                return False
            left_s = follow(came)
        return True


def waited(queries: Scripted, *, interval_s: float = 0.0, is_heard: bool = False) -> tuple[list[Event], Poller]:
    clock = VirtualClock()
    policy = WaitPolicy(schedule=Fixed(interval_s), minimum_interval_s=0.0, timeout_s=100.0, attempt_timeout_s=7.0)
    poller = Poller(TaskRecord.known_by_id("t", clock.now()), LIFECYCLE, policy, clock.now())
    poller.is_heard = is_heard
    events: list[Event] = []
    done = stretch.run(poller, queries, clock, events.append, queries.within)
    assert done.reason is DoneReason.ENDED
    return events, poller


def test_queries_that_follow_at_once_are_handed_over_once() -> None:
    """Without a pause and without news there is one hand-over for any number of queries."""
    queries = Scripted(*["RUNNING"] * 50, "SUCCEEDED")
    events, poller = waited(queries)
    # The first word is news, and so is the last.
    assert queries.handed_over == 2
    assert poller.record.polls == 51
    assert [event.after for event in events if isinstance(event, PhaseChanged)] == ["RUNNING", "SUCCEEDED"]


@pytest.mark.parametrize("how", [{"interval_s": 1.0}, {"is_heard": True}])
def test_a_pause_or_a_listener_is_served_by_the_callers_thread(how: dict[str, Any]) -> None:
    """Where there is a pause to make or somebody to tell, each query comes back before the next one is handed over."""
    queries = Scripted(*["RUNNING"] * 5, "SUCCEEDED")
    events, _ = waited(queries, **how)
    assert queries.handed_over == 6
    assert sum(isinstance(event, Polled) for event in events) == (6 if how.get("is_heard") else 0)


def test_a_query_of_two_requests_is_one_query() -> None:
    """A request that belongs to the query before it is sent in the same stretch, and counts for nothing by itself."""
    queries = Scripted("RUNNING", "(more)", "RUNNING", "(more)", "SUCCEEDED")
    _, poller = waited(queries)
    assert poller.record.polls == 3
    assert queries.asked_for_s == [7.0, 7.0, 7.0]


def test_a_query_that_is_too_slow_is_a_failed_one() -> None:
    """A query in the middle of a stretch that is left behind counts as failed, with its own time in the words."""
    queries = Scripted("RUNNING", "RUNNING", None, "SUCCEEDED")
    events, poller = waited(queries)
    assert poller.record.polls == 4
    reasons = [event.reason for event in events if isinstance(event, AttemptFailed)]
    assert reasons == ["no answer within 7 s"]
