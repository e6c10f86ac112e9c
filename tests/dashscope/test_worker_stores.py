"""Two workers at once on each kind of ledger, in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from resilient_poll import HandedOver
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.keys_worker import open_ledger
from tests.dashscope.ledger_clients import MADE, Service
from tests.dashscope.scripted import a_client
from tests.dashscope.test_worker import QUICK, real_clock, submitted
from tests.ledger.conftest import conninfo, postgres_server  # noqa: F401  # pytest finds fixtures by their names
from tests.support.colours import run_in

KEYS = [f"order {number}" for number in range(24)]
LONGEST_S = 60.0


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """What opens one ledger of each kind, for everybody anew."""
    if request.param == "sqlite":
        yield lambda: SqliteLedger(tmp_path / "ledger.sqlite3", busy_s=30)
    else:
        where = request.getfixturevalue("conninfo")
        yield lambda: open_ledger(where)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("colour", ["sync", "asyncio"])
def test_two_workers_share_a_ledger(opening: Callable[[], Ledger], colour: str) -> None:
    """Two workers with ledgers of their own on one store hand every end over, and write down that they did."""
    told: set[str] = set()
    is_over = threading.Event()

    def handle(handed: HandedOver[Any]) -> None:
        assert handed.outcome is not None
        told.add(handed.idempotency_key)
        if len(told) == len(KEYS):
            is_over.set()

    async def main() -> None:
        service = Service(steps=({"word": "RUNNING"}, MADE))
        async with AsyncExitStack() as stack:
            workers = []
            for _ in range(2):
                ledger = stack.enter_context(opening())
                options: dict[str, Any] = {"ledger": ledger, "wait_policy": QUICK, "clock": real_clock(colour)}
                client = await stack.enter_async_context(a_client(colour, "httpx", service, **options))
                workers.append(client.worker(handle))
            await submitted(client, *KEYS)
            if colour == "sync":
                with ExitStack() as at_work:
                    for worker in workers:
                        at_work.enter_context(worker)
                    assert is_over.wait(LONGEST_S)
            else:
                async with workers[0], workers[1]:
                    assert await anyio.to_thread.run_sync(is_over.wait, LONGEST_S)

    run_in(colour, main)
    assert told == set(KEYS)
    with opening() as ledger:
        assert len(ledger.undelivered()) == 0
        assert {entry.worker for entry in ledger.entries()} == {None}
