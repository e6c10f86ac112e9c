"""Processes that die or stop before the application is told: a worker of another process tells it.

``python -m tests.dashscope.test_worker_kills LEDGER BASE_URL API_KEY COLOUR POINT SIGNAL`` works until a signal
comes at a point of the way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resilient_poll import AsyncDashScope, DashScope, Fixed, HandedOver, Phase, WaitPolicy
from resilient_poll.dashscope.workers.shift import LEASE_S
from resilient_poll.drive.clocks import RealAsyncClock, RealClock, VirtualClock
from resilient_poll.ledger.sqlite import SqliteLedger
from resilient_poll.machine.instant import Instant
from tests.dashscope.ledger_clients import Watched, only_entry
from tests.dashscope.ledger_worker import KEY_OF_ALL, working
from tests.support.colours import INPUT, MODEL, got, run_in
from tests.support.fake_process import FakeProcess, running_fake

ROOT = Path(__file__).parents[2]
LONGEST_S = 60.0
SCENARIO = """
version: 1
summary: A video that is made while it is polled.
tasks: [RUNNING 2 polls -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""
POINTS = {"claimed": ("after", "claim"), "seen": ("after", "observe"), "returned": ("before", "delivered")}
"""When the signal comes, by the ledger's calls; ``handling`` is in the handler itself."""
NUMBERS = count()


async def work(path: str, base_url: str, api_key: str, colour: str, point: str, how: str) -> None:
    """Work on everything that is open."""

    def hit(*seen: Any) -> None:
        if seen and getattr(seen[0], "phase", Phase.SUCCEEDED) is not Phase.SUCCEEDED:
            return  # The end is still to come.
        ledger.before.clear()
        ledger.after.clear()
        signal.pthread_kill(threading.get_ident(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[how])

    def handle(handed: HandedOver[Any]) -> None:
        if point == "handling":
            hit()
        print(handed.idempotency_key, flush=True)  # noqa: T201  # this is how it talks

    with SqliteLedger(path, busy_s=30) as file:
        ledger = Watched(file)
        if point in POINTS:
            when, name = POINTS[point]
            getattr(ledger, when)[name] = hit
        options: dict[str, Any] = {"dialect": "dashscope", "api_key": api_key, "base_url": base_url, "ledger": ledger}
        options["wait_policy"] = WaitPolicy(schedule=Fixed(0.05), minimum_interval_s=0.05)
        client = (
            DashScope(**options, clock=RealClock())
            if colour == "sync"
            else AsyncDashScope(**options, clock=RealAsyncClock())
        )
        try:
            await got(client.worker(handle).run_until_idle())
        finally:
            await got(client.close())


@contextmanager
def a_worker(account: Account, colour: str, point: str, how: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that works, and see to it that it is gone afterwards."""
    what = [str(account.path), account.base_url, account.api_key, colour, point, how]
    command = [sys.executable, "-m", "tests.dashscope.test_worker_kills", *what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603  # our own
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Account:
    """A world of the fake, and a ledger; its clock begins now and is moved by who sleeps on it."""

    def __init__(self, fake: FakeProcess, path: Path) -> None:
        self.path = path
        self.api_key = f"sk-handed-over.{os.getpid()}-{next(NUMBERS)}"
        self.base_url = f"{fake.url}/api/v1"
        self._fake = fake
        self._world = fake.open_world(self.api_key)
        self._ahead_s = 0.0

    @property
    def tasks(self) -> int:
        """How many tasks there are at the service."""
        return len(self._fake.page(f"worlds/{self._world}/bill")["tasks"])

    def submit(self) -> None:
        """Submit something, and leave it."""
        with SqliteLedger(self.path) as ledger, self._client(ledger) as client:
            client.submit(MODEL, INPUT, idempotency_key=KEY_OF_ALL)

    def handed_over(self, ahead_s: float = 0.0) -> tuple[list[str], int, Phase]:
        """Return what another worker hands over, at once or later, the doubts, and where the entry stands."""
        told: list[str] = []
        self._ahead_s += ahead_s
        with SqliteLedger(self.path, busy_s=30) as ledger, self._client(ledger) as client:
            counts = client.worker(lambda handed: told.append(handed.idempotency_key)).run_until_idle(
                timeout=None if ahead_s else 1.0
            )
            return told, counts.in_doubt, only_entry(ledger).phase

    def _client(self, ledger: SqliteLedger) -> DashScope:
        clock = VirtualClock(Instant(0.0, time.time() + self._ahead_s))
        return DashScope(dialect="dashscope", api_key=self.api_key, base_url=self.base_url, ledger=ledger, clock=clock)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProcess]:
    """A fake for all of them; each has a world of its own."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "handed-over.yaml").write_text(SCENARIO)
    with running_fake("--scenarios", str(folder)) as process:
        yield process


@pytest.fixture
def account(fake: FakeProcess, tmp_path: Path) -> Account:
    """A world of one's own."""
    return Account(fake, tmp_path / "ledger.sqlite3")


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    ("point", "tasks", "told", "doubts"),
    [
        ("licensed", 0, [], 1),
        ("answered", 1, [], 1),
        ("accepted", 1, [KEY_OF_ALL], 0),
        ("polling", 1, [KEY_OF_ALL], 0),
    ],
)
def test_a_killed_submitters_task_is_taken_over(
    account: Account, point: str, tasks: int, told: list[str], doubts: int
) -> None:
    """What a killed process had submitted is handed over by another; what is in doubt is counted and sent no more."""
    with working(str(account.path), account.base_url, account.api_key, "sync", point, "kill") as process:
        assert process.wait(LONGEST_S) == -signal.SIGKILL
    assert account.handed_over(LEASE_S)[:2] == (told, doubts)
    assert account.handed_over(LEASE_S)[:2] == ([], doubts)
    assert account.tasks == tasks


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    ("colour", "point"),
    [("sync", "seen"), ("sync", "handling"), ("sync", "returned"), ("asyncio", "returned"), ("trio", "handling")],
)
def test_a_kill_before_the_end_is_noted_tells_it_again(account: Account, colour: str, point: str) -> None:
    """Killed between an end and the note that its handler returned, a worker is followed by one that tells it."""
    account.submit()
    with a_worker(account, colour, point, "kill") as process:
        assert process.wait(LONGEST_S) == -signal.SIGKILL
    assert account.handed_over() == ([], 0, Phase.SUCCEEDED)  # For the time of its lease it may be alive.
    assert account.handed_over(LEASE_S) == ([KEY_OF_ALL], 0, Phase.SUCCEEDED)
    assert account.handed_over(LEASE_S) == ([], 0, Phase.SUCCEEDED)
    assert account.tasks == 1


def test_a_worker_that_stands_still_keeps_nothing(account: Account) -> None:
    """A worker stopped past its leases is replaced by another, and when it goes on it tells nothing anew."""
    account.submit()
    with a_worker(account, "sync", "claimed", "stop") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert account.handed_over() == ([], 0, Phase.RUNNING)
        assert account.handed_over(LEASE_S + 1) == ([KEY_OF_ALL], 0, Phase.SUCCEEDED)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=LONGEST_S)[0] == ""
    assert process.returncode == 0


if __name__ == "__main__":
    run_in(sys.argv[4], lambda: work(*sys.argv[1:]))
