"""The admin pages over a socket: each answers its own example, and every mistake is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from fake_server.admin import PAGES
from fake_server.app import make_app

if TYPE_CHECKING:
    from fake_server.admin.pages import Page
    from tests.fake_server.conftest import Running, Start

STREAMS = "text/event-stream"


def path_of(page: Page, world: str, task_id: str = "none", fault: str = "none") -> str:
    """A page's path with its parts filled in."""
    scenario = "from-its-example" if page.verb == "POST" else "succeeds"
    parts = {"world": world, "task_id": task_id, "scenario": scenario, "fault_id": fault}
    return "/__admin" + page.path.format(**parts) + page.example_query


def ask(fake: Running, page: Page, path: str, **options: Any) -> httpx.Response:
    """A page, asked with its own example as body."""
    if page.body is not None:
        example = page.body.example
        options["content"] = example if isinstance(example, str) else json.dumps(example)
    return fake.client.request(page.verb, path, **options)


@pytest.mark.parametrize("page", [page for page in PAGES if page.media_type != STREAMS], ids=lambda page: page.name)
def test_every_page_answers_its_example_in_its_shape(fake: Running, page: Page) -> None:
    """The example that the index shows for a page works, and the answer has the shape that openapi.json tells."""
    world = f"stuck-running.{page.name}"
    key = f"sk-{world}"
    task_id = fake.create(key).json()["output"]["task_id"]
    fault = fake.client.post(f"/__admin/worlds/{world}/faults", json={"fault": "status", "status": 503, "on": ["list"]})
    fake.client.get("/api/v1/task/slip", headers={"Authorization": f"Bearer {key}"})
    answer = ask(fake, page, path_of(page, world, task_id, fault.json()["id"]))
    assert answer.status_code == page.status, answer.text
    Draft202012Validator(page.answer).validate(answer.json())


@pytest.mark.parametrize("path", ["/__admin", "/__admin/"])
def test_the_index_lists_what_is_served(fake: Running, path: str) -> None:
    """Whoever asks for the admin pages gets each with its method, a line and an example; none other is served."""
    pages = fake.client.get(path).json()["pages"]
    assert all(page["what"] for page in pages)
    listed = {(page["method"], page["path"].partition("?")[0]) for page in pages}
    routes = [route for route in make_app(fake.worlds).routes if isinstance(route, Route)]
    served = {(verb, route.path) for route in routes for verb in (route.methods or set()) - {"HEAD"}}
    assert served == listed | {("GET", "/__admin"), ("GET", "/__admin/")}
    assert "/__admin/worlds/{world}/verdict?outcome=SUCCEEDED" in [page["path"] for page in pages]


WITH_A_BODY = [page for page in PAGES if page.body is not None and page.body.media_type == "application/json"]


@pytest.mark.parametrize("page", WITH_A_BODY, ids=lambda page: page.name)
def test_an_unknown_key_is_a_mistake_and_its_neighbour_is_named(fake: Running, page: Page) -> None:
    """A key that a body may not have is refused with a pointer, and with the key that was meant where one is near."""
    assert page.body is not None
    world = "succeeds.unknown-key"
    task_id = fake.create(f"sk-{world}").json()["output"]["task_id"]
    known = next(iter(page.body.example))
    slip = known + known[-1]
    answer = fake.client.request(page.verb, path_of(page, world, task_id), json={**page.body.example, slip: 1})
    assert answer.status_code == 400, answer.text
    errors = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert any(pointer.endswith(f"/{slip}") and slip in detail for pointer, detail in errors.items()), errors
    if page.name != "arm_fault":
        assert f"did you mean {known}?" in errors[f"/{slip}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_unknown_parameter_is_a_mistake(fake: Running, page: Page) -> None:
    """What a query may not hold is refused, rather than passed over in silence."""
    fake.client.post("/__admin/worlds", json={"world": "succeeds.parameter"})
    path = path_of(page, "succeeds.parameter").partition("?")[0]
    answer = ask(fake, page, path + "?afterr=1")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == "?afterr"


@pytest.mark.parametrize("page", [page for page in PAGES if "{world}" in page.path], ids=lambda page: page.name)
def test_a_world_that_is_not_there_is_a_404(fake: Running, page: Page) -> None:
    """No page makes a world by being asked about it."""
    before = fake.worlds.names()
    answer = ask(fake, page, path_of(page, "succeeds.nobody-made-me"))
    assert answer.status_code == 404
    assert "there is no world of this name" in answer.json()["errors"][0]["detail"]
    assert fake.worlds.names() == before


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/worlds", "GET, POST"),
        ("PATCH", "/health", "GET"),
        ("OPTIONS", "/worlds/x/quotas", "GET, PUT"),
        ("GET", "/worlds/x/tasks/y/move", "POST"),
        ("POST", "/", "GET"),
    ],
)
def test_a_verb_that_a_page_does_not_take_is_a_405(fake: Running, method: str, path: str, allowed: str) -> None:
    """The answer to another verb tells which there are, as HTTP wants it."""
    answer = fake.client.request(method, "/__admin" + path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_path_that_is_nearly_a_page_is_told_so(fake: Running) -> None:
    """A slip in the path of a page is a 404 that names the page."""
    answer = fake.client.get("/__admin/scenaros")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["detail"].endswith("did you mean /scenarios?")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"seconds": 1, "seconds": 2}', "found the key 'seconds' twice"),
        (b"[" * 60_000, "not JSON"),
        (b'{"seconds": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'"x"', "found no object"),
    ],
)
def test_a_body_beyond_reason_is_told(fake: Running, body: bytes, detail: str) -> None:
    """Twice the same key, nesting and numbers without end, and bytes that are no text are mistakes like others."""
    fake.client.post("/__admin/worlds", json={"world": "succeeds.bodies"})
    answer = fake.client.post("/__admin/worlds/succeeds.bodies/clock/advance", content=body)
    assert answer.status_code == 400
    assert detail in answer.json()["errors"][0]["detail"]


def test_a_scenario_can_be_handed_in_and_replaced(fake: Running) -> None:
    """A scenario in YAML or JSON is played by worlds made after it, by key and by name; a file's is never replaced."""
    text = "version: 1\nsummary: First.\ntasks: [RUNNING]\nexpect: {outcome: STILL_GOING}\n"
    assert fake.create("sk-handed-in").status_code == 200  # Nobody's scenario yet: the default, in a private world.
    assert fake.client.post("/__admin/scenarios/handed-in", content=text).status_code == 201
    assert fake.create("sk-handed-in.a").json()["output"]["task_status"] == "RUNNING"
    assert fake.create("sk-handed-in").json()["output"]["task_status"] == "RUNNING", "no slip any more"
    as_json = {"version": 1, "summary": "Second.", "tasks": ["PENDING"], "expect": {"outcome": "STILL_GOING"}}
    assert fake.client.post("/__admin/scenarios/handed-in", json=as_json).status_code == 201
    assert fake.create("sk-handed-in.b").json()["output"]["task_status"] == "PENDING"
    assert fake.create("sk-handed-in.a").json()["output"]["task_status"] == "RUNNING"
    assert fake.admin("/scenarios/handed-in")["summary"] == "Second."
    assert fake.client.post("/__admin/scenarios/succeeds", content=text).status_code == 409
    assert fake.client.post("/__admin/scenarios/Not%20a%20name", content=text).status_code == 400
    assert fake.client.get("/__admin/scenarios/handed-inn").status_code == 404


def test_handed_in_scenarios_are_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound only those that are there can be replaced."""
    monkeypatch.setattr("fake_server.worlds.MOST_POSTED", 2)
    own = start()
    text = "version: 1\nsummary: One.\ntasks: [RUNNING]\nexpect: {outcome: STILL_GOING}\n"
    names = ["one", "two", "three", "one"]
    answers = [own.client.post(f"/__admin/scenarios/{name}", content=text).status_code for name in names]
    assert answers == [201, 201, 503, 201]
    assert own.client.post("/__admin/scenarios/one", content="x" * 100_001).status_code == 413


def test_a_broken_scenario_is_told_with_every_place(fake: Running) -> None:
    """Each mistake in a scenario has its pointer, line and column; to look at one takes it nowhere."""
    text = "version: 1\nsumary: Slip.\ntasks:\n  - PENDING 2s -> RUNING 3s -> SUCCEEDED\nexpect: {outcome: WON}\n"
    answer = fake.client.post("/__admin/scenarios/slips", content=text)
    assert answer.status_code == 400
    places = [(error["pointer"], error["line"]) for error in answer.json()["errors"]]
    assert ("/sumary", 2) in places
    assert ("/tasks/0", 4) in places
    assert ("/expect/outcome", 5) in places
    looked = fake.client.post("/__admin/validate", content=text).json()
    assert (looked["valid"], looked["errors"]) == (False, answer.json()["errors"])
    assert fake.client.post("/__admin/validate", content="{").json()["errors"][0]["line"] == 1
    assert "slips" not in fake.worlds.scenarios


def test_an_unmatched_request_is_explained(fake: Running) -> None:
    """The 404 and the page name the nearest routes and what differs; requests without a key are found in the lobby."""
    key = {"Authorization": "Bearer sk-succeeds.slip"}
    answer = fake.client.get("/apis/v1/services/aigc/task/42", headers=key)
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    wanted = "GET /apis/v1/services/aigc/tasks/{task_id} (segment 5 of the path: found task, expected tasks)"
    assert wanted in message
    (row,) = fake.admin("/worlds/succeeds.slip/unmatched")["requests"]
    assert row["entry"]["path"] == "/apis/v1/services/aigc/task/42"
    assert row["nearest"][0] == {
        "route": "GET /apis/v1/services/aigc/tasks/{task_id}",
        "differences": [{"field": "segment 5 of the path", "found": "task", "expected": "tasks"}],
    }
    fake.client.get("/v1/nothing/like/it")
    assert "/v1/nothing/like/it" in json.dumps(fake.admin("/worlds/~lobby/unmatched"))


def test_lines_are_found_and_counted_by_the_same_conditions(fake: Running) -> None:
    """Find gives the lines that all conditions mean, count how many, and both say whether the journal is whole."""
    key, world = "sk-throttled-poll.find", "throttled-poll.find"
    task_id = fake.create(key).json()["output"]["task_id"]
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(3):
        fake.client.get(f"/api/v1/tasks/{task_id}", headers=headers)
        fake.advance(world, 1.0)

    def count(**matcher: Any) -> int:
        counted = fake.client.post(f"/__admin/worlds/{world}/journal/count", json=matcher).raise_for_status().json()
        found = fake.client.post(f"/__admin/worlds/{world}/journal/find", json={**matcher, "limit": 1}).json()
        assert (counted["complete"], found["count"]) == (True, counted["count"])
        assert len(found["entries"]) == min(1, counted["count"])
        return int(counted["count"])

    assert count() == 4
    assert count(route="query") == count(path="/api/v1/tasks/*") == count(task_id=task_id) - 1 == 3
    assert count(status="4xx") == count(status=429) == count(fault=True) == count(fault="poll throttle*") >= 1
    assert count(header="x-dashscope-async") == count(method="post") == count(route=["create", "cancel"]) == 1
    assert count(**{"route": "query", "from": "1s", "to": 2}) == 1
    assert count(without_header=["authorization"]) == 0


def test_the_journal_can_be_read_on_from_a_line(fake: Running) -> None:
    """A reader of the journal takes up after the last line it has seen, a page at a time."""
    key = "sk-succeeds.pages"
    for _ in range(5):
        fake.client.get("/api/v1/tasks/x", headers={"Authorization": f"Bearer {key}"})
        fake.advance("succeeds.pages", 1.0)
    ordinals = [entry["ordinal"] for entry in fake.admin("/worlds/succeeds.pages/journal?after=2&limit=2")["entries"]]
    assert ordinals == [3, 4]
    assert fake.client.get("/__admin/worlds/succeeds.pages/journal?after=-1").status_code == 400


def test_all_worlds_can_be_reset(start: Start) -> None:
    """One request begins every world anew."""
    own = start()
    for tail in "ab":
        own.create(f"sk-succeeds.{tail}")
    answer = own.client.post("/__admin/reset").json()
    assert [(world["world"], world["requests"]) for world in answer["worlds"]] == [("succeeds.a", 0), ("succeeds.b", 0)]
    assert own.admin("/worlds/succeeds.a/bill")["tasks"] == []


def test_worlds_that_are_given_up_are_told_of(start: Start) -> None:
    """Health and the teller name a world that was given up, and what it had come to."""
    told: list[str] = []
    own = start(most_worlds=1, tell=told.append)
    task_id = own.create("sk-succeeds.gone").json()["output"]["task_id"]
    own.client.post(f"/__admin/worlds/succeeds.gone/tasks/{task_id}/cancel")
    own.client.post("/__admin/worlds", json={"world": "succeeds"})
    health = own.admin("/health")
    (row,) = health["last_dropped"]
    assert row == {"world": "succeeds.gone", "requests": 1, "billed_tasks": 0, "total": row["total"]}
    assert (health["worlds"], health["dropped"], float(row["total"])) == (1, 1, 0.0)
    (sentence,) = told
    assert sentence.startswith("gave up the world succeeds.gone (1 requests, 0 billed tasks) to make room")
