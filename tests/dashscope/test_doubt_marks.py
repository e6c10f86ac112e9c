"""What the ledger keeps of a request to know its task by, and how that is compared with what an answer shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import SubmitInDoubt
from resilient_poll.dashscope.doubts.likeness import Likeness, compared
from resilient_poll.dashscope.doubts.marks import marks_of
from resilient_poll.ledger.entry import Entry, Namespace
from resilient_poll.ledger.sqlite import SqliteLedger
from tests.dashscope.ledger_clients import LOST, Service
from tests.dashscope.scripted import a_client
from tests.support.colours import MODEL, got, run_in

HERE = Namespace("https://api.test/v1", "dashscope", "main")
THERE = Namespace("https://api.test/v1", "dashscope", "other")
LONG = "A very long film about " + "many things and " * 60
texts = st.text(min_size=1, max_size=120)


def entry_of(body: dict[str, Any], key: str = "k") -> Entry:
    return _entry(key, marks_of(HERE, key, json.dumps(body).encode()))


def _entry(key: str, marks: dict[str, str]) -> Entry:
    return Entry(
        entry_id=1,
        namespace=HERE,
        key=key,
        attempt=1,
        digest="digest",
        created_wall_s=0.0,
        updated_wall_s=0.0,
        about=marks,
    )


def shown(prompt: str | None = "a cat", **usage: Any) -> dict[str, Any]:
    output = {"task_id": "t", "task_status": "SUCCEEDED"} | ({} if prompt is None else {"orig_prompt": prompt})
    return {"output": output, "usage": usage}


def asked(prompt: str | None = "a cat", more: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    given = {} if prompt is None else {"prompt": prompt}
    return {"model": MODEL, "input": {**given, **(more or {})}, "parameters": parameters}


@given(prompt=texts.filter(str.strip), other=texts.filter(str.strip))
def test_prompts_are_compared_by_their_words(prompt: str, other: str) -> None:
    """A prompt is the same as itself however it is spaced, and as no other."""
    entry = entry_of(asked(prompt))
    assert compared(entry, shown("  " + prompt.replace(" ", "\n ") + " ")).likeness is Likeness.SAME
    if other.split() != prompt.split():
        assert compared(entry, shown(other)).likeness is not Likeness.SAME


@pytest.mark.parametrize(
    ("request_", "answer", "likeness"),
    [
        (asked(), shown(), Likeness.SAME),
        (asked(), shown("a dog"), Likeness.OTHER),
        (asked(LONG), shown(LONG[:800]), Likeness.CONTRADICTED),  # Cut by the service, perhaps.
        (asked(), shown(None), Likeness.UNSURE),
        (asked(None), shown(), Likeness.UNSURE),
        (asked(" "), shown(" "), Likeness.UNSURE),
        (asked(more={"img_url": "https://images.test/1"}), shown(), Likeness.UNSURE),
        (asked(more={"negative_prompt": "dogs"}, watermark=False, prompt_extend=True), shown(), Likeness.SAME),
        (asked(style="noir"), shown(), Likeness.UNSURE),
        (asked(seed=7), shown(), Likeness.UNSURE),
        (asked(seed=7), shown(seed=7), Likeness.SAME),
        (asked(seed=7), shown(seed=8), Likeness.CONTRADICTED),
        (asked(duration=5), shown(duration=5), Likeness.SAME),
        (asked(duration=5), shown(video_duration=5), Likeness.SAME),
        (asked(duration=5), shown(duration=12, output_video_duration=5.04), Likeness.SAME),
        (asked(duration=5), shown(duration=10), Likeness.CONTRADICTED),
        (asked(duration=5), shown(), Likeness.UNSURE),
        (asked(size="1280*720"), shown(size="1280*720"), Likeness.SAME),
        (asked(size="832*480"), shown(size="853*480"), Likeness.SAME),
        (asked(size="1280*720"), shown(size="720*1280"), Likeness.CONTRADICTED),
        (asked(size="1280*720"), shown(SR=720), Likeness.SAME),
        (asked(size="960*960"), shown(SR="720"), Likeness.SAME),
        (asked(size="1920*1080"), shown(SR=720), Likeness.CONTRADICTED),
        (asked(size="large"), shown(size="1280*720"), Likeness.UNSURE),
        (asked(resolution="720P"), shown(SR=720), Likeness.SAME),
        (asked(resolution="720P"), shown(SR="480"), Likeness.CONTRADICTED),
        (asked(audio=True), shown(audio=True), Likeness.SAME),
        (asked(audio=True), shown(audio=False), Likeness.CONTRADICTED),
        (asked(audio=True), shown(audio="yes"), Likeness.UNSURE),
        (asked(ratio="16:9", fps=24), shown(ratio="16:9", fps=24), Likeness.SAME),
        (asked(n=2), shown(image_count=2), Likeness.SAME),
        (asked(n=2), shown(image_count=1), Likeness.UNSURE),  # One may have failed.
        (asked(n=2), shown(image_count=3), Likeness.CONTRADICTED),
        (asked(), None, Likeness.UNSURE),
        (asked(), {"output": []}, Likeness.UNSURE),
        (asked(), {"output": {"results": [{"orig_prompt": "a cat"}, {"code": "x"}]}}, Likeness.SAME),
        (asked(), {"output": {"results": [{"orig_prompt": "a cat"}, {"orig_prompt": "a dog"}]}}, Likeness.OTHER),
        (asked(n=2), {"output": {"orig_prompt": "a cat", "task_metrics": {"TOTAL": 2}}}, Likeness.SAME),
    ],
)
def test_what_is_shown_is_compared_with_what_was_asked(request_: Any, answer: Any, likeness: Likeness) -> None:
    """All that an answer shows is compared, and what it does not show is never taken to be the same."""
    assert compared(entry_of(request_), answer).likeness is likeness


def test_the_reason_names_what_is_not_shown() -> None:
    """Why two cannot be compared names what the answer does not show, and never its content."""
    comparison = compared(entry_of(asked(more={"img_url": "https://secret.test/1"}, seed=7)), shown())
    assert "input.img_url, parameters.seed" in comparison.why
    assert "secret" not in comparison.why


@pytest.mark.parametrize("damage", [{"asked": "{"}, {"asked": "[]"}, {"unseen": "{"}, {"unseen": "{}"}])
def test_damaged_marks_are_never_the_same(damage: dict[str, str]) -> None:
    """Marks that cannot be read make nothing the same."""
    entry = entry_of(asked())
    assert compared(_entry("k", {**entry.about, **damage}), shown()).likeness is Likeness.UNSURE


@given(prompt=texts.filter(str.strip))
def test_marks_are_salted_short_and_without_the_prompt(prompt: str) -> None:
    """Marks of one prompt differ by key and account, have one length, and do not depend on the prompt's length."""
    body = json.dumps(asked(prompt)).encode()
    mine, other, there = marks_of(HERE, "a", body), marks_of(HERE, "b", body), marks_of(THERE, "a", body)
    assert len({marks["prompt_mark"] for marks in (mine, other, there)}) == 3
    assert all(len(mark) == 32 for mark in mine.values())
    assert marks_of(HERE, "a", body) == mine


@given(
    body=st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["input", "parameters", "prompt", "size", "duration", "seed", "x"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_has_marks_that_a_ledger_keeps(body: bytes) -> None:
    """Whatever is sent, its marks are a few short texts."""
    marks = marks_of(HERE, "k", body)
    assert all(isinstance(text, str) and len(text) < 2_000 for text in marks.values())
    assert compared(_entry("k", marks), shown()).likeness in Likeness


def test_a_synchronous_request_has_no_task_to_be_found() -> None:
    """Of a request that makes a result in the place of a task, only that is kept."""
    assert marks_of(HERE, "k", json.dumps(asked()).encode(), is_synchronous=True) == {"makes": "result"}


@pytest.mark.parametrize("colour", ["sync", "asyncio"])
def test_the_prompt_is_nowhere_in_the_file(tmp_path: Path, colour: str) -> None:
    """A ledger with marks holds neither the prompt nor its beginning, nor an image's address."""
    path, service = tmp_path / "ledger.sqlite3", Service(LOST)

    async def main() -> None:
        with SqliteLedger(path) as ledger:
            async with a_client(colour, "httpx", service, ledger=ledger) as client:
                given = {"prompt": "canary of the mine", "img_url": "https://images.test/canary"}
                with pytest.raises(SubmitInDoubt):
                    await got(client.submit(MODEL, given, {"seed": 7}, idempotency_key="k"))
                (entry,) = await got(client.doubts())
                assert {"prompt_mark", "prompt_start_mark", "asked", "unseen"} <= set(entry.about)

    run_in(colour, main)
    for file in path.parent.iterdir():
        if file.is_file():
            assert b"canary" not in file.read_bytes(), file
