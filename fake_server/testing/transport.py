"""A transport of httpx or httpx2 that asks the fake's engine directly, without a socket.

It keeps the library's promises: an answer that comes later than the client waits is the library's own `ReadTimeout`.
What cannot be shown without a wire is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fake_server.engine import Engine, Reply, Request
from fake_server.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ORIGIN = "http://fake.test"


class NeedsASocketError(Exception):
    """A fault that cuts or spoils the wire was to strike where there is none."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is a fault of the wire and cannot be shown without one: use FakeDashScope or the fixture "
            "fake_dashscope, which serve on a socket"
        )


class LateAnswerError(Exception):
    """An answer comes later than the client waits for it."""


class Clock(Protocol):
    """A clock that a test moves."""

    def now(self) -> Any:
        """The present; it has `monotonic_s` and `wall_s`."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...


def answer_from(engine: Engine, clock: Clock, request: Any, body: bytes) -> Reply:
    """Hand a library's request to the engine, and let the time pass that its answer takes.

    Args:
        engine: A world.
        clock: Both sides' clock.
        request: A request of httpx or httpx2.
        body: Its body.

    Raises:
        LateAnswerError: The client's time limit on reading came first; what was asked for has been done.
        NeedsASocketError: The answer cannot be shown here.
    """
    now = clock.now()
    asked = Request(
        method=request.method,
        path=request.url.raw_path.partition(b"?")[0].decode(),
        query=request.url.query.decode(),
        headers=tuple(request.headers.multi_items()),
        body=body,
        origin=ORIGIN,
    )
    reply = engine.handle(asked, Moment(now.monotonic_s, now.wall_s))
    if not isinstance(reply, Reply) or reply.wire is not None:
        raise NeedsASocketError(engine.journal.entries[-1].fault or "what was to happen")
    limit_s = (request.extensions.get("timeout") or {}).get("read")
    if limit_s is not None and reply.delay_s > limit_s:
        clock.advance(limit_s)
        raise LateAnswerError(f"no answer within {limit_s:g} s; it would have taken {reply.delay_s:g} s")
    clock.advance(reply.delay_s)
    return reply


def engine_transport(library: ModuleType, handle: Callable[[Any, bytes], Reply]) -> Any:
    """A transport for the sync and the async client of a library, that asks a function.

    Args:
        library: httpx or httpx2.
        handle: Gets the library's request and its body; :func:`answer_from` with an engine and a clock.
    """

    class EngineTransport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # a module chosen at run time
        def handle_request(self, request: Any) -> Any:
            return self._respond(request, request.read())

        async def handle_async_request(self, request: Any) -> Any:
            return self._respond(request, await request.aread())

        @staticmethod
        def _respond(request: Any, body: bytes) -> Any:
            try:
                reply = handle(request, body)
            except LateAnswerError as late:
                raise library.ReadTimeout(str(late), request=request) from None
            return library.Response(reply.status, headers=list(reply.headers), content=reply.body)

    return EngineTransport()
