"""Bound a blocking call whose insides cannot be bounded: leave it behind in a thread.

The promise is weaker than a real cut: the caller hears in time, while the call itself may
go on for a while in a daemon thread. It is for queries only. A submit is never left behind.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["LeftBehind", "call_within"]

Result = TypeVar("Result")


class LeftBehind(Exception):
    """The call did not return in time and goes on without us."""


class _Box(Generic[Result]):
    def __init__(self) -> None:
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.filled = threading.Event()


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
    box: _Box[Result] = _Box()
    left_behind = threading.Event()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            box.result = context.run(function, left_behind)
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is
            box.error = error
        box.filled.set()

    threading.Thread(target=work, name="resilient-poll-query", daemon=True).start()
    try:
        if not box.filled.wait(timeout_s):
            raise LeftBehind
    finally:
        left_behind.set()
    if box.error is not None:
        raise box.error
    return box.result  # type: ignore[return-value]  # filled without an error: it is a Result
