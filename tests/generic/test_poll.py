"""Polling any other API: what ends a wait, what passes, and what it costs to import."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from examples.other_api import render
from resilient_poll import (
    Billing,
    ConfigurationError,
    Fixed,
    Lifecycle,
    Outcome,
    PollRefused,
    StillGoing,
    StillRunning,
    TaskFailed,
    WaitPolicy,
    poll,
    poll_async,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import Event
from resilient_poll.machine.observations import Throttled, Unreadable
from resilient_poll.machine.policy import DEADLINE_MARGIN_S
from tests.support.colours import COLOURS, run_in
from tests.support.raw_server import Connection, RawRequest, RawServer, json_answer

LIFECYCLE = Lifecycle.of(queued=["queued"], running=["processing"], succeeded=["completed"], failed=["errored"])
each_colour = pytest.mark.parametrize("colour", COLOURS)


def wait_in(colour: str, query: Callable[[], Any], clock: VirtualClock | None = None, **options: Any) -> Outcome:
    """Poll in a colour, with one blocking query for all of them."""
    clock = clock or VirtualClock()
    if colour == "sync":
        return poll(query, lifecycle=LIFECYCLE, clock=clock, **options)

    async def ask() -> Any:
        return query()

    return run_in(colour, lambda: poll_async(ask, lifecycle=LIFECYCLE, clock=clock.for_async(), **options))


def says(*answers: Any) -> Callable[[], Any]:
    """Return a query that says one thing after another, the last one for ever; errors are raised."""
    coming: Iterator[Any] = itertools.chain(answers, itertools.repeat(answers[-1]))

    def query() -> Any:
        answer = next(coming)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return query


def status_error(library: Any, status: int, headers: dict[str, str] | None = None) -> Exception:
    """Return what ``raise_for_status()`` of a library raises."""
    response = library.Response(status, headers=headers, request=library.Request("GET", "http://api.test/job"))
    with pytest.raises(library.HTTPStatusError) as caught:
        response.raise_for_status()
    error: Exception = caught.value
    return error


# The example that the README shows.


def test_the_example_polls_another_api() -> None:
    """The five lines that the README shows bring back the answer of an API that is not DashScope."""
    job = {"state": "completed", "url": "http://assets.test/a.png"}
    with RawServer.answering(lambda _: json_answer(200, job)) as server:
        assert render(server.url) == job
    assert len(server.requests) == 1


def test_the_example_says_what_failed() -> None:
    """The same five lines raise the other ends by their type, with the name that was given to the task."""
    with RawServer.answering(lambda _: json_answer(200, {"state": "errored"})) as server:
        with pytest.raises(TaskFailed) as caught:
            render(server.url)
        assert caught.value.task_id == server.url


def test_the_example_needs_no_more_when_refused() -> None:
    """A 404 ends the same five lines at once, since asking again cannot help."""
    with RawServer.answering(lambda _: json_answer(404, {})) as server, pytest.raises(PollRefused):
        render(server.url)
    assert len(server.requests) == 1


# What a query may return.


@each_colour
def test_a_status_and_its_answer_come_back(colour: str) -> None:
    """The outcome has the last answer, the service's own word, and how often it was asked."""
    outcome = wait_in(colour, says("queued", ("processing", {"n": 1}), ("completed", {"n": 2})), task_id="job-1")
    assert (outcome.task_id, outcome.status, outcome.polls) == ("job-1", "completed", 3)
    assert outcome.result == {"n": 2}
    assert outcome.billing is Billing.BILLED


@each_colour
def test_a_bare_status_is_its_own_answer(colour: str) -> None:
    """A query that returns a word only gets that word back."""
    assert wait_in(colour, says("completed")).result == "completed"


@each_colour
def test_letter_case_is_no_news(colour: str) -> None:
    """A table written by hand takes a success under other letter case as a success."""
    assert wait_in(colour, says("Completed")).status == "Completed"


@each_colour
def test_an_observation_is_taken_as_it_is(colour: str) -> None:
    """Whoever knows more than a status says it in the machine's own words."""
    clock = VirtualClock()
    query = says(Throttled(retry_after_s=40.0), Unreadable(reason="half an answer"), "completed")
    assert wait_in(colour, query, clock).polls == 3
    assert clock.slept_s[0] == pytest.approx(40.0)


# What passes and what does not.


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
        OSError("no route to host"),
        json.JSONDecodeError("no JSON", "<html>", 0),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        KeyError("state"),
        IndexError("list index out of range"),
        TypeError("'NoneType' object is not subscriptable"),
        httpx.ReadTimeout("slow"),
        httpx2.ConnectError("refused"),
        httpx.RemoteProtocolError("closed"),
        httpx2.DecodingError("bad gzip"),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
@each_colour
def test_what_the_network_or_the_answer_does_passes(colour: str, error: Exception) -> None:
    """An error about the network or the answer is a failed poll, and the task is found to have succeeded after it."""
    assert wait_in(colour, says(error, error, "completed")).polls == 3


@pytest.mark.parametrize("answer", [None, 17, {"state": "completed"}, (None, {}), ("completed",), b"completed"])
@each_colour
def test_an_answer_of_another_type_passes(colour: str, answer: Any) -> None:
    """What is no status is a failed poll with a reason, and not a status."""
    assert wait_in(colour, says(answer, "completed")).polls == 2
    with pytest.raises(StillGoing, match="a query returns a status"):
        wait_in(colour, says(answer), timeout=10.0)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), NameError("x"), AttributeError("x"), AssertionError(), ConfigurationError("mend it")]
)
@each_colour
def test_a_fault_of_the_program_ends_the_wait(colour: str, error: Exception) -> None:
    """An error that no network makes is raised at once, as it is."""
    with pytest.raises(type(error)) as caught:
        wait_in(colour, says(error, "completed"))
    assert caught.value is error


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
@each_colour
def test_a_4xx_that_says_never_ends_the_wait(colour: str, status: int, library: Any) -> None:
    """``raise_for_status()`` on a 4xx that waiting cannot mend ends the wait at once, and says which."""
    with pytest.raises(PollRefused, match=str(status)):
        wait_in(colour, says(status_error(library, status), "completed"))


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
@each_colour
def test_a_status_that_passes_is_waited_out(colour: str, status: int, library: Any) -> None:
    """``raise_for_status()`` on 408, 425, 429 and 5xx is a failed poll."""
    assert wait_in(colour, says(status_error(library, status), "completed")).polls == 2


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("status", [429, 503])
@each_colour
def test_retry_after_is_honoured(colour: str, status: int, library: Any) -> None:
    """No query is made before the ``Retry-After`` of an error with a response."""
    clock = VirtualClock()
    wait_in(colour, says(status_error(library, status, {"retry-after": "41"}), "completed"), clock)
    assert sum(clock.slept_s) == pytest.approx(41.0)


@pytest.mark.parametrize(("status", "headers"), [(404, {}), (429, {"retry-after": "43"}), (503, {"retry-after": "43"})])
def test_the_standard_librarys_errors_are_read_too(status: int, headers: dict[str, str]) -> None:
    """An ``HTTPError`` of urllib is read like any other error with a response, status, hint and all."""
    answers = iter([json_answer(status, {}, headers)])
    clock = VirtualClock()

    def answer(_: RawRequest) -> bytes:
        return next(answers, json_answer(200, {"state": "completed"}))

    def script(connection: Connection) -> None:
        if request := connection.read_request():
            connection.send(answer(request))

    with RawServer(script) as server:

        def query() -> str:
            with urllib.request.urlopen(server.url) as response:  # noqa: S310  # an http URL
                state: str = json.load(response)["state"]
                return state

        if status == 404:
            with pytest.raises(PollRefused, match="404"):
                poll(query, lifecycle=LIFECYCLE, clock=clock)
        else:
            assert poll(query, lifecycle=LIFECYCLE, clock=clock).polls == 2
            assert sum(clock.slept_s) == pytest.approx(43.0)


@each_colour
def test_a_hint_beyond_the_deadline_ends_the_wait_at_once(colour: str) -> None:
    """A ``Retry-After`` that the wait cannot reach ends it typed, with the time to come back, and no sleep."""
    clock = VirtualClock()
    with pytest.raises(StillGoing) as caught:
        wait_in(colour, says(status_error(httpx, 429, {"retry-after": "900"})), clock, timeout=60.0)
    assert caught.value.come_back_in_s == pytest.approx(900.0)
    assert clock.slept_s == []


@each_colour
def test_a_listener_that_fails_does_not_end_the_wait(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the caller's listener is logged, and a paid task is not lost by it."""
    heard: list[Event] = []

    def listener(event: Event) -> None:
        heard.append(event)
        raise ZeroDivisionError("the listener's own fault")

    assert wait_in(colour, says("queued", "completed"), on_event=listener).status == "completed"
    assert len(heard) >= 2
    assert "the listener" in caplog.text


@each_colour
def test_limits_and_schedule_are_the_callers(colour: str) -> None:
    """Timeout, schedule and policy that are passed are those that hold."""
    clock = VirtualClock()
    with pytest.raises(StillRunning) as caught:
        wait_in(colour, says("processing"), clock, timeout=20.0, schedule=Fixed(5.0))
    assert clock.now().monotonic_s == pytest.approx(20.0, abs=5.0)
    assert caught.value.resume_token is None
    assert {round(pause, 6) for pause in clock.slept_s[:-1]} <= {5.0, 3.0}
    policy = WaitPolicy(max_failures_in_a_row=2)
    with pytest.raises(StillGoing) as caught:
        wait_in(colour, says(OSError("down")), policy=policy)
    assert caught.value.polls == 2


def test_a_timeout_that_makes_no_sense_is_refused() -> None:
    """A wait without an end does not begin."""
    for timeout in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError):
            poll(says("completed"), lifecycle=LIFECYCLE, timeout=timeout)


# Real time.


def test_the_deadline_holds_whatever_a_query_does() -> None:
    """A query that blocks for ever does not hold up the wait beyond its timeout and the margin."""
    let_go = threading.Event()

    def blocks() -> str:
        let_go.wait(30.0)
        return "completed"

    began_s = time.monotonic()
    with pytest.raises(StillGoing, match="no answer within"):
        poll(blocks, lifecycle=LIFECYCLE, timeout=0.6)  # real: a call that blocks is a fact of real time
    took_s = time.monotonic() - began_s
    let_go.set()
    assert 0.4 < took_s < 0.6 + DEADLINE_MARGIN_S


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_the_deadline_holds_whatever_is_awaited(colour: str) -> None:
    """A query that never returns is cancelled at its time, and the wait ends by its timeout and the margin."""
    import anyio  # noqa: PLC0415

    async def hangs() -> str:
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> float:
        began_s = time.monotonic()
        with pytest.raises(StillGoing, match="no answer within"):
            # real: an answer that never comes
            await poll_async(hangs, lifecycle=LIFECYCLE, timeout=0.6)
        return time.monotonic() - began_s

    assert 0.4 < run_in(colour, main) < 0.6 + DEADLINE_MARGIN_S


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_poll_is_cancelled(colour: str) -> None:
    """Cancelling whoever polls takes effect at once, and is not taken for a failed poll."""
    import anyio  # noqa: PLC0415

    asked: list[int] = []

    async def hangs() -> str:
        asked.append(1)
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        with anyio.move_on_after(0.1) as scope:  # real: a moment, until the query hangs
            await poll_async(hangs, lifecycle=LIFECYCLE)
        assert scope.cancelled_caught

    run_in(colour, main)
    assert asked == [1]


# What it costs to import.

_THIRD_PARTY = """
import sys
theirs = sorted(
    name for name in {name.partition(".")[0] for name in sys.modules} - before
    if name not in sys.stdlib_module_names and name != "resilient_poll"
)
assert not theirs, theirs
"""


@pytest.mark.parametrize(
    "program",
    [
        "import resilient_poll",
        "from resilient_poll import poll",
        "import resilient_poll.machine",
        "from resilient_poll import Lifecycle, Phase, TaskFailed, WaitPolicy",
        """
        from resilient_poll import Lifecycle, poll
        table = Lifecycle.of(succeeded=["done"])
        assert poll(lambda: ("done", 1), lifecycle=table, timeout=5).result == 1
        """,
        """
        import resilient_poll.generic
        from resilient_poll import Lifecycle, poll, StillGoing
        from resilient_poll.drive.clocks import VirtualClock
        def fails(): raise OSError("down")
        try:
            poll(fails, lifecycle=Lifecycle.of(succeeded=["done"]), timeout=60, clock=VirtualClock())
        except StillGoing:
            pass
        """,
    ],
    ids=["the package", "poll", "the machine", "the vocabulary", "a whole poll", "a poll that fails"],
)
def test_nothing_third_party_is_imported(program: str) -> None:
    """The package, the machine and a whole run of ``poll`` get by on the standard library."""
    code = (
        f"import sys\nbefore = {{n.partition('.')[0] for n in sys.modules}}\n{textwrap.dedent(program)}\n{_THIRD_PARTY}"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    assert done.returncode == 0, done.stderr
