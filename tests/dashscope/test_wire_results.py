"""What counts as made, as a description and as a bill, field by field; and the edges of a window of the list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resilient_poll import ConfigurationError, ListingFailed
from resilient_poll.dashscope.wire.dialects import DASHSCOPE
from resilient_poll.dashscope.wire.listing import (
    ListedTask,
    Listing,
    ListQuestion,
    Page,
    questions,
    read_page,
    understand_page,
)
from resilient_poll.dashscope.wire.results import Asset, Failure, assets_of, failures_of, is_readable, made_nothing
from resilient_poll.http.messages import Answer
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Unreadable
from tests.support.tables import each_case

URL, OTHER = "https://assets.test/a?Signature=x", "https://assets.test/b.mp4"


@each_case("name", ["url", "video_url", "image", "video", "audio", "transcription_url"])
def test_each_name_of_a_url_gives_an_asset(name: str) -> None:
    """Under whatever name a model puts the URL of one result, it is an asset with that name as its place."""
    results = {"output": {"results": [{"url": OTHER}, {name: URL}]}}
    assert assets_of(results)[1:] == (Asset(URL, f"output.results[1].{name}", None),)
    content = {"output": {"choices": [{"message": {"content": [{"text": "here"}, {name: URL}]}}]}}
    assert assets_of(content) == (Asset(URL, f"output.choices[0].message.content[1].{name}", None),)


def test_a_video_beside_other_results_is_one_of_them() -> None:
    """Where an answer has a URL of its own and a list of results, all of them were made, its own first."""
    found = assets_of({"output": {"results": [{"url": OTHER}], "video_url": URL}})
    assert [(asset.url, asset.place) for asset in found] == [
        (URL, "output.video_url"),
        (OTHER, "output.results[0].url"),
    ]


@each_case("name", ["file_url", "img_url", "base_image_url", "first_frame_url", "last_frame_url", "orig_url"])
def test_my_own_files_are_no_assets(name: str) -> None:
    """What I sent and an answer repeats is not what was made, wherever it stands."""
    for output in ({name: URL}, {"results": {name: URL}}, {"results": [{name: URL}]}, {"other": {name: URL}}):
        assert assets_of({"output": output}) == ()
    assert not is_readable({"output": {"results": [{name: URL}]}}, must_have_assets=False)


@each_case(
    "extension",
    [
        *("mp4", "mov", "webm", "mkv", "png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff"),
        *("wav", "mp3", "flac", "ogg", "aac", "m4a", "glb", "gltf", "obj", "fbx", "usdz", "stl", "ply"),
        *("zip", "json", "txt", "srt", "vtt"),
    ],
)
def test_each_format_of_an_asset_is_known(extension: str) -> None:
    """A file of pictures, films, sounds, solids or subtitles keeps the extension by which programs know it."""
    url = f"https://assets.test/a.{extension}?Signature=x"
    assert [asset.extension for asset in assets_of({"output": {"video_url": url}})] == [extension]
    assert [asset.extension for asset in assets_of({"output": {"video_url": url.replace("?", "x?")}})] == [None]


@each_case(
    "name",
    [
        *("task_id", "task_status", "submit_time", "scheduled_time", "end_time", "task_metrics", "finished"),
        *("orig_prompt", "actual_prompt", "code", "message", "error", "video_url", "results", "choices"),
    ],
)
def test_what_describes_a_task_is_no_result(name: str) -> None:
    """Where it is not known what is made, a field that describes the task or is an empty place makes no result."""
    assert not is_readable({"output": {name: "something"}}, must_have_assets=False)
    assert is_readable({"output": {name: "something", "text": "made"}}, must_have_assets=False)


@each_case(
    "name",
    [
        *("type", "role", "index", "finish_reason", "orig_prompt", "actual_prompt", "file_url", "img_url"),
        *("url", "video_url", "image", "video", "audio", "transcription_url"),
    ],
)
def test_what_describes_one_result_is_no_result(name: str) -> None:
    """Inside one result its kind, its number, its prompt and a URL that is none say nothing of what was made."""
    for output in (
        {"results": [{name: "something"}]},
        {"results": {name: "something"}},
        {"choices": [{"message": {"content": [{name: "something"}]}}]},
    ):
        assert not is_readable({"output": output}, must_have_assets=False)
    assert is_readable({"output": {"results": [{name: "something", "text": "made"}]}}, must_have_assets=False)


def test_a_part_that_succeeded_without_a_url_says_nothing() -> None:
    """A part's status alone is no result, and one that is no success is a failure with its status for a reason."""
    assert not is_readable({"output": {"results": [{"subtask_status": "SUCCEEDED"}]}}, must_have_assets=False)
    one = {"subtask_status": "FAILED", "message": "too loud"}
    failed = failures_of({"output": {"results": [one, {**one, "code": "E"}, {"subtask_status": "X"}]}})
    assert failed == (
        Failure("output.results[0]", "FAILED", "too loud"),
        Failure("output.results[1]", "E", "too loud"),
        Failure("output.results[2]", "X", None),
    )


FAILED: dict[str, Any] = {"results": [{"code": "DataInspectionFailed", "message": "not allowed"}]}


@each_case("value", [None, "", [], {}, 0, 0.0])
def test_what_counts_nothing_costs_nothing(value: object) -> None:
    """A field of the usage that is empty or zero is no charge, beside a count of no images."""
    assert made_nothing({"output": FAILED, "usage": {"image_count": 0, "something": value}})
    assert made_nothing({"output": {**FAILED, "task_metrics": {"SUCCEEDED": value}}, "usage": {"image_count": 0}})


@each_case("name", ["width", "height", "size", "resolution", "ratio", "SR", "fps"])
def test_how_large_a_thing_would_be_is_no_charge(name: str) -> None:
    """The size of what was not made is no count; the same number under any other name may be a charge."""
    assert made_nothing({"output": FAILED, "usage": {"image_count": 0, name: 720}})
    assert not made_nothing({"output": FAILED, "usage": {"image_count": 0, f"{name}s": 720}})


# The list.

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def row(task_id: str, at: datetime | None = NOON) -> ListedTask:
    return ListedTask(
        task_id=task_id,
        status="RUNNING",
        phase=Phase.RUNNING,
        model=None,
        request_id=None,
        submitted_at=at,
        started_at=None,
        ended_at=None,
        row={},
    )


def test_both_ends_belong_to_the_window() -> None:
    """A task of the very instant at which a window begins or ends is in it, one of a microsecond outside is not."""
    question = ListQuestion({}, NOON, NOON + timedelta(hours=1))
    for before, wanted in ((MICROSECOND, False), (timedelta(0), True), (-MICROSECOND, True)):
        assert question.wants(row("a", NOON - before)) is wanted
        assert question.wants(row("a", NOON + timedelta(hours=1) + before)) is wanted
    assert question.wants(row("a", None))


def test_a_list_that_became_shorter_once_is_read_again() -> None:
    """Where a row went while the list was read, the list is read again, though no other went after it."""
    listing = Listing((ListQuestion({}, None, None),))
    for number, (name, total) in enumerate([("a", 4), ("b", 3), ("c", 3)], start=1):
        assert listing.number == number
        listing.receive(Page((row(name),), is_empty=False, pages=3, total=total))
    assert listing.next_page() == {"page_no": "1"}
    news = [listing.receive(Page((row(name),), is_empty=False, pages=3, total=3)) for name in "abd"]
    assert [task.task_id for rows in news for task in rows] == ["d"]
    assert listing.next_page() is None


def test_a_list_that_never_stands_still_is_read_three_times() -> None:
    """A window whose tasks become fewer in every pass is read three times, and so is the next; one that stays, once."""
    listing = Listing(tuple(ListQuestion({"window": name}, None, None) for name in ("first", "second", "third")))
    asked = []
    while (question := listing.next_page()) is not None:
        asked.append((question["window"], question["page_no"]))
        moves = question["window"] != "third" and question["page_no"] == "2"
        listing.receive(Page((row(f"{asked[-1]}"),), is_empty=False, pages=2, total=8 if moves else 9))
    assert asked == [("first", "1"), ("first", "2")] * 3 + [("second", "1"), ("second", "2")] * 3 + [
        ("third", "1"),
        ("third", "2"),
    ]


@each_case("name, most", [("a", 6), (None, 5)])
def test_five_pages_without_news_are_a_list_that_repeats_itself(name: str | None, most: int) -> None:
    """The fifth page in a row without a task that was not met before ends the list with an error, and no earlier."""
    listing = Listing((ListQuestion({}, None, None),))
    page = Page(() if name is None else (row(name),), is_empty=False, pages=99, total=None)
    for _ in range(most - 1):
        listing.receive(page)
    with pytest.raises(ListingFailed, match=f"repeats itself from page {most}"):
        listing.receive(page)


def came(body: Any) -> Answer:
    return Answer(200, (), json.dumps(body).encode())


@each_case(
    "body, reason",
    [
        ({"data": None}, "HTTP 200 without a list that can be read"),
        ({"data": [{}] * 1001}, "a page of 1001 tasks, where at most 1000 were asked for"),
        ({"data": [], "page_no": 1}, "page 1 of the list in the place of page 2"),
    ],
)
def test_a_page_that_cannot_be_read_can_be_asked_about(body: dict[str, Any], reason: str) -> None:
    """What is no page that was asked for keeps its request's id, by which the service's support finds it."""
    assert understand_page(came({**body, "request_id": "r1"}), 2, 0.0) == Unreadable(request_id="r1", reason=reason)


@each_case(
    "told, total, pages",
    [(0, 0, None), (1, 1, 1), (7, 7, 7), (-1, None, None), (None, None, None), (True, None, None), (2.0, None, None)],
)
def test_a_count_is_a_whole_number(told: object, total: int | None, pages: int | None) -> None:
    """A list without any task says so with a zero; a number of pages of zero, or what is no count, says nothing."""
    page = read_page(came({"data": [], "total": told, "total_page": told}))
    assert page == Page((), is_empty=True, pages=pages, total=total)


def test_a_window_is_cut_where_it_becomes_too_wide() -> None:
    """What the service takes at once is 24 hours, of which 8 are for the zone's doubt and 3 seconds for the ends."""
    widest = timedelta(hours=16) - timedelta(seconds=3)
    for more, spelt in (
        (timedelta(0), [("20260301115959", "20260302115959")]),
        (timedelta(seconds=1), [("20260301115959", "20260302115959"), ("20260302115958", "20260302120000")]),
    ):
        asked = questions(DASHSCOPE, start=NOON, end=NOON + widest + more, model=None, status=None, page_size=50)
        assert [(each.parameters["start_time"], each.parameters["end_time"]) for each in asked] == spelt


@pytest.mark.parametrize("bound", ["start", "end"])
def test_no_task_is_of_another_century(bound: str) -> None:
    """A window may begin and end from 2000 to 2099, and what lies outside is a mistake that nothing is asked for."""

    def ask(moment: datetime) -> int:
        bounds = {"start": None, "end": None, bound: moment}
        return len(questions(DASHSCOPE, **bounds, model=None, status=None, page_size=50))

    for moment in (datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)):
        assert ask(moment) == 2  # A day, and eight hours more since the zone is in doubt.
    for moment in (datetime(1999, 12, 31, 23, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)):
        with pytest.raises(ConfigurationError, match=f"{bound} lies where no task can be"):
            ask(moment)
