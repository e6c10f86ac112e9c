"""Judging a client: who came too early, too often or too late, and what that makes of the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fake_server.engine import Reply
from tests.fake_server.driving import Hand, content, lifecycle_scenario, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

THROTTLED = """
version: 1
summary: For manners.
create:
  - throttle: {retry_after: 3s}
  - throttle: {retry_after: 4s, form: http-date}
tasks: [RUNNING 3 polls -> SUCCEEDED]
poll:
  - throttle: {retry_after: 5s}
expect: {outcome: SUCCEEDED, early_creates: 0, early_polls: 0, polls_after_end: 0, max_polls: 3, downloads: 1}
"""
OTHER = b'{"model": "m", "input": {"prompt": "another"}}'


def counters(hand: Hand) -> tuple[int, int, int]:
    """Early creates, early polls, polls after the end."""
    found = hand.engine.journal.counters
    return found["early_creates"], found["early_polls"], found["polls_after_end"]


@pytest.mark.parametrize(("wait_s", "early"), [(2.99, 1), (2.9995, 0), (3.0, 0), (0.0, 1)])
def test_a_create_before_its_time_is_counted(tmp_path: Path, wait_s: float, early: int) -> None:
    """A create before the Retry-After is over counts as early; a hair's breadth does not."""
    hand = Hand.on(scenario_from(tmp_path, THROTTLED))
    hand.create()
    hand.now_s = wait_s
    hand.create()
    assert counters(hand)[0] == early


@pytest.mark.parametrize(("start_s", "wait_s", "early"), [(0.0, 3.9, 1), (0.0, 4.0, 0), (0.7, 3.3, 0), (0.7, 3.2, 1)])
def test_a_date_is_over_when_its_second_begins(tmp_path: Path, start_s: float, wait_s: float, early: int) -> None:
    """A Retry-After date is judged by the date that was sent, which counts from the whole second."""
    hand = Hand.on(scenario_from(tmp_path, THROTTLED))
    hand.create()
    hand.now_s = 10.0 + start_s
    hand.create()
    hand.now_s += wait_s
    hand.create()
    assert counters(hand)[0] == early


def test_another_request_that_was_on_its_way_is_not_held_against_a_client(tmp_path: Path) -> None:
    """A different create right after a refusal may have been sent before it; later, or again, it is early."""
    hand = Hand.on(scenario_from(tmp_path, THROTTLED.replace("form: http-date", "form: none")))
    hand.create()
    hand.now_s = 0.05
    hand.create(OTHER)
    assert counters(hand)[0] == 0
    hand.now_s = 1.0
    hand.create(OTHER)
    assert counters(hand)[0] == 1


def test_polls_have_a_floor_and_a_retry_after(tmp_path: Path) -> None:
    """Polls before a poll's Retry-After, or less than half a second apart for one task, count as early."""
    hand = Hand.on(
        scenario_from(
            tmp_path,
            THROTTLED.replace("create:", "client:").split("client:")[0] + THROTTLED[THROTTLED.index("tasks:") :],
        )
    )
    first, second = hand.created(), hand.created()
    hand.now_s = 1.0
    hand.poll(first)  # refused for five seconds
    hand.now_s = 5.9
    hand.poll(second)
    assert counters(hand)[1] == 1
    hand.now_s = 6.0
    hand.poll(first)
    hand.now_s = 6.2
    hand.poll(second)
    assert counters(hand)[1] == 2, "the second task was asked for 0.3 s ago"
    hand.now_s = 6.46
    hand.poll(first)
    assert counters(hand)[1] == 2, "0.46 s is within what a network does to half a second"
    hand.now_s = 6.7
    hand.poll(first)
    assert counters(hand)[1] == 3


def test_hammering_for_an_id_that_nobody_knows_is_hammering(tmp_path: Path) -> None:
    """The floor holds for unknown and forgotten ids as for any other, and each id is judged by itself."""
    extra = "retention: 10s\nquotas: {queries_per_second: 10000}"
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra=extra))
    for _ in range(200):
        hand.now_s += 0.001
        hand.poll("nobody-knows-it")
    assert counters(hand) == (0, 199, 0)
    hand.poll("nor-this")
    assert counters(hand) == (0, 199, 0)
    task_id = hand.created()
    for gap_s in (20.0, 0.1):
        hand.now_s += gap_s
        assert hand.status(task_id) == "UNKNOWN"
    assert counters(hand) == (0, 200, 0)


def test_ids_in_endless_number_cost_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last queries of ids are forgotten beyond a bound, the one asked for longest ago first."""
    monkeypatch.setattr("fake_server.rules.manners.MOST_REMEMBERED_IDS", 3)
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {queries_per_second: 10000}"))
    for name in ("a", "b", "a", "c", "d"):
        hand.poll(name)
    assert list(hand.engine._manners._last_poll_s) == [hash(name) for name in "acd"]
    assert counters(hand) == (0, 1, 0)


def test_polls_after_an_end_that_was_told_are_counted(tmp_path: Path) -> None:
    """A poll counts as late from the second answer on that tells an end; UNKNOWN is no end."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED", "UNKNOWN"))
    first, second = hand.created(), hand.created()
    for _ in range(3):
        hand.now_s += 1
        hand.poll(first)
        hand.poll(second)
    assert counters(hand) == (0, 0, 2)


def test_verdicts_name_what_was_expected_and_seen(tmp_path: Path) -> None:
    """Every expectation has a row; what holds passes, what does not fails, what nobody told is not exercised."""
    hand = Hand.on(scenario_from(tmp_path, THROTTLED))
    hand.create()
    hand.now_s = 1.0
    hand.create()
    hand.now_s = 10.0
    task_id = hand.created()
    rows = {row.name: row for row in hand.engine.verdict(hand.now)}
    assert list(rows) == [
        *("outcome", "early_creates", "early_polls", "polls_after_end", "max_polls", "downloads", "faults_consumed")
    ]
    assert (rows["outcome"].verdict, rows["outcome"].actual) == ("NOT_EXERCISED", "not reported")
    assert (rows["early_creates"].verdict, rows["early_creates"].actual) == ("FAIL", "1")
    assert (rows["max_polls"].verdict, rows["max_polls"].expected) == ("PASS", "at most 3")
    assert rows["downloads"].verdict == "INCOMPLETE", "the task is not over"
    assert rows["faults_consumed"].verdict == "NOT_EXERCISED"
    for _ in range(5):
        hand.now_s += 10
        reply = hand.poll(task_id)
    assert isinstance(reply, Reply)
    hand.ask("HEAD", content(reply)["output"]["video_url"].removeprefix("http://fake.test"))
    assert hand.verdicts("SUCCEEDED")["downloads"] == "FAIL", "a HEAD fetches nothing"
    hand.ask("GET", content(reply)["output"]["video_url"].removeprefix("http://fake.test"))
    verdicts = hand.verdicts("SUCCEEDED")
    assert verdicts["downloads"] == verdicts["outcome"] == verdicts["faults_consumed"] == "PASS"
    assert verdicts["max_polls"] == "FAIL"
    assert hand.verdicts("FAILED")["outcome"] == "FAIL"


@pytest.mark.parametrize(
    ("creates", "after_s", "verdict", "at_the_end"),
    [
        (0, 0.0, "NOT_EXERCISED", "NOT_EXERCISED"),
        (1, 0.0, "INCOMPLETE", "PASS"),
        (1, 9.0, "PASS", "PASS"),
        # Another is on its way to be paid: the bill is right only for the moment.
        (2, 0.0, "INCOMPLETE", "FAIL"),
        (2, 9.0, "FAIL", "FAIL"),
    ],
)
def test_a_bill_that_may_still_change_is_incomplete(
    creates: int, after_s: float, verdict: str, at_the_end: str, tmp_path: Path
) -> None:
    """While a task may still come to cost something the bill is neither right nor wrong; who is gone is judged by what
    it will have cost."""
    steps = "version: 1\nsummary: x.\ntasks: [RUNNING 5s -> SUCCEEDED]\n"
    hand = Hand.on(scenario_from(tmp_path, f"{steps}expect: {{outcome: SUCCEEDED, billed_tasks: 1, max_polls: 0}}\n"))
    for _ in range(creates):
        hand.created()
        hand.now_s += after_s
    assert hand.verdicts()["billed_tasks"] == verdict
    assert hand.verdicts()["max_polls"] != "INCOMPLETE"
    end = hand.engine.play_out(hand.now)
    rows = {row.name: row.verdict for row in hand.engine.verdict(end, is_over=True)}
    assert rows["billed_tasks"] == at_the_end


def test_a_bill_that_is_too_high_has_failed_before_its_end(tmp_path: Path) -> None:
    """Two tasks are paid where one was wanted: what else is on its way cannot mend that."""
    steps = "version: 1\nsummary: x.\ntasks: [SUCCEEDED, SUCCEEDED, RUNNING 5s -> SUCCEEDED]\n"
    hand = Hand.on(scenario_from(tmp_path, f"{steps}expect: {{outcome: SUCCEEDED, billed_tasks: 1}}\n"))
    for _ in range(3):
        hand.created()
    assert hand.engine.bill(hand.now).open_tasks == 1
    assert hand.verdicts()["billed_tasks"] == "FAIL"


def test_a_task_that_waits_for_polls_for_ever_costs_nothing_in_the_end(tmp_path: Path) -> None:
    """Nobody asks any more, so a step that is counted in polls never passes, and the bill without it is the last."""
    steps = "version: 1\nsummary: x.\ntasks: [RUNNING 2 polls -> SUCCEEDED]\n"
    hand = Hand.on(scenario_from(tmp_path, f"{steps}expect: {{outcome: SUCCEEDED, billed_tasks: 0}}\n"))
    hand.created()
    assert hand.verdicts()["billed_tasks"] == "INCOMPLETE"
    end = hand.engine.play_out(hand.now)
    assert {row.name: row.verdict for row in hand.engine.verdict(end, is_over=True)}["billed_tasks"] == "PASS"


def test_outcomes_of_several_tasks_are_compared_as_a_heap(tmp_path: Path) -> None:
    """Tasks side by side may be reported in any order; one expected word stands for all of them."""
    text = "version: 1\nsummary: x.\ntasks: [SUCCEEDED]\nexpect: {outcome: [SUCCEEDED, FAILED]}\n"
    hand = Hand.on(scenario_from(tmp_path, text))
    assert hand.verdicts("FAILED", "SUCCEEDED")["outcome"] == "PASS"
    assert hand.verdicts("FAILED", "FAILED")["outcome"] == "FAIL"
    assert hand.verdicts("SUCCEEDED")["outcome"] == "FAIL"
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    assert hand.verdicts("SUCCEEDED", "SUCCEEDED")["outcome"] == "PASS"


def test_a_forgetful_journal_changes_no_verdict(tmp_path: Path) -> None:
    """Lines are bounded and the oldest go first; counters and verdicts count everything."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra="quotas: {queries_per_second: 10000}"))
    task_id = hand.created()
    for _ in range(1500):
        hand.now_s += 1
        hand.poll(task_id)
    journal = hand.engine.journal
    assert len(journal.entries) == 1000
    assert journal.entries[-1].ordinal == 1501
    assert journal.forgotten == 501
    assert journal.counters["polls"] == 1500
    assert [entry.ordinal for entry in journal.entries[-2:]] == [1500, 1501]
