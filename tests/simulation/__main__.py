"""The simulator. ``python -m tests.simulation --seed 7 --runs 100`` runs a hundred worlds; the seed is printed first.

A run without arguments is of a million tasks. One world is run again by ``--seed`` and ``--world``; of its faults and
tasks only some by ``--faults`` and ``--tasks``. ``--full-stack`` runs worlds through the real clients.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.simulation.crowd import quick, simulated
from tests.simulation.plan import a_plan
from tests.simulation.shrink import replay_line, shrunk
from tests.simulation.world import Result, simulate

A_MILLION_TASKS = 5_100
"""Worlds. They have 60 to 340 tasks each."""
MOST_TOLD = 3
"""Of so many worlds that failed the fewest faults are looked for; the others are named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="draws everything")
    parser.add_argument("--runs", type=int, default=None, help="how many worlds")
    parser.add_argument("--world", type=int, default=None, help="only this one")
    parser.add_argument("--faults", default=None, help="of this world only these faults: names, or none")
    parser.add_argument("--tasks", default=None, help="of this world only these tasks: numbers")
    parser.add_argument("--trace", action="store_true", help="of this world, each message")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many worlds at once")
    parser.add_argument("--full-stack", action="store_true", help="through the real clients; some ten thousand tasks")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    say(f"seed {seed}")
    if given.full_stack:
        from tests.simulation.full_stack import run_all  # noqa: PLC0415  # the other form needs neither library

        return run_all(seed, given.runs, say)
    if given.world is not None:
        return _one(seed, given.world, given.faults, given.tasks, is_traced=given.trace)
    return _many(seed, given.runs or A_MILLION_TASKS, given.processes)


def _one(seed: int, number: int, faults: str | None, tasks: str | None, *, is_traced: bool) -> int:
    only = None if faults is None else frozenset(faults.split(",")) - {"none"}
    wanted = None if tasks is None else frozenset(int(each) for each in tasks.split(",") if each != "none")
    result = simulate(seed, number, only=only, wanted=wanted, traced=is_traced)
    for line in (*result.trace, *(f"  {name}: {what}" for name, what in result.fired.items())):
        say(line)
    _tell(result.figures)
    for line in result.lines:
        say(line)
    if result.is_wrong and only is None and wanted is None:
        _explain(seed, number, result)
    return int(result.is_wrong)


def _many(seed: int, runs: int, processes: int) -> int:
    began_s, cpu_s, memory_kb = time.monotonic(), 0.0, 0
    figures, counts, failed, told_s = Counter[str](), Counter[str](), dict[int, Result](), 0.0
    for results, took_s, most_kb in simulated(seed, runs, processes):
        cpu_s, memory_kb = cpu_s + took_s, max(memory_kb, most_kb)
        for number, result in results:
            figures.update(result.figures)
            counts.update(result.counts)
            figures["worlds"] += 1
            if result.is_wrong:
                failed[number] = result
                say(f"world {number}: {result.lines[0]}")
        if time.monotonic() - told_s > 20.0:
            told_s = time.monotonic()
            say(f"{figures['tasks']} tasks in {figures['worlds']} worlds, {told_s - began_s:.0f} s")
    say("")
    _tell(figures)
    for name, count in counts.items():
        say(f"{name:32} {count}")
    say(f"{'tasks a second of processor time':32} {figures['tasks'] / cpu_s:.0f}")
    say(f"{'tasks a second':32} {figures['tasks'] / (time.monotonic() - began_s):.0f}")
    say(f"{'most memory of a process, MB':32} {memory_kb / 1024:.0f}")
    say(f"{'seed':32} {seed}")
    for number in list(failed)[:MOST_TOLD]:
        _explain(seed, number, failed[number])
    for number in list(failed)[MOST_TOLD:]:
        say(replay_line(seed, number))
    return int(bool(failed))


def _explain(seed: int, number: int, result: Result) -> None:
    """Say how to run a world again, and which few faults are enough for it to fail."""
    say("")
    say(f"world {number} failed; again: {replay_line(seed, number)}")
    found = shrunk(seed, number, result, range(len(a_plan(seed, number).intents)))
    say(f"after {found.tries} tries {len(found.tasks)} tasks and {len(found.faults)} faults are enough:")
    say(f"  {replay_line(seed, number, found.faults, found.tasks)}")
    for name in found.faults:
        say(f"  {name}: {found.result.fired.get(name, 'did not happen')}")
    for line in found.result.lines[:5]:
        say(f"  {line}")


def _tell(figures: Counter[str]) -> None:
    for name, count in figures.items():
        say(f"{name:32} {count}")


def say(line: str) -> None:
    """Say a line at once."""
    print(line, flush=True)  # noqa: T201  # this is how it talks


if __name__ == "__main__":
    quick()
    sys.exit(main())
