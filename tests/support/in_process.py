"""Transports that call the fake's engine without a socket, on the client's own virtual clock.

They keep a library's promises: an answer that does not come is the library's own error,
and what cannot be shown faithfully without a wire is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fake_server.engine import Engine, Reply
from fake_server.engine import Request as FakeRequest
from fake_server.moment import Moment
from resilient_poll.drive.clocks import VirtualClock

ORIGIN = "http://fake.test"


class NeedsASocket(AssertionError):
    """A scenario that cuts the wire was run where there is none."""


def answer_from(engine: Engine, clock: VirtualClock, request: Any, body: bytes) -> Reply:
    """Hand a library's request to the engine and return its reply."""
    now = clock.now()
    asked = FakeRequest(
        method=request.method,
        path=request.url.raw_path.partition(b"?")[0].decode(),
        query=request.url.query.decode(),
        headers=tuple(request.headers.multi_items()),
        body=body,
        origin=ORIGIN,
    )
    reply = engine.handle(asked, Moment(now.monotonic_s, now.wall_s))
    if not isinstance(reply, Reply) or reply.wire is not None:
        raise NeedsASocket(f"{reply} cannot be shown without a wire")
    clock.advance(reply.delay_s)
    return reply


def engine_transport(library: ModuleType, handle: Callable[[Any, bytes], Reply]) -> Any:
    """Return a transport of httpx or httpx2, for both colours, that asks a function.

    Args:
        library: httpx or httpx2.
        handle: Gets the library's request and its body.
    """

    class EngineTransport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # a module chosen at run time
        def handle_request(self, request: Any) -> Any:
            return self._respond(handle(request, request.read()))

        async def handle_async_request(self, request: Any) -> Any:
            return self._respond(handle(request, await request.aread()))

        @staticmethod
        def _respond(reply: Reply) -> Any:
            return library.Response(reply.status, headers=list(reply.headers), content=reply.body)

    return EngineTransport()
