"""Limits, and the refusal of those that make no sense."""

from __future__ import annotations

import math

import pytest

from resilient_poll import ConfigurationError
from resilient_poll.machine import Fixed, Phase, SubmitPolicy, WaitPolicy


def test_the_defaults_are_as_documented() -> None:
    """The defaults are those of docs/decisions.md."""
    wait, submit = WaitPolicy(), SubmitPolicy()
    assert (wait.timeout_s, wait.attempt_timeout_s, wait.minimum_interval_s) == (300.0, 15.0, 0.5)
    assert (wait.unrecognized_grace_s, wait.unrecognized_grace_once_seen_s) == (60.0, 120.0)
    assert dict(wait.phase_limits_s) == {Phase.UNLISTED: 120.0}
    assert wait.schedule == Fixed(3.0)
    assert (submit.timeout_s, submit.attempt_timeout_s, submit.minimum_s) == (300.0, 60.0, 1.0)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"timeout_s": math.inf}, "for ever"),
        ({"timeout_s": math.nan}, "timeout_s"),
        ({"attempt_timeout_s": 0}, "attempt_timeout_s"),
        ({"max_failing_s": -1}, "max_failing_s"),
        ({"max_failures_in_a_row": 0}, "max_failures_in_a_row"),
        ({"unrecognized_grace_s": -1}, "unrecognized_grace_s"),
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


@pytest.mark.parametrize("wrong", [{"timeout_s": 0.5}, {"timeout_s": math.inf}, {"attempt_timeout_s": 0}])
def test_a_submit_without_sense_is_refused(wrong: dict[str, float]) -> None:
    """A submit with less time than a sending needs is refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        SubmitPolicy(**wrong)  # type: ignore[arg-type]
