"""Chaos: faults by seed, the same again for the same seed, and a service that stays whole under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_server.engine import Drop, Engine, Reply
from fake_server.moment import Moment
from fake_server.scenario import CHAOS_LEVELS, ScenarioErrors, chaos_faults, shipped_folder
from tests.fake_server.driving import WALL_S, Hand
from tests.fake_server.faulty import fault, hand_with
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

    from fake_server.faults.model import Fault

CHAOS = """\
version: 1
summary: For a test.
faults:
  - {fault: status, status: 503, on: create}
  - {fault: lost_create, must_fire: true}
"""


def stormy(seed: int, faults: tuple[Fault, ...], rounds: int = 150) -> Hand:
    """A hand after some hundred requests of a client that never gives up."""
    hand = Hand(Engine(shipped("succeeds"), started=Moment(0.0, WALL_S), faults=faults, draw_seed=seed))
    for _ in range(rounds):
        hand.now_s += 60.0
        hand.create()
        for task_id in list(hand.engine.tasks)[:-3:-1]:  # the newest first
            hand.now_s += 3.0
            hand.poll(task_id)
            hand.send("GET", f"/w/w1/assets/{task_id}.mp4", headers=())
        hand.send("GET", "/api/v1/tasks/")
    return hand


@pytest.mark.parametrize("level", CHAOS_LEVELS)
def test_the_same_seed_gives_the_same_chaos(level: str) -> None:
    """A level strikes the same requests in the same way for a seed, and in another way for another seed."""
    faults = chaos_faults(level)
    first, again, other = (stormy(seed, faults) for seed in (7, 7, 8))
    assert first.seen == again.seen
    assert first.engine.journal.entries == again.engine.journal.entries
    assert [entry.fault for entry in first.engine.journal.entries] != [
        entry.fault for entry in other.engine.journal.entries
    ]


@pytest.mark.parametrize("level", CHAOS_LEVELS)
def test_every_fault_of_a_level_strikes_in_time(level: str) -> None:
    """No entry of a level is idle, each has a name, and none of them must fire."""
    hand = stormy(3, chaos_faults(level), rounds=400)
    idle = [armed.fault.describe() for armed in hand.engine.armed() if armed.identity[0] == "c" and not armed.fired]
    assert not idle
    assert all(armed.fault.label for armed in hand.engine.armed())
    assert hand.verdicts()["faults_consumed"] == "PASS"


def test_light_chaos_needs_no_socket_and_loses_nothing() -> None:
    """Light chaos cuts nothing, spoils nothing on the wire and makes no task that its create does not tell of."""
    faults = chaos_faults("light")
    assert not any(fault.needs_socket for fault in faults)
    hand = stormy(1, faults)
    assert all(isinstance(reply, Reply) and reply.wire is None for reply in hand.seen)
    told = [
        reply for reply in hand.seen if isinstance(reply, Reply) and reply.status == 200 and b"task_id" in reply.body
    ]
    assert len(told) >= len(hand.engine.tasks)
    heavy = stormy(1, chaos_faults("heavy"))
    assert any(isinstance(reply, Drop) or reply.wire for reply in heavy.seen)


def test_a_rule_more_in_a_file_moves_no_other(tmp_path: Path) -> None:
    """A rule that is put before all others leaves the strikes of those as they were."""
    text = (shipped_folder().parent / "fake_server" / "chaos" / "light.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    without = stormy(5, chaos_faults(str(path)))
    path.write_text(text.replace("faults:\n", "faults:\n  - {fault: headers, headers: {X-A: b}, probability: 0.5}\n"))
    with_it = stormy(5, chaos_faults(str(path)))
    counts = {armed.fault.label: (armed.matched, armed.struck) for armed in with_it.engine.armed()}
    assert counts.pop(None)
    assert counts == {armed.fault.label: (armed.matched, armed.struck) for armed in without.engine.armed()}


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """A file's faults need not fire unless they say so, and the journal names the file and the line."""
    path = tmp_path / "storm.yaml"
    path.write_text(CHAOS)
    faults = chaos_faults(str(path))
    assert [fault.must_fire for fault in faults] == [False, True]
    hand = Hand(Engine(shipped("succeeds"), started=Moment(0.0, WALL_S), faults=faults))
    hand.create()
    assert hand.engine.journal.entries[-1].fault == "status 503 (chaos storm, line 4)"
    row = next(row for row in hand.engine.verdict(hand.now) if row.name == "faults_consumed")
    assert row.actual == "0 of 1; never fired: lost_create (chaos storm, line 5)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "1:1: found a list, expected a chaos file: a mapping with version, summary and faults"),
        (CHAOS.replace("summary: For a test.\n", ""), "1:1: found no summary, expected one"),
        (CHAOS + "tasks: [SUCCEEDED]\n", "6:1: found the key tasks, expected one of version, summary, faults"),
        (
            CHAOS.replace("version: 1", "version: 2"),
            "1:10: found 2, expected 1, the version of the grammar that is read here",
        ),
        (CHAOS.replace("503", "603"), "4:29: found 603, expected a whole number from 200 to 599"),
    ],
)
def test_a_broken_file_is_told_with_its_places(tmp_path: Path, text: str, expected: str) -> None:
    """A slip in a chaos file is one line with its place, as in a scenario."""
    path = tmp_path / "storm.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioErrors) as caught:
        chaos_faults(str(path))
    assert str(caught.value) == f"{path}:{expected}"


def test_a_level_that_is_none_is_told(tmp_path: Path) -> None:
    """A word that is neither a level nor a file gives one line that says so."""
    with pytest.raises(ScenarioErrors, match="found no readable file"):
        chaos_faults(str(tmp_path / "medium"))


def test_chaos_stands_beside_the_scenarios_own_faults() -> None:
    """A scenario's faults come first, and each draws as if the other were not there."""
    own = hand_with(fault("status", status=500, probability=0.5, on="create"), draw_seed=4)
    both = Hand(
        Engine(own.engine.scenario, started=Moment(0.0, WALL_S), faults=chaos_faults("light"), draw_seed=4, world="w1")
    )
    for hand in (own, both):
        for _ in range(40):
            hand.now_s += 60
            hand.create()
    assert own.engine.armed()[0].struck == both.engine.armed()[0].struck > 0
    assert [armed.identity for armed in both.engine.armed()][:2] == ["s1", "c1"]
