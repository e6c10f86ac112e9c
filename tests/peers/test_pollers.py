"""What pollers of others get wrong, as tests of ours; what each of them does is in benchmarks/peers.md."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from resilient_poll import (
    Fixed,
    Lifecycle,
    OperationSpec,
    Outcome,
    PollRefused,
    Reply,
    StillGoing,
    StillRunning,
    TaskCanceled,
    TaskFailed,
    poll,
    poll_async,
)
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.machine.policy import DEFAULT_UNLISTED_LIMIT_S
from tests.peers.asking import answer, asked, gaps
from tests.transports.scripted import EACH_WAY, Says

each_way = pytest.mark.parametrize(("colour", "library"), EACH_WAY)
JUNK = ("inf", "nan", "soon", "-1", "1e400", "9" * 400, "120, 60", "Sun, 99 Foo 2026 12:00:00 GMT")

# 4: azure-core


@each_way
@pytest.mark.parametrize("said", ["0", *JUNK])
def test_a_hint_of_nothing_is_no_pause(colour: str, library: str, said: str) -> None:
    """A Retry-After of 0 is no pause, of inf or junk none either, and never an exception: the schedule goes on."""
    came, script = asked(
        colour, library, [answer("running", retry_after=said)] * 2 + [answer("succeeded")], schedule=Fixed(3.0)
    )
    assert isinstance(came, Outcome)
    assert gaps(script) == [3.0, 3.0]


@each_way
def test_a_wait_that_is_over_says_so(colour: str, library: str) -> None:
    """A wait whose time is up raises, with the id and the last status: an unfinished task is no result."""
    came, _ = asked(colour, library, [answer("running")], timeout=30.0, task_id="task-7")
    assert isinstance(came, StillRunning)
    assert (came.task_id, came.status) == ("task-7", "running")


# 5: google-api-core


@each_way
@pytest.mark.parametrize("http_status", [200, 429, 503])
def test_a_hint_on_a_poll_is_read(colour: str, library: str, http_status: int) -> None:
    """The Retry-After of a poll's answer is a floor for the next poll, on a success, a throttle and a fault alike."""
    first = answer("running", http_status, retry_after="20")
    came, script = asked(colour, library, [first, answer("succeeded")], schedule=Fixed(3.0))
    assert isinstance(came, Outcome)
    assert len(script.at_s) == 2
    assert 20.0 <= gaps(script)[0] <= 25.0


def test_the_colours_have_the_same_defaults() -> None:
    """Blocking and awaiting polls take the same arguments with the same defaults, and ask at the same instants."""
    blocking, awaiting = (
        {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
        for function in (poll, poll_async)
    )
    assert blocking == awaiting
    answers = [answer("queued"), Says(503), answer("running", retry_after="7"), Says(None, fails="ReadTimeout")]
    traces = {
        (colour, library): asked(colour, library, [*answers, answer("succeeded")])[1].at_s
        for colour, library in EACH_WAY
    }
    assert len(set(map(tuple, traces.values()))) == 1, traces
    endless = {(colour, library): asked(colour, library, [answer("running")])[1].at_s for colour, library in EACH_WAY}
    assert len(set(map(tuple, endless.values()))) == 1
    assert all(290 < at_s[-1] <= 300 for at_s in endless.values()), "there is a total limit by default, for all"


# 6: runwayml


@each_way
@pytest.mark.parametrize("word", ["canceled", "CANCELLED"])
def test_a_cancelled_task_ends_the_wait_in_every_colour(colour: str, library: str, word: str) -> None:
    """A task that someone cancelled ends the wait at the first poll that says so, in every colour."""
    came, script = asked(colour, library, [answer("running"), answer(word)])
    assert isinstance(came, TaskCanceled)
    assert len(script.at_s) == 2


# 7: openai


@each_way
def test_each_hint_counts_anew(colour: str, library: str) -> None:
    """A service that asks for another interval with each answer is followed each time, not only the first."""
    hints = ["5", "20", "5", "9"]
    answers = [*(answer("running", retry_after=hint) for hint in hints), answer("succeeded")]
    _, script = asked(colour, library, answers, schedule=Fixed(1.0))
    assert [int(gap) for gap in gaps(script)] == [5, 20, 5, 9]


@each_way
def test_every_wait_ends(colour: str, library: str) -> None:
    """A task that never ends is given up within the total limit, without anybody asking for one."""
    came, script = asked(colour, library, [answer("running", retry_after="1")])
    assert isinstance(came, StillGoing)
    assert script.at_s[-1] <= 300.0


# 8: replicate


@each_way
@pytest.mark.parametrize("word", ["aborted", "", "succeeded-with-warnings"])
def test_a_word_that_nobody_listed_does_not_poll_for_ever(colour: str, library: str, word: str) -> None:
    """A status that nobody listed ends the wait after its own limit, with the word in the error."""
    came, script = asked(colour, library, [answer("running"), answer(word)], timeout=10_000.0)
    assert isinstance(came, StillGoing)
    assert came.status == word
    assert script.at_s[-1] <= 3.0 + DEFAULT_UNLISTED_LIMIT_S + 3.0


@each_way
def test_a_word_that_is_listed_as_an_end_is_one(colour: str, library: str) -> None:
    """The same word, once it is declared, ends the wait at once."""
    lifecycle = Lifecycle.of(running=["running"], succeeded=["succeeded"], failed=["failed", "aborted"])
    came, script = asked(colour, library, [answer("running"), answer("aborted")], lifecycle=lifecycle)
    assert isinstance(came, TaskFailed)
    assert len(script.at_s) == 2


# 9: botocore

WAITER: dict[str, Any] = {
    "operation": "DescribeThing",
    "delay": 5,
    "maxAttempts": 10,
    "acceptors": [
        {"matcher": "path", "argument": "length(things) > `0`", "expected": True, "state": "success"},
        {"matcher": "error", "argument": None, "expected": "Gone", "state": "failure"},
    ],
}


def waited(*replies: Reply) -> tuple[Outcome | Exception, int]:
    """Wait as a waiter says; return what came of it, and how often it was asked."""
    spec, coming = OperationSpec.from_botocore(WAITER), list(replies)
    count = 0

    def query() -> Any:
        nonlocal count
        count += 1
        return spec.observe(coming.pop(0) if len(coming) > 1 else coming[0])

    clock = VirtualClock()
    try:
        return poll(query, lifecycle=spec.lifecycle, schedule=spec.schedule, timeout=50.0, clock=clock), count
    except Exception as error:  # noqa: BLE001  # that is what is asked for
        return error, count


DONE = Reply(body={"things": [1]}, http_status=200)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_that_no_acceptor_names_does_not_end_the_wait(status: int) -> None:
    """An error that passes and that no acceptor names is a failed question, and the next one is answered."""
    came, count = waited(Reply(http_status=status, error_code="Throttling"), DONE)
    assert isinstance(came, Outcome)
    assert count == 2


def test_an_error_that_says_never_ends_the_wait_as_refused() -> None:
    """An error by which the service refuses to say ends the wait as that, and not as a failed task."""
    came, count = waited(Reply(http_status=403, error_code="AccessDenied"), DONE)
    assert isinstance(came, PollRefused)
    assert count == 1


def test_an_expression_that_cannot_be_applied_does_not_escape() -> None:
    """An answer of another shape, on which the expression has no meaning, is a failed question and no exception."""
    came, count = waited(Reply(body={"things": 5}, http_status=200), Reply(body=[], http_status=200), DONE)
    assert isinstance(came, Outcome)
    assert count == 3


def test_the_last_status_is_that_of_the_acceptor_that_matched() -> None:
    """The error of a failed wait names the acceptor that decided, also after others matched before it."""
    came, _ = waited(Reply(body={"things": []}, http_status=200), Reply(http_status=400, error_code="Gone"))
    assert isinstance(came, TaskFailed)
    assert "Gone" in str(came)


# 12: fal


@each_way
def test_nothing_is_asked_after_the_end_or_the_deadline(colour: str, library: str) -> None:
    """After an end, and after the caller's time is up, not one more poll leaves, whatever passes then."""
    for answers, options in (([answer("succeeded")], {}), ([answer("running")], {"timeout": 20.0})):
        _, script = asked(colour, library, answers, **options)
        count = len(script.requests)
        script.clock.advance(3600.0)
        assert len(script.requests) == count
    assert script.at_s[-1] < 20.0
