"""The bill to its last digit: prices as fine as a scenario may write them, over many tasks."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire import bodies
from tests.fake_server.driving import UNTIMED, Hand

MODEL = "wan2.5-t2v-preview"
PRICES = st.decimals(0, 1000, places=12)
SHARES = st.decimals(0, 1, places=9)
SECONDS = st.lists(st.sampled_from([5, 10]), min_size=1, max_size=6)


def body(duration_s: int) -> bytes:
    text = '{"model": "%s", "input": {"prompt": "a cat"}, "parameters": {"duration": %d}}'
    return (text % (MODEL, duration_s)).encode()


@UNTIMED
@given(PRICES, SHARES, SECONDS)
def test_nothing_of_the_bill_is_rounded(price: Decimal, share: Decimal, seconds: list[int]) -> None:
    """Made and partly billed tasks come, summed, to the very fraction that units, prices and shares make."""
    lives = tuple(
        Lifecycle((Step(bodies.SUCCEEDED if number % 2 == 0 else bodies.CANCELED),), billed_share=share)
        for number in range(len(seconds))
    )
    expect = Expect(("SUCCEEDED",))
    scenario = Scenario("drawn", "Drawn.", lives, expect, quotas=Quotas(concurrent_tasks=99), prices={MODEL: price})
    hand = Hand.on(scenario)
    for duration_s in seconds:
        hand.created(body(duration_s))
    owed = sum(
        Fraction(price) * duration_s * (Fraction(1) if number % 2 == 0 else Fraction(share))
        for number, duration_s in enumerate(seconds)
    )
    bill = hand.engine.bill(hand.now)
    assert Fraction(bill.total) == owed
    assert sum(Fraction(row.amount) for row in bill.tasks) == owed
