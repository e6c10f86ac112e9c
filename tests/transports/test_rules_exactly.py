"""The rules by hand: at which share a breaker opens, when a quota lets the next one go, what a deadline cuts."""

from __future__ import annotations

import pytest

from resilient_poll import BreakerPolicy, BreakerState, RetryBudget
from resilient_poll.http.headroom import Headroom
from resilient_poll.transports.rules.breaker import Admitted, Breaker, CallResult, Move, Rejected
from resilient_poll.transports.rules.deadlines import are_within, cut_timeouts, earlier
from resilient_poll.transports.rules.headroom import Throttle
from resilient_poll.transports.rules.line import Line, Ticket

POLICY = BreakerPolicy(slow_share=0.75, slow_call_s=1.0, least_calls=4, window_s=10.0, open_s=5.0, probes=2)
LETTERS = {"W": CallResult.WELL, "F": CallResult.FAILED, "S": CallResult.SLOW, "-": CallResult.NOTHING}


def called(breaker: Breaker, letters: str, now_s: float = 1.0) -> Move | None:
    """Return what the last of some calls brought about."""
    move = None
    for letter in letters:
        assert move is None
        move = breaker.note(place(breaker, now_s), LETTERS[letter], now_s)
    return move


def place(breaker: Breaker, now_s: float) -> Admitted:
    admitted, _ = breaker.admit(now_s)
    assert isinstance(admitted, Admitted)
    return admitted


def come_back_in_s(breaker: Breaker, now_s: float) -> float:
    rejected, _ = breaker.admit(now_s)
    assert isinstance(rejected, Rejected)
    return rejected.come_back_in_s


@pytest.mark.parametrize(
    ("letters", "why"),
    [
        ("WWFF", "2 of 4 calls failed"),
        ("WFWW", None),
        ("FFF", None),
        ("FFF-", None),
        ("FFF-W", "3 of 4 calls failed"),
        ("WSSS", "3 of 4 calls were slow"),
        ("WWSS", None),
        ("FSSW", None),
    ],
)
def test_a_breaker_opens_at_its_shares(letters: str, why: str | None) -> None:
    """It opens with half of the calls failed or three quarters slow, of four at least that say anything."""
    move = called(Breaker(POLICY), letters)
    assert move == (None if why is None else Move(BreakerState.CLOSED, BreakerState.OPEN, why))


@pytest.mark.parametrize(("later_s", "opens"), [(9.9, True), (11.0, False)])
def test_calls_count_for_the_length_of_the_window(later_s: float, opens: bool) -> None:
    """Failures of the last ten seconds count, and older ones do not."""
    breaker = Breaker(POLICY)
    assert called(breaker, "FFF", 0.0) is None
    assert (called(breaker, "F", later_s) is not None) is opens


def test_an_open_breaker_says_when_to_come_back() -> None:
    """It says the seconds that are left, to the caller that comes late as to the first."""
    breaker = Breaker(POLICY)
    assert called(breaker, "FFFF") is not None
    assert [come_back_in_s(breaker, now_s) for now_s in (1.0, 3.0, 5.5)] == [5.0, 3.0, 0.5]
    for _ in range(2):
        place(breaker, 6.0)
    assert come_back_in_s(breaker, 10.75) == 0.25


def test_a_closed_breaker_begins_anew() -> None:
    """Two probes that were well close it, one does not, and what failed before counts no more."""
    breaker = Breaker(POLICY)
    called(breaker, "FFFF")
    probes = [place(breaker, 6.0), place(breaker, 6.0)]
    assert breaker.note(probes[0], CallResult.WELL, 6.5) is None
    assert breaker.note(probes[1], CallResult.WELL, 6.5) == Move(
        BreakerState.HALF_OPEN, BreakerState.CLOSED, "all probes were well"
    )
    assert called(breaker, "FFF", 7.0) is None
    assert called(breaker, "F", 7.0) is not None


def test_a_probe_that_failed_opens_for_as_long_again() -> None:
    """One probe that was not well opens it at once, and tells what it was."""
    breaker = Breaker(POLICY)
    called(breaker, "FFFF")
    why = "a probe was not well (slow)"
    assert breaker.note(place(breaker, 6.0), CallResult.SLOW, 7.0) == Move(
        BreakerState.HALF_OPEN, BreakerState.OPEN, why
    )
    assert come_back_in_s(breaker, 7.0) == 5.0


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    """After a probe that says nothing as many may be tried as before it."""
    breaker = Breaker(POLICY)
    called(breaker, "FFFF")
    assert breaker.note(place(breaker, 6.0), CallResult.NOTHING, 6.1) is None
    for _ in range(2):
        place(breaker, 6.2)
    assert come_back_in_s(breaker, 6.2) == pytest.approx(4.8)


def test_a_retry_costs_one_and_time_counts_once() -> None:
    """A retry takes one of what is saved up, and a clock that another thread read earlier earns nothing twice."""
    budget = RetryBudget(share=0.0, floor_per_s=0.2, reserve=3.0)
    assert budget.take(0.0)
    assert budget.left == 2.0
    assert [budget.take(now_s) for now_s in (0.0, 0.0, 0.0)] == [True, True, False]
    assert [budget.take(now_s) for now_s in (5.0, 0.0, 5.0, 10.0)] == [True, False, False, True]


def test_places_that_were_left_are_free() -> None:
    """When all have left, all places are free."""
    line, tickets = Line(2, 0), [Ticket(), Ticket()]
    assert [line.join(ticket) for ticket in tickets] == [True, True]
    assert [line.leave(ticket) for ticket in tickets] == [None, None]
    assert (line.taken, line.is_idle) == (0, True)


@pytest.mark.parametrize(
    ("remaining", "resets_in_s", "starts_s"),
    [
        (4, 10.0, [0.0, 2.0, 4.0, 6.0, 10.0, 10.05]),
        (4, 0.5, [0.0, 0.1, 0.2, 0.3, 0.5, 0.55]),
        (0, 10.0, [10.0, 10.05, 10.1]),
        (20, 10.0, [0.0, 0.0, 10 / 20]),
    ],
)
def test_what_is_left_is_spread_over_the_rest_of_the_window(
    remaining: int, resets_in_s: float, starts_s: list[float]
) -> None:
    """Of a limit of 100, from fewer than 20 on, each start is an equal part of the rest apart, and the rest waits."""
    throttle = Throttle()
    throttle.note(Headroom(100, remaining, resets_in_s), 0.0)
    assert [throttle.reserve(0.0) for _ in starts_s] == pytest.approx(starts_s)


@pytest.mark.parametrize("now_s", [10.0, 11.0])
def test_from_the_reset_on_nothing_is_held_back(now_s: float) -> None:
    """Once the window is over, any number may go at once until an answer says what there is."""
    throttle = Throttle()
    throttle.note(Headroom(100, 0, 10.0), 0.0)
    throttle.note(Headroom(100, None, 50.0), 0.0)
    throttle.note(Headroom(100, 50, None), 0.0)
    throttle.note(None, 0.0)
    assert throttle.earliest_s(0.0) == 10.0
    assert [throttle.reserve(now_s) for _ in range(3)] == [now_s] * 3


@pytest.mark.parametrize(
    ("first_s", "second_s", "sooner_s"),
    [(None, None, None), (None, 2.0, 2.0), (3.0, None, 3.0), (3.0, 2.0, 2.0), (2.0, 3.0, 2.0)],
)
def test_of_two_deadlines_the_earlier_holds(
    first_s: float | None, second_s: float | None, sooner_s: float | None
) -> None:
    """The earlier of two counts, and of one and none that one."""
    assert earlier(first_s, second_s) == sooner_s


ALL = {"connect": 1.0, "read": 2.0, "write": 2.0, "pool": 2.0}


@pytest.mark.parametrize(
    ("timeouts", "is_within", "cut"),
    [
        (ALL, True, ALL),
        ({**ALL, "read": 2.5}, False, ALL),
        ({**ALL, "pool": None}, False, ALL),
        ({"connect": 1.0}, False, ALL),
        ({}, False, dict.fromkeys(ALL, 2.0)),
        (None, False, dict.fromkeys(ALL, 2.0)),
    ],
)
def test_a_deadline_cuts_each_timeout_to_what_is_left(
    timeouts: dict[str, float | None] | None, is_within: bool, cut: dict[str, float]
) -> None:
    """With two seconds left no timeout is longer, one that is shorter stays, and one that is missing is two seconds."""
    assert are_within(timeouts, 2.0) is is_within
    assert cut_timeouts(timeouts, 2.0) == cut
