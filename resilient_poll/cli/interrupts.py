"""Ctrl-C, SIGTERM and a closed terminal are one thing: an exception in the main thread, never while a create is out.

A create that is cut off leaves a doubt about money. So while its answer is awaited (which is
bounded), a signal is only noted, and raised as soon as nothing can be lost by it. Whoever
sends a second signal wants out at any price.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the command to stop.

    Not an ``Exception``: nothing on the way may take it for a failure and go on.

    Args:
        signal_name: Which one.
        forced: Whether it broke off a create that was out.
    """

    def __init__(self, signal_name: str, *, forced: bool = False) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
        self.forced = forced


class Interrupts:
    """Turns signals into :class:`Interrupted` while the ``with`` block runs.

    Args:
        until_exit: Whether the process ends after the block. Signals are then ignored from there on: a late one would
            only replace the exit code.

    Attributes:
        on_deferred: Called, from the signal handler, when a signal has to wait, or what it ends
            has to. What it raises is dropped: it would break off the create.
    """

    def __init__(self, *, until_exit: bool = False) -> None:
        self._until_exit = until_exit
        self.on_deferred: Callable[[], None] = lambda: None
        self._is_deferring = False
        self._pending: str | None = None
        self._is_over = False
        self._allows_another = self._has_raised = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread can set handlers, and only it hears signals.
        if threading.current_thread() is threading.main_thread():
            # Whoever started this with nohup wants a closed terminal to be no signal.
            heard = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_IGN if self._until_exit else handler)

    @contextmanager
    def deferred(self) -> Generator[None, None, None]:
        """Hold signals back within the block; one that came is raised after it.

        If the block fails, that is the news, and the signal is forgotten: the command ends anyway.
        """
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
        self._raise_pending()

    @contextmanager
    def allowed(self) -> Generator[None, None, None]:
        """Let signals through within the block, although it stands in one that holds them back."""
        before, self._is_deferring = self._is_deferring, False
        try:
            self._raise_pending()
            yield
        finally:
            self._is_deferring = before

    @contextmanager
    def twice(self) -> Generator[None, None, None]:
        """Raise every signal at once within the block, all but the first as forced.

        For work that knows itself what must not be cut short, and that sees to the first.
        """
        self._allows_another = True
        try:
            yield
        finally:
            self._allows_another = False

    def finish(self) -> None:
        """Hear no more signals: the result is known, and only its report is still to come."""
        self._is_over = True

    def _raise_pending(self) -> None:
        if self._pending is not None:
            name, self._pending = self._pending, None
            self._raise(name, forced=False)

    def _raise(self, name: str, *, forced: bool) -> None:
        # One is enough: a second one would break off the cleaning up after the first.
        self._is_over = True
        raise Interrupted(name, forced=forced)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._is_over:
            return
        name = signal.Signals(number).name
        if self._allows_another:
            is_first, self._has_raised = not self._has_raised, True
            if is_first:
                with suppress(Exception):
                    self.on_deferred()
            raise Interrupted(name, forced=not is_first)
        if self._is_deferring and self._pending is None:
            self._pending = name
            with suppress(Exception):
                self.on_deferred()
            return
        self._raise(name, forced=self._is_deferring)
