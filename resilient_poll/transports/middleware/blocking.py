"""The shell for code that blocks: does what the layers ask for."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, ClassVar, Self

from resilient_poll.transports.cut import end_cut, install_cut_below, start_cut
from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.effects import (
    SEND,
    Discard,
    Effect,
    Flow,
    Gather,
    Layer,
    Off,
    Sleep,
    Straight,
    Wait,
    bottom,
    stacked,
    straightened,
)
from resilient_poll.transports.middleware.kit import Kit
from resilient_poll.transports.middleware.sending import failure_of, is_in_memory, is_own, prepared, take_over_attempts
from resilient_poll.transports.middleware.watch import BlockingClock, Watch

__all__ = ["BlockingShell"]


class _Waker:
    """Wakes a thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> bool:
        self._event.set()
        return True

    def wait(self, longest_s: float | None) -> None:
        self._event.wait(None if longest_s is None else min(longest_s, threading.TIMEOUT_MAX))


class BlockingShell:
    """Carries requests through a stack of layers to a transport beneath."""

    _kit: ClassVar[Kit]

    def _stack(self, inner: Any, layers: tuple[Layer, ...], clock: BlockingClock | None) -> None:
        kit = self._kit
        self._inner = kit.blocking_transport() if inner is None else inner
        self._watch = Watch(clock, is_awaiting=False)
        self._layers = layers
        self._flow = stacked(layers)
        self._straight = straightened(layers)
        if isinstance(self._inner, kit.blocking_transport):
            install_cut_below(self._inner, kit.library, self._watch.now_s)
        self._is_last = is_own(self._inner, kit.blocking_transport, "handle_request")

    def _carry(self, request: Any) -> Any:
        call = Call(request, self._kit, self._watch, _Waker)
        call.is_last = self._is_last
        if self._straight is not None:
            response = self._go_straight(self._straight, call)
            if not is_in_memory(response, call) and call.cut_s() is not None:
                response.stream = self._kit.cut_body(response.stream, call)
            return response
        try:
            response = self._drive(self._flow(call), call)
        except BaseException:
            _finish(call, None)
            raise
        if is_in_memory(response, call):
            _finish(call, None)
        elif call.ends or call.deadline_s is not None:
            response.stream = self._kit.blocking_body(response.stream, call)
        return response

    def _go_straight(self, straight: Straight, call: Call) -> Any:
        for opened in straight.opens:  # Those that may stand in it have nothing to give back afterwards.
            opened(call)
        trying = straight.trying
        if trying is None:
            return self._send(call)
        made = trying.begin(call)
        try:
            made.response = self._send(call)
        except Exception as error:  # noqa: BLE001  # the layer decides what it means
            made.error = error
        else:
            if trying.is_settled(call, made):
                return made.response
        return self._drive(trying.go_on(call, bottom, made), call)

    def _drive(self, flow: Flow, call: Call) -> Any:
        try:
            effect = flow.send(None)
            while True:
                try:
                    came = self._do(effect, call)
                except BaseException as error:  # noqa: BLE001  # the layers decide what it means
                    effect = flow.throw(error)
                else:
                    effect = flow.send(came)
        except StopIteration as finished:
            return finished.value

    def _do(self, effect: Effect, call: Call) -> Any:
        if effect is SEND:
            return self._send(call)
        match effect:
            case Sleep(seconds):
                self._watch.sleep(seconds)
            case Wait(_Waker() as waker, longest_s):
                waker.wait(longest_s)
            case Gather(response, longest_bytes):
                return self._gather(response, longest_bytes, call)
            case Discard(response):
                response.close()
                _finish(call, None)
            case Off(function):
                return function()
        return None

    def _send(self, call: Call) -> Any:
        request, until_s = prepared(call)
        if until_s is None:
            return self._inner.handle_request(request)
        before = start_cut(until_s)
        try:
            return self._inner.handle_request(request)
        except Exception as error:
            failure = failure_of(error, call)
            if failure is error:
                raise
            raise failure from error
        finally:
            end_cut(before)
            take_over_attempts(call, request)

    def _gather(self, response: Any, longest_bytes: int, call: Call) -> bytes | None:
        if response.is_closed:
            content: bytes = response.content
            return content if len(content) <= longest_bytes else None
        body, stream = self._kit.blocking_body, response.stream
        pieces: list[bytes] = []
        size = 0
        rest = body.within(iter(stream), call)  # type: ignore[attr-defined]  # the class is behind the name
        try:
            for piece in rest:
                pieces.append(piece)
                size += len(piece)
                if size > longest_bytes:
                    response.stream = body(stream, call, pieces, rest, is_last=False)
                    return None
            stream.close()
        except BaseException as error:
            stream.close()
            _finish(call, error if isinstance(error, Exception) else None)
            raise
        _finish(call, None)
        content = b"".join(pieces)
        response.stream = self._kit.byte_stream(content)
        return content

    def close(self) -> None:
        """Close the transport beneath."""
        self._inner.close()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._inner.__exit__(exc_type, exc_value, traceback)


def _finish(call: Call, error: Exception | None) -> None:
    if not call.ends and not call.leftovers:
        return
    for later in call.finish(error):
        later()
