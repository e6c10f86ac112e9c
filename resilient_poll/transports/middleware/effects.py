"""What a layer asks its shell to do. A layer yields one of these and is sent what came of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from resilient_poll.transports.middleware.call import Call

__all__ = [
    "SEND",
    "Discard",
    "Effect",
    "Flow",
    "Gather",
    "Layer",
    "Off",
    "Opening",
    "Send",
    "Sleep",
    "Straight",
    "Trying",
    "Wait",
    "Waker",
    "bottom",
    "stacked",
    "straightened",
]


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


class Opening(Protocol):
    """A layer that acts before the sending only."""

    def open(self, call: Call) -> None:
        """Do it."""
        ...


class Trying(Protocol):
    """A layer that mostly has nothing to do after the sending, and says so without a flow."""

    def begin(self, call: Call) -> Any:
        """Do what is to be done before the first sending, and return what is known of it."""
        ...

    def is_settled(self, call: Call, made: Any) -> bool:
        """Return whether the answer in ``made.response`` is to be handed on as it is; if so, it is noted."""
        ...

    def go_on(self, call: Call, below: Below, made: Any) -> Flow:
        """Go on from a first sending that is not settled, whose answer or error is in ``made``."""
        ...


@dataclass(frozen=True, slots=True)
class Straight:
    """A stack as a shell carries a call through it by plain calls: generators cost more than what they do here.

    Attributes:
        opens: What is called before the first sending, in order.
        trying: The innermost layer, if it is one that tries again.
    """

    opens: tuple[Callable[[Call], None], ...]
    trying: Trying | None


def straightened(layers: tuple[Any, ...]) -> Straight | None:
    """Return how to carry a call through some layers by plain calls, or None where their flows are needed.

    Args:
        layers: The outermost first.
    """
    trying = layers[-1] if layers and hasattr(layers[-1], "is_settled") else None
    others = layers if trying is None else layers[:-1]
    if not all(hasattr(layer, "open") for layer in others):
        return None
    return Straight(tuple(layer.open for layer in others), trying)


def bottom(call: Call) -> Flow:
    """Send a call's request, beneath all layers."""
    del call  # the shell has it
    return (yield SEND)


def stacked(layers: tuple[Layer, ...]) -> Below:
    """Return one flow of several layers, the outermost first."""
    flow: Below = bottom
    for layer in reversed(layers):
        flow = _joined(layer, flow)
    return flow


def _joined(layer: Layer, below: Below) -> Below:
    return lambda call: layer.flow(call, below)
