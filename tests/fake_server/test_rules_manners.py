"""Manners to the millisecond: who is early, who is not, what is forgotten, and which lines show it."""

from __future__ import annotations

from collections import Counter

import pytest

from fake_server.rules.manners import Manners
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand


def judge() -> tuple[Manners, Counter[str]]:
    """A judge of manners, and what it has counted."""
    counters: Counter[str] = Counter()
    return Manners(counters), counters


def running_hand() -> Hand:
    """A hand on a world whose tasks run for ever."""
    quotas = Quotas(concurrent_tasks=100, queries_per_second=1_000)
    life = Lifecycle((Step("RUNNING"),))
    return Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("STILL_GOING",)), quotas=quotas))


@pytest.mark.parametrize(
    ("whom", "at_s", "early"),
    [
        ("same", 0.05, 1),
        ("other", 0.05, 0),
        ("other", 0.1, 0),
        ("other", 0.11, 1),
        ("same", 4.998, 1),
        ("same", 5.0, 0),
    ],
)
def test_only_who_was_told_to_wait_is_early_at_once(whom: str, at_s: float, early: int) -> None:
    """Asked to stay away for five seconds, the one that was told is early at once; another may have been on its way,
    for a tenth of a second."""
    manners, counters = judge()
    manners.told_request("same", 0.0, 5.0)
    manners.saw_request(whom, at_s)
    assert counters["early_requests"] == early


def test_nobody_is_early_who_was_told_nothing() -> None:
    """Before a first `Retry-After` no request, create or query comes before its time, and there is no margin."""
    manners, counters = judge()
    manners.saw_request("a", 0.0)
    manners.saw_poll("t", None, 0.0)
    assert manners.least_margin_s is None
    assert (counters["early_requests"], counters["polls_before_retry_after"]) == (0, 0)


@pytest.mark.parametrize(("wait_s", "early"), [(0.001, 0), (0.002, 1)])
def test_a_timer_may_fire_a_millisecond_early(wait_s: float, early: int) -> None:
    """A query that comes one millisecond before its time is in time; two are too many."""
    manners, counters = judge()
    manners.told_poll("t", 0.0, wait_s)
    manners.saw_poll("t", None, 0.0)
    assert counters["polls_before_retry_after"] == early
    assert manners.least_margin_s == -wait_s


def test_the_margin_is_that_of_the_most_hurried() -> None:
    """Of those who had to wait the one that came soonest after its time counts, however many were more patient."""
    manners, _ = judge()
    for now_s, margin_s in ((0.0, 3.0), (100.0, 0.5), (200.0, 2.0)):
        manners.told_request("a", now_s, 10.0)
        manners.saw_request("a", now_s + 10.0 + margin_s)
    assert manners.least_margin_s == 0.5
    manners.told_poll("t", 300.0, 10.0)
    manners.saw_poll("t", None, 310.25)
    assert manners.least_margin_s == 0.25


@pytest.mark.parametrize(("gap_s", "hasty"), [(0.0, 1), (0.44, 1), (0.45, 0), (0.5, 0)])
def test_half_a_second_less_what_a_network_does_to_it_is_no_haste(gap_s: float, hasty: int) -> None:
    """Queries of one task are too fast below half a second less fifty milliseconds, which itself is in order."""
    manners, counters = judge()
    manners.saw_poll("t", None, 0.0)
    manners.saw_poll("t", None, gap_s)
    assert (counters["hasty_polls"], counters["early_polls"], manners.least_poll_gap_s) == (hasty, hasty, gap_s)


def test_the_haste_with_a_known_task_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task remembers itself when it was asked for: however many a client asks for in turn, each is judged."""
    monkeypatch.setattr("fake_server.rules.manners.MOST_REMEMBERED_IDS", 1)
    hand = running_hand()
    tasks = [hand.created() for _ in range(5)]
    for _ in range(2):
        for task_id in tasks:
            hand.poll(task_id)
    assert hand.engine.journal.counters["hasty_polls"] == 5
    assert not hand.engine._manners.has_forgotten


def test_ten_thousand_ids_that_nobody_knows_are_remembered_and_no_more() -> None:
    """The ten thousandth id costs no other its place; the one after it takes the place of the first."""
    manners, counters = judge()
    for number in range(10_000):
        manners.saw_poll(str(number), None, 0.0)
    assert not manners.has_forgotten
    manners.saw_poll("0", None, 0.1)
    assert counters["hasty_polls"] == 1
    manners.saw_poll("one-more", None, 0.2)
    assert manners.has_forgotten
    manners.saw_poll("1", None, 0.3)
    assert counters["hasty_polls"] == 1, "it was asked for longest ago, and is forgotten"


def test_what_was_forgotten_too_soon_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that is forgotten half a second after it was asked for, or later, could not be asked for too soon; one that
    was forgotten before leaves a doubt, which stays."""
    monkeypatch.setattr("fake_server.rules.manners.MOST_REMEMBERED_IDS", 1)
    manners, _ = judge()
    doubts = []
    for name, now_s in (("a", 100.0), ("b", 100.5), ("c", 200.0), ("d", 200.25), ("e", 300.0)):
        manners.saw_poll(name, None, now_s)
        doubts.append(manners.has_forgotten)
    assert doubts == [False, False, False, True, True]


def test_a_breach_that_is_still_on_its_way_names_no_line() -> None:
    """A breach is shown by the line that its request gets next; a request that comes later gets none, and takes no line
    of those that came before."""
    manners, counters = judge()
    manners.saw_poll("t", None, 0.0)
    counters["requests"] += 1
    manners.saw_poll("t", None, 0.1)
    counters["requests"] += 1
    assert manners.evidence == {"hasty_polls": [2], "early_polls": [2]}
    manners.is_late()
    assert manners.evidence == {"hasty_polls": [2], "early_polls": [2]}, "that line is written already"
    manners.saw_poll("t", None, 0.2)
    assert manners.evidence == {"hasty_polls": [2, 3], "early_polls": [2, 3]}
    manners.is_late()
    assert manners.evidence == {"hasty_polls": [2], "early_polls": [2]}
    assert counters["hasty_polls"] == 2, "the breach itself stands"
    manners, counters = judge()
    for _ in range(2):
        manners.saw_poll("t", None, 0.0)
    manners.is_late()
    manners.is_late()
    assert manners.evidence == {"hasty_polls": [], "early_polls": []}


def test_the_first_five_lines_show_a_breach() -> None:
    """Of many breaches the lines of the first five are named."""
    manners, counters = judge()
    for number in range(9):
        manners.saw_poll("t", None, number / 10)
        counters["requests"] += 1
    assert manners.evidence["hasty_polls"] == [2, 3, 4, 5, 6]
