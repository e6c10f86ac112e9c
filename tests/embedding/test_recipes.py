"""The recipes of docs/embedding.md that need no SDK run as they stand there, against a real server."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from examples.embedding import background_task, decorator, own_class, plain_thread, task_group
from resilient_poll import Outcome, StillRunning, TaskFailed
from resilient_poll.drive.clocks import VirtualClock
from tests.support.raw_server import RawRequest, RawServer, json_answer

RECIPES = sorted((Path(__file__).parents[2] / "examples" / "embedding").glob("*.py"))
LONGEST_RECIPE = 15


def jobs_that(end: str) -> Callable[[RawRequest], bytes]:
    """Return a service whose jobs are asked about three times until their end; one question meets a bad gateway."""
    asked: dict[str, int] = {}

    def answer(request: RawRequest) -> bytes:
        if request.method == "POST":
            return json_answer(201, {"id": "7"})
        asked[request.path] = number = asked.get(request.path, 0) + 1
        if number == 2:
            return json_answer(502, "<html>bad gateway</html>", {"retry-after": "4"})
        state = {1: "queued", 3: "processing"}.get(number, end)
        return json_answer(200, {"state": state, "url": f"made from {request.path}"})

    return answer


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_short(recipe: Path) -> None:
    """No recipe has more than fifteen lines of code, as the reader copies it and its imports not counted."""
    shown = recipe.read_text().split("# --- example ---\n")[1].split("# --- end ---")[0]
    lines = [line.strip() for line in shown.splitlines()]
    code = [line for line in lines if line and not line.startswith(("#", "import ", "from "))]
    assert 0 < len(code) <= LONGEST_RECIPE


def test_a_decorated_function_waits(clock: VirtualClock) -> None:
    """The decorated function returns the job that succeeded, past a bad gateway and no sooner than it asked for."""
    with RawServer.answering(jobs_that("completed")) as server:
        outcome = decorator.finished(f"{server.url}/jobs/1")
    assert outcome.result == {"state": "completed", "url": "made from /jobs/1"}
    assert clock.slept_s == [3.0, 4.0, 3.0]


def test_a_class_waits_by_its_method(clock: VirtualClock) -> None:
    """A class starts a job with its own client and waits for it with its decorated method; an error names the job."""
    with RawServer.answering(jobs_that("completed")) as server, httpx.Client(base_url=server.url) as http:
        mine = own_class.Renderer(http)
        assert mine.finished(mine.start("a cat")).result["url"] == "made from /jobs/7"
    with RawServer.answering(jobs_that("errored")) as server, httpx.Client(base_url=server.url) as http:
        with pytest.raises(TaskFailed) as failed:
            own_class.Renderer(http).finished("8")
        assert failed.value.task_id == "8"
    assert clock.slept_s == 2 * [3.0, 4.0, 3.0]


def test_a_task_group_waits_for_all(clock: VirtualClock) -> None:
    """Jobs of one group are waited for side by side, and their results come in the order of their ids."""

    async def main(url: str) -> Any:
        async with httpx.AsyncClient(base_url=url) as http:
            return await task_group.all_of(http, ["1", "2", "3"])

    with RawServer.answering(jobs_that("completed")) as server:
        results = asyncio.run(main(server.url))
    assert [result["url"] for result in results] == [f"made from /jobs/{number}" for number in (1, 2, 3)]
    assert len(clock.slept_s) == 9


@pytest.mark.usefixtures("clock")
def test_a_task_group_that_fails_leaves_the_others_their_tasks(caplog: pytest.LogCaptureFixture) -> None:
    """The first job that fails ends the group's waits, and the log names the ids of those that go on at the service."""
    answer_failing, answer_running = jobs_that("errored"), jobs_that("processing")

    def answer(request: RawRequest) -> bytes:
        return (answer_failing if request.path.endswith("/bad") else answer_running)(request)

    async def main(url: str) -> Any:
        async with httpx.AsyncClient(base_url=url) as http:
            return await task_group.all_of(http, ["slow-1", "bad", "slow-2"])

    caplog.set_level(logging.INFO, "resilient_poll")
    with RawServer.answering(answer) as server, pytest.raises(ExceptionGroup) as group:
        asyncio.run(main(server.url))
    assert [type(error) for error in group.value.exceptions] == [TaskFailed]
    told = [
        record.getMessage()
        for record in caplog.records
        if "go on" in record.getMessage() or "goes on" in record.getMessage()
    ]
    assert all(any(name in line for line in told) for name in ("slow-1", "slow-2"))


@pytest.mark.parametrize(("end", "said"), [("completed", "made from /jobs/7"), ("errored", "failed")])
@pytest.mark.usefixtures("clock")
def test_a_background_task_waits_behind_the_answer(end: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order is answered at once, and its state is the job's end once the task behind the answer heard of it."""
    with RawServer.answering(jobs_that(end)) as server:
        monkeypatch.setenv("JOBS_URL", server.url)
        with TestClient(background_task.app) as app:
            assert app.post("/orders", json={"job": "7"}).status_code == 202
            assert said in app.get("/orders/7").json()["job"]


@pytest.mark.usefixtures("clock")
def test_a_plain_thread_tells_of_every_end() -> None:
    """A thread waits beside its caller and hands over the outcome, or the error that knows the task."""
    ends: dict[str, Any] = {}
    for word in ("completed", "errored", "processing"):
        ended: plain_thread.Ended = queue.SimpleQueue()
        with RawServer.answering(jobs_that(word)) as server:
            plain_thread.start(f"{server.url}/jobs/1", ended).join()
            ends[word] = ended.get_nowait()
    assert isinstance(ends["completed"], Outcome)
    assert isinstance(ends["errored"], TaskFailed)
    assert isinstance(ends["processing"], StillRunning)
