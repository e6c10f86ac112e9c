"""Nothing secret leaves by telemetry (property 9): no key, no prompt, no signed URL, whatever a service says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from fake_server.scenario import shipped_scenarios
from resilient_poll import ResilientPollError
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.transports.httpx import resilient_transport
from tests.security.canary_service import CanaryService
from tests.security.hearing import leaks
from tests.security.test_canary_key import ACCEPTED, KEY, TO_CREATES, TO_QUERIES, assert_key_stayed_home
from tests.support.colours import MODEL, dashscope_client, got, run_in
from tests.support.raw_server import Connection, RawServer, json_answer
from tests.telemetry.hearing import Exported

PROMPT = "a cat that nobody may hear of"
INPUT = {"prompt": PROMPT}
DIALECTS = ("aisa", "dashscope")
SCENARIOS = ["succeeds", "fails-by-policy", "refused-create", "throttled-poll", "bad-gateway", "create-answer-lost"]


def tell(to_create: bytes, to_query: bytes, dialect: str) -> Exported:
    """Submit and wait at a service that answers so, over a transport of ours, all with one handler."""
    clock = VirtualClock()
    exported = Exported(clock)

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            assert request.headers["authorization"] == f"Bearer {KEY}", "a key that is not sent proves nothing"
            assert request.method == "GET" or PROMPT.encode() in request.everything
            said = to_create if request.method == "POST" else to_query
            connection.send(said)
            if b"content-length" not in said:
                return

    async def main() -> None:
        options = {"transport": resilient_transport(httpx.HTTPTransport(verify=False), clock=clock, on_event=exported)}
        async with dashscope_client(
            "sync", "httpx", server.url, options, dialect=dialect, api_key=KEY, clock=clock, on_event=exported
        ) as client:
            with suppress(ResilientPollError):
                task = await got(client.submit(MODEL, INPUT, timeout=20.0))
                await got(task.wait(timeout=20.0))

    with RawServer(script) as server:
        run_in("sync", main)
    exported.telemetry.close()
    return exported


def assert_nothing_stands_in(exported: Exported) -> None:
    said = exported.said()
    assert len(said) > 3, "telemetry that says nothing proves nothing"
    assert_key_stayed_home(said)
    assert not [text for text in said if PROMPT in text]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", TO_CREATES)
def test_a_create_that_echoes_the_key_is_not_exported(what: str, dialect: str) -> None:
    """Whatever a service says to a create, no span and no metric has the key or the prompt."""
    assert_nothing_stands_in(tell(TO_CREATES[what](dialect), b"", dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("what", TO_QUERIES)
def test_a_query_that_echoes_the_key_is_not_exported(what: str, dialect: str) -> None:
    """Whatever a service says to a query, no span and no metric has the key or the prompt."""
    assert_nothing_stands_in(tell(json_answer(200, ACCEPTED), TO_QUERIES[what](dialect), dialect))


@pytest.fixture(scope="module")
def service() -> Iterator[CanaryService]:
    """A service whose keys are canaries, on a clock that nobody waits for."""
    running = CanaryService(manual=True)
    yield running
    running.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_a_scenario_nothing_is_exported(service: CanaryService, name: str) -> None:
    """In ordinary and odd scenarios on a socket no disguise of the key, no prompt and no signature is exported."""
    assert name in shipped_scenarios()
    key, world = service.open_world(name)
    clock = VirtualClock(on_sleep=world.clock.advance)
    exported = Exported(clock)

    async def main() -> None:
        async with dashscope_client(
            "sync", "httpx", f"{service.url}/apis/v1", dialect="aisa", api_key=key, clock=clock, on_event=exported
        ) as client:
            with suppress(ResilientPollError):
                task: Any = client.submit(MODEL, INPUT, timeout=60.0)
                task.wait(timeout=120.0)

    run_in("sync", main)
    exported.telemetry.close()
    said = exported.said()
    assert world.engine.journal.counters["create_requests"] > 0, "a key that is not sent proves nothing"
    assert len(said) > 3
    assert not leaks(key, said), leaks(key, said)[0]
    assert not [text for text in said if PROMPT in text or "Signature=" in text or "Expires=" in text]
