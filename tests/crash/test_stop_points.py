"""The kill test's short form: each named point once by a kill and once by a stop, and two protocols that fail it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resilient_poll.machine.lifecycle import Billing, Phase
from tests.crash import scenarios
from tests.crash.aimed import hit_once
from tests.crash.between import Between
from tests.crash.judge import judge
from tests.crash.nursery import Nursery, nursery
from tests.crash.place import Place
from tests.support.colours import COLOURS
from tests.support.fake_process import FakeProcess, running_fake

SPEED = 20.0
OPTIONS = {"busy_s": 30.0, "attempt_s": 60.0, "wait_s": 1e6, "submit_s": 300.0, "hands_over": True}
NOT_SENT, IN_DOUBT, KNOWN = (1, 0), (1, 1), (1, 0)
"""How many tasks and doubts there are in the end, after a kill before the licence, while it is out, and with the id."""
NOTHING_LEFT = (0, 1)
"""After a kill with a licence, and before anything was sent: it cannot be told from the others."""
KILLED = {
    "inside begin": NOT_SENT,
    "inside license": NOT_SENT,
    "at the commit of license": NOT_SENT,
    "after license": NOTHING_LEFT,
    "before the first byte": NOTHING_LEFT,
    "request held": IN_DOUBT,
    "answer held": IN_DOUBT,
    "before accept": IN_DOUBT,
    "inside accept": IN_DOUBT,
    "at the commit of accept": IN_DOUBT,
    "after accept": KNOWN,
    "inside observe": KNOWN,
    "at the commit of observe": KNOWN,
    "half an asset": KNOWN,
    "file opened": KNOWN,
    "before the rename": KNOWN,
    "at the commit of saved": KNOWN,
    "handler called": KNOWN,
    "handler done": KNOWN,
    "at the commit of delivered": KNOWN,
}
HITS = [(point, how) for point in KILLED for how in ("kill", "stop")]
IN_EACH_COLOUR = [("answer held", "kill"), ("before accept", "stop"), ("handler called", "kill")]
"""Where blocking and awaiting code differ most."""
CASES = sorted(
    {(*hit, COLOURS[number % 3]) for number, hit in enumerate(HITS)}
    | {(*hit, colour) for hit in IN_EACH_COLOUR for colour in COLOURS},
    key=lambda case: (HITS.index(case[:2]), case),
)


@dataclass
class Ground:
    """What all cases share, and a place of its own for each."""

    fake: FakeProcess
    between: Between
    workers: Nursery
    numbers: Iterator[int]

    def place(self, folder: Path) -> Place:
        """Return a new place."""
        return Place(self.fake, self.between, folder, f"sk-steady.{next(self.numbers)}", SPEED, "dashscope", OPTIONS)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Start the fake, what lies before it, and the process that forks workers."""
    folder = tmp_path_factory.mktemp("crash")
    scenarios.write(folder, "steady", scenarios.STEADY)
    arguments = ("--scenarios", str(folder))
    with running_fake(*arguments) as fake, nursery(folder / "log") as workers, Between(fake.url) as between:
        yield Ground(fake, between, workers, count(1))


@pytest.mark.thorough(plain=4)
@pytest.mark.parametrize(("point", "how", "colour"), CASES)
def test_a_hit_at_a_named_point_costs_nothing(
    ground: Ground, tmp_path: Path, point: str, how: str, colour: str
) -> None:
    """Whatever hits a worker wherever, nothing is paid twice, forgotten or left undelivered, by the fake's own bill."""
    place = ground.place(tmp_path)
    result = hit_once(ground.workers, place, point, how, colour=colour)
    assert result.was_hit
    assert not result.halves_then
    assert not result.verdict.wrong
    figures = result.verdict.figures
    assert (figures["tasks"], figures["doubts"]) == (KILLED[point] if how == "kill" else KNOWN)


ONE_THREAD = {"hands_over": False}
"""Stopped with a second thread in it, a worker may hold the whole ledger, and keep the next one from all mischief."""


def test_a_time_lease_for_a_submit_is_found_guilty(ground: Ground, tmp_path: Path) -> None:
    """Planted: a lease takes a paused owner for a dead one, and the judge finds two tasks of one attempt."""
    place = ground.place(tmp_path)
    verdict = hit_once(
        ground.workers, place, "before the first byte", "stop", **ONE_THREAD, ledger="time lease"
    ).verdict
    assert verdict.figures["duplicates"] == 1


def test_a_fence_that_drops_what_was_heard_is_found_guilty(ground: Ground, tmp_path: Path) -> None:
    """Planted: an owner whose row moved on updates nothing, and the judge misses the id that it was told of."""
    place = ground.place(tmp_path)
    verdict = hit_once(
        ground.workers, place, "before accept", "stop", **ONE_THREAD, sweeps=True, ledger="dropping fence"
    ).verdict
    assert verdict.figures["lost"] == 1


def test_an_owner_whose_lock_was_swept_away_loses_nothing(ground: Ground, tmp_path: Path) -> None:
    """Who is taken for dead by mistake, because somebody removed its lock, still records the id that it then hears."""
    verdict = hit_once(
        ground.workers, ground.place(tmp_path), "before accept", "stop", **ONE_THREAD, sweeps=True
    ).verdict
    assert not verdict.wrong
    assert verdict.figures["in the ledger"] == 1


@pytest.mark.parametrize(("ledger", "strays", "lost"), [("genuine", 1, 0), ("dropping fence", 0, 1)])
def test_what_comes_after_a_human_had_it_sent_again_is_a_stray(
    ground: Ground, tmp_path: Path, ledger: str, strays: int, lost: int
) -> None:
    """Taken for dead and sent again by a human's permission, a paused owner's task is kept beside; a fence loses it."""
    place = ground.place(tmp_path)
    verdict = hit_once(
        ground.workers, place, "before accept", "stop", **ONE_THREAD, sweeps=True, permits=True, ledger=ledger
    ).verdict
    figures = verdict.figures
    assert (figures["tasks"], figures["duplicates"], figures["strays"], figures["lost"]) == (2, 0, strays, lost)


def test_the_judge_finds_whatever_is_wrong(ground: Ground, tmp_path: Path) -> None:
    """The judge acquits what is right, and names each fact that is changed for the worse."""
    place = ground.place(tmp_path)
    hit_once(ground.workers, place, "handler done", "kill")
    right = place.facts()
    assert not judge(right).wrong
    ((row,), (entry,)) = right.bill, right.entries

    def guilty(**changes: Any) -> set[str]:
        verdict = judge(dataclasses.replace(right, **changes))
        return {word for word in verdict.figures if any(sentence.startswith(f"{word}:") for sentence in verdict.wrong)}

    def entry_as(**changes: Any) -> set[str]:
        return guilty(entries=(dataclasses.replace(entry, **changes),))

    assert guilty(entries=()) == {"lost"}
    assert guilty(bill=()) == {"lost"}
    assert guilty(bill=(row, {**row, "task_id": "another"})) == {"duplicates", "lost"}
    assert guilty(bill=({**row, "quantity": 2},)) == {"misadopted"}
    assert guilty(bill=({**row, "status": "FAILED"},)) == {"misbilled"}
    assert guilty(bill=({**row, "billed": False},)) == {"misbilled"}
    assert guilty(handled=()) == {"undelivered"}
    assert guilty(files={}) == {"unsaved"}
    assert guilty(files={f"{entry.task_id}.mp4": "half of it"}) == {"unsaved"}
    assert entry_as(delivered_wall_s=None) == {"undelivered"}
    assert entry_as(phase=Phase.RUNNING) == {"unfinished"}
    assert entry_as(billing=Billing.NONE) == {"misbilled"}
    # Behind a doubt is where a task may be; but not one of which the ledger has said that it holds the id.
    in_doubt = {"phase": Phase.IN_DOUBT, "task_id": None, "billing": Billing.UNDETERMINED}
    assert entry_as(**in_doubt) == {"lost"}
    doubt = dataclasses.replace(entry, **in_doubt, attempt=2)
    refused = dataclasses.replace(entry, phase=Phase.REFUSED, task_id=None, billing=Billing.NONE)
    assert guilty(entries=(doubt, refused), heard=frozenset()) == set()
    assert guilty(entries=(refused,), heard=frozenset()) == {"lost"}
