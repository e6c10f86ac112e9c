"""The event stream: lines and transitions as they happen, taken up where it broke off, and bounded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.admin.events import HEARTBEAT_S, TICK_S, Follower, stream
from fake_server.engine import Request
from fake_server.feed import MOST_READERS, Reader
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import World, Worlds
from tests.fake_server.driving import ASYNC, BODY, KEY, UNTIMED, VIDEO

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.fake_server.conftest import Running

Event = tuple[str, dict[str, Any], int | None]


def read_event(text: str) -> Event:
    """One event: its kind, its data, its id."""
    fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
    return fields["event"], json.loads(fields["data"]), int(fields["id"]) if "id" in fields else None


class Scene:
    """Worlds without a server, and somebody who follows them."""

    def __init__(self, name: str | None = None, *, manual: bool = True) -> None:
        self.worlds = Worlds(shipped_scenarios(), "succeeds", manual=manual)
        self.a, self.b = self.world("succeeds.a"), self.world("succeeds.b")
        self.reader = Reader(name, lambda: None)
        self.worlds.feed.join(self.reader)
        self.follower = Follower(self.worlds, name, None)

    def world(self, name: str) -> World:
        """A world by name."""
        world = self.worlds.make_named(name)
        assert isinstance(world, World)
        return world

    def news(self) -> list[Event]:
        """What the follower is told now."""
        return [read_event(text) for text in self.follower.news(self.reader.take())]


def create(world: World) -> None:
    """A create in a world."""
    world.engine.handle(Request("POST", f"/api/v1{VIDEO}", "", (KEY, ASYNC), BODY, "http://fake.test"), world.now())


def advance(world: World, seconds: float) -> None:
    """Move a manual clock."""
    world.clock.advance(seconds)  # type: ignore[union-attr]  # manual


def shown(events: list[Event]) -> list[tuple[str, str, Any]]:
    """Events in few words."""
    return [(kind, data["world"], data.get("to") or data.get("entry", {}).get("route")) for kind, data, _ in events]


def test_lines_and_transitions_are_told_in_their_order() -> None:
    """A line comes before the birth of the task that it made; what time does is told once it has done it."""
    scene = Scene()
    create(scene.a)
    create(scene.b)
    advance(scene.a, 3.0)
    assert shown(scene.news()) == [
        ("request", "succeeds.a", "create"),
        ("task", "succeeds.a", "PENDING"),
        ("task", "succeeds.a", "RUNNING"),
        ("request", "succeeds.b", "create"),
        ("task", "succeeds.b", "PENDING"),
    ]
    assert scene.news() == []


def test_one_world_can_be_followed_alone() -> None:
    """Who follows one world hears of no other."""
    scene = Scene("succeeds.a")
    create(scene.b)
    create(scene.a)
    assert {world for _, world, _ in shown(scene.news())} == {"succeeds.a"}


def test_a_reset_and_a_new_world_are_told_of() -> None:
    """A world that begins anew is told of as such, and one that is made later is followed from its beginning."""
    scene = Scene()
    create(scene.a)
    scene.news()
    scene.worlds.reset(scene.a)
    create(scene.world("succeeds.c"))
    assert shown(scene.news()) == [
        ("reset", "succeeds.a", None),
        ("request", "succeeds.c", "create"),
        ("task", "succeeds.c", "PENDING"),
    ]


@UNTIMED
@given(st.lists(st.sampled_from(["create a", "create b", "advance a", "advance b"]), max_size=12), st.integers(0, 30))
def test_who_comes_again_misses_nothing(steps: list[str], break_at: int) -> None:
    """A reader that breaks off after any event and comes again with its id is told every line that it has not seen,
    once, and every transition at least once."""
    scene = Scene()
    seen: list[Event] = []
    for number, step in enumerate(steps):
        what, tail = step.split()
        world = scene.a if tail == "a" else scene.b
        create(world) if what == "create" else advance(world, 1.0)
        if number % 3 == 0:
            seen += scene.news()
    seen = [*seen, *scene.news()][:break_at]
    last = max((sequence for _, _, sequence in seen if sequence), default=0)
    again = [read_event(text) for text in Follower(scene.worlds, None, last).missed()]
    ids = [sequence for kind, _, sequence in [*seen, *again] if kind == "request"]
    assert ids == list(range(1, 1 + sum(step.startswith("create") for step in steps)))
    whole = {json.dumps(data) for kind, data, _ in seen + again if kind == "task"}
    everything = [read_event(text) for text in Follower(scene.worlds, None, 0).missed()]
    assert whole == {json.dumps(data) for kind, data, _ in everything if kind == "task"}


def test_lines_that_are_forgotten_are_told_as_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that comes again too late is told that lines are missing, rather than left to believe it has all."""
    monkeypatch.setattr("fake_server.rules.journal.MOST_ENTRIES", 2)
    scene = Scene()
    scene.a.engine.journal._most_entries = 2
    for _ in range(4):
        create(scene.a)
    kinds = [read_event(text)[:2] for text in Follower(scene.worlds, None, 1).missed()]
    assert kinds[0] == ("gap", {"world": "succeeds.a", "detail": "lines before number 3 are forgotten"})
    assert [kind for kind, _ in kinds].count("request") == 2


WOKEN = object()


def collect(scene: Scene, waits: Iterator[Any], most: int = 50) -> list[str]:
    """What a stream sends while the waiting is done by somebody else; ends with the waits."""

    async def wait(seconds: float) -> bool:
        act = next(waits, None)
        if act is None:
            raise EOFError
        return act(seconds) is not WOKEN

    async def run() -> list[str]:
        told: list[str] = []
        try:
            async for text in stream(scene.follower, scene.reader, wait):
                told.append(text)
                if len(told) >= most:
                    break
        except EOFError:
            pass
        return told

    return asyncio.run(run())


def test_a_slow_reader_is_given_up_with_a_word() -> None:
    """Lines beyond the bound of a reader's queue end its stream with an event that says so; memory is spared."""
    scene = Scene()
    scene.reader._most_waiting = 3

    def flood(_: float) -> None:
        for _number in range(5):
            create(scene.a)

    told = collect(scene, iter([flood, flood]))
    kind, data, _ = read_event(told[-1])
    assert kind == "lost"
    assert not any("event: request" in text for text in told), "what waited was thrown away"
    assert "Last-Event-ID" in data["detail"]
    assert scene.reader.is_lost
    assert scene.reader.take() == []


def test_silence_is_told_to_be_alive() -> None:
    """While nothing happens a comment is sent each quarter of a minute; a manual clock is not looked at meanwhile, a
    real one only while some task may still change."""
    quiet = Scene()
    waited: list[float] = []
    told = collect(quiet, iter([waited.append] * 3))
    assert waited == [HEARTBEAT_S] * 3
    assert told[1:] == [": alive\n\n"] * 3
    assert len(collect(quiet, iter([lambda _: WOKEN] * 3))) == 1, "whoever is woken need not be told"
    real = Scene(manual=False)
    assert real.follower.rests_s == HEARTBEAT_S
    create(real.a)
    assert real.follower.rests_s == TICK_S


# Over a socket


def lines_of(response: httpx.Response) -> Iterator[Event]:
    """The events of a stream, comments left out."""
    text = ""
    for line in response.iter_lines():
        if line:
            text += line + "\n"
        elif text:
            if "event: " in text:
                yield read_event("\n".join(one for one in text.splitlines() if not one.startswith("retry")))
            text = ""


def test_a_stream_over_a_socket(fake: Running) -> None:
    """A client that follows a world hears of a create, of what an advance does, and of a move; with the id of the last
    line it takes up from there."""
    world, key = "succeeds.stream", "sk-succeeds.stream"
    fake.client.post("/__admin/worlds", json={"world": world})
    path = f"/__admin/worlds/{world}/events"
    with fake.client.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = lines_of(response)
        assert next(told)[0] == "hello"
        task_id = fake.create(key).json()["output"]["task_id"]
        kind, data, sequence = next(told)
        assert (kind, data["entry"]["route"]) == ("request", "create")
        assert next(told)[1]["to"] == "PENDING"
        fake.advance(world, 3.0)
        assert next(told)[1]["to"] == "RUNNING"
        fake.client.post(f"/__admin/worlds/{world}/tasks/{task_id}/move", json={"status": "CANCELED"})
        assert next(told)[1]["to"] == "CANCELED"
    fake.poll(key, task_id)
    with fake.client.stream("GET", path, headers={"Last-Event-ID": str(sequence)}) as response:
        told = lines_of(response)
        kinds = [next(told)[0] for _ in range(5)]
    assert kinds == ["hello", "task", "task", "task", "request"]


def test_streams_are_bounded_and_a_head_has_no_end_to_wait_for(fake: Running) -> None:
    """More readers than there may be are a 503, and those who leave make room; a HEAD is answered at once."""
    assert fake.client.head("/__admin/events").status_code == 200
    readers = [Reader(None, lambda: None) for _ in range(MOST_READERS)]
    for reader in readers:
        fake.worlds.feed.join(reader)
    try:
        assert fake.client.get("/__admin/events").status_code == 503
    finally:
        for reader in readers:
            fake.worlds.feed.leave(reader)
    with fake.client.stream("GET", "/__admin/events?after=0") as response:
        assert response.status_code == 200


def test_a_reader_that_left_costs_nothing(fake: Running) -> None:
    """Once a client has closed its stream, its queue is gone."""
    with fake.client.stream("GET", "/__admin/events") as response:
        next(response.iter_raw())
    for _ in range(100):
        fake.client.get("/__admin/health")
        if not fake.worlds.feed._readers:
            break
    assert not fake.worlds.feed._readers
