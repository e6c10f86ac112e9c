"""What clients see when the wire is faulty: httpx, httpx2 and a raw socket, on both event loops; and our own client.

The engine's part is played by a stand-in that spoils the polls of one world, one fault after the other.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import JSONDecodeError
from types import ModuleType
from typing import Any, get_args

import httpx
import httpx2
import pytest

from fake_server.clock import ManualClock
from fake_server.scenario import shipped_scenarios
from fake_server.server import Address, Loop, bind, make_server
from fake_server.wire.messages import Drop, Reply, Request, WireFault, WireFaultKind
from fake_server.worlds import World, Worlds
from resilient_poll import DashScope, TotalTimeout
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine.instant import Instant
from resilient_poll.transports import httpx as over_httpx
from resilient_poll.transports import httpx2 as over_httpx2

LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
OURS: dict[str, ModuleType] = {"httpx": over_httpx, "httpx2": over_httpx2}
# A read that times out here would have timed out at any length, and one that must not has the long one.
READ_S, LONG_S = 0.05, 20.0
WHERE = "/api/v1/services/aigc/video-generation/video-synthesis"
CREATE = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}

Spoiling = WireFault | Drop | float | None


class SpoilingEngine:
    """A world's engine whose answers to polls are spoilt, held back or dropped, one after the other."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.spoilings: list[Spoiling] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def handle(self, request: Request, now: Any) -> Reply | Drop:
        """Answer as the engine does, and spoil that."""
        answer = self.engine.handle(request, now)
        if "/tasks/" not in request.path or not self.spoilings:
            return answer
        spoiling = self.spoilings.pop(0)
        if isinstance(spoiling, Drop):
            return spoiling
        if isinstance(spoiling, float):
            return answer._replace(delay_s=spoiling)
        return answer._replace(wire=spoiling)


@dataclass
class Spoilt:
    """A running fake with a world whose wire can be spoilt."""

    port: int
    worlds: Worlds
    server: Any
    thread: threading.Thread
    ordinal: int = field(default=0)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def world(self) -> tuple[str, World, SpoilingEngine]:
        """A new world's key, itself and its engine."""
        self.ordinal += 1
        key = f"sk-succeeds.wire-{self.ordinal}"
        world: Any = self.worlds.for_key(key)
        world.engine = SpoilingEngine(world.engine)
        return key, world, world.engine

    def task(self, *spoilings: Spoiling) -> tuple[str, dict[str, str], World]:
        """The URL of a new task whose polls will be spoilt, headers to ask with, and the task's world."""
        key, world, engine = self.world()
        headers = {"Authorization": f"Bearer {key}"}
        asked = httpx.post(
            self.url + WHERE, json=CREATE, headers={**headers, "X-DashScope-Async": "enable"}, verify=False
        )
        engine.spoilings += spoilings
        return f"{self.url}/api/v1/tasks/{asked.json()['output']['task_id']}", headers, world

    def stop(self) -> None:
        """End it."""
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()


@contextmanager
def running(loop: Loop) -> Iterator[Spoilt]:
    """A fake on an event loop, on a manual clock."""
    worlds = Worlds(shipped_scenarios(), "succeeds", manual=True)
    listener = bind("127.0.0.1", 0)
    is_up = threading.Event()
    server = make_server(worlds, Address("127.0.0.1", 0), is_up.set, loop=loop)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    port = listener.getsockname()[1]
    thread.start()
    assert is_up.wait(10)
    spoilt = Spoilt(port, worlds, server, thread)
    try:
        yield spoilt
    finally:
        spoilt.stop()


@pytest.fixture(scope="module", params=get_args(Loop))
def fake(request: pytest.FixtureRequest) -> Iterator[Spoilt]:
    """The fake on either loop."""
    with running(request.param) as spoilt:
        yield spoilt


def is_held(world: World) -> bool:
    """Whether an answer of the world waits for its clock."""
    assert isinstance(world.clock, ManualClock)
    return world.clock.waiting > 0


def until(condition: Callable[[], object]) -> None:
    """Wait for another thread."""
    for _ in range(20_000):
        if condition():
            return
        time.sleep(0.001)  # real: another thread must come so far
    raise AssertionError("it never came about")


def read_raw(fake: Spoilt, url: str, headers: dict[str, str], patience_s: float) -> tuple[bytes, str]:
    """What a raw socket receives of an answer, and how it ends: `reset`, `end`, or `silence` for so long."""
    with socket.create_connection(("127.0.0.1", fake.port), timeout=patience_s) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"GET {url.removeprefix(fake.url)} HTTP/1.1\r\nHost: fake\r\n{lines}\r\n".encode())
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
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
]
NAMES = [f"{getattr(row[0], 'kind', 'drop')}-{number}" for number, row in enumerate(TABLE)]


@pytest.mark.parametrize(("spoiling", "raw", "raised"), TABLE, ids=NAMES)
def test_the_table_of_wire_faults(fake: Spoilt, spoiling: Spoiling, raw: str, raised: str) -> None:
    """Each fault ends a raw socket as the table says, by a reset or an orderly end, and makes both libraries raise
    what the table names; the next request is answered as if nothing had been."""
    url, headers, _ = fake.task(spoiling, spoiling, spoiling)
    read_s = READ_S if raised == "ReadTimeout" else LONG_S
    # Silence has no other sign than that it lasts; whatever ends is waited for.
    received, ended = read_raw(fake, url, headers, 4 * READ_S if raw == "silence" else LONG_S)
    assert (ended, bool(received)) == (raw, _lets_bytes_through(spoiling))
    for library in LIBRARIES.values():
        assert seen_by(library, url, headers, read_s) == raised
        assert UnicodeDecodeError is not JSONDecodeError
    assert seen_by(httpx, url, headers) == "success"


def _lets_bytes_through(spoiling: Spoiling) -> bool:
    return isinstance(spoiling, WireFault) and spoiling.after_bytes != 0


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
    assert world.now().monotonic_s >= began_s + 3.0


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


@pytest.mark.parametrize("spoiling", [30.0, WireFault("stall", for_s=30.0), WireFault("drip", every_s=30.0)])
def test_nobody_is_waited_for_who_has_left(fake: Spoilt, spoiling: Spoiling) -> None:
    """A client that leaves while its answer is held up ends that answer: nothing of it goes on waiting."""
    url, headers, world = fake.task(spoiling)
    with socket.create_connection(("127.0.0.1", fake.port)) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"GET {url.removeprefix(fake.url)} HTTP/1.1\r\nHost: fake\r\n{lines}\r\n".encode())
        until(lambda: is_held(world))
    until(lambda: not is_held(world))


def test_a_client_that_does_not_read_is_not_written_to(fake: Spoilt) -> None:
    """A storm at a client that does not read stops when the buffers are full, whatever its length: no memory of the
    server is taken for what was not sent; and it ends when the client leaves."""
    url, headers, _ = fake.task(WireFault("continue_storm", count=10**9))
    connection = socket.create_connection(("127.0.0.1", fake.port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"GET {url.removeprefix(fake.url)} HTTP/1.1\r\nHost: fake\r\n{lines}\r\n".encode())
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


def test_too_many_held_answers_are_told_of(fake: Spoilt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound an answer is not held back but replaced by one that says so."""
    monkeypatch.setattr("fake_server.clock.MOST_WAITERS", 0)
    url, headers, _ = fake.task(30.0)
    answer = httpx.get(url, headers=headers, verify=False)
    assert answer.status_code == 503
    assert "held back already" in answer.text


@pytest.mark.parametrize("library", LIBRARIES)
def test_our_own_client_goes_on_after_each(fake: Spoilt, library: str) -> None:
    """Our client meets every fault of the wire while it polls one task, goes on, and has its result."""
    key, world, engine = fake.world()
    assert isinstance(world.clock, ManualClock)
    # A poll counts for the script however it arrives: the task runs for three that can be read, and has then ended.
    *before, last = [row[0] for row in TABLE if row[2] == "success"]
    engine.spoilings += [*before, *(row[0] for row in TABLE if row[2] not in ("success", "ReadTimeout")), last]
    clock = VirtualClock(on_sleep=world.clock.advance)
    base_url = f"{fake.url}/api/v1"
    with (
        LIBRARIES[library].Client(verify=False) as http_client,
        DashScope(dialect="dashscope", api_key=key, base_url=base_url, clock=clock, http_client=http_client) as client,
    ):
        outcome = client.submit(CREATE["model"], CREATE["input"]).wait(timeout=3_000)  # type: ignore[arg-type]  # a plain table
    assert outcome.status == "SUCCEEDED"
    assert not engine.spoilings
    assert engine.bill(world.now()).billed_tasks == 1
