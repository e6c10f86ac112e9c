"""Under the package runwayml (5.x, on httpx), and so under any other that was generated in the same way."""

from __future__ import annotations

# --- example ---
from runwayml import AsyncRunwayML, DefaultAsyncHttpxClient

from resilient_poll import Lifecycle, RetryPolicy, polled
from resilient_poll.transports.httpx import async_resilient_transport

TASK = Lifecycle.of(
    queued=["PENDING", "THROTTLED"],
    running=["RUNNING"],
    succeeded=["SUCCEEDED"],
    failed=["FAILED"],
    canceled=["CANCELLED"],
)


def patient_client() -> AsyncRunwayML:
    transport = async_resilient_transport(retry=RetryPolicy(attempts=3, too_late="return"))
    return AsyncRunwayML(http_client=DefaultAsyncHttpxClient(transport=transport), max_retries=0)


@polled(lifecycle=TASK, timeout=600, task_id_from="task_id")
async def finished(client: AsyncRunwayML, task_id: str) -> tuple[str, list[str]]:
    task = await client.tasks.retrieve(task_id)
    return task.status, task.output if task.status == "SUCCEEDED" else []


# --- end ---
