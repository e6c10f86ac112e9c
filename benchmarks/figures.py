"""Figures: how repetitions become a median with its range, and rows become a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["COLUMNS", "Row", "Scale", "Spread", "beside", "table"]

COLUMNS = ("what", "ratio", "ours", "beside it", "goal")
_DIGITS = 3  # More are noise: runs differ in the second.


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        is_quick: Whether this run only shows that everything works; its figures mean nothing.
    """

    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        """Return a number of repetitions."""
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure that was measured several times.

    Attributes:
        median: The middle one.
        low: The lowest.
        high: The highest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up repetitions; at least one."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found))

    def told(self, unit: str = "") -> str:
        """Return the median, its unit, and the range."""
        low, high = _rounded(self.low), _rounded(self.high)
        shown = f"{_rounded(self.median)} {unit}".strip()
        return shown if low == high else f"{shown} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured, and beside what.
        ours: Our figure.
        unit: Its unit.
        beside: What it is compared with, in the same unit.
        ratio: Ours over the other, or the other way round where more is better: below 1 is always good.
        goal: What it should be, in words.
        is_reached: Whether the median is; None where there is no goal.
    """

    what: str
    ours: Spread
    unit: str
    beside: Spread | None = None
    ratio: Spread | None = None
    goal: str = ""
    is_reached: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the cells, in the order of ``COLUMNS``."""
        reached = {None: "", True: ", reached", False: ", missed"}[self.is_reached]
        return (
            self.what,
            ""
            if self.ratio is None
            else f"**{self.ratio.median:.2f}** ({self.ratio.low:.2f} to {self.ratio.high:.2f})",
            self.ours.told(self.unit),
            "" if self.beside is None else self.beside.told(self.unit),
            f"{self.goal}{reached}",
        )


def beside(
    what: str,
    ours: Sequence[float],
    other: Sequence[float],
    unit: str,
    *,
    at_most: float | None = None,
    more_is_better: bool = False,
) -> Row:
    """Compare repetitions that were made by turns.

    The ratio is the median of the ratios of neighbours: a machine that is slow for a
    second is slow for both.

    Args:
        what: What was measured, and beside what.
        ours: Our figures.
        other: The others', each measured next to ours.
        unit: Their unit.
        at_most: What the ratio should be at most.
        more_is_better: Whether the figures are speeds rather than costs.
    """
    pairs = zip(other, ours, strict=True) if more_is_better else zip(ours, other, strict=True)
    ratio = Spread.of(upper / lower for upper, lower in pairs)
    return Row(
        what,
        Spread.of(ours),
        unit,
        Spread.of(other),
        ratio,
        "" if at_most is None else f"ratio at most {at_most:.2f}",
        None if at_most is None else ratio.median <= at_most,
    )


def table(rows: Iterable[Row]) -> str:
    """Return a table in Markdown."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rounded(value: float) -> str:
    if value == 0:
        return "0"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    whole = round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{whole:,.{decimals}f}"
