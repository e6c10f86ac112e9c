"""Fuzz everything that comes from outside. ``python -m tests.fuzz --minutes 30`` grows the corpus of tests/fuzz/corpus.

The targets have their turns, over and over, each for some seconds. The seed, which is printed first, draws the inputs;
how many are tried depends on the machine. It ends with 1 if something happened that must not, and the input is kept.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Sequence

from tests.fuzz.growing import Growth
from tests.fuzz.targets import TARGETS

TURN_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long")
    parser.add_argument("--seed", type=int, default=None, help="draws the inputs")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)}; all, unless given")
    given = parser.parse_args(arguments)
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    # The warnings of a client that reads nonsense are a book.
    logging.getLogger("resilient_poll").setLevel(logging.CRITICAL)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    say(f"seed {seed}")
    growths = {name: Growth(TARGETS[name]) for name in given.targets or TARGETS}
    for growth in growths.values():
        growth.begin()
    until_s, ordinal = time.monotonic() + given.minutes * 60, 0
    while time.monotonic() < until_s:
        growth = list(growths.values())[ordinal % len(growths)]
        drawn = random.Random(f"{seed} {ordinal}")  # noqa: S311  # to be drawn again, by the seed
        growth.go_on(drawn, min(until_s, time.monotonic() + TURN_S))
        ordinal += 1
    for name, growth in growths.items():
        said = f"{growth.runs:8} inputs {growth.kept:5} kept {len(growth.found):3} found {len(growth.known):6} steps"
        say(f"{name:16} {said}")
    wrong = [(name, place, *found) for name, growth in growths.items() for place, found in growth.found.items()]
    for name, place, raw, error in wrong:
        say(f"\n{name}: {place}\n  {error}\n  {raw[:300]!r}")
    return 1 if wrong else 0


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
