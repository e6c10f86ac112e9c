"""A wild client in every scenario: what it asks is drawn by a fixed number, and every answer to the byte is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from fake_server.engine import Drop, Reply
from fake_server.faults import model as faults
from fake_server.rules.journal import Entry
from fake_server.scenario import shipped_scenarios
from fake_server.scenario.chaos import chaos_faults
from tests.fake_server.driving import ASYNC, BASES, KEY, TASKS, VIDEO, Hand
from tests.support.shipped import shipped
from tests.support.written import shown

HERE = Path(__file__).parent
ENDPOINTS = (
    VIDEO,
    VIDEO,
    VIDEO,
    "/services/aigc/image2video/video-synthesis",
    "/services/aigc/text2image/image-synthesis",
    "/services/aigc/image2image/image-synthesis",
    "/services/aigc/image-generation/generation",
    "/services/aigc/multimodal-generation/generation",
    "/services/aigc/video-generation/3d-generation",
    "/services/audio/asr/transcription",
    "/services/none",
)
MODELS = ("wan2.5-t2v-preview", "wan2.5-t2v-preview", "wan2.2-t2i-flash", "qwen-image", "fun-asr", "no-such-model", "")
INPUTS: tuple[Any, ...] = (
    {"prompt": "a cat"},
    {"prompt": "two dogs", "img_url": "https://a.test/b.png"},
    {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]},
    {"file_urls": ["https://a.test/1.wav", "https://a.test/2.wav"]},
    {"image": "https://a.test/b.png"},
    {},
    "text",
)
PARAMETERS: tuple[Any, ...] = (None, {"duration": 5}, {"n": 3, "size": "1024*1024"}, {"n": 0}, {"duration": "x"}, 7)
HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (KEY, ASYNC),
    (KEY, ASYNC),
    (KEY, ASYNC),
    (KEY, ASYNC),
    (KEY, ASYNC, ("Accept-Encoding", "gzip")),
    (KEY,),
    (KEY, ("X-DashScope-Async", "disable")),
    (ASYNC,),
    (("Authorization", "Bearer sk-invalid"), ASYNC),
    (("Authorization", "Basic x"), ASYNC),
    (KEY, ASYNC, ("Idempotency-Key", "k-1"), ("Cookie", "secret"), ("X-Api-Key", "hidden")),
)


def good_creates(name: str, dialect: str) -> list[tuple[str, bytes]]:
    """Return paths and bodies that a scenario takes, so that its tasks are made and not only refused."""
    found = []
    for path in dict.fromkeys(ENDPOINTS):
        for given in INPUTS[:5]:
            hand = Hand.on(shipped(name), dialect)
            body = json.dumps({"model": MODELS[0], "input": given, "parameters": {"n": 3, "duration": 5}}).encode()
            answers = [hand.send("POST", BASES[dialect] + path, headers=HEADERS[0], body=body) for _ in range(4)]
            answers.append(hand.send("POST", BASES[dialect] + path, headers=(KEY,), body=body))
            if any(True for _ in hand.engine.everything()) and any(isinstance(each, Reply) for each in answers):
                found.append((path, body))
    return found


def requests(hand: Hand, chance: Random, ids: list[str], good: list[tuple[str, bytes]]) -> Reply | Drop:
    """Ask for something."""
    task_id = chance.choice([*ids[-4:], "no-such-task"]) if ids else "no-such-task"
    own = chance.choice(HEADERS)
    base, tasks = BASES[hand.dialect], TASKS[hand.dialect]
    match chance.randrange(20):
        case 0 | 1 | 2 | 3 | 4:
            asked: Any = {"model": chance.choice(MODELS), "input": chance.choice(INPUTS)}
            if (how := chance.choice(PARAMETERS)) is not None:
                asked["parameters"] = how
            body = json.dumps(asked).encode() if chance.random() < 0.93 else chance.choice([b"", b"{", b"[]", b"\xff"])
            return hand.send("POST", base + chance.choice(ENDPOINTS), headers=own, body=body)
        case 5 | 6 | 18 if good:
            path, body = chance.choice(good)
            return hand.send("POST", base + path, headers=chance.choice(HEADERS[:6]), body=body)
        case 5 | 6:
            return hand.send("POST", base + VIDEO, headers=HEADERS[0], body=_body(chance))
        case 7 | 8 | 9 | 10 | 11 | 12:
            return hand.send("GET", f"{tasks}/{task_id}", headers=own if chance.random() < 0.2 else (KEY,))
        case 13:
            return hand.send("GET", f"{tasks}/", _query(chance), headers=(KEY,))
        case 14:
            return hand.send("POST", f"{tasks}/{task_id}/cancel", headers=(KEY,))
        case 15 | 16:
            extension = chance.choice(["mp4", "png", "json", "glb", "-0.png", "-1.png", "-0.json", "exe"])
            ranged = chance.choice([(), (), (("Range", "bytes=5-"),), (("Range", "bytes=2-9"),), (("Range", "x"),)])
            return hand.send("GET", f"/w/w1/assets/{task_id}.{extension}", headers=ranged)
        case 17:
            return hand.send(chance.choice(["GET", "PUT"]), base + chance.choice(["/quotas", "/limits", "/", VIDEO]))
        case _:
            return hand.send("GET", f"{tasks}/{task_id}", headers=chance.choice(HEADERS))


def _body(chance: Random) -> bytes:
    duration = chance.choice([5, 10])
    return json.dumps(
        {"model": MODELS[0], "input": {"prompt": chance.choice("abc")}, "parameters": {"duration": duration}}
    ).encode()


def _query(chance: Random) -> str:
    return chance.choice(
        [
            "",
            "page_no=1&page_size=2",
            "page_no=2&page_size=1",
            "page_no=0",
            "page_size=x",
            "status=SUCCEEDED",
            "status=RUNNING&model_name=wan2.5-t2v-preview",
            "start_time=20250615230000&end_time=20250615235959",
            "start_time=20250101000000&end_time=20250615235959",
            "task_id=x",
        ]
    )


def line(number: int, hand: Hand, answer: Reply | Drop) -> str:
    """Tell an answer in one line: what can be read of it, and a fingerprint of all of it."""
    if isinstance(answer, Drop):
        return f"{number} {shown(hand.now_s)} {shown(answer)}"
    body = answer.body
    if dict(answer.headers).get("content-encoding") == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError):
            body = b"broken"
    whole = repr((answer.headers if body is answer.body else answer.status, body)).encode()
    try:
        said = json.loads(body)
        output = said.get("output") if isinstance(said.get("output"), dict) else said
        error = said.get("error") if isinstance(said.get("error"), dict) else said
        words = [output.get("task_status"), error.get("code"), (error.get("message") or "")[:40]]
    except (ValueError, AttributeError):
        words = [body[:12].decode("latin-1")]
    held = f" after {shown(answer.delay_s)}" if answer.delay_s else ""
    spoilt = f" {shown(answer.wire)}" if answer.wire else ""
    text = " ".join(str(word) for word in words if word).encode("unicode_escape").decode()
    return f"{number} {shown(hand.now_s)} {answer.status} {text}{held}{spoilt} {sha256(whole).hexdigest()[:6]}"


def story(name: str, number: int, steps: int = 32, chaos: tuple[faults.Fault, ...] = ()) -> Iterator[str]:
    """One world from its beginning to its bill and verdict."""
    chance = Random(number)  # noqa: S311  # a story, no secret
    dialects = shipped(name).dialects
    dialect = dialects[number % len(dialects)]
    hand = Hand.on(shipped(name), dialect, speed=chance.choice([1.0, 1.0, 10.0]), seed=number, faults=chaos)
    ids: list[str] = []
    good = good_creates(name, dialect)
    yield f"# {name} as {dialect}"
    for step in range(steps):
        answer = requests(hand, chance, ids, good)
        yield line(step, hand, answer)
        for task in hand.engine.everything():
            if task.task_id not in ids:
                ids.append(task.task_id)
        hand.now_s += chance.choice([0.0, 0.0, 0.1, 0.7, 2.0, 2.0, 5.0, 9.0, 30.0] + [90_000.0] * (step == steps - 4))
    yield from _ending(hand)


def _ending(hand: Hand) -> Iterator[str]:
    engine = hand.engine
    for row in engine.bill(hand.now).tasks:
        yield f"bill {shown(row).replace(row.task_id, '…')}"
    yield f"bill {shown(engine.bill(hand.now, most_rows=1))[-90:]}"
    counters = {name: count for name, count in engine.journal.counters.items() if count}
    yield f"counted {shown(counters)}"
    for outcomes in ((), ("SUCCEEDED",), ("FAILED", "SUCCEEDED")):
        judged = engine.verdict(hand.now, outcomes)
        yield f"verdict {shown([row.verdict for row in judged])}"
        yield f"  {sha256(shown(judged).encode()).hexdigest()[:8]}"
    for gave_up in (False, True):
        manners = engine.conduct.judge(gave_up=gave_up)
        yield f"manners {shown([row.verdict for row in manners])} {sha256(shown(manners).encode()).hexdigest()[:8]}"
    entries: tuple[Entry, ...] = engine.journal.entries
    yield f"journal {len(entries)} {sha256(shown(entries).encode()).hexdigest()[:8]}"
    yield f"armed {len(engine.armed())} open {engine.has_open_tasks(hand.now)}"
    over = engine.play_out(hand.now)
    yield f"over {shown(engine.bill(over))[-60:]} {shown([row.verdict for row in engine.verdict(over, is_over=True)])}"


CHAOTIC = ("succeeds", "images-succeed", "account-cap-batch", "tier-free", "expired")
STORIES = (*sorted(shipped_scenarios()), *(f"{name}-in-chaos" for name in CHAOTIC))


def told(name: str) -> Iterator[str]:
    """Tell a story as it goes now."""
    number = STORIES.index(name)
    if name.endswith("-in-chaos"):
        return story(name.removesuffix("-in-chaos"), number, 120, chaos_faults("heavy"))
    return story(name, number)
