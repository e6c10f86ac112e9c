"""Eight processes on one key and one ledger keep to three open tasks, also while some of them die or stop.

``make slots`` runs it with as many tasks as a long evening has; the suite with fewer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from resilient_poll.machine.lifecycle import Phase
from tests.dashscope.keys_worker import open_ledger
from tests.dashscope.slots_worker import CAP, working
from tests.ledger.postgres_server import MISSING, programs, running_server
from tests.support.fake_process import FakeProcess, running_fake

TASKS = int(os.environ.get("SLOTS_TASKS", "2"))
HOW = ("leave", "leave", "threads", "batch", "asyncio", "threads", "batch", "asyncio")
"""What the eight processes do; of those that leave their task one is killed, and one is stopped."""
SCENARIO = f"""
version: 1
summary: Videos that take three looks each, on a key that has room for {CAP}; nothing waits by the clock.
quotas: {{concurrent_tasks: {CAP}, queries_per_second: 1000}}
tasks: [PENDING 1 polls -> RUNNING 1 polls -> SUCCEEDED]
expect: {{outcome: SUCCEEDED}}
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for both; each has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "room-for-three.yaml").write_text(SCENARIO)
    with running_fake("--scenarios", str(folder)) as process:
        yield process


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ledger's address: a file, or a server of its own."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.sqlite3")
        return
    pytest.importorskip("psycopg")
    found = programs()
    if found is None:
        pytest.skip(MISSING)
    with running_server(found) as conninfo:
        yield conninfo


def hear(worker: subprocess.Popen[str]) -> str:
    """Return the next line that a worker says."""
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def go_on(worker: subprocess.Popen[str]) -> None:
    """Let a worker go on."""
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


@pytest.mark.thorough(plain=1)
def test_eight_processes_on_one_key_keep_to_three_tasks(fake: FakeProcess, address: str) -> None:
    """However eight processes submit, the service never refuses one for its cap, and who is killed stops nobody."""
    kind = "pg" if "host=" in address else "file"
    api_key = f"sk-room-for-three.{os.getpid()}-{kind}"
    world, began_s = fake.open_world(api_key), time.time()
    with ExitStack() as stack:
        workers = [
            stack.enter_context(working(address, f"{fake.url}/apis/v1", api_key, how, str(TASKS), repr(began_s)))
            for how in HOW
        ]
        assert [hear(worker) for worker in workers] == ["ready"] * len(workers)
        leaving, staying = workers[:2], workers[2:]
        for worker in leaving:
            go_on(worker)
        assert [hear(worker) for worker in leaving] == ["submitted QUEUED"] * len(leaving)
        leaving[0].kill()
        leaving[0].wait()
        leaving[1].send_signal(signal.SIGSTOP)
        for worker in staying:
            go_on(worker)
        assert [hear(worker) for worker in staying] == [str(TASKS)] * len(staying)
    counters = fake.page(f"worlds/{world}/journal")["counters"]
    created = TASKS * len(staying) + len(leaving)
    assert counters.get("over_concurrency", 0) == 0
    assert counters["create_requests"] == created
    bill = fake.page(f"worlds/{world}/bill")
    assert bill["billed_tasks"] == created
    with open_ledger(address) as ledger:
        assert dict(ledger.counts()) == {Phase.SUCCEEDED: created}
