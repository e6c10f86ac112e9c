"""A process of its own that submits one key and waits, and gets a signal at a point of the way.

``python -m tests.dashscope.ledger_worker LEDGER BASE_URL API_KEY COLOUR POINT SIGNAL``; LEDGER is a connection
string, or else a path.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resilient_poll import AsyncDashScope, DashScope, Fixed, ResilientPollError, WaitPolicy
from resilient_poll.drive.clocks import RealAsyncClock, RealClock
from tests.dashscope.keys_worker import open_ledger
from tests.dashscope.ledger_clients import Watched
from tests.support.colours import INPUT, MODEL, got, run_in

__all__ = ["KEY_OF_ALL", "POINTS", "working"]

ROOT = Path(__file__).parents[2]
KEY_OF_ALL = "order 7"
POINTS = {
    "begun": ("before", "license"),
    "licensed": ("after", "license"),
    "answered": ("before", "accept"),
    "accepted": ("after", "accept"),
    "polling": ("before", "observe"),
    "nowhere": ("before", "nothing"),
}
"""When the signal comes: before or after which call of the ledger."""


async def work(path: str, base_url: str, api_key: str, colour: str, point: str, how: str) -> None:
    """Submit and wait."""
    when, name = POINTS[point]

    def hit(*_: Any) -> None:
        ledger.before.clear()
        ledger.after.clear()
        # To this thread: another one would be stopped first, and this one come as far as into a transaction.
        signal.pthread_kill(threading.get_ident(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[how])

    with open_ledger(path) as file:
        ledger = Watched(file)
        getattr(ledger, when)[name] = hit
        options: dict[str, Any] = {"dialect": "dashscope", "api_key": api_key, "base_url": base_url, "ledger": ledger}
        options["wait_policy"] = WaitPolicy(schedule=Fixed(0.5))
        is_sync = colour == "sync"
        client = (
            DashScope(**options, clock=RealClock()) if is_sync else AsyncDashScope(**options, clock=RealAsyncClock())
        )
        try:
            task = await got(client.submit(MODEL, INPUT, idempotency_key=KEY_OF_ALL))
            say(task.id)
            await got(task.wait(timeout=60))
            say("made")
        except ResilientPollError as error:
            say(type(error).__name__)
        finally:
            await got(client.close())


def say(line: str) -> None:
    """Say a line."""
    print(line, flush=True)  # noqa: T201  # this is how it talks


@contextmanager
def working(*what: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker, and see to it that it is gone afterwards."""
    command = [sys.executable, "-m", "tests.dashscope.ledger_worker", *what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603  # our own
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    run_in(sys.argv[4], lambda: work(*sys.argv[1:]))
