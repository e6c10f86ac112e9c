"""What a mutant is: one small change to one module."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = "<module>"
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Mutant:
    """One change, which the tests are expected to notice.

    Attributes:
        path: The module, seen from the root of the project.
        function: The outermost function that it stands in, or :data:`MODULE` for what runs at import.
        lines: The first and the last line of the statement that is changed.
        change: What stood there, and what stands there now. No line numbers, so that it outlives other edits.
        operator: What made it.
        make: Returns the whole changed module.
        names: What a module calls the thing that was changed, where that is a table or a default.
        number: Which of several equal changes in one function this is.
    """

    path: str
    function: str
    lines: tuple[int, int]
    change: str
    operator: str
    make: Callable[[], str]
    names: frozenset[str] = frozenset()
    number: int = 0

    @property
    def name(self) -> str:
        """What results and explanations call it."""
        tail = f" #{self.number}" if self.number else ""
        return f"{self.path}::{self.function}::{self.change}{tail}"


def change_between(before: str, after: str) -> str:
    """Return the lines that differ, in one line."""
    old, new = before.splitlines(), after.splitlines()
    gone, come = [], []
    for tag, old_start, old_end, new_start, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            gone += old[old_start:old_end]
            come += new[new_start:new_end]
    texts = [" ".join(" ".join(lines).split()) for lines in (gone, come)]
    if sum(map(len, texts)) > LONGEST_TEXT:
        texts = list(_around_the_difference(*texts))
    return " => ".join(texts)


def _around_the_difference(old: str, new: str) -> Iterator[str]:
    start = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    mark = hashlib.sha256(f"{old}\0{new}".encode()).hexdigest()[:6]
    begin = max(0, start - 60)
    yield f"…{old[begin : begin + LONGEST_TEXT // 2 - 5]}… [{mark}]"
    yield f"…{new[begin : begin + LONGEST_TEXT // 2 - 5]}…"


def numbered(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """Tell equal changes apart."""
    seen: Counter[str] = Counter()
    for mutant in mutants:
        name = mutant.name
        yield replace(mutant, number=seen[name]) if seen[name] else mutant
        seen[name] += 1
