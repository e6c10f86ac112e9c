"""Worker processes by the hundred: forked from one that has everything imported, and killed and stopped by name.

``python -m tests.crash.nursery`` reads orders, one JSON object a line, and its children and itself
write what happens to stdout, a line each: a line is written in one piece, and outlives its writer.
The process that forks has one thread and has opened nothing.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["Nursery", "Order", "nursery", "say"]

ROOT = Path(__file__).parents[2]
LONGEST_S = 60.0
"""How long anything is waited for that surely comes."""
Order = dict[str, Any]


def say(**event: Any) -> None:
    """Tell what happens, in one piece."""
    os.write(1, (json.dumps(event) + "\n").encode())


@dataclass
class Nursery:
    """Starts workers and hears of them.

    Attributes:
        process: The one that forks.
        heard: Events in the order in which they happened.
    """

    process: subprocess.Popen[str]
    heard: queue.SimpleQueue[Order] = field(default_factory=queue.SimpleQueue)
    _last: int = 0

    def start(self, **order: Any) -> int:
        """Start a worker and return its number."""
        self._last += 1
        self._tell({"start": self._last, "order": order})
        return self._last

    def send(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a worker, if it is still there."""
        self._tell({"signal": int(what), "to": number})

    def next(self, timeout_s: float = LONGEST_S) -> Order:
        """Return the next event.

        Raises:
            queue.Empty: There is none in time.
        """
        event = self.heard.get(timeout=timeout_s)
        if event["event"] == "closed":
            raise RuntimeError("the process that forks the workers has ended; its stderr says why")
        return event

    def wait_for(self, number: int, *kinds: str) -> Order:
        """Return the next event of a worker that is of one of some kinds; others are forgotten."""
        while True:
            event = self.next()
            if event["worker"] == number and event["event"] in kinds:
                return event

    def _tell(self, order: Order) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()


@contextmanager
def nursery(log: Path | None = None) -> Iterator[Nursery]:
    """Run a nursery; all of its children are gone afterwards.

    Args:
        log: Where what the workers log goes to; nowhere, if None.
    """
    with (log or Path(os.devnull)).open("ab") as errors:
        process = subprocess.Popen(  # our own
            [sys.executable, "-m", "tests.crash.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
    found = Nursery(process)
    assert process.stdout is not None
    listener = threading.Thread(target=_listen, args=(process.stdout, found.heard), daemon=True)
    listener.start()
    try:
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(LONGEST_S)
        listener.join(LONGEST_S)
        process.stdout.close()


def _listen(lines: IO[str], heard: queue.SimpleQueue[Order]) -> None:
    for line in lines:
        heard.put(json.loads(line))
    heard.put({"event": "closed"})


class _Forking:
    """The process that forks."""

    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        self._orders = b""
        self._wakeup, woken = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Obey until nobody orders any more."""
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == 0:
                        more = os.read(0, 1 << 16)
                        if not more:
                            self._end()
                            return
                        self._obey(more)
                    else:
                        os.read(self._wakeup, 1 << 12)
                self._look()

    def _obey(self, more: bytes) -> None:
        *lines, self._orders = (self._orders + more).split(b"\n")
        for order in map(json.loads, lines):
            if "start" in order:
                self._fork(order["start"], order["order"])
            elif (pid := self._children.get(order["to"])) is not None:
                # Nobody else waits for it, so the number is still its own.
                os.kill(pid, order["signal"])

    def _fork(self, number: int, order: Order) -> None:
        pid = os.fork()
        if pid:
            self._children[number] = pid
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(0)
            from tests.crash.worker import work  # noqa: PLC0415  # it is imported already

            code = work(number, order)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _look(self) -> None:
        for number, pid in list(self._children.items()):
            while True:
                found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
                if not found:
                    break
                if os.WIFSTOPPED(status):
                    say(event="stopped", worker=number)
                    continue
                del self._children[number]
                say(event="gone", worker=number, code=os.waitstatus_to_exitcode(status))
                break

    def _end(self) -> None:
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)
        for pid in self._children.values():
            os.waitpid(pid, 0)


if __name__ == "__main__":
    from tests.crash.worker import warm_up

    warm_up()
    _Forking().run()
