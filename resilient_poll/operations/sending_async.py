"""How a caller's awaiting client sends, on asyncio and trio; the same rules as in :mod:`.sending`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio

from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.operations.asks import Ask, Maker
from resilient_poll.transports.once_body import OnceBytes
from resilient_poll.transports.uncut import to_its_end
from resilient_poll.transports.wire import AnswerReader, failed, longest_answer, refuse_closed

__all__ = ["AsyncSender"]

_CLOSING_S = 0.1
"""How long generators may take to end after their connection was closed."""


class AsyncSender:
    """Sends the requests of one operation.

    Args:
        maker: Builds them.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    async def query(self, ask: Ask, timeout_s: float) -> Answer:
        """Send a request that may be sent again.

        Args:
            ask: What to send.
            timeout_s: The total time, the answer's body included.

        Raises:
            ExchangeFailed: No whole answer came in time.
        """
        built, options = self._maker.query(ask, timeout_s)
        return await self._send_within(built, options, None, timeout_s)

    async def create(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        when_cancelled: Callable[[Answer | ExchangeFailed], None],
    ) -> Answer:
        """Send a request that costs money, once. A cancellation does not cut it.

        Args:
            method: The HTTP method.
            url: Where to.
            headers: Beside the client's own.
            body: The body.
            timeout_s: The total time.
            when_cancelled: Is told what came of a request whose caller is gone.

        Raises:
            ExchangeFailed: No whole answer came; it says whether the request surely did not arrive.
        """

        async def send() -> Answer:
            built, once = self._maker.create(method, url, headers, body, timeout_s)
            return await self._send_within(built, {}, once, timeout_s)

        return await to_its_end(send, when_cancelled)

    async def _send_within(
        self, built: Any, options: Mapping[str, Any], body: OnceBytes | None, timeout_s: float
    ) -> Answer:
        client = self._maker.client
        with anyio.move_on_after(timeout_s):
            try:
                response = await client.send(built, stream=True, follow_redirects=False, **options)
                return await _read(response, longest_answer(body))
            except ExchangeFailed:
                raise
            except Exception as error:
                if (failure := failed(error, body)) is None:
                    refuse_closed(client)
                    raise
                raise failure from error
        unsent = body is not None and body.withdraw()
        raise ExchangeFailed(f"no whole answer within {timeout_s:.1f} s", surely_not_sent=unsent)


async def _read(response: Any, longest_bytes: int) -> Answer:
    chunks: AsyncIterator[bytes] = response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()
    is_at_its_end = False
    try:
        reader = AnswerReader(response, longest_bytes)
        async for chunk in chunks:
            reader.add(chunk)
        is_at_its_end = True
    finally:
        # An answer that was read to its end has closed itself.
        if not (is_at_its_end and response.is_closed):
            with anyio.CancelScope(shield=True):
                await response.aclose()
                with anyio.move_on_after(_CLOSING_S), suppress(Exception):
                    async for _ in chunks:
                        pass
    return reader.finish()
