"""What a layer asks its shell to do. A layer yields one of these and is sent what came of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from resilient_poll.transports.middleware.call import Call

__all__ = ["SEND", "Discard", "Effect", "Flow", "Gather", "Layer", "Off", "Send", "Sleep", "Wait", "Waker", "stacked"]


class Send:
    """Send the call's request and return the library's response, or raise what the transport beneath raised."""

    __slots__ = ()


SEND = Send()


@dataclass(slots=True)
class Sleep:
    """Let some seconds pass."""

    seconds: float


@dataclass(slots=True)
class Gather:
    """Read a response's body into memory, and return it as it came, or None if it is longer than that.

    The response can be read from its beginning afterwards, in either case.
    """

    response: Any
    longest_bytes: int


@dataclass(slots=True)
class Discard:
    """Close a response that nobody gets to see."""

    response: Any


class Waker(Protocol):
    """Wakes one who waits, from whatever thread."""

    def wake(self) -> bool:
        """Wake it, now or before it begins to wait, and return False if it is gone for ever."""
        ...


@dataclass(slots=True)
class Wait:
    """Wait until a waker is called; at most for some seconds, if any are given."""

    waker: Waker
    longest_s: float | None


@dataclass(slots=True)
class Off:
    """Call a function that may block for a while, and return what it returned."""

    function: Callable[[], Any]


Effect = Send | Sleep | Gather | Discard | Wait | Off
Flow = Generator[Effect, Any, Any]
Below = Callable[[Call], Flow]


class Layer(Protocol):
    """One layer of a stack."""

    def flow(self, call: Call, below: Below) -> Flow:
        """Carry a call through this layer, and return the library's response.

        Args:
            call: The call.
            below: What carries it through the layers beneath; may be used again and again.
        """
        ...


def _bottom(call: Call) -> Flow:
    del call  # the shell has it
    return (yield SEND)


def stacked(layers: tuple[Layer, ...]) -> Below:
    """Return one flow of several layers, the outermost first."""
    flow: Below = _bottom
    for layer in reversed(layers):
        flow = _joined(layer, flow)
    return flow


def _joined(layer: Layer, below: Below) -> Below:
    return lambda call: layer.flow(call, below)
