"""A client's end of a connection, made for answers that are spoilt on purpose."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LARGEST_HEAD_BYTES = 1 << 20
LARGEST_BODY_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back for one request.

    Attributes:
        status: The HTTP status; 0 where no head was readable.
        body: The body, as far as it came.
        headers: The headers, names in small letters.
        is_whole: Whether the answer was read to its end, and the connection can be used again.
        is_silent: Whether not a byte came.
    """

    status: int = 0
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    is_whole: bool = False
    is_silent: bool = False

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for found, value in self.headers if found == name), None)

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


NOTHING = Heard(is_silent=True)


class Line:
    """One connection to the fake; opened at the first request, and again after each that ended it."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether a further request would go out on a connection that was used before."""
        return self._writer is not None

    async def open(self) -> asyncio.StreamWriter:
        """Connect, unless that was done."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=LARGEST_HEAD_BYTES)
        return self._writer

    def cut(self) -> None:
        """Leave at once."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def ask(self, raw: bytes, *, has_body: bool = True) -> Heard:
        """Send a request and read its answer, whatever that is."""
        try:
            writer = await self.open()
            writer.write(raw)
            await writer.drain()
        except OSError:
            pass  # It may have been answered all the same, before it was whole.
        return await self.hear(has_body=has_body)

    async def hear(self, *, has_body: bool = True) -> Heard:
        """Read one more answer; the connection is over unless it was a whole and usual one."""
        heard = NOTHING
        try:
            heard = await self._hear(has_body=has_body)
        except asyncio.CancelledError:
            self.cut()
            raise
        except asyncio.IncompleteReadError as error:
            heard = Heard(is_silent=not error.partial)
        except OSError:
            heard = NOTHING  # A reset may have overtaken bytes, so it says nothing of what was read before it.
        except (ValueError, asyncio.LimitOverrunError):
            heard = Heard()
        if not heard.is_whole:
            self.cut()
        return heard

    async def _hear(self, *, has_body: bool) -> Heard:
        reader = self._reader
        if reader is None:
            return NOTHING
        status = 100
        while 100 <= status < 200:  # interim answers
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/1."):
                return Heard()
            status = int(rest[:3])
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        lengths = {value for name, value in headers if name == "content-length"}
        length = int(next(iter(lengths))) if len(lengths) == 1 else -1
        if not 0 <= length <= LARGEST_BODY_BYTES:
            return Heard(status, await self._rest(reader), headers)
        body = await reader.readexactly(length) if has_body and status not in (204, 304) else b""
        ends = ("connection", "close") in headers
        return Heard(status, body, headers, is_whole=not ends)

    async def _rest(self, reader: asyncio.StreamReader) -> bytes:
        """Everything until the connection ends, as of a stream or of what is framed in no usual way."""
        try:
            return await reader.read(LARGEST_BODY_BYTES)
        except OSError:
            return b""


def request(method: str, path: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None) -> bytes:
    """A request as bytes, framed as it should be."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b"")
