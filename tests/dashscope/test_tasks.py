"""What can be done with one task, in every colour."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
import trio
import trio.testing

from resilient_poll import (
    AsyncDashScope,
    AsyncTask,
    Billing,
    CancelRefused,
    ConfigurationError,
    DashScope,
    Fixed,
    Phase,
    PollRefused,
    ResultUnreadable,
    StillGoing,
    StillQueued,
    StillRunning,
    StillUnknown,
    TaskError,
    TaskFailed,
    WaitPolicy,
)
from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, got, run_in
from tests.support.many_world import INPUT, MODEL, ManyWorld

ID = "11111111-2222-3333-4444-555555555555"
in_each_colour = pytest.mark.parametrize("colour", COLOURS)


def status(word: str, **output: Any) -> httpx.Response:
    return httpx.Response(200, json={"request_id": "r", "output": {"task_id": ID, "task_status": word, **output}})


DONE = {"video_url": "http://assets.test/clip.mp4"}


class Script:
    """Answers in order; the last one repeats. Errors are raised."""

    def __init__(
        self, answers: Sequence[httpx.Response | Exception], cancel: httpx.Response | Exception | None = None
    ) -> None:
        self._answers = list(answers)
        self._cancel = cancel
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.method == "POST":
            answer = self._cancel
            assert answer is not None, "nothing was to be cancelled"
        else:
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@asynccontextmanager
async def a_task(
    colour: str, script: Script, clock: VirtualClock | None = None, token: str = ID, dialect: str = "dashscope"
) -> AsyncIterator[Any]:
    clock, transport = clock or VirtualClock(), httpx.MockTransport(script)
    options: dict[str, Any] = {"dialect": dialect, "api_key": "sk-test-key-123", "base_url": "http://api.test/v1"}
    if colour == "sync":
        with httpx.Client(transport=transport, verify=False) as http_client:
            yield DashScope(**options, clock=clock, http_client=http_client).task(token)
    else:
        async with httpx.AsyncClient(transport=transport, verify=False) as http_client:
            yield AsyncDashScope(**options, clock=clock.for_async(), http_client=http_client).task(token)


@in_each_colour
def test_a_cancel_is_followed_by_a_look(colour: str) -> None:
    """A cancel that the service accepts is followed by one query, and where the task stands is returned."""
    script = Script([status("CANCELED")], cancel=httpx.Response(200, json={"request_id": "r"}))

    async def main() -> None:
        async with a_task(colour, script) as task:
            standing = await got(task.cancel())
            assert (standing.phase, standing.billing) == (Phase.CANCELED, Billing.PARTIAL_POSSIBLE)

    run_in(colour, main)
    assert script.asked == [f"POST /v1/tasks/{ID}/cancel", f"GET /v1/tasks/{ID}"]


@in_each_colour
def test_a_task_that_won_the_race_against_its_cancel_is_returned(colour: str) -> None:
    """Where a task succeeded before its cancel took effect, it stands as succeeded and billed, result in hand."""
    script = Script([status("SUCCEEDED", **DONE)], cancel=httpx.Response(200, json={"request_id": "r"}))

    async def main() -> None:
        async with a_task(colour, script) as task:
            assert (await got(task.cancel())).billing is Billing.BILLED
            assert task.outcome.video_url == DONE["video_url"]

    run_in(colour, main)


@in_each_colour
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(400, json={"code": "UnsupportedOperation", "message": "not pending"}), "UnsupportedOperation"),
        (httpx.Response(502, text="<html>"), "is not known .HTTP 502."),
        (httpx.Response(429, json={"code": "Throttling", "message": "slow"}), "Throttling"),
        (httpx.ReadTimeout("no answer"), "is not known"),
    ],
)
def test_a_cancel_that_is_no_yes_is_an_error(colour: str, answer: httpx.Response | Exception, said: str) -> None:
    """A cancel that was refused, or whose answer is lost, is an error that says which, and the task goes on."""
    script = Script([status("RUNNING")], cancel=answer)

    async def main() -> None:
        async with a_task(colour, script) as task:
            with pytest.raises(CancelRefused, match=said) as caught:
                await got(task.cancel())
            assert caught.value.task_id == ID
            assert caught.value.safe_to_submit_again == "no"

    run_in(colour, main)


@in_each_colour
def test_where_nothing_can_be_cancelled_nothing_is_sent(colour: str) -> None:
    """In the dialect without a cancel the call is refused before anything is sent."""
    script = Script([status("RUNNING")])

    async def main() -> None:
        async with a_task(colour, script, dialect="aisa") as task:
            with pytest.raises(ConfigurationError, match="no way to cancel"):
                await got(task.cancel())

    run_in(colour, main)
    assert script.asked == []


@in_each_colour
def test_updates_yield_each_change_and_end_like_a_wait(colour: str) -> None:
    """Updates yield every change in order, and then raise what a wait would have raised."""
    script = Script([status("PENDING"), status("RUNNING"), status("FAILED", code="X", message="why")])

    async def main() -> list[str]:
        seen: list[str] = []
        async with a_task(colour, script) as task:
            with pytest.raises(TaskFailed, match="X: why"):
                await read_updates(task, seen)
        return seen

    async def read_updates(task: Any, seen: list[str]) -> None:
        if colour == "sync":
            for event in task.updates():
                seen.append(str(event.after))  # noqa: PERF401  # what came before an error must stay
        else:
            async for event in task.updates():
                seen.append(str(event.after))  # noqa: PERF401  # what came before an error must stay

    assert run_in(colour, main) == [
        "QUEUED", "NOT_YET", "RUNNING", "ON_SUCCESS", "FAILED", "NONE",
    ]  # fmt: skip


@in_each_colour
def test_a_deadline_is_a_moment(colour: str) -> None:
    """A deadline with a time zone ends the wait; one without is refused, as it means another moment elsewhere."""
    clock = VirtualClock()
    deadline = datetime.fromtimestamp(clock.now().wall_s + 10.0, UTC)

    async def main() -> None:
        async with a_task(colour, Script([status("RUNNING")]), clock) as task:
            with pytest.raises(ConfigurationError, match="time zone"):
                await got(task.wait(deadline=deadline.replace(tzinfo=None)))
            with pytest.raises(StillRunning, match="still running"):
                await got(task.wait(deadline=deadline))

    run_in(colour, main)
    assert clock.now().monotonic_s <= 10.25


@in_each_colour
def test_a_refresh_is_one_look(colour: str) -> None:
    """A refresh asks once at once and says where the task stands, also after an end."""
    script = Script([status("RUNNING"), status("SUCCEEDED", **DONE)])
    clock = VirtualClock()

    async def main() -> None:
        async with a_task(colour, script, clock) as task:
            assert (await got(task.refresh())).phase is Phase.RUNNING
            assert clock.now().monotonic_s == 0.0
            assert (await got(task.refresh())).billing is Billing.BILLED
            assert task.outcome.task_id == ID
            assert (await got(task.refresh())).phase is Phase.SUCCEEDED

    run_in(colour, main)
    assert len(script.asked) == 3


@in_each_colour
def test_a_refresh_that_hears_nothing_says_so(colour: str) -> None:
    """A refresh that gets no answer within one attempt's time is an error, and a refusal another."""

    async def main() -> None:
        async with a_task(colour, Script([httpx.ReadTimeout("slow")])) as task:
            with pytest.raises(StillUnknown, match="ReadTimeout"):
                await got(task.refresh())
        refused = httpx.Response(401, json={"code": "InvalidApiKey", "message": "no"})
        async with a_task(colour, Script([refused])) as task:
            with pytest.raises(PollRefused, match="InvalidApiKey"):
                await got(task.refresh())

    run_in(colour, main)


@in_each_colour
def test_a_refresh_obeys_the_accounts_floor(colour: str) -> None:
    """A refresh does not ask before a Retry-After that the account was given has passed."""
    throttled = httpx.Response(429, headers={"retry-after": "5"}, json={"code": "Throttling", "message": "slow"})
    script, clock = Script([throttled, status("RUNNING")]), VirtualClock()

    async def main() -> None:
        async with a_task(colour, script, clock) as task:
            await got(task.refresh())

    run_in(colour, main)
    assert clock.now().monotonic_s == pytest.approx(5.0)


@in_each_colour
def test_a_success_without_a_video_is_kept(colour: str) -> None:
    """A success whose answer never holds a video is unreadable and billed, and the raw answer is kept."""

    async def main() -> None:
        async with a_task(colour, Script([status("SUCCEEDED", video_url="ftp://elsewhere/x")])) as task:
            with pytest.raises(ResultUnreadable) as caught:
                await got(task.wait())
            assert caught.value.billing is Billing.BILLED
            assert caught.value.result["output"]["video_url"] == "ftp://elsewhere/x"
            assert caught.value.safe_to_submit_again == "no"
            assert task.outcome is None

    run_in(colour, main)


@in_each_colour
def test_what_is_not_done_cannot_be_downloaded(colour: str) -> None:
    """A download of a task that is not done is refused with what to do first."""

    async def main() -> None:
        async with a_task(colour, Script([status("RUNNING")])) as task:
            with pytest.raises(TaskError, match="wait for it first"):
                await got(task.download("clip.mp4"))

    run_in(colour, main)


@in_each_colour
def test_a_timeout_is_logged_with_its_task(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A time-out says still queued, is logged with the task's id and says what may still be billed."""
    caplog.set_level(logging.WARNING, "resilient_poll")

    async def main() -> None:
        async with a_task(colour, Script([status("PENDING")])) as task:
            with pytest.raises(StillQueued, match="may still be billed") as caught:
                await got(task.wait(timeout=5.0))
            assert caught.value.polls == 3  # at once, after 3 s, and last at 4.5 s

    run_in(colour, main)
    assert any(ID in record.getMessage() and "still queued" in record.getMessage() for record in caplog.records)


@in_each_colour
def test_a_task_shows_where_it_stands(colour: str) -> None:
    """A task's own words for itself are its id, phase and bill, and hold no secret."""

    async def main() -> None:
        async with a_task(colour, Script([status("RUNNING")])) as task:
            await got(task.refresh())
            assert (task.id, task.phase, task.billing, task.status) == (
                ID, Phase.RUNNING, Billing.ON_SUCCESS, "RUNNING",
            )  # fmt: skip
            assert repr(task).endswith(f"{ID} RUNNING ON_SUCCESS>")
            assert task.standing.resume_token == task.resume_token

    run_in(colour, main)


@in_each_colour
def test_a_cancel_whose_answer_is_lost_is_looked_after(colour: str) -> None:
    """Where a cancel's answer is lost and the task turns out cancelled, that is returned."""
    script = Script([status("CANCELED")], cancel=httpx.ReadTimeout("no answer"))

    async def main() -> None:
        async with a_task(colour, script) as task:
            assert (await got(task.cancel())).phase is Phase.CANCELED

    run_in(colour, main)


@in_each_colour
def test_a_cancel_obeys_the_accounts_floor_and_raises_it(colour: str) -> None:
    """A Retry-After on a cancel holds for what the account sends next, and one heard before holds for the cancel."""
    throttled = httpx.Response(429, headers={"retry-after": "5"}, json={"code": "Throttling", "message": "slow"})
    script, clock = Script([status("RUNNING")], cancel=throttled), VirtualClock()

    async def main() -> None:
        async with a_task(colour, script, clock) as task:
            with pytest.raises(CancelRefused) as caught:
                await got(task.cancel())
            assert caught.value.come_back_in_s == 5.0
            with pytest.raises(CancelRefused):
                await got(task.cancel())

    run_in(colour, main)
    assert clock.now().monotonic_s >= 5.0


def anew(task: Any) -> Any:
    """Return the task as the same client would by its id."""
    return task._client.task(ID)


@in_each_colour
def test_a_task_that_is_picked_up_anew_keeps_its_distance(colour: str) -> None:
    """However often one client picks a task up by its id, it is asked about twice a second at most."""
    script, clock = Script([status("RUNNING")]), VirtualClock()

    async def main() -> None:
        async with a_task(colour, script, clock) as first:
            task = first
            for _ in range(10):
                await got(task.refresh())
                task = anew(task)
            assert clock.now().monotonic_s >= 4.5

    run_in(colour, main)


def test_a_misuse_of_a_task_says_nothing_of_submitting() -> None:
    """What a wrong call about an existing task raises is no licence to submit again; only yes is true in an if."""

    async def main() -> None:
        async with a_task("sync", Script([status("RUNNING")])) as task:
            naive = datetime.now(UTC).replace(tzinfo=None)
            for wrong in ({"timeout": -1}, {"timeout": "5"}, {"deadline": naive}):
                with pytest.raises(ConfigurationError) as caught:
                    task.wait(**wrong)
                assert not caught.value.safe_to_submit_again
                assert caught.value.safe_to_submit_again == "unknown"

    run_in("sync", main)


@in_each_colour
def test_a_closed_client_says_so(colour: str) -> None:
    """A client that is closed gives one sentence that says what to do, and no bare error of a library."""
    script = Script([status("RUNNING")])

    async def main() -> None:
        async with a_task(colour, script) as task:
            await got(task.refresh())
        with pytest.raises(ConfigurationError, match=r"the client is closed.*goes on at the service"):
            await got(task.wait())

    run_in(colour, main)


@in_each_colour
def test_a_refresh_inside_a_wait_leaves_the_wait_as_it_was(colour: str) -> None:
    """Whoever refreshes a task while its updates are watched gets them all the same, until the time asked for."""
    world = ManyWorld(["PENDING 5s -> RUNNING 60s -> SUCCEEDED"])

    async def main() -> tuple[float, int]:
        client = world.client(is_async=colour != "sync")
        task = await got(client.submit(MODEL, INPUT))
        updates = task.updates(timeout=200)
        if colour == "sync":
            for _ in updates:
                task.refresh()
        else:
            async for _ in updates:
                await task.refresh()
        await got(client.close())
        return world.now_s, task.outcome.polls

    ended_s, polls = run_in(colour, main)
    assert 65 <= ended_s <= 69
    assert polls <= 30, "it is asked about as often as before"


def test_a_refresh_of_one_in_a_batch_leaves_its_wait_as_it_was() -> None:
    """A task that is refreshed between two results of its batch is waited for until the batch's own time."""
    world = ManyWorld(["RUNNING 5s -> SUCCEEDED", "RUNNING 60s -> SUCCEEDED"])
    with world.client() as client:
        first, second = client.submit(MODEL, INPUT), client.submit(MODEL, INPUT)
        finished = []
        for one in client.as_completed([first, second], timeout=200):
            finished.append((one.task, one.error))
            second.refresh()
    assert finished == [(first, None), (second, None)]


def test_all_who_poll_one_task_keep_its_floor_together() -> None:
    """Several waits for one task at the same time ask no more than twice a second, all of them together."""
    asked_s: list[float] = []

    async def main() -> None:
        def answer(request: httpx.Request) -> httpx.Response:  # noqa: ARG001  # whatever is asked
            asked_s.append(anyio.current_time())
            return status("RUNNING")

        class Slow(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                reply = answer(request)
                await anyio.sleep(0.2)  # virtual: trio's mock clock
                return reply

        async with (
            httpx.AsyncClient(transport=Slow()) as http_client,
            AsyncDashScope(
                dialect="dashscope",
                api_key="sk-test",
                base_url="http://api.test/v1",
                http_client=http_client,
                wait_policy=WaitPolicy(schedule=Fixed(0.0), timeout_s=10.0),
            ) as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(3):
                group.start_soon(wait_for, client.task(ID))

    async def wait_for(task: AsyncTask) -> None:
        with pytest.raises(StillGoing):
            await task.wait()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(asked_s) >= 10
    assert min(second - first for first, second in pairwise(asked_s)) >= 0.5
