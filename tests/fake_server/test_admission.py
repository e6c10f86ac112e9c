"""What is refused before a create is carried out and how, and what a synchronous one hears instead of a task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_server.engine import Reply
from fake_server.rules.nearest import nearest_routes
from fake_server.scenario import Expect, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import Service
from fake_server.wire.bodies import Dialect
from tests.fake_server.driving import ASYNC, BASES, BODY, KEY, VIDEO, Hand, content

SYNCHRONOUS = "/services/aigc/multimodal-generation/generation"
IMAGE = json.dumps(
    {"model": "wan2.6-t2i", "input": {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}}
).encode()
AT_ONCE = Lifecycle((Step("SUCCEEDED"),))
DIALECTS: tuple[Dialect, ...] = ("aisa", "dashscope")


def world(life: Lifecycle = AT_ONCE, dialect: str = "dashscope", **changes: Any) -> Hand:
    """A hand on a world of one life."""
    return Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), **changes), dialect)


def told(reply: Reply) -> tuple[int, str, str]:
    """Status, code and sentence of an error, in either dialect."""
    body = content(reply)
    said = body.get("error", body)
    return reply.status, said["code"], said["message"]


def asked_at_once(hand: Hand, *headers: tuple[str, str], body: bytes = IMAGE) -> Reply:
    """A synchronous create."""
    return hand.ask("POST", BASES[hand.dialect] + SYNCHRONOUS, headers=(KEY, *headers), body=body)


@pytest.mark.parametrize(
    ("dialect", "headers", "code", "sentence"),
    [
        ("aisa", (), "missing_api_key", "No API-key provided."),
        ("dashscope", (), "InvalidApiKey", "No API-key provided."),
        ("dashscope", (("Authorization", "Basic sk-test"),), "InvalidApiKey", "No API-key provided."),
        ("aisa", (("Authorization", "Bearer sk-invalid"),), "invalid_api_key", "Invalid API-key provided."),
        ("dashscope", (("authorization", "bearer sk-invalid"),), "InvalidApiKey", "Invalid API-key provided."),
    ],
)
def test_a_request_without_a_valid_key_is_a_401(
    dialect: str, headers: tuple[tuple[str, str], ...], code: str, sentence: str
) -> None:
    """Whoever brings no key, or the one that is never valid, is told which of the two it is, in the dialect's code."""
    hand = world(dialect=dialect)
    assert told(hand.ask("POST", BASES[dialect] + VIDEO, headers=(*headers, ASYNC), body=BODY)) == (401, code, sentence)
    assert hand.engine.bill(hand.now).tasks == ()


def test_what_fits_nothing_is_told_what_is_near_and_what_there_is() -> None:
    """The sentence names the verb, cut to twenty characters, what is near, and all routes of the dialect, if it has
    one."""
    hand = world()
    status, code, sentence = told(hand.ask("PATCH", "/api/v1/tasks/t1"))
    assert (status, code) == (404, "NotFound")
    assert sentence.startswith("nothing answers PATCH here; expected one of: GET /api/v1/tasks/{task_id}")
    near, _, known = sentence.partition(". All of this dialect: ")
    assert near.count("; or ") == 2, "three are near"
    assert known.split("; ")[-4:] == [
        "GET /api/v1/tasks/{task_id}",
        "GET /api/v1/tasks/",
        "POST /api/v1/tasks/{task_id}/cancel",
        "GET /api/v1/quotas",
    ]
    assert "/apis/v1" not in known
    _, code, sentence = told(hand.ask("PATCH", "/apis/v1/services/aigc/tasks/t1"))
    assert code == "not_found"
    assert sentence.endswith("; GET /apis/v1/services/aigc/tasks?task_id={task_id}")
    _, _, sentence = told(hand.ask("X" * 21, "/elsewhere"))
    near = "; or ".join(suggestion.text for suggestion in nearest_routes("X" * 21, "/elsewhere", ""))
    assert sentence == f"nothing answers {'X' * 20} here; expected one of: {near}"


@pytest.mark.parametrize(
    ("wanted", "base", "asked"), [("aisa", "/apis/v1", "dashscope"), ("dashscope", "/api/v1", "aisa")]
)
def test_a_scenario_for_one_dialect_sends_the_other_to_it(wanted: Dialect, base: str, asked: Dialect) -> None:
    """A request in the dialect that a scenario is not for is a 400 that names the scenario, and the right base."""
    hand = world(dialects=(wanted,), dialect=asked)
    reply = hand.create()
    assert isinstance(reply, Reply)
    status, code, sentence = told(reply)
    assert (status, code) == (400, {"aisa": "invalid_request", "dashscope": "InvalidParameter"}[asked])
    assert sentence == f"The scenario drawn of this fake is for {wanted} ({base}) only."
    hand.dialect = wanted
    assert hand.created()


@pytest.mark.parametrize(
    ("value", "is_asynchronous"),
    [("enable", True), (" Enable ", True), ("ENABLE", True), ("disable", False), ("", False), ("enabled", False)],
)
def test_the_header_of_an_asynchronous_create_is_one_word(value: str, is_asynchronous: bool) -> None:
    """`X-DashScope-Async` says `enable` in any case and with spaces around, and anything else is synchronous."""
    for path, is_right in ((VIDEO, is_asynchronous), (SYNCHRONOUS, not is_asynchronous)):
        body = BODY if path == VIDEO else IMAGE
        hand = world()
        reply = hand.ask("POST", BASES["dashscope"] + path, headers=(KEY, ("X-DashScope-Async", value)), body=body)
        assert reply.status == (200 if is_right else 403)
        if not is_right:
            forbidden = "synchronous" if path == VIDEO else "asynchronous"
            sentence = f"current user api does not support {forbidden} calls"
            assert told(reply) == (403, "AccessDenied", sentence)


def test_a_header_that_is_looked_at_by_nobody_may_be_wrong() -> None:
    """Where a scenario ignores the header, both kinds of creates work with it and without it."""
    hand = world(service=Service(async_header="ignored"))
    for headers in ((), (ASYNC,)):
        assert asked_at_once(hand, *headers).status == 200
        assert hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY, *headers), body=BODY).status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_header_is_looked_at_before_the_body_and_that_before_the_model(dialect: Dialect) -> None:
    """Of several mistakes the first is told: the header's, then the body's, then the model's."""
    hand = world(dialect=dialect, service=Service(models="known"))
    codes = {"aisa": ("invalid_request", "unknown_model"), "dashscope": ("InvalidParameter", "ModelNotFound")}[dialect]
    sentences = {
        "aisa": "The model does not exist.",
        "dashscope": "The model does not exist, or this account may not use it.",
    }
    unknown = IMAGE.replace(b"wan2.6-t2i", b"wam2.6-t2i")
    assert asked_at_once(hand, ASYNC, body=b"{").status == 403
    assert told(asked_at_once(hand, body=b"{")) == (400, codes[0], "the body is not JSON")
    assert told(asked_at_once(hand, body=unknown.replace(b'"input"', b'"inputs"')))[:2] == (400, codes[0])
    assert told(asked_at_once(hand, body=unknown)) == (404, codes[1], sentences[dialect])
    assert asked_at_once(hand).status == 200
    assert asked_at_once(world(dialect=dialect), body=unknown).status == 200, "any name will do where nobody asks"


TIMED_OUT = ("No result was produced within three hours.", "The upstream service did not answer in time.")
FAILURES: list[tuple[str | None, int, str, int, str, str]] = [
    # The failure's code; status and code in `dashscope`, status and code in `aisa`, and the sentence of both.
    ("InternalError.Algo", 500, "InternalError.Algo", 500, "internal_error", "The model failed to produce a result."),
    (None, 500, "InternalError.Algo", 500, "internal_error", "The model failed to produce a result."),
    ("SystemError", 500, "SystemError", 500, "internal_error", "The request failed: SystemError."),
    ("ModelServingError", 500, "ModelServingError", 500, "internal_error", "The request failed: ModelServingError."),
    ("Throttling.RateQuota", 429, "Throttling.RateQuota", 429, "rate_limit_exceeded",
     "Requests rate limit exceeded, please try again later."),
    ("DataInspectionFailed", 400, "DataInspectionFailed", 422, "content_policy_violation",
     "Output data may contain inappropriate content."),
    ("InvalidParameter.X", 400, "InvalidParameter.X", 400, "invalid_request",
     "The request failed: InvalidParameter.X."),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "said", "gateway_status", "gateway_said", "sentence"), FAILURES)
@pytest.mark.parametrize("message", [None, "A sentence of the script."])
def test_a_failure_at_once_has_the_status_of_its_code(
    code: str | None, status: int, said: str, gateway_status: int, gateway_said: str, sentence: str, message: str | None
) -> None:
    """What a task would fail with is answered at once: with the vendor's code and a status of its kind there, with the
    gateway's own code here, and in both with the script's sentence or else the code's."""
    life = Lifecycle((Step("FAILED", code=code, message=message),))
    expected = message or sentence
    assert told(asked_at_once(world(life))) == (status, said, expected)
    assert told(asked_at_once(world(life, "aisa"))) == (gateway_status, gateway_said, expected)


@pytest.mark.parametrize("last", ["RUNNING", "PENDING", "UNKNOWN", "CANCELED", "SOMETHING_NEW"])
def test_what_never_ends_well_took_too_long(last: str) -> None:
    """A life without a success or a failure is a timeout at once: the vendor's 500, or the gateway's 504."""
    life = Lifecycle((Step("RUNNING", lasts_s=3.0), Step(last)))
    hand, gateway = world(life), world(life, "aisa")
    assert told(asked_at_once(hand)) == (500, "InternalError.Timeout", TIMED_OUT[0])
    assert told(asked_at_once(gateway)) == (504, "upstream_timeout", TIMED_OUT[1])
    assert hand.engine.bill(hand.now).total == gateway.engine.bill(gateway.now).total == 0
