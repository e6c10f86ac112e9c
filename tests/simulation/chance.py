"""Chance without a state: each draw is a hash of what it is for, so that leaving one thing out moves nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import unpack
from typing import TypeVar

__all__ = ["Draws", "units"]

Value = TypeVar("Value")
_BITS = 53  # what a float holds exactly
_STEP = 2.0**-_BITS


def units(name: str) -> tuple[float, ...]:
    """Return eight numbers from 0 (included) to 1 (excluded) that only a name decides."""
    digest = blake2b(name.encode(), digest_size=64).digest()
    return tuple([(number >> (64 - _BITS)) * _STEP for number in unpack(">8Q", digest)])


class Draws:
    """As many draws as are wanted, one after the other, for one thing.

    Args:
        name: What they are for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._page = 0
        self._left: list[float] = []

    def unit(self) -> float:
        """Return a number from 0 to 1."""
        if not self._left:
            self._left = list(units(f"{self._name}/{self._page}"))
            self._page += 1
        return self._left.pop()

    def between(self, low: float, high: float) -> float:
        """Return a number, to the millisecond."""
        return round(low + (high - low) * self.unit(), 3)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """Return whether something that happens so often happens."""
        return self.unit() < share

    def one_of(self, values: Sequence[Value]) -> Value:
        """Return one of some values."""
        return values[int(self.unit() * len(values))]

    def weighted(self, table: Sequence[tuple[float, Value]]) -> Value:
        """Return one of some values, by their weights."""
        place = self.unit() * sum(weight for weight, _ in table)
        for weight, value in table:
            place -= weight
            if place < 0:
                return value
        return table[-1][1]
