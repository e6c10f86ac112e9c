"""A process of its own that sends requests through a transport, with slots of a ledger.

``python -m tests.ledger.slots_actor ADDRESS URL PLACES REQUESTS LIBRARY COLOUR`` says ``ready``, waits for a line,
sends its requests one after the other in several threads or tasks, and says how many were answered.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.ledger.actor import open_ledger, say_and_wait

__all__ = ["sending"]

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
LONG_S = 10_000.0


def by_threads(made: Any, library: Any, slots: Any, url: str, requests: int) -> int:
    """Send them in threads."""
    transport = made.ConcurrencyTransport(library.HTTPTransport(), AT_ONCE, slots=slots, max_wait_s=LONG_S)
    with library.Client(transport=transport, timeout=LONG_S) as client, ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(lambda _: client.get(url).status_code == 200, range(requests)))


async def by_tasks(made: Any, library: Any, slots: Any, url: str, requests: int) -> int:
    """Send them in tasks of an event loop."""
    transport = made.AsyncConcurrencyTransport(library.AsyncHTTPTransport(), AT_ONCE, slots=slots, max_wait_s=LONG_S)
    async with library.AsyncClient(transport=transport, timeout=LONG_S) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(requests)))
    return sum(answer.status_code == 200 for answer in answers)


@contextmanager
def sending(*what: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and see to it that it is gone afterwards."""
    command = [sys.executable, "-m", "tests.ledger.slots_actor", *what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603  # our own
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Send the requests, and say how many were answered."""
    address, url, places, requests, name, colour = sys.argv[1:]
    library, made = import_module(name), import_module(f"resilient_poll.transports.{name}")
    with open_ledger(address) as ledger, ledger.slots(int(places), look_again_s=0.02) as slots:
        say_and_wait("ready")
        if colour == "sync":
            answered = by_threads(made, library, slots, url, int(requests))
        else:
            answered = asyncio.run(by_tasks(made, library, slots, url, int(requests)))
        say_and_wait(str(answered))


if __name__ == "__main__":
    main()
