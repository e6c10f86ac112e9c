"""The story of a world says what is true, covers every task's life, adds up to the bill, and stays small."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from fake_server.operating import NotPossibleError, Operator
from fake_server.rules.journal import Entry
from fake_server.scenario.fault_reader import read_fault
from fake_server.story import LONGEST_PROMPT, MARKS, MOST_UNMATCHED, Mark, mark_of, steps_of, tell
from tests.fake_server.driving import ASYNC, TASKS, UNTIMED, VIDEO, Hand
from tests.fake_server.test_engine_properties import POLLED, TIMED, scenarios
from tests.support.shipped import shipped

if TYPE_CHECKING:
    from fake_server.scenario import Scenario

DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(["aisa", "dashscope"])),
        st.tuples(st.sampled_from(["poll", "cancel", "operator-cancel", "expire"]), st.integers(0, 5)),
        st.tuples(st.just("move"), st.integers(0, 5), st.sampled_from(["RUNNING", "SUCCEEDED", "FAILED", "FROZEN"])),
        st.tuples(st.just("stray")),
        st.tuples(st.just("wait"), st.integers(0, 200).map(lambda tenths: tenths / 10)),
    ),
    max_size=25,
)
WORLDS = scenarios(st.one_of(TIMED, POLLED))


def play(scenario: Scenario, deeds: list[tuple[Any, ...]]) -> Hand:
    """A world in which all that was done."""
    hand = Hand.on(scenario)
    for name, *rest in deeds:
        tasks = list(hand.engine.tasks)
        if name == "create":
            hand.dialect = rest[0]
            hand.create()
        elif name == "wait":
            hand.now_s += rest[0]
        elif name == "stray":
            hand.send("GET", "/api/v1/task/slip")
        elif tasks:
            operate(hand, name, tasks[rest[0] % len(tasks)], *rest[1:])
    return hand


def operate(hand: Hand, name: str, task_id: str, *rest: Any) -> None:
    """Do something to a task, as its client or as an operator."""
    operator = Operator(hand.engine, hand.now)
    try:
        if name == "poll":
            hand.send("GET", f"{TASKS['dashscope']}/{task_id}")
        elif name == "cancel":
            hand.cancel(task_id)
        elif name == "operator-cancel":
            operator.cancel(task_id)
        elif name == "expire":
            operator.expire(task_id)
        else:
            operator.move(task_id, *rest)
    except NotPossibleError:
        pass


@UNTIMED
@given(WORLDS, DEEDS)
def test_segments_cover_the_life_of_a_task_without_a_gap_or_an_overlap(
    scenario: Scenario, deeds: list[tuple[Any, ...]]
) -> None:
    """Each segment begins where the one before ends, and the last ends now, in the true state."""
    hand = play(scenario, deeds)
    story = tell(hand.engine, hand.now)
    assert [lane["task_id"] for lane in story["tasks"]] == list(hand.engine.tasks)
    for lane, task in zip(story["tasks"], hand.engine.tasks.values(), strict=True):
        segments = lane["segments"]
        assert segments[0]["from_s"] == round(task.submitted_s, 6)
        for before, after in itertools.pairwise(segments):
            assert before["from_s"] <= before["to_s"] == after["from_s"]
            assert before["status"] != after["status"]
        assert segments[-1]["from_s"] <= segments[-1]["to_s"] == story["now_s"]
        assert segments[-1]["status"] == lane["status"] == task.view(hand.now_s).status


@UNTIMED
@given(WORLDS, DEEDS, st.integers(0, 3))
def test_the_steps_of_the_bill_add_up_to_it(scenario: Scenario, deeds: list[tuple[Any, ...]], most: int) -> None:
    """What tasks that are left out cost and what each task shown added is the true bill, exactly, in order of time."""
    hand = play(scenario, deeds)
    told = tell(hand.engine, hand.now, most_tasks=most)["bill"]
    true = hand.engine.bill(hand.now)
    assert Decimal(told["total"]) == true.total
    assert Decimal(told["before"]) + sum(Decimal(step["amount"]) for step in told["steps"]) == true.total
    assert [step["at_s"] for step in told["steps"]] == sorted(step["at_s"] for step in told["steps"])
    if told["steps"]:
        assert Decimal(told["steps"][-1]["total"]) == true.total
    if len(hand.engine.tasks) <= most:
        assert Decimal(told["before"]) == 0


@UNTIMED
@given(WORLDS, DEEDS)
def test_what_is_in_flight_ends_as_the_limits_know_it(scenario: Scenario, deeds: list[tuple[Any, ...]]) -> None:
    """The last step of each dialect is what truly runs and waits now, and at no time it was less than nothing."""
    hand = play(scenario, deeds)
    for flight in tell(hand.engine, hand.now)["in_flight"]:
        slots = hand.engine.limits.by_dialect()[flight["dialect"]]
        assert flight["steps"][-1][1:] == [slots.running, slots.waiting]
        assert all(running >= 0 <= waiting for _, running, waiting in flight["steps"])
        assert flight["cap"] == scenario.quotas.concurrent_tasks


@UNTIMED
@given(WORLDS, DEEDS, st.integers(0, 30))
def test_every_line_is_told_once_and_lanes_name_those_about_them(
    scenario: Scenario, deeds: list[tuple[Any, ...]], after: int
) -> None:
    """The lines are those of the journal behind the one that is known; a lane names all lines about its task."""
    hand = play(scenario, deeds)
    story = tell(hand.engine, hand.now, after=after)
    entries = hand.engine.journal.entries
    assert [line["ordinal"] for line in story["lines"]] == [e.ordinal for e in entries if e.ordinal > after]
    for line in story["lines"]:
        assert tuple(story["header_sets"][line["headers"]]) == entries[line["ordinal"] - 1].header_names
    for lane in story["tasks"]:
        assert lane["lines"] == [entry.ordinal for entry in entries if entry.task_id == lane["task_id"]]
    json.dumps(story, allow_nan=False).encode("ascii")


def test_a_story_is_bounded() -> None:
    """However much happened, so many tasks and lines are told, the latest, and how many are not."""
    hand = Hand.on(shipped("account-cap-batch"), "aisa")
    for number in range(30):
        hand.now_s = number * 100.0
        hand.create()
        hand.send("GET", f"/api/v1/slip/{number}")
    made = len(hand.engine.tasks)
    story = tell(hand.engine, hand.now, most_tasks=5, most_lines=7)
    assert [lane["number"] for lane in story["tasks"]] == list(range(made - 4, made + 1))
    assert (story["tasks_left_out"], story["lines_left_out"], len(story["lines"])) == (made - 5, 53, 7)
    assert len(tell(hand.engine, hand.now)["unmatched"]) == MOST_UNMATCHED


def test_no_key_and_no_long_prompt_is_in_a_story() -> None:
    """Keys do not show, wherever a client put them, and of a prompt only its beginning does."""
    hand = Hand.on(shipped("succeeds"))
    key = "sk-live-0123456789abcdef"
    prompt = json.dumps(f"{key} {'a' * 1_000}\ud800")
    body = f'{{"model": "wan2.5-t2v-preview", "input": {{"prompt": {prompt}}}}}'.encode()
    headers = (("Authorization", f"Bearer {key}"), ASYNC)
    hand.send("POST", f"/api/v1{VIDEO}", headers=headers, body=body)
    hand.send("GET", f"/api/v1/{key}/slip", f"task_id={key}", headers=headers)
    story = tell(hand.engine, hand.now)
    assert "0123456789abcdef" not in json.dumps(story)
    assert story["tasks"][0]["prompt"].startswith("*** aaa")
    assert len(story["tasks"][0]["prompt"]) <= LONGEST_PROMPT


def test_what_fits_nothing_is_explained_once() -> None:
    """A request that fits no route is told with the nearest ones, and how often it was sent."""
    hand = Hand.on(shipped("succeeds"))
    for _ in range(3):
        hand.send("GET", "/api/v1/task/slip")
    [row] = tell(hand.engine, hand.now)["unmatched"]
    assert (row["path"], row["times"], row["line"]) == ("/api/v1/task/slip", 3, 3)
    assert row["nearest"][0]["route"] == "GET /api/v1/tasks/{task_id}"
    assert "found task, expected tasks" in row["nearest"][0]["differences"][0]


def test_marks_tell_what_went_wrong_before_what_was_asked_for() -> None:
    """A limit shows as one, whatever struck else; then cuts, faults, strays and refusals; then the route."""

    def mark(route: str, status: int, fault: str | None = None) -> Mark:
        return mark_of(Entry(1, 0.0, route, "GET", "/", "", None, status, fault, None, (), carried_secret=False))

    assert mark("create", 429, "create throttle (line 3)") == "throttle"
    assert mark("query", 400, "quota queries_per_second") == "throttle"
    assert mark("create", 0, "lost_create (armed)") == "cut"
    assert mark("query", 200, "schema_drift missing_output (armed)") == "fault"
    assert mark("unmatched", 404) == "unmatched"
    assert mark("query", 404) == "refused"
    assert [mark(route, 200) for route in ("create", "query", "asset", "cancel", "list", "quotas")] == [
        *("create", "poll", "download", "cancel", "list", "list")
    ]
    assert tuple(MARKS) == get_args(Mark)


def test_armed_faults_and_rules_are_told() -> None:
    """A story names every fault of the world with how often it fired, and every rule with its verdict."""
    hand = Hand.on(shipped("succeeds"))
    fault = read_fault({"fault": "status", "status": 503, "on": "query", "first": 1})
    identity = hand.engine.arm(fault)
    task_id = hand.created()
    hand.poll(task_id)
    story = tell(hand.engine, hand.now)
    assert [(row["id"], row["fired"]) for row in story["faults"]] == [(identity, 1)]
    assert story["lines"][-1]["mark"] == "fault"
    assert {row["name"]: row["verdict"] for row in story["rules"]}["persistence"] == "FAIL"
    assert story["expectations"]


def test_who_waited_for_a_slot_shows_until_it_began() -> None:
    """A task over the cap waits from its create on, and is in flight from when the first slot was free."""
    hand = Hand.on(shipped("concurrency-cap"))
    for _ in range(4):
        hand.created()
    hand.now_s = 100.0
    [flight] = tell(hand.engine, hand.now)["in_flight"]
    freed_s = hand.engine.tasks[next(iter(hand.engine.tasks))].frees_slot_s()
    assert flight["steps"][0] == [0.0, 3, 1]
    assert [waiting for at_s, _, waiting in flight["steps"] if at_s == freed_s] == [0]


def test_steps_of_one_instant_are_one() -> None:
    """Several changes at one instant show as their sum."""
    assert steps_of([(1.0, 1, 0), (0.0, 1, 1), (1.0, 0, -1)]) == [[0.0, 1, 1], [1.0, 2, 0]]
