"""What clients see when the wire is faulty: httpx, httpx2 and a raw socket, on both event loops; and our own client.

The engine's part is played by a stand-in that spoils the polls of one world, one fault after the other.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest

from fake_server.clock import ManualClock
from fake_server.server import Loop
from fake_server.wire.messages import Drop, DropHow, Reply, WireFault, WireFaultKind
from fake_server.wire_shell import carry_out
from fake_server.worlds import World
from resilient_poll import DashScope, TotalTimeout, WaitPolicy
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine.instant import Instant
from resilient_poll.transports import httpx as over_httpx
from resilient_poll.transports import httpx2 as over_httpx2
from tests.fake_server.spoilt_wire import CREATE, Spoiling, Spoilt, is_held, running, send_raw, until

LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
CHUNKED = b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OURS: dict[str, ModuleType] = {"httpx": over_httpx, "httpx2": over_httpx2}
# A read that times out here would have timed out at any length, and one that must not has the long one.
READ_S, LONG_S = 0.05, 20.0


@pytest.fixture(scope="module", params=get_args(Loop))
def fake(request: pytest.FixtureRequest) -> Iterator[Spoilt]:
    """The fake on either loop."""
    with running(request.param) as spoilt:
        yield spoilt


def read_raw(fake: Spoilt, url: str, headers: dict[str, str], first_s: float, then_s: float) -> tuple[bytes, str]:
    """What a raw socket receives of an answer, and how it ends: `reset`, `end`, or `silence` for as long as is said
    for the first piece, and for what follows it."""
    with socket.create_connection(("127.0.0.1", fake.port), timeout=first_s) as connection:
        send_raw(connection, fake, url, headers)
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
                connection.settimeout(then_s)
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "silence"
        return received, "end"


def seen_by(library: ModuleType, url: str, headers: dict[str, str], read_s: float = LONG_S) -> str:
    """What a library raises for an answer, by name; `success` if it can be read to its JSON."""
    timeout = library.Timeout(LONG_S, read=read_s)
    with library.Client(verify=False, timeout=timeout, trust_env=False) as client:
        try:
            client.get(url, headers=headers).json()
        except (library.HTTPError, ValueError) as error:
            return type(error).__name__
    return "success"


def reply(status: int, body: bytes) -> Reply:
    """An answer whose wire is whole."""
    return Reply(status, (("content-type", "application/json"), ("content-length", str(len(body)))), body)


# kind, what a raw socket sees, what httpx raises: the table.
TABLE: list[tuple[Spoiling, str, str]] = [
    (Drop("after_commit", "reset"), "reset", "ReadError"),
    (WireFault("reset", after_bytes=0), "reset", "ReadError"),
    (WireFault("reset", after_bytes=9), "reset", "ReadError"),
    (WireFault("reset"), "reset", "ReadError"),
    (Drop("after_commit", "close"), "end", "RemoteProtocolError"),
    (WireFault("close", after_bytes=0), "end", "RemoteProtocolError"),
    (WireFault("close"), "end", "RemoteProtocolError"),
    (WireFault("short_body"), "end", "RemoteProtocolError"),
    (WireFault("missing_last_chunk"), "end", "RemoteProtocolError"),
    (WireFault("bad_chunk"), "end", "RemoteProtocolError"),
    (WireFault("garbage_status_line"), "end", "RemoteProtocolError"),
    (WireFault("two_lengths"), "end", "RemoteProtocolError"),
    (WireFault("huge_header"), "end", "RemoteProtocolError"),
    (WireFault("bad_gzip"), "silence", "DecodingError"),
    (WireFault("invalid_utf8"), "silence", "UnicodeDecodeError"),
    (WireFault("extra_bytes"), "end", "success"),
    (WireFault("continue_storm", count=2_000), "silence", "success"),
    (WireFault("drip", every_s=0.0), "silence", "success"),
    (WireFault("stall", for_s=0.0), "silence", "success"),
    (WireFault("stall"), "silence", "ReadTimeout"),
    (WireFault("stall", after_bytes=0), "silence", "ReadTimeout"),
    (reply(200, b'{"output": {"task_st'), "silence", "JSONDecodeError"),
    (reply(200, b"<html>log in</html>"), "silence", "JSONDecodeError"),
    (reply(204, b'{"output": {}}'), "end", "JSONDecodeError"),
]
NAMES = [f"{getattr(row[0], 'kind', 'drop')}-{number}" for number, row in enumerate(TABLE)]


@pytest.mark.parametrize(("spoiling", "raw", "raised"), TABLE, ids=NAMES)
def test_the_table_of_wire_faults(fake: Spoilt, spoiling: Spoiling, raw: str, raised: str) -> None:
    """Each fault ends a raw socket as the table says, by a reset or an orderly end, and makes both libraries raise
    what the table names; the next request is answered as if nothing had been."""
    url, headers, _ = fake.task(spoiling, spoiling, spoiling)
    read_s = READ_S if raised == "ReadTimeout" else LONG_S
    # Silence has no other sign than that it lasts; whatever comes or ends is waited for.
    then_s = 4 * READ_S if raw == "silence" else LONG_S
    received, ended = read_raw(fake, url, headers, LONG_S if _lets_bytes_through(spoiling) else then_s, then_s)
    assert (ended, bool(received)) == (raw, _lets_bytes_through(spoiling))
    for library in LIBRARIES.values():
        assert seen_by(library, url, headers, read_s) == raised
    assert seen_by(httpx, url, headers) == "success"


def _lets_bytes_through(spoiling: Spoiling) -> bool:
    return isinstance(spoiling, Reply) or (isinstance(spoiling, WireFault) and spoiling.after_bytes != 0)


def test_the_table_has_every_kind() -> None:
    """No kind of fault is missing from the table."""
    assert {row[0].kind for row in TABLE if isinstance(row[0], WireFault)} == set(get_args(WireFaultKind))


@pytest.mark.parametrize("library", LIBRARIES)
def test_connections_are_kept_where_the_framing_is_whole(fake: Spoilt, library: str) -> None:
    """After a fault that leaves the framing whole the same connection serves the next request, and after one that
    breaks it a client's next request still passes, on another."""
    kept = [WireFault("bad_gzip"), WireFault("drip", every_s=0.0), WireFault("continue_storm"), 0.0]
    url, headers, _ = fake.task(*kept, WireFault("extra_bytes"), None)
    module, ports = LIBRARIES[library], []
    with module.Client(verify=False, timeout=LONG_S, trust_env=False) as client:
        for ordinal in range(6):
            if ordinal == 5:
                # The server's end of the connection is on its way, and a request must not cross it.
                until(lambda: not any(c.client[1] == ports[4] for c in list(fake.server.server_state.connections)))
            with client.stream("GET", url, headers=headers) as answer:
                ports.append(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
                b"".join(answer.iter_raw())
    assert len(set(ports[:5])) == 1
    assert ports[5] != ports[4]


def pump(world: World, seconds: float, stop: Callable[[], bool]) -> int:
    """Advance a world's clock by steps whenever an answer waits for it; how often it was."""
    assert isinstance(world.clock, ManualClock)
    steps = 0
    while not stop():
        if world.clock.waiting:
            world.clock.advance(seconds)
            steps += 1
        else:
            time.sleep(0.0002)  # real: another thread must come so far
    return steps


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_drip_never_trips_a_read_timeout(fake: Spoilt, library: str) -> None:
    """A byte each 20 ms of the world's clock goes on for many times a read time-out and is a success; only a total
    deadline, here of our middleware, ends it."""
    url, headers, world = fake.task(WireFault("drip", every_s=0.02), WireFault("drip", every_s=0.02))
    module, seen = LIBRARIES[library], []
    asking = threading.Thread(target=lambda: seen.append(seen_by(module, url, headers)))
    asking.start()
    bytes_sent = pump(world, 0.02, lambda: not asking.is_alive())
    assert seen == ["success"]
    assert bytes_sent > 250
    assert world.now().monotonic_s == pytest.approx(bytes_sent * 0.02)

    class WorldsClock(VirtualClock):
        def now(self) -> Instant:
            return Instant(*world.now())

    def ask() -> None:
        over = OURS[library].TimeoutTransport(module.HTTPTransport(verify=False), 3.0, clock=WorldsClock())
        with module.Client(transport=over) as client:
            try:
                client.get(url, headers=headers, timeout=None)
            except TotalTimeout:
                seen.append("TotalTimeout")

    began_s = world.now().monotonic_s
    asking = threading.Thread(target=ask)
    asking.start()
    pump(world, 0.02, lambda: not asking.is_alive())
    assert seen == ["success", "TotalTimeout"]
    assert world.now().monotonic_s >= began_s + 3.0 - 1e-6  # a sum of many hundredths


def test_what_was_asked_for_is_done_when_the_delay_begins(fake: Spoilt) -> None:
    """A held-back answer is that of the moment it was asked for, not of the moment it arrives, and arrives when the
    world's clock says so."""
    url, headers, world = fake.task(30.0)
    assert isinstance(world.clock, ManualClock)
    answers: list[Any] = []
    ask = threading.Thread(target=lambda: answers.append(httpx.get(url, headers=headers, timeout=LONG_S, verify=False)))
    ask.start()
    until(lambda: is_held(world))
    world.clock.advance(29.0)
    assert world.clock.waiting == 1
    assert httpx.get(url, headers=headers, verify=False).json()["output"]["task_status"] == "RUNNING"
    world.clock.advance(1.0)
    ask.join(10)
    assert answers[0].json()["output"]["task_status"] == "PENDING"


@pytest.mark.parametrize(
    "spoiling",
    [
        30.0,
        WireFault("stall", for_s=30.0),
        WireFault("drip", every_s=30.0),
        Drop("after_commit", "reset", delay_s=30.0),
    ],
)
def test_nobody_is_waited_for_who_has_left(fake: Spoilt, spoiling: Spoiling) -> None:
    """A client that leaves while its answer is held up ends that answer: nothing of it goes on waiting."""
    url, headers, world = fake.task(spoiling)
    with socket.create_connection(("127.0.0.1", fake.port)) as connection:
        send_raw(connection, fake, url, headers)
        until(lambda: is_held(world))
    until(lambda: not is_held(world))


def test_a_client_that_does_not_read_is_not_written_to(fake: Spoilt) -> None:
    """A storm at a client that does not read stops when the buffers are full, whatever its length: no memory of the
    server is taken for what was not sent; and it ends when the client leaves."""
    url, headers, _ = fake.task(WireFault("continue_storm", count=10**9))
    connection = socket.create_connection(("127.0.0.1", fake.port))
    send_raw(connection, fake, url, headers)
    held: list[Any] = []
    until(lambda: held.extend(c for c in list(fake.server.server_state.connections) if c.is_held) or held)
    until(lambda: held[0].flow.write_paused)
    assert held[0].transport.get_write_buffer_size() <= 65_536
    assert seen_by(httpx, url, headers) == "success"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    until(lambda: held[0] not in fake.server.server_state.connections)


@pytest.mark.parametrize("loop", get_args(Loop))
def test_a_server_that_ends_waits_for_no_held_answer(loop: Loop) -> None:
    """Told to end, the server drops the answers that it holds back and the stalls, though nobody advances a clock."""
    ends: list[str] = []
    with running(loop) as fake:
        asking = []
        for spoiling in (30.0, WireFault("stall"), WireFault("drip", every_s=5.0)):
            url, headers, _ = fake.task(spoiling)
            asking.append(threading.Thread(target=lambda u=url, h=headers: ends.append(seen_by(httpx, u, h))))  # type: ignore[misc]  # bound early
            asking[-1].start()
        until(lambda: sum(c.is_held for c in list(fake.server.server_state.connections)) == 3)
    for thread in asking:
        thread.join(10)
    assert set(ends) <= {"RemoteProtocolError", "ReadError"}
    assert len(ends) == 3


@pytest.mark.parametrize(("how", "raised"), [("reset", "ReadError"), ("close", "RemoteProtocolError")])
def test_a_cut_may_come_late(fake: Spoilt, how: DropHow, raised: str) -> None:
    """A connection that is to be cut after a while stays open until the world's clock says so."""
    url, headers, world = fake.task(Drop("after_commit", how, delay_s=30.0))
    assert isinstance(world.clock, ManualClock)
    seen: list[str] = []
    asking = threading.Thread(target=lambda: seen.append(seen_by(httpx, url, headers)))
    asking.start()
    until(lambda: is_held(world))
    world.clock.advance(29.0)
    assert is_held(world)
    world.clock.advance(1.0)
    asking.join(10)
    assert seen == [raised]


def test_under_another_server_answers_are_held_back_and_the_wire_is_refused() -> None:
    """Without the fake's own server a delay is kept by the world's clock, and whatever touches the wire is an error
    that names it."""
    clock = ManualClock()

    async def nobody_leaves() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> Reply | None:
        held = asyncio.ensure_future(carry_out(Reply(200, (), b"late", 30.0), clock, {}, nobody_leaves))
        while not clock.waiting:  # noqa: ASYNC110  # nothing is set there
            await asyncio.sleep(0)  # real: no time passes
        clock.advance(30.0)
        for answer in (Drop("before_commit", "close"), Reply(200, (), b"", wire=WireFault("drip"))):
            with pytest.raises(RuntimeError, match=r"\((close|drip)\) needs the fake's own server"):
                await carry_out(answer, clock, {}, nobody_leaves)
        return await held

    assert asyncio.run(main()) == Reply(200, (), b"late", 30.0)


def test_too_many_held_answers_are_told_of(fake: Spoilt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound an answer is not held back but replaced by one that says so."""
    monkeypatch.setattr("fake_server.clock.MOST_WAITERS", 0)
    url, headers, _ = fake.task(30.0)
    answer = httpx.get(url, headers=headers, verify=False)
    assert answer.status_code == 503
    assert "held back already" in answer.text


def result_of_ours(fake: Spoilt, library: str, spoilings: list[Spoiling], policy: WaitPolicy | None = None) -> Any:
    """What our client makes of a task whose polls are spoilt, one after the other; all of them must be met."""
    key, world, engine = fake.world()
    assert isinstance(world.clock, ManualClock)
    engine.spoilings += spoilings
    clock = VirtualClock(on_sleep=world.clock.advance)
    with (
        LIBRARIES[library].Client(verify=False) as http_client,
        DashScope(
            dialect="dashscope",
            api_key=key,
            base_url=f"{fake.url}/api/v1",
            clock=clock,
            http_client=http_client,
            wait_policy=policy or WaitPolicy(),
        ) as client,
    ):
        outcome = client.submit(CREATE["model"], CREATE["input"]).wait(timeout=3_000)
    assert not engine.spoilings
    assert engine.bill(world.now()).billed_tasks == 1
    return outcome


@pytest.mark.parametrize("library", LIBRARIES)
def test_our_own_client_goes_on_after_each(fake: Spoilt, library: str) -> None:
    """Our client meets every fault of the wire while it polls one task, goes on, and has its result."""
    # A poll counts for the script however it arrives: the task runs for three that can be read, and has then ended.
    *before, last = [row[0] for row in TABLE if row[2] == "success"]
    spoilings = [*before, *(row[0] for row in TABLE if row[2] not in ("success", "ReadTimeout")), last]
    assert result_of_ours(fake, library, spoilings).status == "SUCCEEDED"


@pytest.mark.parametrize("library", LIBRARIES)
def test_our_own_client_goes_on_after_a_stall(fake: Spoilt, library: str) -> None:
    """Polls of which nothing, or only half, ever comes are given up after their own time, and the wait goes on."""
    policy = WaitPolicy(
        attempt_timeout_s=0.25
    )  # real: a stall has no other end; whatever else takes so long is repeated
    outcome = result_of_ours(fake, library, [WireFault("stall"), WireFault("stall", after_bytes=0)], policy)
    assert outcome.status == "SUCCEEDED"


def test_requests_behind_a_held_one_wait_for_it(fake: Spoilt) -> None:
    """Of two requests that were sent at once the second is answered after the first, however long that is held back."""
    url, headers, world = fake.task(30.0, None)
    assert isinstance(world.clock, ManualClock)
    with socket.create_connection(("127.0.0.1", fake.port), timeout=LONG_S) as connection:
        send_raw(connection, fake, url, headers)
        until(lambda: is_held(world))
        send_raw(connection, fake, url, headers, "Connection: close\r\n")
        world.clock.advance(30.0)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    first, second = received.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"PENDING" in first
    assert b"RUNNING" in second


@pytest.mark.parametrize(
    "rubbish",
    [b"\x00 is no request\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n", CHUNKED + b"zz\r\n"],
    ids=["no request", "no header", "no chunk"],
)
@pytest.mark.parametrize("behind", ["a held answer", "an answer", "an admin page"])
def test_rubbish_is_told_behind_the_answers_to_what_could_be_read(fake: Spoilt, behind: str, rubbish: bytes) -> None:
    """What cannot be read is a 400 and the connection's end, but first the requests before it are answered, also those
    that are held back: they were carried out."""
    url, headers, world = fake.task(*[30.0, None] if behind == "a held answer" else [None, None])
    assert isinstance(world.clock, ManualClock)
    ask = f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: a\r\nAuthorization: {headers['Authorization']}\r\n\r\n"
    page = f"GET /__admin/health HTTP/1.1\r\nHost: 127.0.0.1:{fake.port}\r\n\r\n"
    first = page if behind == "an admin page" else ask
    with socket.create_connection(("127.0.0.1", fake.port), timeout=LONG_S) as connection:
        connection.sendall((first + ask).encode() + rubbish)
        if behind == "a held answer":
            until(lambda: is_held(world))
            connection.sendall(b"more of it")
            world.clock.advance(30.0)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"400"]


def test_a_whole_answer_ends_a_connection_that_was_to_end(fake: Spoilt) -> None:
    """A drip or a storm to a client that asked for the connection's end says so, and ends it."""
    url, headers, _ = fake.task(WireFault("drip", every_s=0.0), WireFault("continue_storm"))
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", fake.port), timeout=LONG_S) as connection:
            send_raw(connection, fake, url, headers, "Connection: close\r\n")
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert b"connection: close\r\n" in received
        assert received.endswith(b"}")
