"""A transport that answers by a script, in either library and colour, on a virtual clock; and clients over ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, LIBRARIES, got

__all__ = ["EACH_WAY", "Says", "Script", "client_over", "transport"]

EACH_WAY = [(colour, library) for colour in COLOURS for library in LIBRARIES]


@dataclass(frozen=True)
class Says:
    """One answer.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        pieces: The body, piece by piece.
        fails: The name of the library's error that comes instead of an answer, or after the pieces.
        after_s: For how many seconds nothing comes.
        between_s: For how many seconds nothing comes before each piece.
        is_read_first: Whether the body was taken before the failure, as by a server that heard all of it.
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = (b"whole",)
    fails: str | None = None
    after_s: float = 0.0
    between_s: float = 0.0
    is_read_first: bool = True


class Script:
    """What a server says, one answer after the other; the last one again and again.

    Args:
        answers: The answers, or a function of the request's number from 0.
        clock: Moves while nothing comes.

    Attributes:
        requests: The library's requests as they arrived.
        bodies: Their bodies.
        at_s: When each arrived.
        closed: How many bodies of answers were closed.
    """

    def __init__(self, answers: list[Says] | Callable[[int], Says], clock: VirtualClock) -> None:
        self._answers = answers if callable(answers) else lambda number: answers[min(number, len(answers) - 1)]
        self.clock = clock
        self.requests: list[Any] = []
        self.bodies: list[bytes] = []
        self.at_s: list[float] = []
        self.closed = 0
        self.is_transport_closed = False

    def next(self, request: Any) -> Says:
        self.requests.append(request)
        self.at_s.append(self.clock.now().monotonic_s)
        says = self._answers(len(self.requests) - 1)
        self.clock.advance(says.after_s)
        return says


def _body(library: Any, script: Script, says: Says) -> Any:
    class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]  # a module chosen at run time
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            for piece in says.pieces:
                if self.is_closed:
                    raise library.ReadError("the connection is closed")
                script.clock.advance(says.between_s)
                yield piece
            if says.fails is not None:
                raise getattr(library, says.fails)("the body broke off")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self.__iter__():
                yield piece

        def close(self) -> None:
            self.is_closed = True
            script.closed += 1

        async def aclose(self) -> None:
            self.close()

    return Body()


def inner_of(library_name: str, script: Script) -> Any:
    """Return a transport of a library that answers by a script."""
    library = LIBRARIES[library_name]

    class Inner(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # as above
        def handle_request(self, request: Any) -> Any:
            says = script.next(request)
            script.bodies.append(b"".join(request.stream) if says.is_read_first else b"")
            return self._answer(says)

        async def handle_async_request(self, request: Any) -> Any:
            says = script.next(request)
            script.bodies.append(b"".join([piece async for piece in request.stream]) if says.is_read_first else b"")
            return self._answer(says)

        def close(self) -> None:
            script.is_transport_closed = True

        async def aclose(self) -> None:
            script.is_transport_closed = True

        @staticmethod
        def _answer(says: Says) -> Any:
            if says.status is None:
                raise getattr(library, says.fails or "ReadTimeout")("scripted")
            return library.Response(says.status, headers=dict(says.headers), stream=_body(library, script, says))

    return Inner()


def transport(colour: str, library: str, name: str, inner: Any, *args: Any, clock: VirtualClock, **options: Any) -> Any:
    """Return one of our transports in a colour, over another one."""
    module = import_module(f"resilient_poll.transports.{library}")
    made = getattr(module, name if colour == "sync" else f"Async{name}")
    return made(inner, *args, clock=clock if colour == "sync" else clock.for_async(), **options)


@asynccontextmanager
async def client_over(colour: str, library: str, over: Any, **options: Any) -> AsyncIterator[Any]:
    """Yield a client of a library over a transport; nothing of it reaches the network."""
    module = LIBRARIES[library]
    client = (module.Client if colour == "sync" else module.AsyncClient)(transport=over, **options)
    try:
        yield client
    finally:
        await got(client.close() if colour == "sync" else client.aclose())
