"""The decorator: what becomes of a function that asks once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from resilient_poll import ConfigurationError, Fixed, Lifecycle, Outcome, PollRefused, StillRunning, WaitPolicy, polled
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.embedding import PolledDecorator
from resilient_poll.events import Event, WaitEnded
from tests.support.colours import COLOURS, run_in

LIFECYCLE = Lifecycle.of(queued=["queued"], running=["working"], succeeded=["done"], failed=["failed"])
each_colour = pytest.mark.parametrize("colour", COLOURS)


def decorator(colour: str, clock: VirtualClock, **settings: Any) -> PolledDecorator:
    """Return the decorator, on a virtual clock of its colour."""
    return polled(lifecycle=LIFECYCLE, clock=clock if colour == "sync" else clock.for_async(), **settings)


def waited(colour: str, made_by: PolledDecorator, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Decorate a function, awaited or not, and call what became of it."""
    if colour == "sync":
        return made_by(query)(*args, **kwargs)

    @functools.wraps(query)
    async def ask(*args: Any, **kwargs: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return query(*args, **kwargs)

    return run_in(colour, lambda: made_by(ask)(*args, **kwargs))


@each_colour
def test_it_asks_with_the_same_arguments_until_the_task_ends(colour: str) -> None:
    """Each question has the call's arguments, the schedule says when it comes, and the last answer is the result."""
    clock, asked = VirtualClock(), []

    def job(job_id: str, *, part: int = 1) -> tuple[str, int]:
        asked.append((job_id, part, clock.now().monotonic_s))
        return ("queued", "working", "done")[len(asked) - 1], len(asked)

    outcome = waited(colour, decorator(colour, clock, schedule=Fixed(5.0)), job, "job-1", part=7)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.result, outcome.polls) == ("done", 3, 3)
    assert asked == [("job-1", 7, 0.0), ("job-1", 7, 5.0), ("job-1", 7, 10.0)]


@each_colour
def test_each_call_is_a_wait_of_its_own(colour: str) -> None:
    """A second call starts anew, with its own time."""
    made_by, asked = decorator(colour, VirtualClock(), timeout=20), []

    def job(name: str) -> str:
        asked.append(name)
        return "done" if asked.count(name) == 5 else "working"

    assert [waited(colour, made_by, job, name).polls for name in ("a", "b", "c")] == [5, 5, 5]


@each_colour
def test_errors_name_the_function_or_what_they_are_told_to_name(colour: str) -> None:
    """An error that ends the wait names the function, and shows an argument only if it was told to."""
    for task_id_from, named in ((None, "still_at_it"), ("job_id", "job-9")):
        made_by = decorator(colour, VirtualClock(), timeout=9, task_id_from=task_id_from)

        def still_at_it(secret: str, *, job_id: str) -> str:
            del secret, job_id
            return "working"

        with pytest.raises(StillRunning) as caught:
            waited(colour, made_by, still_at_it, "sk-hush", job_id="job-9")
        assert named in str(caught.value)
        assert "sk-hush" not in str(caught.value)


@each_colour
def test_every_setting_reaches_the_wait(colour: str) -> None:
    """Policy and listener are used: an error budget ends the wait, and the end is told."""
    events: list[Event] = []

    def broken() -> str:
        raise ConnectionResetError("reset")

    policy = WaitPolicy(max_failing_s=10.0)
    made_by = decorator(colour, VirtualClock(), policy=policy, on_event=events.append, timeout=100)
    with pytest.raises(Exception, match="too many polls in a row"):
        waited(colour, made_by, broken)
    assert isinstance(events[-1], WaitEnded)


def test_a_method_is_one_still() -> None:
    """Methods, static ones and those of a class are decorated as functions are, and keep name, text and signature."""
    made_by = decorator("sync", VirtualClock())

    class Jobs:
        word = "done"

        @made_by
        def mine(self, job_id: str) -> tuple[str, str]:
            """Ask once."""
            return self.word, job_id

        @classmethod
        @made_by
        def ours(cls, job_id: str) -> tuple[str, str]:
            return cls.word, job_id

        @staticmethod
        @made_by
        def anyones(job_id: str) -> tuple[str, str]:
            return "done", job_id

    jobs = Jobs()
    assert [jobs.mine("1").result, jobs.ours("2").result, jobs.anyones("3").result] == ["1", "2", "3"]
    assert (Jobs.mine.__name__, Jobs.mine.__doc__) == ("mine", "Ask once.")
    assert list(inspect.signature(Jobs.mine).parameters) == ["self", "job_id"]


def test_partial_functions_and_objects_are_seen_for_what_they_are() -> None:
    """A partial function, or an object with an async ``__call__``, becomes one that is awaited."""
    made_by = decorator("asyncio", VirtualClock())

    async def job(word: str) -> str:
        return word

    class Asking:
        async def __call__(self) -> str:
            return "done"

    assert run_in("asyncio", made_by(functools.partial(job, "done"))).status == "done"
    assert run_in("asyncio", made_by(Asking())).status == "done"


@pytest.mark.parametrize("wrong", [classmethod(str), property(str), "done"])
def test_what_is_no_function_is_refused_at_once(wrong: Any) -> None:
    """What cannot be called is refused where it is decorated, with what to do instead."""
    with pytest.raises(ConfigurationError, match="goes on a function"):
        decorator("sync", VirtualClock())(wrong)


@each_colour
def test_arguments_that_do_not_fit_are_told_at_once(colour: str) -> None:
    """A call with other arguments than the function has is a TypeError before anything is asked or waited for."""
    clock = VirtualClock()

    def job(job_id: str) -> str:
        return job_id

    with pytest.raises(TypeError, match="job_id"):
        waited(colour, decorator(colour, clock), job)
    assert not clock.slept_s
    with pytest.raises(ConfigurationError, match=r"'id'.*it has job_id"):
        decorator("sync", clock, task_id_from="id")(job)


def test_a_clock_of_the_other_colour_is_refused() -> None:
    """A clock that blocks is no clock for what is awaited, nor the other way round."""

    async def awaited() -> str:
        return "done"

    with pytest.raises(ConfigurationError, match="for_async"):
        decorator("sync", VirtualClock())(awaited)
    with pytest.raises(ConfigurationError, match="not awaited"):
        decorator("asyncio", VirtualClock())(lambda: "done")


def test_a_hidden_coroutine_is_told_at_once() -> None:
    """A plain function that returns a coroutine ends the wait at its first question, and says what to change."""

    async def job() -> str:
        return "done"

    def hidden() -> Any:
        return job()

    with pytest.raises(ConfigurationError, match="async def"):
        decorator("sync", VirtualClock())(hidden)()


@each_colour
@pytest.mark.parametrize("form", ["response", "status_code", "status"])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_an_error_of_an_sdk_is_read(colour: str, form: str, is_wrapped: bool) -> None:
    """An error tells its status in its response, itself or by its cause: 503 is a failed question, 403 is the end."""

    class Answer:
        def __init__(self, status: int) -> None:
            self.status_code = status
            self.headers = {"retry-after": "17"}

    class SdkError(Exception):
        def __init__(self, status: int) -> None:
            self.headers = {"retry-after": "17"}
            setattr(self, form, Answer(status) if form == "response" else status)

    clock, asked = VirtualClock(), []

    def job() -> str:
        asked.append(clock.now().monotonic_s)
        error = SdkError(503 if len(asked) == 1 else 403)
        if is_wrapped:
            raise RuntimeError("wrapped") from error
        raise error

    with pytest.raises(PollRefused):
        waited(colour, decorator(colour, clock), job)
    assert asked == [0.0, 17.0]


@each_colour
def test_an_error_of_the_program_ends_the_wait(colour: str) -> None:
    """What is no failure of the network, nor was raised from one, passes as it is, also from a ring of causes."""
    ring = RuntimeError("mine")
    other = RuntimeError("other")
    ring.__cause__, other.__cause__ = other, ring

    def job() -> str:
        raise ring

    with pytest.raises(RuntimeError, match="mine"):
        waited(colour, decorator(colour, VirtualClock()), job)
