"""Keys and worlds: who gets which scenario, where, and what happens when there are too many."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.clock import LATEST_WALL_S, ManualClock, RealClock
from fake_server.engine import Reply, Request
from fake_server.names import Choice, Refusal, read_key
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import World, Worlds
from tests.fake_server.driving import ASYNC, BODY, KEY, UNTIMED, VIDEO

if TYPE_CHECKING:
    from pathlib import Path

NAMES = shipped_scenarios()


@pytest.mark.parametrize(
    ("key", "scenario", "world"),
    [
        ("sk-succeeds", "succeeds", "succeeds"),
        ("sk-succeeds.a-b_9", "succeeds", "succeeds.a-b_9"),
        ("sk-throttled-create-date.x", "throttled-create-date", "throttled-create-date.x"),
    ],
)
def test_a_key_names_scenario_and_world(key: str, scenario: str, world: str) -> None:
    """`sk-<scenario>` is a shared world, a tail makes a private one."""
    assert read_key(key, NAMES, "demo") == Choice(scenario, world)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("sk-throtled-poll", "throttled-poll"),
        ("sk-suceeds", "succeeds"),
        ("sk-bad-gatway", "bad-gateway"),
        ("sk-Succeeds.x", "succeeds"),
        ("sk-fails-by-polcy.mine", "fails-by-policy"),
    ],
)
def test_a_mistyped_scenario_is_refused_with_the_nearest(key: str, near: str) -> None:
    """A key that nearly names a scenario is a 401 that names it, rather than another scenario in silence."""
    refusal = read_key(key, NAMES, "demo")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert refusal.message.endswith(f"Did you mean sk-{near}?")


def test_the_key_that_is_never_valid() -> None:
    """`sk-invalid` is refused always."""
    refusal = read_key("sk-invalid", NAMES, "demo")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


REAL_KEYS = (
    st.text("0123456789abcdef", min_size=32, max_size=32).map("sk-".__add__)
    | st.text(string.ascii_letters + string.digits, min_size=20, max_size=60).map("sk-".__add__)
    | st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=80).filter(
        lambda key: key[:3] != "sk-"
    )
)


@UNTIMED
@given(REAL_KEYS)
def test_a_real_key_gets_the_default_scenario_and_is_not_in_its_worlds_name(key: str) -> None:
    """Keys of real accounts are never taken for typing errors, each gets a world, and no name holds a key."""
    choice = read_key(key, NAMES, "demo")
    assert isinstance(choice, Choice)
    assert choice.scenario == "demo"
    assert key.removeprefix("sk-")[:8] not in choice.world
    assert choice == read_key(key, NAMES, "demo")
    assert choice != read_key(key + "x", NAMES, "demo")


@UNTIMED
@given(st.text(max_size=100))
def test_any_key_at_all_is_a_choice_or_a_refusal(key: str) -> None:
    """Whatever stands in the key, the world's name is safe in a URL and short."""
    for whole in (key, f"sk-{key}", f"sk-succeeds.{key}"):
        choice = read_key(whole, NAMES, "succeeds")
        if isinstance(choice, Choice):
            assert len(choice.world) <= 130
            assert set(choice.world) <= set(string.ascii_letters + string.digits + "-_.~")


def create(world: World) -> str:
    """A create in a world; the body of the answer."""
    request = Request("POST", f"/api/v1{VIDEO}", "", (KEY, ASYNC), BODY, "http://fake.test")
    reply = world.engine.handle(request, world.now())
    assert isinstance(reply, Reply)
    return reply.body.decode()


def test_worlds_are_bounded_and_the_idle_one_goes_first() -> None:
    """Beyond the bound the world that was idle longest goes, but never one with tasks yet to be billed;
    where all have some, the newcomer is refused with 503."""
    worlds = Worlds(NAMES, "succeeds", manual=True, most_worlds=3)
    busy, _, third = (worlds.for_key(f"sk-succeeds.{name}") for name in "abc")
    assert isinstance(busy, World)
    assert isinstance(third, World)
    create(busy)
    worlds.for_key("sk-succeeds.b")
    assert worlds.names() == ["succeeds.a", "succeeds.c", "succeeds.b"]
    fourth = worlds.for_key("sk-succeeds.d")
    assert worlds.names() == ["succeeds.a", "succeeds.b", "succeeds.d"]
    assert worlds.dropped == 1
    assert worlds.for_key("sk-succeeds.a") is busy
    second = worlds.named("succeeds.b")
    for world in (second, fourth):
        assert isinstance(world, World)
        create(world)
    refusal = worlds.for_key("sk-succeeds.e")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 503


def test_keys_in_endless_number_cost_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions about keys are forgotten beyond their bound, and made again alike."""
    monkeypatch.setattr("fake_server.worlds.MOST_REMEMBERED_KEYS", 5)
    worlds = Worlds(NAMES, "succeeds", manual=True, most_worlds=4)
    first = worlds.for_key("sk-succeeds.0")
    for number in range(50):
        worlds.for_key(f"sk-suceeds.{number}")
    assert len(worlds._choices) == 5
    assert worlds.for_key("sk-succeeds.0") is first


def test_keys_without_a_scenario_are_told_once_each_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each world of a `sk-` key that names no scenario is told once, up to a bound; no other key is told."""
    monkeypatch.setattr("fake_server.worlds.MOST_TOLD", 3)
    told: list[str] = []
    worlds = Worlds(NAMES, "succeeds", manual=True, tell=told.append)
    for key in ("sk-succeeds.x", "sk-bad-gatway", "sk-invalid", "no-prefix", "sk-qqqq-1", "sk-qqqq-1"):
        worlds.for_key(key)
    (name,) = [name for name in worlds.names() if name.endswith(told[0].rpartition("~")[2])]
    assert told == [f"a key that names no scenario plays 'succeeds' in world {name}"]
    for number in range(10):
        worlds.for_key(f"sk-qqqq-{number}")
    assert len(told) == 3


def test_a_reset_world_is_new_and_its_time_goes_on() -> None:
    """A reset frees every slot and empties bill and journal, under the same name and key; the clock does not go
    back, and no id of before is given out again."""
    worlds = Worlds(NAMES, "stuck-running", manual=True)
    world = worlds.for_key("sk-stuck-running.x")
    assert isinstance(world, World)
    assert isinstance(world.clock, ManualClock)
    world.clock.advance(7.0)
    before = create(world)
    worlds.reset(world)
    assert worlds.for_key("sk-stuck-running.x") is world
    assert world.now().monotonic_s == 7.0
    assert world.engine.bill(world.now()).tasks == ()
    assert not world.engine.journal.entries
    assert create(world) != before
    assert world.engine.journal.entries[0].at_s == 0.0


def test_worlds_have_clocks_of_their_own() -> None:
    """Advancing one world's clock moves no other's, and real clocks are there for those who want them."""
    worlds = Worlds(NAMES, "succeeds", manual=True)
    one, other = worlds.for_key("sk-succeeds.a"), worlds.for_key("sk-succeeds.b")
    assert isinstance(one, World)
    assert isinstance(other, World)
    assert isinstance(one.clock, ManualClock)
    one.clock.advance(5.0)
    assert (one.now().monotonic_s, other.now().monotonic_s) == (5.0, 0.0)
    real = Worlds(NAMES, "succeeds").for_key("sk-succeeds")
    assert isinstance(real, World)
    assert isinstance(real.clock, RealClock)
    before = real.now()
    assert real.now().monotonic_s >= before.monotonic_s
    assert abs((real.now().wall_s - before.wall_s) - (real.now().monotonic_s - before.monotonic_s)) < 1


@UNTIMED
@given(st.lists(st.floats() | st.floats(0, 1e6), max_size=20))
def test_a_manual_clock_never_goes_back(steps: list[float]) -> None:
    """Whatever it is asked to advance by, a clock goes forward or refuses, and stays within formattable dates."""
    clock = ManualClock()
    for step in steps:
        before = clock.now()
        try:
            clock.advance(step)
        except ValueError:
            assert clock.now() == before
        assert clock.now().monotonic_s >= before.monotonic_s
        assert clock.now().wall_s >= before.wall_s
        assert clock.now().wall_s <= LATEST_WALL_S


def test_a_scenario_that_breaks_after_the_start_is_told_to_its_users(tmp_path: Path) -> None:
    """A file that can no longer be read refuses its own key with its first complaint, and no other key."""
    (tmp_path / "broken.yaml").write_text("version: 2\n")
    worlds = Worlds({**NAMES, "broken": tmp_path / "broken.yaml"}, "succeeds")
    refusal = worlds.for_key("sk-broken.x")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400
    assert "broken.yaml:1:" in refusal.message
    assert isinstance(worlds.for_key("sk-succeeds"), World)


def test_all_worlds_share_one_room() -> None:
    """However many worlds a client makes, they hold so many tasks and so much text together: one that owes something
    stays and a new task is a 503, an idle one that owes nothing goes for it, and a reset gives its room back."""
    worlds = Worlds(NAMES, "succeeds", manual=True)
    worlds._room.most_tasks, worlds._room._most_characters = 4, 40

    def status(tail: str, prompt: str = "x") -> int:
        world = worlds.for_key(f"sk-stuck-running.{tail}")
        assert isinstance(world, World)
        body = f'{{"model": "m", "input": {{"prompt": "{prompt}"}}}}'.encode()
        request = Request("POST", f"/api/v1{VIDEO}", "", (KEY, ASYNC), body, "http://fake.test")
        reply = world.engine.handle(request, world.now())
        assert isinstance(reply, Reply)
        return reply.status

    assert [status(tail) for tail in "aabbc"] == [200, 200, 200, 200, 503]
    first = worlds.named("stuck-running.a")
    assert first is not None
    assert first.engine.has_open_tasks(first.now())
    worlds.reset(first)
    assert [status("c", "y" * length) for length in (20, 19, 18)] == [200, 503, 200]
    assert [status("c"), worlds.dropped] == [503, 0]
    third = worlds.named("stuck-running.c")
    assert third is not None
    for row in third.engine.bill(third.now()).tasks:
        third.engine.handle(Request("GET", f"/api/v1/tasks/{row.task_id}", "", (KEY,), b"", ""), third.now())
    assert not third.engine.has_open_tasks(third.now()), "running for ever is never billed"
    assert [status("d"), worlds.dropped] == [200, 1]
    assert worlds.named("stuck-running.c") is None
