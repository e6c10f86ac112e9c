"""Many jobs at once: how fast, how gently, in which order, and what of one's failure reaches the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from resilient_poll import (
    AsyncDashScope,
    BatchProgress,
    ConfigurationError,
    DashScope,
    Finished,
    Fixed,
    Job,
    JobAccepted,
    Limits,
    ResilientPollError,
    ResultAtOnce,
    StillGoing,
    SubmitNotSent,
    SubmitRefused,
    TaskFailed,
    WaitPolicy,
)
from resilient_poll.dashscope.limits import VIDEO
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event
from tests.scenarios.client_under_test import Setting, _Notes
from tests.scenarios.generated import BASE_PATHS
from tests.support.colours import COLOURS, run_in
from tests.support.honest_service import Fate, HonestService
from tests.support.in_process import ORIGIN
from tests.support.many_world import INPUT, MODEL, ManyWorld, MockedTime, jobs
from tests.support.shipped import all_shipped

IDEAL_ROUNDS = math.ceil(100 / 3)


def polite(world: ManyWorld) -> None:
    assert not world.counters["early_creates"]
    assert not world.counters["early_polls"]
    assert not world.counters["polls_after_end"]


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize("limits", [VIDEO, None], ids=["declared", "found out"])
@pytest.mark.parametrize("work_s", [20, 60, 90])
def test_a_hundred_videos_on_a_cap_of_three(work_s: int, limits: Limits | None) -> None:
    """A hundred videos take at most a tenth longer than three at a time could, with no or few refusals."""
    world = ManyWorld([f"RUNNING {work_s}s -> SUCCEEDED"])
    finished = world.all_of("sync", jobs(100), limits=limits)
    assert [one.error for one in finished] == [None] * 100
    assert sorted(one.ordinal for one in finished) == list(range(100))
    assert world.now_s <= 1.1 * IDEAL_ROUNDS * work_s
    assert world.counters["throttled_creates"] <= (0 if limits else 10)
    polite(world)


def test_a_hundred_videos_with_a_network_between() -> None:
    """The same holds where every answer takes a tenth of a second and several requests are out at once."""

    async def main() -> tuple[float, ManyWorld, int]:
        world = ManyWorld()
        slow = MockedTime(world, 0.1)
        async with (
            httpx.AsyncClient(transport=slow.transport()) as http_client,
            AsyncDashScope(
                dialect="aisa",
                api_key="sk-generated",
                base_url=ORIGIN + BASE_PATHS["aisa"],
                http_client=http_client,
                limits=VIDEO,
            ) as client,
        ):
            finished = [one async for one in client.submit_many(jobs(100))]
        assert [one.error for one in finished] == [None] * 100
        return trio.current_time() - slow.began_s, world, slow.most_out

    took_s, world, most_out = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert took_s <= 1.1 * IDEAL_ROUNDS * 20
    assert world.counters["throttled_creates"] == 0
    assert most_out == 3
    polite(world)


def test_a_service_that_queues_is_kept_busy_and_not_flooded() -> None:
    """Where tasks over the cap are queued, the service never idles, and nobody's wait is used up in its queue."""
    world = ManyWorld(["RUNNING 40s -> SUCCEEDED"], cap=2, dialect="dashscope")
    finished = world.all_of("sync", jobs(30))
    assert [one.error for one in finished] == [None] * 30
    assert world.now_s <= 1.05 * 15 * 40
    polite(world)


@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
def test_every_colour_does_the_same(dialect: str) -> None:
    """On one clock, blocking code, asyncio and trio leave the same events at the same times."""
    traces = {}
    for colour in COLOURS:
        world = ManyWorld(["RUNNING 20s -> SUCCEEDED", "RUNNING 7s -> FAILED InternalError.Algo"], dialect=dialect)
        finished = world.all_of(colour, jobs(7))
        traces[colour] = [str(event) for event in world.events] + [
            f"{one.ordinal} {one.label} {one.outcome} {one.error}" for one in finished
        ]
    assert len(traces["sync"]) > 50
    assert traces["sync"] == traces["asyncio"] == traces["trio"]


def _is_single(name: str) -> bool:
    asked = SCENARIOS[name].client
    return (
        not SCENARIOS[name].needs_socket
        and asked.tasks == 1
        and asked.cancel is None
        and not ENDPOINTS[asked.endpoint].is_synchronous
    )


SCENARIOS = all_shipped()
SINGLE = [(name, dialect) for name in SCENARIOS if _is_single(name) for dialect in SCENARIOS[name].dialects]


def _alone(client: DashScope, wanted: Job, asked: Any) -> Any:
    return client.submit(
        wanted.model, wanted.input, wanted.parameters, endpoint=wanted.endpoint, timeout=asked.submit_timeout_s
    ).wait(timeout=asked.timeout_s)


def _one_of_one(client: DashScope, wanted: Job, asked: Any) -> Any:
    (finished,) = client.submit_many([wanted], submit_timeout=asked.submit_timeout_s, timeout=asked.timeout_s)
    return finished.result()


@pytest.mark.parametrize(("name", "dialect"), SINGLE)
def test_a_batch_of_one_is_a_submit_and_a_wait(name: str, dialect: str) -> None:
    """In every scenario of one task, a batch of one tells the same events at the same times, with the same end."""
    asked = SCENARIOS[name].client
    wanted = Job(asked.model, asked.input, asked.parameters, asked.endpoint)
    traces = []
    for way in (_alone, _one_of_one):
        world = ManyWorld(dialect=dialect)
        world.use(SCENARIOS[name])
        notes = _Notes(Setting(SCENARIOS[name], dialect, "", "", bool, world.clock))
        with world.client(on_event=notes.event) as client:
            try:
                outcome = way(client, wanted, asked)
                notes.line(f"{outcome.status} {outcome.polls} {outcome.time_per_phase}")
            except ResilientPollError as error:
                notes.line(f"{type(error).__name__} {error}")
        mine = (JobAccepted.__name__, BatchProgress.__name__)
        traces.append([line for line in notes.run.trace if not line.split(" ", 2)[2].startswith(mine)])
    assert traces[0]
    assert traces[0] == traces[1]


def test_one_jobs_failure_is_its_own() -> None:
    """Refused, failed and impossible jobs have their error, and the others succeed."""
    world = ManyWorld(["RUNNING 5s -> FAILED DataInspectionFailed", "RUNNING 5s -> SUCCEEDED"])
    wanted = [
        Job(MODEL, INPUT, label="fails"),
        Job("", INPUT, label="has no model"),
        Job(MODEL, INPUT, endpoint="no-such", label="has no endpoint"),
        Job(MODEL, INPUT, label="succeeds"),
        ("a", "tuple"),
    ]
    finished = {one.ordinal: one for one in world.all_of("sync", wanted)}  # type: ignore[arg-type]  # the mistake
    assert {ordinal: type(one.error) for ordinal, one in finished.items()} == {
        0: TaskFailed,
        1: ConfigurationError,
        2: ConfigurationError,
        3: type(None),
        4: ConfigurationError,
    }
    assert [finished[ordinal].label for ordinal in range(5)] == [*(one.label for one in wanted[:4]), None]  # type: ignore[attr-defined]  # as above
    assert finished[3].result() is finished[3].outcome
    assert finished[0].task is not None
    with pytest.raises(TaskFailed):
        finished[0].result()


def test_a_refused_create_is_one_jobs_error() -> None:
    """A create that the service refuses, and one whose answer is lost, do not stop the others."""
    service = HonestService([Fate.REFUSED, Fate.ACCEPTED_LOST, Fate.ACCEPTED])
    with (
        httpx.Client(transport=service.transport()) as http_client,
        DashScope(
            dialect="aisa",
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            clock=VirtualClock(),
        ) as client,
    ):
        finished = {one.ordinal: one for one in client.submit_many(jobs(3))}
    assert isinstance(finished[0].error, SubmitRefused)
    assert finished[1].error is not None
    assert finished[1].error.safe_to_submit_again == "unknown"  # type: ignore[attr-defined]  # a SubmitInDoubt
    assert finished[2].result().task_id == "task-2"


def test_jobs_are_read_as_they_can_be_sent() -> None:
    """Of a list without an end no more jobs are read than could be sent."""
    world, read = ManyWorld(), []

    def endless() -> Iterator[Job]:
        while True:
            read.append(len(read))
            yield Job(MODEL, INPUT)

    with world.client(limits=VIDEO) as client:
        results = client.submit_many(endless())
        got = [next(results).ordinal for _ in range(9)]
        results.close()
    assert sorted(got) == list(range(9))
    assert len(read) <= 9 + 3 + 1


def test_a_fault_of_the_jobs_comes_after_what_is_paid() -> None:
    """If the list of jobs breaks, what was taken of it is finished first, and then the fault is raised."""

    def broken() -> Iterator[Job]:
        yield from jobs(4)
        raise RuntimeError("the file ends in the middle")

    world, got = ManyWorld(), []
    with world.client(limits=VIDEO) as client, pytest.raises(RuntimeError, match="in the middle"):
        got.extend(client.submit_many(broken()))
    assert sorted(one.ordinal for one in got) == [0, 1, 2, 3]
    assert [one.error for one in got] == [None] * 4


def test_results_come_in_order_of_completion() -> None:
    """Who is done first comes first, whoever was submitted first."""
    world = ManyWorld([f"RUNNING {work_s}s -> SUCCEEDED" for work_s in (30, 10, 20)])
    assert [one.ordinal for one in world.all_of("sync", jobs(3))] == [1, 2, 0]


def test_tasks_are_awaited_together() -> None:
    """Tasks that were accepted before are waited for at once, each with its own end."""
    world = ManyWorld([f"RUNNING {work_s}s -> SUCCEEDED" for work_s in (30, 10, 500)])
    with world.client() as client:
        tasks = [client.submit(MODEL, INPUT) for _ in range(3)]
        tasks[1] = client.task(tasks[1].resume_token)
        finished = list(client.as_completed(tasks, timeout=100))
    assert [one.ordinal for one in finished] == [1, 0, 2]
    assert [one.task for one in finished] == [tasks[1], tasks[0], tasks[2]]
    assert isinstance(finished[2].error, StillGoing)
    assert finished[2].error.resume_token
    assert world.now_s == pytest.approx(100, abs=2.1)


def test_nothing_to_do_is_done_at_once() -> None:
    """No jobs and no tasks give no results and send nothing."""
    world = ManyWorld()
    with world.client() as client:
        assert list(client.submit_many([])) == []
        assert list(client.as_completed([])) == []
    assert not world.counters["requests"]


def test_what_cannot_be_awaited_together_is_refused() -> None:
    """Something that is no task, a task of another client, and one that is there twice are mistakes of the call."""
    world = ManyWorld()
    with world.client() as client, world.client() as other:
        task = client.submit(MODEL, INPUT)
        for tasks in ([task, task], [other.task("some-id")], ["some-id"]):
            with pytest.raises(ConfigurationError):
                client.as_completed(tasks)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": 1.5},
        {"timeout": -1},
        {"submit_timeout": 0.1},
        {"deadline": datetime(2025, 1, 1)},  # noqa: DTZ001  # the mistake
    ],
)
def test_mistakes_are_refused_before_anything_is_paid(wrong: dict[str, Any]) -> None:
    """Times and workers that make no sense are refused at the call, in blocking and in awaiting code."""
    world = ManyWorld()
    with world.client() as client, pytest.raises(ConfigurationError):
        client.submit_many(jobs(1), **wrong)
    with pytest.raises(ConfigurationError):
        world.client(is_async=True).submit_many(jobs(1), **wrong)
    assert not world.counters["requests"]


def test_the_deadline_ends_everything() -> None:
    """At the deadline open tasks are still going, with a token, and jobs without a turn were surely not sent."""
    world = ManyWorld(["RUNNING 40s -> SUCCEEDED"])
    deadline = datetime.fromtimestamp(world.clock.now().wall_s, UTC) + timedelta(seconds=100)
    finished = world.all_of("sync", jobs(20), many={"deadline": deadline}, limits=VIDEO)
    assert sorted(one.ordinal for one in finished) == list(range(20))
    kinds = [type(one.error) for one in sorted(finished, key=lambda one: one.ordinal)]
    assert kinds[:6] == [type(None)] * 6
    assert all(issubclass(kind, StillGoing) for kind in kinds[6:9])
    assert set(kinds[9:]) == {SubmitNotSent}
    assert all(one.error.safe_to_submit_again for one in finished if isinstance(one.error, SubmitNotSent))
    assert world.now_s <= 100.25
    assert world.counters["create_requests"] == 9


def test_progress_is_told_when_it_changes() -> None:
    """Every change of the numbers is told once, from all queued to all finished, and each job's id with its label."""
    world = ManyWorld(["RUNNING 5s -> SUCCEEDED", "RUNNING 5s -> FAILED InternalError.Algo"])
    world.all_of("sync", jobs(4), limits=VIDEO)
    told = [event for event in world.events if isinstance(event, BatchProgress)]
    numbers = [(one.queued, one.submitting, one.open, one.finished, one.failed) for one in told]
    assert numbers[0] == (3, 1, 0, 0, 0)
    assert numbers[-1] == (0, 0, 0, 4, 3)
    assert all(first != second for first, second in pairwise(numbers))
    assert all(sum(one[:4]) == 4 for one in numbers)
    accepted = [event for event in world.events if isinstance(event, JobAccepted)]
    assert [(one.ordinal, one.label) for one in accepted] == [(number, f"job {number}") for number in range(4)]
    assert len({one.task_id for one in accepted}) == 4


def test_threads_carry_out_requests_side_by_side() -> None:
    """With several workers and the real clock, jobs run in threads, and every one comes back once."""
    service = HonestService([Fate.ACCEPTED])
    quickly = WaitPolicy(schedule=Fixed(0.01))
    with (
        httpx.Client(transport=service.transport()) as http_client,
        DashScope(
            dialect="aisa",
            api_key="sk-test",
            base_url="http://api.test/v1",
            http_client=http_client,
            wait_policy=quickly,
            limits=Limits(concurrent_tasks=50),
        ) as client,
    ):
        finished = list(client.submit_many(jobs(60), workers=6))
    assert sorted(one.ordinal for one in finished) == list(range(60))
    assert [one.error for one in finished] == [None] * 60
    assert service.accepted == 60


@pytest.mark.parametrize("colour", COLOURS)
def test_a_request_that_breaks_is_one_jobs_error(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A fault in the caller's transport is that job's error, and the log says how to go on with its task."""
    world = ManyWorld()
    calls = iter(range(1000))
    original = world.engine.handle

    def handle(request: Any, now: Any) -> Any:
        if next(calls) == 4:  # The first look at the second of three.
            raise ZeroDivisionError("a fault of the transport")
        return original(request, now)

    world.engine.handle = handle  # type: ignore[method-assign]  # the fault
    finished: list[Finished[Any]] = world.all_of(colour, jobs(3))
    errors = {one.ordinal: one.error for one in finished}
    assert [type(error) for error in errors.values()].count(type(None)) == 2
    assert isinstance(errors[1], ZeroDivisionError)
    assert "was left (ZeroDivisionError); the task goes on" in caplog.text


def test_events_of_many_carry_their_tasks() -> None:
    """Every event of an accepted task carries its id, so that a listener can tell them apart."""
    world = ManyWorld()
    finished = world.all_of("sync", jobs(3))
    ids = {one.task.id for one in finished}
    by_task: dict[str, list[Event]] = {}
    for event in world.events:
        if event.task_id is not None:
            by_task.setdefault(event.task_id, []).append(event)
    assert set(by_task) == ids
    assert all(len(events) > 5 for events in by_task.values())


@pytest.mark.parametrize("colour", COLOURS)
def test_a_result_in_the_place_of_a_task_is_of_its_endpoint(colour: str) -> None:
    """A job that is answered with the result itself has it in its error, as the kind that its endpoint makes."""
    service = HonestService([Fate.ACCEPTED])
    made = {"output": {"results": [{"url": "http://assets.test/made"}]}, "usage": {"image_count": 1}, "request_id": "r"}
    service.answer = lambda fate, request: httpx.Response(200, json=made)  # type: ignore[method-assign]  # noqa: ARG005  # always
    job = Job("model", {"prompt": "a cat"}, endpoint="text-to-image")

    async def main() -> list[Finished[Any]]:
        options: dict[str, Any] = {"dialect": "dashscope", "api_key": "sk-test", "base_url": "http://api.test/v1"}
        if colour == "sync":
            with (
                httpx.Client(transport=service.transport()) as blocking,
                DashScope(http_client=blocking, **options) as one,
            ):
                return list(one.submit_many([job], timeout=1))
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(http_client=http_client, **options) as client,
        ):
            return [finished async for finished in client.submit_many([job], timeout=1)]

    (finished,) = run_in(colour, main)
    assert isinstance(finished.error, ResultAtOnce)
    assert finished.error.outcome.extension == "png"


@pytest.mark.parametrize("colour", COLOURS)
def test_a_job_that_cannot_be_read_is_its_own_failure(colour: str) -> None:
    """A mapping that breaks while it is read is that job's error, and the others are made."""

    class Broken(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise ZeroDivisionError

        def __iter__(self) -> Iterator[str]:
            raise ZeroDivisionError

        def __len__(self) -> int:
            return 1

    world = ManyWorld()
    finished = world.all_of(colour, [*jobs(2), Job(MODEL, Broken(), label="broken")])
    assert {one.label: type(one.error) for one in finished} == {
        "job 0": type(None),
        "job 1": type(None),
        "broken": ZeroDivisionError,
    }
