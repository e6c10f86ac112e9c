"""A caller's own HTTP client is used and not trusted: it cannot replay a create, and gives nothing away."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from resilient_poll import SubmitInDoubt, SubmitNotSent, SubmitPolicy
from tests.support.colours import COLOURS, INPUT, LIBRARIES, MODEL, dashscope_client, got, run_in
from tests.support.raw_server import RawRequest, RawServer, http_answer, json_answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
ACCEPTED = json_answer(200, {"output": {"task_id": TASK_ID, "task_status": "PENDING"}, "request_id": "r1"})
VIDEO = b"a whole video"
CANARY = "canary-5d2b8f"
KEY = "sk-canary-key-0123456789"
COLOURS_AND_LIBRARIES = [(colour, library) for colour in COLOURS for library in LIBRARIES]

each_colour_and_library = pytest.mark.parametrize(("colour", "library"), COLOURS_AND_LIBRARIES)


def repeating_transport(library: ModuleType, is_async: bool, *, reads_first: bool) -> Any:
    """Return a transport that sends everything three times and ends in a connect error.

    With ``reads_first`` it takes the body into memory before, as a transport does that
    wants to be able to repeat it.
    """
    base = library.AsyncHTTPTransport if is_async else library.HTTPTransport

    class Repeating(base):  # type: ignore[misc,valid-type]  # a class of a module chosen at run time
        tries = 0

        def handle_request(self, request: Any) -> Any:
            if reads_first:
                request.read()
            for _ in range(3):
                type(self).tries += 1
                try:
                    super().handle_request(request).close()
                except Exception:  # noqa: BLE001, S112  # it repeats everything, whatever it is
                    continue
            raise library.ConnectError("no route to host", request=request)

        async def handle_async_request(self, request: Any) -> Any:
            if reads_first:
                await request.aread()
            for _ in range(3):
                type(self).tries += 1
                try:
                    response = await super().handle_async_request(request)
                    await response.aclose()
                except Exception:  # noqa: BLE001, S112  # it repeats everything, whatever it is
                    continue
            raise library.ConnectError("no route to host", request=request)

    return Repeating()


@pytest.mark.parametrize("answers", [True, False], ids=["answered", "hung up on"])
@pytest.mark.parametrize("reads_first", [False, True], ids=["streams", "reads first"])
@each_colour_and_library
def test_a_repeating_transport_delivers_one_create(colour: str, library: str, reads_first: bool, answers: bool) -> None:
    """A transport that repeats everything and ends in a connect error delivers one create, and leaves a doubt."""
    transport = repeating_transport(LIBRARIES[library], colour != "sync", reads_first=reads_first)

    def script(connection: Any) -> None:
        while connection.read_request() and answers:
            connection.send(ACCEPTED)

    async def main() -> None:
        with RawServer(script) as server:
            async with dashscope_client(colour, library, server.url, {"transport": transport}) as client:
                with pytest.raises(SubmitInDoubt) as caught:
                    await got(client.submit(MODEL, INPUT, timeout=1.5))
            assert caught.value.safe_to_submit_again == "unknown"
            assert caught.value.attempts == 1
            assert len(server.complete("POST")) == 1
            assert json.loads(server.complete("POST")[0].body)["model"] == MODEL
            assert type(transport).tries > 1, "a transport that did not repeat proves nothing"

    run_in(colour, main)


@each_colour_and_library
def test_a_repeating_transport_that_never_connects_was_surely_not_heard(colour: str, library: str) -> None:
    """Where nothing ever took the body, a connect error still means that nothing was sent."""

    async def main() -> None:
        with RawServer.answering(lambda _: ACCEPTED) as server:
            url = server.url
        async with dashscope_client(
            colour, library, url, submit_policy=SubmitPolicy(timeout_s=1.0, minimum_s=0.9)
        ) as client:
            with pytest.raises(SubmitNotSent):
                await got(client.submit(MODEL, INPUT))

    run_in(colour, main)


class World:
    """An API and an asset host on two ports, the second behind a redirect on a third."""

    def __init__(self) -> None:
        self.asset = RawServer.answering(lambda _: http_answer(200, VIDEO, {"set-cookie": "tracker=1"}))
        self.hop = RawServer.answering(
            lambda _: http_answer(302, b"", {"location": f"{self.asset.url}/final.mp4", "set-cookie": "hop=1"})
        )
        self.api = RawServer.answering(self._api)

    def _api(self, request: RawRequest) -> bytes:
        cookie = {"set-cookie": "session=api-session"}
        if request.method == "POST":
            return json_answer(200, {"output": {"task_id": TASK_ID, "task_status": "PENDING"}}, cookie)
        output = {"task_id": TASK_ID, "task_status": "SUCCEEDED", "video_url": f"{self.hop.url}/clip.mp4"}
        return json_answer(200, {"output": output, "usage": {"video_count": 1}}, cookie)

    def __enter__(self) -> World:
        for server in (self.asset, self.hop, self.api):
            server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.asset, self.hop, self.api):
            server.__exit__(None, None, None)


@each_colour_and_library
def test_nothing_of_the_callers_client_goes_with_a_request(colour: str, library: str) -> None:
    """The client's headers, cookies, params and auth reach neither host, the key reaches the API only."""
    client_options = {
        "headers": {"x-canary": CANARY, "authorization": f"Bearer {CANARY}"},
        "cookies": {"canary": CANARY},
        "params": {"canary": CANARY},
        "auth": ("canary", CANARY),
        "follow_redirects": True,
    }

    async def main() -> None:
        with World() as world:
            async with dashscope_client(colour, library, world.api.url, client_options) as client:
                task = await got(client.submit(MODEL, INPUT))
                await got(task.refresh())
                await got(task.wait(timeout=5.0))
                chunks = task.iter_bytes()
                received = [chunk async for chunk in chunks] if colour != "sync" else list(chunks)
            assert b"".join(received) == VIDEO
            to_assets = b"\n".join(request.everything for request in world.hop.requests + world.asset.requests)
            to_api = b"\n".join(request.everything for request in world.api.requests)
            assert len(world.hop.requests) == len(world.asset.requests) == 1
            assert len(world.api.requests) >= 2
            for secret in (CANARY, KEY, "authorization", "cookie", "canary"):
                assert secret.encode() not in to_assets.lower(), secret
            assert CANARY.encode() not in to_api
            assert b"cookie" not in to_api.lower()
            assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in world.api.requests)

    run_in(colour, main)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@each_colour_and_library
def test_a_redirected_create_is_not_followed(colour: str, library: str, status: int) -> None:
    """A create that is answered by a redirect is in doubt, and goes nowhere else, hooks or no hooks."""
    heard: list[str] = []

    async def main() -> None:
        with RawServer.answering(lambda _: ACCEPTED) as other:
            target = {"location": f"{other.url}/elsewhere"}
            with RawServer.answering(lambda _: http_answer(status, b"", target)) as server:
                hook: Any = (lambda r: heard.append(r.method)) if colour == "sync" else _async_hook(heard)
                options = {"follow_redirects": True, "event_hooks": {"request": [hook]}}
                async with dashscope_client(colour, library, server.url, options) as client:
                    with pytest.raises(SubmitInDoubt):
                        await got(client.submit(MODEL, INPUT))
            assert len(server.complete("POST")) == 1
            assert other.requests == []
            assert heard == ["POST"]

    run_in(colour, main)


def _async_hook(heard: list[str]) -> Any:
    async def hook(request: Any) -> None:
        heard.append(request.method)

    return hook


@each_colour_and_library
def test_a_hook_that_reads_the_request_does_no_harm(colour: str, library: str) -> None:
    """A request hook that reads the body, to log it, leaves a create that is sent whole and once."""

    def hook(request: Any) -> None:
        request.read()

    async def async_hook(request: Any) -> None:
        await request.aread()

    async def main() -> None:
        with RawServer.answering(lambda _: ACCEPTED) as server:
            options = {"event_hooks": {"request": [hook if colour == "sync" else async_hook]}}
            async with dashscope_client(colour, library, server.url, options) as client:
                task = await got(client.submit(MODEL, INPUT))
            assert task.id == TASK_ID
            assert len(server.complete("POST")) == 1
            assert json.loads(server.requests[0].body)["model"] == MODEL

    run_in(colour, main)
