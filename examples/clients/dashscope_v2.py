"""A driver for `fake-dashscope check`: the package `dashscope` 2.x, its newer client."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from dashscope import Client
from dashscope.v2.errors import DashScopeError

TASK: dict[str, Any] = json.loads(os.environ["FAKE_DASHSCOPE_TASK"])
OUTPUT = Path(os.environ["FAKE_DASHSCOPE_OUTPUT"])
CANNOT = 77


def make() -> str:
    """Create a video, wait for it, and save it; what became of it, in a word."""
    jobs = Client(raise_on_error=False).videos.jobs
    try:
        job = jobs.create(model=TASK["model"], prompt=TASK["prompt"], parameters=TASK["parameters"])
    except DashScopeError as error:
        sys.stderr.write(f"the create brought no answer: {error}\n")
        return "IN_DOUBT"
    if job.is_error:
        sys.stderr.write(f"the create was answered with {job.status_code} {job.code} {job.message}\n")
        return "THROTTLED" if job.status_code == 429 else "REFUSED" if 400 <= job.status_code < 500 else "IN_DOUBT"
    if TASK["cancel"] == "PENDING":
        jobs.cancel(job.task_id)
    try:
        job = jobs.wait(job.task_id, timeout=float(os.environ["FAKE_DASHSCOPE_DEADLINE_S"]))
    except DashScopeError as error:
        sys.stderr.write(f"the wait ended: {error}\n")
        return "STILL_GOING"
    if job.succeeded and TASK["download"]:
        with urllib.request.urlopen(job.video_url, timeout=30) as video:  # noqa: S310  # an address of the service
            OUTPUT.write_bytes(video.read())
    if job.is_error and not job.finished:
        sys.stderr.write(f"the wait ended: {job.status_code} {job.code} {job.message}\n")
        return "STILL_GOING"
    return "EXPIRED" if job.status == "UNKNOWN" else job.status


def main() -> int:
    """Do what the environment asks for, and say what came of it."""
    if TASK["endpoint"] != "video" or TASK["tasks"] != 1 or os.environ["FAKE_DASHSCOPE_DIALECT"] != "dashscope":
        return CANNOT
    outcome = make()
    sys.stdout.write(json.dumps({"outcome": outcome}) + "\n")
    return 0 if outcome == "SUCCEEDED" else 1


if __name__ == "__main__":
    sys.exit(main())
