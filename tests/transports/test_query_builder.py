"""A query that is remembered goes out like one that is built anew."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.http.messages import ExchangeFailed, HttpRequest
from resilient_poll.transports.library import HttpLibrary, library_of
from resilient_poll.transports.wire import QueryBuilder, build_request
from tests.support.colours import COLOURS, LIBRARIES, got, run_in
from tests.support.raw_server import RawServer, http_answer
from tests.transports.test_exchange import exchange_of

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
HEADERS = st.lists(st.tuples(TOKENS, st.text("abc 123/=;,", max_size=12)), max_size=5).map(tuple)
HOSTS = st.sampled_from(["example.test", "example.test:8443", "127.0.0.1:80", "[::1]:8000", "bücher.test"])
PATHS = st.lists(st.text("ab:._-%~ü ", min_size=1, max_size=8), max_size=4).map(lambda parts: "/" + "/".join(parts))


def adapter(name: str) -> HttpLibrary:
    return library_of(LIBRARIES[name].Client(verify=False))


def shown(built: Any) -> tuple[Any, ...]:
    return built.method, str(built.url), built.url.raw_path, built.headers.raw, built.extensions, built.content


@pytest.mark.parametrize("name", LIBRARIES)
@given(
    method=st.sampled_from(["GET", "POST"]),
    scheme=st.sampled_from(["http", "https"]),
    host=HOSTS,
    path=PATHS,
    headers=HEADERS,
    timeout_s=st.floats(0.001, 1000),
)
def test_a_remembered_query_is_the_same(
    name: str, method: str, scheme: str, host: str, path: str, headers: tuple[tuple[str, str], ...], timeout_s: float
) -> None:
    """Method, target, headers in order, time-outs and the empty body equal those of a request built anew, each time."""
    library = adapter(name)
    request = HttpRequest(method, f"{scheme}://{host}{path}", headers)
    expected = shown(build_request(request, library, timeout_s)[0])
    builder = QueryBuilder(library)
    assert shown(builder.build(request, timeout_s)) == expected
    assert shown(builder.build(request, timeout_s)) == expected


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_a_hook_adds_stays_in_one_request(name: str) -> None:
    """A header or extension that someone puts into one request is not in the next."""
    builder = QueryBuilder(adapter(name))
    request = HttpRequest("GET", "http://example.test/a", (("accept", "application/json"),))
    expected = shown(builder.build(request, 1.0))
    spoilt = builder.build(request, 1.0)
    spoilt.headers["x-trace"] = "1"
    spoilt.headers["accept"] = "text/html"
    spoilt.extensions["timeout"]["read"] = 0.0
    spoilt.url = spoilt.url.copy_with(path="/b")
    assert shown(builder.build(request, 1.0)) == expected


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_url_without_sense_is_refused_each_time(name: str) -> None:
    """A URL that the library cannot read is a failure that surely sent nothing, the second time too."""
    builder = QueryBuilder(adapter(name))
    for _ in range(2):
        with pytest.raises(ExchangeFailed) as caught:
            builder.build(HttpRequest("GET", "http://example.test:port/"), 1.0)
        assert caught.value.surely_not_sent


def test_what_is_remembered_ends_with_the_exchange() -> None:
    """Nothing of a builder, and so no key in its headers, outlives it."""
    builder = QueryBuilder(adapter("httpx"))
    held = weakref.ref(builder.build(HttpRequest("GET", "http://example.test/a", (("a", "b"),)), 1.0).headers)
    builder_held = weakref.ref(builder)
    del builder
    gc.collect()
    assert held() is None
    assert builder_held() is None


@pytest.mark.parametrize("library", ["own", *LIBRARIES])
@pytest.mark.parametrize("colour", COLOURS)
def test_polls_go_out_alike_on_one_connection(colour: str, library: str) -> None:
    """Three polls of a task are the same bytes to the letter, on one connection, with Host first."""

    async def main() -> None:
        with RawServer.answering(lambda _: http_answer(200, b"{}")) as server:
            request = HttpRequest("GET", f"{server.url}/tasks/1", (("authorization", "Bearer k"),))
            async with exchange_of(colour, library) as exchange:
                for _ in range(3):
                    await got(exchange.query(request, 10.0))
            assert len({sent.everything for sent in server.requests}) == 1
            assert len(server.requests) == 3
            assert server.connections == 1
            lines = server.requests[0].head.split(b"\r\n")
            assert lines[0] == b"GET /tasks/1 HTTP/1.1"
            assert lines[1].lower() == b"host: 127.0.0.1:%d" % server.port
            assert lines[2:] == [b"authorization: Bearer k"]

    run_in(colour, main)
