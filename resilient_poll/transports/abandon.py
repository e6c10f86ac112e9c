"""Bound a blocking call whose insides cannot be bounded: leave it behind in a thread.

The promise is weaker than a real cut: the caller hears in time, while the call itself may
go on for a while in a daemon thread. It is for queries only. A submit is never left behind.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["LeftBehind", "call_within", "is_within"]

_MOST_IDLE = 16
"""How many threads are kept for the next call; to begin one takes eight times as long as to hand a call over."""
_IDLE_S = 20.0
"""For how long: some polls."""

Result = TypeVar("Result")


class LeftBehind(Exception):
    """The call did not return in time and goes on without us."""


class _Call(Generic[Result]):
    """One call, or several one after the other: what is to be done, and what came of it."""

    __slots__ = (
        "_context",
        "_follow",
        "_function",
        "_guard",
        "_has_ended",
        "_ring",
        "_until_s",
        "error",
        "left_behind",
        "result",
    )

    def __init__(
        self,
        function: Callable[[threading.Event], Result],
        timeout_s: float,
        follow: Callable[[Result], float | None] | None,
    ) -> None:
        self._context = contextvars.copy_context()
        self._function = function
        self._follow = follow
        self._guard = threading.Lock()
        self._until_s = time.monotonic() + timeout_s
        self.left_behind = threading.Event()
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._has_ended = False
        self._ring = threading.Lock()  # Let go of when the caller is to look again; he sleeps by acquiring it.
        self._ring.acquire()

    def carry_out(self) -> None:
        try:
            # Each in a copy, so that none sees what the one before has set.
            is_wanted = not self.left_behind.is_set()
            while is_wanted:
                is_wanted = self._is_followed(self._context.copy().run(self._function, self.left_behind))
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is
            self.error = error

    def _is_followed(self, result: Result) -> bool:
        """Return whether the function is to be called once more, after what it returned."""
        if self._follow is None:
            self.result = result
            return False
        with self._guard:
            if self.left_behind.is_set():
                return False
            timeout_s = self._follow(result)
            if timeout_s is None:
                self.result = result
                return False
            until_s, self._until_s = self._until_s, time.monotonic() + timeout_s
        if self._until_s < until_s:
            self._wake()  # He sleeps for longer than that.
        return True

    def end(self) -> None:
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # He is awake, and will look.
            self._ring.release()

    def ends_in_time(self) -> bool:
        left_s = self._until_s - time.monotonic()
        while True:
            self._ring.acquire(timeout=min(max(0.0, left_s), threading.TIMEOUT_MAX))
            if self._has_ended:
                return True
            with self._guard:
                left_s = self._until_s - time.monotonic()
                if left_s <= 0:
                    self.left_behind.set()
                    return False

    def leave(self) -> None:
        """Wait for it no longer: nothing is taken in any more, nor begun."""
        with self._guard:
            self.left_behind.set()


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


def call_within(
    function: Callable[[threading.Event], Result],
    timeout_s: float,
    follow: Callable[[Result], float | None] | None = None,
) -> Result:
    """Call a function in a thread and return its result, or leave it behind.

    To hand a call over and to be handed its result costs two switches of threads, tens of microseconds where the
    processors sleep. So calls that follow each other at once can be made with one hand-over.

    Args:
        function: Called with an event that is set once nobody waits for it any more, so
            that it can stop early.
        timeout_s: How many seconds to wait for it.
        follow: Called in that same thread with each result while the caller waits, and never once it does not.
            Returns how many seconds to wait for the next call, or None if there is none.

    Returns:
        What the function returned, the last time.

    Raises:
        LeftBehind: It did not return in time.
        Exception: Whatever the function raised.
    """
    call = _Call(function, timeout_s, follow)
    try:
        _idle.pop().take(call)
    except IndexError:
        _Worker(call)
    try:
        if not call.ends_in_time():
            raise LeftBehind
    finally:
        call.leave()
    if call.error is not None:
        raise call.error
    return call.result  # type: ignore[return-value]  # ended without an error: it is a Result


def is_within(
    function: Callable[[threading.Event], Result], timeout_s: float, follow: Callable[[Result], float | None]
) -> bool:
    """Call a function like :func:`call_within`, for what is taken in by the last argument.

    Args:
        function: As there.
        timeout_s: As there.
        follow: As there.

    Returns:
        False if a call was left behind.
    """
    try:
        call_within(function, timeout_s, follow)
    except LeftBehind:
        return False
    return True
