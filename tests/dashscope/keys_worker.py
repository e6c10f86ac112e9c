"""A process of its own that submits many keys at once through the real client.

``python -m tests.dashscope.keys_worker LEDGER BASE_URL API_KEY COLOUR KEYS`` says ``ready``, waits for a line,
submits, and says what each key is called at the service. LEDGER is a connection string, or else a path.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from resilient_poll import AsyncDashScope, DashScope, SubmitPolicy
from resilient_poll.ledger.logic import LedgerLogic
from resilient_poll.machine.instant import Instant

__all__ = ["AT_ONCE", "keys_of", "submitting"]

ROOT = Path(__file__).parents[2]
MODEL = "wan2.5-t2v-preview"
AT_ONCE = 4
"""Submits that are going on at once in each process."""
HURRY = 50.0
PATIENT = SubmitPolicy(timeout_s=100_000.0)


class HurriedClock:
    """The machine's clock, on which sleeping is over sooner: for each thread or task its own time runs ahead."""

    def __init__(self) -> None:
        self._ahead_s: ContextVar[float] = ContextVar("ahead_s", default=0.0)

    def now(self) -> Instant:
        """Return the present instant of whoever asks."""
        ahead_s = self._ahead_s.get()
        return Instant(time.monotonic() + ahead_s, time.time() + ahead_s)

    def sleep(self, seconds: float) -> None:
        """Block for a small part of the time."""
        time.sleep(seconds / HURRY)  # real: who holds the licence is another process, and needs time to send
        self._skip(seconds)

    def _skip(self, seconds: float) -> None:
        self._ahead_s.set(self._ahead_s.get() + seconds * (1 - 1 / HURRY))


class HurriedAsyncClock(HurriedClock):
    """The same for code that awaits."""

    async def sleep(self, seconds: float) -> None:  # type: ignore[override]  # that is the difference
        """Wait for a small part of the time."""
        await asyncio.sleep(seconds / HURRY)  # real: as above
        self._skip(seconds)


def keys_of(number: int) -> list[str]:
    """Return the names of so many wanted results."""
    return [f"order-{ordinal}" for ordinal in range(number)]


def wanted(key: str) -> dict[str, Any]:
    """Return the request that a key stands for."""
    return {"prompt": f"a cat for {key}"}


def open_ledger(address: str) -> LedgerLogic:
    """Open the ledger of an address."""
    if "host=" in address:
        from resilient_poll.ledger.postgres import PostgresLedger  # noqa: PLC0415  # only where it is installed

        return PostgresLedger(address)
    from resilient_poll.ledger.sqlite import SqliteLedger  # noqa: PLC0415  # as above

    return SqliteLedger(address, busy_s=60)


def by_threads(options: dict[str, Any], keys: list[str]) -> dict[str, str]:
    """Submit with the client that blocks, by several threads."""
    with DashScope(**options, clock=HurriedClock()) as client, ThreadPoolExecutor(AT_ONCE) as threads:

        def submit(key: str) -> str:
            return client.submit(MODEL, wanted(key), idempotency_key=key).id

        say_and_wait("ready")
        return dict(zip(keys, threads.map(submit, keys), strict=True))


async def by_tasks(options: dict[str, Any], keys: list[str]) -> dict[str, str]:
    """Submit with the client that awaits, by several tasks."""
    found: dict[str, str] = {}
    waiting = iter(keys)
    async with AsyncDashScope(**options, clock=HurriedAsyncClock()) as client:

        async def submit_some() -> None:
            for key in waiting:
                found[key] = (await client.submit(MODEL, wanted(key), idempotency_key=key)).id

        say_and_wait("ready")
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(submit_some())
    return found


def say_and_wait(line: str) -> None:
    """Say a line, and wait for one."""
    print(line, flush=True)  # noqa: T201  # this is how it talks
    sys.stdin.readline()


@contextmanager
def submitting(*what: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker, and see to it that it is gone afterwards."""
    command = [sys.executable, "-m", "tests.dashscope.keys_worker", *what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603  # our own
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Submit all keys, and say their ids."""
    address, base_url, api_key, colour, number = sys.argv[1:]
    keys = keys_of(int(number))
    with open_ledger(address) as ledger:
        options: dict[str, Any] = {"dialect": "aisa", "api_key": api_key, "base_url": base_url}
        options |= {"ledger": ledger, "submit_policy": PATIENT}
        found = by_threads(options, keys) if colour == "sync" else asyncio.run(by_tasks(options, keys))
    say_and_wait(json.dumps(found))


if __name__ == "__main__":
    main()
