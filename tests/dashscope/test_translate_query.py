"""What the answer to a status query means: a failed poll is not a failed task."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.dashscope.wire.translate import query_failed, translate_query
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.machine.observations import (
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)
from tests.dashscope.wire_bodies import BODIES, ERRORS, HEADERS, MONEY, NOW_S, STATUSES, TASK_ID, answer, shapes
from tests.support.tables import each_case

DOCUMENTED = (StatusSeen, Throttled, Unreachable, Unreadable, Refused)
URL = "https://assets.test/clip.mp4?Expires=1&Signature=x"


def meaning(dialect: str, status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> Observation:
    return translate_query(answer(status, body, headers), DIALECTS[dialect], TASK_ID, NOW_S)


def expected(status: int, code: str | None) -> type[Observation]:
    """Return what the decision says: a 4xx that says "never" ends the wait, the rest passes."""
    if status == 429:
        return Refused if code in MONEY else Throttled
    if 400 <= status < 500 and status not in {408, 425}:
        return Refused
    return Unreachable


@each_case(
    "dialect, status, code, shape",
    [(dialect, status, code, shape) for dialect, status, code in ERRORS for shape in shapes(dialect, code)],
)
def test_every_documented_error_means_what_the_table_says(dialect: str, status: int, code: str, shape: str) -> None:
    """Every code of the service's table, in every shape, ends the wait exactly where waiting cannot help."""
    seen = meaning(dialect, status, shapes(dialect, code)[shape])
    assert type(seen) is expected(status, code)
    assert (seen.code, seen.message) == (code, "why")  # type: ignore[attr-defined]


@pytest.mark.parametrize("dialect", DIALECTS)
@each_case("status", [*range(300, 309), *range(400, 452), *range(500, 512), 599])
@each_case("body", [b"", b"<html>no</html>", b"{}", b"[]"])
def test_a_failure_in_nobodys_words_is_decided_by_its_status(dialect: str, status: int, body: bytes) -> None:
    """A proxy's page with a 5xx passes, and with a 4xx means that nobody will say."""
    assert type(meaning(dialect, status, body)) is expected(status, None)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("word", ["PENDING", "RUNNING", "SUSPENDED", "CANCELED", "UNKNOWN", "SOMETHING NEW"])
def test_a_status_is_what_the_service_says(dialect: str, word: str) -> None:
    """A status of this task is passed on as it is, with the whole answer."""
    body = {"output": {"task_id": TASK_ID, "task_status": word}, "request_id": "r1"}
    assert meaning(dialect, 200, body) == StatusSeen(status=word, request_id="r1", result=body)


@pytest.mark.parametrize(
    ("output", "is_readable"),
    [
        ({"video_url": URL}, True),
        ({"results": {"video_url": URL}}, True),
        ({"results": [{"url": URL}]}, True),
        ({"results": [{"code": "DataInspectionFailed", "message": "no"}]}, True),
        ({"results": [{"orig_prompt": "a cat"}]}, False),
        ({"results": []}, False),
        ({"choices": [{"message": {"content": [{"type": "image", "image": URL}]}}]}, True),
        ({"choices": [{"message": {"content": [{"text": "a cat"}]}}]}, False),
        ({"choices": "none"}, False),
        ({}, False),
        ({"video_url": ""}, False),
        ({"video_url": None}, False),
        ({"video_url": 17}, False),
        ({"video_url": "ftp://assets.test/clip.mp4"}, False),
        ({"video_url": "file:///etc/passwd"}, False),
        ({"video_url": "clip.mp4"}, False),
        ({"video_url": "http://"}, False),
        ({"video_url": "http://host:99999/"}, False),
        ({"video_url": "http://ho st/"}, False),
        ({"video_url": "http://host/\r\nX: y"}, False),
        ({"video_url": "http://host/" + "a" * 10_000}, False),
        ({"video_url": "", "results": {"video_url": URL}}, True),
    ],
)
def test_a_success_says_whether_it_can_be_read(output: dict[str, Any], is_readable: bool) -> None:
    """A success whose URL is missing or cannot be used is a success all the same, with its answer kept."""
    body = {"output": {"task_id": TASK_ID, "task_status": "SUCCEEDED", **output}, "usage": {"video_count": 1}}
    seen = meaning("dashscope", 200, body)
    assert isinstance(seen, StatusSeen)
    assert seen.result == body
    assert seen.result_readable is is_readable


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"output": {"code": "DataInspectionFailed", "message": "no"}}, ("DataInspectionFailed", "no")),
        ({"output": {"error": {"code": "E", "message": "no"}}}, ("E", "no")),
        ({"output": {}, "error": {"code": "E", "message": "no"}}, ("E", "no")),
        ({"output": {}, "code": "E", "message": "no"}, ("E", "no")),
        ({"output": {"message": "no"}}, (None, "no")),
        ({"output": {"code": 17, "message": ["no"]}}, (None, None)),
        ({"output": {"code": "A", "message": "a"}, "error": {"code": "B", "message": "b"}}, ("A", "a")),
    ],
)
def test_a_failure_says_why_wherever_the_page_puts_it(body: dict[str, Any], said: tuple[Any, Any]) -> None:
    """Code and message of a failed task are found where either page of the documentation has them."""
    body["output"].update(task_id=TASK_ID, task_status="FAILED")
    seen = meaning("aisa", 200, body)
    assert isinstance(seen, StatusSeen)
    assert (seen.code, seen.message) == said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"[]",
        {},
        {"output": None},
        {"output": {}},
        {"output": {"task_status": None}},
        {"output": {"task_status": 3}},
        {"output": {"task_status": ""}},
        {"output": {"task_status": ["RUNNING"]}},
        {"task_status": "RUNNING"},
        {"output": {"task_status": "SUCCEEDED", "task_id": "another"}},
        {"output": {"task_status": "SUCCEEDED", "task_id": None}},
        {"output": {"task_status": "SUCCEEDED", "task_id": 7}},
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_success_that_makes_no_sense_is_unreadable(dialect: str, body: object) -> None:
    """A 2xx that does not say how this very task stands is not believed, and ends nothing."""
    assert isinstance(meaning(dialect, 200, body), Unreadable)


def test_an_answer_need_not_repeat_the_id() -> None:
    """A status without a task id is the asked-for task's."""
    seen = meaning("dashscope", 200, {"output": {"task_status": "RUNNING"}})
    assert isinstance(seen, StatusSeen)


@pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (503, Unreachable), (408, Unreachable)])
def test_a_failure_that_passes_carries_its_hint(status: int, kind: type[Observation]) -> None:
    """``Retry-After`` is read wherever waiting helps, also from a proxy's page."""
    seen = meaning("dashscope", status, b"<html>", (("retry-after", "9"),))
    assert type(seen) is kind
    assert seen.retry_after_s == 9.0  # type: ignore[attr-defined]


def test_no_answer_is_a_failed_poll() -> None:
    """A query without an answer is absorbed, sent or not."""
    for surely_not_sent in (True, False):
        seen = query_failed(ExchangeFailed("reset", surely_not_sent=surely_not_sent))
        assert seen == Unreachable(reason="reset")


@given(dialect=st.sampled_from(list(DIALECTS)), status=STATUSES, body=BODIES, headers=HEADERS)
def test_anything_at_all_is_one_of_the_documented_observations(
    dialect: str, status: int, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    """Whatever comes, one documented observation comes of it in bounded time, and only a 2xx can be a status."""
    began_s = time.process_time()
    seen = meaning(dialect, status, body, headers)
    assert time.process_time() - began_s < 0.5
    assert type(seen) in DOCUMENTED
    assert isinstance(seen, StatusSeen | Unreadable) == (200 <= status < 300)
    if isinstance(seen, StatusSeen):
        said = json.loads(body)["output"]["task_status"]
        assert said == seen.status or not said.isprintable() or len(said) > 200
    for name in ("request_id", "code", "message", "status", "reason"):
        text = getattr(seen, name, None)
        if isinstance(text, str):
            assert text.isprintable()
            assert len(text) < 2600
