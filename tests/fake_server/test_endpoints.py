"""Every create endpoint: who may ask, what comes out, where its assets are, and what it costs."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.engine import Drop, Reply
from fake_server.rules.downloads import sample
from fake_server.scenario import Expect, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import DEFAULT_REQUESTS
from fake_server.wire.endpoints import BY_NAME, OFFERED
from fake_server.wire.results import Failure
from tests.fake_server.driving import (
    ASYNC,
    BASES,
    KEY,
    UNTIMED,
    Hand,
    content,
    header,
    lifecycle_scenario,
    scenario_from,
)

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "DataInspectionFailed"
SYNCHRONOUS = "image-synchronous"
OFFERS = [(dialect, endpoint.name) for dialect, offered in OFFERED.items() for endpoint in offered]
WITH_TASKS = [endpoint.name for endpoint in OFFERED["dashscope"] if not endpoint.synchronous]


def body_for(name: str, **parameters: Any) -> bytes:
    """The body that a driver would send to an endpoint."""
    model, given, usual = DEFAULT_REQUESTS[name]  # type: ignore[index]  # names come from the table itself
    return json.dumps({"model": model, "input": given, "parameters": {**usual, **parameters}}).encode()


def create_at(hand: Hand, name: str, body: bytes | None = None, **parameters: Any) -> Reply | Drop:
    """A create at an endpoint, with the header that it wants."""
    headers = hand.headers if BY_NAME[name].synchronous else (*hand.headers, ASYNC)
    path = BASES[hand.dialect] + BY_NAME[name].path
    return hand.send("POST", path, headers=headers, body=body or body_for(name, **parameters))


def created_at(hand: Hand, name: str, **parameters: Any) -> str:
    """A create that must work; the id."""
    reply = create_at(hand, name, **parameters)
    assert isinstance(reply, Reply)
    assert reply.status == 200, reply.body
    return str(content(reply)["output"]["task_id"])


def answered(reply: Reply | Drop) -> Any:
    """The body of a reply that must be there and fine."""
    assert isinstance(reply, Reply)
    assert reply.status == 200, reply.body
    return content(reply)


def fetched(hand: Hand, url: str) -> Reply:
    """The asset under a URL of an answer."""
    return hand.ask("GET", url.removeprefix("http://fake.test"), headers=())


def with_results(folder: Path, results: str, extra: str = "") -> Scenario:
    """A scenario of one life whose items are scripted."""
    return lifecycle_scenario(folder, f"{{lifecycle: SUCCEEDED, results: {results}}}", extra=extra)


@pytest.mark.parametrize(("dialect", "name"), OFFERS)
def test_each_endpoint_wants_its_own_header(tmp_path: Path, dialect: str, name: str) -> None:
    """With the wrong async header, or its absence, a create is a 403 that says which calls are not supported; with the
    right one it is accepted; a scenario can make the header play no role."""
    scenario = lifecycle_scenario(tmp_path, "SUCCEEDED")
    hand = Hand.on(scenario, dialect)
    path, synchronous = BASES[dialect] + BY_NAME[name].path, BY_NAME[name].synchronous
    wrong = (KEY, ASYNC) if synchronous else (KEY,)
    reply = hand.ask("POST", path, headers=wrong, body=body_for(name))
    assert reply.status == 403
    said = content(reply)["error"] if dialect == "aisa" else content(reply)
    assert said["code"] == ("access_denied" if dialect == "aisa" else "AccessDenied")
    forbidden = "asynchronous" if synchronous else "synchronous"
    assert said["message"] == f"current user api does not support {forbidden} calls"
    assert hand.engine.bill(hand.now).tasks == ()
    assert answered(create_at(hand, name))["output"]
    lenient = lifecycle_scenario(tmp_path, "SUCCEEDED", extra="service: {async_header: ignored}")
    assert Hand.on(lenient, dialect).ask("POST", path, headers=wrong, body=body_for(name)).status == 200


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {endpoint.name for endpoint in OFFERED["aisa"]}))
def test_the_gateway_has_videos_and_synchronous_images_only(tmp_path: Path, name: str) -> None:
    """Every other create is a 404 in `aisa` that lists what is there."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"), "aisa")
    reply = hand.ask("POST", "/apis/v1" + BY_NAME[name].path, headers=(KEY, ASYNC), body=body_for(name))
    assert reply.status == 404
    assert content(reply)["error"]["code"] == "not_found"
    assert "POST /apis/v1/services/aigc/multimodal-generation/generation" in content(reply)["error"]["message"]


@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
def test_a_synchronous_image_comes_at_once(tmp_path: Path, dialect: str) -> None:
    """The answer holds the images, no task id and no status; they can be fetched and are billed."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "PENDING 2s -> RUNNING 20s -> SUCCEEDED"), dialect)
    body = answered(create_at(hand, SYNCHRONOUS, n=2))
    assert set(body) == {"output", "usage", "request_id"}
    assert set(body["output"]) == {"finished", "choices"}
    urls = [choice["message"]["content"][0]["image"] for choice in body["output"]["choices"]]
    assert len(set(urls)) == 2
    assert all(fetched(hand, url).body == sample("png").content for url in urls)
    bill = hand.engine.bill(hand.now)
    assert [(row.unit, row.quantity, row.amount, row.status) for row in bill.tasks] == [
        ("image", 2, Decimal("0.10"), "SUCCEEDED")
    ]
    assert hand.output(body["request_id"])["task_status"] == "UNKNOWN", "nobody can poll what has no task"
    assert hand.verdicts()["outcome"] == "NOT_EXERCISED"


@pytest.mark.parametrize(
    ("life", "dialect", "status", "code"),
    [
        ("FAILED DataInspectionFailed", "dashscope", 400, POLICY),
        ("FAILED DataInspectionFailed", "aisa", 422, "content_policy_violation"),
        ("FAILED InternalError.Algo", "dashscope", 500, "InternalError.Algo"),
        ("FAILED InvalidParameter", "aisa", 400, "invalid_request"),
        ("FAILED", "aisa", 500, "internal_error"),
        ("RUNNING", "dashscope", 500, "InternalError.Timeout"),
        ("RUNNING 3s -> CANCELED", "aisa", 504, "upstream_timeout"),
    ],
)
def test_a_synchronous_create_that_fails_is_an_error_and_free(
    tmp_path: Path, life: str, dialect: str, status: int, code: str
) -> None:
    """The end of the life is told as an error of the dialect, nothing is made, and the next create has the next."""
    hand = Hand.on(lifecycle_scenario(tmp_path, life, "SUCCEEDED"), dialect)
    reply = create_at(hand, SYNCHRONOUS)
    assert isinstance(reply, Reply)
    said = content(reply)["error"] if dialect == "aisa" else content(reply)
    assert (reply.status, said["code"]) == (status, code)
    assert said["message"]
    assert hand.engine.bill(hand.now).tasks == ()
    assert answered(create_at(hand, SYNCHRONOUS))
    assert hand.engine.bill(hand.now).billed_tasks == 1


@pytest.mark.parametrize(("when", "made"), [("before_commit", 0), ("after_commit", 1)])
@pytest.mark.parametrize("entry", ["drop: {}", "{{status: 502, when: {}}}"])
def test_a_lost_synchronous_answer_is_billed(tmp_path: Path, entry: str, when: str, made: int) -> None:
    """Whether an answer arrived does not matter to the bill: only whether the images were made."""
    if "status" in entry and when == "before_commit":
        entry = "{{status: 502}}"
    text = f"version: 1\nsummary: x.\ncreate:\n  - {entry.format(when)}\ntasks: [SUCCEEDED]\n"
    hand = Hand.on(scenario_from(tmp_path, f"{text}expect: {{outcome: IN_DOUBT, tasks_created: {made}}}\n"), "aisa")
    create_at(hand, SYNCHRONOUS)
    assert hand.engine.bill(hand.now).billed_tasks == made
    assert hand.verdicts()["tasks_created"] == "PASS"


def test_images_stand_in_results_with_their_metrics(tmp_path: Path) -> None:
    """Images up to wan2.5 have a URL of their own each, the prompts as documented, metrics and their count as usage;
    `actual_prompt` is left out where the prompt is not rewritten."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    for name in ("text-to-image", "image-to-image"):
        body = answered(hand.poll(created_at(hand, name, n=3)))
        rows = body["output"]["results"]
        assert [set(row) for row in rows] == [{"orig_prompt", "actual_prompt", "url"}] * 3
        assert len({row["url"] for row in rows}) == 3
        assert body["output"]["task_metrics"] == {"TOTAL": 3, "SUCCEEDED": 3, "FAILED": 0}
        assert body["usage"] == {"image_count": 3}
        assert all(header(fetched(hand, row["url"]), "content-type") == "image/png" for row in rows)
    plain = hand.output(created_at(hand, "text-to-image", prompt_extend=False))["results"]
    assert [set(row) for row in plain] == [{"orig_prompt", "url"}]


@pytest.mark.parametrize(
    ("name", "body", "images"),
    [
        ("text-to-image", b'{"model": "m", "input": {"prompt": "x"}}', 4),
        ("image-messages", b'{"model": "m", "input": {"messages": [{"content": [{"text": "x"}]}]}}', 1),
        ("text-to-image", b'{"model": "m", "input": {"prompt": "x"}, "parameters": {"n": 12}}', 12),
    ],
)
def test_how_many_images(tmp_path: Path, name: str, body: bytes, images: int) -> None:
    """`parameters.n` says how many images; without it there are as many as the format has by default."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    create_at(hand, name, body)
    assert [row.quantity for row in hand.engine.bill(hand.now).tasks] == [images]


WORDS = "prompt must contain words"
FILES = "input.file_urls is not a list of 1 to 100 URLs"
REFUSED = [
    ("video", {"prompt": ""}, {}, WORDS),
    ("video", {"prompt": " \n"}, {}, WORDS),
    ("video", {"prompt": ["a cat"]}, {}, "input.prompt is not a text"),
    ("text-to-image", {}, {}, "Field required: input.prompt"),
    ("text-to-image", {"prompt": "x"}, {"n": 0}, "parameters.n is not a whole number from 1 to 12"),
    ("text-to-image", {"prompt": "x"}, {"n": 13}, "parameters.n is not a whole number from 1 to 12"),
    ("text-to-image", {"prompt": "x"}, {"n": True}, "parameters.n is not a whole number from 1 to 12"),
    ("text-to-image", {"prompt": "x"}, {"n": "2"}, "parameters.n is not a whole number from 1 to 12"),
    ("image-messages", {"prompt": "x"}, {}, "Field required: input.messages"),
    ("image-messages", {"messages": []}, {}, "Field required: input.messages"),
    ("image-messages", {"messages": ["x"]}, {}, "Field required: input.messages[].content"),
    ("image-messages", {"messages": [{"content": "x"}]}, {}, "Field required: input.messages[].content"),
    (SYNCHRONOUS, {"messages": [{"content": [{"text": 1}, "x", {"image": "y"}]}]}, {}, WORDS),
    ("transcription", {}, {}, FILES),
    ("transcription", {"file_urls": []}, {}, FILES),
    ("transcription", {"file_urls": ["x"] * 101}, {}, FILES),
    ("transcription", {"file_urls": [1]}, {}, "input.file_urls holds something that is no URL"),
    ("transcription", {"file_urls": ["x" * 2_001]}, {}, "input.file_urls holds something that is no URL"),
]


@pytest.mark.parametrize(("name", "given", "parameters", "sentence"), REFUSED)
def test_what_is_missing_or_wrong_is_said(
    tmp_path: Path, name: str, given: dict[str, Any], parameters: dict[str, Any], sentence: str
) -> None:
    """Each endpoint wants its own input; what is wrong with it is one sentence of a 400, and makes nothing."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    body = json.dumps({"model": "m", "input": given, "parameters": parameters}).encode()
    reply = create_at(hand, name, body)
    assert isinstance(reply, Reply)
    assert (reply.status, content(reply)["code"]) == (400, "InvalidParameter")
    assert content(reply)["message"] == sentence
    assert hand.engine.bill(hand.now).tasks == ()


@pytest.mark.parametrize("name", ["video", "keyframe-video", "model-3d"])
def test_what_is_made_of_pictures_needs_no_prompt(tmp_path: Path, name: str) -> None:
    """Videos and 3D models are made without a prompt too."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    answered(create_at(hand, name, b'{"model": "m", "input": {"img_url": "https://example.com/a.png"}}'))


def test_partial_failure_is_a_success_that_costs_what_was_made(tmp_path: Path) -> None:
    """A scripted failure among the images is an item with code and message; usage, metrics, bill and assets count
    only the others."""
    scripted = "[ok, {code: DataInspectionFailed, message: Not this one.}, ok, {code: InternalError.Algo}]"
    hand = Hand.on(with_results(tmp_path, scripted))
    task_id = created_at(hand, "text-to-image", n=1)
    body = answered(hand.poll(task_id))
    rows = body["output"]["results"]
    assert body["output"]["task_status"] == "SUCCEEDED"
    assert rows[1] == {"code": POLICY, "message": "Not this one."}
    assert rows[3]["message"], "a code without a sentence gets the usual one"
    assert body["output"]["task_metrics"] == {"TOTAL": 4, "SUCCEEDED": 2, "FAILED": 2}
    assert body["usage"] == {"image_count": 2}
    assert fetched(hand, rows[2]["url"]).status == 200
    assert fetched(hand, f"/w/w1/assets/{task_id}/1.png").status == 404
    assert hand.engine.bill(hand.now).total == Decimal("0.06")
    choices = answered(hand.poll(created_at(hand, "image-messages")))["output"]["choices"]
    assert len(choices) == 2


def test_a_success_that_made_nothing_costs_nothing(tmp_path: Path) -> None:
    """Where every image failed the task still succeeded, and the bill is zero."""
    hand = Hand.on(with_results(tmp_path, f"[{{code: {POLICY}}}]"))
    assert hand.status(created_at(hand, "text-to-image")) == "SUCCEEDED"
    assert hand.engine.bill(hand.now).billed_tasks == 0


def test_images_in_messages(tmp_path: Path) -> None:
    """From wan2.6 on, images stand in the content of choices, and the task is finished."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    body = answered(hand.poll(created_at(hand, "image-messages", n=2)))
    assert body["output"]["finished"] is True
    parts = [choice["message"]["content"][0] for choice in body["output"]["choices"]]
    assert [part["type"] for part in parts] == ["image", "image"]
    assert all(fetched(hand, part["image"]).status == 200 for part in parts)
    assert body["usage"]["image_count"] == 2


def test_a_model_is_a_glb_for_two_hours(tmp_path: Path) -> None:
    """A 3D model has a GLB and a preview, costs by the model, and its URLs end after two hours, not a day."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    found = hand.output(created_at(hand, "model-3d"))["results"]
    model, preview = found["pbr_model_url"], found["rendered_image_url"]
    assert header(fetched(hand, model), "content-type") == "model/gltf-binary"
    assert header(fetched(hand, preview), "content-type") == "image/png"
    row = hand.engine.bill(hand.now).tasks[0]
    assert (row.unit, row.quantity, row.amount) == ("model", 1, Decimal("0.30"))
    hand.now_s = 7_199.0
    assert fetched(hand, model).status == 200
    hand.now_s = 7_200.0
    assert fetched(hand, model).status == 403


def test_the_sample_model_is_valid() -> None:
    """The GLB has its magic, version 2, a true length, a JSON chunk and a binary one that its buffer fits."""
    glb = sample("glb").content
    magic, version, length = struct.unpack_from("<4sII", glb)
    assert (magic, version, length) == (b"glTF", 2, len(glb))
    json_size, json_kind = struct.unpack_from("<I4s", glb, 12)
    document = json.loads(glb[20 : 20 + json_size])
    binary_size, binary_kind = struct.unpack_from("<I4s", glb, 20 + json_size)
    assert (json_kind, binary_kind) == (b"JSON", b"BIN\0")
    assert document["asset"]["version"] == "2.0"
    assert document["buffers"][0]["byteLength"] == binary_size == len(glb) - 28 - json_size
    assert max(view["byteOffset"] + view["byteLength"] for view in document["bufferViews"]) <= binary_size


def test_transcriptions_have_a_subtask_a_file(tmp_path: Path) -> None:
    """Each file has its own state; what failed has code and message, what succeeded a document that names the file;
    only its seconds are billed."""
    scripted = "[ok, {code: InvalidFile.DownloadFailed, message: The audio file cannot be downloaded.}]"
    hand = Hand.on(with_results(tmp_path, scripted))
    urls = [f"https://example.com/{name}.wav" for name in "abc"]
    body = json.dumps({"model": "paraformer-v2", "input": {"file_urls": urls}}).encode()
    task_id = answered(create_at(hand, "transcription", body))["output"]["task_id"]
    body_of_task = answered(hand.poll(task_id))
    rows = body_of_task["output"]["results"]
    assert [row["subtask_status"] for row in rows] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert [row["file_url"] for row in rows] == urls
    assert rows[1]["code"] == "InvalidFile.DownloadFailed"
    assert body_of_task["output"]["task_metrics"] == {"TOTAL": 3, "SUCCEEDED": 2, "FAILED": 1}
    document = content(fetched(hand, rows[2]["transcription_url"]))
    assert document["file_url"] == urls[2]
    assert document["transcripts"][0]["text"]
    assert body_of_task["usage"] == {"duration": 8}
    row = hand.engine.bill(hand.now).tasks[0]
    assert (row.unit, row.seconds, row.amount) == ("second", 8, Decimal("0.00064"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("text-to-image", ".png"),
        ("text-to-image", "/9.png"),
        ("text-to-image", "/0.mp4"),
        ("video", "/0.mp4"),
        ("model-3d", ".mp4"),
        ("transcription", "/0.png"),
        ("transcription", "/1.json"),
    ],
)
def test_an_asset_that_a_task_has_not_is_not_there(tmp_path: Path, name: str, path: str) -> None:
    """Other kinds and numbers than a task's own are NoSuchKey."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    assert hand.ask("GET", f"/w/w1/assets/{created_at(hand, name)}{path}", headers=()).status == 404


ITEMS = st.lists(st.sampled_from([None, Failure(POLICY, "No.")]), min_size=1, max_size=6)
LIVES = st.builds(
    lambda steps, last, items: Lifecycle((*steps, last), results=tuple(items) if last.status == "SUCCEEDED" else None),
    st.lists(
        st.builds(Step, st.sampled_from(["PENDING", "RUNNING", "UNKNOWN"]), st.integers(1, 40).map(float)), max_size=3
    ),
    st.sampled_from([Step("SUCCEEDED"), Step("SUCCEEDED"), Step("FAILED"), Step("RUNNING")]),
    ITEMS,
)
PRICE = {"text-to-image": "0.03", "image-messages": "0.04", SYNCHRONOUS: "0.05", "video": "0.15", "model-3d": "0.30"}


@UNTIMED
@given(
    st.lists(LIVES, min_size=1, max_size=3),
    st.lists(st.sampled_from(sorted(PRICE)), max_size=6),
    st.lists(st.integers(0, 200), max_size=8).map(sorted),
)
def test_the_bill_is_the_sum_of_what_was_made(lives: list[Lifecycle], names: list[str], polls: list[int]) -> None:
    """The bill is the sum over made images, models and seconds times their price, whatever was polled and fetched,
    and what a success tells in `usage` is what is billed."""
    hand = Hand.on(Scenario("drawn", "Drawn.", tuple(lives), Expect(("SUCCEEDED",))))
    ids = []
    expected = tellable = Decimal(0)
    for number, name in enumerate(names):
        reply = create_at(hand, name)
        life = lives[min(number, len(lives) - 1)]
        if isinstance(reply, Reply) and "task_id" in content(reply).get("output", {}):
            ids.append((content(reply)["output"]["task_id"], name))
        if life.last.status == "SUCCEEDED":
            made = sum(item is None for item in life.results or ())
            units = {"video": 5, "model-3d": 1}.get(name, made)
            expected += units * Decimal(PRICE[name])
            # A synchronous result was told already, and a 3D model tells no usage.
            tellable += 0 if name in (SYNCHRONOUS, "model-3d") else units * Decimal(PRICE[name])
    for now_s in polls:
        hand.now_s = float(now_s)
        for task_id, _ in ids:
            hand.poll(task_id)
    hand.now_s = 10_000.0
    assert hand.engine.bill(hand.now).total == expected
    told = Decimal(0)
    for task_id, name in ids:
        hand.now_s += 1
        reply = hand.poll(task_id)
        usage = content(reply).get("usage", {}) if isinstance(reply, Reply) else {}
        told += Decimal(PRICE[name]) * (usage.get("image_count") or usage.get("duration") or 0)
    assert told == tellable


def test_the_quotas_can_be_asked_for(tmp_path: Path) -> None:
    """`GET /quotas` tells the limits of the world, in `dashscope` only."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED", extra="quotas: {concurrent_tasks: 7}"))
    assert answered(hand.ask("GET", "/api/v1/quotas"))["data"] == {"concurrent_tasks": 7, "queries_per_second": 20}
    assert hand.ask("GET", "/apis/v1/quotas").status == 404
