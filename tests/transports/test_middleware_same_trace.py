"""Every colour and library does the same at the same instants; and a breaker that is half open lets a few through."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll import Backoff, BreakerPolicy, CircuitOpen, HeadroomPolicy, Rate, RetryBudget, RetryPolicy
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.support.profiles import examples
from tests.support.properties import GENUINE
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

BACKOFF = Backoff(1.0, 4.0, 0.5)
URL = "http://api.test/thing"
ends = st.builds(
    Says,
    status=st.sampled_from([200, 200, 402, 404, 429, 500, 503]),
    headers=st.sampled_from(
        [
            {},
            {"retry-after": "2"},
            {"retry-after": "90"},
            {"retry-after": "nan"},
            {"content-type": "text/event-stream"},
            {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "9"},
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"},
        ]
    ),
    pieces=st.sampled_from([(), (b"whole",), (b"a", b"b"), (b'{"code": "insufficient_quota"}',)]),
    fails=st.sampled_from([None, None, None, "ReadError", "ReadTimeout"]),
    after_s=st.sampled_from([0.0, 0.3, 12.0]),
    # Not half of the 30 s that a body may take: what happens at the very instant of a deadline may be told either way.
    between_s=st.sampled_from([0.0, 0.5, 15.1]),
)
losses = st.builds(
    Says,
    status=st.none(),
    fails=st.sampled_from(["ConnectError", "ReadTimeout", "RemoteProtocolError", "PoolTimeout", "UnsupportedProtocol"]),
    after_s=st.sampled_from([0.0, 1.0]),
    is_read_first=st.booleans(),
)
requests = st.tuples(st.sampled_from(["GET", "POST", "PUT"]), st.sampled_from([None, "never", "allowed"]))


def trace(colour: str, library: str, answers: list[Says], asked: list[tuple[str, str | None]], body_bytes: int) -> Any:
    """Send requests through the whole stack, and return everything that can be seen of it."""
    clock = VirtualClock()
    script = Script(answers, clock)
    events: list[Any] = []
    came: list[Any] = []

    async def main() -> None:
        over = transport(
            colour, library, "ResilientTransport", inner_of(library, script),
            total_s=40.0,
            retry=RetryPolicy(attempts=4, backoff=BACKOFF, body_bytes=body_bytes, attempt_timeout_s=11.0),
            budget=RetryBudget(reserve=5.0),
            breaker=BreakerPolicy(least_calls=4, slow_call_s=10.0, probes=2),
            places=2, rate=Rate.per_second(3), headroom=HeadroomPolicy(), max_wait_s=20.0,
            clock=clock, draw=lambda: 0.25, on_event=events.append,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            for method, mark in asked:
                extensions = {} if mark is None else {"resilient_poll.repeat": mark}
                try:
                    response = await got(client.request(method, URL, content=b"body", extensions=extensions))
                    came.append((response.status_code, response.content, response.request.extensions))
                except Exception as error:  # noqa: BLE001  # compared below
                    came.append((type(error).__name__, str(error)))

    run_in(colour, main)
    return script.at_s, script.bodies, events, came, clock.now(), script.closed


@settings(GENUINE, max_examples=examples(40))
@given(
    answers=st.lists(ends | losses, min_size=1, max_size=12),
    asked=st.lists(requests, min_size=1, max_size=4),
    body_bytes=st.sampled_from([0, 3, 1000]),
)
def test_every_way_does_the_same(answers: list[Says], asked: list[tuple[str, str | None]], body_bytes: int) -> None:
    """Whatever a server says, and whatever is asked, all six ways send, wait, tell and end alike, in bounded time."""
    traces = [trace(colour, library, answers, asked, body_bytes) for colour, library in EACH_WAY]
    first = traces[0]
    for (colour, library), other in zip(EACH_WAY, traces, strict=True):
        assert other[:5] == first[:5], (colour, library)
    at_s, *_ = first
    assert len(at_s) <= 4 * len(asked)
    # What must not be cut may take as long as its answer does.
    if all(mark != "never" for _, mark in asked):
        longest_s = 40.0 + 12.0 + 2 * 15.1
        assert first[4].monotonic_s <= len(asked) * longest_s


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_of_a_hundred_that_come_at_once_three_find_out(colour: str, library: str) -> None:
    """A half-open breaker lets three of a hundred simultaneous requests through, as stated, and no more."""
    module, clock = LIBRARIES[library], VirtualClock()
    sent: list[int] = []

    class Sick(module.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # a module chosen at run time
        async def handle_async_request(self, request: Any) -> Any:
            del request
            sent.append(len(sent))
            number = sent[-1]
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            return module.Response(503 if number < 10 else 200, content=b"")

    refused: list[CircuitOpen] = []

    async def main() -> None:
        made = import_module(f"resilient_poll.transports.{library}")
        over = made.AsyncCircuitBreakerTransport(Sick(), BreakerPolicy(open_s=5.0), clock=clock.for_async())
        async with module.AsyncClient(transport=over) as client:

            async def ask() -> None:
                try:
                    await client.get(URL)
                except CircuitOpen as error:
                    refused.append(error)

            for _ in range(10):
                await ask()
            clock.advance(5.0)
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(ask)

    run_in(colour, main)
    assert len(sent) == 13
    assert len(refused) == 97
