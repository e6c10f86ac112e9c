"""A user's file: what comes out of many at once, as a strict type checker sees it. It is checked, not run."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import assert_type

from resilient_poll import (
    AsyncDashScope,
    AsyncTask,
    DashScope,
    DirectOutcome,
    Event,
    Finished,
    GenerationOutcome,
    Job,
    Limits,
    ListedTask,
    RateLimit,
    Task,
)


def blocking() -> None:
    """Use what blocks."""
    jobs = (Job("model", {"prompt": str(number)}, label=str(number)) for number in range(3))
    with DashScope(limits=Limits(concurrent_tasks=3)) as client:
        for finished in client.submit_many(jobs, timeout=3, deadline=datetime.now(UTC), workers=2):
            assert_type(finished, Finished[Task])
            assert_type(finished.task, Task | None)
            assert_type(finished.outcome, GenerationOutcome | None)
            assert_type(finished.error, Exception | None)
            assert_type(finished.result(), GenerationOutcome)
        with closing(client.submit_many([])) as results:
            assert_type(next(results).label, str | None)
        for finished in client.as_completed([client.task("id")]):
            assert_type(finished, Finished[Task])
        for row in client.list_remote():
            assert_type(row, ListedTask)
        assert_type(client.generate("model", {}), DirectOutcome)
        assert_type(client.rate_limit, RateLimit | None)
        task = client.submit("model", {})
        assert_type(task.retry(), Task)
        for event in task.updates():
            assert_type(event, Event)


async def awaiting() -> None:
    """Use what is awaited."""
    async with AsyncDashScope() as client:
        async with client.submit_many([Job("model", {})]) as results:
            async for finished in results:
                assert_type(finished, Finished[AsyncTask])
                assert_type(finished.task, AsyncTask | None)
        async for finished in client.as_completed([client.task("id")]):
            assert_type(finished.result(), GenerationOutcome)
        assert_type([one async for one in client.submit_many([])], list[Finished[AsyncTask]])
        async for row in client.list_remote():
            assert_type(row, ListedTask)
        assert_type(await client.generate("model", {}), DirectOutcome)
        task = await client.submit("model", {})
        assert_type(await task.retry(), AsyncTask)
