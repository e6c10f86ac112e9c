"""The kill test. ``python -m tests.crash --kills 1000`` takes some minutes; the seed is printed first.

The seed draws what is drawn here: scenarios, delays, who is hit and how. When a machine lets which
process run is not drawn, so a run with the same seed is alike, and not the same.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.crash import scenarios
from tests.crash.between import Between, Trouble
from tests.crash.clock import keeping_up
from tests.crash.judge import Verdict
from tests.crash.nursery import Nursery, nursery
from tests.crash.place import Place
from tests.crash.storm import STORM_OPTIONS, Storm
from tests.support.fake_process import FakeProcess, running_fake

chance = random.Random  # nothing here is secret, and a seed replays it
HITS_OF_A_ROUND = 50
MUST_BE_ZERO = ("workers that broke", "workers that hung")
FIRST = [
    *("at random moments", "at named points", "named points that were hit", "kills", "stops", "workers", "tasks"),
    *("in the ledger", "strays", "behind a doubt", "doubts", "duplicates", "lost", "undelivered", "unsaved"),
    *("misadopted", "misbilled", "unfinished", *MUST_BE_ZERO),
]
SPEED = 20.0
"""A worker's second is 50 ms: what takes minutes of waiting takes seconds here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="hits at random moments, by SIGKILL and SIGSTOP")
    parser.add_argument("--seed", type=int, default=None, help="draws everything that is drawn here")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    say(f"seed {seed}")
    began_s, total = time.monotonic(), Verdict()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    rounds = -(-given.kills // HITS_OF_A_ROUND)
    (folder / "scenarios").mkdir()
    for number in range(rounds):
        text = scenarios.stormy(chance(f"{seed} scenario {number}"))
        scenarios.write(folder / "scenarios", f"storm-{number}", text)
    serving = ("--clock", "manual", "--scenarios", str(folder / "scenarios"))
    with running_fake(*serving) as fake, nursery(folder / "log") as workers:
        for number in range(rounds):
            hits = min(HITS_OF_A_ROUND, given.kills - number * HITS_OF_A_ROUND)
            verdict = one_round(fake, workers, folder, seed, number, hits)
            total.add(verdict)
            shown = ", ".join(f"{verdict.figures[name]} {name}" for name in ("kills", "stops", "tasks", "doubts"))
            said = "; ".join(verdict.wrong) or "nothing wrong"
            say(f"round {number + 1} of {rounds}, {time.monotonic() - began_s:.0f} s: {shown}; {said}")
    say("")
    named = {name: count for name, count in total.figures.items() if name.startswith("hit: ")}
    total.figures["at named points"] = sum(named.values())
    total.figures["named points that were hit"] = len(named)
    for name, count in sorted(total.figures.items(), key=_in_order):
        say(f"{name:32} {count}")
    say(f"{'minutes':32} {(time.monotonic() - began_s) / 60:.1f}")
    say(f"{'seed':32} {seed}")
    if total.wrong or any(total.figures[name] for name in MUST_BE_ZERO):
        say(f"what was left behind is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _in_order(figure: tuple[str, int]) -> tuple[int, str]:
    name = figure[0]
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def one_round(fake: FakeProcess, workers: Nursery, folder: Path, seed: int, number: int, hits: int) -> Verdict:
    """Run one round in a world and with a ledger of its own."""
    here = folder / f"round-{number}"
    here.mkdir()
    trouble = Trouble(chance(f"{seed} trouble {number}"), share=0.15, longest_s=1.5 * STORM_OPTIONS["attempt_s"])
    with Between(fake.url, trouble) as between:
        dialect = "aisa" if number % 3 == 2 else "dashscope"
        options = {**STORM_OPTIONS, "hands_over": number % 4 != 3}
        key = f"sk-storm-{number}.{seed}"
        place = Place(fake, between, here, key, SPEED, dialect, options)
        with keeping_up(place.clock, lambda seconds: fake.advance(place.world, seconds)):
            drawn = chance(f"{seed} hits {number}")
            return Storm(workers, place, drawn, hits, sweeps=number % 3 == 1, permits=number % 5 == 4).run()


def say(line: str) -> None:
    """Say a line at once."""
    print(line, flush=True)  # noqa: T201  # this is how it talks


if __name__ == "__main__":
    sys.exit(main())
