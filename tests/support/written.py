"""What something did, in lines of text that are kept: a change of it is seen as a difference."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def shown(thing: Any) -> str:
    """Return a thing in one short line, the same on every Python."""
    if isinstance(thing, enum.Enum):
        return str(thing.value)
    if isinstance(thing, float):
        return str(thing) if math.isinf(thing) else f"{thing:.3f}".rstrip("0").rstrip(".")
    if isinstance(thing, datetime):
        return thing.isoformat()
    if dataclasses.is_dataclass(thing) or hasattr(thing, "_fields"):
        names = getattr(thing, "_fields", None) or [field.name for field in dataclasses.fields(thing)]
        parts = [f"{name}={shown(value)}" for name in names if (value := getattr(thing, name)) not in (None, (), "")]
        return f"{type(thing).__name__}({' '.join(parts)})"
    if isinstance(thing, Mapping):
        return "{" + " ".join(f"{shown(key)}:{shown(thing[key])}" for key in sorted(thing, key=str)) + "}"
    if isinstance(thing, set | frozenset):
        return "[" + " ".join(sorted(map(shown, thing))) + "]"
    if isinstance(thing, list | tuple):
        return "[" + " ".join(map(shown, thing)) + "]"
    return str(thing)


def must_be_as_written(file: Path, lines: Iterable[str], how: str) -> None:
    """Fail at the first line that is not the one that was written down.

    Args:
        file: Where it was written down.
        lines: How it goes now.
        how: What writes it down anew, for those who mean the change.
    """
    was = file.read_text().splitlines()
    number = 0
    for number, after in enumerate((part for line in lines for part in line.splitlines() or [""]), 1):
        before = was[number - 1] if number <= len(was) else "(nothing more)"
        assert after == before, f"line {number} of {file.name}; if that is meant: {how}"
    assert number == len(was), f"{file.name} has {len(was)} lines, and now it has {number}; if that is meant: {how}"
