"""Carries out what the engine asked of the wire: delays, cuts and bytes that are spoilt on their way.

What happens is decided by :mod:`fake_server.wire.spoiling`; here are only the clock that is waited on and the
connection that is written to. What was asked for has been done before anything here begins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from fake_server.clock import TooManyWaitersError
from fake_server.wire.messages import Late, Reply
from fake_server.wire.spoiling import End, Pause, plan

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from fake_server.clock import Clock
    from fake_server.wire.messages import Drop
    from fake_server.wire.spoiling import Ending

# The server puts the connection into the scope under this name.
WIRE = "fake_server.wire"


# Requests that are still to come, also those whose clients have left; a loop itself only remembers its tasks weakly.
_on_their_way: set[asyncio.Future[Reply | Drop]] = set()


class Wire(Protocol):
    """What a connection lets itself be asked for beyond whole answers."""

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used again after this answer."""
        ...

    def hold(self) -> None:
        """An answer is held up from now on: a server that ends need not wait for it."""
        ...

    def release(self) -> None:
        """It no longer is."""
        ...

    def notice_end(self) -> None:
        """Drop in silence what is sent from now on, if the connection is over already."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, and wait until they have left this process or the client has gone."""
        ...

    def end(self, how: Ending) -> None:
        """The answer is over, and perhaps the connection with it."""
        ...


def is_plain(answer: Reply | Drop | Late) -> TypeGuard[Reply]:
    """Whether an answer is a whole reply that goes out at once and as it is."""
    return isinstance(answer, Reply) and answer.wire is None and answer.delay_s <= 0


async def carry_out(answer: Reply | Drop | Late, clock: Clock, scope: Scope, receive: Receive) -> Reply | None:
    """Hold an answer back as long as it says, and do to the connection what it says.

    Ends early when the client leaves.

    Args:
        answer: What the engine said.
        clock: The clock of its world; delays and pauses go by it.
        scope: The request's; it leads to the connection.
        receive: The request's; it tells when the client has gone.

    Returns:
        What is left to be sent in the ordinary way; None where nothing is.

    Raises:
        RuntimeError: If the wire is to be touched, and the server is not the fake's own.
    """
    wire: Wire | None = scope.get("extensions", {}).get(WIRE)
    if isinstance(answer, Late):
        arrived = await _arrival(answer, clock, wire, receive)
        if arrived is None or is_plain(arrived):
            return arrived
        answer = arrived
    touches_wire = not isinstance(answer, Reply) or answer.wire is not None
    if wire is None and touches_wire:
        what = answer.wire.kind if isinstance(answer, Reply) and answer.wire else getattr(answer, "how", "")
        raise RuntimeError(f"a fault of the wire ({what}) needs the fake's own server, not another one")
    pace = _Pace(clock, receive)
    if wire is not None:
        wire.hold()
    try:
        if not await pace.pause(answer.delay_s):
            return None
        if isinstance(answer, Reply) and not touches_wire:
            return answer
        if wire is not None:
            await _carry_out_plan(answer, wire, pace)
    except TooManyWaitersError as error:
        if wire is None or not pace.has_begun:
            return _too_busy(error)
        wire.end("close")
    finally:
        pace.stop()
        if wire is not None:
            wire.release()
    return None


async def _arrival(late: Late, clock: Clock, wire: Wire | None, receive: Receive) -> Reply | Drop | None:
    """What is answered to a request once it has come; None where its client has left before.

    It comes all the same, and is carried out: that nobody waits for it does not call it back.
    """

    async def come() -> Reply | Drop:
        try:
            await clock.wait_until(clock.now().monotonic_s + late.delay_s)
        except TooManyWaitersError as error:
            return _too_busy(error)
        return late.carry_out(clock.now())

    coming, leaving = asyncio.ensure_future(come()), asyncio.ensure_future(_wait_for_leaving(receive))
    _on_their_way.add(coming)
    coming.add_done_callback(_on_their_way.discard)
    if wire is not None:
        wire.hold()
    try:
        await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if wire is not None:
            wire.release()
    return coming.result() if coming.done() else None


async def _carry_out_plan(answer: Reply | Drop, wire: Wire, pace: _Pace) -> None:
    for step in plan(answer, keeps_alive=wire.keeps_alive):
        if isinstance(step, End):
            wire.end(step.how)
        elif isinstance(step, Pause):
            if not await pace.pause(step.seconds):
                return
        else:
            pace.has_begun = True
            await wire.write(step.data)
            if pace.client_left:
                return


class _Pace:
    """Waits on a world's clock, and no longer than the client does.

    Instants are counted from the first on: what one pause takes too long, the next is shorter.
    """

    def __init__(self, clock: Clock, receive: Receive) -> None:
        self._clock = clock
        self._due_s = clock.now().monotonic_s
        self._leaving = asyncio.ensure_future(_wait_for_leaving(receive))
        self.has_begun = False

    @property
    def client_left(self) -> bool:
        """Whether the client has gone."""
        return self._leaving.done()

    async def pause(self, seconds: float | None) -> bool:
        """Wait so long, or until the client leaves if None; whether the client is still there."""
        if seconds is None:
            await asyncio.wait({self._leaving})
            return False
        self._due_s += seconds
        if self._due_s <= self._clock.now().monotonic_s:
            await asyncio.sleep(0)  # Others have their turn, and a client that left is noticed.
            return not self.client_left
        waiting: asyncio.Future[Any] = asyncio.ensure_future(self._clock.wait_until(self._due_s))
        try:
            await asyncio.wait({self._leaving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if waiting.done():
            waiting.result()  # or what it raised
        return not self.client_left

    def stop(self) -> None:
        """Nobody waits here any more."""
        self._leaving.cancel()


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_busy(error: TooManyWaitersError) -> Reply:
    body = f"{error}\n".encode()
    return Reply(503, (("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))), body)
