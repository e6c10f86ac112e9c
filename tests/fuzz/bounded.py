"""Runs a target within a bound on processor time: what takes longer hangs."""

from __future__ import annotations

import signal
from types import FrameType

from tests.fuzz.target import Target

__all__ = ["LONGEST_S", "Hangs", "run_bounded"]

LONGEST_S = 10.0
"""Of processor time, so that a loaded machine hangs nothing. The slowest inputs of the corpus take a second."""


class Hangs(AssertionError):
    """An input takes too long."""


def run_bounded(target: Target, raw: bytes, longest_s: float = LONGEST_S) -> str:
    """Run a target; only in the main thread.

    Raises:
        Hangs: It takes longer.
    """

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise Hangs(f"{target.name} takes more than {longest_s} s for {len(raw)} bytes")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, longest_s)
    try:
        return target.run(raw)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
