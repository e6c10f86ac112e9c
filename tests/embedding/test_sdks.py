"""Our transports under real SDKs: how often a request is sent, and what the SDK's user sees when ours give up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from resilient_poll import BreakerPolicy, RetryBudget, RetryPolicy, TransportProblem
from resilient_poll.drive.clocks import VirtualClock
from tests.embedding.sdks import SDKS, Sdk, says
from tests.support.raw_server import Connection, RawRequest, RawServer, json_answer

ATTEMPTS = 4
each_sdk = pytest.mark.parametrize("sdk", SDKS.values(), ids=SDKS)
Answer = Callable[[RawRequest], bytes]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> None:
    """What the SDKs do between their own attempts is not under test; ours pass on a virtual clock."""
    del clock
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr("runwayml._base_client.INITIAL_RETRY_DELAY", 0.0)


def unwell(_: RawRequest) -> bytes:
    """Answer as a server that is down; replicate's own layer pauses by the header."""
    return json_answer(503, {"error": {"message": "down"}}, {"retry-after": "0"})


def sent(sdk: Sdk, work: Callable[[Any], Any], answer: Answer, transport: Any, *, repeats: bool) -> list[str]:
    """Return the methods of the requests that came, whatever the SDK made of it."""
    with RawServer.answering(answer) as server:
        try:
            sdk.run(work, server.url, transport, repeats=repeats)
        except Exception:  # noqa: BLE001  # what counts is what was sent
            assert server.requests
        return [request.method for request in server.requests]


def patient(sdk: Sdk, **settings: Any) -> Any:
    """Return the standard stack with a known number of attempts."""
    return sdk.transport(retry=RetryPolicy(attempts=ATTEMPTS), **settings)


@each_sdk
def test_two_layers_multiply(sdk: Sdk) -> None:
    """With the SDK's own repeating left on, a question is sent n times m times; the shared budget alone bounds it."""
    assert len(sent(sdk, sdk.ask, unwell, None, repeats=True)) == sdk.own_attempts
    unbounded = patient(sdk, budget=RetryBudget(reserve=1000.0))
    assert len(sent(sdk, sdk.ask, unwell, unbounded, repeats=True)) == sdk.own_attempts * ATTEMPTS
    bounded = len(sent(sdk, sdk.ask, unwell, patient(sdk), repeats=True))
    assert sdk.own_attempts < bounded <= min(sdk.own_attempts * ATTEMPTS, sdk.own_attempts + 12)


@each_sdk
def test_with_the_recipe_one_layer_repeats(sdk: Sdk) -> None:
    """With the SDK's own repeating off, a question is sent exactly as often as RetryPolicy says."""
    assert len(sent(sdk, sdk.ask, unwell, patient(sdk), repeats=False)) == ATTEMPTS


@each_sdk
def test_with_the_recipe_a_create_is_sent_once(sdk: Sdk) -> None:
    """A create whose answer is a 503, or is lost, is sent once; one that a 429 refused is sent again."""
    assert sent(sdk, sdk.create, unwell, patient(sdk), repeats=False) == ["POST"]

    def lose(connection: Connection) -> None:
        if connection.read_request() is not None:
            connection.reset()

    with RawServer(lose) as server:
        with pytest.raises(Exception):  # noqa: B017, PT011  # each has its own, see below
            sdk.run(sdk.create, server.url, patient(sdk), repeats=False)
        assert len(server.requests) == 1

    refused: list[bool] = []

    def busy_once(request: RawRequest) -> bytes:
        refused.append(len(refused) == 0)
        return json_answer(429, {"error": {"message": "busy"}}, {"retry-after": "2"}) if refused[-1] else says(request)

    assert sent(sdk, sdk.create, busy_once, patient(sdk), repeats=False) == ["POST", "POST"]


@each_sdk
def test_without_the_recipe_a_create_may_be_paid_for_thrice(sdk: Sdk) -> None:
    """What two of the three SDKs do by themselves after a lost answer: the same POST three times."""

    def lose(connection: Connection) -> None:
        if connection.read_request() is not None:
            connection.reset()

    with RawServer(lose) as server:
        with pytest.raises(Exception):  # noqa: B017, PT011  # each has its own
            sdk.run(sdk.create, server.url, None, repeats=True)
        assert len(server.requests) == (1 if sdk.name == "replicate" else 3)


def give_up_late(connection: Connection) -> None:
    """Hear a request and say nothing."""
    connection.read_request()
    connection.hang()


def ask_for_an_hour(connection: Connection) -> None:
    """Refuse a request for an hour."""
    if connection.read_request() is not None:
        connection.send(json_answer(429, {"error": {"message": "busy"}}, {"retry-after": "3600"}))


def be_broken(connection: Connection) -> None:
    """Answer every request with a fault."""
    while connection.read_request() is not None:
        connection.send(json_answer(500, {"error": {"message": "broken"}}))


PROBLEMS = {
    "TotalTimeout": (give_up_late, {"total_s": 0.05}),
    "ComeBackLater": (ask_for_an_hour, {}),
    "CircuitOpen": (be_broken, {"breaker": BreakerPolicy(least_calls=1)}),
}


@each_sdk
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_user_sees_the_errors_of_the_sdk(sdk: Sdk, problem: str) -> None:
    """What a transport of ours gives up for is the SDK's own error, caused by ours, or ours and httpx's in one."""
    script, settings = PROBLEMS[problem]
    transport = sdk.transport(**settings) if problem != "TotalTimeout" else _in_real_time(sdk)
    with RawServer(script) as server, pytest.raises(Exception) as caught:  # noqa: PT011  # looked at below
        sdk.run(sdk.ask, server.url, transport, repeats=False)
    ours = caught.value.__cause__ if sdk.name != "replicate" else caught.value
    assert isinstance(ours, TransportProblem)
    assert type(ours) is sdk.problem(problem)
    assert isinstance(ours, httpx.TransportError if sdk.library == "httpx" else httpx2.TransportError)
    assert isinstance(caught.value, sdk.timeout_error if problem == "TotalTimeout" else sdk.connection_error)
    if problem == "ComeBackLater":
        assert ours.come_back_in_s == 3600.0


def _in_real_time(sdk: Sdk) -> Any:
    """Return a stack whose total time passes really: nothing else makes a server that hangs be given up."""
    from resilient_poll.drive.clocks import RealAsyncClock, RealClock  # noqa: PLC0415  # RealClock is patched elsewhere

    class Late:
        """Made when it is asked: the loop's clock wants a loop."""

        def now(self) -> Any:
            return RealAsyncClock().now()

        def sleep(self, seconds: float) -> Any:
            return RealAsyncClock().sleep(seconds)

    return sdk.transport(total_s=0.05, clock=Late() if sdk.is_awaited else RealClock())
