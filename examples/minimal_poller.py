"""The loop that everyone writes first, and ours, on the same fault: one bad gateway while polling.

Run it: python examples/minimal_poller.py, after make demo.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import httpx

from resilient_poll import DashScope, Fixed, ResilientPollError, WaitPolicy

MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat on a bicycle"}
CREATE, STATUS = "/services/aigc/video-generation/video-synthesis", "/services/aigc/tasks/"


# --- the loop that everyone writes first ---
def minimal(base_url: str, key: str, interval_s: float = 3.0) -> str:
    """Create, poll, done: the shape of the loop in most documentation."""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": MODEL, "input": INPUT}
    created = httpx.post(base_url + CREATE, json=body, headers={**headers, "X-DashScope-Async": "enable"}).json()
    task_id = created["output"]["task_id"]
    while True:
        output = httpx.get(base_url + STATUS + task_id, headers=headers).json()["output"]
        if output["task_status"] == "SUCCEEDED":
            return str(output["video_url"])
        if output["task_status"] in ("FAILED", "CANCELED"):
            raise RuntimeError(output["task_status"])
        time.sleep(interval_s)


# --- ours ---
def ours(base_url: str, key: str, interval_s: float = 3.0) -> str:
    """The same job, with the same inputs."""
    policy = WaitPolicy(schedule=Fixed(interval_s))
    with DashScope(dialect="aisa", base_url=base_url, api_key=key, wait_policy=policy) as client:
        return client.submit(MODEL, INPUT).wait(timeout=300).video_url


# --- end ---


def main() -> int:
    """Run both against a fake, and print what became of the task, and of the money."""
    command = [sys.executable, "-m", "fake_server", "serve", "bad-gateway", "--port", "0", "--speed", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:  # noqa: S603  # our own command
        try:
            assert fake.stdout is not None  # noqa: S101  # it was asked for, two lines above
            hello = json.loads(fake.stdout.readline())
            for name, poller in (("minimal", minimal), ("ours", ours)):
                key = f"sk-bad-gateway.{name}"
                try:
                    ending = f"succeeded: {poller(hello['url'] + '/apis/v1', key, 0.5)}"
                except (ValueError, ResilientPollError) as error:
                    ending = f"lost it: {type(error).__name__}: {error}"
                world = httpx.post(f"{hello['admin_url']}/worlds", json={"key": key}).json()["world"]
                bill = httpx.get(f"{hello['admin_url']}/worlds/{world}/bill").json()
                print(f"{name:8} {ending}\n{'':8} the service made {len(bill['tasks'])} task", end="")
                print(f" and billed {bill['billed_tasks']} so far")
        finally:
            fake.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
