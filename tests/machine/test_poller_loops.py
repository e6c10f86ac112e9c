"""A caller who waits again and again for a moment: when the end is heard, how often is asked, that nothing spins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.drive.sync_driver import run
from resilient_poll.events import Event
from resilient_poll.machine import (
    Command,
    Done,
    DoneReason,
    Fixed,
    Floor,
    Instant,
    Observation,
    Phase,
    Poller,
    Query,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submit,
    TaskRecord,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from resilient_poll.machine import poller as poller_module
from tests.support.machine_strategies import LIFECYCLE
from tests.support.properties import Property

ROUNDING_S = 1e-6
NEEDED_S = 1.0
"""With so much left a poll that was held back is made."""


@dataclass
class Loop:
    """Waits for one task, one after the other, until its end is heard or that has taken too long.

    Attributes:
        policy: The limits of each.
        round_trip_s: How long every answer takes.
        end_s: When the task ends.
        by_s: When it is given up.
        is_anew: Whether each wait is one of a new poller, that shares only the task's floor with those before.
    """

    policy: WaitPolicy
    round_trip_s: float
    end_s: float
    by_s: float
    is_anew: bool
    clock: VirtualClock = field(default_factory=VirtualClock)
    waits: int = 0
    asked_s: list[float] = field(default_factory=list)
    over_s: list[float] = field(default_factory=list)

    def go(self) -> Done:
        """Wait and wait again."""
        floor, now = Floor(), self.clock.now()
        poller = Poller(TaskRecord.accepted("t", LIFECYCLE, now), LIFECYCLE, self.policy, now, task_floor=floor)
        most = self.by_s / self.policy.timeout_s * 3 + 3
        while self.clock.now().monotonic_s <= self.by_s:
            self.waits += 1
            assert self.waits <= most, "it spins"
            now = self.clock.now()
            if self.is_anew:
                poller = Poller(TaskRecord.known_by_id("t", now), LIFECYCLE, self.policy, now, task_floor=floor)
            poller.begin_wait(self.policy, now)
            done = run(poller, self.ask, self.clock, nobody)
            if done.reason is DoneReason.ENDED:
                return done
            assert done == Done(DoneReason.DEADLINE)
        return done

    def ask(self, command: Submit | Query) -> Observation:
        """Answer, or let the poll be cut."""
        asked_s = self.clock.now().monotonic_s
        self.asked_s.append(asked_s)
        self.clock.advance(min(self.round_trip_s, command.timeout_s))
        self.over_s.append(self.clock.now().monotonic_s)
        if self.round_trip_s > command.timeout_s:
            return Unreachable(reason="no answer in time")
        return StatusSeen(status="done" if asked_s >= self.end_s else "working")


def nobody(event: Event) -> None:
    """Nobody is told."""


def longest_answer_s(timeout_s: float, interval_s: float) -> float:
    """Return how long an answer may take that is surely heard: polls have the whole wait, or what the floor leaves."""
    if timeout_s < interval_s:  # In some wait the floor is over at any time, and leaves at least a second.
        return min(timeout_s, NEEDED_S)
    return timeout_s if timeout_s < interval_s + NEEDED_S else timeout_s - interval_s


def hears_the_end(timeout_s: float, share: float, end_s: float, interval_s: float, is_anew: bool) -> None:
    policy = WaitPolicy(timeout_s=timeout_s, minimum_interval_s=interval_s)
    round_trip_s = share * longest_answer_s(timeout_s, interval_s)
    # At worst it ends just after it was asked about at the beginning of a wait whose last poll is cut at its end; then
    # the floor comes, and the wait in the midst of which that is over.
    by_s = end_s + interval_s + 2 * timeout_s + round_trip_s + ROUNDING_S
    loop = Loop(policy, round_trip_s, end_s, by_s, is_anew)
    done, took_s = loop.go(), loop.clock.now().monotonic_s
    assert done.reason is DoneReason.ENDED, f"not heard {took_s - end_s} s after the end"
    assert took_s <= by_s
    for over_s, asked_s in zip(loop.over_s, loop.asked_s[1:], strict=False):
        assert asked_s - over_s >= interval_s - ROUNDING_S, "asked again too soon"
    # One that has asked may be over at once, and the next then takes its time.
    assert loop.waits <= 2 * took_s / timeout_s + 2, "it spins"


HEARS_THE_END = Property(
    hears_the_end,
    timeout_s=st.integers(50, 2000).map(lambda milliseconds: milliseconds / 1000),
    share=st.floats(0.0, 0.95),
    end_s=st.floats(0.0, 20.0),
    interval_s=st.sampled_from([0.5, 0.5, 2.0]),
    is_anew=st.booleans(),
)


def test_a_loop_of_short_waits_hears_the_end_and_does_not_spin() -> None:
    """However short the waits of a loop are, the end is heard within the floor, two waits and an answer, nothing is
    asked sooner than the floor after an answer or a cut, and there are at most two waits in the time of one."""
    HEARS_THE_END.holds()


def test_polls_that_are_cut_for_ever_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a poll that was held back is made, however little is left for it."""
    monkeypatch.setattr(poller_module, "HELD_BACK_POLL_NEEDS_S", 0.0)
    HEARS_THE_END.catches_the_planted_fault()


def test_a_loop_that_spins_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a wait that cannot ask is over at once."""
    genuine = Poller.next_command

    def impatient(self: Poller, now: Instant) -> Command:
        command = genuine(self, now)
        is_idle = isinstance(command, SleepUntil) and command.at_s >= self._wait.deadline_s
        return Done(DoneReason.DEADLINE) if is_idle else command

    monkeypatch.setattr(Poller, "next_command", impatient)
    HEARS_THE_END.catches_the_planted_fault()


def asked_before(policy: WaitPolicy, word: str = "working", *, look: bool = False) -> Poller:
    """Return the second wait for a task, begun at 10 s, at the very instant of an answer."""
    now = Instant(10.0, 1_750_000_010.0)
    poller = Poller(TaskRecord.known_by_id("t", now), LIFECYCLE, WaitPolicy(), now)
    poller.receive(StatusSeen(status=word, result_readable=False), now)
    poller.begin_wait(policy, now, look=look)
    return poller


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_750_000_000.0 + seconds)


@pytest.mark.parametrize(("timeout_s", "until_s"), [(0.25, 10.25), (0.5, 10.5), (0.75, 10.75), (1.25, 11.25)])
def test_a_wait_without_time_for_its_poll_is_slept_through(timeout_s: float, until_s: float) -> None:
    """A wait that the floor holds back until less than a second is left asks nothing, and takes its whole time."""
    poller = asked_before(WaitPolicy(timeout_s=timeout_s))
    for now_s in (10.0, until_s - 0.125):
        assert poller.next_command(at(now_s)) == SleepUntil(until_s, SleepReason.SCHEDULE)
    assert poller.next_command(at(until_s)) == Done(DoneReason.DEADLINE)


@pytest.mark.parametrize(
    "policy", [WaitPolicy(timeout_s=1.5), WaitPolicy(timeout_s=0.75, attempt_timeout_s=0.25)], ids=["second", "attempt"]
)
def test_a_poll_that_has_time_is_made_at_the_floor(policy: WaitPolicy) -> None:
    """With a second left, or with as much as a query may ever take, a poll that was held back is made."""
    poller = asked_before(policy)
    assert poller.next_command(at(10.0)) == SleepUntil(10.5, SleepReason.SERVER)
    assert isinstance(poller.next_command(at(10.5)), Query)


def test_a_wait_that_begins_at_the_floor_asks_at_once() -> None:
    """A wait that begins at the very instant of the floor is not held back by it, however short it is."""
    poller = asked_before(WaitPolicy())
    poller.begin_wait(WaitPolicy(timeout_s=0.25), at(10.5))
    assert isinstance(poller.next_command(at(10.5)), Query)


def test_a_last_poll_by_the_schedule_is_made_at_its_time() -> None:
    """A wait that begins below the floor, and whose first poll is due at its end by the schedule, makes that one."""
    floor, policy = Floor(10.5), WaitPolicy(timeout_s=4.0, schedule=Fixed(30.0))
    poller = Poller(TaskRecord.accepted("t", LIFECYCLE, at(10.0)), LIFECYCLE, policy, at(10.0), task_floor=floor)
    assert poller.next_command(at(10.0)) == SleepUntil(13.6, SleepReason.SCHEDULE)
    assert isinstance(poller.next_command(at(13.6)), Query)


def test_a_limit_of_a_phase_is_slept_until_too() -> None:
    """Where a phase's limit comes before the deadline, the time that is too short is the time until that."""
    poller = asked_before(WaitPolicy(timeout_s=60.0, phase_limits_s={Phase.RUNNING: 0.75}))
    assert poller.next_command(at(10.0)) == SleepUntil(10.75, SleepReason.SCHEDULE)
    assert poller.next_command(at(10.75)) == Done(DoneReason.PHASE_LIMIT)


@pytest.mark.parametrize(("word", "look"), [("working", True), ("done", False)])
def test_who_has_no_next_wait_asks_with_what_is_left(word: str, look: bool) -> None:
    """A look, and a wait for a success whose result is missing, are not repeated by a loop: they ask at the floor."""
    poller = asked_before(WaitPolicy(timeout_s=0.75), word, look=look)
    assert poller.next_command(at(10.0)) == SleepUntil(10.5, SleepReason.SERVER)
    command = poller.next_command(at(10.5))
    assert isinstance(command, Query)
    assert math.isclose(command.timeout_s, 0.25)


@pytest.mark.parametrize(
    ("hint_s", "command"),
    [
        (0.25, SleepUntil(10.75, SleepReason.SCHEDULE)),
        (0.5, SleepUntil(10.5, SleepReason.SERVER)),
        (0.625, SleepUntil(10.625, SleepReason.SERVER)),
        (0.75, Done(DoneReason.COME_BACK_LATER, 10.75)),
    ],
)
def test_what_the_service_asks_for_is_not_the_floor(hint_s: float, command: Command) -> None:
    """A Retry-After as long as the task's floor, or longer, is sat out, or ends the wait at once, as in any wait."""
    poller = asked_before(WaitPolicy())
    poller.receive(Throttled(retry_after_s=hint_s), at(10.0))
    poller.begin_wait(WaitPolicy(timeout_s=0.75), at(10.0))
    assert poller.next_command(at(10.0)) == command


@pytest.mark.parametrize("heard", [StatusSeen(status="working"), Unreachable(reason="HTTP 502")])
def test_a_wait_that_has_asked_ends_as_ever(heard: Observation) -> None:
    """A wait in which something was heard is over at once when nothing more can be asked."""
    poller = asked_before(WaitPolicy(timeout_s=0.75, schedule=Fixed(0.5)))
    poller.receive(heard, at(10.5))
    assert poller.next_command(at(10.5)) == Done(DoneReason.DEADLINE)
