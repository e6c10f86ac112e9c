"""What the storm sends: requests that fit, requests that nearly do, and bytes that are none."""

from __future__ import annotations

import json
from random import Random

from fake_server.wire.routes import ROUTES

BASES = {"dashscope": "/api/v1", "aisa": "/apis/v1"}
CREATE = "/services/aigc/video-generation/video-synthesis"
GOOD = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}, "parameters": {"duration": 5}}'
LARGE_BYTES = 10_000_000
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE")
# Values that stand where another type belongs.
WRONG = (None, True, -1, 0, 10**400, 1e308, "", "\ud83d", "x" * 5_000, [], [[]], {}, {"a": {"b": []}}, "\0", "None")
BROKEN = (
    b"",
    b"[",
    b"{}",
    b"null",
    b'"',
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"model": NaN, "input": {"prompt": Infinity}}',
    b'{"model": "m", "input": {"prompt": "a"}, "parameters": {"duration": 1e999}}',
    b'{"model": "m", "input": {"prompt": "a"}, "parameters": {"duration": ' + b"9" * 5_000 + b"}}",
    b'{"model": "\\ud83d", "input": {"prompt": "\\udc00"}}',
    b'{"model": "a", "model": "b", "input": {"input": {}}}',
    GOOD[:-9],
    GOOD * 2,
)
IDS = ("nobody", "%00", "%2e%2e", "..", "%f0%9f%92%a9", "%ff", "a" * 200, "null", "%0d%0a", "~", "sk-secret-secret")
QUERIES = ("", "page_no=0", "page_no=9999999999&page_size=-1", "status=%ed%a0%bd", "task_id=", "&&==", "%", "a=" * 300)
FAULTS = (
    {"fault": "status", "status": 503, "on": ["query"], "first": 2},
    {"fault": "status", "status": 500, "body": "malformed", "on": ["create"], "probability": 0.5},
    {"fault": "status", "status": 429, "retry_after": "2s", "on": ["create", "query"], "every_nth": 3},
    {"fault": "latency", "fixed": "2s", "on": ["query"]},
    {"fault": "wire", "kind": "stall", "on": ["query"], "times": 2},
    {"fault": "wire", "kind": "garbage_status_line", "on": ["query"], "times": 3},
    {"fault": "wire", "kind": "bad_chunk", "on": ["list", "query"], "probability": 0.3},
    {"fault": "wire", "kind": "huge_header", "on": ["query"], "times": 2},
    {"fault": "wire", "kind": "continue_storm", "on": ["create"], "times": 2},
    {"fault": "latency", "fixed": "2s", "when": "before_commit", "on": ["create"]},
    {"fault": "duplicated_create", "first": 3},
    {"fault": "clock_skew", "ahead": "3m", "on": ["query"]},
)


def chance(text: str) -> Random:
    """Chance that follows from a text."""
    return Random(text)  # noqa: S311  # nothing here is secret, and a seed replays it


def mad_body(draw: Random) -> bytes:
    """A body that is no create, or one with a field of a wrong type."""
    if draw.random() < 0.5:
        return draw.choice(BROKEN)
    body = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a"}, "parameters": {"size": "1280*720", "n": 1}}
    where = draw.choice([body, body["input"], body["parameters"]])
    where[draw.choice([*where, "extra", "duration", "seed", "img_url", "n"])] = draw.choice(WRONG)  # type: ignore[index]
    return json.dumps(body).encode()


def mad_headers(draw: Random) -> list[tuple[str, str]]:
    """Headers that a client should not send."""
    pool = [
        ("authorization", draw.choice(["", "Bearer", "Basic x", "Bearer \xff\xfe", "Bearer sk-" + "k" * 3_000])),
        ("x-fake-world", draw.choice(["", "succeeds", "nobody", "a.b.c", "\xe9", "~lobby", "succeeds." + "x" * 99])),
        ("content-encoding", "gzip"),
        ("accept-encoding", draw.choice(["gzip;q=0", ",,,", "gzip;q=x", "*"])),
        ("expect", "100-continue"),
        ("range", draw.choice(["bytes=0-0", "bytes=-1", "bytes=9-1", "lines=1-2", "bytes=99999999999999999999-"])),
        ("x-dashscope-async", draw.choice(["disable", "", "\xff", "enable, enable"])),
        ("connection", draw.choice(["close", "upgrade", "keep-alive, x"])),
        ("upgrade", draw.choice(["websocket", "h2c"])),
        ("host", draw.choice(["", "a b", "[::1]:99999", "x" * 300, "evil.example"])),
        *((f"x-{number}", "v") for number in range(draw.choice([0, 0, 0, 200]))),
    ]
    return draw.sample(pool, draw.randrange(1, 4))


def mad_path(draw: Random) -> str:
    """A target that fits nothing, or nearly something."""
    route = draw.choice([one for routes in ROUTES.values() for one in routes]).split(" ", 1)[1]
    path = route.replace("{task_id}", draw.choice(IDS))
    return draw.choice(
        [
            path,
            f"/w/{draw.choice(IDS)}{path}",
            f"/w/succeeds.mad{path}?{draw.choice(QUERIES)}",
            f"http://elsewhere.example{path}",
            f"{path}/../..",
            f"//{path}",
            "*",
            "/",
            "/" + "a" * draw.choice([10, 3_000, 70_000]),
            f"/w/succeeds.mad/assets/{draw.choice(IDS)}.mp4",
            "/%",
            "/\xff\xfe",
        ]
    )


def mad_bytes(draw: Random) -> bytes:
    """Bytes that are no request, or not a whole one."""
    head = f"POST {BASES['dashscope']}{CREATE} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-succeeds.mad\r\n"
    whole = f"{head}content-length: {len(GOOD)}\r\n\r\n".encode() + GOOD
    kind = draw.randrange(9)
    if kind == 0:
        return draw.randbytes(draw.randrange(1, 400))
    if kind == 1:
        return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200)
    if kind == 2:
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    if kind == 3:
        return whole[: draw.randrange(1, len(whole))]
    if kind == 4:
        length = draw.choice(["-1", "9" * 30, "0x10", "5, 6", " ", "1_0"])
        return f"{head}content-length: {length}\r\n\r\n".encode() + GOOD
    if kind == 5:
        chunks = draw.choice(
            [b"5\r\nhello\r\n", b"zz\r\n", b"ffffffffffffffffff\r\n", b"5;x=" + b"y" * 99_000, b"0\r\n\r\n"]
        )
        return f"{head}transfer-encoding: chunked\r\n\r\n".encode() + chunks
    if kind == 6:
        return f"{head}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n".encode() + b"0\r\n\r\n"
    if kind == 7:
        return whole.replace(b" HTTP/1.1", draw.choice([b"", b" HTTP/9.9", b" HTTP/1.0", b" HTCPCP/1.0"]))
    place = draw.randrange(len(whole))
    return whole[:place] + draw.randbytes(draw.randrange(1, 4)) + whole[place + 1 :]
