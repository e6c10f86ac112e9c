"""A decorator: a function that asks once becomes one that waits."""

from __future__ import annotations

# --- example ---
import httpx

from resilient_poll import Lifecycle, polled

JOB = Lifecycle.of(queued=["queued"], running=["processing"], succeeded=["completed"], failed=["errored"])


@polled(lifecycle=JOB, timeout=120, task_id_from="url")
def finished(url: str) -> tuple[str, dict[str, str]]:  # asks once; what is left of it waits
    job: dict[str, str] = httpx.get(url).raise_for_status().json()
    return job["state"], job


# --- end ---

if __name__ == "__main__":
    import sys

    print(finished(sys.argv[1]).result)
