"""Which requests a fault strikes, condition by condition, and how chance is drawn, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fake_server.engine import Engine
from fake_server.faults import chance, model
from fake_server.faults.chance import draw, log_normal
from fake_server.faults.model import Fault, Latency, LostCreate, Selection, Status
from fake_server.faults.selection import Rack
from tests.fake_server.driving import VIDEO, Hand
from tests.fake_server.faulty import fault, hand_with


def struck(selection: Selection) -> list[int]:
    """On which of eight queries a fault strikes: one a second from 0 s on, in turn about the first and second task."""
    rack = Rack(0, "w", [Fault("status", Status(503), selection)])
    return [at_s for at_s in range(8) if rack.strike("query", float(at_s), at_s % 2 + 1, f"id-{at_s % 2 + 1}")]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"on": ("query",)}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"on": ("create", "asset")}, []),
        ({"nth": (1, 4)}, [0, 3]),
        ({"first": 3}, [0, 1, 2]),
        ({"every_nth": 3}, [2, 5]),
        ({"times": 2}, [0, 1]),
        ({"times": 2, "every_nth": 2}, [1, 3]),
        ({"first": 2, "times": 5}, [0, 1]),
        ({"from_s": 2.0}, [2, 3, 4, 5, 6, 7]),
        ({"until_s": 2.0}, [0, 1]),
        ({"from_s": 2.0, "until_s": 5.0, "nth": (1, 3)}, [2, 4]),
        ({"task": 2}, [1, 3, 5, 7]),
        ({"task": "id-1"}, [0, 2, 4, 6]),
        ({"task": "id-1", "nth": (2,)}, [2]),
        ({"task": 3}, []),
        ({"probability": 1.0}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"probability": 0.0}, []),
    ],
)
def test_a_selection_strikes_these_and_no_others(conditions: dict[str, Any], expected: list[int]) -> None:
    """Each condition means what the page of scenarios says, a window without its end, and all must hold; only what
    fits route, task and window is counted."""
    assert struck(Selection(**conditions)) == expected


@pytest.mark.parametrize(
    ("conditions", "needed"),
    [
        ({}, 1),
        ({"nth": (2, 5)}, 2),
        ({"first": 4}, 4),
        ({"times": 3}, 3),
        ({"times": 2, "first": 4}, 2),
        ({"times": 4, "first": 2}, 2),
        ({"times": 2, "nth": (1, 2, 3)}, 2),
        ({"first": 1, "nth": (1, 2, 3)}, 1),
        ({"every_nth": 3}, 1),
        ({"probability": 0.5, "times": 3}, 1),
    ],
)
def test_how_often_a_fault_must_fire(conditions: dict[str, Any], needed: int) -> None:
    """A fault is used up after the least of its bounds; once, where it has none or where chance decides."""
    assert Selection(**conditions).needed == needed


def test_what_a_file_leaves_out_is_the_usual() -> None:
    """A fault of which no more is said strikes every request of every route from the beginning on, redirects
    elsewhere for the time being, keeps the status and the body, delays nothing, and tells of a spent minute of 60."""
    usual = Selection()
    assert (usual.probability, usual.from_s, usual.until_s, usual.times) == (1.0, 0.0, math.inf, None)
    assert model.Redirect() == model.Redirect(307, "other_host")
    assert Latency() == Latency(0.0, 0.0, None, 0.0)
    assert model.RateHeaders() == model.RateHeaders(60, 0, 60.0, "epoch")
    assert (Status().status, Status().body, Status().hint, model.Hint().form) == (200, "dialect", None, "seconds")
    assert (model.StaleRead().age_s, LostCreate().how, model.SchemaDrift("unknown_status").word) == (
        5.0,
        "reset",
        "MIGRATING",
    )
    assert (Fault("status", Status()).when, Fault("status", Status()).must_fire) == ("before_commit", True)


def test_faults_are_named_by_where_they_come_from_and_strike_in_that_order() -> None:
    """The scenario's faults are `s1`, `s2` and come first, then those of chaos `c1`, then those armed since `a1`; a
    name is not given twice."""
    hand = hand_with(*(fault("status", status=status) for status in (501, 502)), faults=[fault("lost_create")])
    for _ in range(2):
        hand.engine.disarm(hand.engine.arm(fault("stale_read")))
    hand.engine.arm(fault("clock_skew", ahead="1h"))
    named = [(armed.identity, armed.fault.name) for armed in hand.engine.armed()]
    assert named == [("s1", "status"), ("s2", "status"), ("c1", "lost_create"), ("a3", "clock_skew")]


def test_each_of_many_alike_draws_for_itself() -> None:
    """Three faults that say the same strike apart, and the second and third are told apart by their number."""
    one = fault("status", status=503, probability=0.5)
    rack = Rack(0, "w", [one, one, one])
    assert [armed.rule for armed in rack.armed] == [one.rule(), f"{one.rule()}#2", f"{one.rule()}#3"]
    for _ in range(40):
        rack.strike("query", 0.0)
    assert len({armed.struck for armed in rack.armed}) > 1
    assert all(5 < armed.struck < 35 for armed in rack.armed)


def test_a_chance_strikes_what_is_drawn_below_it() -> None:
    """A draw that is the chance itself does not strike, and one that is less does."""
    drawn = draw(0, "w", "mine", 1)
    for probability, is_struck in ((drawn, False), (math.nextafter(drawn, 1), True)):
        one = Fault("status", Status(503), Selection(probability=probability), label="mine")
        assert bool(Rack(0, "w", [one]).strike("query", 0.0)) == is_struck


def test_the_length_of_a_delay_is_drawn_by_seed_and_world() -> None:
    """Each seed, world and request has a delay of its own, and the same ones have the same."""

    def delays(seed: int, world: str) -> list[float]:
        rack = Rack(seed, world, [fault("latency", uniform={"from": "1s", "to": "3s"})])
        (armed,) = rack.armed
        return [rack.delay_unit(armed) for _ in range(3) if rack.strike("query", 0.0)]

    assert delays(0, "w") == delays(0, "w")
    assert len({unit for seed, world in ((0, "w"), (1, "w"), (0, "v")) for unit in delays(seed, world)}) == 9


def test_an_engine_draws_by_its_seed_and_its_name() -> None:
    """Another seed for chance, or another name of the world, strikes other requests; the same two, the same."""

    def statuses(**options: Any) -> list[int]:
        hand = hand_with(fault("status", status=503, on="list", probability=0.5))
        hand = Hand.on(hand.engine.scenario, **options)
        return [hand.ask("GET", "/api/v1/tasks").status for hand.now_s in range(40)]

    usual = statuses()
    assert set(usual) == {200, 503}
    other = Hand(Engine(hand_with(fault("status", status=503, on="list", probability=0.5)).engine.scenario, "w2"))
    assert [other.ask("GET", "/api/v1/tasks").status for other.now_s in range(40)] != usual
    assert statuses(draw_seed=0) == usual
    assert statuses(draw_seed=1) != usual
    assert statuses(seed=1) == usual, "the seed of ids is another"


def test_what_admission_refuses_is_not_counted() -> None:
    """A fault counts what passed admission within its window, and what of it it struck and changed."""
    hand = hand_with(fault("lost_create", window="5s..", first=2))
    for hand.now_s in (0.0, 5.0, 6.0, 7.0):
        hand.create()
        hand.ask("POST", f"/api/v1{VIDEO}", headers=())
    (armed,) = hand.engine.armed()
    assert (armed.matched, armed.struck, armed.fired, armed.is_used_up) == (3, 2, 2, True)


@pytest.mark.parametrize(
    ("arguments", "unit"),
    [
        # The first thirteen digits of `printf '7|w1|3|strike|status 503' | b2sum -l 64`, and half of the next.
        ((7, "w1", "status 503", 3), "0x0.26fd8e4f3f9048"),
        ((7, "w1", "status 503", 3, "delay"), "0x0.235eec87f53b88"),
        # Half a character and a letter that is none of ASCII's, in three bytes and in two.
        ((0, "w", "\udc80\u00e4", 1), "0x0.517eab941c2008"),
    ],
)
def test_a_draw_is_the_same_in_every_release(arguments: Any, unit: str) -> None:
    """A seed stands in reports and files, so what is drawn by it is a hash that any tool can work out."""
    assert draw(*arguments) == float.fromhex(unit)


def test_the_length_of_a_delay_is_a_draw_of_its_own() -> None:
    """The third request that a fault looks at is delayed by the draw for its third delay, which no strike uses."""
    rack = Rack(7, "w1", [Fault("latency", Latency(1.0, 3.0), label="status 503")])
    for _ in range(3):
        rack.strike("query", 0.0)
    (armed,) = rack.armed
    assert rack.delay_unit(armed) == float.fromhex("0x0.235eec87f53b88")


@pytest.mark.parametrize(("digest", "unit"), [(b"\xff" * 8, 1 - 2**-53), (bytes(8), 2**-53)])
def test_no_draw_is_0_or_1(digest: bytes, unit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greatest and the least of all hashes, which nobody can look for, lie between 0 and 1, and a delay can be
    made of them."""

    class Hash:
        def __init__(self, *_: object, **__: object) -> None: ...

        def digest(self) -> bytes:
            return digest

    monkeypatch.setattr(chance, "blake2b", Hash)
    found = draw(0, "w", "r", 1)
    assert found == unit
    assert 0 < found < 1
    assert 0 < log_normal(found, 1.0, 1.0, 600.0) <= 600.0


@pytest.mark.parametrize(
    ("unit", "median", "sigma", "most", "delay_s"),
    [
        (0.5, 0.2, 0.5, 600.0, 0.2),
        # One standard deviation above and below the median (0.8413 and 0.1587 of the normal distribution).
        (0.8413447460685429, 0.2, 1.0, 600.0, 0.2 * math.e),
        (0.15865525393145707, 0.2, 2.0, 600.0, 0.2 / math.e**2),
        (0.8413447460685429, 0.2, 9.0, 600.0, 600.0),
        (0.9, 0.2, 1e300, 600.0, 600.0),
        (0.1, 0.2, 1e300, 600.0, 0.0),
    ],
)
def test_a_delay_is_as_far_from_the_median_as_its_draw(
    unit: float, median: float, sigma: float, most: float, delay_s: float
) -> None:
    """A delay is the median times e to so many sigmas as the draw is from its middle, and is cut at the most."""
    assert log_normal(unit, median, sigma, most) == pytest.approx(delay_s)


def test_a_request_about_no_task_is_struck_by_no_fault_that_names_one() -> None:
    """A list or a page of limits is about no task, not about the first."""
    rack = Rack(0, "w", [Fault("status", Status(503), Selection(task=1))])
    assert rack.strike("list", 0.0) == []
    assert len(rack.strike("query", 0.0, 1)) == 1


def test_a_fault_that_never_strikes_looks_at_requests_all_the_same() -> None:
    """A fault of chance 0 counts what it looks at, and strikes none of it."""
    rack = Rack(0, "w", [Fault("lost_create", LostCreate(), Selection(on=("create",), probability=0.0))])
    for _ in range(3):
        assert rack.strike("create", 0.0) == []
    (armed,) = rack.armed
    assert (armed.matched, armed.struck) == (3, 0)
