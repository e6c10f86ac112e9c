"""Many processes on one ledger want the same results at once: each is made, and billed, once.

``make keys`` runs it with as many keys as the promise names; the suite with fewer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dashscope.keys_worker import keys_of, open_ledger, submitting
from tests.ledger.postgres_server import MISSING, programs, running_server
from tests.support.fake_process import FakeProcess, running_fake

PROCESSES = 8
KEYS = int(os.environ.get("LEDGER_KEYS", "40"))
SCENARIO = """
version: 1
summary: A video that is made at once, so that every task is on the bill; and room for all of them.
quotas: {concurrent_tasks: 5000}
tasks: [SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for both; each has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "at-once.yaml").write_text(SCENARIO)
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


def ids_of_all(address: str, base_url: str, api_key: str) -> list[dict[str, str]]:
    """Let all processes submit all keys at the same time; return what each was told of each key."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(submitting(address, base_url, api_key, "sync" if number % 2 else "asyncio", str(KEYS)))
            for number in range(PROCESSES)
        ]
        said = []
        for expected in ("ready", None):
            for worker in workers:
                assert worker.stdout is not None
                line = worker.stdout.readline().strip()
                assert line if expected is None else line == expected, f"process {worker.args} said {line!r}"
                said.append(line)
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
    return [json.loads(line) for line in said[PROCESSES:]]


@pytest.mark.thorough(plain=1)
def test_a_key_that_many_processes_submit_at_once_is_one_task(fake: FakeProcess, address: str) -> None:
    """Eight processes that submit the same keys at once make one task of each, billed once, which all of them name."""
    api_key = f"sk-at-once.{os.getpid()}-{'pg' if 'host=' in address else 'file'}"
    world = fake.open_world(api_key)
    told = ids_of_all(address, f"{fake.url}/apis/v1", api_key)
    assert len(told) == PROCESSES
    assert set(told[0]) == set(keys_of(KEYS))
    assert all(ids == told[0] for ids in told)
    assert len(set(told[0].values())) == KEYS
    bill = fake.page(f"worlds/{world}/bill")
    assert (bill["billed_tasks"], len(bill["tasks"]) + bill["left_out"]) == (KEYS, KEYS)
    assert fake.page(f"worlds/{world}/journal")["counters"]["create_requests"] == KEYS
    with open_ledger(address) as ledger:
        assert sum(ledger.counts().values()) == KEYS
        assert not ledger.strays()
