"""What an outcome tells of the service's answer, in whichever way the answer came."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll import Billing, DirectOutcome, GenerationOutcome

URL, OTHER = "https://assets.test/a.png", "https://assets.test/b.png"


def direct(output: Any, usage: Any = None) -> DirectOutcome:
    return DirectOutcome(
        request_id="r", billing=Billing.BILLED, attempts=1, result={"output": output, "usage": usage or {}}
    )


def generated(output: Any, usage: Any = None) -> GenerationOutcome:
    return GenerationOutcome(
        task_id="t",
        status="SUCCEEDED",
        billing=Billing.BILLED,
        polls=1,
        time_per_phase={},
        request_id="r",
        result={"output": output, "usage": usage or {}},
    )


BOTH = pytest.mark.parametrize("made", [direct, generated])


@BOTH
def test_one_thing_is_the_video(made: Any) -> None:
    """Where one thing was made, its URL is the video's."""
    outcome = made({"video_url": URL}, {"duration": 5})
    assert outcome.video_url == URL
    assert outcome.urls == (URL,)
    assert outcome.usage == {"duration": 5}
    assert outcome.failures == ()


@BOTH
@pytest.mark.parametrize("output", [{}, {"text": "x"}, {"results": [{"url": URL}, {"url": OTHER}]}, None, [], "x", 5])
def test_nothing_and_several_are_no_video(made: Any, output: Any) -> None:
    """Where nothing or several things were made, there is no one video, and the error says how many there are."""
    outcome = made(output)
    with pytest.raises(ValueError, match=f"there are {len(outcome.assets)} results"):
        _ = outcome.video_url


@BOTH
def test_a_partial_failure_is_seen(made: Any) -> None:
    """What failed inside a success stands beside what was made, with its code and its place."""
    outcome = made({"results": [{"url": URL}, {"code": "DataInspectionFailed", "message": "no"}]})
    assert [asset.place for asset in outcome.assets] == ["output.results[0].url"]
    assert [(failure.place, failure.code) for failure in outcome.failures] == [
        ("output.results[1]", "DataInspectionFailed")
    ]


@BOTH
@pytest.mark.parametrize("result", [None, [], "x", 5, {}, {"output": None, "usage": []}])
def test_an_outcome_of_any_answer_can_be_asked(made: Any, result: Any) -> None:
    """Whatever the answer was, an outcome's properties answer."""
    import dataclasses  # noqa: PLC0415  # only here

    outcome = dataclasses.replace(made({}), result=result)
    assert (outcome.assets, outcome.failures, outcome.urls, dict(outcome.usage)) == ((), (), (), {})


@BOTH
def test_an_outcome_keeps_its_answer_out_of_its_repr(made: Any) -> None:
    """The whole answer, with its signed URLs, is not in an outcome's repr."""
    assert URL not in repr(made({"video_url": URL}))
