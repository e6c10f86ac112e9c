"""What ``resilient_transport()`` costs a request: a client with it beside one without, a few requests each by turns.

Twice for each library and colour: over a network layer that does nothing, in processor time, which shows what is ours
and nothing else; and over loopback, in wall time, which shows what a caller notices. A figure is the median of the
differences of neighbours, with the half of them that lies around it, and beside it stands the request without ours.
Turns are short, since what else the machine does changes within milliseconds, and not of one request, since garbage
is collected once in some dozens: what is paid for it is to be seen.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from benchmarks.figures import Row, Scale, Spread
from benchmarks.serving import TASKS_PATH, running_bare

__all__ = ["measure"]

LIBRARIES = ("httpx", "httpx2")
BATCH = 10
GOAL_SYNC_US, GOAL_ASYNC_US = 40.0, 120.0
"""One scope with a deadline costs an event loop 30 to 40 µs, and code that blocks has none."""


def _over_nothing(library: ModuleType) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what makes a library's own transports, blocking and awaiting, over a pool that answers at once."""
    core = import_module(library.__name__.replace("httpx", "httpcore"))

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"{}"

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{}"

    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]

    class Blocking(core.ConnectionPool):  # type: ignore[misc,name-defined]  # chosen at run time
        def handle_request(self, request: Any) -> Any:
            del request
            return core.Response(200, headers=headers, content=Body())

    class Awaiting(core.AsyncConnectionPool):  # type: ignore[misc,name-defined]  # as above
        async def handle_async_request(self, request: Any) -> Any:
            del request
            return core.Response(200, headers=headers, content=Body())

    # The transports are the library's own and not of a class of ours, so that what ours does for those is measured.
    def blocking() -> Any:
        transport = library.HTTPTransport()
        transport._pool = Blocking()  # noqa: SLF001  # there is no other way in
        return transport

    def awaiting() -> Any:
        transport = library.AsyncHTTPTransport()
        transport._pool = Awaiting()  # noqa: SLF001  # as above
        return transport

    return blocking, awaiting


def measure(scale: Scale) -> list[Row]:
    """Measure both libraries and colours, over nothing and over loopback."""
    rows: list[Row] = []
    with running_bare() as served:
        for name in LIBRARIES:
            library = import_module(name)
            blocking, awaiting = _over_nothing(library)
            over_nothing = (blocking, awaiting, "http://service.test/", time.process_time)
            over_loopback = (
                library.HTTPTransport, library.AsyncHTTPTransport, served.url + TASKS_PATH + "1", time.perf_counter
            )  # fmt: skip
            for what, arm, rounds in (
                ("processor time over nothing", over_nothing, scale.of(500, 2)),
                ("wall time over loopback", over_loopback, scale.of(500, 2)),
            ):
                rows.append(_row(f"{name}, sync, {what}", _blocking(name, library, arm, rounds), GOAL_SYNC_US))
                costs = asyncio.run(_awaiting(name, library, arm, rounds))
                rows.append(_row(f"{name}, async, {what}", costs, GOAL_ASYNC_US))
    return rows


def _row(what: str, costs: list[tuple[float, float]], goal_us: float) -> Row:
    added = sorted(with_ours - without for with_ours, without in costs)
    quarter = len(added) // 4
    spread = Spread(Spread.of(added).median, added[quarter], added[-1 - quarter])
    return Row(
        f"resilient_transport() adds to a request: {what}",
        spread,
        "µs",
        Spread.of(without for _, without in costs),
        goal=f"at most {goal_us:.0f} µs",
        is_reached=spread.median <= goal_us,
    )


def _blocking(name: str, library: ModuleType, arm: Any, rounds: int) -> list[tuple[float, float]]:
    beneath, _, url, clock = arm
    ours = import_module(f"resilient_poll.transports.{name}").resilient_transport
    costs = []
    with library.Client(transport=ours(beneath())) as with_ours, library.Client(transport=beneath()) as without:

        def cost_us(client: Any) -> float:
            began_s = clock()
            for _ in range(BATCH):
                client.get(url)
            return float(clock() - began_s) / BATCH * 1e6

        gc.collect()
        for number in range(rounds + 1):
            pair = _by_turns(number, lambda: cost_us(with_ours), lambda: cost_us(without))
            if number:
                costs.append(pair)
    return costs


async def _awaiting(name: str, library: ModuleType, arm: Any, rounds: int) -> list[tuple[float, float]]:
    _, beneath, url, clock = arm
    ours = import_module(f"resilient_poll.transports.{name}").async_resilient_transport
    costs = []
    async with (
        library.AsyncClient(transport=ours(beneath())) as with_ours,
        library.AsyncClient(transport=beneath()) as without,
    ):

        async def cost_us(client: Any) -> float:
            began_s = clock()
            for _ in range(BATCH):
                await client.get(url)
            return float(clock() - began_s) / BATCH * 1e6

        gc.collect()
        for number in range(rounds + 1):
            if number % 2:
                pair = (await cost_us(with_ours), await cost_us(without))
            else:
                pair = (await cost_us(without), await cost_us(with_ours))[::-1]
            if number:
                costs.append(pair)
    return costs


def _by_turns(number: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    if number % 2:
        return first(), second()
    costs = second(), first()
    return costs[1], costs[0]
