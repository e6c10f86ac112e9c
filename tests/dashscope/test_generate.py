"""Results that come at once: sent once, kept whatever they look like, never said to be free, never lost unsaid."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from enum import Enum
from itertools import count
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import trio
from hypothesis import strategies as st

from resilient_poll import (
    AsyncDashScope,
    Billing,
    ConfigurationError,
    DashScope,
    DirectOutcome,
    Endpoint,
    ErrorKind,
    ResilientPollError,
    ResultAtOnce,
    StillGoing,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitRefused,
    SubmitThrottled,
)
from resilient_poll.dashscope import direct
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event
from tests.dashscope.scripted import EACH, KEY, Asked, Broken, Reply, a_client
from tests.properties.test_02_nothing_forgotten import interrupted_at, log_of_the_package
from tests.support.colours import got, run_in
from tests.support.properties import Property

URL = "https://assets.test/a.png?Signature=x"
MODEL, INPUT = "qwen-image", {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}
BLOCKED = {"code": "DataInspectionFailed", "message": "not allowed"}
in_each_way = pytest.mark.parametrize(("colour", "library"), EACH)


def images(*parts: Any, made: int) -> dict[str, Any]:
    content = {"choices": [{"message": {"content": [part]}} for part in parts]}
    return {"request_id": "r-1", "output": content, "usage": {"image_count": made}}


class Fate(Enum):
    """What becomes of one request; what was made of it is billed, whatever was answered."""

    MADE = "made, answered"
    MADE_TEXT = "a text, answered"
    MADE_ODD = "made, answered in a shape that nobody listed"
    MADE_PARTLY = "one of two was made"
    ALL_FAILED = "worked on, nothing was made"
    MADE_LOST = "made, the answer is lost"
    MADE_RESET = "made, the connection is reset"
    MADE_BUT_500 = "made, a gateway answers 500"
    MADE_BUT_HTML_429 = "made, a gateway answers 429 with a page of its own"
    MADE_BUT_408 = "made, answered 408"
    MADE_BUT_409 = "made, answered 409"
    MADE_GARBLED = "made, the answer is cut"
    MADE_EMPTY = "made, the answer holds nothing"
    MADE_REDIRECT = "made, a gateway redirects"
    TASK_INSTEAD = "a task was made of it"
    NOT_CONNECTED = "never arrived: no connection"
    LOST_ON_THE_WAY = "never arrived, after its body was sent"
    THROTTLED = "refused for now"
    REFUSED = "refused"


MAKING = frozenset(fate for fate in Fate if fate.name.startswith("MADE"))
KEPT = {
    Fate.MADE: images({"image": URL}, made=1),
    Fate.MADE_TEXT: {"request_id": "r-1", "output": {"choices": [{"message": {"content": [{"text": "three cats"}]}}]}},
    Fate.MADE_ODD: {"request_id": "r-1", "data": [{"b64_json": "dGhyZWUgY2F0cw=="}]},
    Fate.MADE_PARTLY: images({"image": URL}, BLOCKED, made=1),
    Fate.ALL_FAILED: images(BLOCKED, BLOCKED, made=0),
}


class Studio:
    """A synchronous endpoint that keeps the truth, while the network around it may not.

    Args:
        fates: What becomes of each request, in order; the last repeats.
        library: Whose errors the network raises.
        dialect: How refusals are worded.
    """

    def __init__(self, fates: Sequence[Fate], library: ModuleType = httpx, dialect: str = "dashscope") -> None:
        self._fates = fates
        self._library = library
        self._dialect = dialect
        self.arrived = self.made = self.tasks = 0
        self.sent = 0

    def transport(self) -> Any:
        """Return a transport of the library, for both colours; a body is read only where it is sent."""
        studio, library = self, self._library

        class Wire(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]  # chosen at run time
            def handle_request(self, request: Any) -> Any:
                fate = studio.connect(request)
                request.read()
                return studio.answer(fate, request)

            async def handle_async_request(self, request: Any) -> Any:
                fate = studio.connect(request)
                await request.aread()
                return studio.answer(fate, request)

        return Wire()

    def connect(self, request: Any) -> Fate:
        fate = self._fates[min(self.sent, len(self._fates) - 1)]
        self.sent += 1
        if fate is Fate.NOT_CONNECTED:
            raise self._library.ConnectError("connection refused", request=request)
        return fate

    def answer(self, fate: Fate, request: Any) -> Any:
        self.made += fate in MAKING
        self.tasks += fate is Fate.TASK_INSTEAD
        if fate in KEPT:
            return self._json(200, KEPT[fate])
        match fate:
            case Fate.TASK_INSTEAD:
                return self._json(200, {"output": {"task_id": "task-1", "task_status": "PENDING"}})
            case Fate.MADE_LOST | Fate.LOST_ON_THE_WAY:
                raise self._library.ReadTimeout("no answer", request=request)
            case Fate.MADE_RESET:
                raise self._library.ReadError("connection reset", request=request)
            case Fate.MADE_BUT_500:
                return self._json(500, self._error("InternalError"))
            case Fate.MADE_BUT_HTML_429:
                return self._library.Response(429, headers={"retry-after": "1"}, text="<html>slow down</html>")
            case Fate.MADE_BUT_408 | Fate.MADE_BUT_409:
                return self._json(int(fate.name[-3:]), self._error("RequestTimeOut"))
            case Fate.MADE_GARBLED:
                return self._library.Response(200, text='{"output": {"choices": [')
            case Fate.MADE_EMPTY:
                return self._json(200, {"request_id": "r-1", "output": {"task_status": "SUCCEEDED"}})
            case Fate.MADE_REDIRECT:
                return self._library.Response(307, headers={"location": str(request.url)})
            case Fate.THROTTLED:
                return self._json(
                    429, self._error("Throttling" if self._dialect == "dashscope" else "rate_limit_exceeded")
                )
            case _:
                return self._json(400, self._error("InvalidParameter"))

    def _error(self, code: str) -> dict[str, Any]:
        if self._dialect == "aisa":
            return {"error": {"type": "error", "code": code, "message": "no", "request_id": "r"}}
        return {"code": code, "message": "no", "request_id": "r"}

    def _json(self, status: int, body: dict[str, Any]) -> Any:
        content = json.dumps(body).encode()
        return self._library.Response(status, headers={"content-type": "application/json"}, content=content)


def options(dialect: str = "dashscope") -> dict[str, Any]:
    return {"dialect": dialect, "api_key": KEY, "base_url": "http://api.test/v1", "make_seed": lambda: "seed"}


def generate(
    studio: Studio, colour: str, library: ModuleType, dialect: str
) -> tuple[DirectOutcome | ResilientPollError, list[str], float]:
    """Ask for one result and return what came of it, the events, and how long it took on the client's clock."""
    clock, events = VirtualClock(), list[Event]()

    async def main() -> Any:
        if colour == "sync":
            with library.Client(transport=studio.transport(), verify=False) as http_client:
                client = DashScope(**options(dialect), http_client=http_client, clock=clock, on_event=events.append)
                return client.generate(MODEL, INPUT, timeout=60)
        async with library.AsyncClient(transport=studio.transport(), verify=False) as http_client:
            awaiting = AsyncDashScope(
                **options(dialect), http_client=http_client, clock=clock.for_async(), on_event=events.append
            )
            return await awaiting.generate(MODEL, INPUT, timeout=60)

    try:
        result = run_in(colour, main)
    except ResilientPollError as error:
        result = error
    return result, [str(event) for event in events], clock.now().monotonic_s


def pays_once_and_says_the_truth(fates: Sequence[Fate], colour: str, library: ModuleType, dialect: str) -> None:
    studio = Studio(fates, library, dialect)
    result, _, took_s = generate(studio, colour, library, dialect)
    assert studio.made + studio.tasks <= 1, "made twice"
    assert took_s <= 60.0
    match result:
        case DirectOutcome():
            assert studio.tasks == 0
            fate = fates[min(studio.sent, len(fates)) - 1]
            assert result.result == KEPT[fate]
            assert result.billing is (Billing.BILLED if studio.made else Billing.NONE)
            assert result.attempts == studio.sent
        case SubmitInDoubt():
            assert "may be billed" in str(result)
            assert not result.safe_to_submit_again
        case StillGoing():
            assert (studio.tasks, result.task_id, result.resume_token is not None) == (1, "task-1", True)
        case SubmitRefused() | SubmitThrottled() | SubmitNotSent():
            assert studio.made == studio.tasks == 0, "said to be safe to send again, and it was made"
            assert result.safe_to_submit_again
        case _:
            raise AssertionError(f"an error of another kind: {result!r}")


TRUTH = Property(
    pays_once_and_says_the_truth,
    fates=st.lists(st.sampled_from(list(Fate)), min_size=1, max_size=4),
    colour=st.sampled_from(["sync", "sync", "asyncio", "trio"]),
    library=st.sampled_from([httpx, httpx2]),
    dialect=st.sampled_from(["dashscope", "aisa"]),
    examples=400,
)


def test_a_result_is_paid_once_and_what_is_said_of_it_is_true() -> None:
    """Whatever becomes of a request, at most one is made, what came is kept whole, and nothing made is called free."""
    TRUTH.holds()


def test_a_result_that_is_thrown_away_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what made nothing is said of every result."""
    monkeypatch.setattr(direct, "made_nothing", lambda _: True)
    TRUTH.catches_the_planted_fault()


@pytest.mark.parametrize("dialect", ["dashscope", "aisa"])
@pytest.mark.parametrize("fate", Fate, ids=lambda fate: fate.name)
def test_every_colour_does_alike(fate: Fate, dialect: str) -> None:
    """Blocking code, asyncio and trio, with either library, send, wait, tell and end alike."""

    def trace(colour: str, library: ModuleType) -> list[Any]:
        studio = Studio([Fate.THROTTLED, fate, Fate.MADE], library, dialect)
        result, events, took_s = generate(studio, colour, library, dialect)
        ended = result.result if isinstance(result, DirectOutcome) else f"{type(result).__name__} {result}"
        return [ended, events, took_s, studio.sent, studio.made]

    ways = [(colour, library) for colour in ("sync", "asyncio", "trio") for library in (httpx, httpx2)]
    first, *others = [trace(*way) for way in ways]
    assert first[1], "an empty trace proves nothing"
    assert all(other == first for other in others)


# What is said of a doubt.


@in_each_way
def test_a_doubt_says_that_nothing_can_be_found(colour: str, library: str) -> None:
    """A lost answer is one request, an error that speaks of money and of no task to look for, and a line in the log."""
    asked: list[Asked] = []

    def answers(question: Asked) -> Broken:
        asked.append(question)
        return Broken("ReadTimeout")

    async def main() -> SubmitInDoubt:
        async with a_client(colour, library, answers) as client:
            with pytest.raises(SubmitInDoubt) as caught:
                await got(client.generate(MODEL, INPUT))
            return caught.value

    with log_of_the_package() as log:
        error = run_in(colour, main)
    assert len(asked) == 1
    assert "there is no task by which the result could be found" in str(error)
    assert str(error) in log


@in_each_way
def test_a_doubt_says_why(colour: str, library: str) -> None:
    """A server error in the place of an answer is in doubt, and the error has its code, kind, status and request."""
    body = {"code": "InternalError", "message": f"oops {KEY}", "request_id": "r-7"}

    async def main() -> SubmitInDoubt:
        async with a_client(colour, library, lambda _: Reply(500, body)) as client:
            with pytest.raises(SubmitInDoubt) as caught:
                await got(client.generate(MODEL, INPUT))
            return caught.value

    error = run_in(colour, main)
    assert (error.code, error.http_status, error.request_id) == ("InternalError", 500, "r-7")
    assert error.kind is ErrorKind.UPSTREAM
    assert not error.try_again
    assert KEY not in str(error) + repr(error.__dict__)


# Interruptions.

OUT = [Fate.MADE, Fate.MADE_TEXT, Fate.MADE_BUT_500, Fate.TASK_INSTEAD]


def interrupt_everywhere(fates: Sequence[Fate], call: str) -> dict[str, int]:
    """Press Ctrl-C at every line of a call in turn, and return how often that was before, during and after."""
    struck = {"nothing made": 0, "result told": 0, "doubt told": 0}
    for line in count(1):
        studio = Studio(fates)
        with log_of_the_package() as log, httpx.Client(transport=studio.transport(), verify=False) as http_client:
            client = DashScope(**options(), http_client=http_client, clock=VirtualClock())
            try:
                with interrupted_at(line):
                    if call == "generate":
                        client.generate(MODEL, INPUT)
                    else:
                        client.submit(MODEL, INPUT, endpoint="/services/any/thing")
            except KeyboardInterrupt:
                told = "\n".join(log)
                if not studio.made:
                    struck["nothing made"] += 1
                elif "a.png" in told or "three cats" in told or "dGhyZWUgY2F0cw==" in told:
                    struck["result told"] += 1
                else:
                    assert "may be billed" in told or "will be billed" in told, (
                        f"line {line}: made, and nobody was told"
                    )
                    struck["doubt told"] += 1
            except ResilientPollError:
                return struck
            else:
                return struck
    raise AssertionError


@pytest.mark.parametrize("fate", [Fate.MADE, Fate.MADE_TEXT, Fate.MADE_ODD, Fate.MADE_LOST], ids=lambda fate: fate.name)
def test_control_c_at_any_line_loses_no_result_unsaid(fate: Fate) -> None:
    """Ctrl-C at any line of ``generate()`` leaves the result itself, or the word that it may be billed, in the log."""
    struck = interrupt_everywhere([fate], "generate")
    assert struck["nothing made"] > 20
    assert struck["doubt told"] > 5
    assert (struck["result told"] > 5) is (fate is not Fate.MADE_LOST)


def test_control_c_in_a_submit_loses_no_result_unsaid() -> None:
    """The same holds where a result comes in the place of a task."""
    assert interrupt_everywhere([Fate.MADE], "submit")["result told"] > 5


def test_an_interruption_that_says_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a broken-off request logs nothing."""
    monkeypatch.setattr(ClientCore, "broken_off", lambda *parts: None)  # noqa: ARG005  # the planted fault
    with pytest.raises(AssertionError, match="nobody was told"):
        interrupt_everywhere([Fate.MADE], "generate")


@pytest.mark.parametrize(
    "fate", [Fate.MADE, Fate.MADE_TEXT, Fate.MADE_BUT_500, Fate.TASK_INSTEAD], ids=lambda f: f.name
)
@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancellation_while_it_is_out_loses_nothing_unsaid(colour: str, fate: Fate) -> None:
    """A cancellation while the request is out does not cut it: what came of it is in the log, then it takes effect."""
    studio = Studio([fate])
    is_out: list[Any] = []

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.aread()
            is_out[0].set()
            for _ in range(20):
                await (asyncio if colour == "asyncio" else trio).sleep(0)  # real: lets the cancellation arrive
            response: httpx.Response = studio.answer(fate, request)
            return response

    async def ask() -> None:
        async with httpx.AsyncClient(transport=Slow(), verify=False) as http_client:
            client = AsyncDashScope(**options(), http_client=http_client, clock=VirtualClock().for_async())
            await client.generate(MODEL, INPUT)

    async def in_asyncio() -> None:
        is_out.append(asyncio.Event())
        asking = asyncio.ensure_future(ask())
        await is_out[0].wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def in_trio() -> None:
        is_out.append(trio.Event())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await is_out[0].wait()
            nursery.cancel_scope.cancel()

    with log_of_the_package() as log:
        asyncio.run(in_asyncio()) if colour == "asyncio" else trio.run(in_trio)
    expected = {Fate.MADE: URL, Fate.MADE_TEXT: "three cats", Fate.TASK_INSTEAD: "task task-1 was accepted"}
    assert expected.get(fate, "it may be billed, and there is no task") in "\n".join(log)
    assert studio.made + studio.tasks == 1


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_whoever_is_cancelled_already_asks_for_nothing(colour: str) -> None:
    """A call from a scope that is cancelled already sends nothing and owes nothing."""
    studio = Studio([Fate.MADE])

    async def ask() -> None:
        async with httpx.AsyncClient(transport=studio.transport(), verify=False) as http_client:
            client = AsyncDashScope(**options(), http_client=http_client, clock=VirtualClock().for_async())
            await client.generate(MODEL, INPUT)

    async def in_asyncio() -> None:
        asking = asyncio.ensure_future(ask())
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def in_trio() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ask()

    asyncio.run(in_asyncio()) if colour == "asyncio" else trio.run(in_trio)
    assert studio.sent == 0


# A result where a task was asked for, and the reverse.


@in_each_way
def test_a_result_in_the_place_of_a_task_is_in_the_error_and_in_the_log(
    colour: str, library: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a submit is answered with the result itself, the error holds it, and so does the log, at WARNING."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    body = {"request_id": "r-1", "output": {"results": [{"url": URL}, BLOCKED]}, "usage": {"image_count": 1}}

    async def main() -> ResultAtOnce:
        async with a_client(colour, library, lambda _: Reply(200, body)) as client:
            with pytest.raises(ResultAtOnce) as caught:
                await got(client.submit(MODEL, INPUT, endpoint="text-to-image"))
            return caught.value

    error = run_in(colour, main)
    assert error.outcome.urls == (URL,)
    assert len(error.outcome.failures) == 1
    assert (error.outcome.billing, error.outcome.extension) == (Billing.BILLED, "png")
    assert not error.safe_to_submit_again
    assert any(URL in record.getMessage() for record in caplog.records)


@in_each_way
def test_a_task_in_the_place_of_a_result_can_be_waited_for(colour: str, library: str) -> None:
    """Where a request for a result makes a task, the error's token goes on with it, and nothing is sent again."""
    sent = []

    def answers(question: Asked) -> Reply:
        if question.method == "POST":
            sent.append(question)
            return Reply(200, {"output": {"task_id": "task-1", "task_status": "RUNNING"}})
        return Reply(200, {"output": {"task_id": "task-1", "task_status": "SUCCEEDED", "results": [{"url": URL}]}})

    async def main() -> Any:
        async with a_client(colour, library, answers) as client:
            with pytest.raises(StillGoing, match="made a task of it") as caught:
                await got(client.generate(MODEL, INPUT))
            return await got(client.task(caught.value.resume_token).wait())

    assert run_in(colour, main).urls == (URL,)
    assert len(sent) == 1


# Where it goes.


@in_each_way
def test_a_request_is_the_documented_one(colour: str, library: str) -> None:
    """A result is asked for at the synchronous endpoint, without the async header, with model, input and parameters."""
    asked: list[Asked] = []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return Reply(200, KEPT[Fate.MADE])

    async def main() -> DirectOutcome:
        async with a_client(colour, library, answers) as client:
            await got(client.generate(MODEL, INPUT, {"n": 1}))
            outcome: DirectOutcome = await got(client.generate("tts", {"text": "hi"}, endpoint="/services/audio/tts"))
            return outcome

    outcome = run_in(colour, main)
    assert (outcome.urls, outcome.extension, outcome.request_id) == ((URL,), "bin", "r-1")
    assert [question.path for question in asked] == [
        "/v1" + ENDPOINTS["image-synchronous"].path,
        "/v1/services/audio/tts",
    ]
    assert json.loads(asked[0].body) == {"model": MODEL, "input": INPUT, "parameters": {"n": 1}}
    assert all("x-dashscope-async" not in question.headers for question in asked)
    assert all(question.headers["authorization"] == f"Bearer {KEY}" for question in asked)


@in_each_way
def test_an_endpoint_of_tasks_is_refused(colour: str, library: str) -> None:
    """A documented endpoint of tasks is no place to ask for results, and the reverse; nothing is sent."""

    async def main() -> None:
        async with a_client(colour, library, lambda _: pytest.fail("something was sent")) as client:
            for name in set(ENDPOINTS) - {"image-synchronous"}:
                with pytest.raises(ConfigurationError, match=r"use submit\(\)"):
                    await got(client.generate(MODEL, INPUT, endpoint=name))
            with pytest.raises(ConfigurationError, match=r"use generate\(\)"):
                await got(client.submit(MODEL, INPUT, endpoint="image-synchronous"))

    run_in(colour, main)


def test_an_endpoint_of_ones_own_keeps_its_extension() -> None:
    """An endpoint that the caller describes gives its results its own file extension."""
    endpoint = Endpoint("speech", "/services/audio/tts", "speech", "wav")

    async def main() -> DirectOutcome:
        async with a_client("sync", "httpx", lambda _: Reply(200, KEPT[Fate.MADE_TEXT])) as client:
            outcome: DirectOutcome = client.generate(MODEL, INPUT, endpoint=endpoint)
            return outcome

    assert run_in("sync", main).extension == "wav"
