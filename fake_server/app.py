"""The engine on the web: the admin pages go through Starlette, everything else to a world's engine directly."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from fake_server.addressing import read_target
from fake_server.admin import ROOT, admin_routes
from fake_server.names import Refusal
from fake_server.wire.messages import REMEMBERED_HEADERS, Request
from fake_server.wire_shell import WIRE, carry_out, is_plain

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from fake_server.clock import Clock
    from fake_server.wire.messages import Drop, Headers, Late, Reply
    from fake_server.wire_shell import Wire
    from fake_server.worlds import Worlds

# The server puts into the scope under this name a function that sends a whole answer at once, if it can.
SEND_WHOLE = "fake_server.send_whole"
# A create carries a prompt and at most a few images in base64.
LARGEST_BODY_BYTES = 10_000_000
# All bodies that are still on their way: twenty of the largest at once, and thousands of usual ones.
MOST_BYTES_ON_THEIR_WAY = 200_000_000
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class _ClientLeftError(Exception):
    """The connection ended before the request did."""


class Api:
    """The service itself, as an ASGI application.

    Args:
        worlds: Where keys find their engines.
        public_url: What URLs in answers start with; by default the scheme and host of the request.
    """

    def __init__(self, worlds: Worlds, public_url: str | None = None) -> None:
        self._worlds = worlds
        self._public_url = public_url.rstrip("/") if public_url else None
        self._bytes_on_their_way = 0
        self._lobby = worlds.lobby

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self._read_body(receive)
        except _ClientLeftError:
            return  # What never came whole was never asked: no line, no task, no scripted answer used up.
        refusal = body if isinstance(body, Refusal) else None
        answer, clock = self.answer(scope, b"" if isinstance(body, Refusal) else body, refusal)
        await self.finish(answer, clock, scope, receive, send, refusal=refusal)

    async def finish(
        self,
        answer: Reply | Drop | Late,
        clock: Clock,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        refusal: Refusal | None = None,
    ) -> None:
        """Bring an answer to the client, however long it is held back and whatever happens to it on the way.

        Args:
            answer: The answer.
            clock: The clock by which it is held back.
            scope: The request's.
            receive: The request's.
            send: The request's.
            refusal: Why the body was not taken, if it was not.
        """
        reply = answer if is_plain(answer) else await carry_out(answer, clock, scope, receive)
        if reply is None:
            return
        send_whole: Any = scope.get("extensions", {}).get(SEND_WHOLE)
        if send_whole is not None and not refusal and send_whole(reply):
            return
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        if refusal:
            headers.append((b"connection", b"close"))  # The rest of the body is still on its way.
        send = careful(scope, send)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _read_body(self, receive: Receive) -> bytes | Refusal:
        """The whole body, or why it is not taken."""
        body = bytearray()
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _ClientLeftError
                chunk: bytes = message.get("body", b"")
                body += chunk
                self._bytes_on_their_way += len(chunk)
                if len(body) > LARGEST_BODY_BYTES:
                    return Refusal(413, f"The request body is larger than {LARGEST_BODY_BYTES} bytes.")
                if not message.get("more_body", False):
                    return bytes(body)
                if self._bytes_on_their_way > MOST_BYTES_ON_THEIR_WAY:
                    return Refusal(503, f"More than {MOST_BYTES_ON_THEIR_WAY} bytes of requests are on their way.")
        finally:
            self._bytes_on_their_way -= len(body)

    def answer(self, scope: Scope, body: bytes, refusal: Refusal | None = None) -> tuple[Reply | Drop | Late, Clock]:
        """What the request's world says, and the clock by which it is held back.

        Args:
            scope: The request's head.
            body: The whole body.
            refusal: Why the body was not taken, if it was not.
        """
        request = _to_request(scope, body, self._public_url)
        target = read_target(request)
        world = refusal or self._worlds.for_target(target)
        if isinstance(world, Refusal):
            return self._refuse(target.request, world), self._lobby.clock
        return world.engine.receive(target.request, world.now()), world.clock

    def _refuse(self, request: Request, refusal: Refusal) -> Reply:
        return self._lobby.engine.refuse(request, self._lobby.now(), refusal.status, refusal.message)


class Application(Starlette):
    """The whole application.

    Starlette serves the admin pages. A request for the service itself goes past its middleware and
    router, which would be a tenth of its cost, and which it does not need.

    Args:
        worlds: The worlds it serves.
        public_url: What URLs in answers start with, instead of the request's own scheme and host.
        own_hosts: Host names beside the loopback's under which the admin pages may be asked for.
        admin_token: What a request for an admin page must carry; None lets this machine in, and no other.

    Attributes:
        service: What answers requests for the service itself.
    """

    def __init__(
        self, worlds: Worlds, public_url: str | None, own_hosts: frozenset[str], admin_token: str | None
    ) -> None:
        super().__init__(routes=admin_routes(worlds, own_hosts, admin_token))
        self.service = Api(worlds, public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if is_for_service(scope):
            await self.service(scope, receive, send)
        else:
            await super().__call__(scope, receive, careful(scope, send))


def is_for_service(scope: Scope) -> bool:
    """Whether a request is no admin page's."""
    return scope["type"] == "http" and not f"{scope['path']}/".startswith(f"{ROOT}/")


def careful(scope: Scope, send: Send) -> Send:
    """A `send` that drops what comes after the connection has ended, where the server is the fake's own."""
    wire: Wire | None = scope.get("extensions", {}).get(WIRE)
    if wire is None:
        return send

    async def send_while_open(message: Message) -> None:
        wire.notice_end()
        await send(message)

    return send_while_open


def make_app(
    worlds: Worlds,
    *,
    public_url: str | None = None,
    own_hosts: frozenset[str] = frozenset(),
    admin_token: str | None = None,
) -> Application:
    """The whole application; the arguments are those of :class:`Application`."""
    return Application(worlds, public_url, own_hosts, admin_token)


def _to_request(scope: Scope, body: bytes, public_url: str | None) -> Request:
    headers, host = _read_headers(tuple(scope["headers"]))
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        origin=public_url or f"{scope['scheme']}://{host or _own_host(scope)}",
    )


@functools.lru_cache(maxsize=REMEMBERED_HEADERS)
def _read_headers(raw: tuple[tuple[bytes, bytes], ...]) -> tuple[Headers, str]:
    """Headers as text, and the host as the client spelt it; empty where it is none."""
    headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
    host = next((value for name, value in headers if name == "host"), "")
    return headers, host if _HOST.fullmatch(host) else ""


def _own_host(scope: Scope) -> str:
    host, port = scope.get("server") or ("127.0.0.1", 80)
    return f"{host}:{port}"
