"""The shell for code that awaits, on asyncio and trio: does what the layers ask for."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
import anyio.to_thread

from resilient_poll.transports.middleware.bodies import run_elsewhere, run_off_the_loop, unwind
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
from resilient_poll.transports.middleware.late import cut
from resilient_poll.transports.middleware.sending import (
    failure_of,
    is_in_memory,
    is_own,
    prepared,
    take_over_attempts,
)
from resilient_poll.transports.middleware.watch import AwaitingClock, Watch

__all__ = ["AwaitingShell"]


class _Waker:
    """Wakes one who awaits, also from another thread or another event loop."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._home = threading.get_ident()
        try:
            self._soon: Any = asyncio.get_running_loop().call_soon_threadsafe
        except RuntimeError:
            # trio, then; it is loaded, since this runs in it.
            self._soon = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon

    def wake(self) -> bool:
        try:
            if threading.get_ident() == self._home:
                self._event.set()
            else:
                self._soon(self._event.set)
        except RuntimeError:
            return False  # Its loop is over, and so is whoever waited there.
        return True

    async def wait(self, longest_s: float | None) -> None:
        with anyio.move_on_after(longest_s):
            await self._event.wait()


class AwaitingShell:
    """Carries requests through a stack of layers to a transport beneath."""

    _kit: ClassVar[Kit]

    def _stack(self, inner: Any, layers: tuple[Layer, ...], clock: AwaitingClock | None) -> None:
        kit = self._kit
        self._inner = kit.awaiting_transport() if inner is None else inner
        self._watch = Watch(clock, is_awaiting=True)
        self._layers = layers
        self._flow = stacked(layers)
        self._straight = straightened(layers)
        self._is_last = is_own(self._inner, kit.awaiting_transport, "handle_async_request")
        self._keeps_timeouts = isinstance(self._inner, kit.awaiting_transport)

    async def _carry(self, request: Any) -> Any:
        call = Call(request, self._kit, self._watch, _Waker)
        call.keeps_timeouts = self._keeps_timeouts
        call.is_last = self._is_last
        try:
            if self._straight is None:
                response = await self._drive(self._flow(call), call)
            else:
                response = await self._go_straight(self._straight, call)
        except GeneratorExit:
            run_elsewhere(call.finish(None))  # The loop is gone, and nothing can be awaited any more.
            raise
        except BaseException:
            await run_off_the_loop(call.finish(None))
            raise
        if is_in_memory(response, call):
            if call.ends or call.leftovers:
                await run_off_the_loop(call.finish(None))
        elif call.ends or call.deadline_s is not None:
            response.stream = self._kit.awaiting_body(response.stream, call)
        return response

    async def _go_straight(self, straight: Straight, call: Call) -> Any:
        for opened in straight.opens:
            opened(call)
        trying = straight.trying
        if trying is None:
            return await self._send(call)
        made = trying.begin(call)
        try:
            made.response = await self._send(call)
        except Exception as error:  # noqa: BLE001  # the layer decides what it means
            made.error = error
        else:
            if trying.is_settled(call, made):
                return made.response
        return await self._drive(trying.go_on(call, bottom, made), call)

    async def _drive(self, flow: Flow, call: Call) -> Any:
        try:
            effect = flow.send(None)
            while True:
                try:
                    came = await self._do(effect, call)
                except BaseException as error:  # noqa: BLE001  # the layers decide what it means
                    effect = flow.throw(error)
                else:
                    effect = flow.send(came)
        except StopIteration as finished:
            return finished.value

    async def _do(self, effect: Effect, call: Call) -> Any:
        if effect is SEND:
            return await self._send(call)
        match effect:
            case Sleep(seconds):
                await self._watch.sleep(seconds)
            case Wait(_Waker() as waker, longest_s):
                await waker.wait(longest_s)
            case Gather(response, longest_bytes):
                return await self._gather(response, longest_bytes, call)
            case Discard(response):
                with anyio.CancelScope(shield=True):
                    await response.aclose()
                await run_off_the_loop(call.finish(None))
            case Off(function):
                return await anyio.to_thread.run_sync(function)
        return None

    async def _send(self, call: Call) -> Any:
        request, until_s = prepared(call)
        if until_s is None:
            return await self._inner.handle_async_request(request)
        left_s = until_s - self._watch.now_s()
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + left_s):
                return await self._inner.handle_async_request(request)
        except Exception as error:
            failure = failure_of(error, call)
            if failure is error:
                raise
            raise failure from error
        finally:
            take_over_attempts(call, request)
        raise cut(call)

    async def _gather(self, response: Any, longest_bytes: int, call: Call) -> bytes | None:
        if response.is_closed:
            content: bytes = response.content
            return content if len(content) <= longest_bytes else None
        body, stream = self._kit.awaiting_body, response.stream
        pieces: list[bytes] = []
        size = 0
        rest = aiter(stream)
        try:
            while True:
                try:
                    piece = await body.next_within(rest, call)  # type: ignore[attr-defined]  # of the class
                except StopAsyncIteration:
                    break
                pieces.append(piece)
                size += len(piece)
                if size > longest_bytes:
                    response.stream = body(stream, call, pieces, rest, is_last=False)
                    return None
            await stream.aclose()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
                await unwind(rest)
            await run_off_the_loop(call.finish(error if isinstance(error, Exception) else None))
            raise
        await run_off_the_loop(call.finish(None))
        content = b"".join(pieces)
        response.stream = self._kit.byte_stream(content)
        return content

    async def aclose(self) -> None:
        """Close the transport beneath."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)
