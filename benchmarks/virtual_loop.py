"""An event loop whose time is virtual: when nothing is left to do, it is the next timer's time at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_virtually"]

T = TypeVar("T")


class _Skipping(selectors.DefaultSelector):
    """Lets time pass instead of waiting for it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and no timer is set: it would wait for ever")
        self.now_s += max(0.0, timeout)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now_s


def run_virtually(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from second 0 on. Threads and sockets have no place in it.

    Args:
        coroutine: What to run.

    Raises:
        RuntimeError: It waits for what never comes.
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(coroutine)
