"""Limits, and the refusal of those that make no sense."""

from __future__ import annotations

import math

import pytest

from resilient_poll import ConfigurationError
from resilient_poll.machine import Fixed, Phase, SubmitPolicy, WaitPolicy
from resilient_poll.machine.policy import DEADLINE_MARGIN_S


def test_the_defaults_are_as_documented() -> None:
    """The defaults are those of docs/decisions.md."""
    wait, submit = WaitPolicy(), SubmitPolicy()
    assert (wait.timeout_s, wait.attempt_timeout_s, wait.minimum_interval_s) == (300.0, 15.0, 0.5)
    assert (wait.unrecognized_grace_s, wait.unrecognized_grace_once_seen_s) == (60.0, 120.0)
    assert dict(wait.phase_limits_s) == {Phase.UNLISTED: 120.0}
    assert wait.schedule == Fixed(3.0)
    assert (submit.timeout_s, submit.attempt_timeout_s, submit.minimum_s) == (300.0, 60.0, 1.0)
    assert (submit.synchronous_attempt_timeout_s, DEADLINE_MARGIN_S) == (180.0, 0.25)


THIRTY_YEARS_S = 1e9


def test_what_is_just_within_reason_is_allowed() -> None:
    """One failure, thirty years, the last time that is in seconds, and a submit that has to start at once."""
    WaitPolicy(timeout_s=THIRTY_YEARS_S, minimum_interval_s=THIRTY_YEARS_S, max_failures_in_a_row=1)
    WaitPolicy(deadline_wall_s=1e12 - 1)
    SubmitPolicy(timeout_s=1.0, minimum_s=1.0)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"timeout_s": math.inf}, "for ever"),
        ({"timeout_s": math.nan}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"timeout_s": THIRTY_YEARS_S + 1}, "timeout_s"),
        ({"attempt_timeout_s": 0}, "attempt_timeout_s"),
        ({"deadline_wall_s": 0}, "deadline_wall_s"),
        ({"deadline_wall_s": True}, "deadline_wall_s"),
        ({"deadline_wall_s": "now"}, "deadline_wall_s"),
        ({"deadline_wall_s": 1e12}, "deadline_wall_s"),
        ({"max_failing_s": -1}, "max_failing_s"),
        ({"max_failures_in_a_row": 0}, "max_failures_in_a_row"),
        ({"unrecognized_grace_s": -1}, "unrecognized_grace_s"),
        ({"unrecognized_grace_once_seen_s": -1}, "unrecognized_grace_once_seen_s"),
        ({"minimum_interval_s": THIRTY_YEARS_S + 1}, "minimum_interval_s"),
        ({"minimum_interval_s": math.nan}, "minimum_interval_s"),
        ({"start_spread_s": math.inf}, "start_spread_s"),
        ({"phase_limits_s": {Phase.SUCCEEDED: 1.0}}, "SUCCEEDED"),
        ({"phase_limits_s": {Phase.RUNNING: -1.0}}, "RUNNING"),
    ],
)
def test_a_wait_without_sense_is_refused(wrong: dict[str, object], complaint: str) -> None:
    """A limit that no wait could keep is refused, by name."""
    with pytest.raises(ConfigurationError, match=complaint):
        WaitPolicy(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0.5},
        {"timeout_s": math.inf},
        {"attempt_timeout_s": 0},
        {"synchronous_attempt_timeout_s": 0},
        {"minimum_s": -1},
    ],
)
def test_a_submit_without_sense_is_refused(wrong: dict[str, float]) -> None:
    """A submit with less time than a sending needs is refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        SubmitPolicy(**wrong)  # type: ignore[arg-type]
