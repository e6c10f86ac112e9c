"""Inside a class of one's own: its method that asks once becomes the one that waits."""

from __future__ import annotations

# --- example ---
import httpx

from resilient_poll import Lifecycle, polled

JOB = Lifecycle.of(queued=["queued"], running=["processing"], succeeded=["completed"], failed=["errored"])


class Renderer:
    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def start(self, prompt: str) -> str:
        return str(self.http.post("/jobs", json={"prompt": prompt}).raise_for_status().json()["id"])

    @polled(lifecycle=JOB, timeout=120, task_id_from="job_id")
    def finished(self, job_id: str) -> tuple[str, dict[str, str]]:
        job: dict[str, str] = self.http.get(f"/jobs/{job_id}").raise_for_status().json()
        return job["state"], job


# --- end ---
