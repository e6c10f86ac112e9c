"""Bound a blocking call whose insides cannot be bounded: leave it behind in a thread.

The promise is weaker than a real cut: the caller hears in time, while the call itself may
go on for a while in a daemon thread. It is for queries only. A submit is never left behind.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["LeftBehind", "call_within"]

_MOST_IDLE = 16
"""How many threads are kept for the next call; to begin one takes eight times as long as to hand a call over."""
_IDLE_S = 20.0
"""For how long: some polls."""

Result = TypeVar("Result")


class LeftBehind(Exception):
    """The call did not return in time and goes on without us."""


class _Call(Generic[Result]):
    """One call: what is to be done, and what came of it."""

    __slots__ = ("_function", "_is_over", "error", "left_behind", "result")

    def __init__(self, function: Callable[[threading.Event], Result]) -> None:
        context = contextvars.copy_context()
        self._function: Callable[[threading.Event], Result] = lambda left: context.run(function, left)
        self.left_behind = threading.Event()
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._is_over = threading.Lock()
        self._is_over.acquire()

    def carry_out(self) -> None:
        try:
            self.result = self._function(self.left_behind)
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is
            self.error = error

    def end(self) -> None:
        self._is_over.release()

    def ends_within(self, timeout_s: float) -> bool:
        return self._is_over.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))


class _Worker:
    """A thread that carries out one call after the other, while there are some soon enough."""

    def __init__(self, call: _Call[Any]) -> None:
        self._call: _Call[Any] | None = call
        self._has_call = threading.Lock()
        threading.Thread(target=self._work, name="resilient-poll-query", daemon=True).start()

    def take(self, call: _Call[Any]) -> None:
        """Carry out a call; the worker is idle."""
        self._call = call
        self._has_call.release()

    def _work(self) -> None:
        self._has_call.acquire()
        while (call := self._call) is not None:
            self._call = None  # Nothing of a call is kept alive by an idle thread.
            call.carry_out()
            is_kept = len(_idle) < _MOST_IDLE
            if is_kept:
                _idle.append(self)
            call.end()
            del call
            if not is_kept:
                return
            if not self._has_call.acquire(timeout=_IDLE_S):
                try:
                    _idle.remove(self)
                except ValueError:
                    self._has_call.acquire()  # Somebody is just handing it a call.
                else:
                    return


_idle: list[_Worker] = []
"""Those that wait for a call, the last one first."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # Threads do not come along.


def call_within(function: Callable[[threading.Event], Result], timeout_s: float) -> Result:
    """Call a function in a thread and return its result, or leave it behind.

    Args:
        function: Called with an event that is set once nobody waits for it any more, so
            that it can stop early.
        timeout_s: How many seconds to wait for it.

    Returns:
        What the function returned.

    Raises:
        LeftBehind: It did not return in time.
        Exception: Whatever the function raised.
    """
    call = _Call(function)
    try:
        _idle.pop().take(call)
    except IndexError:
        _Worker(call)
    try:
        if not call.ends_within(timeout_s):
            raise LeftBehind
    finally:
        call.left_behind.set()
    if call.error is not None:
        raise call.error
    return call.result  # type: ignore[return-value]  # ended without an error: it is a Result
