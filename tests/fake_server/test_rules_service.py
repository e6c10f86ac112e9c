"""What the service keeps, counts and shows: room for text, lives in order, addresses, failures without a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fake_server.engine import Reply
from fake_server.operating import Operator
from fake_server.rules.rendering import folder_of
from fake_server.rules.room import Room
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand, content, header, scenario_from
from tests.fake_server.faulty import AT_ONCE, fault, hand_with
from tests.fake_server.test_endpoints import create_at, created_at, fetched

if TYPE_CHECKING:
    from pathlib import Path

FAILS = Lifecycle((Step("FAILED"),))
STAYS = Lifecycle((Step("RUNNING"),))


def hand_on(*lives: Lifecycle, dialect: str = "dashscope", **options: Any) -> Hand:
    """A hand on a world with these lives and many slots."""
    scenario = Scenario("drawn", "Drawn.", lives, Expect(("SUCCEEDED",)), quotas=Quotas(concurrent_tasks=100))
    return Hand.on(scenario, dialect, **options)


def with_prompt(length: int) -> bytes:
    """A create with a prompt of so many characters."""
    return b'{"model": "m", "input": {"prompt": "%s"}}' % (b"x" * length)


def refused(hand: Hand, length: int) -> str:
    """The sentence of a create that must be refused for want of room."""
    reply = hand.create(with_prompt(length))
    assert isinstance(reply, Reply)
    assert reply.status == 503
    return str(content(reply)["message"])


def test_a_world_keeps_text_to_the_last_character(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it kept counts, what it refused does not, and the very last character fits."""
    monkeypatch.setattr("fake_server.rules.service.MOST_TEXT_CHARACTERS", 10)
    hand = hand_on(AT_ONCE)
    hand.created(with_prompt(6))
    sentence = "this world keeps 10 characters and takes no more"
    assert refused(hand, 5) == sentence
    hand.created(with_prompt(4))
    assert refused(hand, 1) == sentence


def test_a_world_gives_back_all_that_it_took_of_the_common_room() -> None:
    """Tasks and their text take room that all worlds share; a create without room is told what helps; given up, a world
    leaves nothing behind."""
    room = Room(3, 21)
    hand = hand_on(AT_ONCE, room=room)
    for length in (5, 6):
        hand.created(with_prompt(length))
    sentence = "all worlds together hold as many tasks as they may; reset one"
    assert refused(hand, 11) == sentence
    hand.created(with_prompt(9))
    assert refused(hand, 1) == sentence
    hand.engine.give_up()
    for _ in range(3):
        assert room.has_place(6)
        room.take(6)
    assert room.has_place(2) is False, "three tasks"
    room.give_back(1, 0)
    assert room.has_place(3)
    assert not room.has_place(4), "eighteen characters"


def test_each_synchronous_create_has_the_next_life() -> None:
    """A create that failed has used up its life, and only that."""
    hand = hand_on(FAILS, AT_ONCE, STAYS)
    replies = [create_at(hand, "image-synchronous") for _ in range(3)]
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [500, 200, 500]
    assert [content(reply).get("code") for reply in (replies[0], replies[2]) if isinstance(reply, Reply)] == [
        "InternalError.Algo",
        "InternalError.Timeout",
    ]


def test_every_result_of_a_doubled_create_is_billed() -> None:
    """Whoever makes two results with one request, again and again, pays for each of them."""
    hand = hand_with(fault("duplicated_create"), life=AT_ONCE)
    for _ in range(3):
        create_at(hand, "image-synchronous")
    rows = hand.engine.bill(hand.now).tasks
    assert [row.status for row in rows] == ["SUCCEEDED"] * 6
    assert len({row.task_id for row in rows}) == 6


@pytest.mark.parametrize(("age_s", "status"), [(29.9, "RUNNING"), (30.0, "UNKNOWN")])
def test_a_task_is_remembered_for_its_retention_from_its_own_submission(
    tmp_path: Path, age_s: float, status: str
) -> None:
    """It is the age of the task that counts, whenever the world began."""
    text = "version: 1\nsummary: x.\nretention: 30s\ntasks: [RUNNING]\nexpect: {outcome: STILL_GOING}\n"
    hand = Hand.on(scenario_from(tmp_path, text))
    hand.now_s = 100.0
    task_id = hand.created()
    hand.now_s = 100.0 + age_s
    assert hand.status(task_id) == status


def test_an_address_names_origin_world_task_and_item() -> None:
    """Assets are under the origin by which the client reached the world, and each has its place there."""
    assert folder_of("https://fake.example:8443", "mine").url == "https://fake.example:8443/w/mine/assets"
    hand = hand_on(AT_ONCE)
    task_id = hand.created()
    assert hand.output(task_id)["video_url"] == f"http://fake.test/w/w1/assets/{task_id}.mp4"


def test_a_failure_without_a_code_is_the_models() -> None:
    """A script that names no reason lets the model fail, in the vendor's words."""
    hand = hand_on(FAILS)
    output = hand.output(hand.created())
    assert (output["code"], output["message"]) == ("InternalError.Algo", "The model failed to produce a result.")


def test_a_transcription_is_json() -> None:
    """The document behind a transcription's address is served as JSON."""
    hand = hand_on(AT_ONCE)
    [row] = hand.output(created_at(hand, "transcription"))["results"]
    reply = fetched(hand, row["transcription_url"])
    assert (reply.status, header(reply, "content-type")) == (200, "application/json")
    assert content(reply)["file_url"] == row["file_url"]


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("video", {".mp4": "video/mp4", ".png": "image/png"}),
        ("model-3d", {".glb": "model/gltf-binary", ".png": "image/png"}),
        ("text-to-image", {"/0.png": "image/png"}),
        ("transcription", {"/0.json": "application/json"}),
    ],
)
def test_a_task_has_the_assets_of_its_kind_and_no_others(name: str, served: dict[str, str]) -> None:
    """A video has a picture of itself, a model its preview, and what comes in several items is numbered."""
    hand = hand_on(AT_ONCE)
    task_id = created_at(hand, name, **({"n": 1} if name == "text-to-image" else {}))
    found = {}
    for place in ("", "/0", "/1"):
        for extension in ("mp4", "png", "glb", "json"):
            reply = fetched(hand, f"/w/w1/assets/{task_id}{place}.{extension}")
            if reply.status == 200:
                found[f"{place}.{extension}"] = header(reply, "content-type")
    assert found == served


def test_addresses_that_an_operator_lets_expire_are_gone_at_that_instant() -> None:
    """In the very second of a task's end, too, its address can be made to expire; until then it serves."""
    hand = hand_on(AT_ONCE)
    task_id = hand.created()
    url = hand.output(task_id)["video_url"]
    assert fetched(hand, url).status == 200
    Operator(hand.engine, hand.now).expire(task_id, "urls")
    assert fetched(hand, url).status == 403


@pytest.mark.parametrize("step", [Step("FAILED"), Step("CANCELED"), Step("RUNNING"), Step("UNKNOWN"), Step("FROZEN")])
def test_what_has_not_succeeded_has_no_asset(step: Step) -> None:
    """Only a task that succeeded made anything: under the address that it would have had there is nothing."""
    hand = hand_on(Lifecycle((step,)))
    reply = fetched(hand, f"/w/w1/assets/{hand.created()}.mp4")
    assert (reply.status, b"<Code>NoSuchKey</Code>" in reply.body) == (404, True)


@pytest.mark.parametrize(("age_s", "statuses"), [(7_199.0, [200, 200]), (7_200.0, [200, 403]), (86_400.0, [403, 403])])
def test_addresses_of_models_end_after_two_hours_and_others_after_a_day(age_s: float, statuses: list[int]) -> None:
    """The two hours are for 3D models alone, where a scenario leaves a day to all."""
    hand = hand_on(AT_ONCE)
    video, model = hand.created(), created_at(hand, "model-3d")
    urls = [hand.output(video)["video_url"], hand.output(model)["results"]["pbr_model_url"]]
    hand.now_s = age_s
    assert [fetched(hand, url).status for url in urls] == statuses


def test_a_fault_may_name_the_task_that_a_create_would_make() -> None:
    """`task: 2` strikes the second create and what is asked about its task, and nothing else."""
    hand = hand_with(fault("status", status=503, on=["create", "query"], task=2, nth=[1, 3]), life=STAYS)
    seen = []
    for _ in range(3):
        reply = hand.create()
        assert isinstance(reply, Reply)
        seen.append(reply.status)
    assert seen == [200, 503, 200], "the second made no task, so the third is the second task's"
    first, second = hand.engine.tasks
    assert hand.ask("GET", f"/api/v1/tasks/{first}").status == 200
    assert [hand.ask("GET", f"/api/v1/tasks/{second}").status for _ in range(2)] == [503, 200]


def test_the_journal_has_the_hint_of_a_scripted_answer_with_a_body_of_its_own(tmp_path: Path) -> None:
    """A `Retry-After` that was sent stands in the journal, also beside a body that a scenario spells out."""
    script = "create:\n  - {status: 503, times: 2, retry_after: 4s, body: {busy: true}, headers: {X-Trace: '7'}}\n"
    text = f"version: 1\nsummary: x.\n{script}tasks: [SUCCEEDED]\nexpect: {{outcome: SUCCEEDED}}\n"
    hand = Hand.on(scenario_from(tmp_path, text))
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert (reply.status, content(reply), header(reply, "retry-after")) == (503, {"busy": True}, "4")
    assert header(reply, "x-trace") == "7"
    assert hand.engine.journal.entries[-1].retry_after == "4"
    assert header(reply, "content-type") == "application/json"
    assert hand.create().status == 503  # type: ignore[union-attr]  # as the first
    assert hand.engine.journal.counters["faults_fired"] == 2


def test_rate_headers_of_a_refusal_stand_beside_its_others() -> None:
    """A refusal with rate headers keeps its content type and the headers that were asked for."""
    rate = {"limit": 60, "remaining": 0, "reset": "12s", "form": "seconds"}
    keys: dict[str, Any] = {"rate_headers": rate, "headers": {"X-Trace": "7"}, "content_type": "text/plain"}
    hand = hand_with(fault("status", status=429, on="create", **keys))
    reply = hand.create()
    assert isinstance(reply, Reply)
    names = ("content-type", "x-trace", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests")
    assert [header(reply, name) for name in names] == ["text/plain", "7", "60", "12"]
