"""A storm over real sockets. ``python -m tests.storm --requests 200000 --seed 1`` takes some minutes.

The fake runs in a process of its own under heavy chaos. Many clients send what is right and what is mad, use its admin
pages well and badly, read its streams slowly, cut connections, and ask for more worlds than there may be. The seed,
which is printed first, draws what each of them sends; which of them is served first is not drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.storm import wild
from tests.storm.counted import NAME, SCENARIO, Counted
from tests.storm.drawn import chance
from tests.storm.fake import StormedFake, stormed_fake
from tests.storm.storm import Storm
from tests.storm.wire import Line

MOST_LANES, REQUESTS_OF_A_LANE = 16, 500
# Requests of a usual episode, and of one whose journal forgets lines.
SHORT, LONG = 120, 1_050
# What a fake may hold after any storm: worlds with full journals, and Python itself.
MOST_MEMORY_MB = 700.0
MOST_ROUNDS, ROUND = 8, 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200_000, help="how many are sent")
    parser.add_argument("--seed", type=int, default=None, help="draws everything that is drawn here, and the chaos")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    say(f"seed {seed}")
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        Path(folder, "scenarios").mkdir()
        Path(folder, "scenarios", f"{NAME}.yaml").write_text(SCENARIO, encoding="utf-8")
        with stormed_fake(Path(folder), seed, "--scenarios", str(Path(folder, "scenarios"))) as fake:
            storm = Storm(fake, given.requests)
            try:
                asyncio.run(run(storm, seed))
            except Exception:  # noqa: BLE001  # what was found until then must be told, with the line that replays it
                storm.blame("the storm itself", traceback.format_exc())
            look_at_process(storm, fake)
            said = fake.said()
    for name, count in sorted(storm.seen.items()):
        say(f"{name:36} {count}")
    say(f"{'seconds':36} {time.monotonic() - began_s:.0f}")
    if not storm.wrong:
        return 0
    say(f"\n{storm.seen['wrong']} things went wrong; the first of them:")
    for line in storm.wrong:
        say(f"  {line}")
    if "Traceback" in said:
        say(f"stderr of the fake:\n{said[-6_000:]}")
    say(f"the same again: python -m tests.storm --requests {given.requests} --seed {seed}")
    return 1


async def run(storm: Storm, seed: int) -> None:
    """Play rounds of episodes until all requests are sent; everything begins anew between two rounds."""
    all_requests, memory_mb = storm.left, []
    rounds = max(1, min(MOST_ROUNDS, all_requests // ROUND))
    for number in range(rounds):
        until = all_requests - all_requests * (number + 1) // rounds
        ordinals = iter(range(1_000_000))
        async with asyncio.TaskGroup() as lanes:
            for _ in range(max(2, min(MOST_LANES, all_requests // REQUESTS_OF_A_LANE))):
                lanes.create_task(play(storm, f"{seed} {number}", ordinals, until))
        line = storm.line()  # a fresh one: the fake closes what was idle for two minutes
        await look_at_worlds(storm, line)
        await storm.admin(line, "POST", "/reset")
        line.cut()
        memory_mb.append(storm.fake.memory_mb)
        storm.seen["memory in MB, at most"] = round(max(memory_mb))
        storm.seen["memory in MB, after the first round"] = round(memory_mb[0])
        say(f"round {number + 1} of {rounds}: {storm.seen['requests']} requests, {memory_mb[-1]:.0f} MB")
    if max(memory_mb) > MOST_MEMORY_MB:
        storm.blame("memory", f"{max(memory_mb):.0f} MB")


async def play(storm: Storm, seed: str, ordinals: Iterator[int], until: int) -> None:
    """Play episodes, one after the other, until so many requests are left."""
    for ordinal in ordinals:
        if storm.left <= until:
            return
        draw = chance(f"{seed} {ordinal}")
        kind = draw.choices(["counted", "garbage", "admin", "readers", "flood"], [55, 20, 12, 3, 10])[0]
        storm.seen[f"episodes: {kind}"] += 1
        if kind == "counted":
            requests = LONG if ordinal % 20 == 1 else draw.randrange(10, SHORT)
            await Counted(storm, f"{seed.replace(' ', '-')}-{ordinal}", draw).run(requests)
        else:
            await getattr(wild, kind)(storm, draw, draw.randrange(10, SHORT))


async def look_at_worlds(storm: Storm, line: Line) -> None:
    """No world has an unasked 5xx, and neither worlds nor lines are beyond their bounds."""
    health = (await storm.admin(line, "GET", "/health")).json()
    storm.seen["worlds given up"] = health["dropped"]
    storm.seen["worlds, at most"] = max(storm.seen["worlds, at most"], health["worlds"])
    if health["worlds"] > health["most_worlds"]:
        storm.blame("worlds", f"{health['worlds']} of {health['most_worlds']}")
    names = [row["world"] for row in (await storm.admin(line, "GET", "/worlds")).json()["worlds"]]
    for name in [*names, "~lobby"]:
        path = f"/worlds/{name}/journal/find"
        found = (await storm.admin(line, "POST", path, {"status": "5xx", "fault": False})).json()
        for entry in found["entries"]:
            # A bound is told to who belongs to no world yet.
            if not (name == "~lobby" and entry["status"] == 503):
                storm.blame(name, f"an unasked {entry['status']}: {entry}")


def look_at_process(storm: Storm, fake: StormedFake) -> None:
    """It still runs, and has told of no error."""
    if fake.process.poll() is not None:
        storm.blame("process", f"it ended with {fake.process.returncode}")
    said = fake.said()
    storm.seen["tracebacks"] = said.count("Traceback")
    if "Traceback" in said or "rror" in said.replace("server-error", ""):
        storm.blame("stderr", said[-2_000:])


def say(text: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
