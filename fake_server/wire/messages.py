"""What goes into the engine and what comes out of it: plain values, no sockets.

What is made anew for every request is a tuple, here and in the engine: as unchangeable as a frozen dataclass, and
made in a third of the time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_server.moment import Moment

DropWhen = Literal["before_commit", "after_commit"]
DropHow = Literal["reset", "close"]


Headers = tuple[tuple[str, str], ...]
# A client sends the same headers with every request, so what follows from them is found out once. Each takes at most
# what a head may.
REMEMBERED_HEADERS = 128


class Request(NamedTuple):
    """One HTTP request, already read in full.

    Args:
        method: The verb, in capitals.
        path: The decoded path from the root, with the dialect's base (`/api/v1/tasks/…`).
        query: The query string without its question mark; may be empty.
        headers: Names and values in the order received; names in any case.
        body: The whole body.
        origin: Scheme and host under which the client reached us, such as `http://127.0.0.1:8000`;
            URLs in answers start with it.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    origin: str

    @property
    def key(self) -> str:
        """The API key; empty where it has none."""
        return _key_of(self.headers)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None; `name` is in lower case."""
        for header_name, value in self.headers:
            if header_name.lower() == name:
                return value
        return None


@functools.lru_cache(maxsize=REMEMBERED_HEADERS)
def _key_of(headers: Headers) -> str:
    for name, value in headers:
        if name.lower() == "authorization":
            scheme, _, key = value.partition(" ")
            return key.strip() if scheme.lower() == "bearer" else ""
    return ""


WireFaultKind = Literal[
    "reset",
    "close",
    "stall",
    "drip",
    "short_body",
    "missing_last_chunk",
    "bad_chunk",
    "garbage_status_line",
    "two_lengths",
    "huge_header",
    "bad_gzip",
    "invalid_utf8",
    "extra_bytes",
    "continue_storm",
]


@dataclass(frozen=True, slots=True)
class WireFault:
    """How the bytes of an answer are spoilt on their way; only whoever holds the socket can do it.

    Args:
        kind: What happens. `reset` is a true TCP reset and `close` an orderly end, both after what `after_bytes`
            lets through; `stall` sends that much and then nothing for `for_s`, and goes on; `drip` sends a byte each
            `every_s`; the others are what their names say.
        after_bytes: How many bytes of the answer, head included, go out before a reset, a close or a stall; None for
            the whole head and half of the body.
        every_s: Seconds between two bytes of a drip.
        for_s: How long a stall lasts, in seconds of the world's clock; None: until the client gives up.
        count: How many interim answers a `continue_storm` sends before the real one.
    """

    kind: WireFaultKind
    after_bytes: int | None = None
    every_s: float = 0.02
    for_s: float | None = None
    count: int = 100


class Reply(NamedTuple):
    """One HTTP answer, complete.

    Args:
        status: The HTTP status.
        headers: Names in small letters, and values.
        body: The body, packed if `content-encoding` says so.
        delay_s: How long it is held back, by the world's clock; what was asked for has been done when that begins.
        wire: How it is spoilt on its way.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    delay_s: float = 0.0
    wire: WireFault | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """No answer: the connection is cut.

    Args:
        when: Whether the engine had already done what was asked (`after_commit`) or not. The engine has
            acted on it; whoever holds the socket only cuts the wire.
        how: `reset` is a true TCP reset, `close` an orderly end without an answer.
        delay_s: How long the connection stays open before, by the world's clock.
    """

    when: DropWhen
    how: DropHow
    delay_s: float = 0.0


class Late(NamedTuple):
    """A request that is still on its way: nothing was done, and it is carried out later, whoever waits for it then.

    Args:
        delay_s: How long it takes, by the world's clock.
        carry_out: Does what is asked for, at the instant at which it came; the answer.
    """

    delay_s: float
    carry_out: Callable[[Moment], Reply | Drop]
