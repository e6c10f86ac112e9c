"""Where things are created: by the documented names, by any plain path, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError, Endpoint
from resilient_poll.dashscope.direct import checked_kind
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.dialects import AISA, DASHSCOPE, DIALECTS
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS, IMAGE_SYNCHRONOUS, VIDEO, endpoint_for
from resilient_poll.dashscope.wire.requests import create_request

# Written out from the vendor's pages, not from the table.
DOCUMENTED = {
    "video": "/services/aigc/video-generation/video-synthesis",
    "keyframe-video": "/services/aigc/image2video/video-synthesis",
    "text-to-image": "/services/aigc/text2image/image-synthesis",
    "image-to-image": "/services/aigc/image2image/image-synthesis",
    "image-messages": "/services/aigc/image-generation/generation",
    "image-synchronous": "/services/aigc/multimodal-generation/generation",
    "model-3d": "/services/aigc/video-generation/3d-generation",
    "transcription": "/services/audio/asr/transcription",
}
HOSTILE_PATHS = [
    *("/", "//", "/a//b", "/a/", "/../x", "/a/../b", "/a/..", "/.", "/./a", "/a/.hidden", "//evil.test/x"),
    *("/a?b=c", "/a#b", "/a%2e%2e/b", "/a%2f", "/a b", "/a\n", "/a\r\nx: y", "/a\x00", "/\u00e9", "/a\ud800"),
    *("/a\\b", "/a;b", "/a:b", "/a@b", "/" + "a" * 101, "/a" * 13, "/\u202egnp", "/a\t", "/-a", "/\uff0e\uff0e/a"),
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_endpoint_is_there(name: str) -> None:
    """Every documented endpoint is found by its name, and its request goes to its path."""
    endpoint = endpoint_for(name, DASHSCOPE)
    assert endpoint.path == DOCUMENTED[name]
    request = create_request(Settings(DASHSCOPE, "http://api.test/v1", "key"), endpoint, "model", {"prompt": "x"}, None)
    assert (request.method, request.url) == ("POST", "http://api.test/v1" + DOCUMENTED[name])


def test_no_endpoint_is_undocumented() -> None:
    """The table holds what the pages hold and no more."""
    assert {name: endpoint.path for name, endpoint in ENDPOINTS.items()} == DOCUMENTED


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_async_header_goes_where_tasks_are_made(name: str) -> None:
    """The async header goes with every create of a task, and never to the synchronous endpoint, where it is a 403."""
    request = create_request(Settings(DASHSCOPE, "http://api.test/v1", "key"), ENDPOINTS[name], "m", {}, None)
    assert (("x-dashscope-async", "enable") in request.headers) is (name != "image-synchronous")


def test_the_gateway_documents_two() -> None:
    """In the gateway's dialect only videos and synchronous images are documented; another name is refused unsent."""
    assert {name for name in DOCUMENTED if AISA.name in ENDPOINTS[name].dialects} == {"video", "image-synchronous"}
    with pytest.raises(ConfigurationError, match=r"does not document.*give its path, /services/.*nothing was sent"):
        endpoint_for("text-to-image", AISA)
    assert endpoint_for(DOCUMENTED["text-to-image"], AISA).path == DOCUMENTED["text-to-image"]


@pytest.mark.parametrize("path", ["/a", "/services/audio/tts/v2", "/x_1/y-2/z.3", "/" + "a" * 100, "/a" * 12])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_any_plain_path_is_an_endpoint(path: str, dialect: Any) -> None:
    """A path of plain segments is taken in either dialect, for tasks and for results that come at once."""
    endpoint = endpoint_for(path, dialect)
    assert endpoint.path == path
    for is_synchronous in (True, False):
        assert checked_kind(endpoint, is_synchronous=is_synchronous).is_synchronous is is_synchronous


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=ascii)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    """A path that could leave the API, carry a query or be read in two ways is refused in one sentence."""
    with pytest.raises(ConfigurationError, match=r"is no path of an API.*nothing was sent") as caught:
        endpoint_for(path, DASHSCOPE)
    assert caught.value.safe_to_submit_again
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60).map(lambda text: "/" + text))
def test_a_path_that_is_taken_is_taken_as_it_stands(path: str) -> None:
    """Whatever path is taken is what a URL library sends, byte for byte, on the host that was meant."""
    import httpx  # noqa: PLC0415  # only here

    try:
        taken = endpoint_for(path, DASHSCOPE)
    except ConfigurationError:
        return
    url = httpx.URL("http://api.test/v1" + taken.path)
    assert (url.host, url.raw_path) == ("api.test", f"/v1{path}".encode())


@pytest.mark.parametrize(
    "wrong",
    [
        *("", " ", "vide", "VIDEO", "video ", "services/aigc", "..", "http://evil.test/x", "\ud800", "x" * 10_000),
        *(None, 5, b"/a", ["video"], {"video": 1}, 1.5, True),
        *(Endpoint("x", None, "x", "png"), Endpoint("x", 5, "x", "png"), Endpoint("x", "/../a", "x", "png")),  # type: ignore[arg-type]
        *(Endpoint("x", "/a", "x", "../../x"), Endpoint("x", "/a", "x", "p/g"), Endpoint("x", "/a", "x", None)),  # type: ignore[arg-type]
        *(Endpoint("x", "/a", "x", "png", "yes"), Endpoint("x", "/a", "x", "png", dialects="aisa")),  # type: ignore[arg-type]
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_endpoint_is_refused(wrong: Any) -> None:
    """What is neither a name, a path nor a sound endpoint is a usage error before anything is sent, in a line."""
    with pytest.raises(ConfigurationError, match="nothing was sent") as caught:
        endpoint_for(wrong, DASHSCOPE)
    assert caught.value.safe_to_submit_again
    assert len(str(caught.value)) < 400
    assert json.dumps(str(caught.value))


def test_the_way_of_answering_is_the_endpoints_own() -> None:
    """A documented endpoint is refused where it is asked in the other way, and the sentence says what to use."""
    with pytest.raises(ConfigurationError, match=r"use generate\(\)"):
        checked_kind(IMAGE_SYNCHRONOUS, is_synchronous=False)
    with pytest.raises(ConfigurationError, match=r"use submit\(\)"):
        checked_kind(VIDEO, is_synchronous=True)
