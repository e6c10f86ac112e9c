"""One request on its way, between who decides and who carries it out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from resilient_poll.machine.commands import Submit, Turn
from resilient_poll.machine.observations import Observation, Unreachable

__all__ = ["Late", "Sending"]


class Late(Protocol):
    """Is told what came of a request whose caller has left."""

    def __call__(self, sending: Sending) -> None:
        """Take it in."""
        ...


@dataclass(slots=True, eq=False)
class Sending:
    """One request on its way. Whoever claims it first decides: it is sent, or it never will be.

    Attributes:
        turn: Whose.
        observation: What was heard, once something was.
        error: What broke instead.
        is_over: Set once nothing more comes of it.
    """

    turn: Turn
    observation: Observation | None = None
    error: BaseException | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    _licence: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def costs_money(self) -> bool:
        """Whether it is a submit."""
        return isinstance(self.turn.command, Submit)

    def claim(self) -> bool:
        """Take the one licence to send it, or to see to it that nobody does."""
        return self._licence.acquire(blocking=False)

    def carry_out(self, send: Callable[[], Observation]) -> None:
        """Send it, unless it was revoked, and note what came of it."""
        if not self.claim():
            return
        try:
            self.observation = send()
        except BaseException as error:  # noqa: BLE001  # handed over, whatever it is: nobody may wait for it for ever
            self.error = error
        finally:
            self.is_over.set()

    def revoke(self) -> bool:
        """See to it that it is never sent; False if it has left, or was revoked before."""
        if not self.claim():
            return False
        self.observation = Unreachable(reason="its caller left before it was sent")
        self.is_over.set()
        return True
