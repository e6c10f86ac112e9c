"""What both checkers must refuse: each line that ends in "refused", and no other. Never run."""

from typing import Any

from resilient_poll import Fixed, Lifecycle, OperationSpec, Outcome, WaitPolicy, poll, poll_async, polled

JOB = Lifecycle.of(queued=["queued"], succeeded=["done"])
Lifecycle.of(queued=["queued"])  # refused
Lifecycle.of(succeeded=["done"], finished=["done"])  # refused
WaitPolicy(timeout=30)  # refused
Fixed("3 s")  # refused
OperationSpec.from_file(7)  # refused


def ask(job_id: str) -> tuple[str, int]:
    """Ask once."""
    return job_id, 1


async def ask_soon() -> tuple[str, int]:
    """Ask once, awaited."""
    return "done", 1


poll(lambda: "done")  # refused
poll(lambda: "done", lifecycle=JOB, timeout="3 s")  # refused
poll(lambda: 404, lifecycle=JOB)  # refused
poll(ask_soon, lifecycle=JOB)  # refused
polled(timeout=3)  # refused
polled(ask)  # refused
polled(lifecycle=JOB, timeout="3 s")  # refused
polled(lifecycle=JOB, task_id_from=lambda job_id: job_id)  # refused


@polled(lifecycle=JOB)
def finished(job_id: str) -> tuple[str, int]:
    """Ask once."""
    return ask(job_id)


finished()  # refused
finished(17)  # refused
finished("17", part=2)  # refused
url = finished("17").result.url  # refused
wrong: Outcome[str] = finished("17")  # refused
finished("17").billing = "NONE"  # refused


async def awaiting() -> Any:
    """What is awaited is not what is not."""
    await poll_async(lambda: "done", lifecycle=JOB)  # refused
    return await finished("17")  # refused
