"""A driver for `fake-dashscope check`: our own command line, `resilient-poll`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAM = Path(sys.executable).with_name("resilient-poll")
TASK: dict[str, Any] = json.loads(os.environ["FAKE_DASHSCOPE_TASK"])
SPEAK = ["--dialect", os.environ["FAKE_DASHSCOPE_DIALECT"], "--json"]
WAIT = ["--timeout", os.environ["FAKE_DASHSCOPE_DEADLINE_S"], "--interval", "0.5"]
OUTPUT = os.environ["FAKE_DASHSCOPE_OUTPUT"]
WHAT = ["--model", TASK["model"], "--endpoint", TASK["endpoint"], "--parameters", json.dumps(TASK["parameters"])]
BILLED = {"BILLED": True, "NONE": False}
WORDS = {"partly": "SUCCEEDED", "not_sent": "THROTTLED", "download_failed": "SUCCEEDED"}


def ask(*arguments: str) -> list[dict[str, Any]]:
    """Run the command line; every line of its output is an object."""
    done = subprocess.run([PROGRAM, *arguments, *SPEAK], stdout=subprocess.PIPE, check=False, text=True)  # noqa: S603 - our own
    return [json.loads(line) for line in done.stdout.splitlines()]


def make_one() -> list[dict[str, Any]]:
    submit = ["--input", json.dumps(TASK["input"]), "--submit-timeout", str(TASK["submit_timeout_s"])]
    if TASK["cancel"] is None:
        return ask("run", *WHAT, *submit, *WAIT, "-o", OUTPUT)
    row = ask("submit", *WHAT, *submit)[0]
    while ask("status", row["task_id"])[0]["status"] != TASK["cancel"]:
        time.sleep(0.5)
    return ask("cancel", row["task_id"])


def make_many(folder: str) -> list[dict[str, Any]]:
    jobs = Path(folder, "jobs.jsonl")
    jobs.write_text("".join(json.dumps({"id": str(n), "input": TASK["input"]}) + "\n" for n in range(TASK["tasks"])))
    return ask(
        "batch", str(jobs), *WHAT, "--submit-timeout", str(TASK["submit_timeout_s"]), *WAIT, "-o", f"{folder}/made/"
    )


def main() -> int:
    with TemporaryDirectory() as folder:
        # A ledger of its own: what it keeps of one scenario must not answer in the next.
        os.environ["RESILIENT_POLL_LEDGER"] = f"{folder}/ledger.sqlite3"
        rows = make_one() if TASK["tasks"] == 1 else make_many(folder)
    words = [WORDS.get(row["outcome"], row["outcome"].upper()) for row in rows]
    if "USAGE" in words:  # what the command line cannot do
        return 77
    print(json.dumps({"outcomes": words, "billed": [BILLED.get(row["billing"]) for row in rows]}))
    return 0 if set(words) == {"SUCCEEDED"} else 1


if __name__ == "__main__":
    sys.exit(main())
