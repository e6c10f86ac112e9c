"""From a world that failed to the few faults and tasks without which it does not: delta debugging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.simulation.world import Result, simulate

__all__ = ["Shrunk", "fewest", "replay_line", "shrunk"]

Name = TypeVar("Name")
MOST_TRIES = 400


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A world that fails in the same way, with as little as was found to be enough.

    Attributes:
        result: What became of it.
        faults: The names of the faults that are left.
        tasks: The numbers of the intents that are left.
        tries: How many worlds were run to find it.
    """

    result: Result
    faults: tuple[str, ...]
    tasks: tuple[int, ...]
    tries: int


def fewest(names: Sequence[Name], fails: Callable[[Sequence[Name]], bool]) -> list[Name]:
    """Return some of the names with which it still fails, and without any one of which it does not.

    Args:
        names: What may be left out; with all of them it fails.
        fails: Whether it fails with some of them only; it may give up, and then says no.
    """
    kept, parts = list(names), 2
    if kept and fails([]):
        return []
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        pieces = [kept[start : start + size] for start in range(0, len(kept), size)]
        for piece in pieces:
            if len(pieces) > 2 or len(piece) < len(kept):
                rest = [name for name in kept if name not in set(piece)]
                if parts == 2 and fails(piece):
                    kept, parts = piece, 2
                    break
                if rest and fails(rest):
                    kept, parts = rest, max(parts - 1, 2)
                    break
        else:
            if parts >= len(kept):
                break
            parts = min(len(kept), 2 * parts)
    return kept


def shrunk(seed: int, number: int, wrong: Result, tasks: Sequence[int]) -> Shrunk:
    """Return what is enough for a world to fail in one of the ways in which it did.

    Args:
        seed: Of the run.
        number: Of the world.
        wrong: What became of it.
        tasks: The numbers of its intents.
    """
    which = next(name for name, count in wrong.counts.items() if count)
    tries, best = 0, wrong

    def fails(faults: Sequence[str], wanted: Sequence[int]) -> bool:
        nonlocal tries, best
        if tries >= MOST_TRIES:
            return False
        tries += 1
        result = simulate(seed, number, only=frozenset(faults), wanted=frozenset(wanted))
        if result.counts[which]:
            best = result
            return True
        return False

    faults, wanted = list(wrong.fired), list(tasks)
    wanted = fewest(wanted, lambda some: fails(faults, some))
    faults = fewest([name for name in faults if name in best.fired], lambda some: fails(some, wanted))
    wanted = fewest(wanted, lambda some: fails(faults, some))
    return Shrunk(best, tuple(faults), tuple(wanted), tries)


def replay_line(seed: int, number: int, faults: Sequence[str] | None = None, tasks: Sequence[int] | None = None) -> str:
    """Return the command that runs one world again, with some of its faults and intents only."""
    line = f"python -m tests.simulation --seed {seed} --world {number}"
    if faults is not None:
        line += f" --faults {','.join(faults) or 'none'}"
    if tasks is not None:
        line += f" --tasks {','.join(map(str, tasks)) or 'none'}"
    return line
