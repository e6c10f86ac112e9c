"""Faults of middleware."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import httpx
import trio

from benchmarks.peers.service import Answer, Seen, naps, peer, serving, told
from resilient_poll import Backoff, BreakerPolicy, RetryPolicy
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.transports.httpx import AsyncRetryTransport, CircuitBreakerTransport, RetryTransport

__all__ = ["httpx_retries_faults", "pyresilience_breaker"]

PIECES = (b"one ", b"two")


def _sent(transport: httpx.BaseTransport, service: Any, method: str = "GET", **options: Any) -> str:
    with httpx.Client(transport=transport) as client:
        try:
            response = client.request(method, service.url, **options)
        except Exception as error:  # noqa: BLE001  # that is what is asked for
            return f"`{type(error).__name__}` after {service.requests} sent"
        return f"{response.status_code} after {service.requests} sent"


def httpx_retries_faults() -> Iterator[Seen]:
    """Its transport as it comes, and where it cannot be used."""
    httpx_retries = import_module("httpx_retries")

    name = peer("httpx-retries")
    with naps(100) as slept_s, serving(Answer(status=503)) as service:
        theirs = _sent(httpx_retries.RetryTransport(), service)
    theirs = f"{theirs}, {sum(slept_s):g} s between them in all"
    clock = VirtualClock()
    with serving(Answer(status=503)) as service:
        mine = _sent(RetryTransport(clock=clock), service)
    provoked = "503s, with the transport as it comes"
    yield Seen(name, provoked, theirs, f"{mine}, {sum(clock.slept_s):.1f} s between them", sum(slept_s) < 0.1)
    theirs, mine = (
        _in_trio(lambda beneath: httpx_retries.RetryTransport(transport=beneath)),
        _in_trio(lambda beneath: AsyncRetryTransport(beneath, clock=VirtualClock().for_async())),
    )
    yield Seen(name, "one 503 under trio", theirs, mine, theirs != "200")
    ways: list[tuple[str, bool, bool]] = [
        ("a `PUT` of a generator is refused a connection, before it is read", False, True),
        ("a `PUT` of a generator breaks off after half of it", True, True),
        ("a `PUT` of an iterator (so of an open file) breaks off after half of it", True, False),
    ]
    for provoked, is_read, is_generator in ways:
        theirs, mine = (
            _streamed(make, is_read=is_read, is_generator=is_generator)
            for make in (
                lambda beneath: httpx_retries.RetryTransport(transport=beneath),
                lambda beneath: RetryTransport(beneath, clock=VirtualClock()),
            )
        )
        is_shown = "only the rest" in theirs or ("all of it" in mine and theirs != mine)
        yield Seen(name, provoked, theirs, mine, is_shown)
    with serving(Answer("x" * 100, is_cut=True), Answer("whole")) as service, naps():
        theirs = _sent(httpx_retries.RetryTransport(), service)
    with serving(Answer("x" * 100, is_cut=True), Answer("whole")) as service:
        mine = _sent(RetryTransport(policy=RetryPolicy(body_bytes=1000), clock=VirtualClock()), service)
    yield Seen(name, "the answer's body breaks off once (ours with `body_bytes=`)", theirs, mine, "200" not in theirs)
    retry = httpx_retries.Retry(backoff_factor=0.5, max_backoff_wait=20.0, attempts_made=10)
    pauses_s = [retry.backoff_strategy() for _ in range(1000)]
    backoff = Backoff(first_s=0.5, longest_s=20.0)
    ours_s = {backoff.pause_s(10, draw / 1000) for draw in range(1000)}
    alike = sum(one == 20.0 for one in pauses_s)
    yield Seen(
        name,
        "1,000 clients pause for the 11th time, at most 20 s",
        f"about {round(alike, -1)} of them for exactly 20 s",
        f"{len(ours_s):,} different pauses, from 10 to 20 s",
        alike > 500,
    )


def _in_trio(make: Callable[[Any], httpx.AsyncBaseTransport]) -> str:
    async def main() -> str:
        answers = iter([503])
        beneath = httpx.MockTransport(lambda _: httpx.Response(next(answers, 200)))
        async with httpx.AsyncClient(transport=make(beneath)) as client:
            return str((await client.get("http://service.test/")).status_code)

    try:
        return trio.run(main)
    except Exception as error:  # noqa: BLE001  # that is what is asked for
        return f"`{type(error).__name__}`"


def _streamed(make: Callable[[Any], httpx.BaseTransport], *, is_read: bool, is_generator: bool) -> str:
    sent: list[bytes] = []

    class Beneath(httpx.BaseTransport):
        """Fails once, as a server that takes no connections or leaves in the middle."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            stream: Any = request.stream
            if not sent:
                sent.append(next(iter(stream)) if is_read else b"")
                raise (httpx.WriteError if is_read else httpx.ConnectError)("scripted")
            sent.append(b"".join(stream))
            return httpx.Response(200)

    content = (piece for piece in PIECES) if is_generator else iter(PIECES)
    with naps(), httpx.Client(transport=make(Beneath())) as client:
        came = told(lambda: client.put("http://service.test/", content=content))
    if len(sent) < 2:
        return f"{came}, and nothing is sent again"
    return (
        "all of it is sent again" if sent[1] == b"".join(PIECES) else f"200, and only the rest was sent: `{sent[1]!r}`"
    )


def pyresilience_breaker() -> Iterator[Seen]:
    """Its breaker, half open."""
    pyresilience = import_module("pyresilience")

    config = pyresilience.CircuitBreakerConfig(failure_threshold=2, recovery_timeout=0.01)
    breaker = pyresilience.CircuitBreaker(config)
    for _ in range(2):
        breaker.record_failure()
    until_s = time.monotonic() + 0.02
    while time.monotonic() < until_s:
        pass
    passed = sum(breaker.allow_request() for _ in range(100))
    clock, inside = VirtualClock(), 0
    transport: CircuitBreakerTransport

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal inside
        if clock.now().monotonic_s < 5.0:
            return httpx.Response(500)
        inside += 1
        # Each one that is inside lets the next one ask before it is answered.
        if asked:
            asked.pop()
            told(lambda: transport.handle_request(httpx.Request("GET", "http://service.test/")))
        return httpx.Response(200)

    asked = list(range(99))
    policy = BreakerPolicy(least_calls=2, open_s=5.0)
    transport = CircuitBreakerTransport(httpx.MockTransport(answer), policy, clock=clock)
    for _ in range(2):
        transport.handle_request(httpx.Request("GET", "http://service.test/"))
    clock.advance(6.0)
    transport.handle_request(httpx.Request("GET", "http://service.test/"))
    yield Seen(
        peer("pyresilience"),
        "100 calls ask a half-open breaker before the first is answered",
        f"{passed} pass",
        f"{inside} pass",
        passed > inside,
    )
