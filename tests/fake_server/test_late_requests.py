"""Requests that a fault lets come late: they are carried out when they come, whoever has given up on them."""

from __future__ import annotations

from typing import Any

import pytest

from fake_server.moment import Moment
from fake_server.rules.room import Room
from fake_server.scenario import Expect, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.wire.messages import Drop, Late, Reply, Request
from tests.fake_server.driving import ASYNC, BODY, KEY, VIDEO, WALL_S, Hand, content, header
from tests.fake_server.faulty import AT_ONCE, fault, hand_with

LATE_S = 30.0


def late(on: str, **options: Any) -> Hand:
    """A world in which the requests of a route take half a minute to come."""
    return hand_with(fault("latency", fixed="30s", when="before_commit", on=on), **options)


def sent(hand: Hand) -> Late:
    """A create that is on its way."""
    asked = Request("POST", f"/api/v1{VIDEO}", "", (KEY, ASYNC), BODY, "http://fake.test")
    on_its_way = hand.engine.receive(asked, hand.now)
    assert isinstance(on_its_way, Late)
    return on_its_way


def at(seconds: float) -> Moment:
    """An instant of a world."""
    return Moment(seconds, WALL_S + seconds)


def test_a_create_on_its_way_is_nothing_yet_and_a_task_once_it_comes() -> None:
    """Before it comes there is no task and no line; then there is, and its life begins then; it comes once."""
    hand = late("create")
    on_its_way = sent(hand)
    assert on_its_way.delay_s == LATE_S
    assert (len(hand.engine.tasks), len(hand.engine.journal.entries)) == (0, 0)
    assert hand.engine.has_open_tasks(hand.now), "a world with a create on its way is not given up"
    reply = on_its_way.carry_out(at(LATE_S))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.delay_s) == (200, 0.0)
    [task] = hand.engine.tasks.values()
    assert (task.task_id, task.submitted_s) == (content(reply)["output"]["task_id"], LATE_S)
    entry = hand.engine.journal.entries[-1]
    assert (entry.at_s, entry.fault) == (LATE_S, "latency before_commit")
    assert on_its_way.carry_out(at(LATE_S)) == Drop("before_commit", "close")
    assert len(hand.engine.tasks) == 1


def test_a_refusal_is_late_as_its_request_is_and_an_answer_is_held_back_from_when_it_came() -> None:
    """Delays before and after the commit add up for what is refused; else the second begins where the first ended."""
    hand = late("create")
    hand.engine.arm(fault("latency", fixed="5s", on="create"))
    hand.engine.arm(fault("status", status=503, on="create"))
    refused = hand.create()
    assert isinstance(refused, Reply)
    assert (refused.status, refused.delay_s) == (503, LATE_S + 5.0)
    hand.engine.disarm("a2")
    reply = sent(hand).carry_out(at(LATE_S))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.delay_s) == (200, 5.0)


def test_without_a_clock_to_wait_for_a_late_request_is_carried_out_as_of_then() -> None:
    """Who asks the engine directly gets the answer of the later instant, and is told how long it took."""
    hand = late("query", life=AT_ONCE)
    task_id = hand.created()
    reply = hand.poll(task_id)
    assert isinstance(reply, Reply)
    assert (reply.delay_s, content(reply)["output"]["task_status"]) == (LATE_S, "SUCCEEDED")
    # 2025-06-15 15:06:40 UTC, and half a minute.
    assert header(reply, "date") == "Sun, 15 Jun 2025 15:07:10 GMT"
    assert hand.engine.journal.entries[-1].at_s == LATE_S
    hand.now_s = 2 * LATE_S
    assert not isinstance(hand.poll(task_id), Drop)
    assert hand.engine.journal.counters["polls"] == 2


def test_a_late_create_whose_answer_is_lost_is_as_late_when_it_is_cut() -> None:
    """A connection is cut when the request has come and was carried out, and not before."""
    hand = late("create")
    hand.engine.arm(fault("lost_create"))
    assert hand.create() == Drop("after_commit", "reset", LATE_S)
    assert len(hand.engine.tasks) == 1


def test_a_late_query_is_answered_by_what_is_still_known_when_it_comes() -> None:
    """A service forgets a task after its retention: who asked before and comes after that hears UNKNOWN."""
    for retention_s, status in ((LATE_S, "UNKNOWN"), (LATE_S + 1, "SUCCEEDED")):
        one = fault("latency", fixed="30s", when="before_commit", on="query")
        hand = Hand.on(Scenario("x", "x", (AT_ONCE,), Expect(("SUCCEEDED",)), faults=(one,), retention_s=retention_s))
        assert hand.status(hand.created()) == status


@pytest.mark.parametrize(
    ("before_s", "after_s", "is_counted"),
    [(0.0, 5.0, True), (0.0, 5.1, False), (5.0, 0.0, True), (5.1, 0.0, False), (2.5, 2.5, True), (3.0, 2.5, False)],
)
def test_an_end_is_told_to_who_waits_five_seconds(before_s: float, after_s: float, is_counted: bool) -> None:
    """Every client waits five seconds, for its request and the answer together; who may have left before that may
    ask for the end again, and who has been told it may not."""
    slow = [
        fault("latency", fixed=f"{delay_s}s", when=when, on="query", nth=1)
        for delay_s, when in ((before_s, "before_commit"), (after_s, "after_commit"))
    ]
    hand = hand_with(*slow, life=AT_ONCE)
    task_id = hand.created()
    hand.now_s = 50.0
    assert hand.status(task_id) == "SUCCEEDED"
    hand.now_s = 120.0
    hand.poll(task_id)
    assert hand.engine.journal.counters["polls_after_end"] == is_counted


@pytest.mark.parametrize(("at_s", "status"), [(0.0, 200), (10.0, 403)])
def test_a_late_download_is_judged_when_it_comes(at_s: float, status: int) -> None:
    """An address that has expired by the time that a download comes is refused, and the task may be asked again for a
    new one; what is served then has been fetched then, and the end stays told."""
    one = fault("latency", fixed="30s", when="before_commit", on="asset")
    hand = Hand.on(Scenario("x", "x", (AT_ONCE,), Expect(("SUCCEEDED",)), faults=(one,), url_lifetime_s=LATE_S + 5.0))
    task_id = hand.created()
    assert hand.status(task_id) == "SUCCEEDED"
    hand.now_s = at_s
    path = f"/w/w1/assets/{task_id}.mp4"
    on_its_way = hand.engine.receive(Request("GET", path, "", (), b"", "http://fake.test"), hand.now)
    assert isinstance(on_its_way, Late)
    assert not hand.engine.tasks[task_id].was_fetched
    reply = on_its_way.carry_out(at(at_s + LATE_S))
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert hand.engine.tasks[task_id].was_fetched == (status == 200)
    hand.now_s = 60.0
    hand.poll(task_id)
    assert hand.engine.journal.counters["polls_after_end"] == (status == 200)


def test_what_runs_and_what_is_on_its_way_may_both_be_billed_yet() -> None:
    """A verdict waits for the task that is there and for the create that is still to come, and counts both."""
    life = Lifecycle((Step("RUNNING", lasts_s=5), Step("SUCCEEDED")))
    one = fault("latency", fixed="30s", when="before_commit", on="create", nth=2)
    hand = Hand.on(Scenario("x", "x", (life,), Expect(("SUCCEEDED",), {"billed_tasks": 2}), faults=(one,)))
    hand.created()
    sent(hand)
    row = next(row for row in hand.engine.verdict(hand.now) if row.name == "billed_tasks")
    assert (row.verdict, row.actual) == ("INCOMPLETE", "0, and tasks that are not over: 2")
    end = hand.engine.play_out(hand.now)
    row = next(row for row in hand.engine.verdict(end, is_over=True) if row.name == "billed_tasks")
    assert (row.verdict, row.actual) == ("PASS", "2")


def test_a_bill_is_open_while_a_create_may_still_come() -> None:
    """What is on its way makes a verdict incomplete, and has come once a world is played out."""
    hand = late("create", life=AT_ONCE)
    on_its_way = sent(hand)
    assert hand.engine.bill(hand.now).billed_tasks == 0
    end = hand.engine.play_out(hand.now)
    assert hand.engine.bill(end).billed_tasks == 1
    assert on_its_way.carry_out(end) == Drop("before_commit", "close"), "it has come"


def test_a_world_that_is_given_up_is_spared_what_was_on_its_way() -> None:
    """Begun anew, a world gets no task of what was sent before."""
    hand = late("create")
    on_its_way = sent(hand)
    hand.engine.give_up()
    assert not hand.engine.has_open_tasks(hand.now)
    assert on_its_way.carry_out(at(LATE_S)) == Drop("before_commit", "close")
    assert not hand.engine.tasks


def test_a_breach_by_a_late_request_names_no_other_requests_line() -> None:
    """What came too early and is still on its way has no line yet, and the next line is not taken for its own."""
    hand = late("query")
    task_id = hand.created()
    asked = Request("GET", f"/api/v1/tasks/{task_id}", "", (KEY,), b"", "http://fake.test")
    on_their_way = [hand.engine.receive(asked, hand.now) for _ in range(2)]
    assert all(isinstance(one, Late) for one in on_their_way)
    hand.listed()
    rows = {row.name: row for row in hand.engine.conduct.judge()}
    assert (rows["poll_rate"].verdict, rows["poll_rate"].lines) == ("FAIL", ())


def test_requests_on_their_way_take_room_and_give_it_back() -> None:
    """Bodies that wait count towards what all worlds hold; beyond it a request is a 503, and what came makes room."""
    room = Room(most_characters=len(BODY) + 20)
    hand = late("create", room=room)
    first = sent(hand)
    refused = hand.create()
    assert isinstance(refused, Reply)
    assert refused.status == 503
    assert "come late take all the room" in content(refused)["message"]
    assert hand.engine.journal.entries[-1].status == 503
    first.carry_out(at(LATE_S))
    assert len(hand.engine.tasks) == 1
    sent(hand)
    hand.engine.give_up()
    assert room.has_place(len(BODY))
