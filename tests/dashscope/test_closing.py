"""Closing a client while creates are out: each may be a paid task, so it is waited for."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import httpx
import pytest

from resilient_poll import AsyncDashScope, ConfigurationError, DashScope, Limits, SubmitPolicy
from tests.support.colours import INPUT, LIBRARIES, MODEL, run_in
from tests.support.honest_service import Fate, HonestService
from tests.support.many_world import jobs
from tests.support.raw_server import Connection, RawServer, json_answer

ACCEPTED = {"output": {"task_id": "task-1", "task_status": "PENDING"}, "request_id": "r"}


class Held:
    """A server that keeps the answer to a create back until it is told, or for ever."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()

    def __call__(self, connection: Connection) -> None:
        while connection.read_request():
            self.asked.set()
            self.answers.wait(10)
            connection.send(json_answer(200, ACCEPTED))


def options(server: RawServer, **others: Any) -> dict[str, Any]:
    return {"dialect": "aisa", "api_key": "sk-test", "base_url": f"{server.url}/v1", **others}


@pytest.mark.parametrize("library", ["own", *LIBRARIES])
def test_closing_waits_for_a_create_in_another_thread(library: str) -> None:
    """A client that is closed while another thread's create is out closes once its id is there."""
    held, got = Held(), []
    with RawServer(held) as server:
        http_client = None if library == "own" else LIBRARIES[library].Client(verify=False)
        client = DashScope(**options(server, http_client=http_client))
        thread = threading.Thread(target=lambda: got.append(client.submit(MODEL, INPUT).id))
        thread.start()
        assert held.asked.wait(10)
        threading.Timer(0.2, held.answers.set).start()
        client.close()
        if http_client is not None:
            http_client.close()
        thread.join(10)
    assert got == ["task-1"]


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_closing_waits_for_a_create_in_another_task(colour: str) -> None:
    """The same holds for code that awaits."""
    held, got = Held(), []

    async def main() -> None:
        with RawServer(held) as server:
            client = AsyncDashScope(**options(server))

            async def submit() -> None:
                got.append((await client.submit(MODEL, INPUT)).id)

            async with anyio.create_task_group() as group:
                group.start_soon(submit)
                await anyio.to_thread.run_sync(held.asked.wait)
                threading.Timer(0.2, held.answers.set).start()
                await client.close()

    run_in(colour, main)
    assert got == ["task-1"]


def test_closing_waits_no_longer_than_a_create_may_take() -> None:
    """A create that a caller's own client never ends keeps nobody from closing for longer than its attempt's time."""
    service, asked, answers = HonestService([Fate.ACCEPTED]), threading.Event(), threading.Event()
    answer = service.answer

    def held(fate: Any, request: Any) -> Any:
        asked.set()
        answers.wait(10)
        return answer(fate, request)

    service.answer = held  # type: ignore[method-assign]  # the slowness
    policy = SubmitPolicy(attempt_timeout_s=0.1, synchronous_attempt_timeout_s=0.2)
    with httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(
            dialect="aisa",
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            submit_policy=policy,
        )
        thread = threading.Thread(target=lambda: client.submit(MODEL, INPUT))
        thread.start()
        assert asked.wait(10)
        client.close()
        assert thread.is_alive()
        answers.set()
        thread.join(10)


def test_a_client_is_closed_inside_its_own_create() -> None:
    """A close from a signal's handler, in the thread whose create is out, does not wait for that create."""
    service = HonestService([Fate.ACCEPTED])
    answer = service.answer
    done = threading.Event()

    def closing(fate: Any, request: Any) -> Any:
        if request.method == "POST":
            client.close()
        return answer(fate, request)

    service.answer = closing  # type: ignore[method-assign]  # the handler
    with httpx.Client(transport=service.transport()) as http_client:
        client = DashScope(dialect="aisa", api_key="sk-test", base_url="http://api.test/v1", http_client=http_client)

        def submit() -> None:
            client.submit(MODEL, INPUT)
            done.set()

        threading.Thread(target=submit, daemon=True).start()
        assert done.wait(10)


def test_a_closed_client_ends_a_batch_of_its_own() -> None:
    """A batch whose client is closed has an id for every create that left, and sends no further one."""
    held = Held()
    with RawServer(held) as server:
        client = DashScope(**options(server, limits=Limits(concurrent_tasks=2)))

        def close() -> None:
            held.asked.wait(10)
            threading.Timer(0.2, held.answers.set).start()
            client.close()

        thread = threading.Thread(target=close)
        thread.start()
        finished = list(client.submit_many(jobs(6), timeout=30))
        thread.join(10)
        left = len(server.complete("POST"))
    assert len(finished) == 6
    assert 1 <= left <= 2
    assert sum(one.task is not None for one in finished) == left
    assert all(isinstance(one.error, ConfigurationError) for one in finished)
