"""Reading answers of declared operations: whatever comes, it is understood or it is a failed question."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import (
    ConfigurationError,
    InHttpStatus,
    Lifecycle,
    OperationSpec,
    Phase,
    QueryCall,
    SnapshotError,
    SubmitCall,
)
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    LostAnswer,
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.operations.token import PREFIX, read_token
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.reading import observe_submit, reply_from
from resilient_poll.specs.ready import READY, REPLICATE_PREDICTIONS
from tests.support.properties import GENUINE

NOW = Instant(0.0, 1_750_000_000.0)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
names = st.sampled_from(
    ["status", "id", "name", "done", "error", "code", "message", "response", "output", "urls", "get", "progress"]
)
values = st.recursive(
    leaves | st.sampled_from(["Succeeded", "failed", "completed", "canceled", "running"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
bodies = values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)
headers = st.lists(
    st.tuples(
        st.sampled_from(["retry-after", "date", "location", "operation-location", "openai-poll-after-ms"]),
        st.text("0123456789 abc:/.-GMTs,é", max_size=20),
    ),
    max_size=3,
).map(tuple)
specs = st.sampled_from(READY)
http_statuses = st.sampled_from([200, 201, 202, 204, 206, 301, 400, 403, 404, 408, 409, 425, 429, 500, 503])


@GENUINE
@given(specs, http_statuses, headers, bodies)
def test_any_answer_is_understood_or_a_failed_question(
    spec: OperationSpec, http_status: int, head: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """Whatever an answer to a query holds, it is an observation, and only a good answer tells where a task stands."""
    seen = spec.observe(reply_from(http_status, head, body), now_wall_s=NOW.wall_s)
    assert isinstance(seen, StatusSeen | Throttled | Unreachable | Unreadable | Refused)
    assert not isinstance(seen, StatusSeen) or http_status < 300
    assert isinstance(seen, Throttled) == (http_status == 429)
    assert isinstance(seen, Refused) == (http_status in {400, 403, 404, 409})
    if (hint := getattr(seen, "retry_after_s", None)) is not None:
        assert 0 <= hint <= 7 * 86400


@GENUINE
@given(specs, http_statuses, headers, bodies, st.none() | st.just("/operations/7"))
def test_any_answer_to_a_submit_is_an_id_a_refusal_or_a_doubt(
    spec: OperationSpec, http_status: int, head: tuple[tuple[str, str], ...], body: bytes, url: str | None
) -> None:
    """Only a 429 is sent again, only a 4xx in the service's JSON is refused, and what else brings no id is a doubt."""
    reply = reply_from(http_status, head, body)
    seen: Observation = observe_submit(spec, reply, NOW.wall_s, names_a_url=url)
    assert isinstance(seen, Accepted | AnsweredAtOnce | LostAnswer | Refused | Throttled)
    assert isinstance(seen, Throttled) == (http_status == 429)
    assert not isinstance(seen, Accepted | AnsweredAtOnce) or 200 <= http_status < 300
    is_said = http_status in {400, 403, 404, 425} and isinstance(reply.body, dict)
    assert isinstance(seen, Refused) == is_said
    assert not isinstance(seen, Accepted) or 0 < len(seen.task_id) <= 1024


@GENUINE
@given(st.text(max_size=40) | st.text(max_size=30).map(lambda text: PREFIX + text) | values.map(json.dumps))
def test_any_text_is_a_token_or_an_error_of_ours(text: str) -> None:
    """Whatever is given for a resume token, it is read or refused with a typed error."""
    with pytest.raises(SnapshotError):
        read_token(text, "paint", "https://api.test:443", NOW)


def test_an_http_status_can_be_a_word() -> None:
    """``HTTP 404`` among the words stands for an answer with that status, so that a new id gets its time."""
    table = Lifecycle.of(unrecognized=["HTTP 404"], failed=["HTTP 410"], succeeded=["done"])
    spec = OperationSpec(name="p", status="status", lifecycle=table, error_code="code")
    seen = spec.observe(Reply({"code": "NotFound"}, 404))
    assert isinstance(seen, StatusSeen)
    assert (table.phase_of(seen.status), seen.code) == (Phase.UNRECOGNIZED, "NotFound")
    assert isinstance(spec.observe(Reply({}, 410)), StatusSeen)
    assert isinstance(spec.observe(Reply({}, 403)), Refused)


def test_words_of_a_declaration_may_be_numbers_and_truths() -> None:
    """A status that is a number or a truth value is the word that it is written as; a list is none."""
    table = Lifecycle.of(running=["0", "false"], succeeded=["1", "true"])
    spec = OperationSpec(name="p", status="done", lifecycle=table)
    for body, phase in (({"done": True}, Phase.SUCCEEDED), ({"done": 0}, Phase.RUNNING)):
        seen = spec.observe(Reply(body, 200))
        assert isinstance(seen, StatusSeen)
        assert table.phase_of(seen.status) is phase
    assert isinstance(spec.observe(Reply({"done": [True]}, 200)), Unreadable)
    assert isinstance(spec.observe(Reply({"done": "x" * 300}, 200)), Unreadable)


@pytest.mark.parametrize("body", [b"<html>", b'{"done": ', b"{}", b'{"done": [true]}'])
@pytest.mark.parametrize("http_status", [200, 301])
def test_an_unreadable_answer_keeps_its_retry_after(body: bytes, http_status: int) -> None:
    """A body that is cut or odd takes nothing from the Retry-After beside it; one that is no time is told."""
    spec = OperationSpec(name="p", status="done", lifecycle=Lifecycle.of(succeeded=["true"]))
    seen = spec.observe(reply_from(http_status, (("retry-after", "20"),), body))
    assert isinstance(seen, Unreadable)
    assert (seen.retry_after_s, seen.retry_after_ignored) == (20.0, None)
    odd = spec.observe(reply_from(http_status, (("retry-after", "soon"),), body))
    assert isinstance(odd, Unreadable)
    assert odd.retry_after_s is None
    assert odd.retry_after_ignored


SUBMITTED = OperationSpec(
    name="p",
    submit=SubmitCall(url="https://api.test/x", id="id", at_once=(200,)),
    query=QueryCall(url="/x/{id}"),
    status="done",
    lifecycle=Lifecycle.of(succeeded=["true"]),
)


@pytest.mark.parametrize(
    ("http_status", "body", "kind"),
    [
        (202, b'{"id": "7"}', Accepted),
        (200, b"[]", AnsweredAtOnce),
        (202, b"{}", LostAnswer),
        (502, b"<html>", LostAnswer),
    ],
)
def test_any_answer_to_a_submit_keeps_its_retry_after(http_status: int, body: bytes, kind: type[Observation]) -> None:
    """What a submit comes to takes nothing from the Retry-After beside it; one that is no time is told."""
    for value, hint_s, is_ignored in (("20", 20.0, False), ("soon", None, True)):
        reply = reply_from(http_status, (("retry-after", value),), body)
        seen = observe_submit(SUBMITTED, reply, NOW.wall_s, names_a_url=None)
        assert isinstance(seen, kind)
        assert (seen.retry_after_s, seen.retry_after_ignored is not None) == (hint_s, is_ignored)


@pytest.mark.parametrize("status", ["floor(x)", "ceil(x)", "avg(x)", "max_by(x, &y)", "join(',', x)", "x[::2].y"])
@pytest.mark.parametrize("body", [b"Infinity", b"-1e400", b"NaN", b"[Infinity, 1e400]", b'[1, "a"]', b"[]", b'"a"'])
def test_what_an_expression_stumbles_over_is_a_failed_question(status: str, body: bytes) -> None:
    """Where an expression cannot be applied the answer is unreadable, whatever error the package lets through."""
    spec = OperationSpec(name="p", status=status, lifecycle=Lifecycle.of(succeeded=["done"]))
    seen = spec.observe(reply_from(200, (), b'{"x": ' + body + b"}"))
    assert isinstance(seen, Unreadable | StatusSeen)


@pytest.mark.parametrize("body", [{"id": True}, {"id": False}, {"id": None}, {"id": ["a"]}, {"id": ""}])
def test_what_names_no_task_is_no_id(body: dict[str, Any]) -> None:
    """A truth value, a list or nothing at all where the id should be is a doubt, not a task of that name."""
    spec = OperationSpec(
        name="p", submit=SubmitCall(url="/s", id="id"), status="status", lifecycle=Lifecycle.of(succeeded=["done"])
    )
    assert isinstance(observe_submit(spec, Reply(body, 200), NOW.wall_s, names_a_url=None), LostAnswer)


@pytest.mark.parametrize(
    "change",
    [
        {"status": None},
        {"status": 7},
        {"name": ""},
        {"submit": SubmitCall(url="/x"), "allow_hosts": "a.test"},
        {"allow_hosts": ["a b"]},
        {"interval_s": 0.0},
        {"timeout_s": float("nan")},
        {"billing_by_status": {"gone": "NONE"}},
        {"result_url": "/x"},
        {"result_url": InHttpStatus()},
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    """A declaration that could not work is refused when it is made."""
    values: dict[str, Any] = {"name": "p", "status": "status", "lifecycle": Lifecycle.of(succeeded=["done"])}
    with pytest.raises(ConfigurationError):
        OperationSpec(**values | change)


def test_an_answer_is_a_reply_or_a_response() -> None:
    """A response of a library is read, and anything else is a mistake of the program."""
    seen = REPLICATE_PREDICTIONS.observe(httpx.Response(200, json={"status": "succeeded", "output": 1}))
    assert isinstance(seen, StatusSeen)
    assert seen.result == 1
    with pytest.raises(ConfigurationError, match="an answer is a Reply"):
        REPLICATE_PREDICTIONS.observe({"status": "succeeded"})
