"""What the vendor's pages say in numbers and words: statuses, how long a task is remembered, how a list is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resilient_poll import ListingFailed, Phase
from resilient_poll.dashscope.wire.dialects import AISA, DASHSCOPE, LIFECYCLE
from resilient_poll.dashscope.wire.listing import Listing, Page, questions, read_page
from resilient_poll.dashscope.wire.translate import translate_create
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.messages import Answer
from resilient_poll.machine.observations import AnsweredAtOnce, LostAnswer
from tests.dashscope.scripted import Asked, Reply, a_client
from tests.dashscope.wire_bodies import NOW_S, answer
from tests.support.colours import run_in

# Written out from the vendor's pages, not from the table.
MEANINGS = {
    "PENDING": Phase.QUEUED,
    "SUSPENDED": Phase.QUEUED,
    "RUNNING": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELED": Phase.CANCELED,
    "UNKNOWN": Phase.UNRECOGNIZED,
    "EXPLODED": Phase.UNLISTED,
}


def test_each_status_of_the_service_means_its_phase() -> None:
    """A listed task is in the phase that the vendor's page describes for its status, and another word is unlisted."""
    rows = [{"task_id": f"task-{word.lower()}", "status": word} for word in MEANINGS]
    page = read_page(Answer(200, (), json.dumps({"data": rows}).encode()))
    assert page is not None
    assert {task.status: task.phase for task in page.tasks} == MEANINGS


def test_a_task_is_remembered_for_a_day() -> None:
    """The service forgets a task 24 hours after it was created."""
    assert LIFECYCLE.retention_s == 86_400.0


@pytest.mark.parametrize(("hint_s", "times"), [(59, 2), (60, 1)])
def test_a_page_holds_fifty_rows_and_is_waited_for_a_minute(hint_s: int, times: int) -> None:
    """Who names neither size nor time asks for 50 rows, and a page that is busy for half a second is asked for again
    where its hint ends within the minute, and not where it ends half a second after it."""
    asked: list[Asked] = []
    clock = VirtualClock()

    def answers(question: Asked) -> Reply:
        asked.append(question)
        clock.advance(0.5)
        return Reply(503, {"code": "ModelUnavailable", "message": "busy"}, {"retry-after": str(hint_s)})

    async def main() -> None:
        async with a_client("sync", "httpx", answers, clock) as client:
            with pytest.raises(ListingFailed):
                list(client.list_remote())

    run_in("sync", main)
    assert {question.query["page_size"] for question in asked} == {"50"}
    assert len(asked) == times


def test_a_window_that_shrinks_each_time_is_read_three_times() -> None:
    """Rows that become fewer in every reading have a window read three times and no more, each window by itself."""
    first = questions(DASHSCOPE, start=None, end=None, model=None, status=None, page_size=1)
    pages = Listing(first * 2)
    passes = 0
    while pages.next_page() is not None and passes < 20:
        passes += 1
        pages.receive(Page((), is_empty=False, pages=2, total=9))
        pages.receive(Page((), is_empty=True, pages=2, total=8))
    assert passes == 6


def test_in_the_place_of_an_id_only_assets_count_unless_more_is_allowed() -> None:
    """An answer without an id that holds a text and no asset is a doubt, but where such a text is a result."""
    said: Any = answer(200, {"output": {"text": "done"}})
    assert isinstance(translate_create(said, AISA, NOW_S), LostAnswer)
    assert isinstance(translate_create(said, AISA, NOW_S, must_have_assets=False), AnsweredAtOnce)
