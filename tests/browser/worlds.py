"""Worlds to look at: a real fake on a socket with manual clocks, and a client that asks it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from fake_server.running import RunningServer
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import Worlds

VIDEO = "/services/aigc/video-generation/video-synthesis"


@dataclass
class Client:
    """A client of one world, which knows its own tasks."""

    http: httpx.Client
    world: str
    tasks: list[str] = field(default_factory=list)

    def create(self, prompt: str = "a cat", model: str = "wan2.5-t2v-preview", dialect: str = "dashscope") -> int:
        """Ask for a video; the answer's status, or 0 where none came."""
        base = "/apis/v1" if dialect == "aisa" else "/api/v1"
        body = {"model": model, "input": {"prompt": prompt}, "parameters": {"duration": 5}}
        headers = {"Authorization": f"Bearer sk-{self.world}", "X-DashScope-Async": "enable"}
        try:
            answer = self.http.post(base + VIDEO, json=body, headers=headers)
        except httpx.TransportError:
            return 0
        if answer.status_code == 200:
            self.tasks.append(answer.json()["output"]["task_id"])
        return answer.status_code

    def poll(self, number: int) -> dict[str, Any] | None:
        """Ask for the status of a task by its number, from 1; None where no answer came."""
        headers = {"Authorization": f"Bearer sk-{self.world}"}
        try:
            answer = self.http.get(f"/api/v1/tasks/{self.tasks[number - 1]}", headers=headers)
            output: dict[str, Any] = answer.json()["output"]
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        return output

    def download(self, number: int) -> None:
        """Fetch what a task that has succeeded made."""
        output = self.poll(number)
        assert output is not None
        self.http.get(output["video_url"])

    def ask(self, path: str) -> int:
        """Any other question; the answer's status."""
        return self.http.get(path, headers={"Authorization": f"Bearer sk-{self.world}"}).status_code

    def admin(self, path: str, **body: Any) -> dict[str, Any]:
        """Do something to the world through its admin pages."""
        answer = self.http.post(f"/__admin/worlds/{self.world}{path}", json=body).raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    def advance(self, seconds: float) -> None:
        """Let its clock go on."""
        self.admin("/clock/advance", seconds=seconds)


@contextmanager
def running_fake(*, manual: bool = True) -> Iterator[RunningServer]:
    """A fake with every shipped scenario."""
    with RunningServer(Worlds(shipped_scenarios(), "succeeds", manual=manual)) as server:
        yield server


@contextmanager
def client_of(url: str, world: str) -> Iterator[Client]:
    """A client of a world."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
        yield Client(http, world)
