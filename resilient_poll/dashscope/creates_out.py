"""Creates that are out while their client is closed: closing waits for them, as each may be a paid task."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from resilient_poll.errors import ConfigurationError
from resilient_poll.machine.policy import SubmitPolicy

__all__ = ["AsyncCreatesOut", "CreatesOut"]


def _longest_s(policy: SubmitPolicy) -> float:
    return max(policy.attempt_timeout_s, policy.synchronous_attempt_timeout_s)


def _refuse() -> None:
    raise ConfigurationError("the client is closed, nothing was sent: make a new client")


class CreatesOut:
    """Counts creates that are out, in any thread.

    Args:
        policy: Says how long one may take.
        ends: Whether none may begin once the client is closed. Through a caller's own client they may.
    """

    def __init__(self, policy: SubmitPolicy, *, ends: bool) -> None:
        self._longest_s = _longest_s(policy)
        self._ends = ends
        self._out: Counter[int] = Counter()
        self._may_begin = True
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Generator[None, None, None]:
        """Count one for as long as the block lasts.

        Raises:
            ConfigurationError: The client is closed.
        """
        me = threading.get_ident()
        with self._changed:
            if not self._may_begin:
                _refuse()
            self._out[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._out -= Counter([me])
                self._changed.notify_all()

    def end(self) -> None:
        """Let none begin any more, and wait for those that are out in other threads.

        One in this thread cannot end meanwhile: a signal came while it was out.
        """
        me = threading.get_ident()
        with self._changed:
            self._may_begin = not self._ends
            self._changed.wait_for(lambda: not self._out.keys() - {me}, self._longest_s)


class AsyncCreatesOut:
    """Counts creates that are out, in any task of the event loop; see :class:`CreatesOut`."""

    def __init__(self, policy: SubmitPolicy, *, ends: bool) -> None:
        self._longest_s = _longest_s(policy)
        self._ends = ends
        self._count = 0
        self._may_begin = True
        self._none_out: anyio.Event | None = None

    @contextmanager
    def one(self) -> Generator[None, None, None]:
        """Count one for as long as the block lasts; see :meth:`CreatesOut.one`."""
        if not self._may_begin:
            _refuse()
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if not self._count and self._none_out is not None:
                self._none_out.set()

    async def end(self) -> None:
        """Let none begin any more, and wait for those that are out."""
        self._may_begin = not self._ends
        if self._count:
            self._none_out = self._none_out or anyio.Event()
            with anyio.move_on_after(self._longest_s):
                await self._none_out.wait()
