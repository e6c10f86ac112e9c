"""Polling any API, by a function, a decorator, and a declared operation. Checked, not run."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

import httpx
import httpx2

from resilient_poll import (
    AsyncOperation,
    Billing,
    Fixed,
    Lifecycle,
    Operation,
    OperationSpec,
    Outcome,
    Phase,
    QueryCall,
    SubmitCall,
    WaitPolicy,
    poll,
    poll_async,
    polled,
)

JOB = Lifecycle.of(queued=["queued"], succeeded=["done"], billing={Phase.FAILED: Billing.NONE})


@dataclass
class Job:
    """What a service says of a job."""

    state: str
    url: str


def ask() -> tuple[str, Job]:
    """Ask once."""
    return "done", Job("done", "https://example.com")


async def ask_soon() -> tuple[str, Job]:
    """Ask once, awaited."""
    return ask()


@polled(lifecycle=JOB, timeout=3, schedule=Fixed(1.0), policy=WaitPolicy(), task_id_from="job_id", on_event=print)
def finished(job_id: str, *, part: int = 1) -> tuple[str, Job]:
    """Ask once."""
    return str(part), Job(job_id, "")


@polled(lifecycle=JOB)
def only_its_state(job_id: str) -> str:
    """Ask once."""
    return job_id


@polled(lifecycle=JOB)
async def finished_soon(job_id: str) -> tuple[str, Job]:
    """Ask once."""
    return "done", Job(job_id, "")


class Jobs:
    """A class of one's own."""

    @polled(lifecycle=JOB)
    def finished(self, job_id: str) -> tuple[str, Job]:
        """Ask once."""
        return "done", Job(job_id, "")

    @classmethod
    @polled(lifecycle=JOB)
    def of_class(cls, job_id: str) -> tuple[str, Job]:
        """Ask once."""
        return "done", Job(job_id, "")

    @polled(lifecycle=JOB)
    async def finished_soon(self, job_id: str) -> tuple[str, Job]:
        """Ask once."""
        return "done", Job(job_id, "")


def blocking() -> None:
    """What comes back has the type of what was asked for."""
    assert_type(poll(ask, lifecycle=JOB), Outcome[Job])
    assert_type(poll(ask, lifecycle=JOB, timeout=3).result.url, str)
    assert_type(poll(lambda: "done", lifecycle=JOB), Outcome[Any])
    assert_type(finished("1", part=2), Outcome[Job])
    assert_type(finished("1").result, Job)
    assert_type(finished("1").billing, Billing)
    assert_type(only_its_state("1"), Outcome[Any])
    assert_type(Jobs().finished("1"), Outcome[Job])
    assert_type(Jobs.of_class("1"), Outcome[Job])
    plain: Outcome = finished("1")
    assert_type(plain.result, Any)
    wanted: Callable[[str], Outcome[Job]] = finished
    wanted("1")


async def awaiting() -> None:
    """The same, awaited."""
    assert_type(await poll_async(ask_soon, lifecycle=JOB), Outcome[Job])
    assert_type(await finished_soon("1"), Outcome[Job])
    assert_type(await Jobs().finished_soon("1"), Outcome[Job])
    wanted: Callable[[str], Coroutine[Any, Any, Outcome[Job]]] = finished_soon
    async with asyncio.TaskGroup() as group:
        wait = group.create_task(wanted("1"))
    assert_type(wait.result().result.url, str)


async def declared() -> None:
    """An operation that is declared, over clients of both libraries."""
    spec = OperationSpec(
        name="paint",
        submit=SubmitCall(url="/v1/pictures", id="id"),
        query=QueryCall(url="/v1/pictures/{id}"),
        status="state",
        lifecycle=JOB,
    )
    assert_type(OperationSpec.from_file("paint.yaml"), OperationSpec)
    with httpx.Client() as http:
        assert_type(Operation.start(spec, http, {"prompt": "a cat"}), Operation)
        outcome = Operation.resume(spec, http, "token").wait(timeout=3)
        assert_type(outcome.billing, Billing)
        poll(lambda: spec.observe(http.get("/v1/pictures/7")), lifecycle=spec.lifecycle)
    async with httpx2.AsyncClient() as other:
        operation = await AsyncOperation.start(spec, other, {"prompt": "a cat"})
        assert_type(operation, AsyncOperation)
        assert_type((await operation.wait()).polls, int)
