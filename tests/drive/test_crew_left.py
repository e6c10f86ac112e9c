"""Leaving many at once in odd ways: at any line, twice, with the interpreter, in a fork, from another task."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import httpx
import pytest
import trio
import trio.testing

from resilient_poll import (
    AsyncDashScope,
    ConfigurationError,
    DashScope,
    Fixed,
    Limits,
    StillRunning,
    SubmitPolicy,
    WaitPolicy,
)
from resilient_poll.drive.crew import ThreadCrew
from tests.support.colours import run_in
from tests.support.honest_service import Fate, HonestService
from tests.support.many_world import jobs

BASE: dict[str, Any] = {
    "dialect": "aisa",
    "api_key": "sk-test",
    "base_url": "http://api.test/v1",
    "limits": Limits(concurrent_tasks=8),
}
AT_ONCE = WaitPolicy(schedule=Fixed(0.0))


def tokens(text: str) -> list[str]:
    return re.findall(r"rpt1\.\S+", text)


class Busy(HonestService):
    """A service that goes on for ever with all tasks but those that are named."""

    def __init__(self, *ended: str) -> None:
        super().__init__([Fate.ACCEPTED])
        self._ended = ended

    def _finished(self, request: Any) -> Any:
        task_id = request.url.path.rpartition("/")[2]
        if task_id in self._ended:
            return super()._finished(request)
        return self._json(200, {"request_id": "r", "output": {"task_id": task_id, "task_status": "RUNNING"}})


class Gate:
    """Keeps the answers of all creates but the first back until it is opened."""

    def __init__(self, service: HonestService) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        first = threading.Lock()
        answer = service.answer

        def slowly(fate: Any, request: Any) -> Any:
            if request.method == "POST" and not first.acquire(blocking=False):
                self.reached.set()
                self.opened.wait(10)
            return answer(fate, request)

        service.answer = slowly  # type: ignore[method-assign]  # the slowness


def in_time(work: Callable[[], None], most_s: float = 15.0) -> None:
    """Fail where something would hang, instead of hanging."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001  # raised in the test's own thread
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(most_s)
    assert not thread.is_alive(), "it hangs"
    for fault in faults:
        raise fault


@contextmanager
def interrupted_in(module: str, line: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at the n-th line of a module that this thread runs, once."""
    left = [line]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001  # the interpreter's signature
        if not frame.f_code.co_filename.endswith(module):
            return trace if "resilient_poll/" in frame.f_code.co_filename else None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        yield left
    finally:
        sys.settrace(None)


@pytest.mark.parametrize("module", ["drive/crew.py", "threading.py"])
def test_control_c_at_any_line_with_threads(module: str, caplog: pytest.LogCaptureFixture) -> None:
    """Ctrl-C at any line that hands a request to a thread neither hangs nor loses an id."""
    caplog.set_level(logging.WARNING, "resilient_poll")

    def interrupt(line: int) -> None:
        caplog.clear()
        service = HonestService([Fate.ACCEPTED])
        with (
            httpx.Client(transport=service.transport()) as http_client,
            DashScope(**BASE, http_client=http_client) as client,
        ):
            results = client.submit_many(jobs(2), timeout=0.5)
            with pytest.raises(KeyboardInterrupt), interrupted_in(module, line):
                next(results)
        missing = [number for number in range(service.accepted) if f"task-{number + 1}" not in caplog.text]
        assert len(missing) <= caplog.text.count("there may be a task"), f"at line {line}"

    for line in range(1, 70):
        in_time(lambda: interrupt(line))  # noqa: B023  # run before the next line


@pytest.mark.parametrize("threads", [0, 1])
def test_fewer_threads_than_wanted_are_enough(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, the requests are carried out all the same."""
    start, left = threading.Thread.start, threads

    def sparing(thread: threading.Thread) -> None:
        nonlocal left
        if thread.name == "resilient-poll-crew":
            left -= 1
            if left < 0:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", sparing)
    service = HonestService([Fate.ACCEPTED])

    def work() -> None:
        with (
            httpx.Client(transport=service.transport()) as http_client,
            DashScope(**BASE, http_client=http_client, wait_policy=AT_ONCE) as client,
        ):
            assert [one.error for one in client.submit_many(jobs(5))] == [None] * 5

    in_time(work)
    assert service.accepted == 5


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_an_exit_inside_a_request_ends_the_batch(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """An exit inside a request reaches the caller, and the log has the doubt and what goes on."""
    service = HonestService([Fate.ACCEPTED])
    answer = service.answer

    def leaving(fate: Any, request: Any) -> Any:
        if request.method == "POST" and service.creates == 2:
            raise SystemExit("enough")
        return answer(fate, request)

    service.answer = leaving  # type: ignore[method-assign]  # the exit

    def block() -> None:
        with (
            httpx.Client(transport=service.transport()) as http_client,
            DashScope(**BASE, http_client=http_client) as client,
        ):
            list(client.submit_many(jobs(3)))

    async def wait() -> None:
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client) as client,
        ):
            async for _ in client.submit_many(jobs(3)):
                pass

    with pytest.raises(BaseException) as left:  # noqa: PT011  # looked into below
        in_time(block if colour == "sync" else lambda: run_in(colour, wait))
    # Trio wraps what leaves a nursery, and a create has one.
    found = left.value.exceptions[0] if isinstance(left.value, BaseExceptionGroup) else left.value
    assert isinstance(found, SystemExit)
    assert "there may be a task that will be billed" in caplog.text
    assert len(tokens(caplog.text)) >= 1


def test_what_comes_after_a_second_control_c_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not even wait for a submit that is out finds its doubt in the log, and its id once it came."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])
    gate = Gate(service)

    def impatient(crew: ThreadCrew) -> None:  # noqa: ARG001  # in a method's place
        raise KeyboardInterrupt

    with (
        httpx.Client(transport=service.transport()) as http_client,
        DashScope(**BASE, http_client=http_client, wait_policy=AT_ONCE) as client,
    ):
        results = client.submit_many(jobs(2))
        next(results)
        assert gate.reached.wait(10)
        monkeypatch.setattr(ThreadCrew, "bring_home", impatient)
        with pytest.raises(KeyboardInterrupt):
            results.close()
        assert "there may be a task" in caplog.text
        assert not tokens(caplog.text)
        gate.opened.set()
        for thread in threading.enumerate():
            if thread.name == "resilient-poll-crew":
                thread.join(0.2)  # They wait for orders that nobody gives any more.
    assert "task task-2 was accepted and its submit broken off (GeneratorExit)" in caplog.text
    assert len(tokens(caplog.text)) == 1


SCRIPT = """
import os, sys, threading
sys.path.insert(0, {root!r})
import httpx
from resilient_poll import ConfigurationError, DashScope, Fixed, Limits, WaitPolicy
from tests.drive.test_crew_left import AT_ONCE, BASE, Gate
from tests.support.honest_service import Fate, HonestService
from tests.support.many_world import jobs

service = HonestService([Fate.ACCEPTED])
gate = Gate(service)
http_client = httpx.Client(transport=service.transport())
client = DashScope(**BASE, http_client=http_client, wait_policy=AT_ONCE)
results = client.submit_many(jobs({jobs}))
print(next(results).task.id, flush=True)
assert gate.reached.wait(10)
threading.Timer(0.3, gate.opened.set).start()
"""
FORKED = """
child, creates = os.fork(), service.creates
if child == 0:
    try:
        {what}
    except ConfigurationError as error:
        os._exit(10 if "forked" in str(error) and service.creates == creates else 3)
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print(len(list(results)))
"""


def run_script(text: str, *, jobs: int) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(  # noqa: S603  # our own text
        [sys.executable, "-c", SCRIPT.format(root=root, jobs=jobs) + text],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_end_of_the_interpreter_waits_for_creates() -> None:
    """A program that ends while a batch of it is open and a create is out has its id in the log all the same."""
    done = run_script("", jobs=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "task-1\n"
    assert "task task-2 was accepted and its submit broken off (GeneratorExit)" in done.stderr
    assert len(tokens(done.stderr)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_sends_nothing_of_its_own() -> None:
    """A batch that is gone on with in a fork sends nothing there, and the process that began it loses nothing."""
    done = run_script(FORKED.format(what="next(results)"), jobs=4)
    assert done.stdout == "task-1\n10\n3\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_that_ends_waits_for_nobodys_threads() -> None:
    """A batch with a create out that is closed in a fork is closed there at once, without a word."""
    done = run_script(FORKED.format(what="results.close(); os._exit(11)"), jobs=4)
    assert done.stdout == "task-1\n11\n3\n", done.stderr
    assert not tokens(done.stderr)


class Slow(httpx.AsyncBaseTransport):
    """Keeps the second create back."""

    def __init__(self, service: HonestService, seconds: float) -> None:
        self._wire = service.transport()
        self._seconds = seconds
        self._creates = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._creates += request.method == "POST"
        is_late = request.method == "POST" and self._creates == 2
        answer: httpx.Response = await self._wire.handle_async_request(request)
        if is_late:
            await anyio.sleep(self._seconds)  # real: or on trio's mock clock
        return answer


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_stalled_create_holds_nobody_up(colour: str) -> None:
    """While one create gets no answer, the others' results and deadlines come in time, within a quarter of a second."""
    stall_s, timeout_s = (60.0, 30.0) if colour == "trio" else (1.5, 0.6)
    ended_s: list[float] = []

    async def main() -> None:
        service = Busy()
        async with (
            httpx.AsyncClient(transport=Slow(service, stall_s)) as http_client,
            AsyncDashScope(**BASE, http_client=http_client, submit_policy=SubmitPolicy(timeout_s=100)) as client,
        ):
            began_s = anyio.current_time()
            async with client.submit_many(jobs(4), timeout=timeout_s) as results:
                async for _ in results:
                    ended_s.append(anyio.current_time() - began_s)
                    if len(ended_s) == 3:
                        break

    if colour == "trio":
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        asyncio.run(main())
    assert max(ended_s) <= timeout_s + 0.25


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_create_that_is_out_when_its_loop_is_forgotten(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """After a mere break a create that is out runs to its end, and the log has its id before the event loop ends."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = HonestService([Fate.ACCEPTED])

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=Slow(service, 0.8)) as http_client,
            AsyncDashScope(**BASE, http_client=http_client, wait_policy=AT_ONCE) as client,
        ):
            async for _ in client.submit_many(jobs(2)):
                break

    run_in(colour, main)
    assert service.accepted == 2
    assert "task task-2 was accepted and its submit broken off (GeneratorExit)" in caplog.text


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_results_that_outlive_their_event_loop(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """Results that are forgotten after their event loop ended say what goes on, and tasks can still be read."""
    caplog.set_level(logging.WARNING, "resilient_poll")
    service = Busy("task-1")

    async def main() -> tuple[Any, Any]:
        http_client = httpx.AsyncClient(transport=service.transport())
        client = AsyncDashScope(**BASE, http_client=http_client, wait_policy=AT_ONCE)
        results = client.submit_many(jobs(3))
        return results, (await anext(results)).task

    results, task = run_in(colour, main)
    assert task.outcome.task_id == task.id
    assert task.resume_token.startswith("rpt1.")
    caplog.clear()
    del results
    gc.collect()
    assert len(tokens(caplog.text)) == 2


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_two_tasks_cannot_share_results(colour: str) -> None:
    """A second task that asks for the next result, or closes them, is refused, and the first loses nothing."""
    service = Busy()
    got: list[Any] = []

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client) as client,
        ):
            results = client.submit_many(jobs(4), timeout=0.4)

            async def first() -> None:
                got.extend([one async for one in results])  # each until its time is up

            async with anyio.create_task_group() as group:
                group.start_soon(first)
                await anyio.sleep(0.1)  # real: the first is waiting
                for intrude in (results.__anext__, results.aclose):
                    with pytest.raises(RuntimeError, match="another task"):
                        await intrude()

    run_in(colour, main)
    assert [type(one.error) for one in got] == [StillRunning] * 4


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_whoever_is_cancelled_already_sends_nothing(colour: str) -> None:
    """A caller that was cancelled before its next step pays for nothing more."""
    service = HonestService([Fate.ACCEPTED])

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=service.transport()) as http_client,
            AsyncDashScope(**BASE, http_client=http_client) as client,
        ):
            if colour == "trio":
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await anext(client.submit_many(jobs(2)))
                return

            async def cancelled() -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await anext(client.submit_many(jobs(2)))

            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(cancelled())

    run_in(colour, main)
    assert service.creates == 0


def test_a_fork_is_told_in_one_sentence() -> None:
    """The error of a fork names what is wrong."""
    from resilient_poll.drive import crew  # noqa: PLC0415  # its private part is looked at here only

    with pytest.raises(ConfigurationError, match="forked from"):
        crew._refuse_in_a_fork(os.getpid() + 1)
