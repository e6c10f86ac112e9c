"""Which world a request is for, by address, header and key; and that worlds never meet (property 13)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.addressing import read_target
from fake_server.engine import Reply, Request
from fake_server.names import Choice, Refusal, read_name
from fake_server.scenario import shipped_scenarios
from fake_server.worlds import Worlds
from tests.fake_server.driving import ASYNC, BODY, UNTIMED, VIDEO, content
from tests.support.profiles import examples

if TYPE_CHECKING:
    from tests.fake_server.conftest import Running

NAMES = shipped_scenarios()
# Tails, so that addresses and keys of one test pick the same few worlds.
TAILS = ("a", "b", "c")


class Client:
    """Sends requests to worlds as a server would.

    Args:
        worlds: The worlds.
    """

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds

    def send(self, method: str, path: str, key: str = "", world: str | None = None, body: bytes = b"") -> Reply:
        """One request, answered by whichever world it is for."""
        headers = [ASYNC]
        if key:
            headers.append(("authorization", f"Bearer {key}"))
        if world is not None:
            headers.append(("x-fake-world", world))
        target = read_target(Request(method, path, "", tuple(headers), body, "http://fake.test"))
        found = self.worlds.for_target(target)
        if isinstance(found, Refusal):
            lobby = self.worlds.lobby
            return lobby.engine.refuse(target.request, lobby.now(), found.status, found.message)
        reply = found.engine.handle(target.request, found.now())
        assert isinstance(reply, Reply)
        return reply


def client() -> Client:
    """A client of fresh worlds."""
    return Client(Worlds(NAMES, "succeeds", manual=True))


CREATE = f"/api/v1{VIDEO}"


@pytest.mark.parametrize(
    ("path", "key", "header", "world"),
    [
        (CREATE, "sk-succeeds.a", None, "succeeds.a"),
        (f"/w/succeeds.a{CREATE}", "anything", None, "succeeds.a"),
        (f"/w/succeeds.a{CREATE}", "sk-succeeds", None, "succeeds.a"),
        (f"/w/succeeds.a{CREATE}", "sk-succeeds.a", "succeeds.a", "succeeds.a"),
        (f"/w/succeeds{CREATE}", "sk-sucseeds", None, "succeeds"),
        (CREATE, "anything", "succeeds.b", "succeeds.b"),
        (CREATE, "sk-succeeds", "succeeds.b", "succeeds.b"),
        (f"/w/succeeds.a/apis/v1{VIDEO}", "x", None, "succeeds.a"),
    ],
)
def test_an_address_or_a_header_picks_the_world(path: str, key: str, header: str | None, world: str) -> None:
    """Address, header and key pick the same worlds, in either dialect, and a task is found in its world only."""
    asking = client()
    reply = asking.send("POST", path, key, header, BODY)
    assert reply.status == 200, reply.body
    assert asking.worlds.names() == [world]
    task_id = content(reply)["output"]["task_id"]
    found = asking.worlds.named(world)
    assert found is not None
    assert list(found.engine.tasks) == [task_id]
    assert found.engine.journal.entries[0].path.endswith(VIDEO), "a line tells the service's path"


@pytest.mark.parametrize(
    ("path", "key", "header", "status", "sentence"),
    [
        (f"/w/succeeds.a{CREATE}", "x", "succeeds.b", 400, "X-Fake-World differ"),
        (f"/w/succeeds.a{CREATE}", "x", "", 400, "X-Fake-World differ"),
        (f"/w/succeeds.a{CREATE}", "sk-bad-gateway", None, 400, "The key is that of the world bad-gateway"),
        (f"/w/succeeds.a{CREATE}", "sk-succeeds.b", None, 400, "The key is that of the world succeeds.b"),
        (f"/w/sucseeds{CREATE}", "x", None, 404, "Did you mean succeeds?"),
        (f"/w/sk-sucseeds{CREATE}", "x", None, 404, "Did you mean succeeds?"),
        (f"/w/{CREATE}", "x", None, 404, "names no scenario"),
        (CREATE, "x", "", 404, "names no scenario"),
        (CREATE, "x", "succeeds.a b", 404, "1 to 64 letters"),
        (CREATE, "x", "succeeds." + "y" * 65, 404, "1 to 64 letters"),
        (CREATE, "x", "succeeds~0123456789abcdef", 404, "names no scenario"),
        (f"/w/succeeds.a{CREATE}", "", None, 401, "No API-key provided"),
        (f"/w/succeeds.a{CREATE}", "sk-invalid", None, 401, "Invalid API-key"),
        (CREATE, "sk-invalid", "succeeds.a", 401, "Invalid API-key"),
    ],
)
def test_what_contradicts_itself_or_names_nothing_is_told(
    path: str, key: str, header: str | None, status: int, sentence: str
) -> None:
    """Two names for two worlds are refused rather than one of them played in silence; names of nothing are a 404 with
    the nearest; a missing or rejected key is a 401 wherever it is sent."""
    reply = client().send("POST", path, key, header, BODY)
    assert reply.status == status
    assert sentence in content(reply)["message"]


def test_the_world_of_a_strangers_key_is_his(fake: Running) -> None:
    """A world that is named by the hash of a key is reached by that key only, also through its address; its assets, as
    all assets, by whoever has the URL."""
    asking = client()
    asking.send("POST", CREATE, "my-very-own-key-0123456789", None, BODY)
    (name,) = asking.worlds.names()
    assert asking.send("POST", f"/w/{name}{CREATE}", "my-very-own-key-0123456789", None, BODY).status == 200
    assert asking.send("POST", f"/w/{name}{CREATE}", "another-key-0123456789", None, BODY).status == 404
    assert asking.worlds.names() == [name]
    answer = fake.client.post(f"/w/{name}{CREATE}", headers={"Authorization": "Bearer x", **dict([ASYNC])})
    assert answer.status_code == 404


@UNTIMED
@given(st.text(max_size=80))
def test_any_name_is_a_choice_or_a_refusal(name: str) -> None:
    """Whatever stands in an address or header, it is a world whose name is safe in a URL, or a 404 that does not repeat
    what was sent."""
    for whole in (name, f"succeeds.{name}", f"sk-{name}"):
        choice = read_name(whole, NAMES)
        if isinstance(choice, Choice):
            assert choice.world == whole
            assert whole.isascii()
            assert len(whole) <= 130
        else:
            assert len(name) < 8 or name not in choice.message


def test_assets_are_reached_through_the_world_that_made_them(fake: Running) -> None:
    """The URL of what a task made names its world, whichever way the task was asked for, and works without a key."""
    base, headers = "/w/running-at-once.assets/api/v1", {"Authorization": "Bearer any", "X-DashScope-Async": "enable"}
    task_id = fake.client.post(base + VIDEO, content=BODY, headers=headers).json()["output"]["task_id"]
    path = f"/__admin/worlds/running-at-once.assets/tasks/{task_id}/move"
    assert fake.client.post(path, json={"status": "SUCCEEDED"}).status_code == 200
    by_header = {"Authorization": "Bearer any", "X-Fake-World": "running-at-once.assets"}
    urls = [
        fake.client.get(f"{base}/tasks/{task_id}", headers=headers).json()["output"]["video_url"],
        fake.client.get(f"/api/v1/tasks/{task_id}", headers=by_header).json()["output"]["video_url"],
    ]
    assert urls == [f"{fake.url}/w/running-at-once.assets/assets/{task_id}.mp4"] * 2
    assert fake.client.get(urls[0]).status_code == 200
    assert fake.client.get(urls[0].replace("once.assets", "once.other")).status_code == 404


SECRET = "sk-4f9a1c77d02e48b6a3c5e8f7"


def test_no_key_is_ever_told(fake: Running) -> None:
    """A key that is sent as key, in a path, in a query, as a world or as a task's id stands in no journal and on no
    page, and in no name of a world."""
    bearer = {"Authorization": f"Bearer {SECRET}"}
    fake.client.post(CREATE, content=BODY, headers={**bearer, **dict([ASYNC])})
    for path in (
        f"/w/{SECRET}{CREATE}",
        f"/api/v1/tasks/{SECRET}",
        f"/v1/{SECRET}/x?api_key={SECRET}",
        f"/w/{SECRET}/x",
    ):
        fake.client.get(path, headers=bearer)
        fake.client.get(path)
    fake.client.get("/api/v1/quotas", headers={**bearer, "X-Fake-World": SECRET})
    names = [*fake.worlds.names(), "~lobby"]
    pages = ["/worlds", "/health", "/scenarios", *(f"/worlds/{name}/{page}" for name in names for page in PAGES)]
    assert not [page for page in pages if SECRET[3:] in json.dumps(fake.admin(page))]


PAGES = ("journal", "tasks", "bill", "unmatched", "verdict", "faults")


class Model:
    """What should be in each world."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[str]] = {tail: [] for tail in TAILS}
        self.requests = dict.fromkeys(TAILS, 0)
        self.seconds = dict.fromkeys(TAILS, 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(TAILS),
        st.sampled_from(["create", "poll", "poll another's", "cancel", "list", "advance", "reset"]),
        st.sampled_from(["key", "address", "header"]),
    ),
    max_size=30,
)


@settings(UNTIMED, max_examples=examples(60))
@given(STEPS)
def test_worlds_never_meet(steps: list[tuple[str, str, str]]) -> None:
    """However clients of several worlds take turns, by whichever way they name them: each sees its own tasks, clock,
    quotas, journal and bill, and what one does (a cap that is full, a reset, time that passes) no other notices."""
    asking, model = client(), Model()
    for tail, what, way in steps:
        take_step(asking, model, tail, what, way)
    for tail in TAILS:
        world = asking.worlds.named(f"stuck-running.{tail}")
        if world is None:
            assert model.requests[tail] == 0
            continue
        assert list(world.engine.tasks) == model.tasks[tail]
        assert len(world.engine.bill(world.now()).tasks) == len(model.tasks[tail])
        assert world.engine.journal.counters["requests"] == model.requests[tail]
        assert world.now().monotonic_s == model.seconds[tail]


def take_step(asking: Client, model: Model, tail: str, what: str, way: str) -> None:
    """One thing done in one world, and what should come of it."""
    name = f"stuck-running.{tail}"

    def send(method: str, path: str, body: bytes = b"") -> Any:
        model.requests[tail] += 1
        if way == "address":
            return asking.send(method, f"/w/{name}{path}", "k", None, body)
        return asking.send(method, path, f"sk-{name}" if way == "key" else "k", name if way == "header" else None, body)

    mine = model.tasks[tail]
    others = [task_id for other in TAILS if other != tail for task_id in model.tasks[other]]
    if what == "create":
        reply = send("POST", f"/apis/v1{VIDEO}", BODY)
        assert reply.status == (429 if len(mine) >= 3 else 200), "the cap is three tasks of one's own"
        mine += [content(reply)["output"]["task_id"]] if reply.status == 200 else []
    elif what in ("poll", "poll another's"):
        wanted = mine if what == "poll" else others
        for task_id in wanted[-1:]:
            status = content(send("GET", f"/apis/v1/services/aigc/tasks/{task_id}"))["output"]["task_status"]
            assert (status == "UNKNOWN") == (task_id not in mine)
    elif what == "cancel":
        for task_id in others[-1:]:
            assert send("POST", f"/api/v1/tasks/{task_id}/cancel").status == 400
    elif what == "list":
        assert content(send("GET", "/api/v1/tasks/"))["total"] == 0, "the vendor lists none of the gateway's tasks"
    else:
        world = asking.worlds.named(name)
        if world is not None and what == "reset":
            asking.worlds.reset(world)
            model.tasks[tail], model.requests[tail] = [], 0
        elif world is not None:
            world.clock.advance(0.5)  # type: ignore[union-attr]  # manual
            model.seconds[tail] += 0.5
