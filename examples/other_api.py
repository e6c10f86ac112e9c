"""Poll an API that is not DashScope: say which words mean what, and how to ask once."""

from __future__ import annotations

# --- example ---
import httpx

from resilient_poll import Lifecycle, poll

LIFECYCLE = Lifecycle.of(queued=["queued"], running=["processing"], succeeded=["completed"], failed=["errored"])


def render(url: str) -> dict[str, str]:
    def ask() -> tuple[str, dict[str, str]]:
        job = httpx.get(url).raise_for_status().json()
        return job["state"], job

    return poll(ask, lifecycle=LIFECYCLE, timeout=120, task_id=url).result


# --- end ---
