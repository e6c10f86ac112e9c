"""What faults say, letter by letter: hints, rate headers, other schemas, other clocks, and what reports call them."""

from __future__ import annotations

import gzip
import json
from typing import Any, get_args

import pytest

from fake_server.engine import Reply
from fake_server.faults.effects import drifted, escaped, skewed, spoilt_body
from fake_server.faults.hints import rate_headers, spell
from fake_server.faults.model import (
    ClockSkew,
    Fault,
    Hint,
    HintForm,
    Latency,
    LostCreate,
    RateHeaders,
    Redirect,
    SchemaDrift,
    Selection,
    Status,
    Wire,
)
from fake_server.wire.messages import WireFault
from tests.fake_server.driving import KEY, Hand, content, header, lifecycle_scenario
from tests.fake_server.faulty import AT_ONCE, fault, hand_with

# 2025-06-15 15:06:40 UTC, a Sunday, and a quarter of a second.
WALL_S = 1_750_000_000.25
DAY_S = 86_400
AT_ONCE_BODY = b'{"model": "wan2.6-t2i", "input": {"messages": [{"role": "user", "content": [{"text": "x"}]}]}}'
PACKS = (KEY, ("Accept-Encoding", "gzip"))


@pytest.mark.parametrize(
    ("form", "wait_s", "values", "told_s"),
    [
        ("seconds", 2.2, ("3",), 3.0),
        ("seconds", 0.0, ("0",), 0.0),
        ("http-date", 3.0, ("Sun, 15 Jun 2025 15:06:43 GMT",), 2.75),
        ("rfc850-date", 3.0, ("Sunday, 15-Jun-25 15:06:43 GMT",), 2.75),
        ("asctime-date", 3.0, ("Sun Jun 15 15:06:43 2025",), 2.75),
        ("twice", 2.2, ("3", "6"), 3.0),
        ("none", 3.0, (), None),
        ("fraction", 3.0, ("3.5",), None),
        ("negative", 0.0, ("-1",), None),
        ("negative", 3.0, ("-3",), None),
        ("past-date", 3.0, ("Sun, 15 Jun 2025 14:06:40 GMT",), None),
        ("iso-date", 3.0, ("2025-06-15T15:06:43Z",), None),
        ("epoch", 2.2, ("1750000003",), None),
        ("unit", 2.2, ("3s",), None),
        ("words", 3.0, ("soon",), None),
        ("empty", 3.0, ("",), None),
        ("huge", 3.0, ("99999999999999999999",), None),
    ],
)
def test_a_hint_is_spelt_to_the_letter(form: HintForm, wait_s: float, values: tuple[str, ...], told_s: Any) -> None:
    """Each form is written as its name says, rounded up to whole seconds, and binds only who can read it."""
    assert spell(Hint(wait_s, form), WALL_S) == (values, told_s)


def test_every_form_of_a_hint_is_spelt_here() -> None:
    """A new form of hint needs a line in the table above; a hint without a number waits for nothing."""
    marks = getattr(test_a_hint_is_spelt_to_the_letter, "pytestmark", [])
    assert {row[0] for mark in marks for row in mark.args[1]} == set(get_args(HintForm))
    assert spell(Hint(), WALL_S) == (("0",), 0.0)


@pytest.mark.parametrize(
    ("day", "name", "rest"),
    [
        (0, "Sun", "day, 15-Jun-25"),
        (1, "Mon", "day, 16-Jun-25"),
        (2, "Tue", "sday, 17-Jun-25"),
        (3, "Wed", "nesday, 18-Jun-25"),
        (4, "Thu", "rsday, 19-Jun-25"),
        (5, "Fri", "day, 20-Jun-25"),
        (6, "Sat", "urday, 21-Jun-25"),
        # A day of one digit is padded by a zero in one form and by a blank in the other.
        (16, "Tue", "sday, 01-Jul-25"),
    ],
)
def test_every_day_of_the_week_has_its_long_name(day: int, name: str, rest: str) -> None:
    """The oldest form of a date spells the day out, and the third pads its number with a blank."""
    wall_s = WALL_S + day * DAY_S
    assert spell(Hint(0.0, "rfc850-date"), wall_s).values == (f"{name}{rest} 15:06:40 GMT",)
    month, number = ("Jun", 15 + day) if day < 16 else ("Jul", day - 15)
    assert spell(Hint(0.0, "asctime-date"), wall_s).values == (f"{name} {month} {number:>2} 15:06:40 2025",)


@pytest.mark.parametrize(("form", "reset"), [("epoch", "1750000012"), ("seconds", "12")])
def test_rate_headers_are_three_of_these_names(form: Any, reset: str) -> None:
    """A limit, what is left of it and when it ends are told in small letters, times rounded up to whole seconds."""
    assert rate_headers(RateHeaders(limit=60, remaining=7, reset_s=11.2, form=form), WALL_S) == [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "7"),
        ("x-ratelimit-reset-requests", reset),
    ]


def test_other_bodies_are_as_written() -> None:
    """A gateway's own shape has none of this API's fields, an empty body is empty, a malformed one is the first half,
    and a page names its status."""
    alien = {"fault": {"faultstring": "Unexpected EOF at target", "detail": {"errorcode": "flow.UnexpectedEOF"}}}
    body, content_type = spoilt_body("alien", 502, b"{}")
    assert (json.loads(body), content_type) == (alien, "application/json")
    assert spoilt_body("empty", 502, b"{}") == (b"", "application/json")
    assert spoilt_body("malformed", 502, b'{"code": "X"}') == (b'{"code', "application/json")
    page, content_type = spoilt_body("html", 502, b"{}")
    assert (page.count(b"502"), content_type) == (2, "text/html; charset=utf-8")


def test_fields_that_are_new_leave_the_others() -> None:
    """`extra_fields` adds these to the answer and to its output, of every kind that JSON has, and changes none."""
    body = {"output": {"task_id": "a", "task_status": "PENDING"}, "request_id": "r"}
    reply = drifted(json_reply(json.dumps(body).encode()), "extra_fields", "", "query")
    assert content(reply) == {
        "output": {
            "task_id": "a",
            "task_status": "PENDING",
            "trace": {"span": "7", "hops": [1, 2]},
            "deprecated": None,
        },
        "request_id": "r",
        "api_version": "2",
        "warnings": ["this answer says more than it used to"],
    }


@pytest.mark.parametrize("ordinary", [b"{}", b"[]", b"{}\n", b'{"code": "X"}'])
def test_what_is_malformed_is_never_whole(ordinary: bytes) -> None:
    """However short the true body is, a malformed one is a beginning of it, not empty, and cannot be read."""
    body, _ = spoilt_body("malformed", 500, ordinary)
    assert ordinary.startswith(body)
    assert body
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_path_in_a_header_is_safe_whatever_it_holds() -> None:
    """Separators stay as they are; blanks, line ends and other letters are escaped; half of one is a `?`."""
    assert escaped("/a b\n?c=%41&d=\u00e4\udc80") == "/a%20b%0A?c=%41&d=%C3%A4?"
    assert escaped("/:@-._~!$'()*+,;") == "/:@-._~!$'()*+,;"


def read(reply: Reply) -> Any:
    """The JSON of a packed answer, which says its true length."""
    assert (header(reply, "content-encoding"), header(reply, "content-length")) == ("gzip", str(len(reply.body)))
    return json.loads(gzip.decompress(reply.body))


def test_a_packed_answer_drifts_and_stays_packed(tmp_path: Any) -> None:
    """Another schema and another clock reach into gzip, the answer stays gzip, of true length and with no time in
    it (RFC 1952, 2.3.1: MTIME 0), and so has the same bytes each time."""
    scenario = lifecycle_scenario(tmp_path, "SUCCEEDED", extra="service: {gzip: always}")
    hand = Hand.on(scenario)
    hand.created()
    hand.headers = PACKS
    (task_id,) = hand.engine.tasks
    hand.engine.arm(fault("schema_drift", kind="unknown_status", word="MIGRATING", on="query"))
    hand.engine.arm(fault("clock_skew", ahead="1h"))
    reply = hand.poll(task_id)
    assert isinstance(reply, Reply)
    output = read(reply)["output"]
    assert (output["task_status"], output["submit_time"]) == ("MIGRATING", "2025-06-16 00:06:40.000")
    assert reply.body[4:8] == bytes(4)


def json_reply(body: bytes, *headers: tuple[str, str]) -> Reply:
    """An answer that is called JSON."""
    return Reply(200, (("content-type", "application/json"), *headers), body)


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (json_reply(b"plain", ("content-encoding", "gzip")), "called gzip, and is none"),
        (json_reply(gzip.compress(b"{}")[:-9], ("content-encoding", "gzip")), "cut gzip"),
        (json_reply(gzip.compress(b"{}")[:12] + b"\xff" * 12, ("content-encoding", "gzip")), "broken gzip"),
        (json_reply(gzip.compress(b"{")), "gzip, and not called so"),
        (json_reply(gzip.compress(b"{"), ("content-encoding", "gzip")), "half of a JSON"),
        (json_reply(b"{"), "half of a JSON, unpacked"),
        (Reply(200, (("content-type", "text/html"),), b'{"submit_time": 0}'), "not called JSON"),
        (Reply(200, (), b'{"submit_time": 0}'), "not called anything"),
    ],
    ids=range(8),
)
def test_what_cannot_be_read_is_left_as_it_is(reply: Reply, kept: str) -> None:
    """A body that is not the JSON that it is called, or that is called nothing, goes out as it was."""
    assert skewed(reply, 3_600.0, WALL_S) == reply, kept


def test_a_scripted_encoding_and_a_wrong_clock_meet() -> None:
    """A refusal whose headers call it gzip or what nobody knows is sent as written, whatever the clock says."""
    for coding in ("gzip", "br"):
        refusal = fault("status", status=503, headers={"Content-Encoding": coding})
        reply = hand_with(refusal, fault("clock_skew", ahead="1h")).create()
        assert isinstance(reply, Reply)
        assert (reply.status, header(reply, "content-encoding")) == (503, coding)
        assert content(reply)["code"] == "ModelUnavailable"


def test_a_wrong_clock_moves_times_and_nothing_else() -> None:
    """Times as text and in milliseconds move wherever they stand; what is no time, or is none yet, stays."""
    times = {"submit_time": "2025-06-15 23:06:40.000", "gmt_create": 1_750_000_000_000}
    others = {
        "end_time": None,
        "start_time": "soon",
        "scheduled_time": "",
        "usage": 5,
        "time": "2025-06-15 23:06:40.000",
    }
    body = {"output": {**times, **others}, "data": [times, "text", 7]}
    moved = {"submit_time": "2025-06-15 22:06:38.500", "gmt_create": 1_749_996_398_500}
    reply = skewed(json_reply(json.dumps(body).encode()), -3_601.5, WALL_S)
    assert content(reply) == {"output": {**moved, **others}, "data": [moved, "text", 7]}
    every = dict.fromkeys(("submit_time", "scheduled_time", "start_time", "end_time", "gmt_create"), 1_750_000_000_000)
    assert set(content(skewed(json_reply(json.dumps(every).encode()), 1.0, WALL_S)).values()) == {1_750_000_001_000}


def test_a_wrong_clock_moves_headers_that_tell_the_time() -> None:
    """`Date` and both times of the proxies are those of the wrong clock, in whole seconds and in milliseconds; every
    other header stays."""
    headers = (("date", "x"), ("req-arrive-time", "x"), ("resp-start-time", "x"), ("req-cost-time", "3"))
    assert skewed(Reply(200, headers, b""), 60.5, WALL_S).headers == (
        ("date", "Sun, 15 Jun 2025 15:07:40 GMT"),
        ("req-arrive-time", "1750000060750"),
        ("resp-start-time", "1750000060750"),
        ("req-cost-time", "3"),
    )


@pytest.mark.parametrize(
    ("route", "body", "drifts_to"),
    [
        ("create", {"output": {"task_id": "a", "task_status": "PENDING"}, "request_id": "r"}, ("output", "task_id")),
        ("query", {"output": {"task_id": "a", "task_status": "PENDING"}, "request_id": "r"}, ("output", "task_status")),
        ("create", {"output": {"choices": []}, "request_id": "r"}, ("request_id",)),
        ("list", {"data": [], "request_id": "r"}, ("request_id",)),
        ("cancel", {"request_id": "r"}, ("request_id",)),
    ],
)
def test_a_number_stands_where_a_client_reads_a_text(route: Any, body: Any, drifts_to: tuple[str, ...]) -> None:
    """The id that a create is asked for, the word of a query, and elsewhere the id of the answer become a number, and
    nothing is added or taken away."""
    expected = json.loads(json.dumps(body))
    place = expected["output"] if drifts_to[0] == "output" else expected
    place[drifts_to[-1]] = 7
    assert content(drifted(json_reply(json.dumps(body).encode()), "number_for_string", "", route)) == expected


def test_a_synchronous_answer_drifts_where_it_has_text() -> None:
    """A result that is made at once has no task, and drifts in the id of the answer."""
    hand = hand_with(fault("schema_drift", kind="number_for_string", on="create"), life=AT_ONCE)
    path = "/api/v1/services/aigc/multimodal-generation/generation"
    reply = hand.ask("POST", path, body=AT_ONCE_BODY)
    assert content(reply)["request_id"] == 7
    assert "request_id" not in content(reply)["output"]


RESET = WireFault("reset")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Fault("status", Status(503)), "status 503"),
        (Fault("status", Status(503), when="after_commit", line=7), "status 503 after_commit (line 7)"),
        (Fault("redirect", Redirect(308), when="after_commit"), "redirect 308 after_commit"),
        (Fault("latency", Latency(1.0, 1.0), when="after_commit"), "latency"),
        (Fault("latency", Latency(1.0, 1.0), origin="armed"), "latency before_commit (armed)"),
        (Fault("wire", Wire(RESET), when="after_commit"), "wire reset"),
        (Fault("wire", Wire(RESET), line=3, origin="chaos light"), "wire reset before_commit (chaos light, line 3)"),
        (Fault("schema_drift", SchemaDrift("extra_fields"), when="after_commit"), "schema_drift extra_fields"),
        (Fault("lost_create", LostCreate(), when="after_commit"), "lost_create"),
        (Fault("status", Status(503), when="after_commit", label="mine", line=7), "mine (line 7)"),
    ],
)
def test_a_report_tells_one_fault_from_another(one: Fault, words: str) -> None:
    """A fault is called by its label, or by its kind, by what sets it apart and by when it strikes, if that is not the
    usual; and reports say where it stands."""
    assert one.describe() == words


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (Fault("lost_create", LostCreate()), "lost_create|before_commit||"),
        (Fault("clock_skew", ClockSkew(2.5), line=9, origin="x"), "clock_skew|before_commit|ahead_s=2.5|"),
        (
            Fault("status", Status(429, hint=Hint(3.0)), Selection(on=("query",), nth=(2,)), "after_commit"),
            "status|after_commit|status=429,hint=wait_s=3.0|on=('query',),nth=(2,)",
        ),
        (
            Fault("status", Status(codes={"dashscope": "B", "aisa": "A"})),
            "status|before_commit|codes=[('aisa', 'A'), ('dashscope', 'B')]|",
        ),
        (
            Fault("wire", Wire(WireFault("close", after_bytes=5))),
            "wire|before_commit|wire=kind='close',after_bytes=5|",
        ),
        (Fault("status", Status(429), label="mine"), "mine"),
    ],
)
def test_chance_is_drawn_by_what_a_fault_says_and_by_nothing_else(one: Fault, rule: str) -> None:
    """What the draw depends on is spelt by hand here: a seed means the same in every release, in which order a file
    names codes and where the fault stands plays no role, and a default says nothing, also deep inside."""
    assert one.rule() == rule
