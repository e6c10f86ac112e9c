"""The fake's half of the contract: what it renders has the keys, types and words of the recorded evidence.

The bodies under `scenarios/contract` are read as data; each is a situation, which the fake's renderer is put
into. That the engine, let loose, says nothing that no body holds is tests/properties/test_10_only_the_contract.py.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import strategies as st

from fake_server.engine import Reply
from fake_server.faults.model import Redirect, SchemaDrift, Status
from fake_server.wire import bodies, endpoints, errors, results
from tests.support.contract import contract_bodies
from tests.support.shipped import all_shipped

CASES = contract_bodies()
# Bodies that are not JSON are no words of the fake's: a scenario writes them out.
SPOKEN = [case for case in CASES if "body" in case]


def shape(value: Any) -> Any:
    """Keys and types of a body, without its values; a list is the shape of its items."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def wall_s(text: str) -> float:
    """Seconds since 1970 of a task time."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=bodies.TASK_ZONE).timestamp()


def times_of(output: dict[str, Any]) -> bodies.TaskTimes | None:
    """The times that a body tells."""
    if "submit_time" not in output:
        return None
    names = ("submit_time", "scheduled_time", "end_time")
    submitted, scheduled, ended = (wall_s(output[name]) if name in output else None for name in names)
    assert submitted is not None
    return bodies.TaskTimes(submitted, scheduled, ended)


def rendered_task(case: dict[str, Any]) -> bodies.Body:
    """The fake's answer to a status query in the situation of a body."""
    means, output = case["means"], case["body"]["output"]
    task_id, request_id, status = means["task_id"], means["request_id"], means["task_status"]
    times = times_of(output)
    if status == "SUCCEEDED" and "result" in case:
        assert times is not None
        return rendered_result(case, times)
    if status == "SUCCEEDED":
        assert times is not None
        lines = int(case["body"]["usage"]["SR"])
        video = bodies.Video(means["url"], means["orig_prompt"], means["seconds"], lines, case["usage"], case["url_in"])
        return bodies.succeeded(task_id, request_id, times, video)
    if status == "FAILED":
        assert times is not None
        return bodies.failed(task_id, request_id, times, means["code"], means["message"])
    if status in ("UNKNOWN", "CANCELED"):
        return bodies.bare(task_id, status, request_id)
    return bodies.waiting(task_id, status, request_id, times)


def items_of(case: dict[str, Any]) -> list[str | results.Failure]:
    """Per item of a body its URL, or why it was not made, in the body's order."""
    rows = case["body"]["output"]["results"]
    urls = iter(case["means"]["urls"])
    return [results.Failure(row["code"], row["message"]) if "code" in row else next(urls) for row in rows]


def rendered_result(case: dict[str, Any], times: bodies.TaskTimes) -> bodies.Body:
    """The fake's answer where what was made is no video."""
    means, form = case["means"], case["result"]
    task_id, request_id = means["task_id"], means["request_id"]
    if form == "images":
        rewritten = [row.get("actual_prompt") for row in case["body"]["output"]["results"] if "code" not in row]
        return results.images(task_id, request_id, times, (means["orig_prompt"], rewritten[0]), items_of(case))
    if form == "messages":
        return results.messages(task_id, request_id, times, means["urls"])
    if form == "model":
        return results.model_3d(task_id, request_id, times, *means["urls"])
    names = [row["file_url"] for row in case["body"]["output"]["results"]]
    files = list(zip(names, items_of(case), strict=True))
    return results.transcriptions(task_id, request_id, times, files, means["seconds"])


def rendered_list(case: dict[str, Any]) -> bodies.Body:
    """The fake's list in the situation of a body."""
    rows = [
        bodies.Listed(
            task_id=row["task_id"],
            status=row["status"],
            model=row["model_name"],
            request_id=row["request_id"],
            created_s=row["gmt_create"] / 1000,
            started_s=row["start_time"] / 1000,
            ended_s=row["end_time"] / 1000 if "end_time" in row else None,
        )
        for row in case["body"]["data"]
    ]
    return bodies.task_list(case["means"]["request_id"], rows, case["means"]["total"], 1, 10)


def rendered(case: dict[str, Any]) -> bodies.Body:
    """What the fake says in the situation of a body."""
    means = case["means"]
    if case["kind"] == "create":
        return bodies.accepted(means["task_id"], means["task_status"], means["request_id"])
    if case["kind"] == "query":
        return rendered_task(case)
    if case["kind"] == "list":
        return rendered_list(case)
    if case["kind"] == "result":
        return results.messages_at_once(means["request_id"], means["urls"])
    if case["kind"] == "quotas":
        return bodies.quotas(means["request_id"], means["concurrent_tasks"], means["queries_per_second"])
    if case["http_status"] == 200:
        return bodies.cancel_accepted(means["request_id"])
    form = case.get("shape") or errors.OWN_SHAPE[case["dialect"]]
    message = means.get("message") or errors.MESSAGES["UnsupportedOperation"]
    return errors.error_body(form, case["http_status"], means["code"] or "", message, means.get("request_id", ""))


@pytest.mark.parametrize("case", SPOKEN, ids=lambda case: case["name"])
def test_the_renderer_says_what_the_evidence_says(case: dict[str, Any]) -> None:
    """In the situation of a body, the fake's body has its keys and types, and but for made-up ids its words."""
    body = json.loads(bodies.encode(rendered(case)))
    assert shape(body) == shape(case["body"])
    if case["kind"] == "list":
        invented = ("api_key_id", "caller_parent_id", "caller_uid", "user_api_unique_key")
        for row in (*body["data"], *case["body"]["data"]):
            for name in invented:
                row.pop(name)
    assert body == case["body"]


def test_every_piece_of_evidence_says_where_it_is_from() -> None:
    """Each body has a name of its own, a source, a date and a class; nothing here was recorded by us."""
    assert len({case["name"] for case in CASES}) == len(CASES)
    for case in CASES:
        assert case["source"], case["name"]
        assert case["date"], case["name"]
        assert case["class"] in ("documented", "reported", "assumed"), case["name"]
        assert case["dialect"] in bodies.DIALECTS, case["name"]
        assert ("body" in case) != ("body_text" in case), case["name"]


# Only what the contract holds


def paths(value: Any, above: str = "") -> set[str]:
    """Every key of a body, with the keys above it and its type."""
    if isinstance(value, dict):
        return {path for key, inner in value.items() for path in paths(inner, f"{above}/{key}")}
    if isinstance(value, list):
        return {path for inner in value for path in paths(inner, f"{above}[]")} or {f"{above}[]"}
    return {f"{above}:{type(value).__name__}"}


def code_in(body: dict[str, Any]) -> str | None:
    """The code of an error body, in whichever shape."""
    error = body.get("error")
    return error.get("code") if isinstance(error, dict) else body.get("code")


KNOWN_WORDS = {case["means"]["task_status"] for case in CASES if case["kind"] in ("create", "query")}
KNOWN_PATHS = {
    (case["dialect"], "error" if case["http_status"] != 200 else case["kind"]): set[str]() for case in SPOKEN
}
for each in SPOKEN:
    KNOWN_PATHS[each["dialect"], "error" if each["http_status"] != 200 else each["kind"]] |= paths(each["body"])
KNOWN_CODES = {(case["dialect"], case["http_status"], code_in(case["body"])) for case in SPOKEN}
FAILURES = {case["means"]["code"] for case in CASES if case["means"].get("task_status") == "FAILED"}

KEY = ("Authorization", "Bearer sk-test")
ENABLE = ("X-DashScope-Async", "enable")
TASKS = {"aisa": "/apis/v1/services/aigc/tasks", "dashscope": "/api/v1/tasks"}
MESSAGES = '[{"role": "user", "content": [{"text": "x"}]}]'
BODIES = st.sampled_from(
    [
        b'{"model": "wan2.2-t2v-plus", "input": {"prompt": "x", "messages": %s, "file_urls": ["x", "y"]}}'
        % MESSAGES.encode(),
        b'{"model": "m", "input": {"prompt": "x", "messages": %s, "file_urls": ["x"]}, "parameters": {"n": 2}}'
        % MESSAGES.encode(),
        b'{"model": "m", "input": {}}',
        b"{",
    ]
)
HEADERS = st.sampled_from([(KEY, ENABLE), (KEY, ENABLE), (KEY,), (KEY,), (), (("Authorization", "Bearer sk-invalid"),)])
PLACES = st.sampled_from(
    [(dialect, endpoint) for dialect, offered in endpoints.OFFERED.items() for endpoint in offered]
)
SCENARIOS = all_shipped()
# Scenarios that ask for something wrong on purpose say words of their own.
HONEST = sorted(
    name
    for name, scenario in SCENARIOS.items()
    if name != "unlisted-status"
    and all(answer.body is None for answer in (*scenario.create, *scenario.poll))
    and not any(isinstance(fault.effect, Redirect | SchemaDrift | Status) for fault in scenario.faults)
)


def check(dialect: str, kind: str, reply: Reply) -> None:
    """A reply holds nothing that no body of the contract holds."""
    body = json.loads(reply.body)
    assert paths(body) <= KNOWN_PATHS[dialect, "error" if reply.status != 200 else kind], (kind, body)
    if reply.status != 200:
        assert (dialect, reply.status, code_in(body)) in KNOWN_CODES
    elif kind in ("create", "query"):
        output = body["output"]
        assert output["task_status"] in KNOWN_WORDS
        assert output.get("code", next(iter(FAILURES))) in FAILURES


def test_the_evidence_covers_what_is_promised() -> None:
    """No situation that the pages describe is without a body."""
    kinds = {(case["kind"], case["dialect"], case["means"].get("task_status")) for case in CASES}
    for dialect in bodies.DIALECTS:
        assert {("create", dialect, word) for word in ("PENDING", "RUNNING")} <= kinds
        words = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN", "CANCELED")
        assert {("query", dialect, word) for word in words} <= kinds
    assert {case["usage"] for case in CASES if "usage" in case} == {"counted", "measured", "detailed"}
    assert {case["url_in"] for case in CASES if "url_in" in case} == {"video_url", "results.video_url"}
    forms = {endpoint.form for endpoint in endpoints.ENDPOINTS} - {"video"}
    assert {case["result"] for case in CASES if case["kind"] == "query" and "result" in case} == forms
    assert {case["dialect"] for case in CASES if case["kind"] == "result"} == set(bodies.DIALECTS)
    shapes = {(case["dialect"], case.get("shape")) for case in CASES if case["kind"] == "error"}
    assert shapes == {
        ("dashscope", "flat"),
        *(("aisa", form) for form in ("nested", "code_and_text", "text", "retryable", "html")),
    }
