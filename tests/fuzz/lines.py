"""Which steps of the program an input makes it take: from which line to which, in the packages under test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["steps_of"]

_ROOT = Path(__file__).resolve().parents[2]
_OURS = (str(_ROOT / "resilient_poll"), str(_ROOT / "fake_server"))

Step = tuple[int, int, int]


def steps_of(work: Callable[[], Any]) -> set[Step]:
    """Return the steps that were taken while something was done, also if it failed."""
    taken: set[Step] = set()
    is_ours: dict[CodeType, int] = {}

    def call(frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        mark = is_ours.get(code)
        if mark is None:
            mark = is_ours[code] = (
                hash((code.co_filename, code.co_qualname)) if code.co_filename.startswith(_OURS) else 0
            )
        if not mark or event != "call":
            return None
        last = 0

        def line(inner: FrameType, _event: str, _argument: Any) -> Any:
            nonlocal last
            taken.add((mark, last, inner.f_lineno))
            last = inner.f_lineno
            return line

        return line

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken
