"""Files of jobs, and what came of them: here and at the fake."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.cli.command_line import LONGEST_RUN_S, Ended
from tests.support.fake_process import FakeProcess

SHORTEST_S = 3
"""The duration of the first job; each further one is a second longer, which tells them apart on the bill."""
KILLED_AT = Path(__file__).with_name("killed_at.py")
BATCH = ("batch", "jobs.jsonl", "--model", "wan2.6-t2v", "--interval", "0.01")


def job(number: int, **more: Any) -> dict[str, Any]:
    """A job that the bill tells from others."""
    return {"input": {"prompt": f"cat {number}"}, "parameters": {"duration": SHORTEST_S + number}, **more}


def write(jobs: Iterable[dict[str, Any]], name: str = "jobs.jsonl") -> None:
    """Write a file of jobs."""
    Path(name).write_text("".join(json.dumps(one) + "\n" for one in jobs))


def lines_of(ended: Ended) -> dict[int, dict[str, Any]]:
    """What was printed, by the number of the job's line."""
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len({one["line"] for one in found}) == len(found), ended.stdout
    return {one["line"]: one for one in found}


def outcomes_of(ended: Ended) -> dict[int, str]:
    """The outcome of each job, by the number of its line."""
    return {number: one["outcome"] for number, one in lines_of(ended).items()}


def made(fake: FakeProcess, key: str) -> Counter[int]:
    """How many tasks the service made for each job, by its number from 0."""
    rows = fake.page(f"worlds/{key.removeprefix('sk-')}/bill")["tasks"]
    return Counter(row["seconds"] - SHORTEST_S for row in rows)


def killed(point: str, *words: str) -> int:
    """Run the command line until it kills itself; return its exit code."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, str(KILLED_AT), point, *words], capture_output=True, check=False, timeout=LONGEST_RUN_S
    )
    return done.returncode


def wait_for_state(text: str, name: str = "jobs.jsonl.state.jsonl") -> None:
    """Return as soon as a state holds a text."""
    until_s = time.monotonic() + LONGEST_RUN_S
    while not Path(name).exists() or text not in Path(name).read_text():
        assert time.monotonic() < until_s, f"{text!r} never came into the state"
        time.sleep(0.01)  # real: another process writes that file
