"""The bill row by row: what each kind of work costs, by whose price, and what costs nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from fake_server.rules.billing import Bill, BillRow, price_of
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire.endpoints import BY_NAME, ResultForm
from fake_server.wire.results import Failure
from tests.fake_server.driving import ASYNC, BASES, Hand

SUCCEEDS = Lifecycle((Step("RUNNING", lasts_s=10.0), Step("SUCCEEDED")))
POLICY = Lifecycle((Step("RUNNING", lasts_s=10.0), Step("CANCELED")), billed_share=Decimal("0.25"))
NO = Failure("DataInspectionFailed", "No.")


def world(*lives: Lifecycle, prices: dict[str, Decimal] | None = None, at_once: int = 99) -> Hand:
    """A hand on a world with these lives, and room for that many tasks at once."""
    quotas = Quotas(concurrent_tasks=at_once)
    return Hand.on(Scenario("drawn", "Drawn.", lives, Expect(("SUCCEEDED",)), quotas=quotas, prices=prices or {}))


def asked(hand: Hand, endpoint: str, model: str, given: dict[str, Any], parameters: dict[str, Any]) -> None:
    """A create at an endpoint."""
    body = json.dumps({"model": model, "input": given, "parameters": parameters}).encode()
    headers = hand.headers if BY_NAME[endpoint].synchronous else (*hand.headers, ASYNC)
    assert hand.ask("POST", BASES["dashscope"] + BY_NAME[endpoint].path, headers=headers, body=body).status == 200


def bill_at(hand: Hand, now_s: float, most_rows: int | None = None) -> Bill:
    """The bill at an instant."""
    hand.now_s = now_s
    return hand.engine.bill(hand.now, most_rows)


PROMPT = {"prompt": "a cat"}
MESSAGES = {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}
FILES = {"file_urls": ["https://example.com/a.wav", "https://example.com/b.wav"]}
WORK: list[tuple[str, str, dict[str, Any], dict[str, Any], str, int, int, str, str]] = [
    # Endpoint, model, input, parameters; then unit, quantity, seconds, price of a unit, amount.
    ("video", "wan2.6-t2v", PROMPT, {"duration": 7}, "second", 7, 7, "0.10", "0.70"),
    ("keyframe-video", "a-model-of-ours", {**PROMPT, "first_frame_url": "https://e.com/a.png"}, {},
     "second", 5, 5, "0.10", "0.50"),
    ("text-to-image", "wan2.5-t2i-preview", PROMPT, {"n": 3}, "image", 3, 0, "0.03", "0.09"),
    ("image-messages", "qwen-image", MESSAGES, {"n": 2}, "image", 2, 0, "0.035", "0.070"),
    ("image-synchronous", "wan2.6-t2i", MESSAGES, {"n": 2}, "image", 2, 0, "0.05", "0.10"),
    ("model-3d", "Tripo/Tripo-P1.0", PROMPT, {}, "model", 1, 0, "0.30", "0.30"),
    # Four seconds of speech in each file.
    ("transcription", "paraformer-v2", FILES, {}, "second", 8, 8, "0.00008", "0.00064"),
]  # fmt: skip


@pytest.mark.parametrize("work", WORK, ids=lambda work: str(work[0]))
def test_a_row_tells_what_was_made_and_what_it_costs(
    work: tuple[str, str, dict[str, Any], dict[str, Any], str, int, int, str, str],
) -> None:
    """A row has its task, its model, the units made, the price of one and their product; seconds count where the unit
    is one, and nothing of it is open."""
    endpoint, model, given, parameters, unit, quantity, seconds, price, amount = work
    hand = world(SUCCEEDS)
    asked(hand, endpoint, model, given, parameters)
    [task] = hand.engine.everything()
    bill = bill_at(hand, 10.0)
    assert bill.tasks == (
        BillRow(
            task_id=task.task_id,
            model=model,
            status="SUCCEEDED",
            unit=unit,  # type: ignore[arg-type]  # a word of the table above
            quantity=quantity,
            seconds=seconds,
            price=Decimal(price),
            share=Decimal(1),
            amount=Decimal(amount),
            billed=True,
            is_open=False,
        ),
    )
    assert (bill.total, bill.billed_tasks, bill.open_tasks, bill.left_out) == (Decimal(amount), 1, 0, 0)


@pytest.mark.parametrize(
    ("model", "form", "price"),
    [
        ("wan2.2-t2v-plus", "video", "0.07"),
        ("wan2.5-t2v-preview", "video", "0.15"),
        ("wan2.6-t2v", "video", "0.10"),
        ("wanx2.1-t2v-turbo", "video", "0.036"),
        ("wan2.5-t2i-preview", "images", "0.03"),
        ("wan2.6-t2i", "messages", "0.05"),
        ("qwen-image", "images", "0.035"),
        ("paraformer-v2", "transcription", "0.00008"),
        ("Tripo/Tripo-P1.0", "model", "0.30"),
        ("unheard-of", "video", "0.10"),
        ("unheard-of", "images", "0.04"),
        ("unheard-of", "messages", "0.04"),
        ("unheard-of", "model", "0.50"),
        ("unheard-of", "transcription", "0.0001"),
    ],
)
def test_each_model_has_its_price(model: str, form: ResultForm, price: str) -> None:
    """The scenario's price of a model goes before that of the list, and that before the default of its kind."""
    assert price_of(model, form, {"another": Decimal(9)}) == Decimal(price)
    assert price_of(model, form, {model: Decimal("7.5")}) == Decimal("7.5")


STATES: list[tuple[Lifecycle, float, str, str, int, str, str, bool]] = [
    # Life, instant; then status, share, quantity, amount at 0.10 a second, for five seconds, and whether it is open.
    (SUCCEEDS, 9.0, "RUNNING", "0", 5, "0", "is open", True),
    (SUCCEEDS, 10.0, "SUCCEEDED", "1", 5, "0.50", "is billed", False),
    (POLICY, 9.0, "RUNNING", "0", 5, "0", "is open", True),
    (POLICY, 10.0, "CANCELED", "0.25", 5, "0.125", "is billed", False),
    (Lifecycle((Step("CANCELED"),)), 1.0, "CANCELED", "0", 5, "0", "is free", False),
    (Lifecycle((Step("FAILED"),), billed_share=Decimal("0.25")), 1.0, "FAILED", "0", 5, "0", "is free", False),
    (Lifecycle((Step("UNKNOWN"),), billed_share=Decimal("0.25")), 1.0, "UNKNOWN", "0", 5, "0", "is free", False),
]


@pytest.mark.parametrize(("life", "now_s", "status", "share", "quantity", "amount", "verdict", "is_open"), STATES)
def test_only_what_succeeded_or_was_cancelled_by_policy_costs(
    life: Lifecycle, now_s: float, status: str, share: str, quantity: int, amount: str, verdict: str, is_open: bool
) -> None:
    """A success costs its whole price, a cancel by policy the scenario's share, everything else nothing; what may still
    come to cost something is counted apart, and is never counted as billed."""
    hand = world(life)
    asked(hand, "video", "wan2.6-t2v", PROMPT, {})
    bill = bill_at(hand, now_s)
    [row] = bill.tasks
    assert (row.status, row.share, row.quantity, row.amount) == (status, Decimal(share), quantity, Decimal(amount))
    assert (row.billed, row.is_open) == (verdict == "is billed", is_open)
    assert (bill.billed_tasks, bill.open_tasks) == (int(row.billed), int(is_open))
    assert bill.total == Decimal(amount)


def test_a_cancel_by_its_owner_is_free() -> None:
    """Who cancels a task that waits owes nothing for it, even where a cancel by policy has its price."""
    hand = world(SUCCEEDS, POLICY, at_once=1)
    for _ in range(2):
        asked(hand, "video", "wan2.6-t2v", PROMPT, {})
    first, second = hand.engine.tasks
    assert hand.cancel(second).status == 200
    bill = bill_at(hand, 30.0)
    assert [(row.task_id, row.status, row.share, row.billed) for row in bill.tasks] == [
        (first, "SUCCEEDED", Decimal(1), True),
        (second, "CANCELED", Decimal(0), False),
    ]
    assert (bill.total, bill.billed_tasks, bill.open_tasks) == (Decimal("0.50"), 1, 0)


@pytest.mark.parametrize(
    ("endpoint", "given", "results", "asked_for", "made", "amount"),
    [
        ("text-to-image", PROMPT, (None, NO, None), 3, 2, "0.06"),
        ("text-to-image", PROMPT, (NO, NO, NO), 3, 0, "0"),
        ("transcription", FILES, (NO,), 8, 4, "0.12"),
    ],
)
def test_before_its_end_a_row_counts_what_was_asked_for_and_then_what_was_made(
    endpoint: str, given: dict[str, Any], results: tuple[Failure | None, ...], asked_for: int, made: int, amount: str
) -> None:
    """The quantity of a row is what the create asked for until the task succeeds, and from then on what was made; a
    success that made nothing is not billed."""
    life = Lifecycle(SUCCEEDS.steps, results=results)
    hand = world(life, prices={"own": Decimal("0.03")})
    asked(hand, endpoint, "own", given, {"n": 3})
    assert [(row.quantity, row.amount) for row in bill_at(hand, 9.9).tasks] == [(asked_for, Decimal(0))]
    bill = bill_at(hand, 10.0)
    assert [(row.quantity, row.amount, row.billed) for row in bill.tasks] == [(made, Decimal(amount), made > 0)]
    assert (bill.total, bill.billed_tasks) == (Decimal(amount), int(made > 0))


@pytest.mark.parametrize(("most_rows", "shown"), [(None, 4), (9, 4), (4, 4), (3, 3), (1, 1), (0, 0)])
def test_rows_that_are_not_shown_count_all_the_same(most_rows: int | None, shown: int) -> None:
    """A bill shows the latest rows and says how many are left out, and its sums are those of all of them."""
    hand = world(SUCCEEDS, POLICY, Lifecycle((Step("FAILED"),)), Lifecycle((Step("RUNNING"), Step("SUCCEEDED"))))
    for seconds in (1, 2, 3, 4):
        asked(hand, "video", "own", PROMPT, {"duration": seconds})
    bill = bill_at(hand, 10.0, most_rows)
    assert [row.quantity for row in bill.tasks] == [1, 2, 3, 4][4 - shown :]
    assert bill.left_out == 4 - shown
    # One second at 0.10, and a quarter of two; the failure is free, and the last has not ended.
    assert (bill.total, bill.billed_tasks, bill.open_tasks) == (Decimal("0.15"), 2, 1)
    assert {type(count) for count in (bill.billed_tasks, bill.open_tasks, bill.left_out)} == {int}, "as JSON knows them"


def test_what_was_made_at_once_stands_last() -> None:
    """Tasks stand on the bill in the order of their creates, and what synchronous creates made after all of them."""
    hand = world(SUCCEEDS)
    asked(hand, "image-synchronous", "wan2.6-t2i", MESSAGES, {"n": 1})
    asked(hand, "video", "wan2.6-t2v", PROMPT, {})
    bill = bill_at(hand, 0.0)
    assert [(row.unit, row.status, row.billed) for row in bill.tasks] == [
        ("second", "RUNNING", False),
        ("image", "SUCCEEDED", True),
    ]
    assert (bill.billed_tasks, bill.open_tasks) == (1, 1)


def test_a_finest_price_of_a_long_bill_is_not_rounded() -> None:
    """A price of sixteen digits and a share of ten multiply exactly, and so do their sums."""
    share, price = Decimal("0.9876543219"), Decimal("9876.543210123457")
    hand = world(Lifecycle((Step("CANCELED"),), billed_share=share), prices={"own": price})
    for _ in range(3):
        asked(hand, "video", "own", PROMPT, {"duration": 599})
    bill = bill_at(hand, 0.0)
    # 29 digits: one more than a Decimal keeps where nobody asks for more.
    owed = Fraction(9876543210123457 * 599 * 9876543219, 10**22)
    assert Fraction(bill.tasks[0].amount) == owed
    assert Fraction(bill.total) == 3 * owed
