"""A few simulated worlds in the plain suite; `make simulate` runs thousands."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.simulation.chance import Draws
from tests.simulation.plan import a_plan
from tests.simulation.shrink import fewest, replay_line
from tests.simulation.world import Result, simulate

SEED = 20
FEW = frozenset(range(50))


WORLDS = (0, 4, 6, 8)


@cache
def simulated(number: int) -> Result:
    return simulate(SEED, number)


@pytest.mark.parametrize("number", WORLDS)
def test_nothing_is_wrong_in_any_world(number: int) -> None:
    """In a world full of faults nothing is lost, paid for twice or hammered, and all comes to rest."""
    result = simulated(number)
    assert not result.is_wrong, "\n".join([replay_line(SEED, number), *result.lines[:5]])


def test_worlds_are_full_of_faults() -> None:
    """The worlds of this file see kills, halts, doubts and throttles, in both dialects and forms of the ledger."""
    figures = sum((simulated(number).figures for number in WORLDS), Counter[str]())
    for name in ("kills", "halts", "clock steps", "in doubt", "throttled creates"):
        assert figures[name], name
    assert figures["faults"] > 200
    plans = [a_plan(SEED, number) for number in WORLDS]
    assert {plan.is_kept for plan in plans} == {True, False}
    assert {plan.dialect for plan in plans} == {"aisa", "dashscope"}


def test_a_seed_replays_to_the_byte() -> None:
    """The same seed gives the same requests, answers and rows, byte for byte; another one gives others."""
    first, again, other = (simulate(seed, 1, wanted=FEW, traced=True) for seed in (SEED, SEED, SEED + 1))
    assert first.trace == again.trace
    assert first.digest == again.digest != ""
    assert first.counts == again.counts
    assert other.digest != first.digest


def test_leaving_a_fault_out_moves_no_other_task() -> None:
    """Without the faults of messages, those that are left are delayed as before, and each task lives as before."""
    plan, again = a_plan(SEED, 2), a_plan(SEED, 2)
    assert plan == again
    whole = simulate(SEED, 2, wanted=frozenset({3}), traced=True)
    none = simulate(SEED, 2, wanted=frozenset({3}), only=frozenset(), traced=True)
    assert not none.fired
    assert whole.trace[0].split()[:2] == none.trace[0].split()[:2]


def test_the_fewest_are_found() -> None:
    """Of many names exactly those are left that it takes."""
    guilty = {3, 17, 90}
    assert set(fewest(range(100), lambda some: guilty <= set(some))) == guilty
    assert fewest(range(100), lambda _: True) == []
    assert fewest([1], lambda some: 1 in some) == [1]


def test_draws_are_spread() -> None:
    """Draws are numbers from 0 to 1 that are spread evenly, and differ from name to name."""
    drawn = [Draws(f"name {number}").unit() for number in range(2000)]
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1
    assert 0.45 < sum(drawn) / len(drawn) < 0.55
