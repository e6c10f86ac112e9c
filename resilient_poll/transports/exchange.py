"""Send one request and read one answer, in code that blocks.

Nothing of a caller's client is trusted but its connections: requests carry none of its
headers, cookies, parameters or auth, redirects are not followed, and a create's body can
be read once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.transports.abandon import LeftBehind, call_within
from resilient_poll.transports.cut import cut_at, install_cut
from resilient_poll.transports.library import default_library, library_of, own_clients
from resilient_poll.transports.once_body import Departure, OnceBytes
from resilient_poll.transports.wire import (
    AnswerReader,
    ContentDecoder,
    QueryBuilder,
    build_request,
    failed,
    longest_answer,
    refuse_closed,
)

__all__ = ["Exchange", "Incoming"]


class Incoming:
    """An answer whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case and values.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: dict[str, str] = dict(response.headers.items())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, decoded.

        Raises:
            ExchangeFailed: It broke off.
        """
        decoder = ContentDecoder(self._response)
        try:
            for chunk in _raw(self._response):
                yield from decoder.pieces(chunk)
            decoder.finish()
        except ExchangeFailed:
            raise
        except Exception as error:
            if (failure := failed(error, None)) is None:
                raise
            raise failure from error


class Exchange:
    """Sends requests through one library's blocking client.

    Our own client keeps a query's total time by cutting each network operation. Through a
    caller's client a query runs in a thread that is left behind when its time is up.

    Args:
        http_client: The caller's client; None for one of our own, which is then closed
            with this exchange.
    """

    def __init__(self, http_client: Any | None = None) -> None:
        self._library = default_library() if http_client is None else library_of(http_client)
        self._builder = QueryBuilder(self._library)
        self._owned: list[Any] = []
        self._can_cut = False
        if http_client is None:
            self._queries, self._creates = own_clients(self._library.client, self._library)
            self._owned = [self._queries, self._creates]
            self._can_cut = all(install_cut(client, self._library, time.monotonic) for client in self._owned)
        else:
            self._queries = self._creates = http_client

    def query(self, request: HttpRequest, timeout_s: float) -> Answer:
        """Send a request that may be sent again, and read its answer.

        Args:
            request: What to send.
            timeout_s: The total time, the answer's body included.

        Raises:
            ExchangeFailed: No whole answer came in time.
        """
        if self._can_cut:
            with cut_at(time.monotonic() + timeout_s):
                return self._send(self._queries, self._builder.build(request, timeout_s), None, None)
        try:
            return call_within(
                lambda left: self._send(self._queries, self._builder.build(request, timeout_s), None, left), timeout_s
            )
        except LeftBehind:
            raise ExchangeFailed(f"no whole answer within {timeout_s:.1f} s", surely_not_sent=False) from None

    def create(self, request: HttpRequest, timeout_s: float, departure: Departure | None = None) -> Answer:
        """Send a request that costs money, once, and read its answer.

        Args:
            request: What to send.
            timeout_s: Per read; through our own client also in total. It is never left behind.
            departure: Is told of the body before it can leave, so that whoever breaks it off can ask.

        Raises:
            ExchangeFailed: No whole answer came; it says whether the request surely did not arrive.
        """
        with cut_at(time.monotonic() + timeout_s if self._can_cut else None):
            built, body = build_request(request, self._library, timeout_s)
            if departure is not None:
                departure.body = body
            return self._send(self._creates, built, body, None)

    @contextmanager
    def stream(self, request: HttpRequest, timeout_s: float) -> Generator[Incoming, None, None]:
        """Send a request and hand out its answer with the body unread.

        Args:
            request: What to send.
            timeout_s: Per connect, read and write.

        Raises:
            ExchangeFailed: No answer came.
        """
        built, _ = build_request(request, self._library, timeout_s)
        try:
            response = self._queries.send(built, stream=True, auth=None, follow_redirects=False)
        except Exception as error:
            if (failure := failed(error, None)) is None:
                raise
            raise failure from error
        try:
            yield Incoming(response)
        finally:
            response.close()

    def _send(self, client: Any, built: Any, body: OnceBytes | None, left_behind: threading.Event | None) -> Answer:
        try:
            response = client.send(built, stream=True, auth=None, follow_redirects=False)
            return self._read(response, left_behind, longest_answer(body))
        except ExchangeFailed:
            raise
        except Exception as error:
            if (failure := failed(error, body)) is None:
                refuse_closed(client)
                raise
            raise failure from error

    @staticmethod
    def _read(response: Any, left_behind: threading.Event | None, longest_bytes: int) -> Answer:
        try:
            reader = AnswerReader(response, longest_bytes)
            for chunk in _raw(response):
                reader.add(chunk)
                if left_behind is not None and left_behind.is_set():
                    raise ExchangeFailed("nobody waits for this answer any more", surely_not_sent=False)
        finally:
            response.close()
        return reader.finish()

    def close(self) -> None:
        """Close our own clients; a caller's client stays the caller's."""
        for client in self._owned:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _raw(response: Any) -> Iterator[bytes]:
    """Return a response's body as it comes; a body that is in memory already is decoded already."""
    chunks: Iterator[bytes] = response.iter_bytes() if response.is_stream_consumed else response.iter_raw()
    return chunks
