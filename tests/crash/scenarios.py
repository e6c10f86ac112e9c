"""What the fake does meanwhile: short lives, and answers that are cut, spoilt or refused, drawn from a seed."""

from __future__ import annotations

import random
from pathlib import Path

__all__ = ["STEADY", "stormy", "write"]

STEADY = """
version: 1
summary: Videos that are made while they are polled.
tasks: [RUNNING 1 poll -> SUCCEEDED]
quotas: {queries_per_second: 10000, concurrent_tasks: 10000}
expect: {outcome: SUCCEEDED}
"""
_LIVES = (
    ("PENDING 1s -> RUNNING 4s -> SUCCEEDED", 6),
    ("RUNNING 2s -> SUCCEEDED", 4),
    ("PENDING 1s -> RUNNING 1 poll -> SUCCEEDED", 2),
    ("RUNNING 3s -> FAILED InternalError.Algo", 2),
    ("PENDING 3s -> FAILED InvalidParameter", 1),
)
_OF_A_CREATE = (
    ("{drop: before_commit, how: reset}", 3),
    ("{drop: before_commit, how: close}", 2),
    ("{drop: after_commit, how: reset}", 3),
    ("{drop: after_commit, how: close}", 2),
    ("{status: 500, when: after_commit}", 2),
    ("{status: 502, body: '<html>bad gateway</html>'}", 1),
    ("{throttle: {retry_after: 1s}}", 4),
    ("{status: 400}", 1),
)
_OF_A_POLL = (
    ("{drop: before_commit, how: reset}", 3),
    ("{drop: before_commit, how: close}", 2),
    ("{status: 502, body: '<html>bad gateway</html>'}", 3),
    ("{throttle: {retry_after: 1s}}", 2),
)
_MOST_ENTRIES = 600
"""A script of the fake may have a thousand, and a file two thousand brackets."""


def stormy(chance: random.Random) -> str:
    """Return a scenario in which a good part of everything goes wrong."""
    lives = ", ".join(_drawn(chance, _LIVES) for _ in range(200))
    return f"""
version: 1
summary: Short lives, and answers that are cut, spoilt or refused.
tasks: [{lives}]
quotas: {{queries_per_second: 10000, concurrent_tasks: 10000}}
create: [{_script(chance, _OF_A_CREATE, 8)}]
poll: [{_script(chance, _OF_A_POLL, 40)}]
expect: {{outcome: SUCCEEDED}}
"""


def write(folder: Path, name: str, text: str) -> None:
    """Write a scenario where the fake finds it by its name."""
    (folder / f"{name}.yaml").write_text(text)


def _script(chance: random.Random, faults: tuple[tuple[str, int], ...], longest_calm: int) -> str:
    return ", ".join(
        f"{{pass: {chance.randint(1, longest_calm)}}}, {_drawn(chance, faults)}" for _ in range(_MOST_ENTRIES // 2)
    )


def _drawn(chance: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    (text,) = chance.choices([text for text, _ in weighted], [weight for _, weight in weighted])
    return text
