"""A question about no task: asked again while it may be answered, within its time, never before the account may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.drive.sync_driver import run
from resilient_poll.events import AttemptFailed, Event, HintIgnored
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Floor,
    Observation,
    Query,
    Refused,
    StatusSeen,
    Submit,
    Throttled,
    Unreachable,
    Unreadable,
)
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import AnsweredAtOnce
from tests.support.properties import Property

PAGE = AnsweredAtOnce(request_id="r", result="a page")
LATENCIES = st.sampled_from([0.0, 0.1, 3.0, 100.0])
hints = st.none() | st.sampled_from([0.0, 0.5, 5.0, 59.0, 61.0, 3600.0])
troubles: st.SearchStrategy[Observation] = st.one_of(
    st.builds(Throttled, retry_after_s=hints, retry_after_ignored=st.sampled_from([None, "junk"])),
    st.builds(Unreachable, reason=st.just("HTTP 502"), retry_after_s=hints),
    st.builds(Unreadable, reason=st.just("HTML"), retry_after_s=hints),
)


class Seen:
    """What one look-up looked like from outside."""

    def __init__(self, lookup: Lookup, floor: Floor, replies: list[tuple[float, Observation]]) -> None:
        self.lookup, self.floor = lookup, floor
        self.clock = VirtualClock()
        self.asked_s: list[float] = []
        self.may_ask_s = float("-inf")
        self.events: list[Event] = []
        self._replies = replies
        self.done: Done = run(lookup, self._perform, self.clock, self.events.append)

    def _perform(self, command: Submit | Query) -> Observation:
        assert isinstance(command, Query)
        now_s = self.clock.now().monotonic_s
        assert now_s >= self.may_ask_s, "asked before the service's Retry-After"
        self.asked_s.append(now_s)
        latency_s, observation = self._replies[min(len(self.asked_s), len(self._replies)) - 1]
        self.clock.advance(min(latency_s, command.timeout_s))
        if latency_s > command.timeout_s:
            return Unreachable(reason="no answer in time")
        hint_s = getattr(observation, "retry_after_s", None)
        if hint_s is not None:
            self.may_ask_s = max(self.may_ask_s, self.clock.now().monotonic_s + hint_s)
        return observation


def look(replies: list[tuple[float, Observation]], timeout_s: float = 60.0, floor: Floor | None = None) -> Seen:
    floor = floor or Floor()
    lookup = Lookup(timeout_s=timeout_s, attempt_timeout_s=15.0, now=VirtualClock().now(), seed="seed", floor=floor)
    return Seen(lookup, floor, replies)


def test_an_answer_is_the_end() -> None:
    """One answer is enough: it is asked once, at once."""
    seen = look([(0.1, PAGE)])
    assert (seen.done, seen.asked_s) == (Done(DoneReason.ANSWERED), [0.0])
    assert seen.lookup.answered is PAGE
    assert seen.events == []


def test_a_refusal_is_the_end() -> None:
    """A refusal is not asked about again."""
    seen = look([(0.1, Refused(http_status=403, code="AccessDenied"))])
    assert (seen.done.reason, len(seen.asked_s)) == (DoneReason.REFUSED, 1)
    assert seen.lookup.answered is None


@pytest.mark.parametrize("kind", [PAGE, Refused(http_status=403)], ids=["an answer", "a refusal"])
def test_the_hint_of_an_end_binds_the_next_question(kind: AnsweredAtOnce | Refused) -> None:
    """What ends a question raises the account's floor by its hint, and one that is ignored is told."""
    seen = look([(0.1, replace(kind, retry_after_s=20.0))])
    assert (seen.floor, seen.events) == (Floor(not_before_s=20.1), [])
    ignored = look([(0.1, replace(kind, retry_after_ignored="junk"))])
    assert (ignored.floor, ignored.events) == (Floor(), [HintIgnored(None, 0.1, "junk")])


def test_trouble_that_passes_is_absorbed() -> None:
    """Throttles, server errors and answers that cannot be read are asked through, each told as an event."""
    troubles = [Throttled(retry_after_ignored="junk"), Unreachable(reason="HTTP 502"), Unreadable(reason="HTML")]
    seen = look([*((0.1, trouble) for trouble in troubles), (0.1, PAGE)])
    assert seen.done.reason is DoneReason.ANSWERED
    told = [type(event) for event in seen.events if type(event).__name__ != "Waiting"]
    assert told == [HintIgnored, ThrottledEvent, AttemptFailed, AttemptFailed]


def test_a_floor_beyond_the_time_is_no_question() -> None:
    """Where the account is to stay away for longer than the time, nothing is asked, and it says when to come back."""
    floor = Floor()
    floor.raise_to(100.0)
    seen = look([(0.1, PAGE)], floor=floor)
    assert seen.done == Done(DoneReason.COME_BACK_LATER, 100.0)
    assert (seen.asked_s, seen.clock.slept_s) == ([], [])


@pytest.mark.parametrize("stranger", [StatusSeen(status="x"), Accepted(task_id="t")])
def test_what_is_about_a_task_is_a_fault_of_the_driver(stranger: Observation) -> None:
    """What belongs to a submit or to a poll is no answer to a look-up."""
    lookup = Lookup(timeout_s=1.0, attempt_timeout_s=1.0, now=VirtualClock().now(), seed="seed")
    with pytest.raises(TypeError, match="a look-up cannot receive"):
        lookup.receive(stranger, VirtualClock().now())


def keeps_its_manners(
    replies: list[tuple[float, Observation]], is_answered: bool, timeout_s: float, floor_s: float
) -> None:
    floor = Floor()
    floor.raise_to(floor_s)
    seen = look([*replies, *([(0.1, PAGE)] if is_answered else [])], timeout_s, floor)
    assert seen.clock.now().monotonic_s <= timeout_s, "later than its time"
    assert all(at_s >= floor_s for at_s in seen.asked_s), "asked below the account's floor"
    pauses = [after - before for before, after in zip(seen.asked_s, seen.asked_s[1:], strict=False)]
    assert all(pause_s >= 0.5 for pause_s in pauses), "asked in a hurry"
    assert len(seen.asked_s) <= 2 + timeout_s / 0.5
    if seen.done.reason is DoneReason.COME_BACK_LATER:
        assert seen.done.come_back_at_s is not None
        assert seen.done.come_back_at_s >= timeout_s
    if seen.done.reason is DoneReason.ANSWERED:
        assert seen.lookup.answered is PAGE
    else:
        assert seen.lookup.answered is None
    if seen.may_ask_s > float("-inf"):
        assert floor.not_before_s >= seen.may_ask_s, "the account was not told to stay away"


MANNERS = Property(
    keeps_its_manners,
    replies=st.lists(st.tuples(LATENCIES, troubles), min_size=1, max_size=12),
    is_answered=st.booleans(),
    timeout_s=st.sampled_from([0.3, 5.0, 60.0, 300.0]),
    floor_s=st.sampled_from([float("-inf"), 0.0, 2.0, 59.0]),
)


def test_a_look_up_keeps_its_manners() -> None:
    """Whatever comes, it ends in its time, asks below no floor, not in a hurry, and makes up no answer."""
    MANNERS.holds()


def test_a_look_up_that_forgets_the_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a Retry-After raises no floor."""
    monkeypatch.setattr(Floor, "raise_to", lambda self, at_s: None)  # noqa: ARG005  # the planted fault
    MANNERS.catches_the_planted_fault()


@given(st.integers(1, 50), st.text(max_size=10))
def test_asking_what_to_do_changes_nothing(times: int, seed: str) -> None:
    """The next command may be asked for as often as one likes."""
    now = VirtualClock().now()
    lookup = Lookup(timeout_s=9.0, attempt_timeout_s=1.0, now=now, seed=seed)
    lookup.receive(Unreachable(reason="x"), now)
    assert len({lookup.next_command(now) for _ in range(times)}) == 1
