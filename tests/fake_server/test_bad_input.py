"""What no scenario file and no request may do: hang, fill the memory, leave its folder, or give a traceback."""

from __future__ import annotations

import os
import sys
import tracemalloc
from random import Random
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_server.cli import cli
from fake_server.engine import Drop, Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.scenario import ScenarioErrors, chaos_faults, load_scenario, load_scenario_text
from fake_server.worlds import Refusal, Worlds
from tests.fake_server.driving import BODY, UNTIMED, WALL_S, header
from tests.fake_server.faulty import faults, hand_with
from tests.fake_server.test_engine_properties import conversations, play
from tests.fake_server.test_scenario_errors import GOOD, PIECES, lines_about
from tests.support.profiles import examples
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

    from fake_server.faults.model import Fault

HUGE_BYTES = 50_000_000
# 200,000 take some two minutes: FAKE_STORM_REQUESTS=200000 pytest -k storm
STORM_REQUESTS = int(os.environ.get("FAKE_STORM_REQUESTS", "5000"))

MAD = (
    "",
    "a" * 300,
    "tasks/../..",
    "tasks/\0",
    "tasks/%2e%2e",
    "ü/é",
    "page_no=0",
    "status=%ed%a0%bd",
    "tasks//cancel",
    "w/w1/assets/x.mp4",
)
BODIES = (
    BODY,
    BODY,
    BODY,
    b"",
    b"[",
    b"{}",
    b"[" * 50_000,
    b"\xff",
    b'{"model": 1, "input": []}',
    b'{"model": "\\ud83d", "input": {"prompt": 1e999}}',
)


def told(path: Path) -> str:
    """The one line about a file that is none of ours."""
    with pytest.raises(ScenarioErrors) as caught:
        load_scenario(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}:1:1: found ")
    return line


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Of a file of 50 MB no more is read than a scenario may be long, and one line says so."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)
    tracemalloc.start()
    try:
        assert "found more than 100000 bytes" in told(path)
        assert tracemalloc.get_traced_memory()[1] < HUGE_BYTES / 10
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to is one line, in scenarios and in chaos, and no wait."""
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert "found a pipe, expected a file" in told(path)
    with pytest.raises(ScenarioErrors, match="found a pipe"):
        chaos_faults(str(path))


@pytest.mark.parametrize(
    "key", ["sk-../../etc/passwd", "sk-/etc/passwd", "sk-..%2f..%2fsecret", "sk-secret.yaml", "sk-\0"]
)
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    """A key is looked up among names, and joined to no path: none of them opens a file beside the folder."""
    (tmp_path / "secret.yaml").write_text(GOOD.replace("For a test", "Secret"))
    worlds = Worlds({"succeeds": tmp_path / "inside" / "succeeds.yaml"}, "succeeds")
    found = worlds.for_key(key)
    assert isinstance(found, Refusal), "the default's file does not exist, so no world can be made"
    assert "ecret:" not in found.message
    assert set(worlds.scenarios) == {"succeeds"}


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize(
    "raw",
    [
        "".join(f"sumary{number}: 1\n" for number in range(6_000)),
        "faults:\n" + "- {fault: statu, a: 1}\n" * 4_000,
        "faults:\n- {fault: status, status: 500, on: [" + "qury," * 15_000 + "]}\n",
        "tasks:\n" + "- RUNING 1s -> SUCCEDED\n" * 4_000,
        "tasks: ['" + "A 1s -> " * 12_000 + "SUCCEEDED']\n",
        "a" * 90_000 + ": 1\n",
        "retention: " + "1" * 90_000 + "\n",
    ],
    ids=["keys", "faults", "words", "lives", "steps", "key", "digits"],
)
def test_a_flood_of_slips_is_told_in_short(raw: str) -> None:
    """As many slips as fit into a file give at most a hundred lines and one, each short enough to be read."""
    with pytest.raises(ScenarioErrors) as caught:
        load_scenario_text("flood", raw.encode())
    lines = list(caught.value.lines())
    assert 1 <= len(lines) <= 101
    assert max(map(len, lines)) < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(100), deadline=None)
@given(
    st.lists(
        PIECES | st.sampled_from(["fault: ", "status: 500", "on: query", "- ", "wire", ", ", "nth: "]), max_size=20
    )
)
def test_no_list_of_faults_gives_a_traceback(tmp_path: Path, pieces: list[str]) -> None:
    """Whatever stands under `faults:` is faults or placed complaints."""
    path = tmp_path / "any.yaml"
    path.write_bytes(f"{GOOD}faults: {''.join(pieces)}".encode("utf-8", "surrogatepass"))
    for line in lines_about(path):
        assert line.startswith(f"{path}:")


def test_validate_tells_every_file_and_goes_on(tmp_path: Path) -> None:
    """The command tells the slips of each file, a good one among them included, and exits with 2."""
    good, broken = tmp_path / "good.yaml", tmp_path / "broken.yaml"
    good.write_text(GOOD)
    broken.write_text(GOOD + "faults: [{fault: wire, kind: drop}]\n")
    done = CliRunner().invoke(cli, ["validate", str(broken), str(good)])
    assert done.exit_code == 2
    assert f"{broken}:6:30: found drop, expected one of reset" in done.output
    assert f"{good}: ok" in done.output
    assert "Traceback" not in done.output


@settings(UNTIMED, max_examples=examples(40))
@given(st.lists(faults(), max_size=3), conversations())
def test_no_request_meets_a_500_that_nobody_asked_for(some: list[Fault], requests: list[tuple[float, Request]]) -> None:
    """Mad requests beside faults: an answer of 500 or more is a fault's doing, and stands in the journal as that."""
    hand = hand_with(*some)
    replies = play(hand.engine, requests)
    for reply, entry in zip(replies, hand.engine.journal.entries, strict=True):
        if isinstance(reply, Reply) and reply.status >= 500:
            assert entry.fault


@pytest.mark.thorough
def test_a_storm_leaves_a_world_whole() -> None:
    """Thousands of requests, sane and mad, under heavy chaos: every answer is whole HTTP, no 500 is unasked, and the
    journal stays within its bound."""
    random = Random(11)  # noqa: S311 - no secret
    faults = chaos_faults("heavy")
    hand = hand_with()
    for number in range(STORM_REQUESTS // 5):
        if number % 20_000 == 0:  # a world takes 100,000 tasks
            engine = Engine(shipped("succeeds"), started=Moment(hand.now_s, WALL_S), faults=faults, draw_seed=number)
            hand.engine = engine
        hand.now_s += 20.0
        hand.create(random.choice(BODIES))
        task_id = next(reversed(engine.tasks), "none")
        hand.poll(task_id if random.random() < 0.9 else random.choice(MAD))
        hand.send("GET", f"/w/w1/assets/{task_id}.mp4", headers=())
        hand.send("GET", "/api/v1/tasks/", random.choice(MAD))
        hand.send(random.choice(["GET", "POST", "PUT"]), "/api/v1/" + random.choice(MAD), body=random.choice(BODIES))
        for reply, entry in zip(hand.seen, engine.journal.entries[-5:], strict=True):
            assert isinstance(reply, Drop) or (200 <= reply.status <= 599 and header(reply, "date"))
            assert entry.status < 500 or entry.fault
        hand.seen.clear()
        assert len(engine.journal.entries) <= 1_000
