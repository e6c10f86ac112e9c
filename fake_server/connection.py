"""One connection: uvicorn's HTTP protocol, made fit for clients of every kind.

It differs in six ways: a request carries its connection, so that it can be cut and spoilt; what is neither a body nor
a head of bearable size ends the connection; an offer of another protocol is passed over; a request that came in one
piece is answered at once, without a task of the event loop and whatever else uvicorn makes for each; an answer may go
out in one piece; and the timer of an idle connection runs on. These classes of uvicorn are not public API, so its range
is held and tests watch each of the six.
"""

from __future__ import annotations

import functools
import socket
import struct
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fake_server.app import SEND_WHOLE, is_for_service
from fake_server.parsing import PatientParser
from fake_server.wire_shell import WIRE, is_plain

if TYPE_CHECKING:
    from typing import NoReturn

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from fake_server.app import Api
    from fake_server.wire.messages import Reply
    from fake_server.wire.spoiling import Ending

# Heads and trailers beyond this are an attack or a bug; browsers and proxies stop far below.
LARGEST_HEAD_BYTES = 65_536
REMEMBERED_URLS = 1_000
LONGEST_REMEMBERED_URL = 200
# Answers that end with their head, whatever it says of a body (RFC 9112, section 6.3).
BODILESS = frozenset({204, 304})
# SO_LINGER on, zero seconds: closing then sends a reset. abort() alone sends an orderly end.
_LINGER_RESET = struct.pack("ii", 1, 0)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with the differences that this module names."""

    # Bytes since the last piece of a body or the last whole head or request: a head, a trailer, a chunk's extension.
    _framing_bytes = 0
    _in_head = True
    _framing_of_skipped_body = b""
    _replays_head = False
    is_held = False
    # What has come of the body of a request that is answered as soon as it is whole. It waits for nothing else, and
    # uvicorn knows nothing of it: what it makes for each is a third of a request's cost, and few need it.
    _body: bytearray | None = None
    _keeps_alive = True
    # What answers the next request that uvicorn makes a state for, if it is not the application from its beginning.
    _rest: Any = None
    _heard_s = 0.0
    # The request that is answered now; uvicorn only knows the last one that came, which may wait behind it.
    _answered: RequestResponseCycle | None = None
    # What is wrong with what came last, as long as requests before it wait for their answers.
    _last_words: str | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser: Any = PatientParser(self, self._take_skipped_body)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and give up on what only frames and grows beyond its limit."""
        if self._last_words is not None:
            return  # Where a request ends that cannot be read, and what follows it begins, nobody knows.
        self._framing_bytes += len(data)
        self._heard_s = self.loop.time()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        body, self._body = self._body, None
        if body is not None and not self.transport.is_closing():
            self._hand_over(self.app)
            self.cycle.body += body
            if body:
                self.cycle.message_event.set()
        if self._framing_bytes > LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large.")

    def send_400_response(self, msg: str) -> None:
        """Say what cannot be read, behind the answers to what could be, and end the connection."""
        self.pipeline = deque(waiting for waiting in self.pipeline if not waiting[0].more_body)
        answered = self._answered
        is_idle = answered is None or answered.response_complete or answered.more_body
        if self.pipeline or not is_idle:
            self._last_words = msg
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """An answer has gone out: the next request has its turn, or what could not be read behind the last one."""
        super().on_response_complete()
        answered = self._answered
        is_last = answered is None or answered.response_complete
        if self._last_words is not None and is_last and not self.transport.is_closing():
            super().send_400_response(self._last_words)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, also for an answer that others wait behind: it is told too, and need not be held."""
        super().connection_lost(exc)
        answered = self._answered
        if answered is not None and not answered.response_complete:
            answered.disconnected = True
            answered.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        # It is given the connection, too.
        ours: Any = {WIRE: CycleWire(self, cycle), SEND_WHOLE: partial(send_whole, cycle)}
        cycle.scope["extensions"] = ours
        super()._start_asgi_task(cycle, self._rest or app)

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for long. The timer looks for itself: stopping it costs every request."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        is_busy = not self._is_ready
        left_s = self.timeout_keep_alive - (0 if is_busy else self.loop.time() - self._heard_s)
        if left_s > 0:
            self._look_when_idle(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _look_when_idle(self, in_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(in_s, self.timeout_keep_alive_handler)

    @property
    def _is_ready(self) -> bool:
        """Whether every request that uvicorn knows of was answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _can_be_answered_at_once(self) -> bool:
        """Whether the request whose head has come waits for nothing but its body."""
        if not self._is_ready or self.expect_100_continue or self.parser.offers_upgrade():
            return False
        scope: Any = self.scope
        scope["path"], scope["query_string"] = read_url(self.url)
        scope["method"] = self.parser.get_method().decode("ascii")
        return is_for_service(scope)

    def _answer_at_once(self, body: bytes) -> None:
        """Answer a request that is whole; what is out of the ordinary is left to a task of the event loop."""
        service: Api = self.app.service
        scope: Any = self.scope
        try:
            answer, clock = service.answer(scope, body)
        except Exception as fault:  # noqa: BLE001 - uvicorn tells of it, and answers as to any other
            self._hand_over(partial(_raise, fault))
            super().on_message_complete()
            return
        piece = one_piece(answer, keep=self._keeps_alive) if is_plain(answer) else None
        if piece is None or self.flow.write_paused:
            self._hand_over(partial(service.finish, answer, clock))
            super().on_message_complete()
            return
        data, keep = piece
        self.transport.write(data)
        self.server_state.total_requests += 1
        if not keep:
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self._look_when_idle(self.timeout_keep_alive)

    def _hand_over(self, app: Any) -> None:
        """Let uvicorn make its state of the request whose head has come, and a task of the event loop to answer it."""
        self._rest = app
        super().on_headers_complete()
        self._rest, self.cycle.keep_alive = None, self._keeps_alive

    def shutdown(self) -> None:
        """The server ends. An answer that is held up or spoilt is not waited for: nobody may ever advance its clock."""
        super().shutdown()
        if self.is_held:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._replays_head:
            return
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        if not self._replays_head:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Trailers come this way too, and are no headers: they stand behind what was checked."""
        if self._in_head:
            HttpToolsProtocol.on_header(self, name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._replays_head:
            self._replays_head = False
            return
        self._in_head, self._framing_bytes = False, 0
        if self._can_be_answered_at_once():
            self._body = bytearray()
            self._keeps_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._framing_bytes = 0
        if self._body is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """The request is whole, unless the parser only believes so."""
        self._framing_bytes = 0
        self._framing_of_skipped_body = self._framing() if self.parser.offers_upgrade() else b""
        if self._framing_of_skipped_body:
            return
        body, self._body = self._body, None
        if body is None:
            super().on_message_complete()
        elif not self.transport.is_closing():
            self._answer_at_once(bytes(body))

    def _framing(self) -> bytes:
        """The header lines that frame this request's body; nothing where it has none."""
        for name, value in self.headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t")):
                return name + b": " + value + b"\r\n"
        return b""

    def _take_skipped_body(self) -> bytes:
        framing, self._framing_of_skipped_body = self._framing_of_skipped_body, b""
        self._replays_head = bool(framing)
        return framing


async def _raise(fault: Exception, *_: object) -> NoReturn:
    """An application that fails."""
    raise fault


class CycleWire:
    """One answer's hold on its connection, for :mod:`fake_server.wire_shell`.

    Args:
        connection: The connection.
        cycle: The request that is answered on it.
    """

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used again after this answer."""
        return self._cycle.keep_alive

    def hold(self) -> None:
        """The answer is held up from now on; what is written is waited for to the last byte."""
        self._connection.is_held = True
        if not self._cycle.transport.is_closing():
            self._cycle.transport.set_write_buffer_limits(high=0)

    def release(self) -> None:
        """It no longer is."""
        self._connection.is_held = False
        if not self._cycle.transport.is_closing():
            self._cycle.transport.set_write_buffer_limits()

    def notice_end(self) -> None:
        """Let what is sent from now on be dropped in silence if the connection is over already.

        A loop may close a transport and tell the protocol a turn later; what writes in between would fail.
        """
        if self._cycle.transport.is_closing():
            self._cycle.disconnected = True

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, and wait until the kernel has them or the client has gone."""
        self.notice_end()
        self._cycle.response_started = True
        self._cycle.waiting_for_100_continue = False
        if not self._cycle.disconnected:
            self._cycle.transport.write(data)
            await self._cycle.flow.drain()

    def end(self, how: Ending) -> None:
        """The answer is over, and perhaps the connection with it."""
        transport = self._cycle.transport
        if how == "reset" and not transport.is_closing():
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            transport.abort()
        complete(self._cycle, keep=how == "keep")


def complete(cycle: RequestResponseCycle, *, keep: bool) -> None:
    """Tell uvicorn that an answer went out, which it has not seen.

    Args:
        cycle: The request that was answered.
        keep: Whether the connection may be used again.
    """
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not keep:
        cycle.transport.close()
    cycle.on_response()


def send_whole(cycle: RequestResponseCycle, reply: Reply) -> bool:
    """Send an answer in one piece and return True, or leave one that is out of the ordinary to uvicorn.

    uvicorn sends head and body apart: two system calls here, which are a fifth of a request's cost, and two pieces
    for the client to put together.

    Args:
        cycle: The request that is answered, and how far its answer is.
        reply: The whole answer.
    """
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
        return False
    piece = one_piece(reply, keep=cycle.keep_alive)
    if piece is None:
        return False
    if cycle.transport.is_closing():
        complete(cycle, keep=False)  # The client has gone, and the protocol will be told in the loop's next turn.
        return True
    data, keep = piece
    cycle.transport.write(data)
    complete(cycle, keep=keep)
    return True


def one_piece(reply: Reply, *, keep: bool) -> tuple[bytes, bool] | None:
    """An answer as bytes, and whether the connection may be used after it; None where it is out of the ordinary.

    Args:
        reply: The whole answer.
        keep: Whether the connection may be used after an ordinary one.
    """
    names = [name for name, _ in reply.headers]
    if "connection" in names or "content-length" not in names:
        return None
    # Who reads such an answer rightly reads no body of it, and would take it for the next answer's beginning.
    keep = keep and not (reply.body and reply.status in BODILESS)
    lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    ending = b"\r\n" if keep else b"connection: close\r\n\r\n"
    return STATUS_LINE[reply.status] + lines.encode("latin-1") + ending + reply.body, keep


def read_url(url: bytes) -> tuple[str, bytes]:
    """The decoded path and the query of a request's target.

    Raises:
        httptools.HttpParserInvalidURLError: It is none.
        UnicodeDecodeError: It holds more than ASCII.
    """
    return _remembered_url(url) if len(url) <= LONGEST_REMEMBERED_URL else _read_url(url)


def _read_url(url: bytes) -> tuple[str, bytes]:
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.query or b""


_remembered_url = functools.lru_cache(maxsize=REMEMBERED_URLS)(_read_url)  # a task is asked for again and again
