"""The clocks of worlds: they never go back, and who waits on one is woken when it is time, not before."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fake_server import clock as clock_module
from fake_server.clock import MANUAL_START_WALL_S, ManualClock, RealClock, TooManyWaitersError
from fake_server.moment import Moment
from tests.fake_server.driving import UNTIMED
from tests.oracle.clock import LONGEST_ADVANCE_S, Clock, Waiting, told
from tests.support.profiles import examples

whole_s = st.integers(0, 5).map(float)  # so that an instant is met exactly
spans_s = whole_s | st.floats(0, 1e6) | st.sampled_from([1e-9, 0.02, 3e8])
any_spans_s = (
    spans_s
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([LONGEST_ADVANCE_S, LONGEST_ADVANCE_S + 1.0, 2e9])
)


async def others_turn() -> None:
    """Let the others in this loop run."""
    await asyncio.sleep(0)  # real: no time passes


class ClockLife(RuleBasedStateMachine):
    """Everything that can be done to a manual clock, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.model = Clock(MANUAL_START_WALL_S)
        self.loop = asyncio.new_event_loop()
        self.waits: list[asyncio.Task[None]] = []

    def teardown(self) -> None:
        """End what still waits."""
        for task in self.waits:
            task.cancel()
        self._settle()
        self.loop.close()

    @rule(seconds=any_spans_s)
    def advance(self, seconds: float) -> None:
        """Somebody advances it, sensibly or not."""
        can = self.model.can_advance(seconds)
        try:
            after = self.clock.advance(seconds)
        except ValueError:
            assert not can
        else:
            assert can
            self.model.advances_s.append(seconds)
            assert after == self.clock.now()
        self._settle()

    @rule(seconds=spans_s, from_thread=st.booleans())
    def advance_from(self, seconds: float, from_thread: bool) -> None:
        """Another thread does."""
        if from_thread and self.model.can_advance(seconds):
            thread = threading.Thread(target=self.clock.advance, args=(seconds,))
            thread.start()
            thread.join()
            self.model.advances_s.append(seconds)
        self._settle()

    @rule(seconds=whole_s | st.floats(-10, 1e6))
    def wait(self, seconds: float) -> None:
        """Somebody waits for an instant, or for one that is over."""
        at_s = self.clock.now().monotonic_s + seconds
        self.model.waits.append(Waiting(at_s))
        self.waits.append(self.loop.create_task(self.clock.wait_until(at_s)))
        self._settle()

    @rule(which=st.integers(0, 100))
    def give_up(self, which: int) -> None:
        """Somebody stops waiting."""
        if self.waits:
            self.waits[which % len(self.waits)].cancel()
            self.model.waits[which % len(self.waits)].has_given_up = True
        self._settle()

    @invariant()
    def shows_what_it_was_advanced_by(self) -> None:
        """Both of its times are all advances together, so that neither goes back, and no refused advance moves it."""
        assert self.clock.now() == Moment(self.model.now_s(), self.model.wall_s())

    @invariant()
    def wakes_in_time(self) -> None:
        """Exactly those are still waiting whose instant has not come; nobody is forgotten, nobody kept."""
        waits = self.model.still_wait()
        assert [not task.done() for task in self.waits] == waits
        assert self.clock.waiting == sum(waits)
        assert self.clock.next_due_s == self.model.next_due_s()

    def _settle(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(others_turn())


TestClockLife = ClockLife.TestCase
TestClockLife.settings = settings(UNTIMED, max_examples=examples(40), stateful_step_count=20)


@UNTIMED
@given(machine=st.lists(st.tuples(st.floats(-1e6, 1e9), st.floats(-1e9, 4e9)), min_size=1, max_size=20))
def test_the_real_clock_never_goes_back(machine: list[tuple[float, float]]) -> None:
    """Whatever the machine's two clocks do, neither time that a world is told goes back, and the wall time goes with
    the monotonic one."""
    monotonic, wall = iter([m for m, _ in machine]), iter([w for _, w in machine])
    clock = RealClock(lambda: next(monotonic), lambda: next(wall))
    seen = [clock.now() for _ in machine[1:]]
    began_s, began_wall_s = machine[0]
    assert [moment.monotonic_s for moment in seen] == told([m for m, _ in machine])[1:]
    assert sorted(moment.wall_s for moment in seen) == [moment.wall_s for moment in seen]
    for moment in seen:
        assert moment.wall_s - began_wall_s == pytest.approx(moment.monotonic_s - began_s, abs=1e-5)


@pytest.mark.parametrize("make", [ManualClock, RealClock])
def test_what_is_over_is_not_waited_for(make: Any) -> None:
    """An instant that is over is there at once."""
    clock = make()
    asyncio.run(clock.wait_until(clock.now().monotonic_s))
    asyncio.run(clock.wait_until(clock.now().monotonic_s - 5.0))


def test_a_real_wait_is_over_when_its_instant_has_come() -> None:
    """Whoever waited on the machine's clock is woken at the instant or after it, never before."""
    clock = RealClock()
    until_s = clock.now().monotonic_s + 0.002  # real: the machine's clock is what is tested
    asyncio.run(clock.wait_until(until_s))
    assert clock.now().monotonic_s >= until_s


@pytest.mark.parametrize("make", [ManualClock, RealClock])
def test_those_who_wait_are_bounded(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a wait is refused at once; when one of the others gives up there is room again."""
    monkeypatch.setattr(clock_module, "MOST_WAITERS", 2)

    async def main() -> None:
        clock = make()
        until_s = clock.now().monotonic_s + 1e6
        waits = [asyncio.ensure_future(clock.wait_until(until_s)) for _ in range(2)]
        await others_turn()
        with pytest.raises(TooManyWaitersError, match="2 answers of this world"):
            await clock.wait_until(until_s)
        waits.pop().cancel()
        await others_turn()
        again = asyncio.ensure_future(clock.wait_until(until_s))
        await others_turn()
        assert not again.done()
        for wait in (*waits, again):
            wait.cancel()

    asyncio.run(main())


def test_waiters_of_a_loop_that_ended_disturb_nobody() -> None:
    """Advancing a clock is no error although somebody waited for it in a loop that is closed by now."""
    clock = ManualClock()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(clock.wait_until(5.0))
    loop.run_until_complete(others_turn())
    loop.close()
    assert clock.waiting == 1
    assert clock.advance(10.0).monotonic_s == 10.0
    assert clock.waiting == 0
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]  # it is lost on purpose
