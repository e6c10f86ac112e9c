"""The parser of a connection: httptools', which reads on where a request offers another protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable


class PatientParser:
    """httptools' parser, which goes on where a request offers another protocol.

    The parser takes such a request to end with its head, and uvicorn throws away what follows. But who speaks only
    HTTP/1.1 shall ignore the offer and read the request as it is (RFC 9110, 7.8); Java's own client makes it with every
    request, bodies and all.

    Args:
        callbacks: Who is told what was parsed.
        skipped_body: Asked after such a head; returns the header lines that frame its body, or nothing.
    """

    def __init__(self, callbacks: object, skipped_body: Callable[[], bytes]) -> None:
        self._callbacks = callbacks
        self._skipped_body = skipped_body
        self._parser: Any = self._new()

    def _new(self) -> Any:
        parser: Any = httptools.HttpRequestParser(self._callbacks)
        # As uvicorn does: the answer to a request that closes is sent although something follows it.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def feed_data(self, data: bytes) -> None:
        """Parse a piece of the connection."""
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                framing = self._skipped_body()
                if framing:
                    # A fresh parser is brought to where this one should be: behind a head of this framing.
                    self._parser = self._new()
                    self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
            else:
                return

    def should_upgrade(self) -> bool:
        """Never: nothing but HTTP/1.1 is spoken here."""
        return False

    def offers_upgrade(self) -> bool:
        """Whether the request that was just parsed offers another protocol."""
        return bool(self._parser.should_upgrade())

    def should_keep_alive(self) -> bool:
        """Whether the connection may be used again after this request."""
        return bool(self._parser.should_keep_alive())

    def get_http_version(self) -> str:
        """The version of this request, such as `1.1`."""
        return str(self._parser.get_http_version())

    def get_method(self) -> bytes:
        """The verb of this request."""
        return bytes(self._parser.get_method())
