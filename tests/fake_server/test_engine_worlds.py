"""What a world says of itself, refuses whatever is asked, and lets others change while it goes on."""

from __future__ import annotations

import gzip
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fake_server.clock import LONGEST_ADVANCE_S
from fake_server.engine import Engine, Reply, Request
from fake_server.moment import Moment
from fake_server.scenario import Expect, Quotas, Scenario, Service
from fake_server.scenario.lifecycles import Lifecycle, Step
from fake_server.scenario.yaml_nodes import LONGEST_DURATION_S
from fake_server.story import tell
from tests.fake_server.driving import ASYNC, BASES, BODY, KEY, TASKS, VIDEO, WALL_S, Hand, content, header
from tests.fake_server.faulty import AT_ONCE, fault, hand_with

EXPECT = Expect(("SUCCEEDED",))
SLOW = Lifecycle((Step("RUNNING", lasts_s=10), Step("SUCCEEDED")))
MODEL = "wan2.5-t2v-preview"
AT_ONCE_BODY = b'{"model": "wan2.6-t2i", "input": {"messages": [{"role": "user", "content": [{"text": "x"}]}]}}'
AT_ONCE_PATH = "/api/v1/services/aigc/multimodal-generation/generation"


def world(life: Lifecycle = SLOW, **options: Any) -> Scenario:
    """A scenario of one life."""
    return Scenario("one", "One.", (life,), EXPECT, **options)


def test_a_world_says_what_it_is() -> None:
    """Its name, script, seeds' fruits, speed and limits are told as they were given; it began when it was said to."""
    scenario = world()
    engine = Engine(scenario, "here", 4.0, 7, Moment(3.0, WALL_S))
    story = tell(engine, Moment(5.0, WALL_S + 2))
    assert (story["world"], story["scenario"]["name"], story["speed"], story["now_s"]) == ("here", "one", 4.0, 2.0)
    assert (engine.scenario, engine.seed, engine.limits.requests) == (scenario, 7, None)
    assert not engine.made_at_once


def test_a_line_of_the_journal_counts_from_when_the_world_began() -> None:
    """What was asked two seconds after the beginning stands at two seconds, whatever the clock shows."""
    engine = Engine(world(), started=Moment(100.0, WALL_S))
    engine.handle(Request("GET", "/api/v1/tasks", "", (KEY,), b"", "http://fake.test"), Moment(102.0, WALL_S + 2))
    assert engine.journal.entries[-1].at_s == 2.0


def test_another_speed_is_for_further_tasks() -> None:
    """A speed that is set while tasks run leaves them as they are, and divides the times of those made since."""
    hand = Hand.on(world())
    first = hand.created()
    hand.engine.speed = 5.0
    assert hand.engine.speed == 5.0
    second = hand.created()
    hand.now_s = 2.0
    assert [hand.status(task_id) for task_id in (first, second)] == ["RUNNING", "SUCCEEDED"]


def test_another_script_is_played_from_now_on() -> None:
    """A script that is set while a world goes on gives the lives of further tasks, the answers and the prices; its
    faults are those of the first."""
    hand = Hand.on(world(faults=(fault("status", status=503, on="list"),)))
    first = hand.created()
    other = world(AT_ONCE, prices={MODEL: Decimal(3)}, service=Service(async_header="ignored"))
    hand.engine.scenario = other
    assert hand.engine.scenario == other
    second = hand.ask("POST", BASES["dashscope"] + VIDEO, body=b'{"model": "%s", "input": {}}' % MODEL.encode())
    assert second.status == 200
    hand.now_s = 1.0
    ids = [first, content(second)["output"]["task_id"]]
    assert [hand.status(task_id) for task_id in ids] == ["RUNNING", "SUCCEEDED"]
    assert {row.price for row in hand.engine.bill(hand.now).tasks} == {Decimal(3)}
    assert hand.ask("GET", "/api/v1/tasks").status == 503


def test_what_is_disarmed_is_gone_from_every_route() -> None:
    """Without its fault a world answers as if there had been none, route by route, and arming it again strikes."""
    hand = hand_with(life=AT_ONCE)
    plain = hand_with(life=AT_ONCE)
    one = fault("status", status=503)
    for _ in range(2):
        assert hand.engine.disarm(hand.engine.arm(one))
    assert hand.created() == plain.created()
    assert hand.engine.armed() == []
    hand.engine.arm(one)
    assert hand.ask("GET", "/api/v1/tasks").status == 503


@pytest.mark.parametrize("dialect", ["aisa", "dashscope"])
def test_a_refusal_says_why_whatever_was_asked(dialect: str) -> None:
    """A request that is for no world gets the status and the sentence in the shape of its dialect, is carried out by
    nobody, and stands in the journal."""
    hand = Hand.on(world(), dialect)
    path = BASES[dialect] + VIDEO
    request = Request("POST", path, "", (KEY,), b"{}", "http://fake.test")
    reply = hand.engine.refuse(request, Moment(4.0, WALL_S + 4), 413, "The body is too large.")
    body = content(reply)
    error = body["error"] if dialect == "aisa" else body
    assert (reply.status, error["message"]) == (413, "The body is too large.")
    assert (reply.delay_s, header(reply, "date")) == (0.0, "Sun, 15 Jun 2025 15:06:44 GMT")
    (entry,) = hand.engine.journal.entries
    assert (entry.route, entry.status, entry.at_s, entry.method, entry.path) == ("create", 413, 4.0, "POST", path)
    assert (hand.engine.service.made, hand.engine.journal.counters["create_requests"]) == (0, 0)
    again = hand.engine.refuse(request, Moment(4.0, WALL_S + 4), 413, "The body is too large.")
    assert again.body != reply.body, "each answer has an id of its own"


def test_a_world_that_made_anything_holds_room() -> None:
    """Giving a world up makes room from its first task or result on, and a world that made none holds nothing."""
    assert not Hand.on(world()).engine.holds_tasks
    for path, body in ((BASES["dashscope"] + VIDEO, None), (AT_ONCE_PATH, AT_ONCE_BODY)):
        hand = Hand.on(world(AT_ONCE))
        if body is None:
            hand.created()
        else:
            assert hand.ask("POST", path, body=body).status == 200
        assert hand.engine.holds_tasks


def test_a_world_is_played_out_for_as_long_as_a_clock_goes_and_a_step_lasts() -> None:
    """Ten years are the most that a clock advances at once and that a script may say: the last bill is of then, on
    both clocks, and has the task of the longest step."""
    ten_years_s = 315_360_000.0
    assert ten_years_s == LONGEST_ADVANCE_S == LONGEST_DURATION_S
    hand = Hand.on(world(Lifecycle((Step("RUNNING", lasts_s=ten_years_s), Step("SUCCEEDED")))))
    hand.created()
    end = hand.engine.play_out(Moment(7.0, WALL_S + 7))
    assert end == Moment(7.0 + ten_years_s, WALL_S + 7 + ten_years_s)
    assert hand.engine.bill(end).billed_tasks == 1


def test_every_body_is_packed_where_a_script_says_so() -> None:
    """`gzip: always` packs all answers to who accepts it, the empty one too, and none to who does not."""
    refusal = fault("status", status=503, body="empty", on="list")
    hand = Hand.on(world(service=Service(gzip="always"), faults=(refusal,)))
    packed = hand.ask("GET", "/api/v1/tasks", headers=(KEY, ("Accept-Encoding", "gzip")))
    assert (header(packed, "content-encoding"), gzip.decompress(packed.body)) == ("gzip", b"")
    assert hand.ask("GET", "/api/v1/tasks").body == b""
    usual = Hand.on(world()).ask("GET", "/api/v1/tasks", headers=(KEY, ("Accept-Encoding", "gzip")))
    assert header(usual, "content-encoding") is None


def test_a_world_of_which_nothing_is_said_is_the_usual_one() -> None:
    """By itself a world is called `w1`, begins at 0 s, goes as fast as its script, and has the seeds 0."""
    flaky = world(faults=(fault("status", status=503, probability=0.5, on="create"),))
    usual, spelt = Engine(flaky), Engine(flaky, "w1", 1.0, 0, Moment(0.0, 0.0), draw_seed=0)
    assert (usual.world, usual.speed, usual.seed, usual.started) == ("w1", 1.0, 0, Moment(0.0, 0.0))
    create = Request("POST", BASES["dashscope"] + VIDEO, "", (KEY, ASYNC), BODY, "http://fake.test")
    for at_s in range(20):
        assert usual.handle(create, Moment(at_s, at_s)) == spelt.handle(create, Moment(at_s, at_s))


def test_every_request_is_counted_by_what_it_asks_for() -> None:
    """Lists, cancels, and requests that no page describes are counted one by one; so are tasks and their rows."""
    hand = Hand.on(world(AT_ONCE))
    ids = [hand.created(), hand.created()]
    for task_id in ids:
        hand.cancel(task_id)
        hand.listed()
        hand.ask("GET", "/api/v1/nowhere")
    counters = hand.engine.journal.counters
    assert [counters[f"{name}_requests"] for name in ("create", "list", "cancel")] == [2, 2, 2]
    assert (counters["unmatched"], counters["requests"]) == (2, 8)
    bill = hand.engine.bill(hand.now, 1)
    assert ([row.task_id for row in bill.tasks], bill.left_out, bill.billed_tasks) == ([ids[1]], 1, 2)


def test_limits_can_be_asked_for_and_that_can_fail() -> None:
    """The page of limits tells those of the scenario, and a fault strikes it as any other."""
    hand = Hand.on(world(quotas=Quotas(concurrent_tasks=3, queries_per_second=7)))
    assert content(hand.ask("GET", "/api/v1/quotas"))["data"] == {"concurrent_tasks": 3, "queries_per_second": 7}
    hand.engine.arm(fault("status", status=503, on="quotas"))
    assert hand.ask("GET", "/api/v1/quotas").status == 503


def test_a_verdict_names_its_lines_and_its_faults() -> None:
    """A verdict counts tasks, names the lines of a breach, and says how many faults of how many struck; a line says
    what the client was told to wait."""
    expect = Expect(("SUCCEEDED",), {"tasks_created": 1, "early_creates": 0})
    refusal = fault("status", status=429, retry_after="9s", on="create", nth=1)
    hand = Hand.on(replace(world(AT_ONCE, faults=(refusal, fault("lost_create", nth=7))), expect=expect))
    hand.create()
    assert hand.engine.journal.entries[-1].retry_after == "9"
    hand.now_s = 1.0
    hand.created()
    hand.now_s = 10.0
    rows = {row.name: row for row in hand.engine.verdict(hand.now)}
    assert (rows["tasks_created"].verdict, rows["tasks_created"].actual) == ("PASS", "1")
    assert (rows["early_creates"].verdict, rows["early_creates"].lines) == ("FAIL", (2,))
    assert rows["faults_consumed"].expected == "2 of 2"
    assert rows["faults_consumed"].actual.startswith("1 of 2; never fired: lost_create")


def test_a_part_of_an_asset_has_been_fetched_too() -> None:
    """A download that asks for a range and gets it (206) has fetched, and a client that resumes may not poll again."""
    hand = hand_with(life=AT_ONCE)
    task_id = hand.created()
    assert hand.status(task_id) == "SUCCEEDED"
    reply = hand.ask("GET", f"/w/w1/assets/{task_id}.mp4", headers=(("Range", "bytes=1-"),))
    assert (reply.status, hand.engine.tasks[task_id].was_fetched) == (206, True)
    hand.now_s = 9.0
    hand.poll(task_id)
    assert hand.engine.journal.counters["polls_after_end"] == 1


def test_a_poll_that_a_tier_refuses_is_a_poll_of_its_task() -> None:
    """A refused query for a task whose end was told is a poll after the end, as one that is answered is."""
    hand = Hand.on(world(AT_ONCE, quotas=Quotas(requests_per_minute=3)), "aisa")
    task_id = hand.created()
    seen = []
    for hand.now_s in (1.0, 2.0, 3.0):
        reply = hand.poll(task_id)
        assert isinstance(reply, Reply)
        seen.append((reply.status, hand.engine.journal.counters["polls_after_end"]))
    assert seen == [(200, 0), (200, 1), (429, 2)]


def test_a_fault_may_strike_the_cancel_of_one_task() -> None:
    """A fault that names a task, by its number or its id, strikes its cancel and no other's."""
    queued = Lifecycle((Step("PENDING", lasts_s=60), Step("SUCCEEDED")))
    ids = [(hand := Hand.on(world(queued))).created(), hand.created()]
    for named in (2, ids[1]):
        hand = Hand.on(world(queued, faults=(fault("status", status=503, on="cancel", task=named),)))
        assert [hand.created(), hand.created()] == ids
        assert [hand.cancel(task_id).status for task_id in (*ids, "nobody")] == [200, 503, 400]
        assert [hand.status(task_id) for task_id in ids] == ["CANCELED", "PENDING"]


@pytest.mark.parametrize(
    ("method", "keys", "is_told"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("GET", {"name": "expired_asset"}, False),
        ("GET", {"name": "asset_cut"}, False),
    ],
)
def test_who_finds_no_asset_may_ask_its_task_again(method: str, keys: Any, is_told: bool) -> None:
    """A poll after the end is bad manners unless the address it told has expired, or gave a half."""
    hand = hand_with(*([fault(**keys)] if keys else []), life=AT_ONCE)
    task_id = hand.created()
    assert hand.status(task_id) == "SUCCEEDED"
    hand.send(method, f"/w/w1/assets/{task_id}.mp4", headers=())
    hand.now_s = 9.0
    hand.poll(task_id)
    assert hand.engine.journal.counters["polls_after_end"] == is_told
    assert hand.engine.tasks[task_id].was_fetched == (keys is None and method == "GET")


@pytest.mark.parametrize("path", [TASKS["dashscope"], TASKS["aisa"]])
def test_an_end_told_is_told_to_one_task(path: str) -> None:
    """Asking for an id that nobody knows, or for one of the other dialect, is no poll after the end of a task."""
    hand = hand_with(life=AT_ONCE)
    task_id = hand.created()
    hand.status(task_id)
    hand.now_s = 9.0
    stranger = "nobody" if path == TASKS["dashscope"] else task_id
    assert content(hand.ask("GET", f"{path}/{stranger}"))["output"]["task_status"] == "UNKNOWN"
    assert hand.engine.journal.counters["polls_after_end"] == 0
