"""Reads a JSON object strictly: every mistake has a pointer, and an unknown key its nearest neighbour."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fake_server.scenario.yaml_nodes import LONGEST_DURATION_S, did_you_mean, parse_duration, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# What a duration may look like.
DURATION_EXPECTED = 'seconds as a number, or a time such as "1.5s", "500ms", "5m"'


class Mistake(NamedTuple):
    """One complaint: a JSON pointer into what was sent (empty for the whole), and a sentence."""

    pointer: str
    detail: str


@dataclass(slots=True)
class Fields:
    """The fields of one object, read one by one; every reader returns None where the key is missing or wrong.

    A null is wrong: whoever wants the default leaves the key out.

    Args:
        values: The object.
        known: The keys it may have; others are noted at once.
        pointer: Where it stands.
        mistakes: Receives every complaint; shared by nested objects.
    """

    values: Mapping[str, Any]
    known: Collection[str]
    pointer: str = ""
    mistakes: list[Mistake] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key in self.values:
            if key not in self.known:
                expected = f"expected one of {', '.join(self.known)}" if self.known else "expected none"
                self.wrong(key, f"found the key {quote(key)}, {expected}{did_you_mean(key, self.known)}")

    def wrong(self, key: str, detail: str) -> None:
        """Note a complaint about a field."""
        self.mistakes.append(Mistake(f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}", detail))

    def has(self, key: str) -> bool:
        """Whether a key is there."""
        return key in self.values

    def require(self, key: str, expected: str) -> None:
        """Note that a key is missing."""
        if not self.has(key):
            self.wrong(key, f"found no {key}, expected {expected}")

    def text(self, key: str, expected: str, longest: int = 1_000) -> str | None:
        """A string that is not empty."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, str) and 0 < len(value) <= longest:
            return value
        self.wrong(key, f"found {_describe(value)}, expected {expected}")
        return None

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        """One of some words."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, str) and value in choices:
            return value
        near = did_you_mean(value, choices) if isinstance(value, str) else ""
        self.wrong(key, f"found {_describe(value)}, expected one of {', '.join(choices)}{near}")
        return None

    def integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number within bounds, both included; 3.0 is one, as JSON knows no difference."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.wrong(key, f"found {_describe(value)}, expected a whole number from {low} to {high}")
        return None

    def number(self, key: str, expected: str) -> float | None:
        """A finite number."""
        if key not in self.values:
            return None
        value = self.values[key]
        number = _as_float(value)
        if number is None:
            self.wrong(key, f"found {_describe(value)}, expected {expected}")
        return number

    def flag(self, key: str) -> bool | None:
        """True or false."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, bool):
            return value
        self.wrong(key, f"found {_describe(value)}, expected true or false")
        return None

    def duration_s(self, key: str) -> float | None:
        """A duration in seconds, spelt as a number of them or as a text with a unit; never negative."""
        if key not in self.values:
            return None
        value = self.values[key]
        seconds = parse_duration(value) if isinstance(value, str) else _as_float(value)
        if seconds is not None and 0 <= seconds <= LONGEST_DURATION_S:
            return seconds
        text = f"found {_describe(value)}, expected {DURATION_EXPECTED}, from 0 to {LONGEST_DURATION_S:.0f} seconds"
        self.wrong(key, text)
        return None

    def words(self, key: str, expected: str, most: int = 100) -> tuple[str, ...] | None:
        """A string, or a list of them."""
        if key not in self.values:
            return None
        value = self.values[key]
        items = value if isinstance(value, list) else [value]
        if 0 < len(items) <= most and all(isinstance(item, str) and item for item in items):
            return tuple(items)
        self.wrong(key, f"found {_describe(value)}, expected {expected}, or a list of at most {most} of them")
        return None


def _as_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _describe(value: object) -> str:
    """What was found, short."""
    if isinstance(value, str):
        return quote(repr(value)) if value else "an empty text"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond reason"
    return quote(str(value))
