"""The vendor's own Python package, unmodified, against the fake over a socket: the fake is believed by a stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

# It runs in a process of its own: the package reads its base URL when it is imported, and sleeps for whole
# seconds between polls. Shortening `time.sleep` leaves the package itself as it is.
PREAMBLE = """
import json, time
sleep = time.sleep
time.sleep = lambda seconds: sleep(seconds / 100)
from dashscope import VideoSynthesis
from dashscope.version import __version__
assert __version__ == "2.0.2", __version__

def tell(**values):
    print(json.dumps(values))
"""


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, Any]]:
    """`fake-dashscope serve --speed 600` in a process of its own."""
    command = [sys.executable, "-m", "fake_server", "serve", "--speed", "600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - ours
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


def run(served: dict[str, Any], key: str, script: str) -> dict[str, Any]:
    """Run a script with the package pointed at the fake; what it told."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"DASHSCOPE_HTTP_BASE_URL": f"{served['url']}/api/v1", "DASHSCOPE_API_KEY": key}
    result = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", PREAMBLE + script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def admin(served: dict[str, Any], path: str) -> dict[str, Any]:
    """An admin page."""
    page: dict[str, Any] = httpx.get(served["admin_url"] + path, trust_env=False).raise_for_status().json()
    return page


def test_call_brings_a_video(served: dict[str, Any]) -> None:
    """`VideoSynthesis.call` creates, waits and returns a URL that serves a video; one task, billed once."""
    told = run(
        served,
        "sk-succeeds.sdk",
        """
answer = VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat", duration=5)
tell(status=answer.status_code, word=answer.output.task_status, url=answer.output.video_url, id=answer.output.task_id)
""",
    )
    assert (told["status"], told["word"]) == (200, "SUCCEEDED")
    assert told["url"] == f"{served['url']}/w/succeeds.sdk/assets/{told['id']}.mp4"
    asset = httpx.get(told["url"], trust_env=False)
    assert asset.headers["content-type"] == "video/mp4"
    assert asset.content[4:8] == b"ftyp"
    bill = admin(served, "/worlds/succeeds.sdk/bill")
    assert (bill["billed_tasks"], bill["total"]) == (1, "0.75")
    journal = admin(served, "/worlds/succeeds.sdk/journal")
    assert journal["counters"]["create_requests"] == 1
    assert "unmatched" not in journal["counters"]


def test_the_other_verbs_are_understood(served: dict[str, Any]) -> None:
    """`async_call`, `fetch`, `list` and `cancel` of the package are all answered as it expects."""
    told = run(
        served,
        "sk-canceled-while-pending.sdk",
        """
made = VideoSynthesis.async_call(model="wan2.5-t2v-preview", prompt="a cat")
fetched = VideoSynthesis.fetch(made)
listed = VideoSynthesis.list()
canceled = VideoSynthesis.cancel(made)
again = VideoSynthesis.cancel(made)
tell(id=made.output.task_id, fetched=fetched.output.task_status, listed=listed.status_code,
     canceled=canceled.status_code, again=[again.status_code, again.code],
     after=VideoSynthesis.fetch(made).output.task_status, waited=VideoSynthesis.wait(made).output.task_status)
""",
    )
    assert told["fetched"] == "PENDING"
    assert (told["listed"], told["canceled"]) == (200, 200)
    assert told["again"] == [400, "UnsupportedOperation"]
    assert (told["after"], told["waited"]) == ("CANCELED", "CANCELED")
    counters = admin(served, "/worlds/canceled-while-pending.sdk/journal")["counters"]
    assert (counters["list_requests"], counters["cancel_requests"]) == (1, 2)
    assert "unmatched" not in counters


def test_the_judge_sees_what_the_package_does_wrong(served: dict[str, Any]) -> None:
    """The package ends its wait on a passing 429 of a poll: the scenario's verdict is a FAIL of the outcome."""
    told = run(
        served,
        "sk-throttled-poll.sdk",
        """
answer = VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a cat")
tell(status=answer.status_code, code=answer.code)
""",
    )
    assert told == {"status": 429, "code": "Throttling.RateQuota"}
    page = admin(served, "/worlds/throttled-poll.sdk/verdict?outcome=THROTTLED")
    verdicts = {row["name"]: row["verdict"] for row in page["expectations"]}
    assert page["verdict"] == "FAIL"
    assert verdicts["outcome"] == "FAIL"
    assert verdicts["faults_consumed"] == "NOT_EXERCISED"
