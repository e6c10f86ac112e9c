"""Retries under any client: what is repeated, with which pauses, and what the caller gets to see."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from resilient_poll import (
    AttemptEnded,
    Backoff,
    ComeBackLater,
    ConfigurationError,
    GaveUp,
    RequestEvent,
    RetryBudget,
    Retrying,
    RetryPolicy,
    TransportProblem,
)
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "http://api.test/thing"
LOST = Says(status=None, fails="ReadTimeout")
UNSENT = Says(status=None, fails="ConnectError", is_read_first=False)
POLICY = RetryPolicy(attempts=4, backoff=Backoff(1.0, 8.0, 0.5))
ATTEMPTS = "resilient_poll.attempts"
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)


class Asked:
    """What asking once brought: the response or the error, and what could be seen of it."""

    def __init__(self, script: Script, events: list[RequestEvent]) -> None:
        self.script = script
        self.events = events
        self.response: Any = None
        self.error: Exception | None = None

    @property
    def sent(self) -> int:
        return len(self.script.requests)


def ask(  # what a test says about a request
    colour: str,
    library: str,
    answers: list[Says],
    *,
    method: str = "GET",
    policy: RetryPolicy = POLICY,
    budget: RetryBudget | None = None,
    draw: float = 0.0,
    **request: Any,
) -> Asked:
    """Send one request through a RetryTransport."""
    clock = VirtualClock()
    asked = Asked(Script(answers, clock), [])

    async def main() -> None:
        over = transport(
            colour, library, "RetryTransport", inner_of(library, asked.script), policy,
            budget=budget, clock=clock, draw=lambda: draw, on_event=asked.events.append,
        )  # fmt: skip
        async with client_over(colour, library, over) as client:
            try:
                asked.response = await got(client.request(method, URL, **request))
            except Exception as error:  # noqa: BLE001  # looked at by the test
                asked.error = error

    run_in(colour, main)
    return asked


@each_way
def test_a_get_goes_on_until_it_is_answered(colour: str, library: str) -> None:
    """Faults of the server and of the network are asked again with doubling pauses, and every attempt can be seen."""
    asked = ask(colour, library, [Says(503), LOST, Says(502), Says(200)])
    assert asked.response.text == "whole"
    assert asked.script.at_s == [0.0, 1.0, 3.0, 7.0]
    attempts = asked.response.request.extensions[ATTEMPTS]
    assert [(attempt.number, attempt.status, attempt.waited_s) for attempt in attempts] == [
        (1, 503, 0.0), (2, None, 1.0), (3, 502, 2.0), (4, 200, 4.0),
    ]  # fmt: skip
    assert attempts[1].failure == "ReadTimeout (scripted)"
    kinds = [type(event) for event in asked.events]
    assert kinds == [AttemptEnded, Retrying, AttemptEnded, Retrying, AttemptEnded, Retrying, AttemptEnded]


def test_every_way_has_the_same_trace() -> None:
    """Blocking, asyncio and trio, over httpx and httpx2, send at the same instants and tell the same events."""
    answers = [Says(503, {"retry-after": "3"}), LOST, Says(429, pieces=(b"{}",)), Says(200)]
    traces = []
    for colour, library in EACH_WAY:
        asked = ask(colour, library, answers, draw=0.7)
        traces.append((asked.script.at_s, asked.events, asked.response.request.extensions[ATTEMPTS]))
    assert len(traces[0][0]) == 4
    assert all(trace == traces[0] for trace in traces)


@each_way
def test_the_last_answer_is_handed_on_as_it_is(colour: str, library: str) -> None:
    """When all attempts are used up, the caller gets the last answer, body and all, and no error of ours."""
    asked = ask(colour, library, [Says(503, pieces=(b"still ", b"down"), headers={"x-a": "1"})])
    assert (asked.response.status_code, asked.response.text, asked.response.headers["x-a"]) == (503, "still down", "1")
    assert asked.sent == 4
    assert asked.script.closed == 4, "the answers that nobody saw were closed too"
    assert isinstance(asked.events[-1], GaveUp)


@each_way
def test_the_last_error_is_handed_on_as_it_is(colour: str, library: str) -> None:
    """When all attempts are used up, the caller gets the library's own error."""
    asked = ask(colour, library, [LOST])
    assert type(asked.error) is LIBRARIES[library].ReadTimeout
    assert asked.sent == 4


@pytest.mark.parametrize(
    ("method", "answers", "headers", "extensions", "sent"),
    [
        ("POST", [LOST, Says()], {}, {}, 1),
        ("POST", [Says(503), Says()], {}, {}, 1),
        ("POST", [Says(status=None, fails="ConnectError"), Says()], {}, {}, 1),
        ("POST", [UNSENT, Says()], {}, {}, 2),
        ("POST", [Says(429), Says()], {}, {}, 2),
        ("PUT", [LOST, Says()], {}, {}, 1),
        ("POST", [LOST, Says()], {"Idempotency-Key": "k"}, {}, 2),
        ("POST", [LOST, Says()], {}, {"resilient_poll.repeat": "allowed"}, 2),
        ("POST", [UNSENT, Says()], {}, {"resilient_poll.repeat": "never"}, 1),
        ("GET", [Says(503), Says()], {"Idempotency-Key": "k"}, {"resilient_poll.repeat": "never"}, 1),
        ("GET", [Says(404), Says()], {}, {}, 1),
        ("GET", [Says(status=None, fails="UnsupportedProtocol"), Says()], {}, {}, 1),
        ("GET", [Says(status=None, fails="LocalProtocolError"), Says()], {}, {}, 1),
    ],
    ids=["lost", "503", "read, then a connect error", "unsent", "429", "put", "key", "allowed", "never", "never wins",
         "404", "no protocol", "our own fault"],
)  # fmt: skip
@each_way
def test_what_is_repeated(
    colour: str, library: str, method: str, answers: list[Says], headers: Any, extensions: Any, sent: int
) -> None:
    """What may have been taken up is not sent again, unless it has a key or its caller allows it."""
    asked = ask(colour, library, answers, method=method, headers=headers, extensions=extensions, content=b"body")
    assert asked.sent == sent
    assert all(body in {b"body", b""} for body in asked.script.bodies)
    if sent == 2:
        assert asked.script.bodies[-1] == b"body"


@each_way
def test_a_post_without_a_body_is_judged_by_the_error_too(colour: str, library: str) -> None:
    """Where the headers are the whole request, a body that nobody read does not prove that nothing was sent."""
    broke = Says(status=None, fails="WriteError", is_read_first=False)
    assert ask(colour, library, [broke, Says()], method="POST").sent == 1
    assert ask(colour, library, [UNSENT, Says()], method="POST").sent == 2


class Pieces:
    """A body that can be read once."""

    def __init__(self, colour: str) -> None:
        self.readings = 0
        self.content = self._blocking() if colour == "sync" else self._awaiting()

    def _blocking(self) -> Iterator[bytes]:
        self.readings += 1
        yield b"once"

    async def _awaiting(self) -> AsyncIterator[bytes]:
        self.readings += 1
        yield b"once"


@each_way
def test_a_body_that_can_be_read_once_is_sent_once(colour: str, library: str) -> None:
    """A stream is not sent a second time once anybody read it, and is sent again if nobody did."""
    pieces = Pieces(colour)
    asked = ask(colour, library, [Says(503), Says()], content=pieces.content, headers={"Idempotency-Key": "k"})
    assert (asked.sent, asked.response.status_code, pieces.readings) == (1, 503, 1)
    pieces = Pieces(colour)
    asked = ask(colour, library, [UNSENT, Says()], content=pieces.content, method="POST")
    assert (asked.sent, asked.response.status_code, asked.script.bodies[-1]) == (2, 200, b"once")


@each_way
def test_retry_after_is_a_floor(colour: str, library: str) -> None:
    """The server's pause is never cut, is spread upwards only, and counts where it is longer than our own."""
    waits = []
    for draw in (0.0, 1.0):
        asked = ask(colour, library, [Says(503, {"retry-after": "9"}), Says()], draw=draw)
        waits.append(asked.script.at_s[1])
    assert waits == [9.0, 9.5]
    assert ask(colour, library, [Says(503, {"retry-after": "nan"}), Says()]).script.at_s[1] == 1.0
    assert ask(colour, library, [Says(503, {"retry-after": "0"}), Says()]).script.at_s[1] == 1.0


@each_way
def test_a_pause_beyond_the_total_fails_at_once(colour: str, library: str) -> None:
    """Where the server asks for more than there is time, the caller hears at once, and when to come back."""
    asked = ask(colour, library, [Says(429, {"retry-after": "120"}, (b"busy",))])
    assert isinstance(asked.error, ComeBackLater)
    assert isinstance(asked.error, LIBRARIES[library].TransportError)
    assert (asked.error.come_back_in_s, asked.error.status_code, asked.error.response.text) == (120.0, 429, "busy")
    assert asked.error.surely_not_sent
    assert asked.script.clock.slept_s == []


@each_way
def test_an_sdk_may_read_the_pause_itself(colour: str, library: str) -> None:
    """With ``too_late="return"`` the answer that asks for too much is handed on at once instead."""
    policy = RetryPolicy(too_late="return")
    asked = ask(colour, library, [Says(429, {"retry-after": "120"}, (b"busy",))], policy=policy)
    assert (asked.sent, asked.response.status_code, asked.response.text) == (1, 429, "busy")


@each_way
def test_a_refusal_for_money_is_not_repeated(colour: str, library: str) -> None:
    """A 429 that is about money is handed on at once, its body unread as far as the caller can tell."""
    body = json.dumps({"error": {"type": "insufficient_quota"}}).encode()
    for said in (
        Says(429, pieces=(body[:9], body[9:])),
        Says(429, {"content-encoding": "gzip"}, (gzip.compress(body),)),
    ):
        asked = ask(colour, library, [said])
        assert asked.sent == 1
        assert asked.response.json()["error"]["type"] == "insufficient_quota"


@each_way
def test_a_body_that_breaks_off_is_asked_for_again(colour: str, library: str) -> None:
    """Where it is asked for, an error while the body is read is covered, and without that it reaches the caller."""
    answers = [Says(200, pieces=(b"ha",), fails="ReadError"), Says(200, pieces=(b"ha", b"lf"))]
    covered = ask(colour, library, answers, policy=RetryPolicy(body_bytes=100))
    assert (covered.sent, covered.response.text) == (2, "half")
    plain = ask(colour, library, answers)
    assert plain.sent == 1
    assert type(plain.error) is LIBRARIES[library].ReadError


@each_way
def test_a_long_body_or_a_stream_of_events_is_handed_on(colour: str, library: str) -> None:
    """What is longer than the limit arrives whole and unbuffered, and a stream of events is not waited for."""
    long = ask(colour, library, [Says(200, pieces=(b"a" * 60, b"b" * 60, b"c"))], policy=RetryPolicy(body_bytes=100))
    assert long.response.content == b"a" * 60 + b"b" * 60 + b"c"
    broken = [Says(200, {"content-type": "text/event-stream; charset=utf-8"}, (b"data: 1",), fails="ReadError"), Says()]
    asked = ask(colour, library, broken, policy=RetryPolicy(body_bytes=100))
    assert asked.sent == 1
    assert type(asked.error) is LIBRARIES[library].ReadError


@each_way
def test_a_budget_is_shared(colour: str, library: str) -> None:
    """Two clients with one budget retry as often together as it allows."""
    budget = RetryBudget(share=0.0, floor_per_s=0.0, reserve=3.0)
    sent = [ask(colour, library, [Says(503)], policy=RetryPolicy(), budget=budget).sent for _ in range(3)]
    assert sent == [3, 2, 1]


@each_way
def test_a_listener_that_fails_does_no_harm(colour: str, library: str) -> None:
    """An event's listener that raises does not reach the request."""
    clock = VirtualClock()

    def listener(event: RequestEvent) -> None:
        raise ValueError(event)

    async def main() -> None:
        script = Script([Says(503), Says()], clock)
        over = transport(colour, library, "RetryTransport", inner_of(library, script), clock=clock, on_event=listener)
        async with client_over(colour, library, over) as client:
            assert (await got(client.get(URL))).status_code == 200

    run_in(colour, main)


def test_an_event_shows_no_secret() -> None:
    """Neither a URL's query nor its user is in what is told."""
    asked = ask("sync", "httpx", [Says(503), Says()], params={"token": "hush"}, auth=("user", "hush"))
    assert asked.events
    assert not any("hush" in f"{event}{event!r}" for event in asked.events)


@each_way
def test_a_mark_that_nobody_understands_is_refused(colour: str, library: str) -> None:
    """A mistyped mark sends nothing, rather than what its writer did not mean."""
    asked = ask(colour, library, [Says()], extensions={"resilient_poll.repeat": "nevr"})
    assert isinstance(asked.error, ConfigurationError)
    assert asked.sent == 0


def test_a_fault_of_the_program_passes() -> None:
    """An error that is no library's is neither repeated nor dressed up."""
    calls: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise KeyError("a bug")

    over = transport("sync", "httpx", "RetryTransport", httpx.MockTransport(handle), clock=VirtualClock())
    with httpx.Client(transport=over) as client, pytest.raises(KeyError):
        client.get(URL)
    assert len(calls) == 1


@each_way
def test_what_is_beneath_may_change_a_request(colour: str, library: str) -> None:
    """Each attempt sends a request of its own: what a transport beneath does to one is not in the next."""
    asked = ask(colour, library, [Says(503), Says(503), Says()], headers={"x-own": "1"})
    assert len({id(request) for request in asked.script.requests}) == 3
    first, second, _ = asked.script.requests
    second.headers["x-added"] = "1"
    assert "x-added" not in first.headers
    assert asked.response.request is first
    assert [request.headers["x-own"] for request in asked.script.requests] == ["1"] * 3


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_our_errors_are_the_librarys_too(library: Any) -> None:
    """Whoever catches a library's transport errors catches ours, and a total time-out is one of its time-outs."""
    from importlib import import_module  # noqa: PLC0415  # by name

    kit = import_module(f"resilient_poll.transports.{library.__name__}")._KIT
    for ours, made in kit.problems.items():
        assert issubclass(made, ours)
        assert issubclass(made, TransportProblem)
        assert issubclass(made, library.TransportError)
        assert not issubclass(made, TimeoutError | OSError)
        assert issubclass(made, library.TimeoutException) is (ours.__name__ == "TotalTimeout")
