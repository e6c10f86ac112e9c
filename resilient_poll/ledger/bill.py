"""What is owed, by model, day and currency. Pure.

>>> from decimal import Decimal
>>> from resilient_poll.ledger import Charge, MemoryLedger, Namespace
>>> ledger, studio = MemoryLedger(), Namespace("https://api.example/v1", "generic", "studio")
>>> price = Charge(Decimal("0.50"), "USD")
>>> with ledger.open_owner() as owner:
...     for key in ("order-17", "order-18"):
...         entry = ledger.begin(studio, key, "digest", {"model": "clips"}, charge=price, now_wall_s=0.0)
...         licence = ledger.license(entry, owner, now_wall_s=0.0)
...         if key == "order-17":
...             entry = ledger.accept(licence, "task-1", now_wall_s=1.0)
...         else:
...             entry = ledger.doubt(licence, "its answer was lost", now_wall_s=1.0)
>>> for row in ledger.bill(studio, since_wall_s=0.0).rows:
...     print(row.day, row.model, row.billed, row.may_yet_be_billed, row.in_doubt, row.currency)
1970-01-01 clips 0.00 0.50 0.50 USD
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from resilient_poll.ledger.amounts import times, total
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["BillRow", "bill_of"]

_MAY_YET = frozenset({Billing.NOT_YET, Billing.ON_SUCCESS, Billing.PARTIAL_POSSIBLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """What is owed for one model, sent on one day, in one currency.

    Attributes:
        model: What ``about["model"]`` says; empty if it says nothing.
        day: When it was sent, in UTC, as ``2026-01-31``.
        currency: In what; empty for tasks without a known price.
        billed: The sum of what is ``BILLED``.
        may_yet_be_billed: The sum of ``NOT_YET``, ``ON_SUCCESS`` and ``PARTIAL_POSSIBLE``.
        in_doubt: The sum of ``UNDETERMINED``: doubts, overruled doubts, strays, expired tasks.
        tasks_billed, tasks_that_may_be, tasks_in_doubt: How many tasks each sum is of.
    """

    model: str
    day: str
    currency: str
    billed: Decimal = Decimal(0)
    may_yet_be_billed: Decimal = Decimal(0)
    in_doubt: Decimal = Decimal(0)
    tasks_billed: int = 0
    tasks_that_may_be: int = 0
    tasks_in_doubt: int = 0


def bill_of(entries: Iterable[Entry], strays: Mapping[int, int]) -> tuple[BillRow, ...]:
    """Return the bill of some entries, by day, model and currency in this order.

    Args:
        entries: What was sent.
        strays: How many strays each entry has; each may be billed as its entry is.
    """
    sums: dict[tuple[str, str, str], tuple[list[Decimal], list[int]]] = {}
    for entry in entries:
        at = entry.licensed_wall_s if entry.licensed_wall_s is not None else entry.created_wall_s
        day = datetime.fromtimestamp(at, UTC).date().isoformat()
        amount = Decimal(0) if entry.charge is None else entry.charge.amount
        counts = [int(entry.billing is Billing.BILLED), int(entry.billing in _MAY_YET), _doubts(entry, strays)]
        if not any(counts):
            continue
        currency = "" if entry.charge is None else entry.charge.currency
        where = (day, entry.about.get("model", ""), currency)
        into, numbers = sums.setdefault(where, ([Decimal(0)] * 3, [0] * 3))
        for place, count in enumerate(counts):
            into[place] = total((into[place], times(amount, count)))
            numbers[place] += count
    return tuple(_row(place, *sums[place]) for place in sorted(sums))


def _row(place: tuple[str, str, str], amounts: list[Decimal], numbers: list[int]) -> BillRow:
    day, model, currency = place
    return BillRow(
        model=model,
        day=day,
        currency=currency,
        billed=amounts[0],
        may_yet_be_billed=amounts[1],
        in_doubt=amounts[2],
        tasks_billed=numbers[0],
        tasks_that_may_be=numbers[1],
        tasks_in_doubt=numbers[2],
    )


def _doubts(entry: Entry, strays: Mapping[int, int]) -> int:
    own = entry.billing is Billing.UNDETERMINED and entry.phase is not Phase.NEW
    return int(own) + len(entry.doubtful_sends) + strays.get(entry.entry_id, 0)
