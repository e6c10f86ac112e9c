"""A request body that can be read once.

Whatever lies beneath, however eager to repeat, cannot deliver a second complete request;
and whether the body was read tells afterwards whether the request can have arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

__all__ = ["BodyReadTwice", "OnceBytes"]


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
        self.was_read = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()

    def _take(self) -> bytes:
        if self.was_read:
            raise BodyReadTwice("this request is sent once; something beneath tried to send it again")
        self.was_read = True
        return self._body
