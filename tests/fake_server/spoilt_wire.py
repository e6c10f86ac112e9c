"""A running fake whose wire is spoilt: the polls of a world, one fault after the other."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from fake_server.clock import ManualClock
from fake_server.scenario import shipped_scenarios
from fake_server.server import Address, Loop, bind, make_server
from fake_server.wire.messages import Drop, Reply, Request, WireFault
from fake_server.worlds import World, Worlds

WHERE = "/api/v1/services/aigc/video-generation/video-synthesis"
CREATE: dict[str, Any] = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}

Spoiling = WireFault | Drop | Reply | float | None


class SpoilingEngine:
    """A world's engine whose answers to polls are spoilt, held back or dropped, one after the other."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.spoilings: list[Spoiling] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def receive(self, request: Request, now: Any) -> Any:
        """Answer as the engine does, and spoil that."""
        answer = self.engine.receive(request, now)
        if "/tasks/" not in request.path or not self.spoilings:
            return answer
        spoiling = self.spoilings.pop(0)
        if isinstance(spoiling, Drop | Reply):
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


def send_raw(connection: socket.socket, fake: Spoilt, url: str, headers: dict[str, str], more: str = "") -> None:
    """A poll as it goes over the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + more
    connection.sendall(f"GET {url.removeprefix(fake.url)} HTTP/1.1\r\nHost: fake\r\n{lines}\r\n".encode())
