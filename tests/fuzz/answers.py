"""What a service answers: any bytes, over our blocking client of each dialect, on a clock that nobody waits for."""

from __future__ import annotations

import functools
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from resilient_poll import DashScope, ResilientPollError
from resilient_poll.drive.clocks import VirtualClock
from tests.fuzz.target import KEY, Target, told
from tests.support.colours import INPUT, MODEL

__all__ = ["NEXT", "TARGETS", "WAIT_S", "Played", "Service", "answers_of"]

TASK_ID = "11111111-2222-3333-4444-555555555555"
NEXT = b"\n=====\n"
MOST_ANSWERS, WAIT_S, MARGIN_S = 20, 20.0, 1.0
DIALECTS = ("aisa", "dashscope")
DAY_OF_THE_ROWS = datetime(2025, 1, 8, 20, tzinfo=UTC)
"""When the tasks in the contract's pages had been made."""
_CONTRACT = Path(__file__).resolve().parents[2] / "scenarios" / "contract"
_NAME = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
# What no reader of HTTP lets into a value.
_VALUE = re.compile(rb"[\x00\r\n]")


@dataclass(frozen=True)
class Played:
    """One answer, as its bytes in an input say.

    Attributes:
        status: Its HTTP status.
        headers: Names and values.
        body: What follows.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def answers_of(raw: bytes) -> list[Played]:
    """Return the answers that an input holds: a status, headers, an empty line, a body; then `=====` and the next."""
    answers = []
    for part in raw.split(NEXT)[:MOST_ANSWERS]:
        head, _, body = part.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        digits = re.search(rb"\d{3}", first)
        status = int(digits.group()) if digits else 200
        pairs = [line.partition(b":") for line in lines[:50] if b":" in line]
        headers = tuple(
            (_NAME.sub(b"", name) or b"x", _VALUE.sub(b"", value).strip()[:60_000]) for name, _, value in pairs
        )
        answers.append(Played(status if 200 <= status <= 599 else 200, headers, body))
    return answers


class _Stream(httpx.SyncByteStream):
    """A body that comes when it is read, so that what its coding does wrong shows then."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


@dataclass
class Service:
    """Answers with one answer after the other, the last for ever.

    Attributes:
        answers: What it says.
        clock: Everybody's.
        asked: What it was asked, and the status that it said.
    """

    answers: Sequence[Played]
    clock: VirtualClock = field(default_factory=VirtualClock)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append((request.method, answer.status))
        assert len(self.asked) < 200, "it asks and asks"
        assert request.url.host == "api.test" or "authorization" not in request.headers
        self.clock.advance(0.01)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=_Stream(answer.body))


@contextmanager
def _client(service: Service, dialect: str) -> Iterator[DashScope]:
    with (
        httpx.Client(transport=httpx.MockTransport(service)) as http_client,
        DashScope(
            dialect=dialect,
            api_key=KEY,
            base_url="http://api.test/v1",
            clock=service.clock,
            http_client=http_client,
            make_seed=lambda: "seed",
        ) as client,
    ):
        yield client


def _each(act: Callable[[DashScope], str], raw: bytes, dialects: Sequence[str] = DIALECTS) -> str:
    """Let a client of each dialect do something, and say what came of it."""
    came = []
    for dialect in dialects:
        service = Service(answers_of(raw))
        try:
            with _client(service, dialect) as client:
                came.append(act(client))
        except ResilientPollError as error:
            came.append(told(error))
        assert service.clock.now().monotonic_s < 3 * WAIT_S + 5, "it waits and waits"
        posts = [status for method, status in service.asked if method == "POST"]
        assert not any(200 <= status < 300 for status in posts[:-1]), "a create that was taken was sent again"
    return " / ".join(came)


def _create(client: DashScope) -> str:
    task = client.submit(MODEL, INPUT, timeout=WAIT_S)
    assert client.task(task.resume_token).id == task.id
    json.dumps(task.id).encode()
    return "accepted"


def _query(client: DashScope) -> str:
    task = client.task(TASK_ID)
    try:
        made = task.wait(timeout=WAIT_S)
    finally:
        client.task(task.resume_token)
    assert all(asset.url.startswith("http") for asset in made.assets)
    repr((made.assets, made.failures, made.usage)).encode()
    return f"{made.status} {bool(made.assets)} {bool(made.failures)} {made.billing}"


def _generate(client: DashScope) -> str:
    made = client.generate(MODEL, INPUT, endpoint="image-synchronous", timeout=WAIT_S)
    repr((made.assets, made.failures, made.usage)).encode()
    return f"made {bool(made.assets)} {bool(made.failures)} {made.billing}"


def _list(client: DashScope) -> str:
    count = 0
    for count, task in enumerate(client.list_remote(end=DAY_OF_THE_ROWS), start=1):
        repr(task).encode("utf-8", "backslashreplace")
        if count > 300:
            break
    return f"listed {min(count, 3)}"


def _cancel(client: DashScope) -> str:
    return f"canceled {client.task(TASK_ID).cancel().phase}"


def _download(client: DashScope) -> str:
    task = client.task(TASK_ID)
    task.wait(timeout=WAIT_S)
    with tempfile.TemporaryDirectory() as folder:
        outer, inner = Path(folder), Path(folder, "a", "b")
        inner.mkdir(parents=True)
        saved = task.download_all(inner)
        assert all(path.is_file() and path.parent == inner for path in saved), saved
        assert {path.name for path in outer.iterdir()} == {"a"}
        assert {path.name for path in (outer / "a").iterdir()} == {"b"}
        return f"saved {min(len(saved), 2)}"


@functools.cache
def contract(kind: str) -> tuple[bytes, ...]:
    """Return the answers of the contract of a kind, as inputs."""
    found = []
    for path in sorted(_CONTRACT.glob(f"{kind}*.yaml")):
        for case in YAML(typ="safe", pure=True).load(path):
            raw = case["body_text"].encode() if "body_text" in case else json.dumps(case.get("body")).encode()
            found.append(_input(case.get("http_status", 200), raw, case.get("headers") or {}))
    return tuple(dict.fromkeys(found))


def _input(status: int, body: bytes, headers: dict[str, Any] | None = None) -> bytes:
    head = "".join(f"\n{name}: {value}" for name, value in (headers or {}).items())
    return f"{status}{head}\n\n".encode() + body


def _seeds(kind: str) -> Callable[[], Sequence[bytes]]:
    def seeds() -> Sequence[bytes]:
        hints = {"retry-after": "3", "date": "Sun, 01 Mar 2026 12:00:00 GMT", "content-type": "application/json"}
        rates = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "3"}
        dated = {"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT", "X-RateLimit-Reset-Requests": "1772366430"}
        throttled = b'{"code": "Throttling.RateQuota", "message": "slow", "request_id": "r"}'
        nested = b'{"error": {"type": "t", "code": "rate_limit_exceeded", "message": "slow", "request_id": "r"}}'
        first = contract(kind)[0]
        return (
            *contract(kind),
            _input(429, throttled, hints | rates) + NEXT + first,
            _input(429, nested, dated) + NEXT + first,
            _input(502, b"<html>bad gateway</html>", {"content-encoding": "gzip"}) + NEXT + first,
            _input(302, b"", {"location": "https://other.test/", "content-encoding": "br, zstd"}) + NEXT + first,
            *(_input(status, body) for status, body in _REFUSALS),
        )

    return seeds


_REFUSALS = (
    (400, b'{"code": "InvalidParameter", "message": "Field required: input.media", "request_id": "r"}'),
    (401, b'{"error": {"type": "t", "code": "invalid_api_key", "message": "no", "request_id": "r"}}'),
    (402, b'{"code": "insufficient_wallet_balance", "error": "text", "request_id": "r"}'),
    (403, b'{"error": "text"}'),
    (408, b'{"code": "RequestTimeOut", "message": "late"}'),
    (409, b'{"error": {"code": "request_in_progress", "message": "wait", "retryable": true}}'),
    (429, b'{"code": "Throttling.AllocationQuota", "message": "until 2026-03-01 12:00:00"}'),
    (503, b'{"code": "ModelUnavailable", "message": "later", "request_id": "r"}'),
)


def _asset_seeds() -> Sequence[bytes]:
    output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": "https://cdn.test/a/clip.mp4?x=1"}
    several = {**output, "results": [{"url": "https://cdn.test/1.png"}, {"url": "https://cdn.test/2.png"}]}
    asked = [_input(200, json.dumps({"output": said}).encode(), {}) for said in (output, several)]
    assets = (
        _input(200, b"\x00\x00\x00\x18ftypmp42" + b"x" * 40, {"content-length": "52", "content-type": "video/mp4"}),
        _input(302, b"", {"location": "/elsewhere.mp4"}) + NEXT + _input(200, b"x" * 9),
        _input(206, b"x" * 9, {"content-range": "bytes 0-8/9", "etag": '"a"', "content-encoding": "identity"}),
        _input(404, b"gone"),
        _input(200, b"\x1f\x8b\x08\x00", {"content-encoding": "gzip", "content-disposition": "attachment; filename=x"}),
    )
    return [question + NEXT + asset for question in asked for asset in assets]


_WORDS = (
    *(b"output", b"task_id", b"task_status", b"code", b"message", b"error", b"request_id", b"video_url", b"results"),
    *(b"usage", b"data", b"total_page", b"page_no", b"gmt_create", b"end_time", b"submit_time", b"retryable", b"url"),
    *(b"\nRetry-After: ", b"\nretry-after: 1e400", b"\nDate: ", b"\nX-RateLimit-Remaining-Requests: ", b"\nLocation: "),
    *(
        b"\nX-RateLimit-Reset-Requests: ",
        b"\nContent-Encoding: deflate",
        b"\nContent-Length: 3",
        b"200",
        b"429",
        b"503",
    ),
    *(b"408", b"409", b"204", b"301", b"400", NEXT, b"\n\n", TASK_ID.encode(), b"SUCCEEDED", b"UNKNOWN", b"choices"),
)

TARGETS = (
    Target("create", "answers to a create", _seeds("create"), functools.partial(_each, _create), _WORDS),
    Target("query", "answers to status queries", _seeds("query"), functools.partial(_each, _query), _WORDS),
    Target("generate", "answers that are the result", _seeds("result"), functools.partial(_each, _generate), _WORDS),
    Target("list", "pages of a list", _seeds("list"), lambda raw: _each(_list, raw, ["dashscope"]), _WORDS),
    Target("cancel", "answers to a cancel", _seeds("cancel"), lambda raw: _each(_cancel, raw, ["dashscope"]), _WORDS),
    Target(
        "download", "results, and what their URLs lead to", _asset_seeds, functools.partial(_each, _download), _WORDS
    ),
)
