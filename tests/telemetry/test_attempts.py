"""Attempts: what transports tell alone, and together with a client above them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio.lowlevel
import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from resilient_poll import Backoff, BreakerPolicy, CircuitOpen, Lifecycle, Phase, Rate, RetryPolicy, poll, poll_async
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in
from tests.telemetry.hearing import Exported, serving
from tests.telemetry.test_spans import about, parent_of
from tests.transports.scripted import EACH_WAY, Says, Script, client_over, inner_of, transport

URL = "https://user:hunter2@api.test/thing?Signature=hunter3"
each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
each_colour = pytest.mark.parametrize("colour", COLOURS)
RETRY = RetryPolicy(attempts=4, backoff=Backoff(1.0, 8.0, 0.5))


def ask(colour: str, library: str, answers: list[Says], name: str = "RetryTransport", **options: Any) -> Exported:
    """Ask three times over a transport alone, in a span of the caller's, and return what it told."""
    clock = VirtualClock()
    exported = Exported(clock)

    async def main() -> None:
        script = Script(answers, clock)
        over = transport(colour, library, name, inner_of(library, script), clock=clock, on_event=exported, **options)
        async with client_over(colour, library, over) as client:
            with exported.provider.get_tracer("caller").start_as_current_span("caller"):
                for _ in range(3):
                    with suppress(CircuitOpen):
                        await got(client.get(URL))

    run_in(colour, main)
    return exported


@each_way
def test_attempts_of_a_transport_alone_are_counted(colour: str, library: str) -> None:
    """Each attempt is a span beneath what is current, with the number of resendings, its status and its own time."""
    answers = [Says(503, after_s=0.25), Says(None, fails="ConnectError"), Says(200, after_s=0.5), Says(200)]
    exported = ask(colour, library, answers, policy=RETRY)
    first, second, third, *rest = exported.attempts
    assert [about(span).get("http.request.resend_count") for span in (first, second, third)] == [None, 1, 2]
    assert [about(span).get("http.response.status_code") for span in (first, second, third)] == [503, None, 200]
    assert [about(span).get("error.type") for span in (first, second, third)] == ["503", "ConnectError", None]
    assert [span.status.status_code for span in (first, second, third)] == [StatusCode.ERROR] * 2 + [StatusCode.UNSET]
    assert [(span.end_time - span.start_time) / 1e9 for span in (first, second, third)] == pytest.approx(
        [0.25, 0.0, 0.5], abs=1e-6
    )
    assert len(rest) == 2
    assert {parent_of(span, exported.spans).name for span in exported.attempts} == {"caller"}
    assert about(first) == {
        "error.type": "503",
        "http.request.method": "GET",
        "http.response.status_code": 503,
        "server.address": "api.test",
        "server.port": 443,
        "url.full": "https://api.test/thing",
        "url.scheme": "https",
    }
    assert first.name == "GET"
    ((found, (_, count)),) = exported.points("resilient_poll.wait.duration")
    assert (found["resilient_poll.wait.reason"], count) == ("retry", 2)
    assert "hunter" not in "".join(exported.said())


@each_way
def test_a_breakers_moves_and_pauses_are_measured(colour: str, library: str) -> None:
    """A breaker that opens is counted by where it went, and a request that waits for its turn by what held it back."""
    policy = BreakerPolicy(least_calls=2, open_s=5.0)
    opened = ask(colour, library, [Says(503)], "CircuitBreakerTransport", policy=policy)
    assert opened.points("resilient_poll.breaker.moves") == [({"resilient_poll.breaker.state": "open"}, 1)]
    held = ask(colour, library, [Says(200)], "RateLimitTransport", rate=Rate(1, 10.0), max_wait_s=100.0)
    (found,) = held.points("resilient_poll.wait.duration")
    assert found[0] == {"resilient_poll.wait.reason": "rate"}
    assert found[1][1] == 2


@each_colour
@pytest.mark.parametrize("hears_both", [True, False], ids=["both hear", "only the client hears"])
def test_a_client_over_a_transport_tells_each_attempt_once(colour: str, hears_both: bool) -> None:
    """With one handler for a client and the transport beneath, each HTTP attempt is one span, beneath its task's."""
    served = serving("bad-gateway")
    exported = served.exported

    async def main() -> Any:
        over = transport(
            colour, "httpx", "RetryTransport", served.transport(), policy=RETRY, clock=served.clock,
            on_event=exported if hears_both else None,
        )  # fmt: skip
        async with served.client(colour, transport=over) as client:
            return await got((await got(client.submit(MODEL, INPUT))).wait())

    outcome = run_in(colour, main)
    (task,) = exported.tasks
    assert all(parent_of(span, exported.spans) is task for span in exported.attempts)
    resent = [span for span in exported.attempts if "http.request.resend_count" in about(span)]
    counters = served.engine.journal.counters
    if hears_both:
        assert resent
        assert {about(span)["error.type"] for span in exported.attempts if "error.type" in about(span)} == {"502"}
        assert len(exported.attempts) == counters["requests"]
        assert "Retrying" in {event.name for event in task.events}
    else:
        # What was sent beneath, and again, is one request of the client's.
        assert not resent
        assert len(exported.attempts) == 1 + outcome.polls
    assert counters["create_requests"] == 1


LIFECYCLE = Lifecycle("jobs", {"going": Phase.RUNNING, "done": Phase.SUCCEEDED, "broken": Phase.FAILED})


@each_way
def test_a_poll_of_any_api_is_a_span(colour: str, library: str) -> None:
    """A call of poll() is a span; attempts of a transport beneath its query lie beneath it, and calls do not mix."""
    clock = VirtualClock()
    exported = Exported(clock)

    async def main() -> None:
        script = Script([Says(200), Says(503), Says(200), Says(200), Says(200)], clock)
        over = transport(
            colour, library, "RetryTransport", inner_of(library, script), policy=RETRY, clock=clock, on_event=exported
        )
        async with client_over(colour, library, over) as client:

            async def asked() -> str:
                assert not trace.get_current_span().get_span_context().is_valid
                await client.get(URL)
                return "done" if len(script.requests) > 3 else "going"

            def asks() -> str:
                client.get(URL)
                return "done" if len(script.requests) > 3 else "going"

            for task_id in ("thing", "(unnamed)"):
                if colour == "sync":
                    poll(asks, lifecycle=LIFECYCLE, task_id=task_id, clock=clock, on_event=exported)
                else:
                    await poll_async(
                        asked, lifecycle=LIFECYCLE, task_id=task_id, clock=clock.for_async(), on_event=exported
                    )

    run_in(colour, main)
    first, second = exported.tasks
    assert about(first)["resilient_poll.task.id"] == "thing"
    assert [about(span)["resilient_poll.polls"] for span in (first, second)] == [3, 1]
    assert [parent_of(span, exported.tasks) for span in exported.attempts] == [first] * 4 + [second]
    assert [about(span).get("http.request.resend_count") for span in exported.attempts] == [None, None, 1, None, None]
    assert exported.points("resilient_poll.task.polls")
    kinds = exported.kinds()
    assert (kinds[0], kinds[-1]) == ("WaitBegan", "WaitEnded")


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_polls_side_by_side_do_not_mix(colour: str) -> None:
    """Several calls of poll_async() with the same name at the same time have a span each, with their own polls."""
    clock = VirtualClock()
    exported = Exported(clock)

    async def one(polls: int) -> None:
        asked = 0

        async def ask_once() -> str:
            nonlocal asked
            asked += 1
            await anyio.lowlevel.checkpoint()
            return "done" if asked == polls else "going"

        await poll_async(ask_once, lifecycle=LIFECYCLE, timeout=1e6, clock=clock.for_async(), on_event=exported)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for polls in range(1, 8):
                group.start_soon(one, polls)

    run_in(colour, main)
    assert sorted(about(span)["resilient_poll.polls"] for span in exported.tasks) == list(range(1, 8))
