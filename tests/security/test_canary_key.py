"""Keys stay home (property 9), on a real socket: a service that echoes the key wherever it can.

Every place where our own code says something is searched: logs at DEBUG, events, reprs,
errors with their causes and tracebacks, tokens. What the HTTP libraries log of an answer's
headers at DEBUG is theirs; that the request's headers are not in it is tested too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import ResilientPollError
from resilient_poll.drive.clocks import VirtualClock
from tests.security.hearing import Heard, listening
from tests.support.colours import COLOURS, INPUT, LIBRARIES, MODEL, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, http_answer, json_answer

KEY = "sk-canary-key-0123456789"
TASK_ID = "11111111-2222-3333-4444-555555555555"
ACCEPTED = {"output": {"task_id": TASK_ID, "task_status": "PENDING"}, "request_id": KEY}
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)

# What is said is decided in one place for all colours, so not every pair of them is run.
WAYS = [
    ("sync", "own", "aisa"),
    ("sync", "httpx", "dashscope"),
    ("asyncio", "httpx2", "dashscope"),
    ("trio", "own", "dashscope"),
    ("trio", "httpx2", "aisa"),
]
each_way = pytest.mark.parametrize(("colour", "library", "dialect"), WAYS)


def error_body(dialect: str, key: str = KEY) -> dict[str, Any]:
    if dialect == "aisa":
        return {"error": {"code": key, "message": f"key {key} is wrong", "request_id": key}}
    return {"code": key, "message": f"key {key} is wrong", "request_id": key}


ECHO = {"x-echo": f"Bearer {KEY}", "set-cookie": f"key={KEY}", "retry-after": KEY, "content-disposition": KEY}
Answers = Callable[[str], bytes]

# What a hostile service says, by the dialect that it is asked in: to a create, and to everything after it.
TO_CREATES: dict[str, Answers] = {
    "refused": lambda dialect: json_answer(401, error_body(dialect), ECHO),
    "refused in escapes": lambda dialect: http_answer(
        401, json.dumps(error_body(dialect, "CANARY")).replace("CANARY", ESCAPED).encode(), ECHO
    ),
    "refused in UTF-16": lambda dialect: http_answer(401, json.dumps(error_body(dialect)).encode("utf-16"), ECHO),
    "throttled": lambda dialect: json_answer(429, error_body(dialect), ECHO),
    "server error": lambda dialect: json_answer(500, error_body(dialect), ECHO),
    "a page": lambda _: http_answer(502, f"<html>{KEY}</html>".encode(), ECHO),
    "redirected": lambda _: http_answer(307, KEY.encode(), {"location": f"http://127.0.0.1:1/{KEY}"}),
    "redirected to nonsense": lambda _: http_answer(307, b"", {"location": f"http://1.2.3.999/{KEY}"}),
    "no id": lambda _: json_answer(200, {"output": {"key": KEY}, "request_id": KEY}),
    "the key as the id": lambda _: json_answer(200, {"output": {"task_id": KEY}}),
    "a broken status line": lambda _: f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
    "a broken header": lambda _: f"HTTP/1.1 200 OK\r\n{KEY} \x00: x\r\n\r\n".encode(),
    "a broken length": lambda _: f"HTTP/1.1 200 OK\r\ncontent-length: {KEY}\r\n\r\n".encode(),
    "an odd encoding": lambda _: http_answer(200, b"x", {"content-encoding": KEY}),
}


def status_answer(**output: Any) -> bytes:
    return json_answer(200, {"output": {"task_id": TASK_ID, **output}, "request_id": KEY}, ECHO)


TO_QUERIES: dict[str, Answers] = {
    "refused": lambda dialect: json_answer(403, error_body(dialect), ECHO),
    "throttled": lambda dialect: json_answer(429, error_body(dialect), ECHO),
    "server error": lambda dialect: json_answer(500, error_body(dialect), ECHO),
    "failed": lambda _: status_answer(task_status="FAILED", code=KEY, message=f"bad key {KEY}"),
    "failed in escapes": lambda _: http_answer(
        200,
        f'{{"output": {{"task_status": "FAILED", "code": "{ESCAPED}", "message": "{ESCAPED}"}}}}'.encode(),
    ),
    "an unlisted status": lambda _: status_answer(task_status=KEY),
    "another task": lambda _: json_answer(200, {"output": {"task_id": KEY, "task_status": "RUNNING"}}),
    "no JSON": lambda _: http_answer(200, KEY.encode(), ECHO),
    "a broken status line": lambda _: f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
    "succeeded without a URL": lambda _: status_answer(task_status="SUCCEEDED", video_url=KEY),
}


def listen_to(
    colour: str, library: str, dialect: str, to_create: bytes, to_query: bytes, folder: Path | None = None
) -> Heard:
    """Run a submit, a wait and a download against a server that says some bytes, and return all that was said."""
    heard, clock = Heard(), VirtualClock()

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            assert request.headers["authorization"] == f"Bearer {KEY}", "a key that is not sent proves nothing"
            connection.send(to_create if request.method == "POST" else to_query)
            if b"content-length" not in (to_create if request.method == "POST" else to_query):
                return

    async def main() -> None:
        async with dashscope_client(
            colour,
            library,
            server.url,
            dialect=dialect,
            api_key=KEY,
            clock=clock if colour == "sync" else clock.for_async(),
            on_event=lambda event: heard.ours.append(repr(event)),
        ) as client:
            heard.ours += [repr(client), repr(client._core), repr(client._core.settings), str(client._core.settings)]
            try:
                task = await got(client.submit(MODEL, INPUT, timeout=20.0))
                heard.ours += [repr(task), repr(task.standing), task.resume_token]
                heard.token(task.resume_token)
                outcome = await got(task.wait(timeout=20.0))
                heard.ours += [repr(outcome), repr(task)]
                await got(task.download(folder))
            except ResilientPollError as error:
                heard.error(error)

    with listening(heard), RawServer(script) as server:
        run_in(colour, main)
    assert server.requests
    assert any("submit" in line or TASK_ID in line for line in heard.ours), "a run that says nothing proves nothing"
    return heard


def assert_key_stayed_home(said: list[str]) -> None:
    leaks = [line for line in said if KEY in line or KEY[:14] in line or KEY[-14:] in line]
    assert not leaks, leaks[0]
    halves = [line for line in said if "Bearer " in line]
    assert not halves, halves[0]


@pytest.mark.parametrize("what", TO_CREATES)
@each_way
def test_a_create_that_echoes_the_key_is_not_repeated(colour: str, library: str, what: str, dialect: str) -> None:
    """Whatever a service says to a create, nothing of ours repeats the key."""
    to_create = TO_CREATES[what](dialect)
    heard = listen_to(colour, library, dialect, to_create, b"")
    assert_key_stayed_home(heard.ours)


@pytest.mark.thorough(plain=18)
@pytest.mark.parametrize("what", TO_QUERIES)
@each_way
def test_a_query_that_echoes_the_key_is_not_repeated(colour: str, library: str, what: str, dialect: str) -> None:
    """Whatever a service says to a query, nothing of ours repeats the key."""
    heard = listen_to(colour, library, dialect, json_answer(200, ACCEPTED), TO_QUERIES[what](dialect))
    assert_key_stayed_home(heard.ours)


@pytest.mark.parametrize("library", ["own", *LIBRARIES])
@pytest.mark.parametrize("colour", COLOURS)
def test_an_ordinary_run_says_no_key_to_anyone(colour: str, library: str, tmp_path: Path) -> None:
    """Without an echo, not even the libraries' own logs at DEBUG have the key, and the asset's host is not told it."""
    with RawServer.answering(lambda _: http_answer(200, b"video")) as assets:
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": f"{assets.url}/clip.mp4"}
        accepted = json_answer(200, {**ACCEPTED, "request_id": "r1"})
        heard = listen_to(colour, library, "dashscope", accepted, json_answer(200, {"output": output}), tmp_path)
    assert (tmp_path / f"{TASK_ID}.mp4").read_bytes() == b"video"
    assert heard.theirs, "libraries that log nothing prove nothing"
    assert_key_stayed_home(heard.ours + heard.theirs)
    assert KEY.encode() not in assets.requests[0].everything


@pytest.mark.thorough(plain=10)
@pytest.mark.parametrize("before", [0, 130, 150, 170, 300], ids="{} letters before".format)
@each_way
def test_an_asset_host_in_league_with_the_service_is_not_repeated(
    colour: str, library: str, before: int, dialect: str, tmp_path: Path
) -> None:
    """An asset's host that was told the key by the service and echoes it is not repeated either."""
    with RawServer(lambda connection: connection.send(f"HTTP/1.1 {'x' * before}{KEY}\r\n\r\n".encode())) as assets:
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": f"{assets.url}/clip.mp4"}
        heard = listen_to(
            colour, library, dialect, json_answer(200, ACCEPTED), json_answer(200, {"output": output}), tmp_path
        )
    assert any("is not saved" in line for line in heard.ours)
    assert_key_stayed_home(heard.ours)
