"""Which texts are URLs that can be asked for."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.http.urls import is_http_url


@pytest.mark.parametrize(
    "url",
    [
        "https://assets.example/clip.mp4?Expires=1&Signature=a%2Bb",
        "http://127.0.0.1:8080/x",
        "http://[::1]:8080/x",
        "http://a-b_c.example./x",
        f"http://{'a' * 63}.example/",
    ],
)
def test_what_can_be_asked_for(url: str) -> None:
    """Host names, addresses and ports that can exist make a URL."""
    assert is_http_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "clip.mp4",
        "//host/x",
        "ftp://host/x",
        "file:///etc/passwd",
        "http:///x",
        "http://a..b/x",
        "http://.../x",
        "http://-a/x",
        f"http://{'a' * 70}/x",
        f"http://{'a.' * 150}b/x",
        "http://host:0/x",
        "http://host:99999/x",
        "http://host:x/y",
        "http://1.2.3.999/x",
        "http://[::1/x",
        "http://host/ x",
        "http://host/\n",
        "http://h\u00f6st/x",
        "http://host/" + "x" * 9000,
    ],
)
def test_what_cannot_be_asked_for(url: str) -> None:
    """Other schemes, hosts and ports that cannot exist, and odd characters make none."""
    assert not is_http_url(url)


@given(st.text(), st.sampled_from(["http://", "https://", "", "HTTP://"]))
def test_what_is_let_through_can_be_encoded(text: str, scheme: str) -> None:
    """Whatever is let through has a host that the operating system can look up, and nothing is an error."""
    if is_http_url(scheme + text):
        assert (urlsplit(scheme + text).hostname or "").encode("idna")
