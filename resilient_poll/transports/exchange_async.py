"""Send one request and read one answer, in code that awaits, on asyncio and trio.

The same rules as in :mod:`.exchange`. Here the total time of every request is kept by a
cancel scope, through our own client and through a caller's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.transports.library import connections_of, default_library, library_of, own_clients
from resilient_poll.transports.once_body import Departure, OnceBytes
from resilient_poll.transports.uncut import to_its_end
from resilient_poll.transports.wire import (
    AnswerReader,
    ContentDecoder,
    QueryBuilder,
    build_request,
    failed,
    longest_answer,
    refuse_closed,
)

__all__ = ["AsyncExchange", "AsyncIncoming"]

_CLOSING_S = 0.1
"""How long generators may take to end after their connection was closed: within the deadline's margin."""


class AsyncIncoming:
    """An answer whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case and values.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self._raw = _raw(response)
        self._given_out: AsyncGenerator[bytes, None] | None = None
        self.status: int = response.status_code
        self.headers: dict[str, str] = dict(response.headers.items())

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, decoded.

        Raises:
            ExchangeFailed: It broke off.
        """
        self._given_out = self._chunks()
        return self._given_out

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        decoder = ContentDecoder(self._response)
        try:
            async for chunk in self._raw:
                for piece in decoder.pieces(chunk):
                    yield piece
            decoder.finish()
        except ExchangeFailed:
            raise
        except Exception as error:
            if (failure := failed(error, None)) is None:
                raise
            raise failure from error

    async def close(self) -> None:
        """Close the connection and everything that was handed out."""
        await _close(self._response, self._raw)
        if self._given_out is not None:
            await self._given_out.aclose()


class _Turn:
    """One place among as many requests as a client has connections.

    The rest wait in line here, in order, and not in a pool that queues slowly.
    """

    __slots__ = ("_places",)

    def __init__(self, places: anyio.Semaphore | None) -> None:
        self._places = places

    async def __aenter__(self) -> None:
        if self._places is None:
            return
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            await self._places.acquire()

    async def __aexit__(self, *reason: object) -> None:
        if self._places is not None:
            self._places.release()


class AsyncExchange:
    """Sends requests through one library's awaiting client.

    Args:
        http_client: The caller's client; None for one of our own, which is then closed
            with this exchange.
    """

    def __init__(self, http_client: Any | None = None) -> None:
        self._library = default_library() if http_client is None else library_of(http_client)
        self._builder = QueryBuilder(self._library)
        self._owned: list[Any] = []
        if http_client is None:
            self._queries, self._creates = own_clients(self._library.async_client, self._library)
            self._owned = [self._queries, self._creates]
        else:
            self._queries = self._creates = http_client
        most = connections_of(self._queries) if self._library.queues_slowly else None
        self._places = None if most is None else anyio.Semaphore(most)

    async def query(self, request: HttpRequest, timeout_s: float) -> Answer:
        """Send a request that may be sent again, and read its answer.

        Args:
            request: What to send.
            timeout_s: The total time, the answer's body included.

        Raises:
            ExchangeFailed: No whole answer came in time.
        """
        built = self._builder.build(request, timeout_s)
        return await self._send_within(self._queries, built, None, timeout_s, self._places)

    async def create(
        self,
        request: HttpRequest,
        timeout_s: float,
        when_cancelled: Callable[[Answer | ExchangeFailed], None],
        departure: Departure | None = None,
    ) -> Answer:
        """Send a request that costs money, once, and read its answer.

        A cancellation does not cut it: it runs to its end, what came of it is handed to
        ``when_cancelled``, and then the cancellation takes effect.

        Args:
            request: What to send.
            timeout_s: The total time.
            when_cancelled: Is told what came of a request whose caller is gone.
            departure: See :meth:`.Exchange.create`.

        Raises:
            ExchangeFailed: No whole answer came; it says whether the request surely did not arrive.
        """

        async def send() -> Answer:
            built, body = build_request(request, self._library, timeout_s)
            if departure is not None:
                departure.body = body
            return await self._send_within(self._creates, built, body, timeout_s)

        return await to_its_end(send, when_cancelled)

    @asynccontextmanager
    async def stream(self, request: HttpRequest, timeout_s: float) -> AsyncGenerator[AsyncIncoming, None]:
        """Send a request and hand out its answer with the body unread; see :meth:`.Exchange.stream`."""
        built, _ = build_request(request, self._library, timeout_s)
        try:
            response = await self._queries.send(built, stream=True, auth=None, follow_redirects=False)
        except Exception as error:
            if (failure := failed(error, None)) is None:
                raise
            raise failure from error
        incoming = AsyncIncoming(response)
        try:
            yield incoming
        finally:
            with anyio.CancelScope(shield=True):
                await incoming.close()

    async def _send_within(
        self,
        client: Any,
        built: Any,
        body: OnceBytes | None,
        timeout_s: float,
        places: anyio.Semaphore | None = None,
    ) -> Answer:
        with anyio.move_on_after(timeout_s):
            try:
                async with _Turn(places):
                    response = await client.send(built, stream=True, auth=None, follow_redirects=False)
                    return await self._read(response, longest_answer(body))
            except ExchangeFailed:
                raise
            except Exception as error:
                if (failure := failed(error, body)) is None:
                    refuse_closed(client)
                    raise
                raise failure from error
        unsent = body is not None and body.withdraw()
        raise ExchangeFailed(f"no whole answer within {timeout_s:.1f} s", surely_not_sent=unsent)

    @staticmethod
    async def _read(response: Any, longest_bytes: int) -> Answer:
        chunks = _raw(response)
        is_at_its_end = False
        try:
            reader = AnswerReader(response, longest_bytes)
            async for chunk in chunks:
                reader.add(chunk)
            is_at_its_end = True
        finally:
            # An answer that was read to its end has closed itself; two scopes more would be for nothing.
            if not (is_at_its_end and response.is_closed):
                with anyio.CancelScope(shield=True):
                    await _close(response, chunks)
        return reader.finish()

    async def close(self) -> None:
        """Close our own clients; a caller's client stays the caller's."""
        for client in self._owned:
            await client.aclose()


def _raw(response: Any) -> AsyncIterator[bytes]:
    """Return a response's body as it comes; a body that is in memory already is decoded already."""
    chunks: AsyncIterator[bytes] = response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()
    return chunks


async def _close(response: Any, chunks: AsyncIterator[bytes]) -> None:
    """Close a response, and end its generators, read to their end or not.

    The libraries nest several and close only the outermost; trio complains of those that
    are left suspended. Over a closed connection they end at once, with an error; a
    caller's transport may go on for ever, so there is a bound.
    """
    await response.aclose()
    with anyio.move_on_after(_CLOSING_S), suppress(Exception):
        async for _ in chunks:
            pass
