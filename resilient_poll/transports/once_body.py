"""A request body that can be read once.

Whatever lies beneath, however eager to repeat, cannot deliver a second complete request;
and whether the body was read tells afterwards whether the request can have arrived.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

__all__ = ["BodyReadTwice", "Departure", "OnceBytes", "OnceRequest"]


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
        self._readings = [body]
        self._is_withdrawn = False
        self.was_read = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()

    def _take(self) -> bytes:
        try:
            body = self._readings.pop()  # In one step: of a reader and a withdrawal at once, one gets it.
        except IndexError:
            raise BodyReadTwice("this request is sent once; something beneath tried to send it again") from None
        self.was_read = True
        return body

    def hand_back(self) -> None:
        """Allow the one reading again, after the request was read into memory instead of sent."""
        if not self._is_withdrawn:
            self._readings = [self._body]

    def withdraw(self) -> bool:
        """See to it that nobody reads it from now on, and return whether nobody did so far: then it never left."""
        if self._is_withdrawn:
            return not self.was_read
        try:
            self._readings.pop()
        except IndexError:
            return False
        self._is_withdrawn = True
        return not self.was_read


class Departure:
    """Tells the caller of one create, who does not wait for it any more, whether it can have left.

    Attributes:
        body: The request's body, once the request was built; nothing is sent before.
    """

    __slots__ = ("body",)

    def __init__(self) -> None:
        self.body: OnceBytes | None = None

    def prevent(self) -> bool:
        """See to it that it does not leave from now on, and return whether it surely did not before."""
        return self.body is None or self.body.withdraw()


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
