"""Faults of pollers."""

from __future__ import annotations

import inspect
import math
import threading
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import trio
from trio.testing import MockClock

from benchmarks.peers.service import LIFECYCLE, Answer, Enough, Seen, naps, ours, ours_ended, peer, serving, told
from resilient_poll import Fixed, OperationSpec, Outcome, Reply, poll, poll_async
from resilient_poll.drive.clocks import VirtualClock

__all__ = ["azure", "botocore_waiters", "fal_requests", "google", "openai_videos", "replicate_predictions", "runway"]

RUNNING = Answer({"status": "running"})
DONE = Answer({"status": "succeeded"})
EVERY_3_S = Fixed(3.0)


def _hinted(value: str) -> Answer:
    return Answer({"status": "running"}, headers={"retry-after": value})


def _pauses(slept_s: list[float]) -> str:
    return "pauses of " + ", ".join("∞" if math.isinf(one) else f"{one:g} s" for one in slept_s)


def azure() -> Iterator[Seen]:
    """Its polling of operations: hints, and a limit that says nothing."""
    core, polling = import_module("azure.core"), import_module("azure.core.polling")
    base_polling, rest = import_module("azure.core.polling.base_polling"), import_module("azure.core.rest")

    def started(url: str) -> Any:
        client = core.PipelineClient(base_url=url)
        first = client._pipeline.run(rest.HttpRequest("POST", url))  # noqa: SLF001  # as the generated clients do
        return polling.LROPoller(client, first, lambda _: "resource", base_polling.LROBasePolling())

    def seen(hint: str) -> str:
        accepted = Answer({}, 202, {"operation-location": "{url}"})
        polled = Answer({"status": "Running"}, headers={"retry-after": hint})
        with naps(3) as slept_s, serving(accepted, polled, Answer({"status": "Succeeded"})) as service:
            came = told(started(service.url).result)
        return _pauses(slept_s) if came == "ends" else came

    name = peer("azure-core")
    for hint in ("0", "inf", "soon"):
        came, slept_s, _ = ours(_hinted(hint), DONE, schedule=EVERY_3_S)
        theirs = seen(hint)
        yield Seen(
            name,
            f"a poll's answer says `Retry-After: {hint}`; the schedule: 30 s and 3 s",
            theirs,
            _pauses(slept_s) if isinstance(came, Outcome) else f"`{type(came).__name__}`",
            theirs != "pauses of 0 s" and (hint == "0" or theirs != "pauses of 30 s"),
        )
    released = threading.Event()
    accepted = Answer({}, 202, {"operation-location": "{url}"})
    answers = (accepted, Answer({"status": "Running"}), Answer({"status": "Succeeded"}))
    with serving(*answers) as service, naps(sleep=lambda _: released.wait(30)):
        poller = started(service.url)
        got = poller.result(timeout=0.2)
        is_done = poller.done()
        released.set()
        poller.wait()
    late, _, _ = ours(RUNNING, timeout=20.0)
    theirs = f"`result(timeout)` returns {got!r}, `done()` is {is_done}"
    yield Seen(name, "the caller's time is up, the task goes on", theirs, f"`{type(late).__name__}`", not is_done)


def google() -> Iterator[Seen]:
    """Its futures."""
    operation = import_module("google.api_core.operation")
    operation_async = import_module("google.api_core.operation_async")
    polling = import_module("google.api_core.future.polling")
    operations_pb2 = import_module("google.longrunning.operations_pb2")
    empty_pb2 = import_module("google.protobuf.empty_pb2")

    name = peer("google-api-core")
    done = {"name": "operations/1", "done": True, "response": {"@type": "type.googleapis.com/google.protobuf.Empty"}}
    goes_on, hint = {"name": "operations/1"}, {"retry-after": "60"}
    with naps() as slept_s, serving(Answer(goes_on, headers=hint), Answer(done)) as service:
        future = operation.from_http_json(
            goes_on, lambda method, path: httpx.request(method, f"{service.url}/{path}").json(), empty_pb2.Empty
        )
        future.result()
    _, ours_s, _ = ours(_hinted("60"), DONE, schedule=EVERY_3_S)
    yield Seen(
        name,
        "a poll's answer says `Retry-After: 60`",
        "pauses of " + ("60 s" if slept_s[0] >= 60 else "less than 20 s, as its schedule says"),
        _pauses(ours_s),
        max(slept_s) < 60,
    )
    blocking_s = polling.DEFAULT_POLLING.timeout
    awaiting_s = inspect.signature(operation_async.AsyncOperation.result).parameters["timeout"].default
    same = {way: inspect.signature(way).parameters["timeout"].default for way in (poll, poll_async)}
    yield Seen(
        name,
        "the default total limit, blocking and awaiting",
        f"{blocking_s} s and {awaiting_s}",
        "300 s and 300 s" if set(same.values()) == {None} else "they differ",
        blocking_s != awaiting_s,
    )

    class Stub:
        """What ``from_grpc`` is given: the documented stub's one method."""

        def GetOperation(self, request: Any, **_: Any) -> Any:  # noqa: N802  # the stub's own name
            return operations_pb2.Operation(name=request.name)

    future = operation.from_grpc(operations_pb2.Operation(name="operations/1"), Stub(), empty_pb2.Empty)
    theirs = told(future.done)
    asked = told(lambda: poll(lambda: ("succeeded", 1), lifecycle=LIFECYCLE, clock=VirtualClock()))
    yield Seen(name, "a future is asked whether it is done (`from_grpc(...).done()`)", theirs, asked, theirs != "ends")


def runway() -> Iterator[Seen]:
    """Its wait for a task that was cancelled."""
    runwayml = import_module("runwayml")

    task = {"id": "1", "createdAt": "2026-01-01T00:00:00Z", "status": "CANCELLED"}
    running = {**task, "status": "RUNNING", "progress": 0.5}
    with naps(20), serving(Answer(running), Answer(task)) as service:
        client = runwayml.RunwayML(api_key="x", base_url=service.url)
        blocking = told(client.tasks.retrieve("1").wait_for_task_output)
        polls = service.requests - 1

    async def awaiting() -> str:
        answers = iter([running])
        beneath = httpx.MockTransport(lambda _: httpx.Response(200, json=next(answers, task)))
        waiting = runwayml.AsyncRunwayML(
            api_key="x", base_url="http://runway.test", http_client=httpx.AsyncClient(transport=beneath)
        )
        try:
            await (await waiting.tasks.retrieve("1")).wait_for_task_output()
        except Exception as error:  # noqa: BLE001  # that is what is asked for
            return f"`{type(error).__name__}`"
        return "ends"

    awaited = trio.run(awaiting, clock=MockClock(autojump_threshold=0))
    came, _, ours_polls = ours(RUNNING, Answer({"status": "CANCELLED"}))
    yield Seen(
        peer("runwayml"),
        "a task is cancelled while it is waited for",
        f"blocking: {blocking} ({polls} polls counted); awaiting: {awaited}",
        ours_ended(came, ours_polls) + ", in every colour",
        blocking == "goes on for ever",
    )


def openai_videos() -> Iterator[Seen]:
    """Its helper that polls a video."""
    openai = import_module("openai")

    def video(status: str, hint_ms: int) -> Answer:
        body = {"id": "v", "object": "video", "status": status, "created_at": 1, "model": "m", "progress": 1}
        return Answer({**body, "seconds": "4", "size": "1x1"}, headers={"openai-poll-after-ms": str(hint_ms)})

    def polled(most: int, *answers: Answer) -> tuple[str, list[float]]:
        with naps(most) as slept_s, serving(*answers) as service, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The helper is deprecated, and says so.
            client = openai.OpenAI(api_key="x", base_url=service.url)
            return told(lambda: client.videos.poll("v")), slept_s

    hints_ms = (5_000, 20_000, 9_000)
    _, slept_s = polled(50, *(video("in_progress", hint) for hint in hints_ms), video("completed", 0))
    _, ours_s, _ = ours(*(_hinted(f"{hint // 1000}") for hint in hints_ms), DONE, schedule=Fixed(1.0))
    yield Seen(
        peer("openai"),
        "the service asks for 5, 20 and 9 s between polls",
        _pauses(slept_s),
        _pauses(ours_s),
        slept_s != [5.0, 20.0, 9.0],
    )
    ended, slept_s = polled(500, video("in_progress", 5_000))
    came, _, polls = ours(RUNNING)
    yield Seen(
        peer("openai"),
        "a video that never ends",
        f"{ended} ({len(slept_s)} polls, {sum(slept_s):g} s counted)",
        ours_ended(came, polls) + ", within 300 s",
        ended == "goes on for ever",
    )


def replicate_predictions() -> Iterator[Seen]:
    """Its wait for a prediction that is aborted."""
    replicate = import_module("replicate")

    prediction: dict[str, Any] = {
        "id": "1",
        "version": "v",
        "model": "o/m",
        "input": {},
        "output": None,
        "logs": "",
        "error": None,
    }
    prediction |= {"created_at": "2026-01-01T00:00:00Z", "status": "processing", "urls": {}}
    with naps(200) as slept_s, serving(Answer(prediction), Answer({**prediction, "status": "aborted"})) as service:
        client = replicate.Client(api_token="x", base_url=service.url)  # noqa: S106  # nobody checks it
        ended = told(client.predictions.get("1").wait)
    came, _, polls = ours(RUNNING, Answer({"status": "aborted"}), timeout=10_000.0)
    yield Seen(
        peer("replicate"),
        "a prediction comes to the status `aborted`, which no list names",
        f"{ended} ({len(slept_s)} polls counted)" if ended.startswith("goes") else f"{ended}, about the answer",
        ours_ended(came, polls) + " with the word, within 126 s; at once where the word is declared",
        ended == "goes on for ever",
    )


class _ToLoopback(httpx.HTTPTransport):
    """Sends every request to a service of ours, whatever host it names; fal's hosts are fixed in its code."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._port = httpx.URL(url).port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return super().handle_request(request)


def fal_requests() -> Iterator[Seen]:
    """Its wait for a queued request: what goes on after the caller's time is up, and after the end."""
    fal = import_module("fal_client")
    urls = {f"{what}_url": f"https://queue.example/{what}" for what in ("response", "status", "cancel")}
    submitted = Answer({"request_id": "r", **urls})
    running: dict[str, Any] = {"status": "IN_PROGRESS", "logs": []}
    completed: dict[str, Any] = {"status": "COMPLETED", "logs": []}

    def client_of(url: str) -> Any:
        client = fal.SyncClient(key="x")
        client.__dict__["_client"] = httpx.Client(transport=_ToLoopback(url))  # its one place for another client
        return client

    over, left = threading.Event(), threading.Event()

    def nap(_: float) -> None:
        if over.is_set():
            left.set()
            raise Enough
        threading.Event().wait(0.01)

    with serving(submitted, Answer(running)) as service, naps(10_000, nap):
        # It takes no time below a second.
        ended = told(lambda: client_of(service.url).subscribe("a/b", {}, client_timeout=1.1))
        before = service.requests
        for _ in range(200):
            if service.requests >= before + 10:
                break
            threading.Event().wait(0.01)
        goes_on = service.requests - before
        over.set()
        if goes_on:
            left.wait(10.0)  # or its thread would keep this process
    came, _, polls = ours(RUNNING)
    yield Seen(
        peer("fal-client"),
        "the caller's time is up, the task goes on",
        f"{ended}, and its thread polls on" if goes_on >= 10 else f"{ended}, and nothing is asked any more",
        ours_ended(came, polls) + ", and nothing is asked any more",
        goes_on >= 10,
    )
    with serving(submitted, Answer(running), Answer(completed)) as service, naps():
        client_of(service.url).subscribe("a/b", {}, on_queue_update=lambda _: None)
        more = service.requests - 4  # the submit, two polls, and the result
    came, _, polls = ours(RUNNING, DONE)
    yield Seen(
        peer("fal-client"),
        "the second poll tells the end, and updates are listened to",
        f"{more} poll after the end" if more else "no poll after the end",
        ours_ended(came, polls),
        more > 0,
    )


def botocore_waiters() -> Iterator[Seen]:
    """Its waiters, over an operation that answers by a script."""
    waiters = import_module("botocore.waiter")

    acceptors: list[dict[str, Any]] = [
        {"matcher": "path", "argument": "length(things) > `0`", "expected": True, "state": "success"},
        {"matcher": "path", "argument": "state", "expected": "starting", "state": "retry"},
        {"matcher": "error", "expected": "Gone", "state": "failure"},
    ]
    model = {"operation": "Describe", "delay": 5, "maxAttempts": 3, "acceptors": acceptors}
    spec = OperationSpec.from_botocore(model)

    def theirs(*answers: dict[str, Any]) -> tuple[str, str]:
        coming = list(answers)
        waiter = waiters.Waiter(
            "it", waiters.SingleWaiterConfig(model), lambda: coming.pop(0) if len(coming) > 1 else coming[0]
        )
        with naps():
            try:
                waiter.wait()
            except Exception as error:  # noqa: BLE001  # that is what is asked for
                return f"`{type(error).__name__}`", str(error)
        return "success", ""

    def mine(*replies: Reply) -> Outcome | Exception:
        coming = list(replies)
        try:
            return poll(
                lambda: spec.observe(coming.pop(0) if len(coming) > 1 else coming[0]),
                lifecycle=spec.lifecycle,
                schedule=spec.schedule,
                timeout=spec.timeout_s,
                clock=VirtualClock(),
            )
        except Exception as error:  # noqa: BLE001  # that is what is asked for
            return error

    def ended(came: Outcome | Exception) -> str:
        return f"`{type(came).__name__}`" if isinstance(came, Exception) else "success"

    name, done = peer("botocore"), {"things": [1], "state": "up"}
    came, _ = theirs({"Error": {"Code": "Busy", "Message": "passing"}}, done)
    our = ended(mine(Reply(http_status=503, error_code="Busy"), Reply(body=done, http_status=200)))
    yield Seen(name, "one 503 that no acceptor names, then success", came, our, came != "success")
    came, _ = theirs({"things": 5}, done)
    our = ended(mine(Reply(body={"things": 5}, http_status=200), Reply(body=done, http_status=200)))
    yield Seen(name, "one answer to which the expression cannot be applied, then success", came, our, came != "success")
    _, said = theirs({"things": [], "state": "starting"}, {"things": [], "state": "odd"})
    late = mine(Reply(body={"things": [], "state": "starting"}, http_status=200))
    is_wrong = "Gone" in said
    yield Seen(
        name,
        "the attempts run out; what matched last was `state == starting`",
        "the message says that the error `Gone` matched" if is_wrong else "the message names what matched",
        f"`{type(late).__name__}` with the last status",
        is_wrong,
    )
