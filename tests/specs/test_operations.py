"""Running a declared operation over a caller's own client: what is sent, what is not, and what comes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from resilient_poll import (
    AsyncOperation,
    CancelCall,
    CancelRefused,
    ConfigurationError,
    Hint,
    InBody,
    InHeader,
    Lifecycle,
    Operation,
    OperationSpec,
    Phase,
    QueryCall,
    ResultUnreadable,
    StillRunning,
    SubmitCall,
    SubmitInDoubt,
    WaitPolicy,
    poll,
    poll_async,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.specs.ready import AZURE_LOCATION, AZURE_OPERATION_LOCATION, OPENAI_VIDEOS
from resilient_poll.transports.httpx import resilient_transport
from tests.specs.services import BY_NAME, CUT, KEY, WAYS, Run, Scripted
from tests.support.colours import COLOURS, LIBRARIES, got, run_in
from tests.support.raw_server import Connection, RawRequest, RawServer, http_answer, json_answer

each_way = pytest.mark.parametrize(("colour", "library"), WAYS)
each_colour = pytest.mark.parametrize("colour", COLOURS)
SPEC = OperationSpec(
    name="paint",
    submit=SubmitCall(url="/pictures", id="id"),
    query=QueryCall(url="/pictures/{id}"),
    cancel=CancelCall(method="DELETE", url="/pictures/{id}"),
    status="status",
    progress="percent",
    lifecycle=Lifecycle.of(running=["running"], succeeded=["done"], canceled=["gone"]),
)
RUNNING, DONE = {"id": "7", "status": "running", "percent": 40}, {"id": "7", "status": "done"}


def answers(*rows: bytes) -> RawServer:
    """Return a server that gives these answers, the last for ever."""
    rest = list(rows)
    return RawServer.answering(lambda _: rest.pop(0) if len(rest) > 1 else rest[0])


def with_operation(
    colour: str,
    library: str,
    server: RawServer,
    act: Callable[[Any, Run], Any],
    spec: OperationSpec = SPEC,
    **client: Any,
) -> Any:
    """Start an operation against a server, and do something with it."""
    run = Run(colour, library, server.url)

    async def main() -> Any:
        async with run.client(**client):
            operation = await got(run.face.start(spec, run.http_client, {"prompt": "a cat"}, **run.options))
            return await got(act(operation, run))

    return run_in(colour, main)


@each_way
def test_the_service_may_name_another_url_with_each_answer(colour: str, library: str) -> None:
    """A header-driven wait asks where the last answer that named a URL said, exactly so, and keeps to it."""
    scripted = Scripted(BY_NAME["azure-location"], ["queued", "running", "succeeded"])
    with scripted.server as server:
        run = Run(colour, library, server.url)

        async def main() -> Any:
            async with run.client(params={"tenant": "t"}):
                return await got((await run.start(scripted.service)).wait())

        run_in(colour, main)
    asked = [request.path for request in server.requests if request.method == "GET"]
    assert asked == ["/operationresults/7", "/operationresults/7/next", "/operationresults/7/next"]


@each_way
def test_an_answer_at_once_is_the_result(colour: str, library: str) -> None:
    """Where a create may be answered with the result itself, nothing is asked about and the outcome is there."""
    with answers(json_answer(200, {"picture": 1})) as server:
        run = Run(colour, library, server.url)

        async def main() -> Any:
            async with run.client():
                operation = await got(run.face.start(AZURE_LOCATION, run.http_client, {}, url="/x", **run.options))
                return await got(operation.wait())

        outcome = run_in(colour, main)
    assert (outcome.result, outcome.polls, len(server.requests)) == ({"picture": 1}, 0, 1)


@each_way
def test_a_result_that_cannot_be_fetched_is_asked_for_again(colour: str, library: str) -> None:
    """A failed fetch of a result is repeated a few times; the success stays, and ends as ResultUnreadable."""
    spec = OperationSpec(
        name="paint",
        submit=SPEC.submit,
        query=SPEC.query,
        status="status",
        lifecycle=SPEC.lifecycle,
        result_url=InBody("picture"),
    )
    for fetches, is_had in (([503, 429, 200], True), ([404], False)):
        codes = list(fetches)

        def answer(request: RawRequest, codes: list[int] = codes) -> bytes:
            if request.path != "/file":
                return json_answer(200, {**DONE, "picture": "/file"})
            code = codes.pop(0) if len(codes) > 1 else codes[0]
            return json_answer(code, {"pixels": 1} if code == 200 else {})

        with RawServer.answering(answer) as server:
            if is_had:
                outcome = with_operation(colour, library, server, lambda operation, _: operation.wait(), spec)
                assert outcome.result == {"pixels": 1}
            else:
                with pytest.raises(ResultUnreadable, match="HTTP 404"):
                    with_operation(colour, library, server, lambda operation, _: operation.wait(), spec)
        # Once found out that it succeeded, it is the result that is asked for.
        assert [request.path for request in server.requests].count("/pictures/7") == 1


@each_way
def test_a_wait_that_is_over_can_be_gone_on_with(colour: str, library: str) -> None:
    """A wait whose time is up raises StillRunning with a token; the same operation, and one from the token, go on."""

    async def act(operation: Any, run: Run) -> Any:
        with pytest.raises(StillRunning) as caught:
            await got(operation.wait(timeout=10.0))
        assert operation.progress == 40
        resumed = run.resume(SPEC, caught.value.resume_token)
        assert resumed.phase is Phase.RUNNING
        return await got(resumed.wait())

    with answers(json_answer(200, RUNNING), *[json_answer(200, RUNNING)] * 4, json_answer(200, DONE)) as server:
        assert with_operation(colour, library, server, act).result == DONE


@each_way
def test_a_known_id_is_asked_about(colour: str, library: str) -> None:
    """An operation is gone on with by its id, where the declaration says where to ask by one, and not elsewhere."""
    with answers(json_answer(200, DONE)) as server:
        run = Run(colour, library, f"{server.url}/api/v2")

        async def main() -> Any:
            async with run.client():
                with pytest.raises(ConfigurationError, match="resume token"):
                    run.known(AZURE_OPERATION_LOCATION, "7")
                return await got(run.known(SPEC, "a b/7").wait())

        assert run_in(colour, main).result == DONE
    # Below the client's base_url, with its headers, and the id stays one part of the path.
    assert [request.path for request in server.requests] == ["/api/v2/pictures/a%20b%2F7"]
    assert server.requests[0].headers["authorization"] == KEY


@each_way
def test_a_refused_cancel_is_typed(colour: str, library: str) -> None:
    """A cancel that the service refuses, or whose answer is lost, is CancelRefused, and the operation goes on."""
    for no in (json_answer(409, {"detail": "too late"}), json_answer(502, {}), CUT):
        rest = [json_answer(200, RUNNING), no]

        def script(connection: Connection, rest: list[bytes] = rest) -> None:
            while connection.read_request() and rest:
                connection.send(rest.pop(0))
                if not rest:
                    return

        with RawServer(script) as server, pytest.raises(CancelRefused) as caught:
            with_operation(colour, library, server, lambda operation, _: operation.cancel())
        assert caught.value.task_id == "7"
        assert [request.method for request in server.requests] == ["POST", "DELETE"]


def test_what_is_not_declared_is_not_done() -> None:
    """A cancel, a submit or a URL that the declaration lacks is refused before anything is sent."""
    bare = OperationSpec(name="bare", status="status", lifecycle=SPEC.lifecycle, query=SPEC.query)
    with answers(json_answer(200, RUNNING)) as server, httpx.Client(base_url=server.url, verify=False) as http_client:
        with pytest.raises(ConfigurationError, match="declares no cancel"):
            Operation.known(bare, http_client, "7").cancel()
        with pytest.raises(ConfigurationError, match="declares no submit"):
            Operation.start(bare, http_client, {})
        with pytest.raises(ConfigurationError, match="pass url="):
            Operation.start(AZURE_LOCATION, http_client, {})
        with pytest.raises(ConfigurationError, match="no form in JSON"):
            Operation.start(SPEC, http_client, {"prompt": object()})
        with pytest.raises(ConfigurationError, match="on_timeout"):
            Operation.known(SPEC, http_client, "7").wait(policy=WaitPolicy(on_timeout="cancel"))
    assert server.requests == []


def test_a_client_that_does_not_fit_is_refused() -> None:
    """A client without a base_url for a relative URL, of the other colour, of no library, or closed, sends nothing."""
    with httpx.Client(verify=False) as http_client, pytest.raises(ConfigurationError, match="base_url"):
        Operation.start(SPEC, http_client, {})
    for made in (httpx.AsyncClient(verify=False), httpx2.AsyncClient(verify=False)):
        with pytest.raises(ConfigurationError, match="takes a Client"):
            Operation.start(SPEC, made, {})
    with pytest.raises(ConfigurationError, match="must be a client of httpx"):
        Operation.known(SPEC, object(), "7")
    with httpx.Client(base_url="http://api.test", verify=False) as http_client:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        Operation.start(SPEC, http_client, {}, clock=VirtualClock())


def test_our_own_transports_send_a_create_once() -> None:
    """Below a client with the standard stack of retries a create whose answer is a 503 leaves once and is in doubt."""
    with answers(json_answer(503, {})) as server:
        transport = resilient_transport(httpx.HTTPTransport(verify=False))
        marks: list[Any] = []
        hooks = {"request": [lambda request: marks.append(request.extensions["resilient_poll.repeat"])]}
        http_client = httpx.Client(base_url=server.url, transport=transport, event_hooks=hooks)
        # Even where the header would allow it to be repeated.
        with http_client, pytest.raises(SubmitInDoubt, match="HTTP 503"):
            Operation.start(SPEC, http_client, {}, headers={"Idempotency-Key": "7"}, clock=VirtualClock())
    assert len(server.requests) == 1
    assert marks == ["never"]  # By which they neither repeat it nor cut it while it is under way.


@each_way
def test_a_redirect_is_not_followed(colour: str, library: str) -> None:
    """A client that follows redirects does not do so here: no key goes after one, and a create is not sent again."""
    with answers(json_answer(200, DONE)) as stranger:
        moved = http_answer(307, b"", {"location": f"{stranger.url}/x"})
        with answers(moved) as server, pytest.raises(SubmitInDoubt):
            with_operation(colour, library, server, lambda _, __: None, follow_redirects=True)
        with answers(json_answer(200, RUNNING), moved) as server, pytest.raises(StillRunning):
            with_operation(
                colour, library, server, lambda operation, _: operation.wait(timeout=9.0), follow_redirects=True
            )
    assert stranger.requests == []


@each_way
def test_bytes_are_sent_as_they_are(colour: str, library: str) -> None:
    """A body of bytes leaves as it is, with the caller's content type, and a JSON one as JSON."""
    with answers(json_answer(200, {"id": "video_7", "status": "queued"})) as server:
        run = Run(colour, library, server.url)

        async def main() -> None:
            async with run.client():
                start = run.face.start
                form = {"Content-Type": "multipart/form-data; boundary=x"}
                await got(start(OPENAI_VIDEOS, run.http_client, b"--x--", headers=form, **run.options))
                await got(start(OPENAI_VIDEOS, run.http_client, {"prompt": "ä"}, **run.options))

        run_in(colour, main)
    first, second = server.requests
    assert (first.body, first.headers["content-type"]) == (b"--x--", "multipart/form-data; boundary=x")
    assert (second.body, second.headers["content-type"]) == ('{"prompt":"ä"}'.encode(), "application/json")


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_create_is_not_lost(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A create whose caller is cancelled runs to its end, and the log tells the id and the token."""
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        async with httpx.AsyncClient(base_url=server.url, verify=False) as http_client:
            with anyio.CancelScope() as scope:

                async def leave(_: Any) -> None:
                    scope.cancel()

                http_client.event_hooks = {"request": [leave]}
                await AsyncOperation.start(SPEC, http_client, {})
            assert scope.cancelled_caught

    with answers(json_answer(200, RUNNING)) as server:
        run_in(colour, main)
    assert len(server.requests) == 1
    assert "task 7 was accepted" in caplog.text
    assert "rpo1." in caplog.text


@each_colour
@pytest.mark.parametrize("library", LIBRARIES)
def test_poll_takes_what_a_declaration_observes(colour: str, library: str) -> None:
    """A declaration serves poll() and poll_async() with a query of the caller's: it reads the response as it is."""
    clock = VirtualClock()
    throttled = json_answer(429, {}, {"retry-after": "40"})
    rows = (json_answer(200, RUNNING), throttled, http_answer(200, b"<html>"), json_answer(200, DONE))
    with answers(*rows) as server:
        run = Run(colour, library, server.url)

        async def main() -> Any:
            async with run.client() as http_client:
                if colour == "sync":
                    return poll(lambda: SPEC.observe(http_client.get("/x")), lifecycle=SPEC.lifecycle, clock=clock)

                async def ask() -> Any:
                    return SPEC.observe(await http_client.get("/x"))

                return await poll_async(ask, lifecycle=SPEC.lifecycle, clock=clock.for_async())

        outcome = run_in(colour, main)
    assert (outcome.result, outcome.polls) == (DONE, 4)
    assert clock.slept_s[1] == pytest.approx(40.0)


@pytest.mark.parametrize("header", [{"retry-after": "25"}, {"x-wait": "25000"}])
@each_colour
def test_no_question_is_asked_before_a_healthy_answer_allows(colour: str, header: dict[str, str]) -> None:
    """An answer with a status may ask for patience too: the next question waits, and a wait too short ends at once."""
    hints = (Hint(InHeader("retry-after")), Hint(InHeader("x-wait"), "ms"))
    spec = OperationSpec(
        name="p", submit=SPEC.submit, query=SPEC.query, status="status", lifecycle=SPEC.lifecycle, retry_after=hints
    )
    rows = (json_answer(200, RUNNING), json_answer(200, RUNNING, header), json_answer(200, DONE))
    with answers(*rows) as server:
        run = Run(colour, "httpx", server.url)

        async def main() -> Any:
            async with run.client():
                operation = await got(run.face.start(spec, run.http_client, {}, **run.options))
                with pytest.raises(StillRunning) as caught:
                    await got(operation.wait(timeout=20.0))
                assert caught.value.come_back_in_s == pytest.approx(25.0)
                token = operation.token
                return await got(run.resume(spec, token).wait())

        assert run_in(colour, main).result == DONE
    assert sum(run.clock.slept_s) == pytest.approx(3.0 + 25.0)


@each_way
def test_what_happens_is_told_in_order(colour: str, library: str) -> None:
    """The events of a submit have one name that no other submit has, and those of the wait have the task's id."""
    runs = []
    for _ in range(2):
        with answers(json_answer(200, RUNNING), json_answer(200, RUNNING), json_answer(200, DONE)) as server:
            run = Run(colour, library, server.url)

            async def main(run: Run = run) -> Any:
                async with run.client():
                    operation = await got(run.face.start(SPEC, run.http_client, {}, **run.options))
                    return await got(operation.wait())

            run_in(colour, main)
        runs.append(run.events)
    kinds = [type(event).__name__ for event in runs[0]]
    assert kinds[:3] == ["SubmitBegun", "PhaseChanged", "Submitted"]
    assert [kind for kind in kinds[3:] if kind not in {"Waiting", "PhaseChanged", "BillingChanged"}] == [
        *("WaitBegan", "Polled", "Polled", "EndSeen", "WaitEnded")
    ]
    assert {event.submit_id for event in runs[0][:3]}.isdisjoint({event.submit_id for event in runs[1][:3]})
    assert {event.task_id for event in runs[0][2:]} == {"7"}
