"""A world of 100,000 tasks: the server's memory, and whether its answers slow down."""

from __future__ import annotations

import sys

from benchmarks import fake_memory
from benchmarks.figures import Row, Scale, Spread, beside

__all__ = ["measure"]

FULL_MB = 120.0
_QUICK_TASKS = 4_000


def measure(scale: Scale) -> list[Row]:
    """Measure once: filling a world takes most of a minute. Only Linux tells how much memory a process has."""
    if sys.platform != "linux":
        return []
    found = fake_memory.measure(scale.of(fake_memory.TASKS, _QUICK_TASKS))
    full = Spread.of([found.full_mb])
    return [
        Row(
            f"fake, memory of the server with {found.tasks:,} tasks (beside it: with none)",
            full,
            "MB",
            Spread.of([found.empty_mb]),
            goal=f"at most {FULL_MB:.0f} MB",
            is_reached=found.full_mb <= FULL_MB,
        ),
        beside(
            f"fake, a poll with {found.tasks:,} tasks / with few", [found.poll_last_us], [found.poll_first_us], "µs"
        ),
        beside(
            f"fake, a create with {found.tasks:,} tasks / with few",
            [found.create_last_us],
            [found.create_first_us],
            "µs",
        ),
    ]
