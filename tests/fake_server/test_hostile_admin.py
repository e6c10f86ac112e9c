"""Whatever is sent to the admin pages and the service: an answer that explains itself, never a 500, within bounds."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.admin import PAGES
from fake_server.app import make_app
from fake_server.rules.journal import MOST_ENTRIES
from fake_server.rules.matching import KEYS
from fake_server.scenario import shipped_scenarios
from fake_server.wire.routes import ROUTES
from fake_server.worlds import Worlds
from tests.fake_server.driving import ASYNC, BODY, UNTIMED, VIDEO

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

MOST = 8
GATEWAY = re.compile(r"(/w/[^/]*)?/apis/v1/")
WORLDS = Worlds(shipped_scenarios(), "succeeds", manual=True, most_worlds=MOST)
APP = make_app(WORLDS)
EXAMPLES = int(os.environ.get("FUZZ_REQUESTS", "300"))
# A cut connection and a stream have no answer to look at.
PAGES_WITH_AN_ANSWER = [page for page in PAGES if page.media_type == "application/json"]
NAMES = ["succeeds", "succeeds.a", "stuck-running.b", "bad-gateway", "~lobby", "throttled-poll.c"]
WORDS = sorted({*KEYS, "seconds", "status", "speed", "key", "world", "what", "outcomes", "tier", "fault", "on", "nth"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1s", "RUNNING", "4xx", "status", "query", "succeeds.a", "SUCCEEDED", -1, 0, 1, 1e308, "free"])
)
BODIES = (
    st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), SCALARS | st.lists(SCALARS, max_size=3), max_size=4)
    .map(json.dumps)
    .map(str.encode)
    | st.binary(max_size=60)
    | st.sampled_from([b"", b"{}", b"[]", BODY, b"version: 1\n", b"a: &x [*x]\n", b"\t", b"[" * 500, b"{" * 500])
)
PARTS = st.sampled_from([*NAMES, "a1", "s1", "nobody", "..", "%00"]) | st.text(min_size=1, max_size=20)


@st.composite
def admin_requests(draw: st.DrawFn) -> tuple[str, str, str, bytes]:
    """A verb, a path that is nearly always a page's, a query and a body."""
    page = draw(st.sampled_from(PAGES_WITH_AN_ANSWER))
    path = page.path
    for part in ("{world}", "{task_id}", "{scenario}", "{fault_id}"):
        path = path.replace(part, draw(PARTS))
    query = draw(st.sampled_from(["", "limit=1", "after=2", "outcome=FAILED", "limit=x", "x=1"]) | st.text(max_size=10))
    verb = draw(st.sampled_from([page.verb] * 5 + ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]))
    return verb, "/__admin" + path, query, draw(BODIES)


@st.composite
def service_requests(draw: st.DrawFn) -> tuple[str, str, str, bytes]:
    """The same for the service, with or without a world in its address."""
    route = draw(st.sampled_from([one for routes in ROUTES.values() for one in routes]))
    verb, _, path = route.partition("?")[0].partition(" ")
    path = path.replace("{task_id}", draw(PARTS))
    if draw(st.booleans()):
        path = f"/w/{draw(PARTS)}{path}"
    return verb, path, draw(st.text(max_size=12)), draw(BODIES)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all requests."""
    with asyncio.Runner() as runner:
        yield runner


def send(
    runner: asyncio.Runner, verb: str, path: str, query: str, body: bytes, headers: list[tuple[bytes, bytes]]
) -> tuple[int, bytes]:
    """A request, put to the application as a server would; status and body of the answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def take(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": "",
        "query_string": query.encode("utf-8", "surrogatepass"),
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    runner.run(APP(scope, receive, take))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@settings(UNTIMED, max_examples=EXAMPLES)
@given(asked=admin_requests())
def test_an_admin_page_always_answers(runner: asyncio.Runner, asked: tuple[str, str, str, bytes]) -> None:
    """Whatever verb, path, query and body an admin page is sent, the answer is JSON and below 500 (or a bound that is
    told); a refusal is a list of errors with sentences; and neither worlds nor lines grow beyond their bounds."""
    verb, path, query, body = asked
    status, answer = send(runner, verb, path, query, body, [])
    assert status < 500 or (status == 503 and b"worlds of this fake" in answer), answer
    if verb != "HEAD":
        page = json.loads(answer)
        assert ("errors" in page) == (status >= 400 or path == "/__admin/validate")
        if status >= 400:
            assert all(error["detail"] for error in page["errors"])
    assert len(WORLDS.names()) <= MOST


def was_scripted() -> bool:
    """Whether the latest answer of all worlds is what a scenario asked for."""
    worlds = [world for name in WORLDS.names() if (world := WORLDS.named(name)) is not None]
    lines = [line for world in worlds for line in world.engine.journal.entries[-1:]]
    return any(line.fault for line in sorted(lines, key=lambda line: line.sequence)[-1:])


KEYS_SENT = st.sampled_from(["sk-succeeds", "sk-succeeds.a", "sk-stuck-running.b", "sk-invalid", "sk-sucseeds", "any"])


@settings(UNTIMED, max_examples=EXAMPLES)
@given(asked=service_requests(), key=KEYS_SENT, world=st.none() | PARTS)
def test_the_service_always_answers(
    runner: asyncio.Runner, asked: tuple[str, str, str, bytes], key: str, world: str | None
) -> None:
    """Whatever is sent to the service, by key, address or header, is answered in the dialect's shape and below 500, or
    by the 503 that tells of a bound; worlds and their journals stay within theirs."""
    verb, path, query, body = asked
    headers = [(b"authorization", f"Bearer {key}".encode()), (ASYNC[0].lower().encode(), ASYNC[1].encode())]
    if world is not None:
        headers.append((b"x-fake-world", world.encode("utf-8", "surrogatepass")))
    status, answer = send(runner, verb, path, query, body, headers)
    if was_scripted():
        return
    assert status < 500 or status == 503, answer
    page = json.loads(answer)
    if status >= 400 and GATEWAY.match(path):
        page = page["error"]
    assert status == 200 or page["message"]
    assert len(WORLDS.names()) <= MOST
    for name in [*WORLDS.names(), "~lobby"]:
        found = WORLDS.named(name)
        assert found is not None
        assert len(found.engine.journal.entries) <= MOST_ENTRIES


def test_the_fuzz_reaches_what_it_is_aimed_at(runner: asyncio.Runner) -> None:
    """The requests drawn above are no noise: a create of theirs is carried out, and a page of theirs shows it."""
    headers = [(b"authorization", b"Bearer any"), (b"x-dashscope-async", b"enable")]
    status, answer = send(runner, "POST", f"/w/succeeds.a/api/v1{VIDEO}", "", BODY, headers)
    assert status in (200, 503), answer
    if status == 200:
        status, answer = send(runner, "GET", "/__admin/worlds/succeeds.a/tasks", "limit=1", b"", [])
        assert json.loads(answer)["tasks"][0]["status"] == "PENDING"
