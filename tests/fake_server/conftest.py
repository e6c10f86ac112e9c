"""Servers on real sockets, in a thread of this process, with clocks that only tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from fake_server.scenario import shipped_scenarios
from fake_server.server import Address, bind, make_server
from fake_server.worlds import Worlds

ASYNC = {"X-DashScope-Async": "enable"}
VIDEO = "/services/aigc/video-generation/video-synthesis"


@dataclass
class Running:
    """A server that is up."""

    url: str
    port: int
    worlds: Worlds
    client: httpx.Client

    def create(self, key: str, dialect: str = "dashscope", **options: Any) -> httpx.Response:
        """A create with a key."""
        base = "/apis/v1" if dialect == "aisa" else "/api/v1"
        headers = {"Authorization": f"Bearer {key}", **ASYNC}
        body = {"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}}
        return self.client.post(base + VIDEO, json=body, headers=headers, **options)

    def poll(self, key: str, task_id: str) -> dict[str, Any]:
        """The output of a status query."""
        answer = self.client.get(f"/api/v1/tasks/{task_id}", headers={"Authorization": f"Bearer {key}"})
        output: dict[str, Any] = answer.raise_for_status().json()["output"]
        return output

    def advance(self, world: str, seconds: float) -> dict[str, Any]:
        """Move a world's clock through the admin pages."""
        answer = self.client.post(f"/__admin/worlds/{world}/clock/advance", json={"seconds": seconds})
        moved: dict[str, Any] = answer.raise_for_status().json()
        return moved

    def admin(self, path: str) -> dict[str, Any]:
        """An admin page."""
        page: dict[str, Any] = self.client.get(f"/__admin{path}").raise_for_status().json()
        return page


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts servers that end with the module."""
    stops: list[Callable[[], None]] = []

    def start(*, public_url: str | None = None, host: str = "127.0.0.1", **options: Any) -> Running:
        options = {"manual": True, "default": "succeeds", "scenarios": shipped_scenarios(), **options}
        worlds = Worlds(options.pop("scenarios"), options.pop("default"), **options)
        listener = bind(host, 0)
        address = Address(host, listener.getsockname()[1])
        is_up = threading.Event()
        server = make_server(worlds, address, is_up.set, public_url=public_url)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert is_up.wait(10)
        client = httpx.Client(base_url=address.url, timeout=10, trust_env=False)

        def stop() -> None:
            client.close()
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()

        stops.append(stop)
        return Running(address.url, address.port, worlds, client)

    yield start
    for stop in stops:
        stop()


@pytest.fixture(scope="module")
def fake(start: Start) -> Running:
    """One server with every shipped scenario and manual clocks."""
    return start()
