"""Limits that are looked at and changed: what is told to be in use, what holds from now on, whose limits are shared."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.engine import Reply
from fake_server.operating import Operator
from fake_server.rules.limits import Limits, quotas_in_use
from fake_server.rules.quotas import RateWindow
from fake_server.rules.room import Room
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import Hand, header
from tests.fake_server.test_endpoints import create_at

TEN_SECONDS = Lifecycle((Step("RUNNING", lasts_s=10), Step("SUCCEEDED")))
REMAINING = "x-ratelimit-remaining-requests"


def hand_on(dialect: str = "dashscope", **quotas: Any) -> Hand:
    """A hand on a world whose tasks run for ten seconds."""
    limits = Quotas(**quotas)
    return Hand.on(Scenario("drawn", "Drawn.", (TEN_SECONDS,), Expect(("SUCCEEDED",)), quotas=limits), dialect)


def change(hand: Hand, **quotas: Any) -> None:
    """Let other limits hold from now on."""
    Operator(hand.engine, hand.now).set_quotas(Quotas(**quotas))


def statuses(hand: Hand, name: str, number: int) -> list[int]:
    """What as many creates are answered with."""
    replies = [create_at(hand, name) for _ in range(number)]
    return [reply.status for reply in replies if isinstance(reply, Reply)]


def test_what_is_in_use_is_told_by_dialect_and_for_the_instant() -> None:
    """Tasks that run and that wait are counted for each of the two services, and queries of the last second; what is
    over by the instant that is asked about counts no more."""
    hand = hand_on(concurrent_tasks=2)
    first, *_ = (hand.created() for _ in range(5))
    hand.dialect = "aisa"
    hand.created()
    hand.dialect = "dashscope"
    hand.now_s = 0.5
    for _ in range(4):
        hand.poll(first)
    in_use = {"running": {"aisa": 1, "dashscope": 2}, "waiting": {"aisa": 0, "dashscope": 3}}
    assert Operator(hand.engine, hand.now).quotas()["in_use"] == {**in_use, "queries_in_the_last_second": 4}
    later = {"running": {"aisa": 0, "dashscope": 2}, "waiting": {"aisa": 0, "dashscope": 1}}
    assert quotas_in_use(hand.engine.limits, 10.0) == {**later, "queries_in_the_last_second": 0}


def test_another_rate_of_queries_and_of_images_holds_from_now_on() -> None:
    """What was admitted before counts towards the new limit, and one more than that is refused."""
    hand = hand_on()
    task_id = hand.created()
    hand.output(task_id)
    change(hand, queries_per_second=2)
    replies = [hand.ask("GET", f"/api/v1/tasks/{task_id}").status for _ in range(2)]
    assert replies == [200, 429]
    gateway = hand_on("aisa")
    assert statuses(gateway, "image-synchronous", 1) == [200]
    change(gateway, images_per_minute=2)
    assert statuses(gateway, "image-synchronous", 2) == [200, 429]


def test_a_limit_on_all_requests_can_be_given_changed_and_taken_away() -> None:
    """Given to a world without one it counts from now on, over a minute; changed it remembers what was admitted; taken
    away it holds no more, and its headers are gone."""
    hand = hand_on("aisa", concurrent_tasks=100)
    seen: list[tuple[int, str | None, str | None]] = []

    def ask() -> None:
        reply = hand.create()
        assert isinstance(reply, Reply)
        seen.append((reply.status, header(reply, REMAINING), header(reply, "retry-after")))

    ask()
    change(hand, concurrent_tasks=100, requests_per_minute=2)
    for _ in range(3):
        ask()
    change(hand, concurrent_tasks=100, requests_per_minute=3)
    hand.now_s = 20.0
    ask()
    ask()
    change(hand, concurrent_tasks=100)
    ask()
    assert seen == [
        (200, None, None),
        (200, "1", None),
        (200, "0", None),
        (429, "0", "60"),
        (200, "0", None),
        (429, "0", "40"),
        (200, None, None),
    ]


def test_a_raised_cap_starts_who_waits_at_that_instant() -> None:
    """Who waits gets a slot as soon as there is one more, and lives from then on; who still waits goes on to."""
    hand = hand_on(concurrent_tasks=1)
    tasks = [hand.created() for _ in range(3)]
    hand.now_s = 4.0
    change(hand, concurrent_tasks=2)
    hand.now_s = 13.9
    assert [hand.status(task_id) for task_id in tasks] == ["SUCCEEDED", "RUNNING", "RUNNING"]
    hand.now_s = 14.0
    assert [hand.status(task_id) for task_id in tasks] == ["SUCCEEDED", "SUCCEEDED", "RUNNING"]
    hand.now_s = 20.0
    assert hand.status(tasks[2]) == "SUCCEEDED", "it began at 10 s, when the first had ended"


def test_who_waits_for_a_models_own_slot_gets_it_when_it_is_free() -> None:
    """With limits of each model, too, the next in the queue begins when the one before has ended."""
    hand = hand_on(by_model=True)
    body = b'{"model": "wanx-v1", "input": {"prompt": "x"}}'
    first, second = (hand.created(body) for _ in range(2))
    hand.now_s = 10.0
    assert [hand.status(first), hand.status(second)] == ["SUCCEEDED", "RUNNING"]
    hand.now_s = 20.0
    assert hand.status(second) == "SUCCEEDED"


@pytest.mark.parametrize(("model", "admitted", "span_s"), [("wan2.7-t2v", 5, 1.0), ("qwen-image-2.0-pro", 2, 60.0)])
def test_a_submit_rate_is_of_a_second_or_as_its_row_says(model: str, admitted: int, span_s: float) -> None:
    """So many creates of a model are admitted in a second, of one row in a minute, and the next one after that."""
    limits = Limits(Quotas(by_model=True))
    before = [limits.admit_submit("dashscope", model, now_s) for now_s in [0.0] * (admitted + 1) + [span_s - 0.01]]
    assert before == [True] * admitted + [False] * 2
    assert limits.admit_submit("dashscope", model, span_s)


def test_a_hundred_models_have_limits_of_their_own_and_further_ones_share_those_of_their_row() -> None:
    """Names come from clients: each has limits of its own up to a hundred, those after share, with the figures of
    their row of the table; and models that stand in no row share always."""
    limits = Limits(Quotas(by_model=True))
    own = [limits.slots("dashscope", f"wan2.5-{number}") for number in range(100)]
    assert len(set(map(id, own))) == 100
    over = [limits.slots("dashscope", f"wan2.5-{number}") for number in (100, 101)]
    assert over[0] is over[1]
    assert over[0] not in own
    other = limits.slots("dashscope", "wan2.2-one-more")
    assert other is not over[0]
    assert (over[0].size, other.size) == (5, 2)
    unknown = Limits(Quotas(by_model=True))
    assert unknown.slots("dashscope", "mine") is unknown.slots("dashscope", "yours")


@pytest.mark.parametrize(("now_s", "wait_s"), [(0.0, 10), (0.5, 10), (9.0, 1), (9.5, 1), (10.0 - 5.000_000_5, 6)])
def test_who_is_refused_is_told_the_first_whole_second_at_which_a_slot_is_free(now_s: float, wait_s: int) -> None:
    """A slot that is free at ten seconds is free at that very instant: no second more is asked for, and none less."""
    hand = hand_on("aisa", concurrent_tasks=1)
    hand.created()
    hand.now_s = now_s
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert (reply.status, header(reply, "retry-after")) == (429, str(wait_s))


def test_an_operator_starts_who_waits_over_the_cap_and_nobody_twice() -> None:
    """Who waits begins at that instant although no slot is free; who runs already, or was cancelled, is left alone."""
    hand = hand_on(concurrent_tasks=1)
    running, waiting, canceled = (hand.engine.tasks[hand.created()] for _ in range(3))
    hand.cancel(canceled.task_id)
    slots = hand.engine.limits.by_dialect()["dashscope"]
    for task in (running, waiting, canceled):
        slots.start_now(task, 3.0)
    assert [task.started_s for task in (running, waiting, canceled)] == [0.0, 3.0, None]
    assert (slots.running, slots.waiting, slots.are_taken) == (2, 0, True)


def test_who_has_ended_when_the_cap_is_changed_holds_no_slot() -> None:
    """A new cap is for those who still run at that instant, however long ago somebody looked; the next one in the
    queue began when the slot was free, and only what else is free now begins now."""
    hand = hand_on(concurrent_tasks=1)
    tasks = [hand.engine.tasks[hand.created()] for _ in range(4)]
    slots = hand.engine.limits.by_dialect()["dashscope"]
    slots.resize(2, 25.0)
    assert [task.started_s for task in tasks] == [0.0, 10.0, 20.0, 25.0]
    assert (slots.running, slots.waiting) == (2, 0)


def test_a_cancelled_task_gives_its_slot_back_at_once() -> None:
    """Right after a cancel nothing runs that was cancelled."""
    life = Lifecycle((Step("PENDING", lasts_s=10), Step("SUCCEEDED")))
    hand = Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), quotas=Quotas(concurrent_tasks=1)))
    task_id = hand.created()
    slots = hand.engine.limits.by_dialect()["dashscope"]
    assert slots.running == 1
    assert hand.cancel(task_id).status == 200
    assert (slots.running, slots.are_taken) == (0, False)


def test_a_window_forgets_what_has_left_it() -> None:
    """The next request passes when the oldest leaves: after whole seconds that are rounded up, and at once where all
    have left."""
    window = RateWindow(1, 60.0)
    assert (window.remaining(0.0), window.next_in_s(0.0)) == (1, 0.0)
    assert window.admit(0.0)
    assert not window.admit(59.5)
    assert [window.retry_after_s(now_s) for now_s in (0.0, 58.5, 59.0, 59.5)] == [60, 2, 1, 1]
    assert window.next_in_s(100.0) == 0.0


def test_room_that_is_given_back_can_be_taken_again() -> None:
    """What is held is what was taken less what was given back, of tasks and of text alike."""
    room = Room(most_tasks=4, most_characters=10)
    for _ in range(4):
        room.take(2)
    assert not room.has_place(0)
    room.give_back(1, 2)
    assert room.has_place(4)
    assert not room.has_place(5)
    room.take(4)
    assert not room.has_place(0)
    room.give_back(3, 10)
    assert room.has_place(10)


def test_three_full_worlds_and_their_text_fit_on_one_server() -> None:
    """Without other bounds 300,000 tasks are held and 150 million characters, and not one more."""
    room = Room()
    assert room.most_tasks == 300_000
    assert room.has_place(150_000_000)
    assert not room.has_place(150_000_001)


def test_room_is_made_as_long_as_there_is_somebody_to_give_up() -> None:
    """What does not fit drives others out, one after the other, until it fits or nobody is left; what fits drives out
    nobody; and the last place and the last character can be taken."""
    held = [(2, 5), (1, 3)]
    asked: list[int] = []

    def make_room() -> bool:
        asked.append(len(held))
        if held:
            room.give_back(*held.pop())
        return asked[-1] > 0

    room = Room(3, 8, make_room)
    assert room.has_place(8)
    assert not Room(3, 8).has_place(9)
    for characters in (3, 2, 3):
        assert room.has_place(characters)
        room.take(characters)
    assert asked == []
    assert room.has_place(3)
    assert asked == [2]
    room.take(3)
    assert room.has_place(4)
    assert asked == [2, 1]
    assert not room.has_place(9)
    assert asked == [2, 1, 0]
