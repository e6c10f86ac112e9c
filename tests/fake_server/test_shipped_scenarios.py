"""Every scenario that comes with the fake is readable, playable and able to fail a bad client."""

from __future__ import annotations

import pytest

from fake_server.engine import Reply
from fake_server.scenario import shipped_scenarios
from tests.fake_server.driving import Hand, content
from tests.fake_server.good_client import GoodClient
from tests.support.shipped import shipped

NAMES = tuple(shipped_scenarios())
ASKED_FOR = {
    "account-cap-batch",
    "asset-cut",
    "asset-expired-early",
    "bad-gateway",
    "canceled-by-policy",
    "canceled-while-pending",
    "concurrency-cap",
    "create-answer-cut",
    "cut-polls",
    "garbled-polls",
    "create-answer-lost",
    "create-dropped",
    "demo",
    "dripping-poll",
    "duplicated-create",
    "expired",
    "fails-by-input",
    "fails-by-policy",
    "fails-upstream",
    "flaps-back",
    "image-edit",
    "images-succeed",
    "keyframe-video",
    "lost-create",
    "messages-format",
    "model-3d",
    "never-recognised",
    "packed-answers",
    "partial-failure",
    "redirected-create",
    "redirected-polls",
    "refused-create",
    "retry-after-right",
    "retry-after-wrong",
    "running-at-once",
    "schema-drift",
    "server-error-on-create",
    "slow-answers",
    "unreadable-polls",
    "stale-reads",
    "strange-bodies",
    "stuck-running",
    "submit-rate",
    "succeeds",
    "synchronous",
    "synchronous-answer-lost",
    "synchronous-rate-limit",
    "synchronous-refused",
    "throttled-create-date",
    "throttled-create-seconds",
    "throttled-poll",
    "tier-free",
    "transcription-partial-failure",
    "unknown-after-create",
    "unknown-model",
    "unknown-then-found",
    "unlisted-status",
    "wrong-clock",
}
PLAYS = [(name, dialect) for name in NAMES for dialect in shipped(name).dialects]


def test_everything_that_was_promised_is_there() -> None:
    """No promised scenario is missing."""
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is_for_and_what_it_expects(name: str) -> None:
    """Every scenario has a sentence of purpose, an outcome, and a bill and number of tasks to check."""
    scenario = shipped(name)
    assert scenario.name == name
    assert scenario.summary.endswith(".")
    assert {"tasks_created", "billed_tasks"} <= set(scenario.expect.counts)
    assert len(scenario.expect.outcomes) in (1, scenario.client.tasks)


@pytest.mark.parametrize(("name", "dialect"), PLAYS)
def test_a_client_that_behaves_passes_every_expectation(name: str, dialect: str) -> None:
    """What a scenario expects is what a client gets that obeys every hint, in each dialect it names."""
    scenario = shipped(name)
    hand = Hand.on(scenario, dialect)
    outcomes = GoodClient(scenario, hand).run()
    rows = hand.engine.verdict(hand.now, outcomes)
    assert {row.verdict for row in rows} == {"PASS"}, [row for row in rows if row.verdict != "PASS"]


@pytest.mark.parametrize(("name", "dialect"), PLAYS)
def test_a_client_that_repeats_and_hurries_fails(name: str, dialect: str) -> None:
    """A client that creates twice in a row and polls ten times a second fails every scenario."""
    hand = Hand.on(shipped(name), dialect)
    for _ in range(6):
        reply = hand.create()
        hand.now_s += 0.1
        if isinstance(reply, Reply) and reply.status == 200:
            task_id = content(reply)["output"]["task_id"]
            for _ in range(5):
                hand.now_s += 0.1
                hand.poll(task_id)
    assert "FAIL" in hand.verdicts(*hand.engine.scenario.expect.outcomes).values()


@pytest.mark.parametrize("name", NAMES)
def test_a_world_that_nobody_asked_anything_proves_nothing(name: str) -> None:
    """Without a single request no verdict is PASS, but that no fault was scripted and none missed."""
    verdicts = Hand.on(shipped(name)).verdicts()
    verdicts.pop("faults_consumed")
    assert set(verdicts.values()) == {"NOT_EXERCISED"}


def test_a_fault_that_never_fired_is_told_with_its_line() -> None:
    """A scripted fault that struck nothing makes the run not exercised, and is named by its line."""
    hand = Hand.on(shipped("throttled-poll"))
    task_id = hand.created()
    hand.poll(task_id)
    row = next(row for row in hand.engine.verdict(hand.now, ["SUCCEEDED"]) if row.name == "faults_consumed")
    assert row.verdict == "NOT_EXERCISED"
    assert row.expected == "2 of 2"
    assert row.actual == "0 of 2; never fired: poll throttle (line 7), poll throttle (line 8)"


def test_scenarios_that_cut_connections_say_that_they_need_a_socket() -> None:
    """`needs_socket` holds exactly for the scenarios that drop connections or spoil bytes."""
    assert {name for name in NAMES if shipped(name).needs_socket} == {
        "asset-cut",
        "create-answer-cut",
        "create-answer-lost",
        "create-dropped",
        "cut-polls",
        "dripping-poll",
        "garbled-polls",
        "lost-create",
        "poll-dropped",
        "unreadable-polls",
        "synchronous-answer-lost",
    }
