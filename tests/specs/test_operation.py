"""Waiting for an operation that was declared by acceptors, and declarations that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll import Acceptor, ConfigurationError, OperationSpec, Reply, TaskFailed, poll
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.specs.acceptors import Matcher, State

WAITER: dict[str, Any] = {
    "operation": "DescribeRender",
    "delay": 7,
    "maxAttempts": 5,
    "acceptors": [
        {"state": "success", "matcher": "path", "argument": "render.state", "expected": "done"},
        {"state": "failure", "matcher": "path", "argument": "render.state", "expected": "broken"},
        {"state": "retry", "matcher": "error", "expected": "NotFound"},
    ],
}


def replies(*replies: Reply) -> tuple[OperationSpec, Any]:
    """Return the operation, and a query that gives these answers one after the other."""
    spec, rest = OperationSpec.from_botocore(WAITER), list(replies)
    return spec, lambda: spec.observe(rest.pop(0))


def test_an_operation_is_waited_for_by_its_acceptors() -> None:
    """A wait goes on while nothing matches or an acceptor says retry, every seven seconds, and ends with success."""
    clock = VirtualClock()
    began_s = clock.now().monotonic_s
    spec, query = replies(
        Reply(error_code="NotFound", http_status=404),
        Reply({"render": {"state": "working"}}, 200),
        Reply(error_code="Unavailable", http_status=503),
        Reply({"render": {"state": "done", "url": "u"}}, 200),
    )
    outcome = poll(query, lifecycle=spec.lifecycle, schedule=spec.schedule, timeout=spec.timeout_s, clock=clock)
    assert outcome.result == {"render": {"state": "done", "url": "u"}}
    assert clock.now().monotonic_s - began_s >= 3 * 7


def test_a_failure_is_typed() -> None:
    """An acceptor that says failure ends the wait as a failed task."""
    spec, query = replies(Reply({"render": {"state": "broken"}}, 200))
    with pytest.raises(TaskFailed):
        poll(query, lifecycle=spec.lifecycle, clock=VirtualClock())


@pytest.mark.parametrize(
    "change",
    [
        {"acceptors": WAITER["acceptors"][1:]},
        {"acceptors": [{**WAITER["acceptors"][0], "argument": "render..state"}]},
        {"acceptors": [{"state": "success", "matcher": "path", "expected": "done"}]},
        {"acceptors": [{"state": "perhaps", "matcher": "status", "expected": 200}]},
        {"acceptors": [{"state": "success", "matcher": "status", "expected": True}]},
        {"acceptors": [{"state": "success", "matcher": "error", "expected": 4}]},
        {"acceptors": ["success"]},
        {"delay": 0},
        {"maxAttempts": "5"},
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    """A waiter that could never end well, or whose lines cannot be read, is refused before anything is asked."""
    with pytest.raises(ConfigurationError):
        OperationSpec.from_botocore({**WAITER, **change})


def test_one_is_not_true() -> None:
    """A number is not the truth value that Python takes it for."""
    acceptor = Acceptor(State.SUCCESS, Matcher.PATH, True, "ready")
    assert acceptor.matches(Reply({"ready": True}))
    assert not acceptor.matches(Reply({"ready": 1}))
