"""What the fake is given: scenarios, requests as their bytes, faults, and what a checked client prints."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from fake_server.admin import PAGES
from fake_server.app import make_app
from fake_server.check.expected import KnownFailuresError, read_known
from fake_server.check.outcome import read_claim
from fake_server.engine import Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.rules.journal import MOST_ENTRIES
from fake_server.scenario import ScenarioErrors, shipped_scenarios
from fake_server.scenario.library import load_scenario_text
from fake_server.wire.routes import ROUTES
from fake_server.worlds import Worlds
from tests.fuzz.target import Target, told

__all__ = ["TARGETS"]

MOST_WORLDS = 8
VIDEO = "/services/aigc/video-generation/video-synthesis"
BODY = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}, "parameters": {"size": "832*480"}}'


def _scenario(raw: bytes) -> str:
    """Read a scenario, and play a task of it if it is one."""
    try:
        scenario = load_scenario_text("fuzzed", raw)
    except ScenarioErrors as errors:
        for line in errors.lines():
            assert "\n" not in line
            line.encode()
        return f"refused: {told(errors)}"
    engine = Engine(scenario, world="w", seed=0, started=Moment(0.0, 1.75e9))
    key = (("Authorization", "Bearer sk-fuzzed"), ("X-DashScope-Async", "enable"))
    words = set()
    for at_s, method, path, body in _story():
        asked = Request(method=method, path=path, query="", headers=key, body=body, origin="http://fake.test")
        reply = engine.handle(asked, Moment(at_s, 1.75e9 + at_s))
        if not isinstance(reply, Reply):
            words.add("cut")
            continue
        words.add(str(reply.status // 100))
        if method == "POST" and reply.status == 200:
            json.loads(reply.body or b"{}") if scenario.faults == () and not scenario.create else None
    engine.verdict(Moment(1e6, 1.75e9 + 1e6), ["SUCCEEDED"])
    engine.bill(Moment(1e6, 1.75e9 + 1e6))
    return f"plays {' '.join(sorted(words))}"


@functools.cache
def _story() -> tuple[tuple[float, str, str, bytes], ...]:
    base = "/api/v1"
    polls = [(float(at_s), "GET", f"{base}/tasks/nobody", b"") for at_s in (1, 5, 90)]
    return ((0.0, "POST", base + VIDEO, BODY), *polls, (91.0, "GET", f"{base}/tasks", b""))


@functools.cache
def _scenario_seeds() -> Sequence[bytes]:
    return [path.read_bytes() for path in shipped_scenarios().values()]


@functools.cache
def _service() -> tuple[Any, Any]:
    worlds = Worlds(shipped_scenarios(), "succeeds", manual=True, most_worlds=MOST_WORLDS)
    return worlds, make_app(worlds)


def _request(raw: bytes) -> str:
    """Put a request to the application, as a server would: its first line, headers, an empty line, a body."""
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b" ")[0].partition(b"?")
    # A server refuses what is no token, and what is no header, before the application hears of it.
    verb = method.decode("latin-1") if method.isalpha() and len(method) < 20 else "GET"
    headers = [(b"host", b"127.0.0.1")]
    for line in lines[:60]:
        name, colon, value = line.partition(b":")
        if colon and name.strip() and not set(name) & set(b"\x00\r \t") and not set(value) & set(b"\x00\r"):
            headers.append((name.lower(), value.strip()))
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def take(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    worlds, app = _service()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": _unquoted(path),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    if scope["path"].endswith("/events"):
        return "a stream, which has no end"
    asyncio.run(app(scope, receive, take))
    assert len(worlds.names()) <= MOST_WORLDS
    for name in worlds.names():
        assert len(worlds.named(name).engine.journal.entries) <= MOST_ENTRIES
    status = sent[0]["status"]
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    scripted = _was_scripted(worlds)
    assert status < 500 or status == 503 or scripted, answer[:300]
    return f"{status}"


def _was_scripted(worlds: Any) -> bool:
    lines = [line for name in worlds.names() for line in worlds.named(name).engine.journal.entries[-1:]]
    return any(line.fault for line in sorted(lines, key=lambda line: line.sequence)[-1:])


def _unquoted(path: bytes) -> str:
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415  # what servers do

    return unquote_to_bytes(path).decode("utf-8", "replace")


@functools.cache
def _request_seeds() -> Sequence[bytes]:
    head = b"\nauthorization: Bearer sk-succeeds\nx-dashscope-async: enable\ncontent-type: application/json\n\n"
    found = []
    for routes in ROUTES.values():
        for route in routes:
            verb, _, path = route.partition("?")[0].partition(" ")
            found.append(f"{verb} {path.replace('{task_id}', 'x')}".encode() + head + (BODY if verb == "POST" else b""))
    bodies = [b"", b'{"scenario": "succeeds"}', b'{"fault": "status", "status": 500, "nth": 1}', b'{"seconds": 3}']
    for page in PAGES:
        path = page.path.replace("{world}", "succeeds").replace("{task_id}", "x").replace("{scenario}", "succeeds")
        found += [f"{page.verb} /__admin{path.replace('{fault_id}', '1')}\n\n".encode() + body for body in bodies]
    scenario = b"version: 1\nsummary: x\ntasks: [SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"
    return [*found, b"POST /__admin/scenarios/x\n\n" + scenario, b"GET /w/succeeds.a/api/v1/tasks?page_no=2" + head]


def _claim(raw: bytes) -> str:
    claim = read_claim(raw.decode("utf-8", "replace"))
    repr(claim).encode("utf-8", "backslashreplace")
    return f"{len(claim.outcomes) > 0} {len(claim.billed) > 0} {claim.complaint and claim.complaint[:20]}"


def _known(raw: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "known.txt")
        path.write_bytes(raw)
        try:
            return f"{min(len(read_known(path)), 3)} known"
        except KnownFailuresError as error:
            return told(error)


_CLAIMS = (
    b'said something\n{"outcome": "SUCCEEDED", "billed": true}\n',
    b'{"outcomes": ["SUCCEEDED", "IN_DOUBT"], "billed": [true, null]}\n',
    b"it prints no claim\n",
)
_KNOWN = (b"create-answer-lost create_once  # ours repeats it\n\nsucceeds/aisa outcome\n", b"\xef\xbb\xbfx y\n")
_SCENARIO_WORDS = (
    *(
        b"quotas: ",
        b"create: ",
        b"poll: ",
        b"faults: ",
        b"expect: ",
        b"client: ",
        b"tasks: ",
        b"prices: ",
        b"retention: ",
    ),
    *(
        b"fault: status",
        b"nth: ",
        b"window: ",
        b"probability: ",
        b"when: after_commit",
        b"body: ",
        b"headers: ",
        b"times: ",
    ),
    *(b"PENDING 2s -> ", b"RUNNING 3 polls", b"RUNNING 1 poll -> FAILED", b"log_normal", b"retry_after: ", b"form: "),
)
_REQUEST_WORDS = (
    *(
        b"GET ",
        b"POST ",
        b"/w/",
        b"/__admin/worlds",
        b"/api/v1/tasks/",
        b"/apis/v1/tasks?task_id=",
        b"page_no=",
        b"%00",
    ),
    *(
        b"\nx-fake-world: ",
        b"\nauthorization: Bearer ",
        b"\norigin: http://evil.test",
        b"\nhost: evil.test",
        b"start_time=",
    ),
    *(b'"fault": ', b'"seconds": ', b'"scenario": ', b'"outcomes": ', b'"model": ', b'"input": ', b'"messages": '),
)
TARGETS = (
    Target("scenario", "scenarios, and what is played by them", _scenario_seeds, _scenario, _SCENARIO_WORDS),
    Target("request", "requests to the fake and its admin pages", _request_seeds, _request, _REQUEST_WORDS),
    Target("claim", "what a checked client prints", lambda: _CLAIMS, _claim, (b'"outcome": ', b'"billed": ', b"null")),
    Target("known-failures", "files of known failures", lambda: _KNOWN, _known, (b"#", b"/aisa", b" ")),
)
