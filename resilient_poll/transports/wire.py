"""What both exchanges share: how a request is built, and how a failure is read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import (
    LONGEST_ANSWER_BYTES,
    LONGEST_PAID_ANSWER_BYTES,
    Answer,
    ExchangeFailed,
    HttpRequest,
)
from resilient_poll.http.sent import describe, is_library_error, surely_not_sent
from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.once_body import OnceBytes
from resilient_poll.transports.rules.marks import REPEAT, SUBMIT_ID, TASK_ID, Repeat

__all__ = [
    "AnswerReader",
    "ContentDecoder",
    "QueryBuilder",
    "build_request",
    "failed",
    "longest_answer",
    "refuse_closed",
    "undone",
]

CONNECT_S = 15.0
"""The longest that a create waits for a connection: nothing was sent by then, so giving up is free."""
_OF_CONNECTING = (OSError, UnicodeError, OverflowError)
"""What the operating system makes of an address: a host name or port that cannot exist is not an OSError."""
_PIECE_BYTES = 256 * 1024
"""What is decoded at a time: it bounds the memory that a small chunk can take."""
_MOST_REMEMBERED_QUERIES = 1024
"""Of tasks polled at the same time through one client; each costs some 3 KB, and those beyond 20 µs a poll."""


def build_request(request: HttpRequest, library: HttpLibrary, timeout_s: float) -> tuple[Any, OnceBytes | None]:
    """Build a library's request from ours, without anything of a client's defaults.

    Args:
        request: What to send.
        library: For which library.
        timeout_s: Per connect, read and write. The total is the exchange's business.

    Returns:
        The library's request, and its body if it has one.

    Raises:
        ExchangeFailed: The library finds no sense in the URL; nothing was sent.
    """
    try:
        return _build(request, library, timeout_s)
    except (library.invalid_url, ValueError) as error:  # ValueError: a host that has no spelling in IDNA
        raise ExchangeFailed(describe(error), surely_not_sent=True) from error


def _build(request: HttpRequest, library: HttpLibrary, timeout_s: float) -> tuple[Any, OnceBytes | None]:
    extensions = _timeouts(timeout_s)
    headers = list(request.headers)
    if request.body is None:
        return library.request(request.method, request.url, headers=headers, extensions=extensions), None
    body = library.once_body(request.body)
    headers.append(("content-length", str(len(request.body))))
    # Our own transports, should the caller's client have any, neither repeat it nor cut it while it is under way.
    extensions[REPEAT] = Repeat.NEVER
    if request.submit_id is not None:
        extensions[SUBMIT_ID] = request.submit_id
    built = library.request(request.method, request.url, headers=headers, stream=body, extensions=extensions)
    # The libraries add this one only to requests whose body they encode themselves.
    built.headers["host"] = built.url.netloc.decode("ascii")
    return built, body


def _timeouts(timeout_s: float) -> dict[str, Any]:
    connect_s = min(timeout_s, CONNECT_S)
    return {"timeout": {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s}}


class QueryBuilder:
    """Builds requests without a body, and remembers what a library made of one: a task's query is always the same.

    Reading the URL and spelling the headers anew for every poll is five sixths of building one. It belongs to one
    exchange and ends with it, because the headers hold the key.

    Args:
        library: For which library.
    """

    def __init__(self, library: HttpLibrary) -> None:
        self._library = library
        self._made_of = lru_cache(_MOST_REMEMBERED_QUERIES)(self._make)

    def build(self, request: HttpRequest, timeout_s: float) -> Any:
        """Build a request like :func:`build_request`.

        Args:
            request: What to send; it has no body.
            timeout_s: Per connect, read and write.

        Raises:
            ExchangeFailed: The library finds no sense in the URL; nothing was sent.
        """
        url, headers = self._made_of(request)
        library, extensions = self._library, _timeouts(timeout_s)
        if request.task_id is not None:
            extensions[TASK_ID] = request.task_id  # Our own transports carry it in what they tell.
        # The libraries copy the headers, so a hook that adds some adds them to one request.
        built = library.request(request.method, url, headers=headers, stream=library.no_body, extensions=extensions)
        built.read()  # As they do for a request without a body, for hooks that look at it.
        return built

    def _make(self, request: HttpRequest) -> tuple[Any, Any]:
        built, _ = build_request(request, self._library, CONNECT_S)
        return built.url, built.headers


def failed(error: Exception, body: OnceBytes | None) -> ExchangeFailed | None:
    """Return what a failed exchange means, or None if the error is not the network's.

    An error that is neither an HTTP library's nor of connecting is a fault of the program,
    and passes as it is, unless a body was read: then there may be a task, and that is the
    news.

    Args:
        error: What was raised.
        body: The request's body, if it has one.
    """
    was_read = None if body is None else not body.withdraw()
    if not was_read and not is_library_error(error) and not isinstance(error, _OF_CONNECTING):
        return None
    return ExchangeFailed(describe(error), surely_not_sent=surely_not_sent(error, body_was_read=was_read))


def refuse_closed(client: Any) -> None:
    """Say so if a request failed because its client is closed; both libraries say it in a bare RuntimeError.

    Raises:
        ConfigurationError: It is.
    """
    if client.is_closed:
        raise ConfigurationError(
            "the client is closed, nothing was sent; a task that was accepted goes on at the service: "
            "make a new client and go on with the task's id or resume token"
        )


class ContentDecoder:
    """Undoes an answer's content encoding, a bounded piece at a time.

    The libraries decode whatever comes, several encodings on top of each other too, and
    each piece from the network in one go: 64 KiB can become many gigabytes.

    Args:
        response: The library's response, its body unread or wholly read by someone else.

    Raises:
        ExchangeFailed: It comes in an encoding that was not asked for.
    """

    def __init__(self, response: Any) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        self._inflate: Any = None
        self._has_begun = False
        if response.is_stream_consumed or encoding in {"", "identity"}:
            return
        if encoding not in {"gzip", "x-gzip"}:
            raise ExchangeFailed(
                f"the answer's content encoding {encoding!r:.40} was not asked for", surely_not_sent=False
            )
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with the header of gzip

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk from the network decodes to.

        Raises:
            ExchangeFailed: It is not what it claims to be.
        """
        if self._inflate is None:
            yield chunk
            return
        self._has_begun = True
        while not self._inflate.eof:
            try:
                piece = self._inflate.decompress(chunk, _PIECE_BYTES)
            except zlib.error as error:
                raise ExchangeFailed(f"the answer's gzip cannot be read ({error})", surely_not_sent=False) from None
            yield piece
            chunk = self._inflate.unconsumed_tail
            if not chunk and len(piece) < _PIECE_BYTES:
                return

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            ExchangeFailed: Something is missing.
        """
        if self._has_begun and not self._inflate.eof:
            raise ExchangeFailed("the answer's gzip broke off", surely_not_sent=False)


def undone(response: Any, raw: bytes, longest_bytes: int) -> bytes:
    """Return what bytes from the network decode to, or nothing where they cannot be read or become too many.

    Args:
        response: The library's response that they are the body of.
        raw: The whole body as it came; decoded already, if the response was read by someone else.
        longest_bytes: More than this is not worth it.
    """
    pieces: list[bytes] = []
    try:
        decoder = ContentDecoder(response)
        for piece in decoder.pieces(raw):
            pieces.append(piece)
            if sum(map(len, pieces)) > longest_bytes:
                return b""
        decoder.finish()
    except ExchangeFailed:
        return b""
    return b"".join(pieces)


def longest_answer(body: OnceBytes | None) -> int:
    """Return how many bytes the answer to a request may have: more where it may hold what was paid for."""
    return LONGEST_ANSWER_BYTES if body is None else LONGEST_PAID_ANSWER_BYTES


class AnswerReader:
    """Collects an answer within a limit of size.

    Args:
        response: The library's response, its body unread.
        longest_bytes: The limit, after decoding.

    Raises:
        ExchangeFailed: It comes in an encoding that was not asked for.
    """

    def __init__(self, response: Any, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._status: int = response.status_code
        self._headers = tuple(response.headers.multi_items())
        self._decoder = ContentDecoder(response)
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Add a chunk from the network.

        Raises:
            ExchangeFailed: The answer is longer than any answer of an API should be.
        """
        for piece in self._decoder.pieces(chunk):
            self._size += len(piece)
            if self._size > self._longest_bytes:
                raise ExchangeFailed(f"the answer is longer than {self._longest_bytes} bytes", surely_not_sent=False)
            self._pieces.append(piece)

    def finish(self) -> Answer:
        """Return the whole answer.

        Raises:
            ExchangeFailed: Something is missing.
        """
        self._decoder.finish()
        return Answer(self._status, self._headers, b"".join(self._pieces))
