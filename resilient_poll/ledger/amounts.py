"""Sums of money that no setting of the program changes. Pure.

A program's decimal context may round to few digits, or raise where something is rounded. A bill must not.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, Context, Decimal, InvalidOperation, Overflow

__all__ = ["EXACT", "times", "total"]

EXACT = Context(
    prec=100,
    rounding=ROUND_CEILING,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    flags=[],
    traps=[InvalidOperation, Overflow],
)
"""Amounts have 15 digits before the point and 9 after it, so that no sum of them is rounded; if one were, upwards."""


def times(amount: Decimal, count: int) -> Decimal:
    """Return an amount so many times."""
    return EXACT.multiply(amount, Decimal(count))


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of some amounts."""
    summed = Decimal(0)
    for amount in amounts:
        summed = EXACT.add(summed, amount)
    return summed
