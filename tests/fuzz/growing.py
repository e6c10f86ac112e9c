"""Grows the corpus: what makes the program go where nothing kept has led it is kept, and what must not happen too."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.bounded import run_bounded
from tests.fuzz.lines import Step, steps_of
from tests.fuzz.target import CORPUS, Target

__all__ = ["Growth", "keep"]

LONGEST_KEPT_BYTES = 6_000
"""Larger inputs are found anew by every run; a checkout should not carry them."""
MOST_CUTS = 16
TRACED_S = 60.0
"""Of processor time for one input while its steps are noted, which takes many times as long."""


@dataclass
class Growth:
    """What was seen of one target, and what came of it.

    Attributes:
        target: What is fuzzed.
        pool: What inputs are made of.
        known: The steps that were taken.
        runs: How many inputs were tried.
        kept: How many were kept.
        found: What must not happen, by its kind and place: the input, and the error in words.
    """

    target: Target
    pool: list[bytes] = field(default_factory=list)
    known: set[Step] = field(default_factory=set)
    runs: int = 0
    kept: int = 0
    found: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def begin(self) -> None:
        """Take the steps of all that is good or kept."""
        for raw in self.target.good():
            self.pool.append(raw)
            self.known |= self.steps(raw)

    def go_on(self, random: Random, until_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Fuzz for some time.

        Args:
            random: Draws.
            until_s: Until when.
            now_s: The clock of that.
        """
        while now_s() < until_s:
            self.one(self.target.odd(random, self.pool))

    def one(self, raw: bytes) -> None:
        """Try an input, and keep it if it leads somewhere new."""
        self.runs += 1
        new = self.steps(raw) - self.known
        if not new:
            return
        self.known |= new
        small = self._smaller(raw, new)
        self.pool.append(small)
        if len(small) <= LONGEST_KEPT_BYTES:
            keep(self.target, small)
            self.kept += 1

    def steps(self, raw: bytes) -> set[Step]:
        """Run an input, and return the steps that were taken; what must not happen is noted."""
        error: list[BaseException] = []

        def work() -> None:
            try:
                run_bounded(self.target, raw, TRACED_S)
            except Exception as wrong:  # noqa: BLE001  # whatever it is, it is what is looked for
                error.append(wrong)

        steps = steps_of(work)
        if error:
            place = _place_of(error[0])
            if place not in self.found:
                self.found[place] = (raw, f"{type(error[0]).__name__}: {str(error[0])[:300]}")
                keep(self.target, raw)
        return steps

    def _smaller(self, raw: bytes, wanted: set[Step]) -> bytes:
        """Cut out of an input what its new steps do not need: halves, quarters, and so on."""
        size, budget = len(raw) // 2, MOST_CUTS
        while size >= 1 and budget > 0:
            at = 0
            while at < len(raw) and budget > 0:
                shorter = raw[:at] + raw[at + size :]
                budget -= 1
                if self.steps(shorter) >= wanted:
                    raw = shorter
                else:
                    at += size
            size //= 2
        return raw


def keep(target: Target, raw: bytes) -> Path:
    """Put an input into the corpus and return its file."""
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:12]}.bin"
    path.write_bytes(raw)
    return path


def _place_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__} at {where}"
