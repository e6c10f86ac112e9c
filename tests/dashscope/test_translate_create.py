"""What a create's answer means. This table is about money: whatever it gets wrong is paid for twice."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.dashscope.wire.translate import create_failed, translate_create
from resilient_poll.http.messages import ExchangeFailed
from resilient_poll.machine.observations import Accepted, LostAnswer, Observation, Refused, Throttled, Unreachable
from tests.dashscope.wire_bodies import BODIES, ERRORS, HEADERS, MONEY, NOW_S, STATUSES, TASK_ID, answer, shapes
from tests.support.tables import each_case

DOCUMENTED = (Accepted, Refused, Throttled, LostAnswer)


def expected(dialect: str, status: int, code: str) -> type[Observation]:
    """Return what the decision says, in its own order of words."""
    if status in {408, 409}:
        return LostAnswer
    if status == 429:
        return Refused if code in MONEY else Throttled
    if 400 <= status < 500:
        return Refused
    if dialect == "dashscope" and (status, code) == (503, "ModelUnavailable"):
        return Throttled
    return LostAnswer


def meaning(dialect: str, status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> Observation:
    return translate_create(answer(status, body, headers), DIALECTS[dialect], NOW_S)


@each_case(
    "dialect, status, code, shape",
    [(dialect, status, code, shape) for dialect, status, code in ERRORS for shape in shapes(dialect, code)],
)
def test_every_documented_error_means_what_the_table_says(dialect: str, status: int, code: str, shape: str) -> None:
    """Every code of the service's table, in every shape, licenses another sending exactly where the decision does."""
    seen = meaning(dialect, status, shapes(dialect, code)[shape])
    assert type(seen) is expected(dialect, status, code)
    if not isinstance(seen, LostAnswer):
        assert (seen.code, seen.message) == (code, "why")  # type: ignore[attr-defined]
        assert seen.request_id == (None if shape == "nested, retryable" else "r1")
    if isinstance(seen, Refused):
        assert seen.http_status == status


@each_case("dialect, status, code", ERRORS)
def test_the_same_error_in_another_dialects_shape_is_a_doubt(dialect: str, status: int, code: str) -> None:
    """An error that the dialect would not write so came from somewhere on the way, and proves nothing."""
    other = "aisa" if dialect == "dashscope" else "dashscope"
    body = {"nested": shapes("aisa", code)["nested"], "flat": shapes("dashscope", code)["flat"]}[
        "nested" if other == "aisa" else "flat"
    ]
    assert isinstance(meaning(dialect, status, body), LostAnswer)


@pytest.mark.parametrize("dialect", DIALECTS)
@each_case("status", [*range(200, 227), *range(300, 309), *range(400, 452), *range(500, 512), 599])
@each_case("body", [b"", b"<html>no</html>", b"{}", b"[]", b'{"message": "no code"}', b'{"error": {}}'])
def test_an_answer_that_is_not_the_services_is_a_doubt(dialect: str, status: int, body: bytes) -> None:
    """Whatever its status, an answer in nobody's words may come from a proxy behind which the task was made."""
    assert isinstance(meaning(dialect, status, body), LostAnswer)


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (429, Throttled), (503, LostAnswer)])
def test_a_gateway_that_says_only_a_text_is_believed_by_its_status(status: int, kind: type[Observation]) -> None:
    """The gateway's shortest error has no code, and is decided by its status."""
    seen = meaning("aisa", status, {"error": "please wait"})
    assert type(seen) is kind


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("word", ["PENDING", "RUNNING", "ODD", None])
def test_an_id_is_an_acceptance(dialect: str, status: int, word: str | None) -> None:
    """A 2xx with a task id is accepted, whatever status it starts in."""
    seen = meaning(dialect, status, {"output": {"task_id": TASK_ID, "task_status": word}, "request_id": "r9"})
    assert seen == Accepted(request_id="r9", task_id=TASK_ID, status=word)


@pytest.mark.parametrize(
    "body",
    [
        {"output": {"task_status": "PENDING"}},
        {"output": {"task_id": ""}},
        {"output": {"task_id": 17}},
        {"output": {"task_id": ["a"]}},
        {"output": {"task_id": "../../quotas"}},
        {"output": {"task_id": "a\nb"}},
        {"output": {"task_id": "x" * 201}},
        {"output": [TASK_ID]},
        {"output": None},
        {"task_id": TASK_ID},
        {"data": {"task_id": TASK_ID}},
        {"request_id": "r1"},
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_success_without_an_id_is_a_doubt(dialect: str, body: dict[str, Any]) -> None:
    """A 2xx whose id is missing, or could be another path, may still have made a task."""
    seen = meaning(dialect, 200, body)
    assert isinstance(seen, LostAnswer)
    assert seen.request_id == body.get("request_id")


def test_a_throttle_carries_its_hint() -> None:
    """A refusal for now says for how long, or why what it says cannot be honoured."""
    body = shapes("dashscope", "Throttling")["flat"]
    seen = meaning("dashscope", 429, body, (("retry-after", "7"),))
    assert isinstance(seen, Throttled)
    assert (seen.retry_after_s, seen.retry_after_ignored) == (7.0, None)
    seen = meaning("dashscope", 503, shapes("dashscope", "ModelUnavailable")["flat"], (("retry-after", "nan"),))
    assert isinstance(seen, Throttled)
    assert seen.retry_after_s is None
    assert seen.retry_after_ignored is not None


def test_no_answer_is_free_only_if_it_surely_never_left() -> None:
    """A create without an answer is a doubt unless the body was never taken."""
    assert isinstance(create_failed(ExchangeFailed("reset", surely_not_sent=False)), LostAnswer)
    assert isinstance(create_failed(ExchangeFailed("refused", surely_not_sent=True)), Unreachable)


def is_in_the_dialects_words(body: bytes, dialect: str) -> bool:
    """Return whether a body is an error of a dialect. A second opinion, in other words than the code's."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    error = value.get("error")
    if dialect == "dashscope":
        return isinstance(value.get("code"), str) and value["code"] != ""
    if isinstance(error, dict):
        return any(isinstance(error.get(name), str) and error[name] for name in ("code", "message"))
    return isinstance(error, str) and error != ""


@given(dialect=st.sampled_from(list(DIALECTS)), status=STATUSES, body=BODIES, headers=HEADERS)
@example(dialect="aisa", status=409, body=b'{"error": {"code": "request_in_progress"}}', headers=())
@example(dialect="dashscope", status=503, body=b'{"code": "ModelServingError"}', headers=())
@example(dialect="dashscope", status=502, body=b'{"code": "ModelUnavailable"}', headers=())
@example(dialect="aisa", status=503, body=b'{"error": {"code": "ModelUnavailable"}}', headers=())
@example(dialect="dashscope", status=307, body=b'{"code": "Throttling"}', headers=())
def test_only_the_service_itself_can_license_another_sending(
    dialect: str, status: int, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    """Every answer is a doubt unless it is a 2xx with an id, or the service's own words under a listed status."""
    began_s = time.process_time()
    seen = meaning(dialect, status, body, headers)
    assert time.process_time() - began_s < 0.5
    assert type(seen) in DOCUMENTED
    if isinstance(seen, LostAnswer):
        assert seen.reason
        return
    if isinstance(seen, Accepted):
        assert 200 <= status < 300
        assert json.loads(body)["output"]["task_id"] == seen.task_id
        return
    assert is_in_the_dialects_words(body, dialect)
    if isinstance(seen, Throttled):
        assert status == 429 or (dialect, status, seen.code) == ("dashscope", 503, "ModelUnavailable")
        assert seen.code not in MONEY or status != 429
    else:
        assert 400 <= status < 500
        assert status not in {408, 409}


@given(status=STATUSES, body=BODIES)
def test_what_is_kept_of_an_answer_can_be_printed(status: int, body: bytes) -> None:
    """Texts from outside are on one line, can be encoded, and are bounded."""
    for dialect in DIALECTS:
        seen = meaning(dialect, status, body)
        for name in ("request_id", "code", "message", "status", "reason"):
            text = getattr(seen, name, None)
            if isinstance(text, str):
                assert text.encode()
                assert text.isprintable()
                assert len(text) < 2600
