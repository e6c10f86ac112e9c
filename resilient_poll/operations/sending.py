"""How a caller's blocking client sends: a query within a total time, a create once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.operations.asks import Ask, Maker
from resilient_poll.transports.abandon import LeftBehind, call_within
from resilient_poll.transports.once_body import OnceBytes
from resilient_poll.transports.wire import AnswerReader, failed, longest_answer, refuse_closed

__all__ = ["Sender"]


class Sender:
    """Sends the requests of one operation.

    Args:
        maker: Builds them.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def query(self, ask: Ask, timeout_s: float) -> Answer:
        """Send a request that may be sent again like :meth:`send_query`, in a thread left behind when its time is up.

        Args:
            ask: What to send.
            timeout_s: The total time, the answer's body included.

        Raises:
            ExchangeFailed: No whole answer came in time.
        """

        try:
            return call_within(lambda left_behind: self.send_query(ask, timeout_s, left_behind), timeout_s)
        except LeftBehind:
            raise ExchangeFailed(f"no whole answer within {timeout_s:.1f} s", surely_not_sent=False) from None

    def send_query(self, ask: Ask, timeout_s: float, left_behind: threading.Event) -> Answer:
        """Send a request that may be sent again.

        Args:
            ask: What to send.
            timeout_s: Per connect, read and write.
            left_behind: Set once nobody waits for its answer.

        Raises:
            ExchangeFailed: No whole answer came.
        """
        return self._send(*self._maker.query(ask, timeout_s), None, left_behind)

    def create(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """Send a request that costs money, once. It is never left behind.

        Args:
            method: The HTTP method.
            url: Where to.
            headers: Beside the client's own.
            body: The body.
            timeout_s: Per connect, read and write.

        Raises:
            ExchangeFailed: No whole answer came; it says whether the request surely did not arrive.
        """
        built, once = self._maker.create(method, url, headers, body, timeout_s)
        return self._send(built, {}, once, None)

    def _send(
        self, built: Any, options: Mapping[str, Any], body: OnceBytes | None, left_behind: threading.Event | None
    ) -> Answer:
        client = self._maker.client
        try:
            response = client.send(built, stream=True, follow_redirects=False, **options)
            return _read(response, left_behind, longest_answer(body))
        except ExchangeFailed:
            raise
        except Exception as error:
            if (failure := failed(error, body)) is None:
                refuse_closed(client)
                raise
            raise failure from error


def _read(response: Any, left_behind: threading.Event | None, longest_bytes: int) -> Answer:
    try:
        reader = AnswerReader(response, longest_bytes)
        for chunk in response.iter_bytes() if response.is_stream_consumed else response.iter_raw():
            reader.add(chunk)
            if left_behind is not None and left_behind.is_set():
                raise ExchangeFailed("nobody waits for this answer any more", surely_not_sent=False)
    finally:
        response.close()
    return reader.finish()
