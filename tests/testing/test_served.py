"""The fake as a context manager: a server of the test's own, and its worlds."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from fake_server.scenario import FaultErrors, ScenarioErrors
from fake_server.testing import FakeDashScope, FakeWorld, MissingExtraError
from resilient_poll import DashScope, StillGoing

MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}
# The loader takes what JSON has, too.
OWN: dict[str, Any] = {
    "version": 1,
    "summary": "Ours.",
    "tasks": ["RUNNING 20s -> SUCCEEDED"],
    "expect": {"outcome": "SUCCEEDED", "billed_tasks": 1},
}
OWN_TEXT = "version: 1\nsummary: Ours.\ntasks: [RUNNING 20s -> SUCCEEDED]\nexpect: {outcome: SUCCEEDED}\n"


def make_one(fake: FakeWorld, dialect: Any = "dashscope", **options: Any) -> Any:
    """Make one video with our own client, on the world's clock."""
    where: dict[str, Any] = {"dialect": dialect, "base_url": fake.base_url(dialect), "api_key": fake.key}
    with DashScope(**where, clock=fake.clock, **options) as client:
        return client.submit(MODEL, INPUT).wait(timeout=300)


@pytest.fixture(scope="module")
def fake() -> Any:
    """One server for the tests of this module."""
    with FakeDashScope("throttled-poll") as world:
        yield world


@pytest.mark.parametrize("dialect", ["dashscope", "aisa"])
def test_a_client_on_the_worlds_clock_waits_for_nothing(fake: FakeWorld, dialect: str) -> None:
    """A client with the world's clock plays a scenario to its end in virtual time, and passes."""
    world = fake.load("throttled-poll")
    outcome = make_one(world, dialect)
    assert world.now_s > 10
    assert world.clock.slept_s
    assert world.verdict("SUCCEEDED").passed
    assert [row.task_id for row in world.bill.tasks] == [outcome.task_id]
    assert [entry.status for entry in world.journal].count(429) == 2


def test_a_wrong_word_fails_the_verdict_and_is_shown(fake: FakeWorld) -> None:
    """A verdict names what failed, and what was seen instead, in its repr too, which a failing assert shows."""
    world = fake.load("throttled-poll")
    make_one(world)
    verdict = world.verdict("FAILED")
    assert not verdict.passed
    assert (verdict.of("outcome"), verdict.of("retry_after")) == ("FAIL", "PASS")
    assert repr(verdict).startswith("FAIL\nFAIL outcome: FAILED; expected SUCCEEDED")


@pytest.mark.parametrize("form", ["mapping", "text", "file", "name"])
def test_a_scenario_is_loaded_in_every_form(fake: FakeWorld, tmp_path: Path, form: str) -> None:
    """A mapping, a text, a file and a name make a world each that plays it."""
    path = tmp_path / "own-file.yaml"
    path.write_text(OWN_TEXT)
    source: Any = {"mapping": OWN, "text": OWN_TEXT, "file": path, "name": "succeeds"}[form]
    world = fake.load(source)
    assert world.key.startswith({"file": "sk-own-file.", "name": "sk-succeeds."}.get(form, "sk-own."))
    make_one(world)
    assert world.verdict("SUCCEEDED").of("outcome") == "PASS"
    assert world.bill.billed_tasks == 1


def test_a_text_loaded_again_under_its_name_is_what_is_played(fake: FakeWorld, tmp_path: Path) -> None:
    """Of two files with one name each world plays its own, and one that comes back begins anew."""
    path = tmp_path / "changing.yaml"
    path.write_text(OWN_TEXT)
    first = fake.load(path, "tail")
    make_one(first)
    path.write_text(OWN_TEXT.replace("SUCCEEDED]", "FAILED]"))
    second = fake.load(path, "tail")
    assert second.name == first.name
    assert second.journal == ()
    assert second.scenario.tasks[0].last.status == "FAILED"


def test_worlds_of_one_server_do_not_meet(fake: FakeWorld) -> None:
    """What happens in one world shows in no other, and neither does its time."""
    busy, idle = fake.load("succeeds"), fake.load("succeeds")
    make_one(busy)
    assert len(busy.journal) > 1
    assert (idle.journal, idle.now_s, idle.bill.tasks) == ((), 0.0, ())


def test_time_that_passes_tells_what_it_changed(fake: FakeWorld) -> None:
    """Advancing a world's clock returns what became of its tasks meanwhile, in order, and only that."""
    world = fake.load(OWN)
    with DashScope(dialect="aisa", base_url=world.base_url("aisa"), api_key=world.key, clock=world.clock) as client:
        task = client.submit(MODEL, INPUT)
    assert world.advance(19) == []
    [ended] = world.advance(2)
    assert (ended.task_id, ended.from_status, ended.to_status, ended.at_s) == (task.task_id, "RUNNING", "SUCCEEDED", 20)


def test_a_fault_is_armed_and_disarmed(fake: FakeWorld) -> None:
    """A fault strikes from its arming to its disarming, and one that is none is refused by name."""
    world = fake.load("succeeds")
    name = world.arm("status", status=503, on="query")
    with httpx.Client(headers={"Authorization": f"Bearer {world.key}"}, verify=False) as client:
        url = f"{world.base_url()}/tasks/11111111-1111-1111-1111-111111111111"
        assert client.get(url).status_code == 503
        assert world.disarm(name)
        assert client.get(url).status_code == 200
    with pytest.raises(FaultErrors, match="stauts"):
        world.arm("stauts", status=503)


def test_a_task_is_moved_forgotten_and_a_world_begun_anew(fake: FakeWorld) -> None:
    """What a test does to a task is what a client hears, and after a reset nothing is left."""
    world = fake.load(OWN)
    with DashScope(dialect="aisa", base_url=world.base_url("aisa"), api_key=world.key, clock=world.clock) as client:
        task = client.submit(MODEL, INPUT)
        world.move(task.task_id, "SUCCEEDED")
        assert task.refresh().status == "SUCCEEDED"
    [row] = world.tasks
    assert (row.status, row.is_remembered) == ("SUCCEEDED", True)
    world.expire(task.task_id)
    assert not world.tasks[0].is_remembered
    world.reset()
    assert (world.tasks, world.journal) == ([], ())


def test_what_was_loaded_is_given_back_with_its_world(fake: FakeWorld) -> None:
    """A world that is given back is empty, and so are those that were loaded from it."""
    world = fake.load("succeeds")
    other = world.load(OWN)
    make_one(other)
    world.give_back()
    assert (other.tasks, other.journal) == ([], ())


def test_any_number_of_nameless_scenarios_is_played(fake: FakeWorld) -> None:
    """Of scenarios without a name one after the other is taken, and each world plays its own, reset or not."""
    worlds = [fake.load({**OWN, "summary": f"Number {number}."}) for number in range(3)]
    worlds[0].reset()
    assert [world.scenario.summary for world in worlds] == ["Number 0.", "Number 1.", "Number 2."]


def test_a_delay_waits_for_the_test(fake: FakeWorld) -> None:
    """An answer that is late by the manual clock is held back until the test lets that time pass."""
    world = fake.load("succeeds")
    world.arm("latency", fixed="30s", on="query")
    got: list[int] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {world.key}"}
        got.append(httpx.get(f"{world.base_url()}/tasks/x", headers=headers, timeout=60, verify=False).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    while not world.held_back:
        asking.join(0.01)  # real: until the request has arrived
    assert not got
    world.advance(30)
    asking.join(30)
    assert got == [200]


def test_the_machines_clock_cannot_be_advanced() -> None:
    """A world on the machine's clock says that it cannot be moved, and how to ask for one that can."""
    with FakeDashScope(clock="real", speed=1000) as world:
        with pytest.raises(ValueError, match="clock='manual'"):
            world.advance(1)
        assert world.held_back == 0


def test_the_environment_leads_clients_there(fake: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads only its environment finds the world, in either dialect."""
    world = fake.load("succeeds")
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    for dialect in ("dashscope", "aisa"):
        with DashScope(dialect=dialect, clock=world.clock) as client, pytest.raises(StillGoing):
            client.submit(MODEL, INPUT).wait(timeout=1)
    assert {entry.path.split("/")[1] for entry in world.journal} == {"api", "apis"}


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"scenario": "suceeds"}, LookupError, "did you mean succeeds"),
        ({"scenario": "version: 1\n"}, ScenarioErrors, "found no summary"),
        ({"scenario": Path("/no/such/file.yaml")}, ScenarioErrors, "no readable file"),
        ({"clock": "wall"}, ValueError, "expected 'manual' or 'real'"),
        ({"speed": 0}, ValueError, "found the speed 0"),
        ({"chaos": "/no/such/chaos.yaml"}, ScenarioErrors, "no readable file"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    """What cannot be played is an error of its own kind that says why, and no server is left behind."""
    with pytest.raises(kind, match=said), FakeDashScope(**options):
        pytest.fail("it began")


def test_a_file_with_the_name_of_a_shipped_scenario_is_refused(fake: FakeWorld, tmp_path: Path) -> None:
    """A scenario of one's own cannot take the name of one that others play on this server."""
    path = tmp_path / "succeeds.yaml"
    path.write_text(OWN_TEXT)
    with pytest.raises(ValueError, match="use another name"):
        fake.load(path)


def test_chaos_is_the_same_for_the_same_seed() -> None:
    """With chaos and a seed two runs of one client leave the same journal."""
    stories = []
    for _ in range(2):
        with FakeDashScope(chaos=str(Path(__file__).parent / "chaos.yaml"), seed=7) as world:
            with httpx.Client(headers={"Authorization": f"Bearer {world.key}"}, verify=False) as client:
                for _ in range(20):
                    client.get(f"{world.base_url()}/tasks/x")
                    world.advance(1)
            stories.append([entry.status for entry in world.journal])
    assert stories[0] == stories[1]
    assert set(stories[0]) == {200, 503}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server's packages the error names those that are missing, and what to install."""
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"needs starlette, uvicorn, .* pip install 'resilient-poll\[fake\]'"):
        FakeDashScope()
