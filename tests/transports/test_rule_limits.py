"""Rates, lines and headroom: never more than they say, in order, and nobody for ever."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from resilient_poll import ConfigurationError, HeadroomPolicy, Rate, RetryBudget
from resilient_poll.http.headroom import Headroom
from resilient_poll.transports.rules.breaker import Breaker
from resilient_poll.transports.rules.headroom import Throttle
from resilient_poll.transports.rules.line import Line, Ticket
from resilient_poll.transports.rules.origins import MOST_KEPT, PerOrigin
from resilient_poll.transports.rules.rates import Bucket
from tests.oracle.line import Line as Model
from tests.oracle.line import most_within
from tests.support.properties import GENUINE, Property


def no_window_holds_more(count: int, burst: int, window_s: float, gaps_s: list[float]) -> None:
    bucket = Bucket(Rate(count, window_s, min(burst, count)))
    now_s, starts = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        start_s = bucket.reserve(now_s)
        assert start_s >= now_s
        starts.append(start_s)
    assert starts == sorted(starts), "first come, first served"
    assert most_within(starts, window_s) <= count


RATES = Property(
    no_window_holds_more,
    count=st.integers(1, 12),
    burst=st.integers(1, 12),
    window_s=st.sampled_from([1.0, 60.0]),
    gaps_s=st.lists(st.just(0.0) | st.floats(0, 20), max_size=60),
)


def test_no_window_holds_more_than_the_count() -> None:
    """However requests come, no window of the stated length holds more starts than stated, bursts included."""
    RATES.holds()


def test_a_plain_bucket_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that refills at the whole rate beside a full burst is caught."""
    monkeypatch.setattr(Rate, "gap_s", property(lambda self: self.window_s / self.count))
    RATES.catches_the_planted_fault()


def test_a_bucket_is_used_up_and_no_slower() -> None:
    """Under steady demand a rate of one per window without burst is reached exactly."""
    bucket = Bucket(Rate.per_second(4))
    assert [bucket.reserve(0.0) for _ in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert Rate.per_minute(60, burst=10).gap_s == pytest.approx(60 / 51)
    in_bursts = Bucket(Rate.per_minute(10, burst=3))
    assert [in_bursts.reserve(0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 7.5, 15.0]


@pytest.mark.parametrize("make", [lambda: Rate(0, 1.0), lambda: Rate(1, 0.0), lambda: Rate(2, 1.0, 3)])
def test_a_rate_without_sense_is_refused(make: object) -> None:
    """A rate that makes no sense is refused where it is made."""
    assert callable(make)
    with pytest.raises(ConfigurationError):
        make()


class LineMachine(RuleBasedStateMachine):
    """People join and leave, with a place and without."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.model = Line(2, 3), Model(2, 3)
        self.people: list[Ticket] = []

    @rule()
    def join(self) -> None:
        ticket = Ticket()
        self.people.append(ticket)
        assert self.line.join(ticket) == self.model.comes(len(self.people) - 1), "only a full line refuses"

    @rule(which=st.integers(0, 9), from_the_queue=st.booleans())
    def leave(self, which: int, from_the_queue: bool) -> None:
        here = self.model.waiting() if from_the_queue else self.model.inside()
        if here:
            who = here[which % len(here)]
            following, next_one = self.line.leave(self.people[who]), self.model.leaves(who)
            assert following is (None if next_one is None else self.people[next_one]), "who waited longest is next"

    @invariant()
    def nobody_is_forgotten(self) -> None:
        inside, waiting = self.model.inside(), self.model.waiting()
        assert (self.line.taken, self.line.waiting) == (len(inside), len(waiting))
        assert [who for who, ticket in enumerate(self.people) if ticket.has_place] == inside
        assert self.line.is_idle == (not self.model.here())


def test_a_line_is_fair_and_bounded() -> None:
    """Whoever joins and leaves, places go to who waited longest, none stays free, and the line keeps its length."""
    run_state_machine_as_test(LineMachine, settings=GENUINE)


@given(
    remaining=st.integers(0, 50),
    resets_in_s=st.floats(0, 3600),
    count=st.integers(1, 80),
    slow_below=st.sampled_from([0.1, 0.2, 1.0]),
)
def test_what_is_left_of_a_window_is_never_overdrawn(
    remaining: int, resets_in_s: float, count: int, slow_below: float
) -> None:
    """Until the reset no more start than were left, they go in order, and nobody waits longer than the bound."""
    throttle = Throttle(HeadroomPolicy(slow_below=slow_below))
    throttle.note(Headroom(50, remaining, resets_in_s), 100.0)
    starts = [throttle.reserve(100.0) for _ in range(count)]
    assert starts == sorted(starts)
    reset_s = 100.0 + min(resets_in_s, 120.0)
    assert sum(start < reset_s for start in starts) <= remaining
    assert starts[0] <= reset_s


def test_one_slows_down_before_the_cap() -> None:
    """With plenty left nothing waits; below a fifth of the limit what is left is spread over the window."""
    throttle = Throttle()
    throttle.note(Headroom(100, 22, 60.0), 0.0)
    assert [throttle.reserve(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.0]
    gaps = [throttle.reserve(0.0) for _ in range(18)]
    assert gaps[0] > 0
    assert gaps[-1] < 60.0
    assert throttle.reserve(0.0) == 60.0


def test_answers_that_overtake_each_other_do_not_raise_hopes() -> None:
    """Of two answers in one window the lower count is believed, and a new window begins anew."""
    throttle = Throttle()
    throttle.note(Headroom(100, 0, 60.0), 0.0)
    throttle.note(Headroom(100, 90, 59.5), 0.4)
    assert throttle.reserve(1.0) >= 59.9
    throttle.note(Headroom(100, 99, 60.0), 61.0)
    assert throttle.reserve(61.0) == 61.0


@pytest.mark.parametrize(("later_s", "is_one_window"), [(0.0, True), (1.5, True), (2.0, True), (2.5, False)])
def test_resets_two_seconds_apart_are_one(later_s: float, is_one_window: bool) -> None:
    """Within two seconds it is the same window, of which the lower count is believed; later it is the next one."""
    throttle = Throttle()
    throttle.note(Headroom(100, 0, 10.0), 0.0)
    throttle.note(Headroom(100, 90, 10.0 + later_s), 0.0)
    assert throttle.earliest_s(0.0) == (10.0 + later_s if is_one_window else 0.0)


def test_whoever_comes_at_the_reset_goes_after_those_who_waited_for_it() -> None:
    """Those who were promised a start at a reset go first, and those who come then follow with the same gap."""
    throttle = Throttle()
    throttle.note(Headroom(100, 0, 10.0), 0.0)
    assert [throttle.reserve(0.0) for _ in range(3)] == pytest.approx([10.0, 10.05, 10.1])
    assert [throttle.reserve(10.0) for _ in range(3)] == pytest.approx([10.15, 10.2, 10.25])


def test_a_thousand_origins_keep_their_states() -> None:
    """Up to the thousandth origin nothing is forgotten."""
    states: PerOrigin[list[int]] = PerOrigin(list)
    first = states.of("first")
    for number in range(MOST_KEPT - 1):
        states.of(number)
    assert len(states) == 1000
    assert states.of("first") is first
    states.of("one more")
    assert len(states) < 1000
    assert states.of("first") is first, "it was used last but one"


def test_states_of_origins_are_bounded() -> None:
    """However many origins are asked, a thousand states are kept, those in use among them."""
    states: PerOrigin[list[int]] = PerOrigin(list, lambda state: not state)
    busy = states.of("busy")
    busy.append(1)
    for number in range(5 * MOST_KEPT):
        states.of(number)
    assert len(states) <= MOST_KEPT
    assert states.of("busy") is busy


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (Breaker, ["policy"]),
        (RetryBudget, ["share", "floor_per_s", "reserve"]),
        (Throttle, ["policy"]),
        (Line, ["places", "longest"]),
        (Bucket, ["rate"]),
    ],
)
def test_a_rule_is_made_of_its_settings(rule: type, settings: list[str]) -> None:
    """Whoever makes a rule gives its settings, and none can be handed a state in which it never was."""
    assert list(inspect.signature(rule).parameters) == settings
