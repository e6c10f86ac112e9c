"""Where the middleware meets the rest of HTTP: redirects, uploads, and answers that are read while they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll import Backoff, BreakerPolicy, RetryPolicy
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import LIBRARIES, got, run_in
from tests.support.profiles import examples
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
URL = "http://api.test/thing"


def over(colour: str, library: str, script: Script, **options: Any) -> Any:
    return transport(colour, library, "ResilientTransport", inner_of(library, script), clock=script.clock, **options)


@each_way
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_the_clients(colour: str, library: str, status: int) -> None:
    """A redirect is no failure, its Retry-After no pause: the client follows it, each hop with attempts of its own."""
    clock = VirtualClock()
    hop = Says(status, {"location": "/there", "retry-after": "60"})
    script = Script([hop, Says(503), Says(200)], clock)

    async def main() -> Any:
        async with client_over(colour, library, over(colour, library, script), follow_redirects=True) as client:
            return await got(client.get(URL))

    response = run_in(colour, main)
    assert response.status_code == 200
    assert len(script.requests) == 3
    assert sum(clock.slept_s) < 1.0
    assert [len(one.request.extensions["resilient_poll.attempts"]) for one in (*response.history, response)] == [1, 2]


@each_way
def test_a_mark_follows_a_redirect(colour: str, library: str) -> None:
    """What is sent once is sent once at the place that it was redirected to as well."""
    script = Script([Says(307, {"location": "/there"}), Says(503)], VirtualClock())

    async def main() -> Any:
        async with client_over(colour, library, over(colour, library, script), follow_redirects=True) as client:
            return await got(client.post(URL, content=b"x", extensions={"resilient_poll.repeat": "never"}))

    assert run_in(colour, main).status_code == 503
    assert len(script.requests) == 2


FAULTS = st.sampled_from(
    [
        Says(503),
        Says(429, {"retry-after": "2"}),
        Says(None, fails="ConnectError", is_read_first=False),
        Says(None, fails="WriteError"),
        Says(200),
    ]
)


@each_way
@settings(max_examples=examples(15), deadline=None)
@given(
    answers=st.lists(FAULTS, min_size=1, max_size=5),
    method=st.sampled_from(["POST", "PUT"]),
    has_key=st.booleans(),
    is_stream=st.booleans(),
)
def test_no_upload_is_ever_sent_in_part_or_twice(
    colour: str, library: str, answers: list[Says], method: str, has_key: bool, is_stream: bool
) -> None:
    """Whatever goes wrong, each body that is read is the whole one, and what has no key is taken up at most once."""
    script = Script([*answers, Says(200)], VirtualClock())

    def pieces() -> Iterator[bytes]:
        yield from (b"one ", b"two")

    async def awaited() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    content = (pieces() if colour == "sync" else awaited()) if is_stream else b"one two"
    headers = {"Idempotency-Key": "k"} if has_key else {}
    policy = RetryPolicy(attempts=6, backoff=Backoff(first_s=0.1))

    async def main() -> None:
        async with client_over(colour, library, over(colour, library, script, retry=policy)) as client:
            try:
                await got(client.request(method, URL, content=content, headers=headers))
            except LIBRARIES[library].TransportError:
                return

    run_in(colour, main)
    read = [body for body in script.bodies if body]
    assert set(read) <= {b"one two"}
    if is_stream:
        assert len(read) <= 1
    if not has_key:
        said = answers[: len(script.requests)]
        taken_up = sum(one.status in {200, 503} or one.fails == "WriteError" for one in said)
        assert taken_up <= 1


# Not under trio: httpx leaves its own generator open there when a reader leaves, with our transport and without.
@pytest.mark.parametrize(("colour", "library"), [way for way in EACH_WAY if way[0] != "trio"])
def test_an_answer_is_read_while_it_comes(colour: str, library: str) -> None:
    """A stream is handed on piece by piece, and its place is free when the reader leaves in the middle."""
    script = Script([Says(pieces=(b"one", b"two", b"three"))], VirtualClock())

    async def main() -> list[bytes]:
        beneath = over(colour, library, script, places=1, max_wait_s=0.0, breaker=BreakerPolicy())
        seen: list[bytes] = []
        async with client_over(colour, library, beneath) as client:
            for _ in range(3):
                response = await got(client.send(client.build_request("GET", URL), stream=True))
                if colour == "sync":
                    seen.append(next(response.iter_raw()))
                    response.close()
                else:
                    pieces = response.aiter_raw()
                    seen.append(await anext(pieces))
                    await pieces.aclose()
                    await response.aclose()
        return seen

    assert run_in(colour, main) == [b"one"] * 3
    assert script.closed == 3
