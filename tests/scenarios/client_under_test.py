"""Our client as a driver of scenarios: sync, asyncio and trio, each for httpx and httpx2.

A driver does what a scenario asks of a client and returns what happened as a trace that
holds nothing of one run: ids are numbered, tokens are left out, times are the clock's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from fake_server.scenario import Scenario
from resilient_poll import AsyncDashScope, DashScope, DirectOutcome, GenerationOutcome, ResilientPollError
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event
from tests.support.words import word_for

DRIVERS = ("sync", "asyncio", "trio")


@dataclass
class Run:
    """What one driver made of one scenario.

    Attributes:
        outcomes: One word of the judge for each task.
        bills: What the client believes it owes, one word for each task.
        trace: Events, errors and sleeps, in order.
    """

    outcomes: list[str] = field(default_factory=list)
    bills: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    downloaded: list[int] = field(default_factory=list)


@dataclass
class Setting:
    """Where a driver runs.

    Attributes:
        scenario: What to do.
        dialect: How to speak.
        api_key: With which key.
        base_url: Where the fake is.
        make_client: Makes the caller's HTTP client; None lets ours make its own.
        clock: The clock of both sides.
    """

    scenario: Scenario
    dialect: str
    api_key: str
    base_url: str
    make_client: Callable[[bool], Any]
    clock: VirtualClock


def drive(driver: str, setting: Setting) -> Run:
    """Run a scenario's client part with one driver."""
    if driver == "sync":
        return _drive_sync(setting)

    async def main() -> Run:
        return await _drive_async(setting)

    run: Run = asyncio.run(main()) if driver == "asyncio" else trio.run(main)
    return run


class _Notes:
    def __init__(self, setting: Setting) -> None:
        self.run = Run()
        self._clock = setting.clock
        self._ids: dict[str, str] = {}

    def event(self, event: Event) -> None:
        self.line(f"event {event!r}")

    def line(self, text: str) -> None:
        text = re.sub(r"rpt1\.[A-Za-z0-9_-]+", "TOKEN", text)
        text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", self._number, text)
        self.run.trace.append(f"{self._clock.now().monotonic_s:.6f} {text}")

    def _number(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found.group(), f"id-{len(self._ids) + 1}")

    def refused(self, error: ResilientPollError) -> None:
        self.run.outcomes.append(word_for(error))
        billing = getattr(error, "billing", None)
        self.run.bills.append(str(billing) if billing else error.safe_to_submit_again)
        self.line(f"{type(error).__name__} {error}")

    def succeeded(self, outcome: GenerationOutcome, files: Sequence[Path]) -> None:
        self.made(outcome, files)
        self.line(f"succeeded {outcome.status} {outcome.polls} {outcome.time_per_phase}")

    def made(self, outcome: GenerationOutcome | DirectOutcome, files: Sequence[Path]) -> None:
        sizes = [file.stat().st_size for file in files]
        self.run.outcomes.append("SUCCEEDED")
        self.run.bills.append(str(outcome.billing))
        self.run.downloaded.append(sum(sizes))
        self.line(f"made {len(outcome.assets)} {outcome.failures} {outcome.usage} {sizes}")


def _options(setting: Setting, notes: _Notes) -> dict[str, Any]:
    return {
        "dialect": setting.dialect,
        "api_key": setting.api_key,
        "base_url": setting.base_url,
        "on_event": notes.event,
        "make_seed": lambda: "seed",
    }


def _drive_sync(setting: Setting) -> Run:
    asked, notes = setting.scenario.client, _Notes(setting)
    http_client = setting.make_client(False)
    is_synchronous = ENDPOINTS[asked.endpoint].is_synchronous
    wanted = (asked.model, asked.input, asked.parameters)
    with (
        DashScope(**_options(setting, notes), clock=setting.clock, http_client=http_client) as client,
        TemporaryDirectory() as folder,
    ):
        tasks = []
        for _ in range(asked.tasks):
            try:
                if is_synchronous:
                    made = client.generate(*wanted, endpoint=asked.endpoint, timeout=asked.submit_timeout_s)
                    notes.made(made, client.download_all(made, folder) if asked.download else ())
                else:
                    tasks.append(client.submit(*wanted, endpoint=asked.endpoint, timeout=asked.submit_timeout_s))
            except ResilientPollError as error:
                notes.refused(error)
        for task in tasks:
            try:
                if asked.cancel is not None:
                    while task.status != asked.cancel:
                        task.refresh()
                    task.cancel()
                outcome = task.wait(timeout=asked.timeout_s)
                notes.succeeded(outcome, task.download_all(folder) if asked.download else ())
            except ResilientPollError as error:
                notes.refused(error)
    if http_client is not None:
        http_client.close()
    notes.line(f"slept {[round(pause, 9) for pause in setting.clock.slept_s]}")
    return notes.run


async def _drive_async(setting: Setting) -> Run:
    asked, notes = setting.scenario.client, _Notes(setting)
    http_client = setting.make_client(True)
    is_synchronous = ENDPOINTS[asked.endpoint].is_synchronous
    wanted = (asked.model, asked.input, asked.parameters)
    clock = setting.clock.for_async()
    with TemporaryDirectory() as folder:
        async with AsyncDashScope(**_options(setting, notes), clock=clock, http_client=http_client) as client:
            tasks = []
            for _ in range(asked.tasks):
                try:
                    if is_synchronous:
                        made = await client.generate(*wanted, endpoint=asked.endpoint, timeout=asked.submit_timeout_s)
                        notes.made(made, await client.download_all(made, folder) if asked.download else ())
                    else:
                        task = await client.submit(*wanted, endpoint=asked.endpoint, timeout=asked.submit_timeout_s)
                        tasks.append(task)
                except ResilientPollError as error:
                    notes.refused(error)
            for task in tasks:
                try:
                    if asked.cancel is not None:
                        while task.status != asked.cancel:
                            await task.refresh()
                        await task.cancel()
                    outcome = await task.wait(timeout=asked.timeout_s)
                    notes.succeeded(outcome, await task.download_all(folder) if asked.download else ())
                except ResilientPollError as error:
                    notes.refused(error)
    if http_client is not None:
        await http_client.aclose()
    notes.line(f"slept {[round(pause, 9) for pause in setting.clock.slept_s]}")
    return notes.run
