"""Queries in code that awaits have their time each, though one scope serves them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from benchmarks.virtual_loop import run_virtually
from resilient_poll import Lifecycle, Outcome, StillGoing, WaitPolicy, poll_async
from resilient_poll.events import AttemptFailed, Event
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.schedules import Fixed

LIFECYCLE = Lifecycle.of(running=["RUNNING"], succeeded=["SUCCEEDED"])
ATTEMPT_S = 5.0
Says = Callable[[], Awaitable[str]]


def run_in(colour: str, main: Callable[[], Any]) -> Any:
    """Run to the end in time that passes by itself."""
    if colour == "asyncio":
        return run_virtually(main())
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def after(seconds: float, word: str = "RUNNING") -> Says:
    async def says() -> str:
        await anyio.sleep(seconds)  # virtual
        return word

    return says


async def waited(*queries: Says, interval_s: float = 1.0, **limits: Any) -> tuple[Outcome, list[Event], float]:
    events: list[Event] = []
    began_s, left = anyio.current_time(), list(queries)
    policy = WaitPolicy(schedule=Fixed(interval_s), minimum_interval_s=0.0, attempt_timeout_s=ATTEMPT_S, **limits)

    async def ask() -> str:
        return await left.pop(0)()

    outcome = await poll_async(ask, lifecycle=LIFECYCLE, policy=policy, on_event=events.append)
    return outcome, events, anyio.current_time() - began_s


both = pytest.mark.parametrize("colour", ["asyncio", "trio"])


@both
def test_each_query_has_its_whole_time(colour: str) -> None:
    """However many queries and pauses there were before, a query that stays within its own time is not cut."""
    queries = [after(ATTEMPT_S - 0.5) for _ in range(10)]

    async def main() -> Any:
        return await waited(*queries, after(ATTEMPT_S - 0.5, "SUCCEEDED"), interval_s=20.0)

    outcome, events, _ = run_in(colour, main)
    assert outcome.polls == 11
    assert not [event for event in events if isinstance(event, AttemptFailed)]


@both
def test_a_query_that_hangs_is_cut_at_its_time(colour: str) -> None:
    """A query that hangs after others is cut when its own time is up, counts as failed, and the wait goes on."""
    queries = [after(0.1), after(0.1), after(1000.0), after(0.1), after(1000.0), after(0.1, "SUCCEEDED")]

    async def main() -> Any:
        return await waited(*queries)

    outcome, events, took_s = run_in(colour, main)
    reasons = [event.reason for event in events if isinstance(event, AttemptFailed)]
    assert reasons == ["no answer within 5.0 s"] * 2
    assert outcome.polls == 6
    # Twice a query's time, four answers, and the pauses; of those after a failure a quarter is left to chance.
    assert 10.0 + 0.4 + 5 * 0.75 < took_s < 10.0 + 0.4 + 5 * 1.25 + 0.1


@both
@pytest.mark.parametrize("limits", [{"timeout_s": 3.0}, {"phase_limits_s": {Phase.RUNNING: 2.9}}])
def test_a_query_has_no_more_than_the_wait(colour: str, limits: dict[str, Any]) -> None:
    """The last query, whose time may be shorter than that of those before, is cut at the wait's own end."""

    async def main() -> float:
        began_s = anyio.current_time()
        with pytest.raises(StillGoing):
            await waited(after(0.1), after(0.1), after(1000.0), interval_s=0.5, **limits)
        return anyio.current_time() - began_s

    assert run_in(colour, main) == pytest.approx(3.0, abs=0.01)


@both
def test_an_answer_that_outlives_its_time_counts(colour: str) -> None:
    """A query that goes on when it is cut, and brings an answer, is heard, and nothing after it is cut for it."""

    async def stubborn() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(ATTEMPT_S + 3.0)  # virtual
        return "RUNNING"

    async def main() -> Any:
        return await waited(after(0.1), stubborn, after(0.1), after(0.1, "SUCCEEDED"))

    outcome, events, _ = run_in(colour, main)
    assert outcome.polls == 4
    assert not [event for event in events if isinstance(event, AttemptFailed)]


@both
def test_a_cancellation_from_outside_is_no_slow_query(colour: str) -> None:
    """Whoever cancels the wait cancels it, during a query and during a pause, with no failed query for it."""
    asked: list[int] = []

    async def main() -> None:
        for queries, at_s in (([after(0.1), after(1000.0)], 3.0), ([after(0.1), after(0.1)], 0.5)):
            with anyio.move_on_after(at_s) as scope:
                await waited(*queries)
            assert scope.cancelled_caught
            asked.append(1)

    run_in(colour, main)
    assert asked == [1, 1]
