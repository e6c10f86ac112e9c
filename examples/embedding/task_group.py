"""With asyncio.TaskGroup: many at once; the first that does not succeed stops the waiting, not the tasks."""

from __future__ import annotations

# --- example ---
import asyncio

import httpx

from resilient_poll import Lifecycle, polled

JOB = Lifecycle.of(queued=["queued"], running=["processing"], succeeded=["completed"], failed=["errored"])


@polled(lifecycle=JOB, timeout=120, task_id_from="job_id")
async def finished(http: httpx.AsyncClient, job_id: str) -> tuple[str, dict[str, str]]:
    job: dict[str, str] = (await http.get(f"/jobs/{job_id}")).raise_for_status().json()
    return job["state"], job


async def all_of(http: httpx.AsyncClient, job_ids: list[str]) -> list[dict[str, str]]:
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(finished(http, job_id)) for job_id in job_ids]
    return [wait.result().result for wait in waits]


# --- end ---
