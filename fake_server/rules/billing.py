"""The true bill: what was made, at what price, whoever heard of it.

Only what succeeded is billed: the seconds of video or speech, the images and the models made (vendor's pages on
prices); a cancel by policy may cost a share, where a scenario says so (AIsa docs: "partial billing possible").
An image that was answered at once costs what it costs, whether or not its answer arrived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Literal

from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fake_server.rules.tasks import Task
    from fake_server.wire.endpoints import ResultForm

Unit = Literal["second", "image", "model"]

# A price and a share have up to 16 and 10 digits, units and tasks 9 more: nothing is ever rounded.
_EXACT_DIGITS = 50

# Invented prices of a unit, in no currency: what a test needs is that they differ and are exact.
PRICES: dict[str, Decimal] = {
    "wan2.2-t2v-plus": Decimal("0.07"),
    "wan2.5-t2v-preview": Decimal("0.15"),
    "wan2.6-t2v": Decimal("0.10"),
    "wanx2.1-t2v-turbo": Decimal("0.036"),
    "wan2.5-t2i-preview": Decimal("0.03"),
    "wan2.6-t2i": Decimal("0.05"),
    "qwen-image": Decimal("0.035"),
    "paraformer-v2": Decimal("0.00008"),
    "Tripo/Tripo-P1.0": Decimal("0.30"),
}
UNITS: dict[ResultForm, Unit] = {
    "video": "second",
    "images": "image",
    "messages": "image",
    "model": "model",
    "transcription": "second",
}
DEFAULT_PRICES: dict[ResultForm, Decimal] = {
    "video": Decimal("0.10"),
    "images": Decimal("0.04"),
    "messages": Decimal("0.04"),
    "model": Decimal("0.50"),
    "transcription": Decimal("0.0001"),
}


@dataclass(frozen=True, slots=True)
class BillRow:
    """One task on the bill.

    Args:
        task_id: Its id.
        model: Its model.
        status: Its true state now, whatever a client was told.
        unit: What its price is for.
        quantity: Units made, or before its success asked for.
        seconds: The same where the unit is a second, else 0.
        price: Price of a unit.
        share: Which part of its price is charged, from 0 to 1.
        amount: What it costs, exactly: quantity times price times share.
        billed: Whether it costs anything.
        is_open: Whether it may still come to cost something.
    """

    task_id: str
    model: str
    status: str
    unit: Unit
    quantity: int
    seconds: int
    price: Decimal
    share: Decimal
    amount: Decimal
    billed: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a world at one instant.

    Args:
        tasks: The rows, in order of submission; what synchronous creates made comes last.
        left_out: How many rows before these are not shown; they count all the same.
        billed_tasks: How many tasks cost something.
        total: The sum, exactly.
        open_tasks: How many others may still come to cost something.
    """

    tasks: tuple[BillRow, ...]
    left_out: int
    billed_tasks: int
    total: Decimal
    open_tasks: int = 0


def price_of(model: str, form: ResultForm, prices: Mapping[str, Decimal]) -> Decimal:
    """The price of a unit of a model: the scenario's, else the table's, else the default of its kind."""
    return prices.get(model, PRICES.get(model, DEFAULT_PRICES[form]))


def bill_row(task: Task, prices: Mapping[str, Decimal], now_s: float) -> BillRow:
    """One task, priced at an instant."""
    status = task.view(now_s).status
    share = Decimal(0)
    if status == bodies.SUCCEEDED:
        share = Decimal(1)
    elif status == bodies.CANCELED and task.canceled_s is None:
        share = task.lifecycle.billed_share
    form = task.endpoint.form
    price = price_of(task.asked.model, form, prices)
    quantity = task.units(made_only=status == bodies.SUCCEEDED)
    amount = price * quantity * share
    return BillRow(
        task_id=task.task_id,
        model=task.asked.model,
        status=status,
        unit=UNITS[form],
        quantity=quantity,
        seconds=quantity if UNITS[form] == "second" else 0,
        price=price,
        share=share,
        amount=amount,
        billed=amount > 0,
        is_open=task.is_open(now_s),
    )


def make_bill(tasks: Iterable[Task], prices: Mapping[str, Decimal], now_s: float, most_rows: int | None = None) -> Bill:
    """The bill of a world at an instant.

    Args:
        tasks: Everything that may be billed, in order of submission.
        prices: The scenario's own prices of a unit, by model.
        now_s: The instant, in monotonic seconds.
        most_rows: How many rows to show, the latest; None shows all. A world may hold 100,000.
    """
    rows: deque[BillRow] = deque(maxlen=most_rows)
    count, billed, total, still_open = 0, 0, Decimal(0), 0
    with localcontext(prec=_EXACT_DIGITS):
        for task in tasks:
            row = bill_row(task, prices, now_s)
            rows.append(row)
            count, billed, total = count + 1, billed + row.billed, total + row.amount
            still_open += row.is_open and not row.billed
    return Bill(tuple(rows), count - len(rows), billed, total, still_open)
