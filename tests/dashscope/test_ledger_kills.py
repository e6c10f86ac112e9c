"""A process that dies or stops at the worst moments: another never pays twice, and finds the task or the doubt."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import DashScope, Phase, SubmitInDoubt
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.ledger_clients import only_entry
from tests.dashscope.ledger_worker import KEY_OF_ALL, working
from tests.support.colours import COLOURS, INPUT, MODEL
from tests.support.fake_process import FakeProcess, running_fake
from tests.support.raw_server import Connection, RawServer, json_answer

SCENARIO = """
version: 1
summary: A video that is made while it is polled.
tasks: [RUNNING 2 polls -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""
LONGEST_S = 60.0


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for all of them; each has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "while-polled.yaml").write_text(SCENARIO)
    with running_fake("--scenarios", str(folder)) as process:
        yield process


NUMBERS = count()


@dataclass
class Account:
    """A world of the fake, and a ledger."""

    fake: FakeProcess
    path: Path

    def __post_init__(self) -> None:
        self.api_key = f"sk-while-polled.{os.getpid()}-{next(NUMBERS)}"
        self.base_url = f"{self.fake.url}/api/v1"
        self.world = self.fake.open_world(self.api_key)

    @property
    def tasks(self) -> int:
        """How many tasks there are at the service."""
        return len(self.fake.page(f"worlds/{self.world}/bill")["tasks"])

    def worker(self, *what: str) -> Any:
        """Start a worker."""
        return working(str(self.path), self.base_url, self.api_key, *what)


@pytest.fixture
def account(fake: FakeProcess, tmp_path: Path) -> Account:
    """A world of one's own."""
    return Account(fake, tmp_path / "ledger.sqlite3")


def second_process(path: Path, base_url: str, api_key: str) -> tuple[Any, SqliteLedger]:
    """Submit the same key by another client, for which all time-outs pass at once."""
    with SqliteLedger(path, busy_s=30) as ledger:
        options = {"api_key": api_key, "base_url": base_url, "ledger": ledger}
        with DashScope(dialect="dashscope", clock=VirtualClock(), **options) as client:
            try:
                task = client.submit(MODEL, INPUT, idempotency_key=KEY_OF_ALL)
                return task.id, task.wait().billing
            except SubmitInDoubt as doubt:
                return doubt, only_entry(ledger).phase


def wait_for_stop(process: subprocess.Popen[str]) -> None:
    """Wait until a process is stopped by a signal, as its parent may."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("point", "tasks_then", "is_found"),
    [
        ("begun", 0, True),  # It was not licensed, so the second one sends.
        ("licensed", 0, False),
        ("answered", 1, False),
        ("accepted", 1, True),
        ("polling", 1, True),
    ],
)
def test_a_kill_never_pays_twice(account: Account, colour: str, point: str, tasks_then: int, is_found: bool) -> None:
    """Killed anywhere, a submit leaves at most one task, which the second process finds or knows to be in doubt."""
    with account.worker(colour, point, "kill") as worker:
        assert worker.wait(LONGEST_S) == -signal.SIGKILL
    assert account.tasks == tasks_then
    found, what = second_process(account.path, account.base_url, account.api_key)
    if is_found:
        assert str(what) == "BILLED"
        assert account.tasks == 1
    else:
        assert isinstance(found, SubmitInDoubt)
        assert what is Phase.IN_DOUBT
        assert account.tasks == tasks_then
    again, _ = second_process(account.path, account.base_url, account.api_key)
    assert again == found if is_found else isinstance(again, SubmitInDoubt)
    assert account.tasks == max(tasks_then, int(is_found))


@pytest.mark.thorough(plain=3)
@pytest.mark.parametrize("colour", ["sync", "asyncio"])
@pytest.mark.parametrize(("point", "tasks_then"), [("licensed", 0), ("answered", 1)])
def test_a_pause_never_pays_twice(account: Account, colour: str, point: str, tasks_then: int) -> None:
    """Stopped past every time-out, an owner's submit is left alone; woken up, it makes the one task that all find."""
    with account.worker(colour, point, "stop") as worker:
        wait_for_stop(worker)
        doubt, phase = second_process(account.path, account.base_url, account.api_key)
        assert isinstance(doubt, SubmitInDoubt)
        assert not doubt.safe_to_submit_again
        assert phase is Phase.SUBMITTING
        assert account.tasks == tasks_then
        worker.send_signal(signal.SIGCONT)
        assert worker.stdout is not None
        task_id = worker.stdout.readline().strip()
        assert account.tasks == 1
        found, billing = second_process(account.path, account.base_url, account.api_key)
        assert (found, str(billing)) == (task_id, "BILLED")
    assert account.tasks == 1


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_between_the_send_and_the_answer(tmp_path: Path, how: str) -> None:
    """Killed or stopped while the service has the request, nothing is sent again, and a woken one hears its answer."""
    has_come, may_answer = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        if connection.read_request() is None:
            return
        has_come.set()
        assert may_answer.wait(LONGEST_S)
        connection.send(
            json_answer(200, {"output": {"task_id": "task-1", "task_status": "RUNNING"}, "request_id": "r"})
        )
        connection.hang()

    path = tmp_path / "ledger.sqlite3"
    with RawServer(script) as server, working(str(path), server.url, "sk-raw", "sync", "nowhere", how) as worker:
        assert has_come.wait(LONGEST_S)
        if how == "kill":
            worker.kill()
            worker.wait(LONGEST_S)
        else:
            worker.send_signal(signal.SIGSTOP)
            wait_for_stop(worker)
        doubt, phase = second_process(path, server.url, "sk-raw")
        assert isinstance(doubt, SubmitInDoubt)
        assert phase is (Phase.IN_DOUBT if how == "kill" else Phase.SUBMITTING)
        may_answer.set()
        if how == "stop":
            worker.send_signal(signal.SIGCONT)
            assert worker.stdout is not None
            assert worker.stdout.readline().strip() == "task-1"
            with SqliteLedger(path) as ledger:
                assert only_entry(ledger).task_id == "task-1"
        assert len(server.complete("POST")) == 1


def test_an_answer_that_is_lost_is_found_as_a_doubt(fake: FakeProcess, tmp_path: Path) -> None:
    """A create whose answer is lost is on the bill once, and a doubt for every process after it."""
    api_key, path = f"sk-create-answer-lost.{os.getpid()}", tmp_path / "ledger.sqlite3"
    world = fake.open_world(api_key)
    with working(str(path), f"{fake.url}/api/v1", api_key, "sync", "nowhere", "kill") as worker:
        assert worker.communicate(timeout=LONGEST_S)[0].strip() == "SubmitInDoubt"
    for _ in range(2):
        doubt, phase = second_process(path, f"{fake.url}/api/v1", api_key)
        assert isinstance(doubt, SubmitInDoubt)
        assert phase is Phase.IN_DOUBT
    assert fake.page(f"worlds/{world}/bill")["billed_tasks"] == 1
