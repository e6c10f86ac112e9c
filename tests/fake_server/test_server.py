"""The fake on a real socket: connections, limits, origins, and the admin pages."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fake_server.app import Api, make_app
from fake_server.server import Address, bind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_server.conftest import Running, Start

BODY = b'{"model": "m", "input": {"prompt": "x"}}'


def raw_create(fake: Running, key: str) -> socket.socket:
    """A connection on which a create was sent."""
    connection = socket.create_connection(("127.0.0.1", fake.port), timeout=10)
    connection.sendall(raw_create_bytes(key))
    return connection


def raw_create_bytes(key: str) -> bytes:
    """A create as it goes over the wire."""
    head = (
        "POST /api/v1/services/aigc/video-generation/video-synthesis HTTP/1.1\r\nHost: fake\r\n"
        f"Authorization: Bearer {key}\r\nX-DashScope-Async: enable\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


def exchange(fake: Running, raw: bytes) -> bytes:
    """Whatever comes back for raw bytes, until the connection ends or falls silent."""
    with socket.create_connection(("127.0.0.1", fake.port), timeout=0.5) as connection:
        received = b""
        try:
            connection.sendall(raw)
            while chunk := connection.recv(65_536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
        return received


def test_a_life_over_the_socket(fake: Running) -> None:
    """Create, poll on a clock that is moved by hand, download in pieces; the bill and the verdict agree."""
    key, world = "sk-succeeds.life", "succeeds.life"
    answer = fake.create(key)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert answer.headers["server"] == "istio-envoy"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    task_id = answer.json()["output"]["task_id"]
    assert fake.poll(key, task_id)["task_status"] == "PENDING"
    assert fake.advance(world, 2.0)["monotonic_s"] == 2.0
    for _ in range(3):
        assert fake.poll(key, task_id)["task_status"] == "RUNNING"
        fake.advance(world, 1.0)
    output = fake.poll(key, task_id)
    assert output["task_status"] == "SUCCEEDED"
    url = output["video_url"]
    assert url == f"{fake.url}/w/{world}/assets/{task_id}.mp4"
    whole = httpx.get(url, trust_env=False)
    assert whole.headers["content-type"] == "video/mp4"
    assert int(whole.headers["content-length"]) == len(whole.content)
    piece = httpx.get(url, headers={"Range": "bytes=100-199"}, trust_env=False)
    assert (piece.status_code, piece.content) == (206, whole.content[100:200])
    bill = fake.admin(f"/worlds/{world}/bill")
    assert (bill["billed_tasks"], bill["total"]) == (1, "0.75")
    verdict = fake.client.get(f"/__admin/worlds/{world}/verdict?outcome=SUCCEEDED").json()
    assert verdict["verdict"] == "PASS", verdict
    assert fake.admin(f"/worlds/{world}/verdict")["verdict"] == "NOT_EXERCISED"
    journal = fake.admin(f"/worlds/{world}/journal")
    assert [entry["route"] for entry in journal["entries"]] == ["create", *["query"] * 5, "asset", "asset"]
    assert journal["counters"]["polls"] == 5
    assert journal["forgotten"] == 0
    assert "Bearer" not in json.dumps(journal)


def test_a_reset_is_a_reset_and_a_close_is_a_close(fake: Running) -> None:
    """A scripted reset is a true one (RST), a close an orderly end (FIN) with no byte before it; the task of a
    lost answer exists, that of a dropped create does not."""
    with raw_create(fake, "sk-create-answer-lost.raw") as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    with raw_create(fake, "sk-create-dropped.raw") as connection:
        assert connection.recv(1) == b""
    assert len(fake.admin("/worlds/create-answer-lost.raw/bill")["tasks"]) == 1
    assert fake.admin("/worlds/create-dropped.raw/bill")["tasks"] == []


def test_httpx_sees_both_kinds_of_cut(fake: Running) -> None:
    """A reset is a ReadError, a close a RemoteProtocolError; the next request passes."""
    with pytest.raises(httpx.ReadError):
        fake.create("sk-create-answer-lost.httpx")
    with pytest.raises(httpx.RemoteProtocolError):
        fake.create("sk-create-dropped.httpx")
    assert fake.create("sk-create-dropped.httpx").status_code == 200
    journal = fake.admin("/worlds/create-dropped.httpx/journal")["entries"]
    assert [(entry["status"], entry["fault"]) for entry in journal] == [
        (0, "create drop before_commit (line 4)"),
        (200, None),
    ]


def test_keys_find_their_worlds(fake: Running) -> None:
    """A mistyped key is told the nearest name in its dialect's shape; a stranger's key plays the default."""
    answer = fake.create("sk-sucseeds", dialect="aisa")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-succeeds" in answer.json()["error"]["message"]
    assert fake.create("sk-invalid").json()["code"] == "InvalidApiKey"
    secret = "sk-" + "0123456789abcdef" * 2
    assert fake.create(secret).status_code == 200
    shown = json.dumps([fake.admin("/worlds"), fake.admin("/health"), fake.admin("/scenarios")])
    assert secret[3:] not in shown
    assert any(world["world"].startswith("succeeds~") for world in fake.admin("/worlds")["worlds"])
    answer = fake.client.get("/api/v1/tasks/x")
    assert (answer.status_code, answer.json()["code"]) == (401, "InvalidApiKey")


def test_urls_follow_the_host_that_the_client_used(fake: Running, start: Start) -> None:
    """Asset URLs start with the request's own scheme and host, or with `--public-url`; a mad Host does no harm."""
    key = "sk-create-answer-lost.hosts"
    with pytest.raises(httpx.ReadError):
        fake.create(key)
    headers = {"Authorization": f"Bearer {key}"}
    task_id = fake.client.get("/api/v1/tasks/", headers=headers).json()["data"][0]["task_id"]
    for host, expected in (
        (f"localhost:{fake.port}", f"http://localhost:{fake.port}"),
        ("fake.example", "http://fake.example"),
        ('"><script>', f"http://127.0.0.1:{fake.port}"),
    ):
        answer = fake.client.get(f"/api/v1/tasks/{task_id}", headers={**headers, "Host": host})
        assert answer.json()["output"]["video_url"].startswith(f"{expected}/w/"), host
    behind = start(public_url="https://fakes.example/x/", default="create-answer-lost")
    with pytest.raises(httpx.ReadError):
        behind.create("k")
    task_id = behind.client.get("/api/v1/tasks", headers={"Authorization": "Bearer k"}).json()["data"][0]["task_id"]
    assert behind.poll("k", task_id)["video_url"].startswith("https://fakes.example/x/w/")


def test_a_body_beyond_the_limit_is_a_413(fake: Running) -> None:
    """More than ten megabytes are refused in the dialect's shape, without being kept."""
    headers = {"Authorization": "Bearer sk-succeeds.large", "X-DashScope-Async": "enable"}
    url = "/apis/v1/services/aigc/video-generation/video-synthesis"
    answer = fake.client.post(url, content=b"x" * 10_000_001, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert "succeeds.large" not in {world["world"] for world in fake.admin("/worlds")["worlds"]}


@pytest.mark.parametrize(
    "task_id",
    ["..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/x", "a%0d%0aX-Evil:%201", "%00", "x" * 10_000, "%F0%9F%90%88", "a?b=c&d"],
)
@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_an_odd_id_is_answered_in_the_dialects_shape(fake: Running, dialect: str, method: str, task_id: str) -> None:
    """Whatever stands in the place of an id, and whichever method is used, the answer is UNKNOWN or an error of the
    dialect with a sentence, no header more and never a 500."""
    path = {"aisa": "/apis/v1/services/aigc/tasks/", "dashscope": "/api/v1/tasks/"}[dialect] + task_id
    answer = fake.client.request(method, path, headers={"Authorization": "Bearer sk-succeeds.odd"})
    fake.advance("succeeds.odd", 1.0)
    assert "x-evil" not in answer.headers
    if answer.status_code == 200:
        assert answer.json()["output"]["task_status"] == "UNKNOWN"
        return
    assert answer.status_code == 404
    error = answer.json()["error"] if dialect == "aisa" else answer.json()
    assert error["code"] == ("not_found" if dialect == "aisa" else "NotFound")
    assert error["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://elsewhere/api/v1/tasks/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /__admin/%ff HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nshort",
        b"GET /api/v1/tasks/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=range(15),
)
def test_raw_nonsense_does_no_harm(fake: Running, raw: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Broken, endless and hostile requests get an answer below 500 or nothing, no traceback, and the server goes on."""
    received = exchange(fake, raw)
    assert received == b"" or received.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), received
    assert fake.client.get("/__admin/health").json()["status"] == "ok"
    assert "Traceback" not in capfd.readouterr().err


def test_pipelined_requests_are_answered_in_order(fake: Running) -> None:
    """Two requests in one packet on one connection get two answers; a large head later on is still refused."""
    one = b"GET /api/v1/tasks/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-succeeds.pipe\r\n\r\n"
    received = exchange(fake, one + one.replace(b"tasks/a", b"tasks/b"))
    assert received.index(b'"task_id": "a"') < received.index(b'"task_id": "b"')
    received = exchange(fake, one + b"GET / HTTP/1.1\r\nX: " + b"y" * 400_000)
    assert received.count(b"HTTP/1.1 200") == 1
    assert received.count(b"HTTP/1.1 400") == 1


def test_an_offer_of_another_protocol_is_passed_over(fake: Running) -> None:
    """A create that offers HTTP/2, as Java's client makes each one, is carried out with its body, however it is cut
    and framed, and so is what follows it on the connection."""
    path = "/api/v1/services/aigc/video-generation/video-synthesis"
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    head = f"Host: x\r\nAuthorization: Bearer sk-succeeds.java\r\nX-DashScope-Async: enable\r\n{offer}"
    sized = f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(BODY)}\r\n\r\n".encode()
    chunked = f"POST {path} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    pieces = b"5\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"
    poll = f"GET /api/v1/tasks/nobody HTTP/1.1\r\n{head}\r\n".encode()
    stream = sized + BODY + chunked + pieces + poll + poll + sized + BODY
    for step in (len(stream), 7, 1):
        with socket.create_connection(("127.0.0.1", fake.port), timeout=2) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            for start in range(0, len(stream), step):
                connection.sendall(stream[start : start + step])
            while received.count(b"HTTP/1.1 ") < 5 or not received.endswith(b"}"):
                chunk = connection.recv(65_536)
                assert chunk, received
                received += chunk
        assert received.count(b"HTTP/1.1 200") == 5, received
    assert len(fake.admin("/worlds/succeeds.java/bill")["tasks"]) == 9


def test_a_request_that_never_came_whole_is_none(fake: Running) -> None:
    """A client that leaves within the body of a create has asked for nothing: no task, no line, no scripted answer."""
    key = "sk-server-error-after-commit.half"
    head, _, _ = raw_create_bytes(key).partition(BODY)
    with socket.create_connection(("127.0.0.1", fake.port), timeout=2) as connection:
        connection.sendall(head + BODY[:10])
    fake.client.get("/__admin/health")
    fake.create(key)
    journal = fake.admin("/worlds/server-error-after-commit.half/journal")
    assert [entry["fault"] is not None for entry in journal["entries"]] == [True]
    assert journal["counters"]["create_requests"] == 1


def test_bodies_on_their_way_are_bounded_together(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many clients that never finish their requests cannot fill the memory: who is too much is a 503 in the dialect's
    shape, and once they have left others are served as before."""
    monkeypatch.setattr("fake_server.app.MOST_BYTES_ON_THEIR_WAY", 100_000)
    crowded = start()
    head, _, _ = raw_create_bytes("sk-succeeds.crowd").partition(BODY)
    unfinished = head.replace(b"Length: %d" % len(BODY), b"Length: 90000") + b"x" * 60_000
    with socket.create_connection(("127.0.0.1", crowded.port), timeout=5) as first:
        first.sendall(unfinished)
        with socket.create_connection(("127.0.0.1", crowded.port), timeout=5) as second:
            second.sendall(unfinished)
            refused = second.recv(65_536)
        assert refused.startswith(b"HTTP/1.1 503"), refused
        assert b'"code": "ModelUnavailable"' in refused
        assert crowded.create("sk-succeeds.crowd").status_code == 200
    assert len(crowded.admin("/worlds/succeeds.crowd/bill")["tasks"]) == 1


def test_what_follows_a_body_is_bounded_and_is_no_head(fake: Running) -> None:
    """Trailers are no headers, and neither they nor an endless chunk extension fill the memory: they are cut off."""
    head = b"POST /api/v1/tasks/x/cancel HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    trailer = b"0\r\nAuthorization: Bearer sk-succeeds\r\nConnection: close\r\n\r\n"
    assert exchange(fake, head + trailer).startswith(b"HTTP/1.1 401")
    for start, endless in ((b"0\r\n", b"X: y\r\n"), (b"0\r\nX: ", b"y"), (b"1;a=", b"y")):
        with socket.create_connection(("127.0.0.1", fake.port), timeout=5) as connection:
            connection.sendall(head + start)
            with pytest.raises(ConnectionError):
                connection.sendall(endless * 20_000_000)


# The admin pages


def test_a_world_can_be_made_before_its_first_request(fake: Running) -> None:
    """A key's world can be made and its clock moved before anything is asked of it."""
    made = fake.client.post("/__admin/worlds", json={"key": "sk-fails-by-policy.early"})
    assert (made.status_code, made.json()["world"]) == (201, "fails-by-policy.early")
    fake.advance("fails-by-policy.early", 60.0)
    assert fake.admin("/worlds/fails-by-policy.early/clock") == {
        "kind": "manual",
        "monotonic_s": 60.0,
        "wall_s": 1_767_225_660.0,
        "held_back": 0,
        "next_due_s": None,
    }
    assert fake.create("sk-fails-by-policy.early").headers["date"] == "Thu, 01 Jan 2026 00:01:00 GMT"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "pointer"),
    [
        ("POST", "/worlds", b"{}", 400, "/key"),
        ("POST", "/worlds", b'{"key": ""}', 400, "/key"),
        ("POST", "/worlds", b'{"key": "sk-succeed"}', 401, "/key"),
        ("POST", "/worlds", b"{", 400, ""),
        ("POST", "/worlds", b"[]", 400, ""),
        ("POST", "/worlds", b"x" * 100_001, 413, ""),
        ("GET", "/worlds/none/clock", b"", 404, ""),
        ("GET", "/worlds/none/verdict", b"", 404, ""),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": -1}', 400, "/seconds"),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": "1"}', 400, "/seconds"),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": true}', 400, "/seconds"),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": 1e999}', 400, "/seconds"),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": 1' + b"0" * 400 + b"}", 400, "/seconds"),
        ("POST", "/worlds/W/clock/advance", b'{"seconds": NaN}', 400, "/seconds"),
        ("GET", "/nothing", b"", 404, ""),
        ("DELETE", "/worlds", b"", 405, ""),
    ],
)
def test_admin_mistakes_are_told(fake: Running, method: str, path: str, body: bytes, status: int, pointer: str) -> None:
    """A mistake on an admin page is a list of errors, each with a pointer and a sentence."""
    fake.client.post("/__admin/worlds", json={"key": "sk-succeeds.W"})
    answer = fake.client.request(method, "/__admin" + path.replace("/W/", "/succeeds.W/"), content=body)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert error["detail"]
    assert fake.admin("/worlds/succeeds.W/clock")["monotonic_s"] == 0.0


def test_a_real_clock_cannot_be_advanced(start: Start) -> None:
    """Advancing a real clock is a conflict, not a lie."""
    real = start(manual=False)
    real.client.post("/__admin/worlds", json={"key": "sk-succeeds"})
    answer = real.client.post("/__admin/worlds/succeeds/clock/advance", json={"seconds": 1})
    assert answer.status_code == 409
    assert real.admin("/worlds/succeeds/clock")["kind"] == "real"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "["}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
    ],
)
def test_a_page_elsewhere_cannot_reach_the_admin_pages(fake: Running, headers: dict[str, str], status: int) -> None:
    """Admin pages are for our own host names and origins only (DNS rebinding)."""
    assert fake.client.get("/__admin/health", headers=headers).status_code == status


@pytest.mark.parametrize(("caller", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403), ("unix", 403)])
def test_another_machine_cannot_reach_the_admin_pages(fake: Running, caller: str, status: int) -> None:
    """Admin pages answer to the loopback only, whatever Host a caller from elsewhere names."""

    async def ask() -> int:
        transport = httpx.ASGITransport(make_app(fake.worlds), client=(caller, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/__admin/health")).status_code

    assert asyncio.run(ask()) == status


def test_the_admin_pages_know_what_they_serve(fake: Running) -> None:
    """Version, scenarios with what a driver must do, and worlds are told."""
    assert fake.admin("/version")["version"]
    rows = {row["name"]: row for row in fake.admin("/scenarios")["scenarios"]}
    assert rows["canceled-while-pending"]["client"]["cancel"] == "PENDING"
    assert rows["create-dropped"]["needs_socket"]
    assert rows["demo"]["expect"]["outcomes"] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_a_broken_scenario_is_listed_as_broken(tmp_path: Path, start: Start) -> None:
    """A file that cannot be read is in the list with its first complaint."""
    (tmp_path / "broken.yaml").write_text("version: 2\n")
    own = start(scenarios={"broken": tmp_path / "broken.yaml"}, default="broken")
    (row,) = own.admin("/scenarios")["scenarios"]
    assert "broken.yaml:1:" in row["error"]
    assert own.create("any-key").status_code == 400


def test_half_a_surrogate_breaks_no_admin_page(fake: Running) -> None:
    """Whatever a client put into a create, every page can still be read."""
    body = b'{"model": "m\\ud800", "input": {"prompt": "\\udfff"}}'
    headers = {"Authorization": "Bearer sk-succeeds.half", "X-DashScope-Async": "enable"}
    answer = fake.client.post("/api/v1/services/aigc/video-generation/video-synthesis", content=body, headers=headers)
    assert answer.status_code == 200
    for page in ("bill", "journal", "verdict?outcome=%ED%A0%80", "clock"):
        assert fake.client.get(f"/__admin/worlds/succeeds.half/{page}").status_code == 200
    assert fake.admin("/worlds/succeeds.half/bill")["tasks"][0]["model"] == "m\ud800"


def test_the_index_is_guarded_too(fake: Running) -> None:
    """The index, with and without its slash, answers to our own names only."""
    for path in ("/__admin", "/__admin/"):
        assert fake.client.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_a_world_can_be_reset(fake: Running) -> None:
    """A reset world takes tasks again where abandoned ones held every slot; a world that is not there is a 404."""
    key = "sk-stuck-running.full"
    answers = [fake.create(key, "aisa").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    fake.advance("stuck-running.full", 5.0)
    assert fake.client.post("/__admin/worlds/stuck-running.full/reset").json()["clock"]["monotonic_s"] == 5.0
    assert fake.admin("/worlds/stuck-running.full/bill")["tasks"] == []
    assert fake.create(key, "aisa").status_code == 200
    assert fake.client.post("/__admin/worlds/none/reset").status_code == 404


def test_addresses() -> None:
    """A wildcard is told as the loopback, an IPv6 address in brackets; a taken port is an OSError."""
    assert Address("0.0.0.0", 1).url == "http://127.0.0.1:1"  # noqa: S104 - told, not bound
    assert Address("::1", 1).url == "http://[::1]:1"
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_another_server_cannot_cut_and_says_so(fake: Running) -> None:
    """Under a server that is not ours a drop is refused loudly instead of becoming a made-up answer."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/services/aigc/video-generation/video-synthesis",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer sk-create-dropped.asgi"), (b"x-dashscope-async", b"enable")],
    }
    with pytest.raises(RuntimeError, match="needs the fake's own server"):
        asyncio.run(Api(fake.worlds)(scope, receive, send))
