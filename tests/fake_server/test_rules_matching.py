"""Conditions on lines of the journal one by one, and the routes that an unknown request was meant for."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.rules.matching import KEYS, Matcher, read_matcher
from fake_server.rules.nearest import nearest_routes
from tests.fake_server.test_matching import entry

STRUCK = "status 503 (a.yaml, line 3)"
KINDS = "create, query, list, cancel, quotas, asset, unmatched"


@pytest.mark.parametrize(
    ("matcher", "line", "matches"),
    [
        ({"method": "post"}, {}, True),
        ({"method": "GET"}, {}, False),
        ({"task_id": "t1"}, {}, True),
        ({"task_id": ["t2", "t3"]}, {}, False),
        ({"fault": True}, {"fault": STRUCK}, True),
        ({"fault": False}, {"fault": STRUCK}, False),
        ({"fault": "*503*"}, {"fault": STRUCK}, True),
        ({"fault": "drop*"}, {"fault": STRUCK}, False),
        ({"status": 400.0}, {}, True),
        ({"status": 401.0}, {}, False),
        ({"status": "3xx"}, {}, False),
        ({"status": "3xx"}, {"status": 300}, True),
        ({"status": "3xx"}, {"status": 399}, True),
        ({"status": 999}, {"status": 999}, True),
        ({"status": 0}, {"status": 0}, True),
        ({"status": list(range(301, 401))}, {}, True),
        ({"path": "/*a*p*i*v*t*k*c*"}, {}, True),
    ],
)
def test_each_condition_alone_tells_lines_apart(matcher: dict[str, Any], line: dict[str, Any], matches: bool) -> None:
    """A single condition fits the lines that it names, whole numbers in any spelling and eight stars included, and no
    others."""
    read = read_matcher(matcher)
    assert isinstance(read, Matcher), read
    assert read.matches(entry(**line)) is matches


@pytest.mark.parametrize(
    ("matcher", "sentence"),
    [
        ({"route": "creat"}, f"found 'creat', expected one of {KINDS}; did you mean create?"),
        ({"route": "x" * 70}, f"found '{'x' * 60}', expected one of {KINDS}"),
        ({"path": 7}, "found 7, expected a path such as /api/v1/tasks/*"),
        ({"status": 1000}, "found no status, expected a number such as 429, a class such as 5xx, or a list"),
        ({"status": 429.5}, "found no status, expected a number such as 429, a class such as 5xx, or a list"),
        ({"status": [429] * 101}, "found a list of 101, expected at most 100"),
        ({"fault": "*" * 9}, "found 9 stars, expected at most 8"),
    ],
)
def test_a_mistake_in_a_condition_is_told_in_a_sentence(matcher: dict[str, Any], sentence: str) -> None:
    """What was found and what is expected are told, and no part of a condition is passed over in silence."""
    (mistake,) = read_matcher(matcher)  # type: ignore[misc]  # a list of mistakes
    assert (mistake.pointer, mistake.detail) == (f"/{next(iter(matcher))}", sentence)


def test_the_table_of_conditions_names_every_kind_of_request() -> None:
    """What the documentation says of a route's condition lists what a request may be taken for."""
    assert KEYS["route"] == f"what the request was taken for, or a list: {KINDS}"


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        (
            "HEAD",
            "/api/v1/task/t1",
            "",
            "GET /api/v1/tasks/{task_id} (segment 3 of the path: found task, expected tasks)",
        ),
        (
            "GET",
            "/api/v1/tasks/t1/cancelX",
            "",
            (
                "POST /api/v1/tasks/{task_id}/cancel (method: found GET, expected POST; "
                "segment 5 of the path: found cancelX, expected cancel)"
            ),
        ),
        (
            "HEAD",
            "/api/v1/tasks/t1/cancel",
            "",
            "POST /api/v1/tasks/{task_id}/cancel (method: found HEAD, expected POST)",
        ),
        ("GET", "/api/v1/quota", "", "GET /api/v1/quotas (segment 3 of the path: found quota, expected quotas)"),
        ("GET", "/api/v1/quoz", "", "GET /api/v1/quotas (segment 3 of the path: found quoz, expected quotas)"),
        (
            "PUT",
            "/apis/v1/services/aigc/tasks",
            "task_id=t1",
            "GET /apis/v1/services/aigc/tasks?task_id={task_id} (method: found PUT, expected GET)",
        ),
        (
            "GET",
            "/apis/v1/services/aigc/tasks",
            "task=t1",
            "GET /apis/v1/services/aigc/tasks?task_id={task_id} (query: found task=t1, expected task_id={task_id})",
        ),
        (
            "GET",
            "/apis/v1/services/aigc/tasks",
            "",
            "GET /apis/v1/services/aigc/tasks?task_id={task_id} (query: found nothing, expected task_id={task_id})",
        ),
    ],
)
def test_what_differs_from_the_route_that_was_meant_is_told(method: str, path: str, query: str, expected: str) -> None:
    """Each part that differs is named with what was found and what is expected, and nothing that fits: a HEAD is taken
    where a GET is."""
    assert nearest_routes(method, path, query)[0].text == expected
