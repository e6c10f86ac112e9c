"""A hand on a world: what is moved, cancelled, expired or limited holds from now on; the past and the bill stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.operating import NotPossibleError, Operator, TaskWatch, task_row, task_rows, transitions
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.model import Expect, Quotas, Scenario
from tests.fake_server.driving import UNTIMED, Hand, content
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = Lifecycle((Step("PENDING", lasts_s=2), Step("RUNNING", lasts_s=20), Step("SUCCEEDED")))
STATUSES = st.sampled_from(["PENDING", "RUNNING", "UNKNOWN", "FROZEN", "SUCCEEDED", "FAILED", "CANCELED"])


def hand_on(*lives: Lifecycle, **quotas: int) -> Hand:
    """A hand on a world with these lives."""
    limits = Quotas(**{"concurrent_tasks": 100, "queries_per_second": 1_000, **quotas})
    return Hand.on(Scenario("made", "Made.", lives, Expect(("SUCCEEDED",)), quotas=limits))


def operate(hand: Hand) -> Operator:
    """An operator of a hand's world, now."""
    return Operator(hand.engine, hand.now)


def life_of(hand: Hand, task_id: str) -> list[tuple[str, float]]:
    """The statuses of a task so far."""
    row = task_row(hand.engine, hand.engine.tasks[task_id], hand.now)
    return [(point.status, point.at_s) for point in row.life]


def test_a_moved_task_goes_on_with_its_script() -> None:
    """Moved to a status that its script has later, a task is there now and goes on from there; its past stays."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    hand.now_s = 0.5
    operate(hand).move(task_id, "RUNNING")
    assert hand.status(task_id) == "RUNNING"
    hand.now_s = 20.4
    assert hand.status(task_id) == "RUNNING"
    hand.now_s = 20.5
    assert hand.status(task_id) == "SUCCEEDED"
    assert life_of(hand, task_id) == [("PENDING", 0.0), ("RUNNING", 0.5), ("SUCCEEDED", 20.5)]
    assert hand.engine.bill(hand.now).billed_tasks == 1


def test_a_task_that_is_moved_to_a_failure_says_why() -> None:
    """Moved to FAILED with a code and a sentence, a task tells both, has ended, and costs nothing."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    operate(hand).move(task_id, "FAILED", "DataInspectionFailed", "Not this one.")
    output = hand.output(task_id)
    assert (output["task_status"], output["code"], output["message"]) == (
        "FAILED",
        "DataInspectionFailed",
        "Not this one.",
    )
    assert not hand.engine.has_open_tasks(hand.now)
    assert hand.engine.bill(hand.now).billed_tasks == 0


def test_a_status_that_the_script_lacks_is_kept_until_the_next_move() -> None:
    """Any word can be said for as long as one likes, and the task brought to an end afterwards."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    operate(hand).move(task_id, "FROZEN")
    hand.now_s = 1_000.0
    assert hand.status(task_id) == "FROZEN"
    operate(hand).move(task_id, "SUCCEEDED")
    assert hand.status(task_id) == "SUCCEEDED"
    assert hand.engine.bill(hand.now).billed_tasks == 1


def test_a_task_that_waits_for_a_slot_starts_when_it_is_moved() -> None:
    """Moved out of the queue a task runs over the cap; whoever waits behind it starts when one of the first is over."""
    hand = hand_on(SLOW, concurrent_tasks=1)
    first, second, third = (hand.created() for _ in range(3))
    operate(hand).move(second, "RUNNING")
    assert [hand.status(task_id) for task_id in (first, second, third)] == ["PENDING", "RUNNING", "PENDING"]
    hand.now_s = 20.0
    assert [hand.status(task_id) for task_id in (first, second, third)] == ["RUNNING", "SUCCEEDED", "PENDING"]
    hand.now_s = 22.0
    assert hand.status(first) == "SUCCEEDED"
    hand.now_s = 23.9
    assert hand.status(third) == "PENDING"
    hand.now_s = 24.0
    assert hand.status(third) == "RUNNING"
    assert life_of(hand, second) == [("PENDING", 0.0), ("RUNNING", 0.0), ("SUCCEEDED", 20.0)]


def test_a_task_that_was_forgotten_takes_a_slot_again_when_it_is_moved() -> None:
    """A last UNKNOWN gives the slot back; moved to another status the task runs again, over the cap, until it ends."""
    hand = hand_on(Lifecycle((Step("UNKNOWN"),)), Lifecycle((Step("RUNNING"),)), concurrent_tasks=1)
    forgotten, second, third = (hand.created() for _ in range(3))
    slots = hand.engine.limits.slots_of(hand.engine.tasks[forgotten])
    assert (slots.running, slots.waiting) == (1, 1)
    operate(hand).move(forgotten, "RUNNING")
    assert (slots.running, slots.waiting) == (2, 1)
    operate(hand).move(second, "FAILED")
    assert [hand.status(task_id) for task_id in (forgotten, second, third)] == ["RUNNING", "FAILED", "PENDING"]
    operate(hand).move(forgotten, "SUCCEEDED")
    assert (slots.running, slots.waiting) == (1, 0)


def test_a_cancelled_task_frees_its_slot_and_costs_nothing() -> None:
    """A task can be cancelled at any status but an end; it costs nothing, and the next one starts at once."""
    hand = hand_on(SLOW, concurrent_tasks=1)
    first, second = hand.created(), hand.created()
    hand.now_s = 5.0
    assert hand.status(first) == "RUNNING"
    operate(hand).cancel(first)
    assert hand.status(first) == "CANCELED"
    hand.now_s = 7.0
    assert hand.status(second) == "RUNNING"
    assert hand.engine.bill(hand.now).billed_tasks == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda operator, task_id: operator.move(task_id, "RUNNING"),
        lambda operator, task_id: operator.cancel(task_id),
    ],
)
def test_what_has_ended_stays(act: Callable[[Operator, str], Any]) -> None:
    """A task that has ended is neither moved nor cancelled, and its bill stands; an id of nobody is missing."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    hand.now_s = 22.0
    with pytest.raises(NotPossibleError, match="SUCCEEDED") as refused:
        act(operate(hand), task_id)
    assert not refused.value.is_missing
    assert (hand.status(task_id), hand.engine.bill(hand.now).billed_tasks) == ("SUCCEEDED", 1)
    with pytest.raises(NotPossibleError, match="no task") as missing:
        act(operate(hand), "nobody")
    assert missing.value.is_missing


def test_an_expired_task_is_unknown_and_its_bill_stands() -> None:
    """The service forgets a task that is made to expire: UNKNOWN, in no list, not to be cancelled, still billed."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    hand.now_s = 22.0
    operate(hand).expire(task_id)
    assert hand.status(task_id) == "UNKNOWN"
    assert hand.listed()["total"] == 0
    row = task_row(hand.engine, hand.engine.tasks[task_id], hand.now)
    assert (row.status, row.is_remembered) == ("SUCCEEDED", False)
    assert hand.engine.bill(hand.now).billed_tasks == 1


def test_expired_urls_are_refused_and_the_task_is_not() -> None:
    """URLs that are made to expire answer as expired ones do, while the task is still told."""
    hand = hand_on(SLOW)
    task_id = hand.created()
    hand.now_s = 22.0
    path = hand.output(task_id)["video_url"].removeprefix("http://fake.test")
    assert hand.ask("GET", path).status == 200
    operate(hand).expire(task_id, "urls")
    assert hand.ask("GET", path).status == 403
    assert hand.status(task_id) == "SUCCEEDED"


def test_another_speed_is_for_new_tasks() -> None:
    """A new speed divides the times of tasks created from now on, and moves nothing that has happened."""
    hand = hand_on(SLOW)
    first = hand.created()
    hand.now_s = 3.0
    operate(hand).set_speed(10.0)
    second = hand.created()
    hand.now_s = 5.2
    assert (hand.status(first), hand.status(second)) == ("RUNNING", "SUCCEEDED")
    for speed in (0.0, -1.0, float("nan"), float("inf"), 1e7):
        with pytest.raises(NotPossibleError, match="speed"):
            operate(hand).set_speed(speed)


def test_a_higher_cap_starts_those_who_wait_and_a_lower_one_stops_nobody() -> None:
    """Who waits starts at the instant at which the cap is raised; who runs over a lowered one runs on."""
    hand = hand_on(SLOW, concurrent_tasks=1)
    tasks = [hand.created() for _ in range(3)]
    hand.now_s = 1.0
    operate(hand).set_quotas(Quotas(concurrent_tasks=3, queries_per_second=1_000))
    hand.now_s = 3.0
    assert [hand.status(task_id) for task_id in tasks] == ["RUNNING"] * 3
    operate(hand).set_quotas(Quotas(concurrent_tasks=1, queries_per_second=2))
    assert operate(hand).quotas()["in_use"]["running"] == {"aisa": 0, "dashscope": 3}
    fourth = hand.created()
    hand.now_s = 23.5
    assert [hand.status(task_id) for task_id in tasks[:2]] == ["SUCCEEDED"] * 2
    assert hand.ask("GET", f"/api/v1/tasks/{fourth}").status == 429, "two queries a second"
    hand.now_s = 24.9
    assert hand.status(fourth) == "PENDING", "it starts when the last of three has ended, not the first"
    hand.now_s = 25.1
    assert hand.status(fourth) == "RUNNING"
    assert content(hand.ask("GET", "/api/v1/quotas"))["data"]["concurrent_tasks"] == 1


ACTS = st.one_of(
    st.tuples(st.just("create"), st.just(0.0)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 1.0, 7.3])),
    st.tuples(st.sampled_from(["poll", "cancel", "expire"]), st.integers(0, 5)),
    st.tuples(st.just("move"), st.tuples(st.integers(0, 5), STATUSES)),
    st.tuples(st.just("cap"), st.integers(1, 4)),
)


def act_out(hand: Hand, tasks: list[str], kind: str, what: Any) -> None:
    """Do one thing; what is not possible is left alone."""
    operator = operate(hand)
    if kind == "create":
        tasks.append(hand.created())
    elif kind == "wait":
        hand.now_s += what
    elif kind == "cap":
        operator.set_quotas(Quotas(concurrent_tasks=what, queries_per_second=1_000))
    elif tasks:
        number, status = what if kind == "move" else (what, "")
        task_id = tasks[number % len(tasks)]
        acts = {
            "poll": lambda: hand.poll(task_id),
            "cancel": lambda: operator.cancel(task_id),
            "expire": lambda: operator.expire(task_id),
            "move": lambda: operator.move(task_id, status),
        }
        try:
            acts[kind]()
        except NotPossibleError as error:
            assert "what has ended stays" in str(error)  # noqa: PT017 - the only thing that may be impossible


@UNTIMED
@given(st.lists(ACTS, max_size=25))
def test_what_is_told_of_a_life_is_never_taken_back(acts: list[tuple[str, Any]]) -> None:
    """Under any order of creates, polls, moves, cancels and new caps, a task's life only grows; its last status is its
    true one; an end absorbs; the bill of what has ended never changes; and slots are never given twice."""
    counted = Lifecycle((Step("PENDING", lasts_s=1), Step("RUNNING", lasts_polls=2), Step("SUCCEEDED")))
    hand = hand_on(SLOW, counted, SLOW, concurrent_tasks=2)
    tasks: list[str] = []
    lives: dict[str, list[tuple[str, float]]] = {}
    ended: dict[str, tuple[str, str]] = {}
    for kind, what in acts:
        act_out(hand, tasks, kind, what)
        rows, left_out = task_rows(hand.engine, hand.now, 100)
        assert left_out == 0
        bill = {row.task_id: (row.status, str(row.amount)) for row in hand.engine.bill(hand.now).tasks}
        for row in rows:
            life = [(point.status, point.at_s) for point in row.life]
            before = lives.setdefault(row.task_id, life)
            assert life[: len(before)] == before
            lives[row.task_id] = life
            assert life[-1][0] == row.status
            assert ended.setdefault(row.task_id, bill[row.task_id]) == bill[row.task_id] or not row.ended_s
            if row.ended_s is None:
                del ended[row.task_id]
        in_use = operate(hand).quotas()["in_use"]
        assert in_use["running"]["dashscope"] + in_use["waiting"]["dashscope"] <= len(tasks)


@UNTIMED
@given(st.lists(ACTS, max_size=25))
def test_a_watch_tells_every_transition_once(acts: list[tuple[str, Any]]) -> None:
    """Whoever watches a world, however seldom, is told each transition of each task exactly once and in its order."""
    hand = hand_on(SLOW, concurrent_tasks=2)
    tasks: list[str] = []
    watch = TaskWatch(hand.engine, -1.0)
    told: dict[str, list[tuple[str, float]]] = {}
    for number, (kind, what) in enumerate(acts):
        act_out(hand, tasks, kind, what)
        if number % 3 == 0:
            note(watch, hand, told)
    note(watch, hand, told)
    assert told == {task_id: life_of(hand, task_id) for task_id in tasks}


def note(watch: TaskWatch, hand: Hand, told: dict[str, list[tuple[str, float]]]) -> None:
    """Write down what a watch tells."""
    for moved in watch.news(hand.now):
        life = told.setdefault(moved.task_id, [])
        assert moved.from_status == (life[-1][0] if life else None)
        life.append((moved.to_status, moved.at_s))


@UNTIMED
@given(st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.0, 9.5]), min_size=1, max_size=12))
def test_advances_tell_what_they_caused(steps: list[float]) -> None:
    """However a stretch of time is cut into advances, together they tell the same transitions, each at its instant."""
    hand = hand_on(SLOW, concurrent_tasks=1)
    for _ in range(3):
        hand.created()
    told = []
    for step in steps:
        before_s = hand.now_s
        hand.now_s += step
        told += transitions(hand.engine, before_s, hand.now, 100)[0]
    at_once, left_out = transitions(hand.engine, 0.0, hand.now, 100)
    assert sorted(told) == sorted(at_once)
    assert left_out == 0
    first = transitions(hand.engine, -1.0, hand.now, 1)
    assert (len(first[0]), first[1]) == (1, len(at_once) + 3 - 1)


def test_an_end_by_a_poll_is_told_of_too() -> None:
    """A life that waits for polls tells its transitions at the polls that caused them."""
    hand = Hand.on(shipped("succeeds"))
    task_id = hand.created()
    watch = TaskWatch(hand.engine, -1.0)
    hand.now_s = 2.0
    for _ in range(3):
        hand.poll(task_id)
        hand.now_s += 1.0
    found = [(moved.from_status, moved.to_status, moved.at_s) for moved in watch.news(hand.now)]
    assert found == [(None, "PENDING", 0.0), ("PENDING", "RUNNING", 2.0), ("RUNNING", "SUCCEEDED", 4.0)]
    assert not watch.has_open
