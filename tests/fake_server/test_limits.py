"""Limits: windows that admit at most so many, headers that agree with what is refused, slots that cost nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fake_server.engine import Drop, Reply
from fake_server.rules.limits import MODELS, Limits, is_known
from fake_server.rules.quotas import RateWindow
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import UNTIMED, WALL_S, Hand, content, header, lifecycle_scenario, scenario_from
from tests.fake_server.test_endpoints import create_at

if TYPE_CHECKING:
    from pathlib import Path

REMAINING = "x-ratelimit-remaining-requests"
RESET = "x-ratelimit-reset-requests"
INSTANTS = st.lists(st.floats(0, 300, allow_nan=False), max_size=60).map(sorted)
STAYS = Scenario("drawn", "Drawn.", (Lifecycle((Step("RUNNING"),)),), Expect(("STILL_GOING",)))


def tier(per_minute: int) -> Scenario:
    """A scenario of stuck tasks with a limit on all requests."""
    quotas = Quotas(concurrent_tasks=1000, requests_per_minute=per_minute)
    return Scenario("drawn", "Drawn.", STAYS.tasks, STAYS.expect, quotas=quotas)


def image_body(model: str) -> bytes:
    """A create of an image by a model."""
    return f'{{"model": "{model}", "input": {{"prompt": "x"}}}}'.encode()


@UNTIMED
@example(1, 60.0, [2.0**-24, 60.0, 60.0])
@given(st.integers(1, 7), st.sampled_from([1.0, 60.0]), INSTANTS)
def test_no_window_admits_more_than_its_limit(most: int, span_s: float, instants: list[float]) -> None:
    """In any stretch of its length a window admits at most its limit, and what it refuses would have been too many."""
    window = RateWindow(most, span_s)
    admitted: list[float] = []
    for now_s in instants:
        left = window.remaining(now_s)
        assert 0 <= left <= most
        before = [instant for instant in admitted if now_s - instant < span_s - 1e-3]
        if window.admit(now_s):
            admitted.append(now_s)
            assert left == window.remaining(now_s) + 1
            assert len(before) < most
        else:
            assert left == 0
            # One more where somebody passed who waited as told, and came too early by a rounding.
            assert len([instant for instant in admitted if now_s - instant < span_s]) >= most
    for first in admitted:
        within = [instant for instant in admitted if first <= instant < first + span_s - 1e-3]
        assert len(within) <= most


@UNTIMED
@given(st.integers(1, 5), INSTANTS)
def test_who_waits_as_told_is_admitted(most: int, instants: list[float]) -> None:
    """After exactly the seconds that a refusal names, a request passes."""
    window = RateWindow(most, 60.0)
    for now_s in instants:
        if not window.admit(now_s):
            wait_s = window.retry_after_s(now_s)
            assert 1 <= wait_s <= 60
            assert window.remaining(now_s + wait_s) >= 1


@UNTIMED
@given(
    st.sampled_from([(0.1, 0.2), (0.7, 3.0), (1.1, 2.2, 3.3), (20.0,)]),
    st.sampled_from([1.0, 3.0, 7.0, 60.0]),
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.3, 1 / 3, 15.2]), max_size=40),
)
def test_who_waits_for_a_slot_as_told_gets_it(lengths: tuple[float, ...], speed: float, pauses: list[float]) -> None:
    """After exactly the seconds that a refusal over the cap names, a create passes, whatever floats add up to."""
    life = Lifecycle((*(Step("RUNNING", lasts_s=length) for length in lengths), Step("SUCCEEDED")))
    quotas = Quotas(concurrent_tasks=2)
    hand = Hand.on(Scenario("drawn", "Drawn.", (life,), STAYS.expect, quotas=quotas), "aisa", speed=speed)
    for pause_s in pauses:
        hand.now_s += pause_s
        reply = hand.create()
        assert isinstance(reply, Reply)
        if reply.status == 429:
            hand.now_s += int(header(reply, "retry-after") or 0)
            assert hand.created()


@UNTIMED
@given(st.integers(1, 8), INSTANTS, st.data())
def test_the_headers_agree_with_what_is_refused(most: int, instants: list[float], data: st.DataObject) -> None:
    """`Remaining` is never negative, falls by one with each admitted request, is zero on a 429, and a request that is
    told more than zero is admitted next; `Reset` is when that may pass."""
    hand = Hand.on(tier(most), "aisa")
    told: tuple[int, float] | None = None
    for now_s in instants:
        hand.now_s = max(hand.now_s, now_s)
        reply = hand.create() if data.draw(st.booleans()) else hand.poll("nobody")
        assert isinstance(reply, Reply)
        remaining = int(header(reply, REMAINING) or "-1")
        assert 0 <= remaining < most
        assert header(reply, "x-ratelimit-limit-requests") == str(most)
        if told is not None and told[0] > 0:
            assert reply.status == 200
        if told is not None and hand.now_s == told[1]:
            assert remaining == max(0, told[0] - 1)
        if reply.status == 429:
            assert remaining == 0
            wait_s = int(header(reply, "retry-after") or "0")
            assert int(header(reply, RESET) or "0") - (WALL_S + hand.now_s) <= wait_s + 1
        assert int(header(reply, RESET) or "0") >= math.floor(WALL_S + hand.now_s)
        told = (remaining, hand.now_s)


def test_a_tier_counts_every_request_of_the_gateway(tmp_path: Path) -> None:
    """In `aisa` creates and polls share the tier's minute, refusals say so with `Retry-After` and cost nothing; other
    dialects and scenarios without a tier have neither the limit nor its headers."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {tier: free}"), "aisa")
    task_id = hand.created()
    for _ in range(59):
        hand.poll(task_id)
    hand.now_s = 20.0
    for reply in (hand.poll(task_id), hand.create()):
        assert isinstance(reply, Reply)
        assert (reply.status, header(reply, "retry-after")) == (429, "40")
        assert content(reply)["error"]["code"] == "rate_limit_exceeded"
        assert header(reply, RESET) == str(int(WALL_S) + 60)
    counters = hand.engine.journal.counters
    assert (counters["over_request_rate"], counters["throttled_creates"]) == (2, 1)
    assert hand.engine.journal.entries[-1].fault == "quota requests_per_minute"
    hand.now_s = 60.0
    assert hand.status(task_id) == "RUNNING"
    refused = hand.ask("GET", "/apis/v1/nowhere")
    assert header(refused, REMAINING) == "59", "what is no request of the account is not counted"
    hand.dialect = "dashscope"
    assert header(hand.ask("GET", f"/api/v1/tasks/{task_id}"), REMAINING) is None
    plain = Hand.on(lifecycle_scenario(tmp_path, "RUNNING"), "aisa")
    assert header(plain.ask("GET", "/apis/v1/services/aigc/tasks/x"), REMAINING) is None


@pytest.mark.parametrize(("extra", "cap"), [("tier: free", 5), ("tier: growth, concurrent_tasks: 4", 4)])
def test_a_tier_has_its_own_cap(tmp_path: Path, extra: str, cap: int) -> None:
    """A tier changes how many tasks run at once, unless the scenario spells that out."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra=f"quotas: {{{extra}}}"), "aisa")
    for _ in range(cap):
        hand.created()
    reply = hand.create()
    assert isinstance(reply, Reply)
    assert reply.status == 429


def test_who_comes_before_a_tiers_hint_is_counted(tmp_path: Path) -> None:
    """A request before the `Retry-After` of a tier is early, whether it creates or asks."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {tier: free}"), "aisa")
    task_id = hand.created()
    for number in range(60):
        hand.now_s = number / 2
        hand.poll(task_id)
    assert hand.engine.journal.counters["early_requests"] == 0
    hand.now_s += 1
    hand.create()
    hand.now_s += 1
    hand.poll(task_id)
    assert hand.engine.journal.counters["early_requests"] == 2


def test_the_gateway_makes_thirty_images_a_minute(tmp_path: Path) -> None:
    """The 31st synchronous image within a minute is a 429 with the seconds until one passes; `dashscope` has no such
    limit, and tasks do not count."""
    scenario = lifecycle_scenario(tmp_path, "SUCCEEDED")
    hand = Hand.on(scenario, "aisa")
    hand.created()
    statuses = []
    for number in range(31):
        hand.now_s = number / 2
        reply = create_at(hand, "image-synchronous")
        assert isinstance(reply, Reply)
        statuses.append(reply.status)
        if reply.status == 429:
            assert header(reply, "retry-after") == "45"
    assert statuses == [200] * 30 + [429]
    hand.now_s = 60.0
    reply = create_at(hand, "image-synchronous")
    assert isinstance(reply, Reply)
    assert reply.status == 200
    classic = Hand.on(scenario)
    for _ in range(40):
        reply = create_at(classic, "image-synchronous")
        assert isinstance(reply, Reply)
        assert reply.status == 200


@pytest.mark.parametrize(
    ("model", "submits", "running"),
    [
        ("wan2.7-t2v", 5, 5),
        ("wan2.5-i2v-preview", 5, 5),
        ("wan2.2-t2v-plus", 2, 2),
        ("wanx2.1-t2i-turbo", 2, 2),
        ("wan2.2-s2v", 5, 1),
        ("wan2.2-animate-move", 5, 1),
        ("wan2.6-t2i", 1, 5),
        ("wanx-v1", 2, 1),
        ("qwen-image-plus", 2, 2),
        ("happyhorse-1.0-t2v", 10, 5),
        ("a-model-of-ours", 5, 5),
    ],
)
def test_each_model_has_its_limits(tmp_path: Path, model: str, submits: int, running: int) -> None:
    """Over its submit rate a model's create is a 429 without a hint; over what runs at once tasks are queued."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {by_model: true}"))
    replies = [create_at(hand, "text-to-image", image_body(model)) for _ in range(submits + 1)]
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200] * submits + [429]
    last = replies[-1]
    assert isinstance(last, Reply)
    assert (content(last)["code"], header(last, "retry-after")) == ("Throttling.RateQuota", None)
    while len(hand.engine.bill(hand.now).tasks) <= running:
        hand.now_s += 1.0
        create_at(hand, "text-to-image", image_body(model))
    hand.now_s += 1.0
    statuses = [row.status for row in hand.engine.bill(hand.now).tasks]
    assert statuses.count("RUNNING") == running
    assert "PENDING" in statuses


def test_models_do_not_take_each_others_slots_but_for_kling(tmp_path: Path) -> None:
    """Two models have limits of their own; those of kling share theirs; a video of two a minute waits a minute."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {by_model: true}"))
    for model in ("wan2.2-t2i-plus", "wan2.2-t2i-flash"):
        for _ in range(2):
            created = create_at(hand, "text-to-image", image_body(model))
            assert isinstance(created, Reply)
            assert created.status == 200
    for number in range(6):
        reply = create_at(hand, "text-to-image", image_body(f"kling/v{number}"))
        assert isinstance(reply, Reply)
        assert reply.status == (200 if number < 5 else 429)
    pro = image_body("qwen-image-2.0-pro")
    first = [create_at(hand, "text-to-image", pro) for _ in range(3)]
    assert [reply.status for reply in first if isinstance(reply, Reply)] == [200, 200, 429]
    hand.now_s = 59.0
    assert isinstance(reply := create_at(hand, "text-to-image", pro), Reply)
    assert reply.status == 429
    hand.now_s = 60.0
    assert isinstance(reply := create_at(hand, "text-to-image", pro), Reply)
    assert reply.status == 200


def test_names_of_models_do_not_fill_the_memory() -> None:
    """However many models a client names, the table of their limits stays bounded, and its patterns go on to hold."""
    limits = Limits(Quotas(by_model=True))
    for number in range(1_000):
        limits.admit_submit("dashscope", f"wan2.5-{number}", 0.0)
    assert len(limits._models) <= 100 + len(MODELS)
    assert not limits.admit_submit("dashscope", "wan2.5-999", 0.0)


def test_only_known_models_where_a_scenario_says_so(tmp_path: Path) -> None:
    """With `models: known` a name that no page has is a 404 in the dialect's words, and makes nothing; a name with a
    price, and one of a known family, pass."""
    extra = 'service: {models: known}\nprices: {own-model: "1"}'
    for dialect, code in (("aisa", "unknown_model"), ("dashscope", "ModelNotFound")):
        hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED", extra=extra), dialect)
        reply = hand.create(b'{"model": "wam2.5-t2v", "input": {}}')
        assert isinstance(reply, Reply)
        said = content(reply)["error"] if dialect == "aisa" else content(reply)
        assert (reply.status, said["code"]) == (404, code)
        assert hand.engine.bill(hand.now).tasks == ()
        assert hand.created(b'{"model": "own-model", "input": {}}')
        assert hand.created()
    assert is_known("paraformer-v2", ())


@UNTIMED
@given(st.lists(st.tuples(st.sampled_from(["create", "poll", "cancel", "wait"]), st.integers(0, 5)), max_size=40))
def test_slots_are_as_if_settled_at_every_instant(steps: list[tuple[str, int]]) -> None:
    """However slots are kept, never more than the cap run, and with a place free nobody waits who was not cancelled."""
    lives = (
        Lifecycle((Step("PENDING", lasts_s=2), Step("RUNNING", lasts_polls=2), Step("SUCCEEDED"))),
        Lifecycle((Step("PENDING", lasts_s=1), Step("RUNNING", lasts_s=7), Step("SUCCEEDED"))),
    )
    quotas = Quotas(concurrent_tasks=2, queries_per_second=1000)
    hand = Hand.on(Scenario("drawn", "Drawn.", (*lives, *lives, lives[0]), STAYS.expect, quotas=quotas))
    ids: list[str] = []
    for kind, number in steps:
        if kind == "create":
            ids.append(hand.created())
        elif kind == "wait":
            hand.now_s += number
        elif ids and kind == "poll":
            hand.poll(ids[number % len(ids)])
        elif ids:
            hand.cancel(ids[number % len(ids)])
        hand.engine.bill(hand.now)
        tasks = list(hand.engine.tasks.values())
        holding = [
            task
            for task in tasks
            if task.started_s is not None
            and ((end_s := task.frees_slot_s()) is None or end_s > hand.now_s)
            and task.canceled_s is None
        ]
        waiting = [task for task in tasks if task.started_s is None and task.canceled_s is None]
        hand.ask("GET", "/api/v1/tasks/nobody")
        assert len(holding) <= 2
        if len(holding) < 2:
            assert not [task for task in waiting if task.started_s is None]


def test_a_slot_is_free_when_a_life_of_polls_is_over(tmp_path: Path) -> None:
    """A task that ends by polls gives its slot back with the last of them, and the next one runs from then on."""
    scenario = lifecycle_scenario(tmp_path, "RUNNING 2 polls -> SUCCEEDED", extra="quotas: {concurrent_tasks: 1}")
    hand = Hand.on(scenario)
    first, second = hand.created(), hand.created()
    assert [hand.status(first), hand.status(second)] == ["RUNNING", "PENDING"]
    hand.now_s = 7.0
    assert hand.status(first) == "RUNNING"
    hand.now_s = 9.0
    assert [hand.status(first), hand.status(second)] == ["SUCCEEDED", "RUNNING"]
    assert hand.output(second)["scheduled_time"].endswith("47.000")


def test_a_cancelled_task_in_the_queue_takes_no_slot(tmp_path: Path) -> None:
    """Those who were cancelled while they waited are passed over when a slot is free, and are no queue."""
    scenario = lifecycle_scenario(tmp_path, "RUNNING 10s -> SUCCEEDED", extra="quotas: {concurrent_tasks: 1}")
    hand = Hand.on(scenario)
    ids = [hand.created() for _ in range(4)]
    for task_id in ids[1:3]:
        assert hand.cancel(task_id).status == 200
    hand.now_s = 10.0
    assert [hand.status(task_id) for task_id in ids] == ["SUCCEEDED", "CANCELED", "CANCELED", "RUNNING"]
    hand.now_s = 20.0
    hand.dialect = "aisa"
    assert not isinstance(hand.create(), Drop)
    hand.now_s = 30.0
    assert not isinstance(hand.create(), Drop)
    assert hand.engine.journal.counters["throttled_creates"] == 0, "a queue that is empty again is no queue"


def test_creates_that_a_limit_refused_are_expectations(tmp_path: Path) -> None:
    """`min_throttled_creates` is not exercised by fewer, `max_throttled_creates` fails by more."""
    bounds = "min_throttled_creates: 2, max_throttled_creates: 2"
    text = f"quotas: {{concurrent_tasks: 1}}\nexpect: {{outcome: SUCCEEDED, {bounds}}}"
    hand = Hand.on(scenario_from(tmp_path, f"version: 1\nsummary: x.\ntasks: [RUNNING]\n{text}\n"), "aisa")
    hand.created()
    seen = []
    for _ in range(3):
        hand.create()
        verdicts = hand.verdicts()
        seen.append((verdicts["min_throttled_creates"], verdicts["max_throttled_creates"]))
    assert seen == [("NOT_EXERCISED", "PASS"), ("PASS", "PASS"), ("PASS", "FAIL")]
