"""A task alone: what follows from its script, its start, its cancel and its polls at any instant."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest

from fake_server.rules.tasks import Task, make_id, pack_id, unpack_id
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire.endpoints import BY_NAME
from fake_server.wire.results import Failure
from fake_server.wire.submissions import Submission
from tests.fake_server.driving import WALL_S, content
from tests.fake_server.faulty import hand_with

LIFE = Lifecycle((Step("PENDING", lasts_s=2), Step("RUNNING", lasts_s=20), Step("SUCCEEDED")))
FAILURE = Failure("DataInspectionFailed", "Not this one.")


def task_with(lifecycle: Lifecycle = LIFE, endpoint: str = "video", **changes: Any) -> Task:
    """A task that was submitted at 100 s and runs twice as fast as its script."""
    usual: dict[str, Any] = {
        "ordinal": 0,
        "task_id": "t",
        "request": 0,
        "dialect": "dashscope",
        "endpoint": BY_NAME[endpoint],
        "asked": Submission("m"),
        "speed": 2.0,
        "submitted_s": 100.0,
        "submitted_wall_s": WALL_S,
    }
    return Task(lifecycle=lifecycle, **{**usual, **changes})


def test_an_identifier_is_a_random_uuid_that_follows_from_a_text() -> None:
    """It is the UUID of version 4 whose random bits are the first of the text's SHA-256, and packs without a loss."""
    for number in range(300):
        purpose = f"0|w1|task|{number}"
        made = make_id(purpose)
        assert made == str(uuid.UUID(bytes=hashlib.sha256(purpose.encode()).digest()[:16], version=4))
        assert unpack_id(pack_id(made)) == made


def test_a_task_keeps_the_identifier_of_the_answer_that_accepted_it() -> None:
    """The list shows under each task the request that made it, zeros in front included."""
    small = "00000000-0000-4000-8000-00000000002a"
    assert task_with(request=pack_id(small)).request_id == small
    hand = hand_with(life=LIFE)
    reply: Any = hand.create()
    [row] = hand.listed()["data"]
    assert row["request_id"] == content(reply)["request_id"]


def test_who_waits_for_a_slot_has_no_place_in_its_script() -> None:
    """Before its start a task is PENDING and open, frees no slot, and its script is told as if it began at once."""
    task = task_with()
    assert (task.position(1_000.0), task.frees_slot_s(), task.is_open(1_000.0)) == (None, None, True)
    assert (task.view(1_000.0).status, task.view(1_000.0).ended_s) == ("PENDING", None)
    assert task.view_then(1_000.0).status == "PENDING"
    assert task.entries() == [100.0, 101.0, 111.0]
    assert task.polled(1_000.0)[1] is False


@pytest.mark.parametrize(
    ("now_s", "status", "is_open"),
    [
        (105.0, "PENDING", True),
        (105.9, "PENDING", True),
        (106.0, "RUNNING", True),
        (115.9, "RUNNING", True),
        (116.0, "SUCCEEDED", False),
        (999.0, "SUCCEEDED", False),
    ],
)
def test_a_task_goes_through_its_script_from_its_start(now_s: float, status: str, is_open: bool) -> None:
    """Started five seconds after its submission, each step begins on the very instant, and the last is the end."""
    task = task_with(started_s=105.0)
    view = task.view(now_s)
    assert (view.status, task.view_then(now_s).status, task.is_open(now_s)) == (status, status, is_open)
    assert view.running_since_s == (None if status == "PENDING" else 106.0)
    assert view.ended_s == (116.0 if status == "SUCCEEDED" else None)
    times = task.times(view)
    assert times.submitted_s == WALL_S
    assert times.scheduled_s == (None if status == "PENDING" else WALL_S + 6)
    assert times.ended_s == (WALL_S + 16 if status == "SUCCEEDED" else None)
    assert task.frees_slot_s() == 116.0


@pytest.mark.parametrize(
    ("then_s", "status"),
    [(99.0, "PENDING"), (104.9, "PENDING"), (105.0, "RUNNING"), (106.9, "RUNNING"), (107.0, "CANCELED")],
)
def test_an_older_state_is_as_it_was_seen_then(then_s: float, status: str) -> None:
    """Before its start it waited, from the very instant on it ran, and from the cancel on it is cancelled."""
    life = Lifecycle((Step("RUNNING", lasts_s=20), Step("SUCCEEDED")))
    task = task_with(life, started_s=105.0, canceled_s=107.0)
    assert task.view_then(then_s).status == status


def test_what_is_cancelled_stays_so_and_frees_its_slot() -> None:
    """It ended when it was cancelled, whatever its script says and whoever asks."""
    life = Lifecycle((Step("PENDING", lasts_polls=1), Step("SUCCEEDED")))
    task = task_with(life, started_s=105.0, canceled_s=107.0)
    view, goes_on = task.polled(200.0)
    assert (view.status, view.ended_s, goes_on) == ("CANCELED", 107.0, False)
    assert (task.is_open(107.0), task.frees_slot_s(), task.polled_out_s) == (False, 107.0, ())
    assert task.times(view).ended_s == WALL_S + 7


@pytest.mark.parametrize("word", ["RUNNING", "FROZEN", "UNKNOWN"])
def test_a_last_step_that_is_no_end_has_no_time_of_an_end(word: str) -> None:
    """A task that stays in any other word for ever is not open any more, and has not ended."""
    task = task_with(Lifecycle((Step(word),)), started_s=100.0)
    assert (task.view(500.0).ended_s, task.is_open(500.0)) == (None, False)
    assert task.frees_slot_s() == (100.0 if word == "UNKNOWN" else None)


def test_steps_that_are_counted_in_polls_last_exactly_so_many() -> None:
    """Each counts its own polls, the last of which lets the script go on at that instant; steps by time count none."""
    life = Lifecycle(
        (
            Step("PENDING", lasts_polls=2),
            Step("RUNNING", lasts_s=20),
            Step("SLOW", lasts_polls=2),
            Step("SLOWER", lasts_polls=1),
            Step("SUCCEEDED"),
        )
    )
    task = task_with(life, started_s=100.0)
    seen = []
    for now_s in (101.0, 102.0, 103.0, 112.0, 113.0, 114.0, 115.0, 116.0):
        view, goes_on = task.polled(now_s)
        seen.append((view.status, goes_on))
    assert seen == [
        ("PENDING", False),
        ("PENDING", True),
        ("RUNNING", False),
        ("SLOW", False),
        ("SLOW", True),
        ("SLOWER", True),
        ("SUCCEEDED", False),
        ("SUCCEEDED", False),
    ]
    assert task.entries() == [100.0, 102.0, 112.0, 113.0, 114.0]


def test_what_is_asked_for_and_what_is_made_are_counted_apart() -> None:
    """Of three images one of which failed three are asked for and two made, with a task and without; a video costs its
    seconds, and each file four seconds of speech."""
    life = Lifecycle((Step("RUNNING", lasts_s=20), Step("SUCCEEDED")), results=(None, FAILURE, None))
    images = task_with(life, "text-to-image")
    assert (images.units(made_only=False), images.units(made_only=True)) == (3, 2)
    at_once = task_with(life, "image-synchronous")
    at_once.make_at_once(130.0)
    assert (at_once.units(made_only=False), at_once.units(made_only=True)) == (3, 2)
    assert (at_once.view(130.0).status, at_once.view(130.0).ended_s, at_once.is_open(130.0)) == (
        "SUCCEEDED",
        130.0,
        False,
    )
    video = task_with(asked=Submission("m", duration_s=7))
    assert (video.units(made_only=False), video.units(made_only=True)) == (7, 7)
    files = task_with(life, "transcription", asked=Submission("m", files=("a", "b", "c", "d")))
    assert files.items() == [None, FAILURE, None, None]
    assert (files.units(made_only=False), files.units(made_only=True)) == (16, 12)
    one = task_with(life, "transcription", asked=Submission("m", files=("a",)))
    assert one.items() == [None]


def test_a_new_task_was_neither_asked_for_nor_fetched() -> None:
    """What a verdict counts, downloads and queries after an end, begins with nothing."""
    task = task_with()
    assert (task.asked_s, task.end_told, task.was_fetched, task.polls_of_step) == (None, False, False, 0)
