"""What each fault does to an answer, seen as a client sees it."""

from __future__ import annotations

import email.utils
import json
from dataclasses import replace
from typing import Any

import pytest

from fake_server.engine import Drop, Reply
from fake_server.faults.hints import spell
from fake_server.faults.model import HINT_FORMS, Hint
from fake_server.rules.striking import LONGEST_DELAY_S
from fake_server.scenario import ScriptedAnswer
from tests.fake_server.driving import WALL_S, Hand, content, header
from tests.fake_server.faulty import AT_ONCE, fault, hand_with


def replied(reply: Reply | Drop) -> Reply:
    """An answer that is no cut."""
    assert isinstance(reply, Reply)
    return reply


def asset(hand: Hand, task_id: str, method: str = "GET") -> Reply:
    """The asset of a task."""
    return hand.ask(method, f"/w/w1/assets/{task_id}.mp4", headers=())


@pytest.mark.parametrize(
    ("keys", "body", "content_type"),
    [
        ({"body": "dialect"}, b'"code": "ModelUnavailable"', "application/json"),
        ({"body": "html"}, b"<h1>503</h1>", "text/html; charset=utf-8"),
        ({"body": "empty"}, b"", "application/json"),
        ({"body": "alien"}, b'"faultstring"', "application/json"),
        ({"body": {"a": [1, True]}}, b'{"a": [1, true]}', "application/json"),
        ({"text": "upstream request timeout"}, b"upstream request timeout", "text/plain; charset=utf-8"),
        ({"text": "x", "content_type": "application/xml"}, b"x", "application/xml"),
        ({"shape": "retryable", "message": "Wait."}, b'"retryable": true', "application/json"),
        ({"code": {"dashscope": "Own"}}, b'"code": "Own"', "application/json"),
    ],
)
def test_a_status_has_the_body_that_it_names(keys: dict[str, Any], body: bytes, content_type: str) -> None:
    """Every form of body goes out with its own type, its true length and the status asked for."""
    hand = hand_with(fault("status", status=503, **keys))
    reply = replied(hand.create())
    assert (reply.status, header(reply, "content-type")) == (503, content_type)
    assert body in reply.body
    assert header(reply, "content-length") == str(len(reply.body))


def test_a_malformed_body_is_a_part_of_the_true_one() -> None:
    """A malformed body begins as the error would, and is no JSON."""
    reply = replied(hand_with(fault("status", status=500, body="malformed")).create())
    assert reply.body.startswith(b'{"code"')
    with pytest.raises(json.JSONDecodeError):
        content(reply)


WALL = 1_750_000_000.25
RIGHT = {"seconds", "http-date", "rfc850-date", "asctime-date", "twice"}


@pytest.mark.parametrize("form", HINT_FORMS)
def test_every_form_of_retry_after_is_right_or_wrong_as_it_says(form: Any) -> None:
    """A right form is read by the rules of HTTP as the wait asked for, and judged; a wrong one judges nobody."""
    spelt = spell(Hint(3.0, form), WALL)
    assert (spelt.wait_s is not None) == (form in RIGHT)
    if form == "none":
        assert spelt.values == ()
        return
    value = spelt.values[0]
    assert value.isascii()
    if form in ("seconds", "twice"):
        assert (int(value), spelt.wait_s) == (3, 3.0)
    elif form in RIGHT:
        until = email.utils.parsedate_to_datetime(value)
        # asctime names no zone, and means UTC (RFC 9110, 5.6.7).
        until_s = until.replace(tzinfo=email.utils.parsedate_to_datetime("Mon, 1 Jan 2024 00:00:00 GMT").tzinfo)
        assert until_s.timestamp() == pytest.approx(WALL + (spelt.wait_s or 0))
        assert spelt.wait_s == pytest.approx(2.75)
    else:
        assert not value.isdigit() or int(value) > 1_000_000
    assert len(spelt.values) == (2 if form == "twice" else 1)


def test_a_spelt_header_is_sent_as_it_stands() -> None:
    """`header` is sent letter by letter, and judged by `retry_after` where that stands beside it."""
    hand = hand_with(fault("status", status=429, header="Wed, 99 Foo", retry_after="5s", nth=1, on="create"))
    assert header(replied(hand.create()), "retry-after") == "Wed, 99 Foo"
    hand.now_s = 4.0
    hand.create()
    assert hand.engine.journal.counters["early_creates"] == 1


def test_rate_headers_tell_time_as_asked() -> None:
    """Rate headers stand on the true answer, in unix time or in seconds, and replace a tier's own."""
    for form, reset in (("epoch", str(int(WALL_S) + 12)), ("seconds", "12")):
        rate = {"limit": 60, "remaining": 0, "reset": "12s", "form": form}
        reply = replied(hand_with(fault("headers", rate_headers=rate)).create())
        assert reply.status == 200
        assert header(reply, "x-ratelimit-limit-requests") == "60"
        assert header(reply, "x-ratelimit-reset-requests") == reset


def test_headers_leave_the_true_answer() -> None:
    """A wrong content type and further headers change no byte of the body."""
    true = replied(hand_with().create())
    keys: dict[str, Any] = {"content_type": "text/plain", "headers": {"X-Trace": "7"}, "retry_after": "9s"}
    reply = replied(hand_with(fault("headers", **keys)).create())
    assert reply.body == true.body
    assert [value for name, value in reply.headers if name == "content-type"] == ["text/plain"]
    assert (header(reply, "x-trace"), header(reply, "retry-after")) == ("7", "9")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("itself", "http://fake.test/api/v1/tasks/a%20%0Ab?page=1"),
        ("other_host", "http://elsewhere.invalid/api/v1/tasks/a%20%0Ab?page=1"),
        ("nowhere", None),
    ],
)
def test_a_redirect_goes_where_it_says(to: str, location: str | None) -> None:
    """A redirect keeps path and query, safely spelt, and carries no body."""
    hand = hand_with(fault("redirect", to=to, status=308))
    reply = hand.ask("GET", "/api/v1/tasks/a \nb", "page=1")
    assert (reply.status, header(reply, "location"), reply.body) == (308, location, b"")


def test_delays_are_fixed_uniform_or_log_normal() -> None:
    """A fixed delay is the one named, others vary within their bounds; several add up."""
    hand = hand_with(fault("latency", fixed="2s"), fault("latency", uniform={"from": "1s", "to": "3s"}))
    delays = [replied(hand.create()).delay_s for _ in range(3)]
    assert len(set(delays)) == 3
    assert all(3 <= delay <= 5 for delay in delays)
    hand = hand_with(fault("latency", log_normal={"median": "300s", "sigma": 5}))
    assert max(replied(hand.create()).delay_s for _ in range(30)) == LONGEST_DELAY_S


@pytest.mark.parametrize(
    ("kind", "route", "field"),
    [
        ("missing_output", "query", "output"),
        ("number_for_string", "query", "task_status"),
        ("unknown_status", "query", "task_status"),
        ("extra_fields", "query", "api_version"),
        ("number_for_string", "create", "task_id"),
        ("missing_output", "create", "output"),
        ("missing_output", "list", "data"),
    ],
)
def test_a_schema_drifts_where_a_client_looks(kind: str, route: str, field: str) -> None:
    """Each drift changes the field that a client of that route depends on."""
    hand = hand_with(fault("schema_drift", kind=kind, on=route))
    created = hand.create()
    task_id = next(iter(hand.engine.tasks))
    later = {"query": lambda: hand.poll(task_id), "list": lambda: hand.ask("GET", "/api/v1/tasks")}
    reply = created if route == "create" else later[route]()
    body = content(replied(reply))
    output = body.get("output", body)
    if kind == "missing_output":
        assert field not in body
    elif kind == "extra_fields":
        assert body[field] == "2"
        assert output["trace"]["hops"] == [1, 2]
    else:
        assert output[field] == ("MIGRATING" if kind == "unknown_status" else 7)


def test_a_stale_answer_is_from_then_and_counts_for_nothing() -> None:
    """A stale read shows an older state, is no counted poll, and never lies before the create."""
    hand = hand_with(fault("stale_read", age="4s", nth=[2, 4]))
    task_id = hand.created()
    seen = []
    for _ in range(6):
        hand.now_s += 3
        seen.append(hand.status(task_id))
    assert seen == ["RUNNING", "RUNNING", "RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"]
    hand = hand_with(fault("stale_read", age="60s", nth=2))
    task_id = hand.created()
    hand.now_s = 3.0
    assert [hand.status(task_id), hand.status(task_id)] == ["RUNNING", "PENDING"]


def test_a_stale_answer_does_not_know_of_a_cancel() -> None:
    """What was cancelled a moment ago is shown as it was before, and as cancelled where that is old enough."""
    hand = hand_with(fault("stale_read", age="2s", on="query"))
    task_id = hand.created()
    hand.now_s = 1.0
    assert hand.cancel(task_id).status == 200
    assert hand.status(task_id) == "PENDING"
    hand.now_s = 3.5
    assert hand.status(task_id) == "CANCELED"


def test_a_new_task_is_unknown_for_a_time_or_for_its_polls() -> None:
    """UNKNOWN lasts so many seconds from each create, or so many polls of each task, and no longer."""
    hand = hand_with(fault("unknown_after_create", for_="4s"))
    task_id = hand.created()
    seen = []
    for hand.now_s in (1.0, 3.9, 4.1):
        seen.append(hand.status(task_id))
    assert seen == ["UNKNOWN", "UNKNOWN", "RUNNING"]
    hand = hand_with(fault("unknown_after_create", polls=1))
    ids = [hand.created(), hand.created()]
    hand.now_s = 3.0
    assert [hand.status(task_id) for task_id in (*ids, *ids)] == ["UNKNOWN", "UNKNOWN", "RUNNING", "RUNNING"]


def test_a_wrong_clock_is_wrong_in_all_it_says() -> None:
    """`Date`, timestamps, arrival times, the list's times and dates in hints are all off by the same."""
    off, true = hand_with(fault("clock_skew", ahead="1h")), hand_with()
    for hand in (off, true):
        hand.created()
        hand.now_s = 3.0
    (task_id,) = off.engine.tasks
    skewed, right = replied(off.poll(task_id)), replied(true.poll(task_id))
    dates = [email.utils.parsedate_to_datetime(header(reply, "date") or "") for reply in (skewed, right)]
    assert (dates[0] - dates[1]).total_seconds() == 3600
    assert int(header(skewed, "req-arrive-time") or 0) - int(header(right, "req-arrive-time") or 0) == 3_600_000
    assert content(right)["output"]["submit_time"] == "2025-06-15 23:06:40.000"
    assert content(skewed)["output"]["submit_time"] == "2025-06-16 00:06:40.000"
    created = [row["gmt_create"] for hand in (off, true) for row in hand.listed()["data"]]
    assert created[0] - created[1] == 3_600_000
    off = hand_with(
        fault("clock_skew", behind="1h"), fault("status", status=429, retry_after="3s", form="http-date", on="create")
    )
    reply = replied(off.create())
    until, date = (email.utils.parsedate_to_datetime(header(reply, name) or "") for name in ("retry-after", "date"))
    assert (until - date).total_seconds() == 3


def test_a_doubled_create_makes_two_that_differ() -> None:
    """One request, two tasks with ids of their own, both billed; the answer names the first."""
    hand = hand_with(fault("duplicated_create", nth=1), life=AT_ONCE)
    task_id = hand.created()
    assert next(iter(hand.engine.tasks)) == task_id
    assert hand.engine.bill(hand.now).billed_tasks == 2
    hand.created()
    assert hand.engine.bill(hand.now).billed_tasks == 3


def test_a_doubled_synchronous_create_makes_two_results() -> None:
    """A synchronous create that is doubled bills two results, each with an id of its own."""
    hand = hand_with(fault("duplicated_create"), life=AT_ONCE)
    body = b'{"model": "wan2.6-t2i", "input": {"messages": [{"role": "user", "content": [{"text": "x"}]}]}}'
    reply = hand.ask("POST", "/api/v1/services/aigc/multimodal-generation/generation", body=body)
    assert reply.status == 200
    assert hand.engine.bill(hand.now).billed_tasks == 2


def test_an_asset_expires_or_is_cut_and_was_not_fetched() -> None:
    """A refused or cut download is none; a whole one is, and a HEAD strikes no fault."""
    hand = hand_with(fault("expired_asset", nth=1), fault("asset_cut", nth=2), life=AT_ONCE)
    task_id = hand.created()
    assert asset(hand, task_id, "HEAD").status == 200
    assert asset(hand, task_id).status == 403
    cut = asset(hand, task_id)
    assert cut.wire is not None
    assert cut.wire.kind == "short_body"
    assert not hand.engine.tasks[task_id].was_fetched
    assert asset(hand, task_id).status == 200
    assert hand.engine.tasks[task_id].was_fetched


def test_an_end_that_was_not_heard_may_be_asked_for_again() -> None:
    """A poll after an end that was spoilt, or came very late, is no bad manners; after one that was heard it is."""
    for keys, is_counted in (
        ({"name": "wire", "kind": "short_body"}, False),
        ({"name": "wire", "kind": "drip"}, True),
        ({"name": "latency", "fixed": "30s"}, False),
        ({"name": "latency", "fixed": "1s"}, True),
        ({"name": "schema_drift", "kind": "unknown_status"}, False),
        ({"name": "schema_drift", "kind": "extra_fields"}, True),
    ):
        hand = hand_with(fault(**keys, nth=1, on="query"), life=AT_ONCE)
        task_id = hand.created()
        for hand.now_s in (3.0, 6.0):
            hand.poll(task_id)
        assert hand.engine.journal.counters["polls_after_end"] == is_counted, keys


def test_a_hint_that_was_not_heard_binds_nobody() -> None:
    """A `Retry-After` whose answer is cut on the wire is held against no client; one that arrives is."""
    for faults, early in (
        ((), 1),
        ((fault("wire", kind="short_body", on="query"),), 0),
    ):
        hand = hand_with(fault("status", status=429, retry_after="9s", on="query", nth=1), *faults)
        task_id = hand.created()
        for hand.now_s in (3.0, 6.0):
            hand.poll(task_id)
        assert hand.engine.journal.counters["early_polls"] == early


def test_a_request_cut_before_the_commit_is_not_carried_out() -> None:
    """Before the commit a reset says nothing, and other wire faults spoil a 503."""
    for keys, expected in (({"kind": "reset"}, "reset"), ({"kind": "close", "after_bytes": 0}, "close")):
        hand = hand_with(fault("wire", when="before_commit", on="create", **keys))
        assert hand.create() == Drop("before_commit", expected)  # type: ignore[arg-type]  # one of both words
        assert not hand.engine.tasks
    hand = hand_with(fault("wire", kind="stall", for_="3s", when="before_commit", on="create"))
    reply = replied(hand.create())
    assert reply.status == 503
    assert reply.wire is not None
    assert reply.wire.for_s == 3.0


def test_scripts_and_faults_meet() -> None:
    """A scripted answer is the refusal, and faults delay it and set its headers; the journal names both."""
    scenario = replace(
        hand_with(fault("latency", fixed="1s"), fault("status", status=503)).engine.scenario,
        poll=(ScriptedAnswer("status", 7, status=502),),
    )
    hand = Hand.on(scenario)
    hand.engine.disarm("s2")
    task_id = hand.created()
    reply = replied(hand.poll(task_id))
    assert (reply.status, reply.delay_s) == (502, 1.0)
    assert hand.engine.journal.entries[-1].fault == "poll status 502 (line 7); latency"
    assert hand.verdicts()["faults_consumed"] == "PASS"


def test_what_is_armed_strikes_until_it_is_disarmed() -> None:
    """A fault armed at run time strikes, is counted and listed, and strikes no more once disarmed."""
    hand = hand_with()
    identity = hand.engine.arm(fault("status", status=503, on="create"))
    assert identity == "a1"
    assert replied(hand.create()).status == 503
    assert [(armed.identity, armed.matched, armed.struck, armed.fired) for armed in hand.engine.armed()] == [
        ("a1", 1, 1, 1)
    ]
    assert hand.engine.disarm("a1")
    assert not hand.engine.disarm("a1")
    assert replied(hand.create()).status == 200
    assert hand.engine.arm(fault("lost_create")) == "a2"
    assert hand.create() == Drop("after_commit", "reset")


def test_there_is_a_bound_on_what_is_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world takes so many faults and says so beyond them."""
    monkeypatch.setattr("fake_server.faults.selection.MOST_FAULTS", 2)
    hand = hand_with(fault("lost_create"), fault("stale_read"))
    with pytest.raises(ValueError, match="found 2 faults armed already"):
        hand.engine.arm(fault("lost_create"))


@pytest.mark.parametrize(
    ("keys", "creates", "verdict"),
    [
        ({"nth": [1, 3]}, 2, "NOT_EXERCISED"),
        ({"nth": [1, 3]}, 3, "PASS"),
        ({"first": 2}, 1, "NOT_EXERCISED"),
        ({"first": 2}, 2, "PASS"),
        ({"times": 2}, 1, "NOT_EXERCISED"),
        ({"every_nth": 2}, 2, "PASS"),
        ({"probability": 0.01}, 1, "PASS"),
        ({"probability": 0, "must_fire": True}, 2, "NOT_EXERCISED"),
        ({"must_fire": False, "nth": 9}, 1, "PASS"),
    ],
)
def test_a_run_counts_only_if_its_faults_were_used_up(keys: dict[str, Any], creates: int, verdict: str) -> None:
    """What must fire and did not as often as it says makes a run NOT EXERCISED, and is named."""
    hand = hand_with(fault("status", status=503, on="create", **keys))
    for _ in range(creates):
        hand.create()
    row = next(row for row in hand.engine.verdict(hand.now) if row.name == "faults_consumed")
    assert row.verdict == verdict
    assert ("never fired: status 503" in row.actual) == (verdict == "NOT_EXERCISED")
