"""The requests of the API, as bytes would see them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError, DashScope, __version__
from resilient_poll.dashscope.settings import Settings, resolve_settings
from resilient_poll.dashscope.wire.endpoints import VIDEO
from resilient_poll.dashscope.wire.requests import (
    asset_request,
    cancel_request,
    checked_task_id,
    create_request,
    query_request,
)
from resilient_poll.http.messages import HttpRequest

KEY = "sk-canary-key-0123456789"


def settings(dialect: str = "dashscope") -> Settings:
    return resolve_settings(
        dialect=dialect, api_key=KEY, base_url="https://host.test/base", headers={"x-mine": "1"}, environ={}
    )


def create(dialect: str = "dashscope") -> HttpRequest:
    return create_request(settings(dialect), VIDEO, "wan2.5-t2v", {"prompt": "a c\u00e4t"}, {"size": "1280*720"})


@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
def test_a_create_is_what_the_page_writes(dialect: str) -> None:
    """A create is a POST to the video path with model, input and parameters as UTF-8 JSON."""
    request = create(dialect)
    assert request.method == "POST"
    assert request.url == "https://host.test/base/services/aigc/video-generation/video-synthesis"
    assert request.body is not None
    assert json.loads(request.body) == {
        "model": "wan2.5-t2v",
        "input": {"prompt": "a c\u00e4t"},
        "parameters": {"size": "1280*720"},
    }
    assert "\u00e4".encode() in request.body


@pytest.mark.parametrize(
    ("dialect", "url"),
    [
        ("aisa", "https://host.test/base/services/aigc/tasks/t-1"),
        ("dashscope", "https://host.test/base/tasks/t-1"),
    ],
)
def test_a_query_uses_the_path_form(dialect: str, url: str) -> None:
    """A query is a GET with the id in the path and no body."""
    request = query_request(settings(dialect), "t-1")
    assert (request.method, request.url, request.body) == ("GET", url, None)


def test_a_cancel_exists_in_one_dialect_only() -> None:
    """A cancel is a POST where the dialect has one, and an error that sends nothing where it has none."""
    request = cancel_request(settings(), "t-1")
    assert (request.method, request.url) == ("POST", "https://host.test/base/tasks/t-1/cancel")
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        cancel_request(settings("aisa"), "t-1")


def test_the_async_header_goes_with_creates_only() -> None:
    """The header that makes a create asynchronous is on the create and on nothing else."""
    name = "x-dashscope-async"
    assert (name, "enable") in create().headers
    others = (query_request(settings(), "t"), cancel_request(settings(), "t"), asset_request("https://a/b"))
    assert all(name not in dict(request.headers) for request in others)


def test_the_key_goes_to_the_api_only() -> None:
    """Key and caller's headers are on every request to the API, and on none for an asset."""
    for request in (create(), query_request(settings(), "t"), cancel_request(settings(), "t")):
        assert dict(request.headers)["authorization"] == f"Bearer {KEY}"
        assert dict(request.headers)["x-mine"] == "1"
    asset = asset_request("https://assets.test/clip.mp4")
    assert {name for name, _ in asset.headers} == {"user-agent", "accept", "accept-encoding"}
    assert KEY not in repr(asset.headers)


def test_a_request_shows_neither_key_nor_body() -> None:
    """The repr of a request has method and URL, and nothing that is secret or long."""
    assert KEY not in repr(create())
    assert "prompt" not in repr(create())


@pytest.mark.parametrize(
    "task_id",
    [
        "",
        " ",
        "..",
        "../quotas",
        "a/../../quotas",
        "a/b",
        "a\\b",
        "a\nb",
        "a\n",
        "a\r\nx: y",
        "a b",
        "a?x=1",
        "a#b",
        "a%2fb",
        ".hidden",
        "-rf",
        "\u00e9",
        "\uff41",
        "a" * 201,
        "a\x00",
        None,
        17,
        b"abc",
        ["abc"],
    ],
)
def test_an_id_that_could_be_another_path_is_refused(task_id: Any) -> None:
    """What is no plain id never becomes a path, neither through the client nor beneath it."""
    with pytest.raises(ConfigurationError):
        checked_task_id(task_id)
    if isinstance(task_id, str):
        with (
            DashScope(dialect="dashscope", api_key=KEY, base_url="http://host.test") as client,
            pytest.raises(ConfigurationError),
        ):
            client.task(task_id)


@given(st.text())
def test_an_id_that_is_taken_stays_one_segment(task_id: str) -> None:
    """Any text is refused, or ends up as the last segment of the path, as it is."""
    try:
        checked = checked_task_id(task_id)
    except ConfigurationError:
        return
    assert query_request(settings(), checked).url == f"https://host.test/base/tasks/{task_id.replace(':', '%3A')}"


@pytest.mark.parametrize(
    ("model", "input", "parameters"),  # three names, one row
    [
        ("", {}, None),
        ("  ", {}, None),
        (None, {}, None),
        (7, {}, None),
        ("m", None, None),
        ("m", "a cat", None),
        ("m", [("prompt", "a cat")], None),
        ("m", {}, "size"),
        ("m", {}, []),
        ("m", {"prompt": math.nan}, None),
        ("m", {"prompt": math.inf}, None),
        ("m", {"prompt": b"bytes"}, None),
        ("m", {"prompt": {1, 2}}, None),
        ("m", {"prompt": "\ud800"}, None),
        ("m", {("a", "b"): 1}, None),
    ],
)
def test_a_create_that_makes_no_sense_is_not_built(model: Any, input: Any, parameters: Any) -> None:  # noqa: A002
    """A create that JSON or the service could not understand is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        create_request(settings(), VIDEO, model, input, parameters)


def test_an_input_that_holds_itself_is_refused() -> None:
    """An endless input is an error, not an endless loop."""
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ConfigurationError):
        create_request(settings(), VIDEO, "m", endless, None)


def test_empty_parameters_are_left_out() -> None:
    """No parameters and empty ones are the same request."""
    one, other = (create_request(settings(), VIDEO, "m", {"prompt": "x"}, parameters) for parameters in (None, {}))
    assert one == other
    assert b"parameters" not in (one.body or b"")


def test_a_request_says_who_asks_and_what_cannot_be_sent() -> None:
    """Each request names this package and its version, and an input that is no JSON is refused with the reason."""
    for request in (create(), query_request(settings(), "t-1"), asset_request("https://x.test/a")):
        assert dict(request.headers)["user-agent"] == f"resilient-poll/{__version__}"
    with pytest.raises(ConfigurationError, match=r"cannot be written as JSON \(.*type set is not"):
        create_request(settings(), VIDEO, "m", {"prompt": {1}}, None)
