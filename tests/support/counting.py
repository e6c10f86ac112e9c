"""How many values each test was really tried with, written down where EXAMPLES_COUNTED names a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis.statistics import collector

ENVIRONMENT = "EXAMPLES_COUNTED"
# What was drawn and thrown away, or broke off for being too large, is no value that was tried.
TRIED = {"valid", "interesting"}


def tried(statistics: dict[str, Any]) -> int:
    """Return how many values a run of Hypothesis tried."""
    phases = [phase for name, phase in statistics.items() if name.endswith("-phase")]
    return sum(case["status"] in TRIED for phase in phases for case in phase["test-cases"])


@contextmanager
def counted(test: str) -> Iterator[None]:
    """Count what a test tries, if anybody wants to know; by Hypothesis's own statistics.

    Args:
        test: Its name.
    """
    path = os.environ.get(ENVIRONMENT)
    if path is None:
        yield
        return
    found: list[int] = []
    began_s = time.process_time()
    with collector.with_value(lambda statistics: found.append(tried(statistics))):  # type: ignore[no-untyped-call]  # theirs
        yield
    if found:
        told = {"test": test, "examples": sum(found), "took_s": time.process_time() - began_s}
        with Path(path).open("a") as file:
            file.write(json.dumps(told) + "\n")
