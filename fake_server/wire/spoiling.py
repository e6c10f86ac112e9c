"""What goes over the wire for an answer that is cut, held up or spoilt: a plan, made of plain values.

The plan is made step by step while it is carried out, so that a long drip or a storm costs no memory. Whoever holds
the socket carries it out; this module knows none.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple

from fake_server.wire.messages import Drop, Reply, WireFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_server.wire.messages import WireFaultKind

Ending = Literal["keep", "close", "reset"]
Headers = tuple[tuple[str, str], ...]

# Beyond what any client takes: Node stops at 16 kB, curl at 100 kB a line, h11 (httpx) at 100 kB a head.
HUGE_HEADER_BYTES = 200_000
# RFC 9112, section 4: a status line begins with "HTTP/" and a version. This one does not.
GARBAGE_STATUS_LINE = b"%#!~ this is no status line\r\n"
# RFC 9110, section 15.2.1.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Interim answers that go out as one piece: some tens of kilobytes.
CONTINUES_AT_ONCE = 1_000
EXTRA_BYTES = b"these bytes belong to no answer\r\n"
# A right gzip head (RFC 1952), and then a block of the kind that RFC 1951 reserves: every reader stops there.
BAD_GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\xff" * 32
_FRAMING = frozenset({"content-length", "transfer-encoding"})


class Send(NamedTuple):
    """These bytes go out next, as one piece."""

    data: bytes


class Pause(NamedTuple):
    """Nothing happens for so many seconds of the world's clock; None: until the client leaves."""

    seconds: float | None


class End(NamedTuple):
    """The answer is over: the connection is kept for the next request, closed in order, or reset."""

    how: Ending


Step = Send | Pause | End


def plan(answer: Reply | Drop, *, keeps_alive: bool = True) -> Iterator[Step]:
    """The steps that carry an answer out; the last one, and only that, is an :class:`End`.

    A connection whose framing is broken is closed. The answer's own delay is no part of the plan: it is over when
    the plan begins.

    Args:
        answer: What the engine said.
        keeps_alive: Whether the client may use the connection again; where not, a whole answer ends it too.
    """
    if isinstance(answer, Drop):
        yield End(answer.how)
        return
    fault = answer.wire
    ending: Ending = "keep" if keeps_alive else "close"
    if fault is None:
        yield Send(_whole(answer, keeps_alive=keeps_alive))
        yield End(ending)
        return
    steps = _PLANS.get(fault.kind)
    if steps is not None:
        yield from steps(answer, fault, keeps_alive, ending)
        return
    spoilt, spoilt_ending = _SPOILT[fault.kind](answer, keeps_alive, ending)
    yield Send(spoilt)
    yield End(spoilt_ending)


def _head(reply: Reply, headers: Headers, keeps_alive: bool) -> bytes:
    """Status line, header lines and the empty line."""
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    if not keeps_alive and not any(name == "connection" for name, _ in headers):
        lines.append("connection: close")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace")


def _unframed(reply: Reply) -> Headers:
    """The headers without those that say how long the body is."""
    return tuple((name, value) for name, value in reply.headers if name not in _FRAMING)


def _without(headers: Headers, dropped: str) -> Headers:
    return tuple((name, value) for name, value in headers if name != dropped)


def _sized(reply: Reply, body: bytes, keeps_alive: bool, *, headers: Headers | None = None) -> bytes:
    """The answer with another body, whose length is told."""
    used = _unframed(reply) if headers is None else headers
    return _head(reply, (*used, ("content-length", str(len(body)))), keeps_alive) + body


def _whole(reply: Reply, *, keeps_alive: bool) -> bytes:
    """The answer as it should go out."""
    headers = reply.headers
    if not any(name in _FRAMING for name, _ in headers):
        headers = (*headers, ("content-length", str(len(reply.body))))
    return _head(reply, headers, keeps_alive) + reply.body


def _chunked(reply: Reply, keeps_alive: bool) -> bytes:
    """The head of an answer in chunks."""
    return _head(reply, (*_unframed(reply), ("transfer-encoding", "chunked")), keeps_alive)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


# What cuts or holds up.


def _part(reply: Reply, fault: WireFault, keeps_alive: bool) -> tuple[bytes, bytes]:
    """The answer, parted where the fault strikes."""
    data = _whole(reply, keeps_alive=keeps_alive)
    after_bytes = fault.after_bytes
    if after_bytes is None:
        after_bytes = len(data) - len(reply.body) + len(reply.body) // 2
    return data[:after_bytes], data[after_bytes:]


def _cut(reply: Reply, fault: WireFault, keeps_alive: bool, _: Ending) -> Iterator[Step]:
    sent, _rest = _part(reply, fault, keeps_alive)
    if sent:
        yield Send(sent)
    yield End("reset" if fault.kind == "reset" else "close")


def _stall(reply: Reply, fault: WireFault, keeps_alive: bool, ending: Ending) -> Iterator[Step]:
    sent, rest = _part(reply, fault, keeps_alive)
    if sent:
        yield Send(sent)
    yield Pause(fault.for_s)
    if fault.for_s is None:
        yield End("close")
        return
    if rest:
        yield Send(rest)
    yield End(ending)


def _drip(reply: Reply, fault: WireFault, keeps_alive: bool, ending: Ending) -> Iterator[Step]:
    data = _whole(reply, keeps_alive=keeps_alive)
    for position in range(len(data)):
        if position:
            yield Pause(fault.every_s)
        yield Send(data[position : position + 1])
    yield End(ending)


def _continue_storm(reply: Reply, fault: WireFault, keeps_alive: bool, ending: Ending) -> Iterator[Step]:
    pieces, rest = divmod(fault.count, CONTINUES_AT_ONCE)
    for count in itertools.chain(itertools.repeat(CONTINUES_AT_ONCE, pieces), [rest] if rest else []):
        yield Send(CONTINUE * count)
    yield Send(_whole(reply, keeps_alive=keeps_alive))
    yield End(ending)


# What spoils the bytes.


def _short_body(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    # An empty body cannot be short of itself: it is promised a byte.
    head = _head(reply, (*_unframed(reply), ("content-length", str(len(reply.body) or 1))), keeps_alive)
    return head + reply.body[: len(reply.body) // 2], "close"


def _missing_last_chunk(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    return _chunked(reply, keeps_alive) + _chunk(reply.body), "close"


def _bad_chunk(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    half = len(reply.body) // 2
    return _chunked(reply, keeps_alive) + _chunk(reply.body[:half]) + b"no size\r\n" + reply.body[half:], "close"


def _garbage_status_line(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    return GARBAGE_STATUS_LINE + _whole(reply, keeps_alive=keeps_alive).partition(b"\r\n")[2], "close"


def _two_lengths(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    lengths = [("content-length", str(len(reply.body) + more)) for more in (0, 1)]
    return _head(reply, (*_unframed(reply), *lengths), keeps_alive) + reply.body, "close"


def _huge_header(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    headers = (*_unframed(reply), ("x-huge", "x" * HUGE_HEADER_BYTES))
    return _sized(reply, reply.body, keeps_alive, headers=headers), "close"


def _bad_gzip(reply: Reply, keeps_alive: bool, ending: Ending) -> tuple[bytes, Ending]:
    headers = (*_without(_unframed(reply), "content-encoding"), ("content-encoding", "gzip"))
    return _sized(reply, BAD_GZIP, keeps_alive, headers=headers), ending


def _invalid_utf8(reply: Reply, keeps_alive: bool, ending: Ending) -> tuple[bytes, Ending]:
    body = _unpacked(reply)
    half = len(body) // 2
    spoilt = body[:half] + b"\xff" + body[half:]  # 0xff stands in no UTF-8 (RFC 3629).
    return _sized(reply, spoilt, keeps_alive, headers=_without(_unframed(reply), "content-encoding")), ending


def _extra_bytes(reply: Reply, keeps_alive: bool, _: Ending) -> tuple[bytes, Ending]:
    return _whole(reply, keeps_alive=keeps_alive) + EXTRA_BYTES, "close"


def _unpacked(reply: Reply) -> bytes:
    """The body as text would be read from it."""
    if ("content-encoding", "gzip") not in reply.headers:
        return reply.body
    try:
        return gzip.decompress(reply.body)
    except (OSError, EOFError, zlib.error):
        return reply.body  # A scenario may call a body gzip that is none.


_PLANS: dict[WireFaultKind, Callable[[Reply, WireFault, bool, Ending], Iterator[Step]]] = {
    "reset": _cut,
    "close": _cut,
    "stall": _stall,
    "drip": _drip,
    "continue_storm": _continue_storm,
}
_SPOILT: dict[WireFaultKind, Callable[[Reply, bool, Ending], tuple[bytes, Ending]]] = {
    "short_body": _short_body,
    "missing_last_chunk": _missing_last_chunk,
    "bad_chunk": _bad_chunk,
    "garbage_status_line": _garbage_status_line,
    "two_lengths": _two_lengths,
    "huge_header": _huge_header,
    "bad_gzip": _bad_gzip,
    "invalid_utf8": _invalid_utf8,
    "extra_bytes": _extra_bytes,
}
