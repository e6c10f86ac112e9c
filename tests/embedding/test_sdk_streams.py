"""What the package openai reads in its own ways passes through our transport: streams, raw answers and files."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import anyio
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from examples.embedding import openai_sdk
from resilient_poll import RetryPolicy, polled
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.transports.httpx2 import async_resilient_transport, resilient_transport
from tests.embedding.sdks import says
from tests.support.raw_server import Connection, RawRequest, RawServer, http_answer, json_answer

LONGEST_S = 30.0
BIG = bytes(range(256)) * 8192


def blocking(server: RawServer, retry: RetryPolicy | None = None) -> OpenAI:
    """Return the blocking client of the recipe."""
    http = DefaultHttpx2Client(transport=resilient_transport(retry=retry or RetryPolicy()))
    return OpenAI(api_key="sk-test", base_url=f"{server.url}/v1", http_client=http, max_retries=0)


def awaiting(server: RawServer) -> AsyncOpenAI:
    """Return the client of the recipe that awaits."""
    http = DefaultAsyncHttpx2Client(transport=async_resilient_transport())
    return AsyncOpenAI(api_key="sk-test", base_url=f"{server.url}/v1", http_client=http, max_retries=0)


def streamed(word: str) -> bytes:
    """Return one event of a streamed answer."""
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


class Talker:
    """Streams a word, and the next one only after the first was heard."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def __call__(self, connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        connection.send(streamed("one"))
        if self.heard.wait(LONGEST_S):
            connection.send(streamed("two") + b"data: [DONE]\n\n")


def test_a_stream_comes_as_it_is_made() -> None:
    """The first words of a stream arrive before the last are said, in both colours, and are asked for once."""
    for is_awaited in (False, True):
        talker, words = Talker(), list[str | None]()

        async def listen(server: RawServer, talker: Talker = talker, words: list[str | None] = words) -> None:
            async with awaiting(server) as client:
                async for chunk in await client.chat.completions.create(model="m", messages=[], stream=True):
                    words.append(chunk.choices[0].delta.content)
                    talker.heard.set()

        with RawServer(talker) as server:
            if is_awaited:
                anyio.run(listen, server)
            else:
                with blocking(server) as client:
                    for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
                        words.append(chunk.choices[0].delta.content)
                        talker.heard.set()
            assert words == ["one", "two"]
            assert len(server.requests) == 1


def test_a_raw_answer_tells_of_its_attempts(clock: VirtualClock) -> None:
    """A raw answer has its headers, can be parsed, and its request lists the attempts that it took."""
    asked: list[RawRequest] = []

    def answer(request: RawRequest) -> bytes:
        asked.append(request)
        return json_answer(503, {}, {"retry-after": "7"}) if len(asked) == 1 else says(request)

    with RawServer.answering(answer) as server, blocking(server) as client:
        raw = client.responses.with_raw_response.retrieve("job")
        assert raw.parse().status == "completed"
        assert raw.headers["content-type"] == "application/json"
        attempts = raw.http_response.request.extensions["resilient_poll.attempts"]
    assert [attempt.status for attempt in attempts] == [503, 200]
    assert len(clock.slept_s) == 1
    assert clock.slept_s[0] >= 7.0


def test_files_come_whole(tmp_path: Path) -> None:
    """A file of two megabytes arrives whole, read at once or streamed to a file, in both colours."""

    async def fetch(server: RawServer) -> bytes:
        async with awaiting(server) as client:
            return (await client.files.content("file-1")).content

    with RawServer.answering(lambda _: http_answer(200, BIG)) as server:
        with blocking(server) as client:
            assert client.files.content("file-1").read() == BIG
            with client.files.with_streaming_response.content("file-1") as response:
                response.stream_to_file(tmp_path / "file-1")
        assert (tmp_path / "file-1").read_bytes() == BIG
        assert anyio.run(fetch, server) == BIG


@pytest.mark.usefixtures("clock")
def test_a_file_that_breaks_off_is_asked_for_again() -> None:
    """With ``body_bytes``, a download that ends in the middle is asked for again, and the SDK never hears of it."""
    came = threading.Semaphore(0)

    def break_off_once(connection: Connection) -> None:
        connection.read_request()
        is_first = connection.number == 0
        answer = http_answer(200, BIG, {"connection": "close"})
        connection.send(answer[: len(answer) // 2] if is_first else answer)
        came.release()

    policy = RetryPolicy(body_bytes=10_000_000)
    with RawServer(break_off_once) as server, blocking(server, policy) as client:
        assert client.files.content("file-1").read() == BIG
        assert len(server.requests) == 2


def test_the_recipe_waits_through_faults(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's wait passes 503s beyond its attempts, a lost answer and a 429, and brings the end."""
    numbers: list[int] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            numbers.append(number := len(numbers) + 1)
            if number <= 4:  # three attempts of the first question, and one of the second
                connection.send(json_answer(503, {"error": {"message": "down"}}))
            elif number == 5:
                connection.reset()
                return
            elif number == 6:
                connection.send(json_answer(429, {"error": {"message": "busy"}}, {"retry-after": "11"}))
            elif number == 7:
                connection.send(says(request, status="in_progress"))
            else:
                connection.send(says(request))

    with RawServer(script) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        with openai_sdk.patient_client() as client:
            outcome = openai_sdk.finished(client, "job")
    assert outcome.result.status == "completed"
    assert len(numbers) == 8
    assert max(clock.slept_s) >= 11.0


@pytest.mark.usefixtures("clock")
def test_an_error_of_the_connection_is_a_failed_question() -> None:
    """Through the SDK's own wrapping, a connection that is reset on each attempt is asked again by the wait."""
    lost: list[int] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            lost.append(len(lost))
            if len(lost) <= 2:
                connection.reset()
                return
            connection.send(says(request))

    with RawServer(script) as server, blocking(server, RetryPolicy(attempts=1)) as client:

        @polled(lifecycle=openai_sdk.ANSWER)
        def finished() -> str:
            return str(client.responses.retrieve("job").status)

        assert finished().polls == 3
