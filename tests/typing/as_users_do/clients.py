"""The client of both colours, its tasks, and a ledger. Checked, not run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import httpx
import httpx2

from resilient_poll import (
    AsyncDashScope,
    AsyncTask,
    Billing,
    DashScope,
    Event,
    Exponential,
    Finished,
    GenerationOutcome,
    HandedOver,
    Job,
    Phase,
    Task,
    WaitPolicy,
)
from resilient_poll.ledger import AsyncLedger, Bill, Entry, Ledger, MemoryLedger, SqliteLedger


def blocking(ledger: Ledger) -> None:
    """Make, wait for and save."""
    policy = WaitPolicy(timeout_s=60, schedule=Exponential(1.0, 2.0, 30.0), phase_limits_s={Phase.QUEUED: 30})
    with httpx.Client() as http, DashScope(http_client=http, ledger=ledger, wait_policy=policy) as client:
        task = client.submit("model", {"prompt": "a cat"}, {"size": "1280*720"}, idempotency_key="order-17")
        assert_type(task, Task)
        assert_type(task.id, str)
        outcome = task.wait(timeout=300)
        assert_type(outcome, GenerationOutcome)
        assert_type(outcome.billing, Billing)
        assert_type(outcome.time_per_phase, Mapping[Phase, float])
        assert_type(task.download("clip.mp4"), Path)
        for event in task.updates(timeout=3):
            assert_type(event, Event)
        for finished in client.submit_many([Job("model", {})]):
            assert_type(finished, Finished[Task])
    with httpx2.Client() as other:
        DashScope(http_client=other, dialect="aisa")


async def awaiting() -> None:
    """The same, awaited."""
    with SqliteLedger("jobs.sqlite3") as ledger:
        async with AsyncDashScope(http_client=httpx2.AsyncClient(), ledger=ledger) as client:
            task = await client.submit("model", {"prompt": "a cat"})
            assert_type(task, AsyncTask)
            assert_type(await task.wait(), GenerationOutcome)
            assert_type(await task.download(Path("clip.mp4")), Path)


async def keeping_books() -> None:
    """What a ledger says."""
    with MemoryLedger() as ledger:
        held: Ledger = ledger
        assert_type(ledger.bill(), Bill)
        for entry in held.entries():
            assert_type(entry, Entry)
            assert_type(entry.phase, Phase)
        AsyncLedger(ledger)


async def hand_over(done: HandedOver[Any]) -> None:
    """Take an end from a worker."""
    assert_type(done.idempotency_key, str)
    async with AsyncDashScope() as client, client.worker(on_outcome=hand_over):
        pass
