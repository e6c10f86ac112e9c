"""A process of its own that uses a ledger, and stops or dies where it is told to.

``python actor.py ADDRESS race | fork | submit POINT SIGNAL``; it says a line when it is ready, and
goes on when it is sent one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resilient_poll.ledger import moves
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.errors import LedgerForked
from resilient_poll.ledger.logic import LedgerLogic

HERE = Namespace("https://api.test/v1", "generic", "main")
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
KEYS = 100


def open_ledger(address: str) -> LedgerLogic:
    """Open the ledger of an address: a connection string, or else a path."""
    if "host=" in address:
        from resilient_poll.ledger.postgres import PostgresLedger  # noqa: PLC0415  # only where it is installed

        return PostgresLedger(address)
    from resilient_poll.ledger.sqlite import SqliteLedger  # noqa: PLC0415  # as above

    return SqliteLedger(address, busy_s=30)


def race(ledger: LedgerLogic) -> None:
    """Begin and license as many of the keys as there are to get."""
    say_and_wait("ready")
    won = 0
    with ledger.open_owner() as owner:
        for number in range(KEYS):
            entry = ledger.begin(HERE, f"key-{number}", "digest", now_wall_s=1000.0)
            won += ledger.license(entry, owner, now_wall_s=1000.0) is not None
        say_and_wait(str(won))


def submit(ledger: LedgerLogic, point: str, how: str) -> None:
    """Submit one key, and get the signal at a point of the way."""

    def hit() -> None:
        os.kill(os.getpid(), SIGNALS[how])

    genuine = {name: getattr(moves, name) for name in ("licensed", "accepted")}

    def hitting(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        def function(*values):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
            hit()  # Within the transaction, before its commit.
            return genuine[name](*values)

        return function

    if point in {"licensed", "accepted"}:
        setattr(moves, point, hitting(point))
    owner = ledger.open_owner()
    entry = ledger.begin(HERE, "key", "digest", now_wall_s=1000.0)
    say_and_wait("begun")
    licence = ledger.license(entry, owner, now_wall_s=1000.0)
    assert licence is not None
    if point == "before the first byte":
        hit()
    kept = ledger.accept(licence, "task-1", now_wall_s=1001.0)
    say_and_wait(str(kept.task_id))


def fork(ledger: LedgerLogic, address: str) -> None:
    """Hold a licence, and have a child that tries to use what it inherited, opens its own, and outlives us."""
    owner = ledger.open_owner()
    licence = ledger.license(ledger.begin(HERE, "key", "digest", now_wall_s=1.0), owner, now_wall_s=1.0)
    assert licence is not None
    if os.fork():
        os.wait()
        return
    refused = 0
    for act in (lambda: ledger.get(1), owner.hold, lambda: ledger.settle_the_dead(now_wall_s=1.0)):
        try:
            act()
        except LedgerForked:
            refused += 1
    ledger.close()  # The owner is not closed on purpose: that a parent died must show without.
    with open_ledger(address) as own:
        say_and_wait(f"{refused} refused, {len(own.settle_the_dead(now_wall_s=1.0))} settled")


def say_and_wait(line: str) -> None:
    """Say a line, and wait for one."""
    print(line, flush=True)  # noqa: T201  # this is how it talks
    sys.stdin.readline()


@contextmanager
def acting(address: str, *what: str) -> Iterator[subprocess.Popen[str]]:
    """Start an actor, and see to it that it is gone afterwards."""
    command = [sys.executable, __file__, address, *what]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def hear(process: subprocess.Popen[str]) -> str:
    """Return the next line that an actor says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let an actor go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


if __name__ == "__main__":
    _, address, what, *more = sys.argv
    with open_ledger(address) as opened:
        if what == "race":
            race(opened)
        elif what == "fork":
            fork(opened, address)
        else:
            submit(opened, *more)
