"""A client with a fake service in process, for many tasks at once, in virtual time and every colour."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario import Scenario
from resilient_poll import AsyncDashScope, DashScope, Event, Job
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.generated import BASE_PATHS, read
from tests.support.colours import run_in
from tests.support.in_process import ORIGIN, answer_from, engine_transport

WALL_S = 1_750_000_000.0
MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}


def jobs(number: int) -> list[Job]:
    """Return jobs that are labelled with their ordinals."""
    return [Job(MODEL, INPUT, label=f"job {ordinal}") for ordinal in range(number)]


def scenario_text(tasks: Sequence[str], cap: int = 3) -> str:
    """Return a scenario with one lifecycle for each task, of which the last repeats."""
    lines = "\n".join(f"  - {task}" for task in tasks)
    return (
        f"version: 1\nsummary: Many at once.\nquotas: {{concurrent_tasks: {cap}}}\n"
        f"tasks:\n{lines}\nexpect: {{outcome: SUCCEEDED}}\n"
    )


@dataclass
class ManyWorld:
    """A fake service and the clock of both sides.

    Attributes:
        tasks: A lifecycle for each task; the last repeats.
        cap: How many run at once.
        dialect: How to speak.
    """

    tasks: Sequence[str] = ("RUNNING 20s -> SUCCEEDED",)
    cap: int = 3
    dialect: str = "aisa"
    clock: VirtualClock = field(default_factory=VirtualClock)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.use(read(scenario_text(self.tasks, self.cap)))

    def use(self, scenario: Scenario) -> None:
        """Begin anew with another scenario."""
        start = self.clock.now()
        self.engine = Engine(scenario, world="w1", seed=0, started=Moment(start.monotonic_s, start.wall_s))

    @property
    def counters(self) -> Any:
        """What the fake counted."""
        return self.engine.journal.counters

    @property
    def now_s(self) -> float:
        """How much time has passed."""
        return self.clock.now().monotonic_s

    def client(self, *, is_async: bool = False, **options: Any) -> Any:
        """Return a client of this world, on its clock."""
        transport = engine_transport(httpx, functools.partial(answer_from, self.engine, self.clock))
        settings: dict[str, Any] = {
            "dialect": self.dialect,
            "api_key": "sk-generated",
            "base_url": ORIGIN + BASE_PATHS[self.dialect],
            "on_event": self.events.append,
            "make_seed": lambda: "seed",
            **options,
        }
        if is_async:
            return AsyncDashScope(
                http_client=httpx.AsyncClient(transport=transport), clock=self.clock.for_async(), **settings
            )
        return DashScope(http_client=httpx.Client(transport=transport), clock=self.clock, **settings)

    def all_of(self, colour: str, wanted: Sequence[Job], *, many: dict[str, Any] | None = None, **options: Any) -> Any:
        """Return the results of jobs, in any colour."""

        async def main() -> list[Any]:
            if colour == "sync":
                with self.client(**options) as client:
                    return list(client.submit_many(wanted, **(many or {})))
            async with self.client(is_async=True, **options) as client:
                return [finished async for finished in client.submit_many(wanted, **(many or {}))]

        return run_in(colour, main)


class MockedTime:
    """A transport for trio's mock clock: answers take a while, and several requests are out at once."""

    def __init__(self, world: ManyWorld, latency_s: float) -> None:
        self._world = world
        self._latency_s = latency_s
        self.most_out = 0
        self._out = 0

    def transport(self) -> Any:
        """Return a transport of httpx for code that awaits."""
        world = self._world
        outer = self

        class Slow(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                body = await request.aread()
                outer._out += 1
                outer.most_out = max(outer.most_out, outer._out)
                try:
                    await anyio.sleep(outer._latency_s)  # virtual: trio's mock clock
                    behind_s = anyio.current_time() - outer.began_s - world.now_s
                    world.clock.advance(max(0.0, behind_s))
                    reply = answer_from(world.engine, world.clock, request, body)
                finally:
                    outer._out -= 1
                return httpx.Response(reply.status, headers=list(reply.headers), content=reply.body)

        self.began_s = anyio.current_time()
        return Slow()
