"""Observations, policies and worlds for property tests of the machine, for no service in particular."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from resilient_poll.machine import (
    Exponential,
    Fixed,
    Lifecycle,
    Linear,
    Observation,
    Phase,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
    WaitPolicy,
)

LIFECYCLE = Lifecycle(
    name="test",
    statuses={
        "waiting": Phase.QUEUED,
        "working": Phase.RUNNING,
        "done": Phase.SUCCEEDED,
        "broken": Phase.FAILED,
        "stopped": Phase.CANCELED,
        "who?": Phase.UNRECOGNIZED,
    },
)
UNLISTED_WORD = "novel"
OPEN_WORDS = ("waiting", "working", "who?", UNLISTED_WORD)
END_WORDS = ("done", "broken", "stopped")

durations = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
words = st.sampled_from((*OPEN_WORDS, *END_WORDS))
hints = st.none() | st.floats(0, 120).map(lambda value: round(value, 3))


def statuses(of: st.SearchStrategy[str] = words) -> st.SearchStrategy[Observation]:
    """Answers with a status; a success sometimes lacks its result."""
    return st.builds(StatusSeen, status=of, result_readable=st.sampled_from([True, True, True, False]))


failures: st.SearchStrategy[Observation] = st.one_of(
    st.builds(Throttled, retry_after_s=hints),
    st.builds(Unreachable, reason=st.just("HTTP 502"), retry_after_s=hints),
    st.builds(Unreachable, reason=st.just("ReadError"), retry_after_ignored=st.sampled_from([None, "junk"])),
    st.builds(Unreadable, reason=st.just("HTML"), retry_after_s=hints),
)
refusals: st.SearchStrategy[Observation] = st.builds(Refused, http_status=st.sampled_from([401, 403, 404]))
observations: st.SearchStrategy[Observation] = st.one_of(statuses(), failures, refusals)

schedules = st.one_of(
    st.builds(Fixed, interval_s=durations, first_s=st.none() | durations),
    st.builds(Linear, first_s=durations, step_s=durations, cap_s=durations),
    st.builds(Exponential, first_s=durations, cap_s=durations, factor=st.floats(1, 4)),
)
policies = st.builds(
    WaitPolicy,
    timeout_s=st.floats(0.05, 600).map(lambda value: round(value, 3)),
    attempt_timeout_s=st.floats(0.1, 30).map(lambda value: round(value, 3)),
    schedule=schedules,
    start_spread_s=st.sampled_from([0.0, 0.0, 5.0]),
    phase_limits_s=st.dictionaries(
        st.sampled_from([Phase.QUEUED, Phase.RUNNING, Phase.UNRECOGNIZED]), st.floats(0.1, 300), max_size=1
    ),
)


@dataclass(frozen=True)
class Reply:
    """What the world says to one query, and how long it takes to say it."""

    latency_s: float
    observation: Observation


latencies = st.sampled_from([0.0, 0.05, 0.3, 2.0, 40.0, 1000.0])
replies = st.builds(Reply, latencies, observations)
worlds = st.lists(replies, min_size=1, max_size=30)
