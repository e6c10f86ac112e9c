"""A `Retry-After` holds whatever answer it stands in: a gateway's page, a refusal, a success, an answer that is cut."""

from __future__ import annotations

import pytest

from resilient_poll.dashscope.wire.dialects import DIALECTS, LIFECYCLE
from resilient_poll.dashscope.wire.translate import translate_create, translate_query
from resilient_poll.http.messages import Answer
from resilient_poll.machine import Floor, Instant, Query, SleepUntil, Submit, SubmitStarted, WaitPolicy
from resilient_poll.machine.commands import SleepReason
from resilient_poll.machine.policy import SubmitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

NOW = Instant(100.0, 1_750_000_000.0)
BODIES = {
    "a page": b"<html>slow down</html>",
    "the service's own": b'{"code": "AccessDenied", "message": "no", "request_id": "r"}',
    "a task": b'{"output": {"task_id": "task-1", "task_status": "RUNNING"}, "request_id": "r"}',
    "half a task": b'{"output": {"task_id": "task-1", "task_st',
    "no status": b'{"output": {}, "request_id": "r"}',
    "another's": b'{"output": {"task_id": "task-9", "task_status": "RUNNING"}, "request_id": "r"}',
}
ANSWERS = [
    *((status, "a page") for status in (401, 403, 404, 408, 409, 429, 500, 502, 503, 504)),
    *((status, "the service's own") for status in (400, 401, 403, 404, 408, 409, 429, 500, 503)),
    *((200, body) for body in ("a page", "half a task", "no status")),
]


def answer(status: int, body: str) -> Answer:
    return Answer(status, (("retry-after", "20"),), BODIES[body])


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_no_create_of_the_account_comes_before_it(status: int, body: str) -> None:
    """Whatever a create is answered with and comes to, another of the account stays away until its Retry-After."""
    floor = Floor()
    first = Submission(SubmitPolicy(), NOW, seed="a", floor=floor)
    assert isinstance(first.next_command(NOW), Submit)
    first.receive(SubmitStarted(), NOW)
    first.receive(translate_create(answer(status, body), DIALECTS["dashscope"], NOW.wall_s), NOW)
    other = Submission(SubmitPolicy(), NOW, seed="b", floor=floor)
    assert other.next_command(NOW.later(19.9)) == SleepUntil(NOW.monotonic_s + 20.0, SleepReason.SERVER)
    assert isinstance(other.next_command(NOW.later(20.0)), Submit)


@pytest.mark.parametrize(("status", "body"), [*ANSWERS, (200, "a task"), (200, "another's")])
def test_no_poll_of_the_account_comes_before_it(status: int, body: str) -> None:
    """Whatever a poll is answered with, no wait of the account polls before its Retry-After is over."""
    floor = Floor()
    poller = Poller(TaskRecord.known_by_id("task-1", NOW), LIFECYCLE, WaitPolicy(), NOW, floor=floor)
    assert isinstance(poller.next_command(NOW), Query)
    poller.receive(translate_query(answer(status, body), DIALECTS["dashscope"], "task-1", NOW.wall_s), NOW)
    poller.begin_wait(WaitPolicy(), NOW)
    other = Poller(TaskRecord.known_by_id("task-2", NOW), LIFECYCLE, WaitPolicy(), NOW, floor=floor)
    for waiting in (poller, other):
        assert waiting.next_command(NOW.later(19.9)) == SleepUntil(NOW.monotonic_s + 20.0, SleepReason.SERVER)
        assert isinstance(waiting.next_command(NOW.later(20.0)), Query)
