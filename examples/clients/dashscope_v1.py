"""A driver for `fake-dashscope check`: the package `dashscope` 2.x, the classes of its first version."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from dashscope import VideoSynthesis

TASK: dict[str, Any] = json.loads(os.environ["FAKE_DASHSCOPE_TASK"])
OUTPUT = Path(os.environ["FAKE_DASHSCOPE_OUTPUT"])
CANNOT = 77


def refused(answer: Any) -> str:
    """What an answer without a task means."""
    return "THROTTLED" if answer.status_code == 429 else "REFUSED" if 400 <= answer.status_code < 500 else "IN_DOUBT"


def make() -> str:
    """Create a video, wait for it, and save it; what became of it, in a word."""
    try:
        made = VideoSynthesis.async_call(model=TASK["model"], prompt=TASK["prompt"], **TASK["parameters"])
    except Exception as error:  # noqa: BLE001  # the package names none of its own
        sys.stderr.write(f"the create brought no answer: {error}\n")
        return "IN_DOUBT"
    if made.status_code != 200:
        return refused(made)
    if TASK["cancel"] == "PENDING":
        VideoSynthesis.cancel(made)
    # The package's own wait: it has no time limit to set.
    answer = VideoSynthesis.wait(made)
    if answer.status_code != 200:
        sys.stderr.write(f"the wait ended: {answer.status_code} {answer.code} {answer.message}\n")
        return "STILL_GOING"
    status = str(answer.output.task_status)
    if status == "SUCCEEDED" and TASK["download"]:
        with urllib.request.urlopen(answer.output.video_url, timeout=30) as video:  # noqa: S310  # an address of the service
            OUTPUT.write_bytes(video.read())
    return "EXPIRED" if status == "UNKNOWN" else status


def main() -> int:
    """Do what the environment asks for, and say what came of it."""
    if TASK["endpoint"] != "video" or TASK["tasks"] != 1 or os.environ["FAKE_DASHSCOPE_DIALECT"] != "dashscope":
        return CANNOT
    outcome = make()
    sys.stdout.write(json.dumps({"outcome": outcome}) + "\n")
    return 0 if outcome == "SUCCEEDED" else 1


if __name__ == "__main__":
    sys.exit(main())
