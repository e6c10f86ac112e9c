"""Limits of an account: declared, known of the service, and kept by everything that one client sends."""

from __future__ import annotations

from typing import Any

import pytest

from resilient_poll import CancelRefused, ConfigurationError, Limits, SubmitThrottled
from resilient_poll.dashscope.limits import FREE, GROWTH, MODEL_LIMITS, STARTER, VIDEO, limits_of_model
from tests.support.colours import COLOURS, got, run_in
from tests.support.many_world import INPUT, MODEL, ManyWorld, jobs


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrent_tasks": 0},
        {"concurrent_tasks": 2.5},
        {"concurrent_tasks": True},
        {"requests_per_minute": "60"},
        {"submits_per_second": 0},
        {"submits_per_second": float("inf")},
        {"queries_per_second": float("nan")},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """A limit must be a finite number above zero, whole where it counts things; the sentence names it."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Limits(**wrong)


def test_the_tiers_are_the_documented_ones() -> None:
    """Requests a minute and tasks at once of the three tiers, and of video."""
    assert [(tier.requests_per_minute, tier.concurrent_tasks) for tier in (FREE, STARTER, GROWTH)] == [
        (60, 5),
        (600, 20),
        (3000, 50),
    ]
    assert Limits(concurrent_tasks=3) == VIDEO


@pytest.mark.parametrize(
    ("model", "rate"),
    [("wan2.5-t2v-preview", 5), ("wan2.2-t2v-plus", 2), ("wan2.6-t2i", 1), ("wanx2.1-i2v-turbo", 2), ("wan2.2-s2v", 5)],
)
def test_a_models_rate_is_found_by_its_name(model: str, rate: float) -> None:
    """The longest beginning that fits decides."""
    assert limits_of_model(model) == Limits(submits_per_second=rate)
    assert MODEL_LIMITS["wan2.2-s2v"].running_at_once == 1


def test_an_unknown_model_has_no_known_limits() -> None:
    """Nothing is made up for a model that no page lists."""
    with pytest.raises(ConfigurationError, match="no limits are known"):
        limits_of_model("gpt-9")


def test_the_vendors_query_limit_holds_without_being_declared() -> None:
    """In the vendor's dialect any second holds at most twenty queries, whoever asks; in the gateway's none is known."""
    times: dict[str, float] = {}
    for dialect in ("dashscope", "aisa"):
        world = ManyWorld(["RUNNING 500s -> SUCCEEDED"], cap=100, dialect=dialect)
        with world.client() as client:
            tasks = [client.submit(MODEL, INPUT) for _ in range(60)]
            for task in tasks:
                task.refresh()
        times[dialect] = world.now_s
    assert times["aisa"] == 0.0
    assert times["dashscope"] == pytest.approx(2.2), "three turns of twenty, 1.1 s apart"


@pytest.mark.parametrize("colour", COLOURS)
def test_submits_keep_their_rate(colour: str) -> None:
    """Single submits go no faster than declared; one whose turn is too late is throttled without having been sent."""
    world = ManyWorld(["RUNNING 5s -> SUCCEEDED"], cap=100)

    async def main() -> None:
        client = world.client(is_async=colour != "sync", limits=Limits(submits_per_second=0.1))
        for _ in range(3):
            await got(client.submit(MODEL, INPUT))
        assert world.now_s == pytest.approx(20.2)
        with pytest.raises(SubmitThrottled, match="own limits") as caught:
            await got(client.submit(MODEL, INPUT, timeout=5))
        assert caught.value.come_back_in_s == pytest.approx(10.1)
        await got(client.close())

    run_in(colour, main)
    assert world.counters["create_requests"] == 3


def test_a_minute_is_shared_and_creates_find_room() -> None:
    """Under sixty requests a minute for creates and polls together, no minute holds more, and slots are refilled."""
    world = ManyWorld(["RUNNING 20s -> SUCCEEDED"], cap=5)
    finished = world.all_of("sync", jobs(30), limits=FREE)
    assert [one.error for one in finished] == [None] * 30
    sent = [entry.at_s for entry in world.engine.journal.entries]
    assert max(sum(start <= other < start + 60 for other in sent) for start in sent) <= 60
    assert world.counters["throttled_creates"] == 0
    assert world.now_s <= 1.3 * 6 * 20


def test_a_cancel_takes_its_turn() -> None:
    """A cancel counts as a query: it waits for its turn, and is refused if that is too far away."""
    world = ManyWorld(["PENDING 500s -> SUCCEEDED"], cap=100, dialect="dashscope")
    with world.client(limits=Limits(queries_per_second=0.2)) as client:
        first, second = client.submit(MODEL, INPUT), client.submit(MODEL, INPUT)
        first.refresh()
        second.cancel()
        assert world.now_s == pytest.approx(5.1 + 5.1), "the cancel, and the look after it"
    with world.client(limits=Limits(queries_per_second=0.01)) as client:
        task = client.task(first.id)
        task.refresh()
        with pytest.raises(CancelRefused, match="no cancel was sent"):
            task.cancel()
