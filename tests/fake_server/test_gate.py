"""Who is sent away for coming too often: the answer, what is counted, and what a client has been told by it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from fake_server.engine import Reply
from fake_server.scenario import Expect, Quotas, Scenario
from fake_server.scenario.lifecycles import Lifecycle, Step
from tests.fake_server.driving import BASES, KEY, TASKS, Hand, content, header

LASTS_S = 40.0
LIFE = Lifecycle((Step("RUNNING", lasts_s=LASTS_S), Step("SUCCEEDED")))
IMAGE = json.dumps(
    {"model": "wan2.6-t2i", "input": {"messages": [{"role": "user", "content": [{"text": "a cat"}]}]}}
).encode()
CODES = {"aisa": "rate_limit_exceeded", "dashscope": "Throttling.RateQuota"}


def world(dialect: str, life: Lifecycle = LIFE, **quotas: int) -> Hand:
    """A hand on a world with these limits."""
    limits = Quotas(**{"concurrent_tasks": 99, "queries_per_second": 99, **quotas})  # type: ignore[arg-type]  # numbers
    return Hand.on(Scenario("drawn", "Drawn.", (life,), Expect(("SUCCEEDED",)), quotas=limits), dialect)


def counted(hand: Hand) -> Counter[str]:
    """What was counted, but for the requests themselves."""
    leave_out = ("requests", "create_requests", "polls", "list_requests", "cancel_requests", "hasty_polls")
    return Counter(
        {name: count for name, count in hand.engine.journal.counters.items() if count and name not in leave_out}
    )


def refused(hand: Hand, reply: object, quota: str, wait: str | None) -> None:
    """A reply must be the refusal of a quota, with this hint."""
    assert isinstance(reply, Reply)
    body = content(reply)
    assert (reply.status, body.get("error", body)["code"]) == (429, CODES[hand.dialect])
    assert header(reply, "retry-after") == wait
    entry = hand.engine.journal.entries[-1]
    assert (entry.status, entry.fault, entry.retry_after) == (429, f"quota {quota}", wait)


def image(hand: Hand) -> Reply:
    """A synchronous create."""
    path = BASES[hand.dialect] + "/services/aigc/multimodal-generation/generation"
    return hand.ask("POST", path, headers=(KEY,), body=IMAGE)


def test_creates_over_the_gateways_cap_wait_for_the_first_end() -> None:
    """Over the cap a create of the gateway is refused until the first task ends; who comes before is early, who comes
    then is not."""
    hand = world("aisa", concurrent_tasks=1)
    hand.created()
    hand.now_s = 10.0
    refused(hand, hand.create(), "concurrent_tasks", "30")
    assert counted(hand) == {"over_concurrency": 1, "throttled_creates": 1}
    hand.now_s = 39.0
    refused(hand, hand.create(), "concurrent_tasks", "1")
    assert counted(hand) == {"over_concurrency": 2, "throttled_creates": 2, "early_creates": 1}
    hand.now_s = 40.0
    hand.created()
    assert counted(hand)["early_creates"] == 1


def test_creates_over_the_vendors_cap_wait_in_line() -> None:
    """Over the cap a create of the vendor is taken, counted as over it, and refused to nobody."""
    hand = world("dashscope", concurrent_tasks=1)
    hand.created()
    second = hand.created()
    assert hand.status(second) == "PENDING"
    assert counted(hand) == {"over_concurrency": 1}


def test_submits_over_a_models_rate_are_refused_without_a_hint() -> None:
    """A model that takes one submit a second refuses the next one, tells no time, and so makes nobody early; its second
    over, it takes one again."""
    hand = world("dashscope", by_model=True)
    body = b'{"model": "wan2.6-t2i", "input": {"prompt": "a cat"}}'
    hand.created(body)
    hand.now_s = 0.9
    refused(hand, hand.create(body), "submits_of_model", None)
    hand.now_s = 0.95
    refused(hand, hand.create(body), "submits_of_model", None)
    assert counted(hand) == {"throttled_creates": 2}
    hand.now_s = 1.0
    hand.created(body)


def test_images_over_the_gateways_minute_wait_for_its_end() -> None:
    """The image beyond the minute's number is refused until the first one is a minute old; one image takes no place of
    a task, and the vendor has no such limit."""
    hand = world("aisa", images_per_minute=2, concurrent_tasks=1)
    hand.created()
    for now_s in (0.0, 10.0):
        hand.now_s = now_s
        assert image(hand).status == 200
    hand.now_s = 20.0
    refused(hand, image(hand), "images_per_minute", "40")
    assert counted(hand) == {"throttled_creates": 1}
    hand.now_s = 59.0
    refused(hand, image(hand), "images_per_minute", "1")
    assert counted(hand) == {"throttled_creates": 2, "early_creates": 1}
    hand.now_s = 60.0
    assert image(hand).status == 200
    vendor = world("dashscope", images_per_minute=1, concurrent_tasks=1)
    vendor.created()
    assert [image(vendor).status for _ in range(3)] == [200] * 3
    assert counted(vendor) == {}


@pytest.mark.parametrize("kind", ["poll", "list", "cancel"])
def test_queries_over_the_vendors_second_are_refused_without_a_hint(kind: str) -> None:
    """Query, list and cancel share a second's number; what is over it is refused, told no time, and throttles no
    create; the gateway has no such limit."""
    hand = world("dashscope", queries_per_second=2)
    task_id = hand.created()
    hand.listed()
    hand.cancel(task_id)
    send: dict[str, Callable[[], object]] = {
        "poll": lambda: hand.poll(task_id),
        "list": lambda: hand.ask("GET", "/api/v1/tasks/"),
        "cancel": lambda: hand.cancel(task_id),
    }
    for refusals in (1, 2):
        refused(hand, send[kind](), "queries_per_second", None)
        assert (counted(hand)["over_query_rate"], counted(hand)["throttled_creates"]) == (refusals, 0)
    hand.now_s = 1.0
    hand.listed()
    gateway = world("aisa", queries_per_second=1)
    task_id = gateway.created()
    assert [gateway.status(task_id) for _ in range(3)] == ["RUNNING"] * 3


def test_requests_over_a_tiers_minute_are_refused_whatever_they_are() -> None:
    """Creates and polls beyond a tier's minute are refused until the first request is a minute old, each is still what
    it was to those who count, and who comes before is early as a request and as what it is."""
    hand = world("aisa", requests_per_minute=2)
    task_id = hand.created()
    hand.now_s = 10.0
    assert hand.status(task_id) == "RUNNING"
    hand.now_s = 20.0
    refused(hand, hand.poll(task_id), "requests_per_minute", "40")
    assert counted(hand) == {"over_request_rate": 1}
    hand.now_s = 30.0
    refused(hand, hand.create(), "requests_per_minute", "30")
    assert counted(hand) == {"over_request_rate": 2, "throttled_creates": 1, "early_requests": 1}
    hand.now_s = 40.0
    refused(hand, hand.poll(task_id), "requests_per_minute", "20")
    assert counted(hand) == {
        "over_request_rate": 3,
        "throttled_creates": 1,
        "early_requests": 2,
        "polls_before_retry_after": 1,
        "early_polls": 1,
    }
    hand.now_s = 50.0
    refused(hand, hand.create(), "requests_per_minute", "10")
    assert counted(hand)["early_creates"] == 1
    counters = hand.engine.journal.counters
    assert (counters["create_requests"], counters["polls"]) == (3, 3)
    hand.now_s = 60.0
    hand.created()
    assert counted(hand)["early_requests"] == 3, "who waited is not early"


def test_a_poll_that_a_tier_refuses_is_still_one_of_its_task() -> None:
    """Who asks again for a task whose end was told does so after the end, refused or not."""
    hand = world("aisa", Lifecycle((Step("SUCCEEDED"),)), requests_per_minute=2)
    task_id = hand.created()
    hand.now_s = 1.0
    assert hand.status(task_id) == "SUCCEEDED"
    hand.now_s = 2.0
    refused(hand, hand.poll(task_id), "requests_per_minute", "58")
    assert counted(hand) == {"over_request_rate": 1, "polls_after_end": 1}


def test_who_was_not_refused_may_have_been_on_its_way() -> None:
    """A different request a moment after a refusal is not held against a client; the same one again is."""
    for same, early in ((True, 1), (False, 0)):
        hand = world("aisa", requests_per_minute=1)
        hand.ask("GET", f"{TASKS['aisa']}/a")
        hand.now_s = 5.0
        refused(hand, hand.poll("a"), "requests_per_minute", "55")
        hand.now_s = 5.05
        hand.poll("a" if same else "b")
        assert counted(hand)["early_requests"] == early
        assert counted(hand)["polls_before_retry_after"] == early


def test_creates_of_one_body_are_one_request() -> None:
    """What is asked for tells a create from another: the same body again at once is early, another is not."""
    for body, early in ((b'{"model": "m", "input": {}}', 1), (b'{"model": "n", "input": {}}', 0)):
        hand = world("aisa", requests_per_minute=1)
        hand.created()
        refused(hand, hand.create(b'{"model": "m", "input": {}}'), "requests_per_minute", "60")
        hand.now_s = 0.05
        hand.create(body)
        assert (counted(hand)["early_requests"], counted(hand)["early_creates"]) == (early, early)


def test_a_tier_is_the_gateways_alone() -> None:
    """The vendor's requests neither count towards the gateway's minute nor are refused for it."""
    hand = world("dashscope", requests_per_minute=1)
    task_id = hand.created()
    for _ in range(3):
        hand.now_s += 1.0
        assert hand.status(task_id) == "RUNNING"
    assert counted(hand) == {}
    hand.dialect = "aisa"
    hand.created()
    refused(hand, hand.create(), "requests_per_minute", "60")
