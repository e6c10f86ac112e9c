"""A span per task and per attempt, in every colour, against the fake on a clock of its own."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from resilient_poll import BatchProgress, Job, StillGoing, SubmitInDoubt, SubmitRefused, TaskFailed
from resilient_poll.ledger import MemoryLedger
from resilient_poll.machine.lifecycle import ENDS
from tests.support.colours import COLOURS, INPUT, MODEL, got, run_in
from tests.support.in_process import answer_from, engine_transport
from tests.telemetry.hearing import NAME, Exported, Served, serving

each_colour = pytest.mark.parametrize("colour", COLOURS)


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan, among: list[ReadableSpan]) -> ReadableSpan:
    """Return a span's parent, which must be there."""
    assert span.parent is not None
    return {other.context.span_id: other for other in among}[span.parent.span_id]


def run_one(served: Served, colour: str, **waiting: Any) -> Any:
    async def main() -> Any:
        async with served.client(colour) as client:
            task = await got(client.submit(MODEL, INPUT))
            return await got(task.wait(**waiting))

    return run_in(colour, main)


@each_colour
def test_a_task_is_one_span_and_its_attempts_lie_beneath(colour: str) -> None:
    """From submit to end there is one span, as long as the service's time, with each attempt as its child."""
    served = serving("succeeds")
    outcome = run_one(served, colour)
    exported = served.exported
    (task,) = exported.tasks
    assert about(task) | {"resilient_poll.detection.delay_s": 0} == {
        "resilient_poll.service": "dashscope",
        "resilient_poll.model": MODEL,
        "resilient_poll.endpoint": "video",
        "resilient_poll.task.id": outcome.task_id,
        "resilient_poll.from_ledger": False,
        "resilient_poll.submit.attempts": 1,
        "resilient_poll.phase": "SUCCEEDED",
        "resilient_poll.status": "SUCCEEDED",
        "resilient_poll.billing": "BILLED",
        "resilient_poll.wait.ended_by": "ENDED",
        "resilient_poll.polls": outcome.polls,
        "resilient_poll.detection.delay_s": 0,
    }
    assert task.parent is None
    assert task.status.status_code is StatusCode.UNSET
    assert (task.end_time - task.start_time) / 1e9 == pytest.approx(sum(served.clock.slept_s))
    assert len(exported.attempts) == 1 + outcome.polls
    assert all(parent_of(span, exported.spans) is task for span in exported.attempts)
    query = exported.attempts[-1]
    assert (query.name, query.kind) == ("GET /api/v1/tasks/{task_id}", SpanKind.CLIENT)
    assert about(query) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "resilient_poll.task.id": outcome.task_id,
        "server.address": "fake.test",
        "server.port": 80,
        "url.full": f"http://fake.test/api/v1/tasks/{outcome.task_id}",
        "url.scheme": "http",
        "url.template": "/api/v1/tasks/{task_id}",
    }


def test_every_colour_tells_the_same() -> None:
    """The stream of a task is the same in blocking code, on asyncio and on trio, and has an order that makes sense."""
    told = []
    for colour in COLOURS:
        served = serving("succeeds")
        run_one(served, colour)
        told.append([(type(event).__name__, event.at_s) for event in served.exported.events])
    assert told[0] == told[1] == told[2]
    kinds = [kind for kind, _ in told[0]]
    assert kinds[:6] == ["SubmitBegun", "PhaseChanged", "AttemptEnded", "Submitted", "PhaseChanged", "WaitBegan"]
    assert kinds[-6:] == ["AttemptEnded", "Polled", "PhaseChanged", "BillingChanged", "EndSeen", "WaitEnded"]
    assert [at_s for _, at_s in told[0]] == sorted(at_s for _, at_s in told[0])


@each_colour
def test_a_task_that_failed_is_an_error(colour: str) -> None:
    """The span of a failed task has the status ERROR and says which end it was, without anybody's text."""
    served = serving("fails-by-policy")
    with pytest.raises(TaskFailed):
        run_one(served, colour)
    (task,) = served.exported.tasks
    assert (task.status.status_code, about(task)["error.type"]) == (StatusCode.ERROR, "FAILED")
    assert task.status.description is None


@each_colour
def test_a_bad_gateway_is_the_attempts_error_and_not_the_tasks(colour: str) -> None:
    """Answers of 5xx are errors of their own spans with the status as their type; the task's stays as it is."""
    served = serving("bad-gateway")
    run_one(served, colour)
    (task,) = served.exported.tasks
    wrong = [span for span in served.exported.attempts if span.status.status_code is StatusCode.ERROR]
    assert wrong
    assert {about(span)["error.type"] for span in wrong} == {"502"}
    assert task.status.status_code is StatusCode.UNSET
    assert "AttemptFailed" in {event.name for event in task.events}


@each_colour
def test_a_throttle_is_told_in_the_tasks_span(colour: str) -> None:
    """Each throttle is an event of the span with what the service asked for, and a metric counts it."""
    served = serving("throttled-create-seconds")
    run_one(served, colour)
    (task,) = served.exported.tasks
    throttles = [dict(event.attributes or {}) for event in task.events if event.name == "Throttled"]
    assert throttles
    assert all(found["pause_s"] >= found.get("retry_after_s", 0.0) for found in throttles)
    ((_, count),) = served.exported.points("resilient_poll.throttled")
    assert count == len(throttles)
    assert about(task)["resilient_poll.submit.attempts"] == 1 + len(throttles)


@each_colour
@pytest.mark.parametrize(
    ("scenario", "error", "billing"),
    [("refused-create", SubmitRefused, "NONE"), ("server-error-after-commit", SubmitInDoubt, "UNDETERMINED")],
)
def test_a_submit_without_a_task_ends_its_span(
    colour: str, scenario: str, error: type[Exception], billing: str
) -> None:
    """A submit that comes to no task ends its span with the error that its caller gets, and what may be owed."""
    served = serving(scenario)
    with pytest.raises(error):
        run_one(served, colour)
    (task,) = served.exported.tasks
    assert about(task)["error.type"] == error.__name__
    assert about(task)["resilient_poll.billing"] == billing
    assert len(served.exported.attempts) == 1
    assert served.exported.kinds().count("SubmitEnded") == 1


@each_colour
def test_a_later_wait_is_a_span_that_is_linked(colour: str) -> None:
    """A wait whose time is up ends its span as an error; the next one is another, linked to it by span and task id."""
    served = serving("stuck-running")

    async def main() -> None:
        async with served.client(colour) as client:
            task = await got(client.submit(MODEL, INPUT))
            for _ in range(2):
                with pytest.raises(StillGoing):
                    await got(task.wait(timeout=20.0))

    run_in(colour, main)
    first, second = served.exported.tasks
    assert [about(span)["error.type"] for span in (first, second)] == ["DEADLINE", "DEADLINE"]
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert about(second)["resilient_poll.task.id"] == about(first)["resilient_poll.task.id"]
    assert about(second)["resilient_poll.resumed"] is True


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_an_interrupted_wait_goes_on_in_its_span(colour: str) -> None:
    """A wait that is cancelled ends no span; the next wait goes on with it, and its end is the span's."""
    served = serving("succeeds")

    async def main() -> None:
        async with served.client(colour) as client:
            task = await client.submit(MODEL, INPUT)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await task.wait()
            assert scope.cancelled_caught
            assert not served.exported.tasks
            await task.wait()

    run_in(colour, main)
    (task,) = served.exported.tasks
    assert about(task)["resilient_poll.phase"] == "SUCCEEDED"
    assert served.exported.kinds().count("WaitBegan") == 2


@each_colour
def test_a_task_that_is_only_looked_at_ends_its_span(colour: str) -> None:
    """Where nobody waits and the task is merely refreshed, its span ends when a look sees the end."""
    served = serving("succeeds")

    async def main() -> None:
        async with served.client(colour) as client:
            task = await got(client.submit(MODEL, INPUT))
            while (await got(task.refresh())).phase not in ENDS:
                served.clock.advance(2.0)

    run_in(colour, main)
    (task,) = served.exported.tasks
    assert about(task)["resilient_poll.billing"] == "BILLED"
    assert all(parent_of(span, served.exported.spans) is task for span in served.exported.attempts)


@each_colour
def test_a_wait_in_another_process_has_the_tasks_id(colour: str) -> None:
    """A task that is resumed by its token elsewhere has a span with its id, and its attempts lie beneath."""
    served = serving("succeeds")
    elsewhere = Exported(served.clock)

    async def main() -> None:
        async with served.client(colour) as client:
            token = (await got(client.submit(MODEL, INPUT))).resume_token
        async with served.client(colour, on_event=elsewhere) as client:
            await got(client.task(token).wait())

    run_in(colour, main)
    assert not served.exported.tasks, "nobody waited for it there, so its span is open"
    served.exported.telemetry.close()
    (left,), (resumed,) = served.exported.tasks, elsewhere.tasks
    assert about(left)["resilient_poll.left"] is True
    assert about(left)["resilient_poll.task.id"] == about(resumed)["resilient_poll.task.id"]
    assert {parent_of(span, elsewhere.spans).name for span in elsewhere.attempts} == {NAME}


@each_colour
def test_many_jobs_do_not_mix(colour: str) -> None:
    """Of many jobs at once each has its own span, and each attempt lies beneath the span of its own task."""
    served = serving("succeeds")
    jobs = [Job(f"{MODEL}-{number}", INPUT, label=str(number)) for number in range(7)]

    async def main() -> list[Any]:
        async with served.client(colour) as client:
            results = client.submit_many(jobs, workers=4)
            if colour == "sync":
                return list(results)
            return [finished async for finished in results]

    finished = run_in(colour, main)
    exported = served.exported
    assert all(one.error is None for one in finished)
    ids = {one.task.id: f"{MODEL}-{one.label}" for one in finished}
    assert {about(s)["resilient_poll.task.id"]: about(s)["resilient_poll.model"] for s in exported.tasks} == ids
    creates = Counter[str]()
    for span in exported.attempts:
        parent = parent_of(span, exported.tasks)
        if "resilient_poll.task.id" in about(span):
            assert about(span)["resilient_poll.task.id"] == about(parent)["resilient_poll.task.id"]
        else:
            creates[about(parent)["resilient_poll.task.id"]] += 1
    assert creates == Counter(dict.fromkeys(ids, 1))


@each_colour
def test_every_event_of_a_submit_says_of_which(colour: str) -> None:
    """While many submits are under way, and throttled, each event without a task's id says of which submit it is."""
    served = serving("throttled-create-seconds")

    async def main() -> None:
        async with served.client(colour) as client:
            results = client.submit_many([Job(MODEL, INPUT)] * 6)
            finished = list(results) if colour == "sync" else [one async for one in results]
            assert all(one.error is None for one in finished)

    run_in(colour, main)
    told = [event for event in served.exported.events if event.task_id is None and type(event) is not BatchProgress]
    assert not [event for event in told if event.submit_id is None]
    assert {"Waiting", "Throttled"} <= {type(event).__name__ for event in told}
    assert len({event.submit_id for event in told}) == 6
    assert len(served.exported.tasks) == 6


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_nothing_leaks_between_tasks_of_one_loop(colour: str) -> None:
    """Each task's span has the caller's own span as its parent, and what is current is never one of ours."""
    served = serving("succeeds")
    tracer = served.exported.provider.get_tracer("caller")
    parents: dict[str, int] = {}

    async def one(client: Any, number: int) -> None:
        with tracer.start_as_current_span(f"caller {number}") as mine:
            task = await client.submit(MODEL, INPUT)
            assert trace.get_current_span() is mine
            parents[task.id] = mine.get_span_context().span_id
            await task.wait()
            assert trace.get_current_span() is mine

    async def main() -> None:
        async with served.client(colour) as client, anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(one, client, number)

    run_in(colour, main)
    tasks = served.exported.tasks
    assert {about(span)["resilient_poll.task.id"]: span.parent and span.parent.span_id for span in tasks} == parents
    assert len(set(parents.values())) == 5


@each_colour
def test_what_the_ledger_knows_is_told_as_such(colour: str) -> None:
    """A submit whose key stands for a task already says so in its span, sends nothing, and is counted."""
    served = serving("succeeds")

    async def main() -> None:
        async with served.client(colour, ledger=MemoryLedger()) as client:
            for _ in range(3):
                task = await got(client.submit(MODEL, INPUT, idempotency_key="order 17"))
                await got(task.wait())

    run_in(colour, main)
    exported = served.exported
    assert [about(span)["resilient_poll.from_ledger"] for span in exported.tasks] == [False, True, True]
    assert len({about(span)["resilient_poll.task.id"] for span in exported.tasks}) == 1
    assert exported.points("resilient_poll.submits.from_ledger") == [({}, 2)]
    assert served.engine.journal.counters["create_requests"] == 1


@each_colour
def test_a_worker_ends_the_spans_of_what_it_hands_over(colour: str) -> None:
    """A task that a worker follows has a span of its own there, which ends with the task."""
    served, ledger = serving("succeeds"), MemoryLedger()
    elsewhere = Exported(served.clock)

    async def main() -> None:
        async with served.client(colour, ledger=ledger) as client:
            for number in range(3):
                await got(client.submit(MODEL, INPUT, idempotency_key=f"order {number}"))
        async with served.client(colour, ledger=ledger, on_event=elsewhere) as client:
            worker = client.worker(lambda _: None)
            counts = await got(worker.run_until_idle(timeout=600.0))
            assert counts.handed_over == 3

    run_in(colour, main)
    assert len({about(span)["resilient_poll.task.id"] for span in elsewhere.tasks}) == 3 == len(elsewhere.tasks)
    assert {about(span)["resilient_poll.phase"] for span in elsewhere.tasks} == {"SUCCEEDED"}
    assert all(parent_of(span, elsewhere.tasks) for span in elsewhere.attempts)
    told = Counter(elsewhere.kinds())
    assert told["WaitBegan"] == told["EndSeen"] == told["WaitEnded"] == 3


@each_colour
def test_a_worker_that_is_refused_ends_the_wait_and_begins_another(colour: str) -> None:
    """Where the service refuses to say, the span ends as an error; asked about again, the task has another one."""
    served, ledger = serving("succeeds"), MemoryLedger()
    elsewhere = Exported(served.clock)
    asked: list[str] = []

    def refuses(request: Any, body: bytes) -> Any:
        asked.append(request.method)
        reply = answer_from(served.engine, served.clock, request, body)
        refusal = SimpleNamespace(status=403, headers=(), body=b'{"code": "AccessDenied", "message": "no"}')
        return refusal if len(asked) == 1 else reply

    async def main() -> None:
        async with served.client(colour, ledger=ledger) as client:
            await got(client.submit(MODEL, INPUT, idempotency_key="order 17"))
        transport = engine_transport(httpx, refuses)
        async with served.client(colour, transport=transport, ledger=ledger, on_event=elsewhere) as client:
            worker = client.worker(lambda _: None)
            for _ in range(2):
                await got(worker.run_until_idle(timeout=400.0))
                served.clock.advance(400.0)
                worker = client.worker(lambda _: None)

    run_in(colour, main)
    assert [about(span).get("error.type") for span in elsewhere.tasks] == ["POLL_REFUSED", None]
    assert len(elsewhere.tasks[1].links) == 1


@each_colour
def test_a_result_that_came_at_once_is_a_span(colour: str) -> None:
    """A synchronous endpoint's call is one span with its attempt beneath; asked for again, it is the ledger's."""
    served = serving("synchronous")
    wanted = {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}

    async def main() -> None:
        async with served.client(colour, ledger=MemoryLedger()) as client:
            for _ in range(2):
                await got(client.generate("qwen-image", wanted, idempotency_key="order 17"))

    run_in(colour, main)
    first, second = served.exported.tasks
    assert about(first)["resilient_poll.billing"] == about(second)["resilient_poll.billing"] == "BILLED"
    assert about(second)["resilient_poll.from_ledger"] is True
    assert [parent_of(span, served.exported.tasks) for span in served.exported.attempts] == [first]
    assert served.exported.points("resilient_poll.submits.from_ledger") == [({}, 1)]
