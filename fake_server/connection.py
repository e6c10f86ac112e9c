"""One connection: uvicorn's HTTP protocol, made fit for clients of every kind.

It differs in five ways: a request carries its connection, so that it can be cut and spoilt; what is neither a body nor
a head of bearable size ends the connection; an offer of another protocol is passed over; a request that came in one
piece is answered at once, without a task of the event loop; and an answer may go out in one piece. These classes of
uvicorn are not public API, so its range is held and tests watch each of the five.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fake_server.app import SEND_WHOLE, is_for_service
from fake_server.wire_shell import WIRE, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from fake_server.app import Api
    from fake_server.wire.messages import Reply
    from fake_server.wire.spoiling import Ending

# Heads and trailers beyond this are an attack or a bug; browsers and proxies stop far below.
LARGEST_HEAD_BYTES = 65_536
# Answers that end with their head, whatever it says of a body (RFC 9112, section 6.3).
BODILESS = frozenset({204, 304})
# SO_LINGER on, zero seconds: closing then sends a reset. abort() alone sends an orderly end.
_LINGER_RESET = struct.pack("ii", 1, 0)


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


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with the differences that this module names."""

    # Bytes since the last piece of a body or the last whole head or request: a head, a trailer, a chunk's extension.
    _framing_bytes = 0
    _in_head = True
    _framing_of_skipped_body = b""
    _replays_head = False
    is_held = False
    # The request whose head has come, and which is answered at once if its body comes with it.
    _unanswered: RequestResponseCycle | None = None
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
        super().data_received(data)
        cycle, self._unanswered = self._unanswered, None
        if cycle is not None and not self.transport.is_closing():
            self._start(cycle, self.app)  # which waits for the rest of the body
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
        scope: Any = cycle.scope
        if cycle.more_body and not cycle.waiting_for_100_continue and is_for_service(scope):
            self._unanswered = cycle
        else:
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let a task of the event loop answer a request, and hand it the connection."""
        ours: Any = {WIRE: CycleWire(self, cycle), SEND_WHOLE: partial(send_whole, cycle)}
        cycle.scope["extensions"] = ours
        super()._start_asgi_task(cycle, app)

    def _answer_at_once(self, cycle: RequestResponseCycle) -> None:
        """Answer a request that is whole. It waits for nothing, and a task of the event loop is a fifth of its cost."""
        service: Api = self.app.service
        scope: Any = cycle.scope
        rest: Any
        try:
            answer, clock = service.answer(scope, bytes(cycle.body))
            if is_plain(answer) and send_whole(cycle, answer):
                return
        except Exception as fault:  # noqa: BLE001 - uvicorn tells of it, and answers as to any other
            rest = partial(_raise, fault)
        else:
            rest = partial(service.finish, answer, clock)
        cycle.body = bytearray()
        self._start(cycle, rest)

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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole, unless the parser only believes so."""
        self._framing_bytes = 0
        self._framing_of_skipped_body = self._framing() if self.parser.offers_upgrade() else b""
        if not self._framing_of_skipped_body:
            super().on_message_complete()
            cycle, self._unanswered = self._unanswered, None
            if cycle is not None and not self.transport.is_closing():
                self._answer_at_once(cycle)

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
    names = [name for name, _ in reply.headers]
    if "connection" in names or "content-length" not in names:
        return False
    if cycle.transport.is_closing():
        complete(cycle, keep=False)  # The client has gone, and the protocol will be told in the loop's next turn.
        return True
    # Who reads such an answer rightly reads no body of it, and would take it for the next answer's beginning.
    keep = cycle.keep_alive and not (reply.body and reply.status in BODILESS)
    lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    ending = b"\r\n" if keep else b"connection: close\r\n\r\n"
    cycle.transport.write(STATUS_LINE[reply.status] + lines.encode("latin-1") + ending + reply.body)
    complete(cycle, keep=keep)
    return True
