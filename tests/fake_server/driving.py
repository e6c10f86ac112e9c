"""A hand on the engine: requests in few words, time in seconds, and a small client that behaves."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings

from fake_server.engine import Drop, Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.scenario import load_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from fake_server.scenario import Scenario

# A slow machine is not a falsified property.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WALL_S = 1_750_000_000.0
BASES = {"aisa": "/apis/v1", "dashscope": "/api/v1"}
TASKS = {"aisa": "/apis/v1/services/aigc/tasks", "dashscope": "/api/v1/tasks"}
VIDEO = "/services/aigc/video-generation/video-synthesis"
KEY = ("Authorization", "Bearer sk-test")
ASYNC = ("X-DashScope-Async", "enable")
BODY = b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat"}, "parameters": {"duration": 5}}'


def scenario_from(folder: Path, text: str, name: str = "written-here") -> Scenario:
    """A scenario from its text."""
    path = folder / f"{name}.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_scenario(path)


def lifecycle_scenario(folder: Path, *lifecycles: str, extra: str = "") -> Scenario:
    """A scenario that is only lifecycles."""
    lines = "".join(f"  - {lifecycle}\n" for lifecycle in lifecycles)
    text = f"version: 1\nsummary: For a test.\ntasks:\n{lines}{extra}\nexpect: {{outcome: SUCCEEDED}}\n"
    return scenario_from(folder, text)


@dataclass
class Hand:
    """An engine and the present."""

    engine: Engine
    dialect: str = "dashscope"
    now_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = (KEY,)
    seen: list[Reply | Drop] = field(default_factory=list)

    @classmethod
    def on(cls, scenario: Scenario, dialect: str = "dashscope", **options: Any) -> Hand:
        """A hand on a new engine for a scenario."""
        return cls(Engine(scenario, world="w1", started=Moment(0.0, WALL_S), **options), dialect)

    @property
    def now(self) -> Moment:
        """The present."""
        return Moment(self.now_s, WALL_S + self.now_s)

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: tuple[tuple[str, str], ...] | None = None,
        body: bytes = b"",
    ) -> Reply | Drop:
        """Any request."""
        used = self.headers if headers is None else headers
        reply = self.engine.handle(Request(method, path, query, used, body, "http://fake.test"), self.now)
        self.seen.append(reply)
        return reply

    def ask(self, *arguments: Any, **options: Any) -> Reply:
        """Any request that is answered."""
        reply = self.send(*arguments, **options)
        assert isinstance(reply, Reply)
        return reply

    def create(self, body: bytes = BODY) -> Reply | Drop:
        """A create."""
        return self.send("POST", BASES[self.dialect] + VIDEO, headers=(*self.headers, ASYNC), body=body)

    def created(self, body: bytes = BODY) -> str:
        """A create that must work; the id."""
        reply = self.create(body)
        assert isinstance(reply, Reply)
        assert reply.status == 200, reply.body
        return str(content(reply)["output"]["task_id"])

    def poll(self, task_id: str) -> Reply | Drop:
        """A status query."""
        return self.send("GET", f"{TASKS[self.dialect]}/{task_id}")

    def output(self, task_id: str) -> dict[str, Any]:
        """The `output` of a status query that must work."""
        reply = self.poll(task_id)
        assert isinstance(reply, Reply)
        assert reply.status == 200, reply.body
        found: dict[str, Any] = content(reply)["output"]
        return found

    def status(self, task_id: str) -> str:
        """The status word of a status query that must work."""
        return str(self.output(task_id)["task_status"])

    def cancel(self, task_id: str) -> Reply:
        """A cancel."""
        return self.ask("POST", f"/api/v1/tasks/{task_id}/cancel")

    def listed(self, query: str = "") -> dict[str, Any]:
        """A page of the list that must work."""
        reply = self.ask("GET", "/api/v1/tasks/", query)
        assert reply.status == 200, reply.body
        return content(reply)

    def verdicts(self, *outcomes: str) -> dict[str, str]:
        """The verdict by expectation."""
        return {row.name: row.verdict for row in self.engine.verdict(self.now, list(outcomes))}


def content(reply: Reply) -> Any:
    """A JSON body."""
    return json.loads(reply.body)


def header(reply: Reply, name: str) -> str | None:
    """A header of a reply."""
    return dict(reply.headers).get(name)
