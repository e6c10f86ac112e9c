"""The true bill: what was made, at what price, whoever heard of it.

Only what succeeded is billed, by the seconds of video made (vendor's pages on prices); a cancel by policy
may cost a share, where a scenario says so (AIsa docs: "partial billing possible").
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fake_server.rules.tasks import Task

# Invented prices per second of video, in no currency: what a test needs is that they differ and are exact.
PRICES: dict[str, Decimal] = {
    "wan2.2-t2v-plus": Decimal("0.07"),
    "wan2.5-t2v-preview": Decimal("0.15"),
    "wan2.6-t2v": Decimal("0.10"),
    "wanx2.1-t2v-turbo": Decimal("0.036"),
}
DEFAULT_PRICE = Decimal("0.10")


@dataclass(frozen=True, slots=True)
class BillRow:
    """One task on the bill.

    Args:
        task_id: Its id.
        model: Its model.
        status: Its true state now, whatever a client was told.
        seconds: Seconds of video asked for.
        price: Price of a second.
        share: Which part of its price is charged, from 0 to 1.
        amount: What it costs, exactly: seconds times price times share.
        billed: Whether it costs anything.
        is_open: Whether it may still come to cost something.
    """

    task_id: str
    model: str
    status: str
    seconds: int
    price: Decimal
    share: Decimal
    amount: Decimal
    billed: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """All tasks of a world, priced at one instant."""

    tasks: tuple[BillRow, ...]

    @property
    def billed_tasks(self) -> int:
        """How many tasks cost something."""
        return sum(row.billed for row in self.tasks)

    @property
    def total(self) -> Decimal:
        """The sum, exactly."""
        return sum((row.amount for row in self.tasks), Decimal(0))


def price_of(model: str, prices: Mapping[str, Decimal]) -> Decimal:
    """The price of a second of a model: the scenario's, else the table's, else the default."""
    return prices.get(model, PRICES.get(model, DEFAULT_PRICE))


def bill_row(task: Task, prices: Mapping[str, Decimal], now_s: float) -> BillRow:
    """One task, priced at an instant."""
    status = task.view(now_s).status
    share = Decimal(0)
    if status == bodies.SUCCEEDED:
        share = Decimal(1)
    elif status == bodies.CANCELED and task.canceled_s is None:
        share = task.lifecycle.billed_share
    price = price_of(task.model, prices)
    amount = price * task.duration_s * share
    return BillRow(
        task_id=task.task_id,
        model=task.model,
        status=status,
        seconds=task.duration_s,
        price=price,
        share=share,
        amount=amount,
        billed=amount > 0,
        is_open=task.is_open(now_s),
    )


def make_bill(tasks: Iterable[Task], prices: Mapping[str, Decimal], now_s: float) -> Bill:
    """The bill of a world at an instant (monotonic seconds)."""
    return Bill(tuple(bill_row(task, prices, now_s) for task in tasks))
