"""The breaker under any client: what opens it, what does not, and who passes while it finds out."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll import BreakerMoved, BreakerPolicy, CircuitOpen
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
POLICY = BreakerPolicy(least_calls=4, open_s=5.0, probes=2, slow_call_s=10.0, window_s=100.0)
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)


class Calls:
    """A client over a breaker, and what became of its calls."""

    def __init__(self, client: Any, clock: VirtualClock, script: Script) -> None:
        self.client = client
        self.clock = clock
        self.script = script

    async def get(self, url: str = URL, **options: Any) -> str:
        """Ask once, and return the status or the name of the failure."""
        try:
            return str((await got(self.client.get(url, **options))).status_code)
        except CircuitOpen as error:
            is_told = isinstance(error, self.library.TransportError) and error.surely_not_sent
            return "open" if is_told and error.come_back_in_s is not None else "open, and nothing said"
        except self.library.TransportError as error:
            return type(error).__name__

    library: Any


def run(colour: str, library: str, answers: Any, body: Any, **options: Any) -> list[Any]:
    """Run a test body with calls over a breaker, and return the events."""
    clock = VirtualClock()
    script = Script(answers, clock)
    events: list[Any] = []

    async def main() -> None:
        options.setdefault("policy", POLICY)
        over = transport(
            colour, library, "CircuitBreakerTransport", inner_of(library, script), options.pop("policy"),
            clock=clock, on_event=events.append, **options,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            calls = Calls(client, clock, script)
            calls.library = LIBRARIES[library]
            await body(calls)

    run_in(colour, main)
    return events


@each_way
def test_it_opens_finds_out_and_closes(colour: str, library: str) -> None:
    """After enough failures nothing is sent; when the time is up a few calls find out, and then all pass."""

    async def body(calls: Calls) -> None:
        assert [await calls.get() for _ in range(6)] == ["503"] * 4 + ["open"] * 2
        assert len(calls.script.requests) == 4
        calls.clock.advance(5.0)
        assert [await calls.get() for _ in range(4)] == ["200"] * 4

    events = run(colour, library, lambda number: Says(503 if number < 4 else 200), body)
    assert [type(event) for event in events] == [BreakerMoved] * 3
    assert [event.after.value for event in events] == ["open", "half_open", "closed"]


@each_way
def test_a_429_does_not_open_it(colour: str, library: str) -> None:
    """However many requests are refused for their rate, or for money, the server is well."""

    async def body(calls: Calls) -> None:
        assert [await calls.get() for _ in range(20)] == ["429", "402"] * 10

    assert run(colour, library, lambda number: Says((429, 402)[number % 2]), body) == []


@pytest.mark.parametrize(
    ("answer", "word", "opens"),
    [
        (Says(status=None, fails="ConnectError"), "ConnectError", True),
        (Says(status=None, fails="ReadTimeout"), "ReadTimeout", True),
        (Says(status=None, fails="PoolTimeout"), "PoolTimeout", False),
        (Says(status=None, fails="LocalProtocolError"), "LocalProtocolError", False),
        (Says(pieces=(b"ha",), fails="ReadError"), "ReadError", True),
        (Says(after_s=10.0), "200", True),
        (Says(404), "404", False),
    ],
    ids=["refused", "time-out", "our own pool", "our own fault", "broken body", "slow", "404"],
)
@each_way
def test_what_counts(colour: str, library: str, answer: Says, word: str, opens: bool) -> None:  # a table
    """Faults of the network, broken bodies and slow calls open it; what is the client's own does not."""

    async def body(calls: Calls) -> None:
        words = [await calls.get() for _ in range(9)]
        assert set(words) == ({word, "open"} if opens else {word})

    run(colour, library, [answer], body)


@each_way
def test_origins_and_keys_are_apart(colour: str, library: str) -> None:
    """A breaker is kept for one origin and one key: others that are well go on."""

    async def body(calls: Calls) -> None:
        assert [await calls.get() for _ in range(5)][-1] == "open"
        assert await calls.get("http://api.test:81/thing") == "503"
        assert await calls.get("https://api.test/thing") == "503"
        assert await calls.get(URL, extensions={"resilient_poll.key": "other"}) == "503"
        assert await calls.get("http://api.test/elsewhere") == "open"

    run(colour, library, [Says(503)], body)


@each_way
def test_a_key_may_be_named_by_the_request(colour: str, library: str) -> None:
    """A function of the request can name what shares an origin."""

    async def body(calls: Calls) -> None:
        words = [await calls.get(headers={"x-tenant": tenant}) for tenant in "aaaaab"]
        assert words == ["503"] * 4 + ["open", "503"]

    run(colour, library, [Says(503)], body, key=lambda request: request.headers["x-tenant"])


@each_way
def test_a_body_that_breaks_off_counts_late(colour: str, library: str) -> None:
    """A streamed body that breaks off after the breaker moved on is of an older generation, and changes nothing."""

    async def body(calls: Calls) -> None:
        opened = calls.client.build_request("GET", URL)
        streamed = await got(calls.client.send(opened, stream=True))
        assert [await calls.get() for _ in range(5)][-1] == "open"
        calls.clock.advance(5.0)
        assert [await calls.get() for _ in range(2)] == ["200"] * 2
        with pytest.raises(calls.library.ReadError):
            await got(streamed.read() if colour == "sync" else streamed.aread())
        assert await calls.get() == "200"

    def answers(number: int) -> Says:
        if number == 0:
            return Says(pieces=(b"ha",), fails="ReadError")
        return Says(503 if number < 4 else 200)

    events = run(colour, library, answers, body)
    assert len(events) == 3
