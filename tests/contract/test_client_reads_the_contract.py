"""The client's half of the contract: every body that is evidence is pushed through its translator.

The words for phases stand here once more, in the judge's own spelling: agreement with the
fake proves only agreement.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.dashscope.wire.dialects import LIFECYCLE, dialect_named
from resilient_poll.dashscope.wire.endpoints import VIDEO
from resilient_poll.dashscope.wire.requests import create_request, query_request
from resilient_poll.dashscope.wire.translate import translate_create, translate_query
from resilient_poll.http.messages import Answer
from resilient_poll.machine import (
    Accepted,
    Billing,
    LostAnswer,
    Observation,
    Phase,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
)
from tests.support.contract import contract_bodies

BODIES = contract_bodies()
CREATES = [body for body in BODIES if body["kind"] == "create"]
QUERIES = [body for body in BODIES if body["kind"] == "query"]
ERRORS = [body for body in BODIES if body["kind"] == "error"]
NOW_S = 1_750_000_000.0

PHASE_AND_BILL = {
    "PENDING": (Phase.QUEUED, Billing.NOT_YET),
    "RUNNING": (Phase.RUNNING, Billing.ON_SUCCESS),
    "SUCCEEDED": (Phase.SUCCEEDED, Billing.BILLED),
    "FAILED": (Phase.FAILED, Billing.NONE),
    "CANCELED": (Phase.CANCELED, Billing.PARTIAL_POSSIBLE),
    "UNKNOWN": (Phase.UNRECOGNIZED, Billing.UNDETERMINED),
}
"""The page's table of states and billing."""

# What the pages say of codes that come with 429 and mean money.
MONEY = {"CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue"}


def _named(bodies: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(body, id=body["name"]) for body in bodies]


def _answer(body: dict[str, Any]) -> Answer:
    text = body["body_text"] if "body_text" in body else json.dumps(body["body"])
    return Answer(body["http_status"], (("content-type", "application/json"),), text.encode())


def test_there_is_evidence() -> None:
    """The folder holds bodies of every kind, and every one says where and when it is from, and how good it is."""
    assert min(len(CREATES), len(QUERIES), len(ERRORS)) >= 3
    for body in BODIES:
        assert body["source"]
        assert body["date"]
        assert body["class"] in {"documented", "reported", "assumed"}


@pytest.mark.parametrize("body", _named(CREATES))
def test_a_create_is_read(body: dict[str, Any]) -> None:
    """The answer to a create gives the task's id and first status."""
    heard = translate_create(_answer(body), dialect_named(body["dialect"]), NOW_S)
    assert isinstance(heard, Accepted)
    assert (heard.task_id, heard.status) == (body["means"]["task_id"], body["means"]["task_status"])


@pytest.mark.parametrize("body", _named(QUERIES))
def test_a_status_is_read(body: dict[str, Any]) -> None:
    """Every documented status means the phase and the bill that the page says, with code, message and result."""
    means = body["means"]
    heard = translate_query(_answer(body), dialect_named(body["dialect"]), means["task_id"], NOW_S)
    assert isinstance(heard, StatusSeen)
    assert heard.status == means["task_status"]
    phase = LIFECYCLE.phase_of(heard.status)
    assert (phase, LIFECYCLE.billing_of(phase)) == PHASE_AND_BILL[means["task_status"]]
    assert (heard.code, heard.message) == (means.get("code"), means.get("message"))
    assert heard.request_id == means.get("request_id")
    if means["task_status"] == "SUCCEEDED":
        assert heard.result_readable == means["has_url"]


@pytest.mark.parametrize("body", _named(ERRORS))
def test_an_error_on_a_create_is_read(body: dict[str, Any]) -> None:
    """Every documented error on a create is refused, refused for now or in doubt, as its status and code say."""
    heard = translate_create(_answer(body), dialect_named(body["dialect"]), NOW_S)
    assert isinstance(heard, _expected_on_create(body))
    if isinstance(heard, Refused | Throttled):
        assert (heard.code, heard.message) == (body["means"].get("code"), body["means"].get("message"))


def _expected_on_create(body: dict[str, Any]) -> type[Observation]:
    status, code = body["http_status"], body["means"].get("code")
    if body["shape"] == "html" or status in {408, 409}:
        return LostAnswer
    if status == 429:
        return Refused if code in MONEY else Throttled
    if status == 503 and body["dialect"] == "dashscope" and code == "ModelUnavailable":
        return Throttled
    return LostAnswer if status >= 500 else Refused


@pytest.mark.parametrize("body", _named(ERRORS))
def test_an_error_on_a_poll_is_read(body: dict[str, Any]) -> None:
    """On a poll a 4xx that says never ends the wait, and everything else is absorbed."""
    heard = translate_query(_answer(body), dialect_named(body["dialect"]), "task-1", NOW_S)
    status, code = body["http_status"], body["means"].get("code")
    if status == 429 and code not in MONEY:
        assert isinstance(heard, Throttled)
    elif status == 408 or status >= 500:
        assert isinstance(heard, Unreachable)
    else:
        assert isinstance(heard, Refused)


@pytest.mark.parametrize(("dialect", "path"), [("aisa", "/services/aigc/tasks/t-1"), ("dashscope", "/tasks/t-1")])
def test_requests_are_as_documented(dialect: str, path: str) -> None:
    """Creates carry the async header, polls do not, and both go where the page says."""
    settings = resolve_settings(
        dialect=dialect, api_key="sk-test", base_url="http://api.test/v1", headers=None, environ={}
    )
    create = create_request(settings, VIDEO, "model", {"prompt": "a cat"}, {"size": "1280*720"})
    assert (create.method, create.url) == (
        "POST",
        "http://api.test/v1/services/aigc/video-generation/video-synthesis",
    )
    assert ("x-dashscope-async", "enable") in create.headers
    assert json.loads(create.body or b"") == {
        "model": "model",
        "input": {"prompt": "a cat"},
        "parameters": {"size": "1280*720"},
    }
    query = query_request(settings, "t-1")
    assert (query.method, query.url, query.body) == ("GET", f"http://api.test/v1{path}", None)
    assert "x-dashscope-async" not in dict(query.headers)
    assert ("authorization", "Bearer sk-test") in query.headers
