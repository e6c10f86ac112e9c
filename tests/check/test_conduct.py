"""The rules that hold for every client: each is kept by a good one, and each can be broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.rules.conduct import RULES
from fake_server.scenario import read_fault
from tests.fake_server.driving import ASYNC, BODY, KEY, UNTIMED, VIDEO, Hand, scenario_from
from tests.support.shipped import shipped

BASE = "/api/v1"


def verdicts(hand: Hand, *, gave_up: bool = False) -> dict[str, str]:
    return {row.name: row.verdict for row in hand.engine.conduct.judge(gave_up=gave_up)}


def lines(hand: Hand, rule: str) -> tuple[int, ...]:
    return next(row.lines for row in hand.engine.conduct.judge() if row.name == rule)


def create(hand: Hand, *headers: tuple[str, str], body: bytes = BODY) -> None:
    hand.send("POST", BASE + VIDEO, headers=(KEY, *(headers or (ASYNC,))), body=body)


def poll(hand: Hand, number: int = 0, *headers: tuple[str, str]) -> None:
    task_id = list(hand.engine.tasks)[number]
    hand.send("GET", f"{BASE}/tasks/{task_id}", headers=(KEY, *headers))


def fetch(hand: Hand, *headers: tuple[str, str]) -> None:
    task_id = next(iter(hand.engine.tasks))
    hand.send("GET", f"/w/w1/assets/{task_id}.mp4", headers=headers)


def test_nothing_asked_is_nothing_exercised() -> None:
    """A client that did nothing passes no rule and fails none."""
    assert verdicts(Hand.on(shipped("succeeds"))) == dict.fromkeys(RULES, "NOT_EXERCISED")


def test_a_good_client_breaks_no_rule() -> None:
    """One create, a poll each second until the end, and a download without a key keep every rule that they meet."""
    hand = Hand.on(shipped("bad-gateway"))
    create(hand)
    for second in range(1, 12):
        hand.now_s = float(second)
        if not next(iter(hand.engine.tasks.values())).end_told:
            poll(hand)
    fetch(hand)
    assert {rule for rule, verdict in verdicts(hand).items() if verdict == "FAIL"} == set()
    assert {rule for rule, verdict in verdicts(hand).items() if verdict == "PASS"} == set(RULES) - {
        "create_once",
        "retry_after",
        "unknown",
    }


@pytest.mark.parametrize("headers", [(("X-Other", "1"),), ()])
def test_a_create_without_the_header_is_a_breach(headers: tuple[tuple[str, str], ...]) -> None:
    """An asynchronous create without the header fails the rule, and so does a poll that carries it."""
    hand = Hand.on(shipped("succeeds"))
    if headers:
        create(hand, *headers)
    else:
        create(hand)
        poll(hand, 0, ASYNC)
    assert verdicts(hand)["async_header"] == "FAIL"
    assert lines(hand, "async_header") == (1 if headers else 2,)


def test_a_create_after_a_lost_answer_is_a_breach() -> None:
    """The same create after one whose answer was lost fails the rule, and another create does not."""
    hand = Hand.on(shipped("create-answer-lost"))
    create(hand)
    assert verdicts(hand)["create_once"] == "PASS"
    create(hand, body=BODY.replace(b"cat", b"dog"))
    assert verdicts(hand)["create_once"] == "PASS"
    create(hand)
    assert (verdicts(hand)["create_once"], lines(hand, "create_once")) == ("FAIL", (3,))


def test_a_create_again_after_a_throttle_is_none() -> None:
    """A create that was refused for now was not carried out: to send it again, when it may, breaks nothing."""
    hand = Hand.on(shipped("throttled-create-seconds"))
    for second in (0, 3, 6):
        hand.now_s = float(second)
        create(hand)
    assert verdicts(hand)["create_once"] == "NOT_EXERCISED"
    assert verdicts(hand)["retry_after"] == "PASS"


@given(st.floats(-2.9, 5.0))
@UNTIMED
def test_the_margin_of_a_retry_after_is_told(margin_s: float) -> None:
    """Who comes before the Retry-After has passed fails, who comes after it passes, and by how much is said."""
    hand = Hand.on(shipped("throttled-create-seconds"))
    create(hand)
    hand.now_s = 3.0 + margin_s
    create(hand)
    row = next(row for row in hand.engine.conduct.judge() if row.name == "retry_after")
    assert row.verdict == ("PASS" if margin_s >= -0.001 else "FAIL")
    assert row.actual.startswith(
        f"{abs(hand.now_s - 3.0) * 1000:.0f} ms {'too early' if hand.now_s < 3.0 else 'after'}"
    )


@given(st.floats(0.0, 2.0))
@UNTIMED
def test_two_polls_of_a_task_keep_their_distance(gap_s: float) -> None:
    """Two polls of a task closer than half a second, less what a network may do to it, fail the rule."""
    hand = Hand.on(shipped("stuck-running"))
    create(hand)
    hand.now_s = 1.0
    poll(hand)
    hand.now_s = 1.0 + gap_s
    poll(hand)
    assert verdicts(hand)["poll_rate"] == ("FAIL" if hand.now_s - 1.0 < 0.45 else "PASS")


def test_a_poll_after_the_end_is_a_breach() -> None:
    """Who asks for a task whose end it was told fails, unless the address of its result has expired."""
    hand = Hand.on(shipped("succeeds"))
    create(hand)
    for second in range(1, 9):
        hand.now_s = float(second * 30)
        poll(hand)
    assert verdicts(hand)["quiet_after_end"] == "FAIL"


def test_an_expired_address_may_be_asked_for_again() -> None:
    """An address that expired is a breach until the result was fetched with a new one, and asking for that is none."""
    hand = Hand.on(shipped("asset-expired-early"))
    create(hand)
    while not next(iter(hand.engine.tasks.values())).end_told:
        hand.now_s += 30.0
        poll(hand)
    fetch(hand)
    assert verdicts(hand)["download_in_time"] == "FAIL"
    hand.now_s += 1.0
    poll(hand)
    fetch(hand)
    assert (verdicts(hand)["download_in_time"], verdicts(hand)["quiet_after_end"]) == ("PASS", "PASS")


def test_a_client_that_stops_at_a_failed_poll_is_found() -> None:
    """Who never asks again after a poll that failed fails, unless its own time was up."""
    hand = Hand.on(shipped("bad-gateway"))
    create(hand)
    for second in range(1, 8):
        hand.now_s = float(second)
        poll(hand)
        if hand.engine.journal.entries[-1].status == 502:
            break
    assert verdicts(hand)["persistence"] == "FAIL"
    assert verdicts(hand, gave_up=True)["persistence"] == "PASS"
    hand.now_s += 1.0
    poll(hand)
    assert verdicts(hand)["persistence"] == "PASS"


def test_a_client_that_stops_at_the_first_unknown_is_found() -> None:
    """Who takes the first UNKNOWN for the end fails, and who asks once more does not."""
    hand = Hand.on(shipped("never-recognised"))
    create(hand)
    poll(hand)
    assert verdicts(hand)["unknown"] == "FAIL"
    hand.now_s = 1.0
    poll(hand)
    assert verdicts(hand)["unknown"] == "PASS"


def test_a_refusal_for_ever_asks_for_no_persistence(tmp_path: Path) -> None:
    """A poll that is refused for ever need not be repeated: only what may pass is."""
    text = """
        version: 1
        summary: A poll is refused.
        tasks: [PENDING 3 polls -> SUCCEEDED]
        poll: [{status: 403, code: AccessDenied}]
        expect: {outcome: SUCCEEDED}
    """
    hand = Hand.on(scenario_from(tmp_path, text))
    create(hand)
    poll(hand)
    assert verdicts(hand)["persistence"] == "NOT_EXERCISED"


def test_a_key_for_the_host_of_results_is_a_breach() -> None:
    """Credentials that go with a download fail the rule; their line is named, and they are not shown."""
    hand = Hand.on(shipped("succeeds"))
    create(hand)
    fetch(hand, KEY)
    assert (verdicts(hand)["key_stays_home"], lines(hand, "key_stays_home")) == ("FAIL", (2,))


@given(
    st.lists(st.sampled_from(["create", "poll", "fetch", "wait"]), max_size=30),
    st.sampled_from(["demo", "bad-gateway"]),
)
@UNTIMED
def test_no_story_breaks_the_judge(story: list[str], scenario: str) -> None:
    """Whatever a client does, each rule is judged, and a failure names lines that the journal has."""
    hand = Hand.on(shipped(scenario))
    for step in story:
        if step == "create":
            create(hand)
        elif step == "wait":
            hand.now_s += 0.3
        elif hand.engine.tasks:
            poll(hand, -1) if step == "poll" else fetch(hand)
    known = {entry.ordinal for entry in hand.engine.journal.entries}
    for row in hand.engine.conduct.judge():
        assert set(row.lines) <= known
        assert row.verdict != "FAIL" or row.lines, row


def test_what_was_forgotten_passes_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what the judge remembers, a rule that nothing was seen against is INCOMPLETE, and a breach stays one."""
    monkeypatch.setattr("fake_server.rules.conduct.MOST_REMEMBERED", 2)
    hand = Hand.on(shipped("create-answer-lost"))
    hand.engine.arm(read_fault({"fault": "wire", "kind": "close", "on": ["create"]}))
    for word in (b"cat", b"dog", b"cow"):
        create(hand, body=BODY.replace(b"cat", word))
    assert verdicts(hand)["create_once"] == "INCOMPLETE"
    create(hand)
    assert verdicts(hand)["create_once"] == "INCOMPLETE", "the first was forgotten"
    create(hand, body=BODY.replace(b"cat", b"cow"))
    assert verdicts(hand)["create_once"] == "FAIL"


def test_strangers_that_were_forgotten_leave_the_rate_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that nobody knows, more at once than are remembered, leave the rule of twice a second INCOMPLETE."""
    monkeypatch.setattr("fake_server.rules.manners.MOST_REMEMBERED_IDS", 2)
    hand = Hand.on(shipped("succeeds"))
    for seconds in (0, 1, 2, 3):
        hand.now_s = float(seconds)
        hand.poll(f"nobody-{seconds % 2}")
    assert verdicts(hand)["poll_rate"] == "PASS"
    for number in range(3):
        hand.poll(f"other-{number}")
    assert verdicts(hand)["poll_rate"] == "INCOMPLETE"
