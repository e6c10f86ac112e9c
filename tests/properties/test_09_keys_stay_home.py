"""Property 9: keys stay home, even where the service itself quotes them."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from resilient_poll import DashScope, ResilientPollError
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.drive.clocks import VirtualClock
from tests.support.properties import Property

# Keys as services make them. Shorter ones, or words of everyday texts, could not be told from the texts.
keys = st.text("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789-_", min_size=16, max_size=60).map(
    "sk-{}".format
)
places = st.sampled_from(
    ["create refused", "create throttled", "poll refused", "failed", "unlisted", "no json", "html"]
)


def _quote(place: str, key: str, method: str, dialect: str) -> httpx.Response:
    quoted = f"invalid key {key} was given"
    error: dict[str, Any] = {"code": key, "message": quoted, "request_id": key}
    if dialect == "aisa":
        error = {"error": error}
    if method == "POST":
        if place == "create refused":
            return httpx.Response(401, json=error, headers={"x-echo": key})
        if place == "create throttled":
            return httpx.Response(429, json=error, headers={"retry-after": key})
        return httpx.Response(200, json={"output": {"task_id": "task-1", "task_status": "PENDING"}, "request_id": key})
    output: dict[str, Any] = {"task_id": "task-1", "task_status": "FAILED", "code": key, "message": quoted}
    match place:
        case "poll refused":
            return httpx.Response(403, json=error)
        case "unlisted":
            return httpx.Response(200, json={"output": {**output, "task_status": key}})
        case "no json":
            return httpx.Response(200, text=quoted)
        case "html":
            return httpx.Response(502, text=f"<html>{quoted}</html>", headers={"retry-after": key})
        case _:
            return httpx.Response(200, json={"output": output})


def _everything_said(key: str, place: str, dialect: str) -> str:
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, keep = logging.getLogger("resilient_poll"), Keep(level=logging.DEBUG)
    level = logger.level
    logger.addHandler(keep)
    logger.setLevel(logging.DEBUG)
    transport = httpx.MockTransport(lambda request: _quote(place, key, request.method, dialect))
    try:
        with (
            httpx.Client(transport=transport) as http_client,
            DashScope(
                dialect=dialect,
                api_key=key,
                base_url="http://api.test/v1",
                http_client=http_client,
                clock=VirtualClock(),
                on_event=lambda event: said.append(repr(event)),
            ) as client,
        ):
            said.extend([repr(client), repr(client._core), repr(client._core.settings)])
            try:
                task = client.submit("model", {"prompt": "a cat"}, timeout=20)
                said.extend([repr(task), _unpacked(task.resume_token)])
                task.wait(timeout=20)
            except ResilientPollError as error:
                said.extend([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])
                said.append(_unpacked(getattr(error, "resume_token", None)))
    finally:
        logger.setLevel(level)
        logger.removeHandler(keep)
    return "\n".join(said)


def _unpacked(token: str | None) -> str:
    if token is None:
        return ""
    packed = token.partition(".")[2]
    return json.dumps(json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))))


def unsaid(key: str, place: str, dialect: str) -> None:
    said = _everything_said(key, place, dialect)
    assert "task-1" in said or "refused" in said or "busy" in said, "the run says something at all"
    assert key not in said


UNSAID = Property(unsaid, key=keys, place=places, dialect=st.sampled_from(["aisa", "dashscope"]))


def test_no_key_is_ever_said() -> None:
    """No log line, event, repr, error, traceback or token holds the key, wherever the service quotes it."""
    UNSAID.holds()


def test_a_quoted_key_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what the service says is passed on as it is."""
    monkeypatch.setattr(ClientCore, "scrub", lambda self, answer: answer)  # noqa: ARG005
    UNSAID.catches_the_planted_fault()
