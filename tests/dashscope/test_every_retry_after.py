"""A `Retry-After` holds whatever answer it stands in: a gateway's page, a refusal, a success, an answer that is cut."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll import ResultAtOnce
from resilient_poll.dashscope.doubts.steps import about_a_task
from resilient_poll.dashscope.keeping.orphans import tell_of_break
from resilient_poll.dashscope.wire.dialects import DIALECTS, LIFECYCLE
from resilient_poll.dashscope.wire.endpoints import VIDEO
from resilient_poll.dashscope.wire.translate import translate_create, translate_query
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event, HintIgnored
from resilient_poll.http.messages import Answer
from resilient_poll.ledger import MemoryLedger
from resilient_poll.machine import Floor, Instant, Query, SleepUntil, Submit, SubmitStarted, WaitPolicy
from resilient_poll.machine.commands import SleepReason
from resilient_poll.machine.policy import SubmitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord
from tests.dashscope.scripted import Asked, Reply, a_client, said
from tests.support.colours import INPUT, MODEL, run_in

NOW = Instant(100.0, 1_750_000_000.0)
BODIES = {
    "a page": b"<html>slow down</html>",
    "the service's own": b'{"code": "AccessDenied", "message": "no", "request_id": "r"}',
    "a task": b'{"output": {"task_id": "task-1", "task_status": "RUNNING"}, "request_id": "r"}',
    "half a task": b'{"output": {"task_id": "task-1", "task_st',
    "a result": b'{"output": {"video_url": "https://assets.test/a.mp4"}, "request_id": "r"}',
    "an odd result": b'{"what": 1, "request_id": "r"}',
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


@pytest.mark.parametrize(("status", "body"), [*ANSWERS, (200, "a task"), (200, "a result")])
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


# Through the client: what is answered with a hint, and what is asked for next.
NEXT_AFTER_A_CREATE = ["another task", "a create", "a list"]
PAIRS = [
    *(("a task", then) for then in ("its task", "by its token", "by its key", *NEXT_AFTER_A_CREATE)),
    *(("a result", then) for then in NEXT_AFTER_A_CREATE),
    *(("an odd result", then) for then in NEXT_AFTER_A_CREATE),
    *(("a list", then) for then in ("another task", "a list")),
    ("an odd list", "a list"),
]
PAGE = {"data": [], "total": 0, "total_page": 0, "page_no": 1, "request_id": "r"}
LONG_S = 2000.0


def service_with(first: str, hint: object, asked_s: list[float]) -> Any:
    """Answer the first request with a hint, and those after it without."""

    def answers(asked: Asked) -> Reply:
        asked_s.append(asked.at_s)
        is_first = len(asked_s) == 1
        headers = {"retry-after": str(hint)} if is_first else {}
        if asked.method == "POST":
            return Reply(200, BODIES[first if is_first else "a task"], headers)
        if "page_no" in asked.query:
            return Reply(200, {"data": 7} if is_first and first == "an odd list" else PAGE, headers)
        return said(asked.path.rpartition("/")[2], "SUCCEEDED", video_url="https://assets.test/a.mp4")

    return answers


def sends(client: Any, what: str, task: Any = None) -> Any:
    """Send something of a kind, and wait for it as long as it takes; return the task that it made."""
    match what:
        case "an odd result":
            client.generate("qwen-image", {"messages": []}, timeout=LONG_S)
        case "a list" | "an odd list":
            list(client.list_remote(timeout=LONG_S))
        case "a task" | "a result" | "a create":
            with suppress(ResultAtOnce):
                return client.submit(MODEL, INPUT, idempotency_key=what, timeout=LONG_S)
        case _:
            waiting = {"by its token": lambda: client.task(task.resume_token)}
            waiting |= {"by its key": lambda: client.resume("a task"), "its task": lambda: task}
            waiting.get(what, lambda: client.task("task-7"))().wait(timeout=LONG_S)
    return None


@pytest.mark.parametrize(("first", "then"), PAIRS)
@settings(max_examples=20)
@given(hint_s=st.integers(1, 600), dialect=st.sampled_from(sorted(DIALECTS)))
def test_nothing_of_the_account_comes_before_it(first: str, then: str, hint_s: int, dialect: str) -> None:
    """After a create or list that succeeded, what follows is sent when its hint is over, after a restart as well."""
    is_listed = "list" in first + then
    if is_listed and not DIALECTS[dialect].can_list:
        dialect = "dashscope"
    asked_s: list[float] = []
    clock, ledger, answers = VirtualClock(), MemoryLedger(), service_with(first, hint_s, asked_s)

    async def main() -> None:
        options = {"dialect": dialect, "ledger": ledger}
        async with a_client("sync", "httpx", answers, clock, **options) as client:
            task = sends(client, first)
            if then not in {"by its token", "by its key"}:
                return sends(client, then, task)
        async with a_client("sync", "httpx", answers, clock, **options) as restarted:
            return sends(restarted, then, task)

    run_in("sync", main)
    # It may wait for its own schedule as well.
    assert hint_s <= asked_s[1] <= hint_s + 30.0


@pytest.mark.parametrize("first", sorted({first for first, _ in PAIRS}))
def test_a_hint_that_is_ignored_is_told_once(first: str) -> None:
    """A hint beside a create or list that succeeded, and that says no time, is an event and holds nothing up."""
    told: list[Event] = []
    asked_s: list[float] = []

    async def main() -> None:
        async with a_client("sync", "httpx", service_with(first, "soon", asked_s), on_event=told.append) as client:
            sends(client, first)
            sends(client, "a create")

    run_in("sync", main)
    reasons = [event.reason for event in told if isinstance(event, HintIgnored)]
    assert reasons == ["Retry-After 'soon' is neither seconds nor a date"]
    assert asked_s[-1] < 10.0


def test_the_answer_about_a_doubts_task_keeps_its_hint() -> None:
    """Where a task is asked about for a doubt's sake, the hint beside its status is not lost."""

    async def main() -> None:
        async with a_client("sync", "httpx", lambda _: Reply(500)) as client:
            question = about_a_task(client._core, "task-1", NOW, 10.0)
            heard = question.understand(answer(200, "a task"), NOW)
            assert (heard.retry_after_s, heard.retry_after_ignored) == (20.0, None)

    run_in("sync", main)


def test_the_token_of_a_submit_that_was_broken_off_keeps_its_hint(caplog: pytest.LogCaptureFixture) -> None:
    """Where the caller left before its id came, the token in the log keeps until when the service is left alone."""

    async def main() -> None:
        async with a_client("sync", "httpx", lambda _: Reply(500)) as client:
            settings = client._core.settings
            submission = Submission(SubmitPolicy(), NOW, seed="a")
            submission.receive(SubmitStarted(), NOW)
            submission.receive(translate_create(answer(200, "a task"), settings.dialect, NOW.wall_s), NOW)
            tell_of_break(settings, submission, KeyboardInterrupt(), NOW, VIDEO)
            (token,) = re.findall(r"rpt1\S+", caplog.text)
            assert client._core.record_of(token, NOW.later(5.0)).not_before == NOW.later(20.0)

    run_in("sync", main)
