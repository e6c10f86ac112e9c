"""A request body that can be read once.

Whatever lies beneath, however eager to repeat, cannot deliver a second complete request;
and whether the body was read tells afterwards whether the request can have arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

__all__ = ["BodyReadTwice", "OnceBytes", "OnceRequest"]


class BodyReadTwice(Exception):
    """Something beneath tried to send a request again that must be sent once."""


class OnceBytes:
    """The bytes of a body, for one reading.

    Args:
        body: The bytes.

    Attributes:
        was_read: Whether anyone began to read it.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._readings_left = 1
        self.was_read = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()

    def _take(self) -> bytes:
        if not self._readings_left:
            raise BodyReadTwice("this request is sent once; something beneath tried to send it again")
        self._readings_left = 0
        self.was_read = True
        return self._body

    def hand_back(self) -> None:
        """Allow the one reading again, after the request was read into memory instead of sent."""
        self._readings_left = 1


class OnceRequest:
    """Goes before a library's request class, and keeps a body that was read into memory from being sent twice.

    The libraries put plain bytes in the place of a stream that ``read()`` has used up, and
    those can be sent again and again. A hook or a transport may call it, to log a request
    or to repeat it; the first does no harm, the second gets no further than without it.
    What nothing here can stop is a transport that makes new requests of its own from the
    bytes it read.
    """

    stream: Any

    def read(self) -> bytes:
        """Return the body."""
        body = self.stream
        content: bytes = super().read()  # type: ignore[misc]  # the library's, which comes behind this class
        self._keep(body)
        return content

    async def aread(self) -> bytes:
        """Return the body, in code that awaits."""
        body = self.stream
        content: bytes = await super().aread()  # type: ignore[misc]  # as above
        self._keep(body)
        return content

    def _keep(self, body: Any) -> None:
        if self.stream is not body and isinstance(body, OnceBytes):
            body.hand_back()
            self.stream = body
