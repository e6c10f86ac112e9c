"""Clients with a ledger: a service that counts what it accepts, and a ledger that is watched, or breaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from resilient_poll.ledger.entry import Entry
from resilient_poll.ledger.errors import LedgerUnavailable
from tests.dashscope.scripted import Asked, Broken, Reply, said

__all__ = ["BUSY", "FAILED", "LOST", "MADE", "REFUSED", "URL", "Service", "Watched", "full", "only_entry"]

URL = "https://assets.test/clip.mp4?Signature=x"
MADE: dict[str, Any] = {"word": "SUCCEEDED", "video_url": URL}
FAILED: dict[str, Any] = {"word": "FAILED", "code": "InternalError.Algo", "message": "sorry"}
BUSY = Reply(429, {"code": "Throttling", "message": "slow down", "request_id": "r"}, {"retry-after": "7"})
REFUSED = Reply(400, {"code": "InvalidParameter", "message": "no", "request_id": "r"})
LOST = Broken("ReadTimeout")
Answer = Reply | Broken


class Service:
    """Accepts creates and tells how each task does.

    Args:
        creates: What becomes of the first creates; accepted once these are used up.
        steps: What the queries of a task are answered with, in order; the last repeats.

    Attributes:
        creates: How many creates came.
        accepted: How many became tasks.
        queries: How many queries came.
        on_create: Called when a create has come, before it is answered.
    """

    def __init__(self, *creates: Answer, steps: tuple[dict[str, Any], ...] = (MADE,)) -> None:
        self._script = list(creates)
        self._steps = steps
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()
        self.creates = self.accepted = self.queries = 0
        self.bodies: list[dict[str, Any]] = []
        self.on_create: Callable[[], None] = lambda: None

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            with self._lock:
                self.queries += 1
                task_id = asked.path.rpartition("/")[2]
                number = self._asked[task_id] = self._asked.get(task_id, 0) + 1
            step = dict(self._steps[min(number, len(self._steps)) - 1])
            usage = step.pop("usage", {})
            reply = said(task_id, step.pop("word"), **step)
            reply.body["usage"] = usage
            return reply
        self.on_create()
        with self._lock:
            self.creates += 1
            self.bodies.append(json.loads(asked.body))
            if self._script:
                return self._script.pop(0)
            self.accepted += 1
            return said(f"task-{self.accepted}", "PENDING")


class Watched:
    """A ledger whose calls are noted, and may be broken or held up.

    Attributes:
        calls: The name and the thread of every call.
        before: What is done before a call, by its name; what it raises is what the call raises.
        after: What is done with what a call returned.
    """

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.calls: list[tuple[str, int]] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[Any], None]] = {}

    @property
    def names(self) -> list[str]:
        """The names of the calls."""
        return [name for name, _ in self.calls]

    def __getattr__(self, name: str) -> Any:
        genuine = getattr(self.ledger, name)

        def call(*values: Any, **named: Any) -> Any:
            self.calls.append((name, threading.get_ident()))
            self.before.get(name, lambda: None)()
            result = genuine(*values, **named)
            self.after.get(name, lambda _: None)(result)
            return result

        return call


def full() -> None:
    """Raise what a ledger raises on a full disk."""
    raise LedgerUnavailable("the ledger cannot grow, as the disk or its quota is full: make room, then try again")


def only_entry(ledger: Any) -> Entry:
    """Return the one entry of a ledger, as it stands."""
    (entry,) = ledger.entries(with_archived=True)
    found: Entry = ledger.get(entry.entry_id)
    return found
