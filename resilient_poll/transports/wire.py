"""What both exchanges share: how a request is built, and how a failure is read."""

from __future__ import annotations

from typing import Any

from resilient_poll.http.messages import LONGEST_ANSWER_BYTES, Answer, ExchangeFailed, HttpRequest
from resilient_poll.http.sent import describe, is_library_error, surely_not_sent
from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.once_body import OnceBytes

__all__ = ["AnswerReader", "build_request", "failed"]

CONNECT_S = 15.0
"""The longest that a create waits for a connection: nothing was sent by then, so giving up is free."""


def build_request(request: HttpRequest, library: HttpLibrary, timeout_s: float) -> tuple[Any, OnceBytes | None]:
    """Build a library's request from ours, without anything of a client's defaults.

    Args:
        request: What to send.
        library: For which library.
        timeout_s: Per connect, read and write. The total is the exchange's business.

    Returns:
        The library's request, and its body if it has one.
    """
    connect_s = min(timeout_s, CONNECT_S)
    extensions = {"timeout": {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s}}
    headers = list(request.headers)
    if request.body is None:
        return library.request(request.method, request.url, headers=headers, extensions=extensions), None
    body = library.once_body(request.body)
    headers.append(("content-length", str(len(request.body))))
    built = library.request(request.method, request.url, headers=headers, stream=body, extensions=extensions)
    # The libraries add this one only to requests whose body they encode themselves.
    built.headers["host"] = built.url.netloc.decode("ascii")
    return built, body


def failed(error: Exception, body: OnceBytes | None) -> ExchangeFailed | None:
    """Return what a failed exchange means, or None if the error is not the network's.

    An error that is no HTTP library's is a fault of the program, and passes as it is,
    unless a body was read: then there may be a task, and that is the news.

    Args:
        error: What was raised.
        body: The request's body, if it has one.
    """
    was_read = body.was_read if body is not None else None
    if not was_read and not is_library_error(error):
        return None
    return ExchangeFailed(describe(error), surely_not_sent=surely_not_sent(error, body_was_read=was_read))


class AnswerReader:
    """Collects an answer within a limit of size.

    Args:
        response: The library's response, its body unread.
    """

    def __init__(self, response: Any) -> None:
        self._status: int = response.status_code
        self._headers = tuple(response.headers.multi_items())
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Add a piece of the body.

        Raises:
            ExchangeFailed: The answer is longer than any answer of an API should be.
        """
        self._size += len(chunk)
        if self._size > LONGEST_ANSWER_BYTES:
            raise ExchangeFailed(f"the answer is longer than {LONGEST_ANSWER_BYTES} bytes", surely_not_sent=False)
        self._chunks.append(chunk)

    def finish(self) -> Answer:
        """Return the whole answer."""
        return Answer(self._status, self._headers, b"".join(self._chunks))
