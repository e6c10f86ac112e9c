"""A world of many tasks: small in memory, and no request that looks at all of them but the list."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from fake_server.admin import world_pages
from fake_server.engine import Reply
from fake_server.wire.bodies import timestamp
from fake_server.wire.routes import remembered_route
from fake_server.worlds import Worlds
from tests.fake_server.driving import Hand, content, lifecycle_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fake_server.conftest import Running

# A task with a prompt of its own, its two ids and its place in the table. 100,000 then need less than 70 MB.
LARGEST_TASK_BYTES = 650


def body(number: int) -> bytes:
    """A create like no other."""
    return b'{"model": "wan2.5-t2v-preview", "input": {"prompt": "a cat, number %d"}}' % number


def calls_of(function: Callable[[], object]) -> int:
    """How many calls into Python or C one call makes: its work, without a watch."""
    count = 0

    def notice(frame: object, event: str, argument: object) -> None:  # noqa: ARG001  # as the interpreter calls it
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(notice)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def bytes_a_task(hand: Hand, make: Callable[[int], object], first: int, tasks: int) -> float:
    """How much memory a task takes, once the first so many have filled the journal and what else is bounded."""
    tracemalloc.start()
    for number in range(first + tasks):
        if number == first:
            before = tracemalloc.get_traced_memory()[0]
        make(number)
        hand.seen.clear()
        for remembers in (timestamp, remembered_route):  # something of the latest tasks, up to a bound
            remembers.cache_clear()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / tasks


def test_a_task_is_small(tmp_path: Path) -> None:
    """3,000 tasks with prompts of their own take less than 650 bytes each, queued or done."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING 1s -> SUCCEEDED"), seed=1)
    assert bytes_a_task(hand, lambda number: hand.created(body(number)), 1_500, 3_000) < LARGEST_TASK_BYTES


def test_polls_do_not_make_a_task_large(tmp_path: Path) -> None:
    """A task that was asked for thirty times, while its script counted them, takes no more than another."""
    extra = "quotas: {queries_per_second: 10000}"
    hand = Hand.on(lifecycle_scenario(tmp_path, "PENDING 2 polls -> RUNNING 20 polls -> SUCCEEDED", extra=extra))

    def ask(number: int) -> None:
        task_id = hand.created(body(number % 10))
        for _ in range(30):
            hand.now_s += 1.0
            hand.poll(task_id)

    assert bytes_a_task(hand, ask, 40, 100) < LARGEST_TASK_BYTES


@pytest.mark.parametrize("life", ["RUNNING", "RUNNING 5s -> SUCCEEDED", "RUNNING 2 polls -> SUCCEEDED"])
@pytest.mark.parametrize("cap", [3, 10_000])
def test_creates_and_polls_cost_the_same_with_many_tasks(tmp_path: Path, life: str, cap: int) -> None:
    """The work of a create, a poll and a cancel is no more with 2,000 tasks than with 20, whether they run or queue."""
    hand = Hand.on(lifecycle_scenario(tmp_path, life, extra=f"quotas: {{concurrent_tasks: {cap}}}"))

    def work() -> list[int]:
        task_id = hand.created()
        hand.now_s += 0.1
        actions: list[Callable[[], Any]] = [hand.create, lambda: hand.poll(task_id), lambda: hand.cancel(task_id)]
        return [calls_of(action) for action in actions]

    for _ in range(20):
        hand.created()
    few = work()
    for _ in range(2_000):
        hand.created()
    many = work()
    # A heap's depth and the hash table's growth are all that may differ.
    assert all(after <= before + 40 for before, after in zip(few, many, strict=True)), (few, many)


def test_a_world_keeps_so_much_text_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts and URLs that a world would have to keep beyond its bound are a 503 that says so."""
    monkeypatch.setattr("fake_server.rules.service.MOST_TEXT_CHARACTERS", 10_000)
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"), "aisa")
    hand.created(b'{"model": "m", "input": {"prompt": "%s"}}' % (b"x" * 9_999))
    reply = hand.create(b'{"model": "m", "input": {"prompt": "xx"}}')
    assert isinstance(reply, Reply)
    assert reply.status == 503
    assert content(reply)["error"]["message"] == "this world keeps 10000 characters and takes no more"


def test_a_long_bill_shows_its_latest_rows(fake: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bill page shows so many rows, the latest, and counts and sums all of them."""
    monkeypatch.setattr(world_pages, "MOST_BILL_ROWS", 2)
    assert isinstance(fake.worlds, Worlds)
    ids = [fake.create("sk-succeeds.long").json()["output"]["task_id"] for _ in range(3)]
    for _ in range(3):
        fake.advance("succeeds.long", 100.0)
        for task_id in ids:
            for _ in range(4):
                fake.poll("sk-succeeds.long", task_id)
    page = fake.admin("/worlds/succeeds.long/bill")
    assert [row["task_id"] for row in page["tasks"]] == ids[1:]
    assert (page["left_out"], page["billed_tasks"], page["total"]) == (1, 3, "2.25")
