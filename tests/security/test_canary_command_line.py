"""Keys stay home (property 9) on the command line: the key is in nothing that it prints or keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.canary_service import CanaryService
from tests.security.hearing import files_below, leaks

LONGEST_RUN_S = 120.0
OURS = ("AISA_", "DASHSCOPE_", "RESILIENT_POLL_")
MAKE = ("--model", "wan2.6-t2v", "--prompt", "a cat", "--interval", "0.5")
ORDER = ("--key", "order-17")
RUNS: dict[str, list[tuple[str, ...]]] = {
    "succeeds": [
        ("run", *MAKE, *ORDER, "-o", "clips/", "--json"),
        ("list",),
        ("list", "--remote", "--json"),
        ("show", "order-17"),
        ("bill", "--json"),
    ],
    "create-answer-lost": [("run", *MAKE, *ORDER)],
    "fails-by-policy": [("batch", "jobs.jsonl", "--model", "wan2.6-t2v", "-o", "clips/", "--interval", "0.5")],
    "refused-create": [("submit", *MAKE[:-2], "--json")],
}


@pytest.fixture(scope="module")
def service() -> Iterator[CanaryService]:
    """A service that is quick, since processes have the real clock."""
    running = CanaryService(speed=1000.0)
    yield running
    running.stop()


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("scenario", RUNS)
def test_the_command_line_says_no_key(service: CanaryService, scenario: str, tmp_path: Path) -> None:
    """Neither stdout, stderr, tracebacks that were asked for, nor any file that commands leave has the key."""
    key, world = service.open_world(scenario)
    (tmp_path / "jobs.jsonl").write_text('{"input": {"prompt": "a cat"}, "id": "one"}\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {
        "DASHSCOPE_API_KEY": key,
        "DASHSCOPE_HTTP_BASE_URL": f"{service.url}/api/v1",
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "RESILIENT_POLL_TRACEBACK": "1",
    }
    said: list[str | bytes] = []
    for words in RUNS[scenario]:
        done = subprocess.run(  # noqa: S603  # our own command
            [sys.executable, "-m", "resilient_poll.cli", *words],
            capture_output=True,
            check=False,
            timeout=LONGEST_RUN_S,
            env=environment,
            cwd=tmp_path,
        )
        assert done.stdout + done.stderr, "a command that says nothing proves nothing"
        said += [done.stdout, done.stderr]
    kept = list(files_below(tmp_path))
    assert world.engine.journal.counters["create_requests"] > 0, "a key that is not sent proves nothing"
    assert len(kept) > 2, "a command that keeps nothing beside the file of jobs proves nothing"
    assert not leaks(key, [*said, *kept]), leaks(key, [*said, *kept])[0]
