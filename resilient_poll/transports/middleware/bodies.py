"""Bodies that are watched: of a request, whether it was read; of a response, when it is over and how long it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Self

import anyio

from resilient_poll.transports.cut import end_cut, start_cut
from resilient_poll.transports.middleware.call import Call
from resilient_poll.transports.middleware.late import cut, is_late, too_late

__all__ = ["AwaitingBody", "BlockingBody", "CutBody", "WatchedBody", "run_elsewhere", "run_off_the_loop", "unwind"]

logger = logging.getLogger("resilient_poll")

_FRESH_S = 0.05
"""For so long after a request was sent its own read time-out keeps the total time, within this margin: it was cut to
what was left then. A scope for every piece would cost more than most pieces."""
_CLOSING_S = 0.1
"""How long the generators of a closed body may take to end."""
_END = object()


class WatchedBody:
    """A request's body that knows whether anyone began to read it.

    Args:
        inner: The library's body.

    Attributes:
        inner: As above.
        was_read: Whether anyone began.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.was_read = False

    def __iter__(self) -> Iterator[bytes]:
        self.was_read = True
        yield from self.inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.was_read = True
        async for piece in self.inner:
            yield piece


class BlockingBody:
    """A response's body that keeps the total time and tells when it is over.

    Args:
        stream: The library's body.
        call: The request that it answers.
        pieces: What was read of it already.
        rest: What yields the rest, if some was read.
        is_last: Whether the call is over with it.
    """

    def __init__(
        self, stream: Any, call: Call, pieces: list[bytes] | None = None, rest: Any = None, *, is_last: bool = True
    ) -> None:
        self._stream = stream
        self._call = call
        self._pieces = pieces or []
        self._rest = rest
        self._is_last = is_last

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._pieces:
                yield from self._pieces
            yield from self.within(iter(self._stream) if self._rest is None else self._rest, self._call)
        except Exception as error:
            self._finish(error)
            raise
        self._finish(None)

    @staticmethod
    def within(iterator: Iterator[bytes], call: Call) -> Iterator[bytes]:
        """Yield what an iterator does while there is time.

        Args:
            iterator: Yields the pieces of a body.
            call: The request that it answers.

        Raises:
            TotalTimeout: The total time is up.
        """
        now_s = call.watch.now_s
        while True:
            # Asked anew for each piece: what is read after its attempt has only the total time to keep.
            until_s = call.cut_s()
            if until_s is not None and now_s() >= until_s:
                raise cut(call)
            before = start_cut(until_s)
            try:
                piece: Any = next(iterator, _END)
            except Exception as error:
                if is_late(error, call):
                    raise too_late(call) from error
                raise
            finally:
                end_cut(before)
            if piece is _END:
                return
            yield piece

    def __del__(self) -> None:
        if self._is_last and self._call.ends:
            _dropped(self._call)

    def close(self) -> None:
        """Close the body, read to its end or not."""
        try:
            self._stream.close()
        finally:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._is_last and (self._call.ends or self._call.leftovers):
            for later in self._call.finish(error):
                later()


class CutBody:
    """A response's body that keeps the total time and nothing else, for code that blocks.

    Args:
        stream: The library's body.
        call: The request that it answers; nobody wants to hear of its end.
    """

    def __init__(self, stream: Any, call: Call) -> None:
        self._stream = stream
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        return BlockingBody.within(iter(self._stream), self._call)

    def close(self) -> None:
        """Close the body, read to its end or not."""
        self._stream.close()


class AwaitingBody:
    """The same for code that awaits. It is its own iterator: one more generator would have to be closed."""

    def __init__(
        self, stream: Any, call: Call, pieces: list[bytes] | None = None, rest: Any = None, *, is_last: bool = True
    ) -> None:
        self._stream = stream
        self._call = call
        self._pieces = pieces or []
        self._rest = rest
        self._is_last = is_last
        self._is_over = False

    def __aiter__(self) -> Self:
        if self._rest is None:
            self._rest = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        try:
            return await self.next_within(self._rest, self._call)
        except StopAsyncIteration:
            self._is_over = True
            await self._finish(None)
            raise
        except Exception as error:
            await self._finish(error)
            raise

    @staticmethod
    async def next_within(iterator: AsyncIterator[bytes], call: Call) -> bytes:
        """Return the next piece, if it comes while there is time.

        Args:
            iterator: Yields the pieces of a body.
            call: The request that it answers.

        Raises:
            TotalTimeout: The total time is up.
        """
        until_s = call.cut_s()
        now_s = 0.0 if until_s is None else call.watch.now_s()
        if until_s is not None and now_s >= until_s:
            raise cut(call)
        try:
            if until_s is None:
                return await anext(iterator)
            if call.keeps_timeouts and call.sent_s is not None and now_s - call.sent_s < _FRESH_S:
                return await anext(iterator)
            with anyio.CancelScope(deadline=anyio.current_time() + until_s - now_s):
                return await anext(iterator)
        except StopAsyncIteration:
            raise
        except Exception as error:
            if is_late(error, call):
                raise too_late(call) from error
            raise
        raise cut(call)

    def __del__(self) -> None:
        if self._is_last and self._call.ends:
            _dropped(self._call)

    async def aclose(self) -> None:
        """Close the body, read to its end or not."""
        try:
            await self._stream.aclose()
            if self._rest is not None and not self._is_over:
                await unwind(self._rest)
        finally:
            await self._finish(None)

    async def _finish(self, error: Exception | None) -> None:
        if self._is_last and (self._call.ends or self._call.leftovers):
            await run_off_the_loop(self._call.finish(error))


async def unwind(rest: AsyncIterator[bytes]) -> None:
    """Let the generators of a closed body come to their end.

    The libraries nest several and close the outermost only, and trio complains of those that stay suspended. Over a
    closed connection they end at once, with an error; someone's own transport may go on, so there is a bound.

    Args:
        rest: What yielded the body.
    """
    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + _CLOSING_S), suppress(Exception):
        async for _ in rest:
            pass


async def run_off_the_loop(functions: list[Callable[[], None]]) -> None:
    """Call functions that may block in a thread, all of them, whatever is cancelled meanwhile.

    Args:
        functions: What to call, in order; each is taken from the list as it is called.
    """
    if not functions:
        return
    try:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_run_all, functions)
    except BaseException:
        # asyncio's own cancellation knows no shield, and can come before the thread begins.
        run_elsewhere(functions)
        raise


def run_elsewhere(functions: list[Callable[[], None]]) -> None:
    """Call functions that may block in a thread that nobody waits for.

    Args:
        functions: As above.
    """
    if functions:
        # Nothing can be begun any more while the interpreter ends, and then nothing has to.
        with suppress(RuntimeError):
            threading.Thread(target=_run_all, args=(functions,), name="resilient-poll-giving-back", daemon=True).start()


def _run_all(functions: list[Callable[[], None]]) -> None:
    # Two threads may be at it: what is taken from the list is taken once.
    while functions:
        try:
            function = functions.pop(0)
        except IndexError:
            return
        function()


def _dropped(call: Call) -> None:
    """Give back what an answer holds that was dropped without being read or closed.

    In a thread: the collector of garbage calls this from anywhere, also from where the locks are held.
    """
    logger.warning(
        "an answer to %s %s was dropped without being read or closed; what it held is given back now, but its "
        "connection may not be: close what you stream",
        call.original.method,
        call.original.url.host,
    )
    run_elsewhere([lambda: _run_all(call.finish(None))])
