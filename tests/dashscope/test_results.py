"""What is read out of an answer: every documented shape, partial failures, and nothing out of junk but the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_poll import Asset, Failure
from resilient_poll.dashscope.direct import kept_result, news_of_result
from resilient_poll.dashscope.wire.results import (
    MOST_ITEMS,
    assets_of,
    failures_of,
    is_readable,
    made_nothing,
    usage_of,
)
from resilient_poll.http.messages import Answer
from resilient_poll.machine.observations import AnsweredAtOnce, LostAnswer
from tests.support.profiles import examples
from tests.support.properties import Property

URL, OTHER = "https://assets.test/a.png?Signature=x", "https://assets.test/b.mp4"
BLOCKED = {"code": "DataInspectionFailed", "message": "not allowed"}


def choice(*content: Any) -> dict[str, Any]:
    return {"finish_reason": "stop", "message": {"role": "assistant", "content": list(content)}}


# Shape, the URLs in it, the codes of what failed in it.
SHAPES: dict[str, tuple[Any, list[str], list[str | None]]] = {
    "video": ({"video_url": OTHER, "orig_prompt": "a cat"}, [OTHER], []),
    "video inside results": ({"results": {"video_url": OTHER}}, [OTHER], []),
    "images": ({"results": [{"url": URL}, {"url": OTHER}]}, [URL, OTHER], []),
    "images, one blocked": ({"results": [{"url": URL}, BLOCKED]}, [URL], ["DataInspectionFailed"]),
    "images, all blocked": ({"results": [BLOCKED, BLOCKED]}, [], ["DataInspectionFailed"] * 2),
    "an image without a code": ({"results": [{"url": URL}, {"message": "why"}]}, [URL], [None]),
    "messages": ({"choices": [choice({"image": URL}), choice({"image": OTHER})], "finished": True}, [URL, OTHER], []),
    "messages, several parts": (
        {"choices": [choice({"text": "x"}, {"image": URL}, {"image": OTHER})]},
        [URL, OTHER],
        [],
    ),
    "transcriptions": (
        {
            "results": [
                {"file_url": "https://mine.test/1.wav", "transcription_url": URL, "subtask_status": "SUCCEEDED"},
                {"file_url": "https://mine.test/2.wav", "subtask_status": "FAILED", **BLOCKED},
                {"file_url": "https://mine.test/3.wav", "subtask_status": "FAILED"},
                {"file_url": "https://mine.test/4.wav", "subtask_status": "CANCELED"},
            ]
        },
        [URL],
        ["DataInspectionFailed", "FAILED", "CANCELED"],
    ),
    "3D": ({"results": {"model_url": URL, "preview_url": OTHER}}, [URL, OTHER], []),
    "3D, a list": ({"models": [{"model_url": URL}, {"model_url": OTHER}]}, [URL, OTHER], []),
    "speech": ({"audio": {"url": URL, "data": "", "expires_at": 1}}, [URL], []),
    "a result": ({"result": {"image_url": URL}}, [URL], []),
    "my own files only": ({"img_url": URL, "results": {"file_url": OTHER}}, [], []),
    "text": ({"text": "hello", "finish_reason": "stop"}, [], []),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read(shape: str) -> None:
    """Every documented shape gives its assets in order, and what failed in it with its reason, each with its place."""
    output, urls, codes = SHAPES[shape]
    result = {"request_id": "r", "output": {"task_id": "t", "task_status": "SUCCEEDED", **output}}
    assert [asset.url for asset in assets_of(result)] == urls
    assert [failure.code for failure in failures_of(result)] == codes
    places = [found.place for found in (*assets_of(result), *failures_of(result))]
    assert len(set(places)) == len(places)
    assert all(place.startswith("output") for place in places)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_must_have_assets_is_readable_with_assets_or_reasons(shape: str) -> None:
    """Where assets are promised, only assets or reasons for their absence make an answer readable."""
    output, urls, codes = SHAPES[shape]
    assert is_readable({"output": output}, must_have_assets=True) is bool(urls or codes)


@pytest.mark.parametrize(
    ("output", "readable"),
    [
        ({"text": "hello"}, True),
        ({"choices": [choice({"text": "hello"})]}, True),
        ({"choices": [{"message": {"content": "hello"}}]}, True),
        ({"results": [{"index": 0, "relevance_score": 0.5}]}, True),
        ({"embeddings": [{"embedding": [0.1]}]}, True),
        ({}, False),
        ({"text": ""}, False),
        ({"video_url": "oss://elsewhere/x"}, False),
        ({"results": []}, False),
        ({"results": [{"url": ""}]}, False),
        ({"results": [{"url": "ftp://x/y", "orig_prompt": "a cat"}]}, False),
        ({"choices": [choice({"image": None, "type": "image"})]}, False),
        ({"choices": [{"finish_reason": "stop", "message": {"content": ""}}]}, False),
        ({"task_id": "t", "task_status": "SUCCEEDED", "submit_time": "x", "orig_prompt": "y"}, False),
    ],
    ids=ascii,
)
def test_of_an_unknown_kind_whatever_says_something_is_a_result(output: Any, readable: bool) -> None:
    """Where it is not known what is made, texts, scores and numbers are results; empty places and prompts are none."""
    assert is_readable({"output": output}, must_have_assets=False) is readable


@pytest.mark.parametrize(
    ("url", "extension"),
    [
        ("https://x/a.mp4", "mp4"),
        ("https://x/a.PNG?x=.exe", "png"),
        ("https://x/a.tar.gz", None),
        ("https://x/a.exe", None),
        ("https://x/a.mp4/", None),
        ("https://x/", None),
        ("https://x/..%2f.sh", None),
        ("https://x.mp4/a", None),
    ],
)
def test_a_server_names_no_extension_of_its_own(url: str, extension: str | None) -> None:
    """The extension is one of a short list, or none: a server cannot make a program of a picture."""
    assert assets_of({"output": {"video_url": url}}) == (Asset(url, "output.video_url", extension),)


@pytest.mark.parametrize(
    "url", ["", "x", "file:///etc/passwd", "javascript:x", "http://", "http://a b/", "oss://x/y", 5]
)
def test_what_is_no_url_is_no_asset(url: Any) -> None:
    """What cannot be asked for over http or https is no asset."""
    assert assets_of({"output": {"results": [{"url": url}]}}) == ()


# Bills.

ALL_FAILED = {"results": [BLOCKED, BLOCKED], "task_metrics": {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 2}}


def test_all_failed_and_nothing_counted_is_free() -> None:
    """Where everything failed and the usage counts nothing, nothing was made."""
    assert made_nothing({"output": ALL_FAILED, "usage": {"image_count": 0}})
    assert made_nothing({"output": ALL_FAILED, "usage": {"image_count": 0, "width": 1024, "SR": "720"}})


@pytest.mark.parametrize(
    ("output", "usage"),
    [
        (ALL_FAILED, {"image_count": 1}),
        (ALL_FAILED, {}),
        (ALL_FAILED, None),
        (ALL_FAILED, {"image_count": False}),
        (ALL_FAILED, {"image_count": "0"}),
        (ALL_FAILED, {"image_count": 0.0}),
        (ALL_FAILED, {"image_count": 0, "input_tokens": 12}),
        (ALL_FAILED, {"image_count": 0, "duration": 5}),
        (ALL_FAILED, {"image_count": 0, "details": {"input_tokens": 12}}),
        ({"results": [BLOCKED, {"url": URL}]}, {"image_count": 0}),
        ({"results": [BLOCKED, {"url": "oss://x/y"}]}, {"image_count": 0}),
        ({"results": [BLOCKED, {"b64_image": "aGk="}]}, {"image_count": 0}),
        ({"results": [BLOCKED], "video_url": URL}, {"image_count": 0}),
        ({"results": [BLOCKED], "preview_url": URL}, {"image_count": 0}),
        ({**ALL_FAILED, "task_metrics": {"SUCCEEDED": 1}}, {"image_count": 0}),
        ({"results": []}, {"image_count": 0}),
        ({}, {"image_count": 0}),
    ],
    ids=ascii,
)
def test_anything_else_is_not_free(output: Any, usage: Any) -> None:
    """A success is free only if everything in its answer agrees that nothing was made."""
    assert not made_nothing({"output": output, "usage": usage})


# Whatever comes.

urls = st.sampled_from([URL, OTHER, "http://x/y", "oss://x/y", "", "http://[::1", "http://x:99999/", "HTTPS://X/Y.MP4"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | urls
names = st.sampled_from(
    [
        *(
            "output",
            "results",
            "result",
            "choices",
            "message",
            "content",
            "url",
            "video_url",
            "image",
            "video",
            "audio",
        ),
        *("transcription_url", "subtask_status", "code", "task_metrics", "usage", "image_count", "SUCCEEDED", "text"),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)
known = st.fixed_dictionaries(
    {},
    optional={
        "results": values | st.lists(st.fixed_dictionaries({}, optional={"url": urls, "code": scalars}), max_size=5),
        "choices": values | st.lists(values, max_size=3),
        "video_url": scalars,
        "task_metrics": values,
    },
)
answers = st.fixed_dictionaries(
    {},
    optional={
        "output": known | values,
        "usage": values | st.fixed_dictionaries({"image_count": st.sampled_from([0, 1, "0", False, 0.0, None, -1])}),
    },
)


def reads_the_truth(answer: Any) -> None:
    text = json.dumps(answer)
    assets, failures = assets_of(answer), failures_of(answer)
    for asset in assets:
        assert isinstance(asset, Asset)
        assert json.dumps(asset.url) in text
        assert asset.url.lower().startswith(("http://", "https://"))
        assert asset.extension is None or asset.extension.isalnum()
    for failure in failures:
        assert isinstance(failure, Failure)
        assert (failure.code or failure.message or "x").isprintable()
    if assets or failures:
        assert is_readable(answer, must_have_assets=True)
    if is_readable(answer, must_have_assets=True):
        assert is_readable(answer, must_have_assets=False)
    if made_nothing(answer):
        assert not assets
        assert failures
        assert answer["usage"]["image_count"] == 0
    assert usage_of(answer) == {} or usage_of(answer) is answer["usage"]


TRUE = Property(reads_the_truth, answer=answers | values, examples=400)


def test_whatever_comes_is_read_without_a_fault() -> None:
    """Whatever an answer holds, nothing is raised, no URL is made up, and free is said only of nothing made."""
    TRUE.holds()


def test_a_bill_that_is_understated_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a count of zero alone makes a success free."""
    monkeypatch.setattr(
        f"{__name__}.made_nothing",
        lambda answer: isinstance(answer, dict) and usage_of(answer).get("image_count") == 0,
    )
    TRUE.catches_the_planted_fault()


@pytest.mark.parametrize("count", [MOST_ITEMS, MOST_ITEMS * 10])
def test_thousands_of_results_are_bounded(count: int) -> None:
    """An answer of thousands of results gives as many as any model makes, and takes no more."""
    output = {"results": [{"url": f"https://x/{n}"} for n in range(count)], "choices": [choice(*[BLOCKED] * count)]}
    assert len(assets_of({"output": output})) == MOST_ITEMS
    assert len(failures_of({"output": output})) == MOST_ITEMS


# A synchronous endpoint's answer: what is not understood is kept all the same.

DOUBT = LostAnswer(reason="without a task id")


def kept(body: Any, status: int = 200) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return kept_result(Answer(status, (), content), DOUBT)


@pytest.mark.parametrize(
    "body",
    [
        {"output": {"text": "hello"}},
        {"output": {"choices": [{"message": {"content": [{"foo": 1}]}}]}},
        {"output": {"results": [{"url": "oss://x"}]}},
        {"output": [1, 2]},
        {"output": "hello"},
        {"data": [{"url": URL}], "created": 1},
        {"choices": [{"message": {"content": "hi"}}], "usage": {"total_tokens": 3}},
        {"code": "", "message": "", "output": {"text": "x"}},
        {"output": None, "data": {"b64_json": "aGk="}},
    ],
    ids=ascii,
)
def test_an_answer_of_an_unknown_shape_is_kept(body: Any) -> None:
    """A paid answer whose shape nobody listed is a result that is kept whole, and no doubt that throws it away."""
    found = kept({"request_id": "r-1", **body})
    assert isinstance(found, AnsweredAtOnce)
    assert found.result == {"request_id": "r-1", **body}
    assert found.request_id == "r-1"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"null", b"[]", b"{}", b'{"output": {"text"'),
        {"request_id": "r-1"},
        {"output": {}},
        {"output": {"task_status": "PENDING"}},
        {"output": {"task_id": 5, "text": "x"}},
        {"output": {"task_id": "../x", "text": "x"}},
        {"output": {"task_status": "FAILED", "code": "X", "message": "y"}},
        {"code": "InvalidParameter", "message": "no", "output": {"text": "x"}},
        {"error": {"code": "x", "message": "no"}},
        {"error": "no"},
        {"output": {"results": [], "choices": []}, "usage": {"image_count": 0}},
    ],
    ids=ascii,
)
def test_an_answer_that_is_no_result_stays_in_doubt(body: Any) -> None:
    """What holds nothing, gives an error, or speaks of a task whose id cannot be read, stays in doubt."""
    assert kept(body) is DOUBT


@pytest.mark.parametrize("status", [199, 300, 404, 500, 503])
def test_an_error_status_is_never_a_result(status: int) -> None:
    """Whatever the body of an answer that is no 2xx holds, it is no result."""
    assert kept({"output": {"text": "hello"}}, status) is DOUBT


@given(values)
@settings(max_examples=examples(200))
def test_the_news_of_a_result_is_bounded_and_on_one_line(result: Any) -> None:
    """What the log says of a result holds its URLs, or all of it, on one line within a bound."""
    answered = AnsweredAtOnce(request_id="r-1", result={"output": {"raw": result}})
    news = news_of_result(answered)
    assert "\n" not in news
    assert len(news) < 70_000 or assets_of(answered.result)
    assert all(asset.url in news for asset in assets_of(answered.result))


def test_the_news_of_a_large_result_is_cut() -> None:
    """A result that would fill the log is cut, and says so."""
    assert len(news_of_result(AnsweredAtOnce(result={"output": "x" * 10**6}))) < 70_000
    assert "(cut here)" in news_of_result(AnsweredAtOnce(result={"output": "x" * 10**6}))
