"""How late an end was seen: what ``EndSeen`` says is compared with the truth."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import EndSeen, Fixed, Polled, WaitPolicy
from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.dashscope.wire.translate import translate_query
from resilient_poll.http.messages import Answer
from resilient_poll.machine import Instant, Poller, TaskRecord
from resilient_poll.machine.observations import Observation, StatusSeen, Throttled, Unreachable
from tests.support.colours import INPUT, MODEL, run_in
from tests.support.machine_strategies import LIFECYCLE
from tests.telemetry.hearing import serving

seconds = st.floats(0.0, 100.0)
GOES_ON = StatusSeen(status="working")


def heard(steps: list[tuple[float, Observation]], *, is_accepted: bool) -> list[Any]:
    """Return what a poller tells of answers, each so many seconds after the one before."""
    now = Instant(0.0, 1e9)
    record = TaskRecord.accepted("t", LIFECYCLE, now) if is_accepted else TaskRecord.known_by_id("t", now)
    poller = Poller(record, LIFECYCLE, WaitPolicy(timeout_s=1e6), now)
    poller.is_heard = True
    events: list[Any] = []
    for after_s, observation in steps:
        now = now.later(after_s)
        events += poller.receive(observation, now)
    return events


@given(
    st.lists(st.tuples(seconds, st.sampled_from([GOES_ON, Throttled(), Unreachable(reason="lost")])), max_size=6),
    seconds,
    st.booleans(),
)
def test_without_the_services_word_it_is_the_most_that_it_can_be(
    before: list[tuple[float, Observation]], last_s: float, is_accepted: bool
) -> None:
    """The delay is the time since the latest answer that was no end, or since the acceptance, or unknown."""
    (end,) = [
        e
        for e in heard([*before, (last_s, StatusSeen(status="done"))], is_accepted=is_accepted)
        if isinstance(e, EndSeen)
    ]
    known = [number for number, (_, heard_then) in enumerate(before) if heard_then is GOES_ON]
    since = known[-1] + 1 if known else 0
    expected = sum(after_s for after_s, _ in before[since:]) + last_s if known or is_accepted else None
    assert end.is_exact is False
    assert end.delay_s == (None if expected is None else pytest.approx(expected))
    assert end.polls == len(before) + 1


@given(seconds, st.floats(-1e6, 1e6))
def test_the_services_word_is_believed_where_it_can_be_true(bound_s: float, said_s: float) -> None:
    """A time of the end before the latest answer that was none, or after the last one, is not believed."""
    steps = [(1.0, GOES_ON), (bound_s, StatusSeen(status="done", ended_ago_s=said_s))]
    (end,) = [event for event in heard(steps, is_accepted=True) if isinstance(event, EndSeen)]
    if -1.0 <= said_s <= (end.at_s - 1.0) + 1.0:
        assert end.is_exact
        assert end.delay_s == pytest.approx(max(0.0, min(said_s, bound_s)), abs=1e-6)
    else:
        assert not end.is_exact
        assert end.delay_s == pytest.approx(bound_s)


def test_an_end_is_seen_once() -> None:
    """However often a task that ended is asked about, its end is told once, and each poll is told."""
    events = heard([(1.0, StatusSeen(status="done"))] * 4, is_accepted=True)
    assert [type(event) for event in events if isinstance(event, EndSeen)] == [EndSeen]
    assert [event.poll for event in events if isinstance(event, Polled)] == [1, 2, 3, 4]


@pytest.mark.parametrize("interval_s", [0.7, 3.0, 11.0, 17.5])
def test_it_is_what_the_fake_knows(interval_s: float) -> None:
    """Against the fake, whose answers say when a task ended, the delay is the truth to its whole seconds."""
    served = serving("concurrency-cap")
    policy = WaitPolicy(schedule=Fixed(interval_s), timeout_s=600.0)

    async def main() -> str:
        async with served.client("sync", wait_policy=policy) as client:
            outcome = client.submit(MODEL, INPUT).wait()
            return str(outcome.result["output"]["end_time"])

    said = run_in("sync", main)
    (end,) = [event for event in served.exported.events if isinstance(event, EndSeen)]
    ended = datetime.strptime(said, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone(timedelta(hours=8)))
    truth_s = served.clock.now().wall_s - ended.timestamp()
    assert end.is_exact
    assert 0.0 <= truth_s <= interval_s
    assert abs(end.delay_s - truth_s) <= 1.0
    ((about, (total_s, count)),) = served.exported.points("resilient_poll.detection.delay")
    assert (about, total_s, count) == ({"resilient_poll.detection.is_exact": True}, pytest.approx(end.delay_s), 1)


@pytest.mark.parametrize(
    ("said", "ago_s"),
    [
        ("2025-01-08 17:39:54.112", 5.888),
        ("2025-01-08T09:39:54+00:00", 6.0),
        ("never", None),
        ("", None),
        (17, None),
        (None, None),
        ("2025-01-08 17:39:54.112" * 50, None),
    ],
)
def test_the_time_of_an_end_is_read_from_the_answers_own_clock(said: object, ago_s: float | None) -> None:
    """The time in an answer is compared with that answer's Date, not with a clock of ours; what is odd says nothing."""
    date = datetime(2025, 1, 8, 9, 40, 0, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    body = json.dumps({"output": {"task_id": "t", "task_status": "FAILED", "end_time": said}}).encode()
    seen = translate_query(Answer(200, (("date", date),), body), DIALECTS["dashscope"], "t", 0.0)
    assert isinstance(seen, StatusSeen)
    assert seen.ended_ago_s == (None if ago_s is None else pytest.approx(ago_s))
