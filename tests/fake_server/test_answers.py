"""What every answer carries besides its body: the headers of the vendor's proxies, content types, packing."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from fake_server.engine import Drop, Moment, Request
from fake_server.rules.answers import WORTH_PACKING_BYTES, Answer, Call, error, limit_headers, plain_reply, xml_reply
from fake_server.rules.faults import RetryAfter
from fake_server.rules.quotas import RateWindow
from fake_server.scenario.model import ScriptedAnswer
from fake_server.wire.routes import route
from tests.fake_server.driving import ASYNC, BASES, BODY, KEY, TASKS, VIDEO, Hand, content, header, lifecycle_scenario

if TYPE_CHECKING:
    from pathlib import Path

    from fake_server.engine import Reply
    from fake_server.wire.errors import ErrorShape

TAKES_GZIP = ("Accept-Encoding", "gzip, deflate, br")


def full_hand(folder: Path, extra: str = "") -> Hand:
    """A world whose list is long."""
    hand = Hand.on(lifecycle_scenario(folder, "RUNNING", extra=extra))
    for _ in range(20):
        hand.created()
    return hand


def listed(hand: Hand, *headers: tuple[str, str], method: str = "GET") -> Reply:
    """A long page of the list; the next one is a second later."""
    hand.now_s += 1.0
    return hand.ask(method, "/api/v1/tasks/", "page_size=20", headers=(KEY, *headers))


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("", False),
    ],
)
def test_long_answers_are_packed_for_who_accepts_it(tmp_path: Path, accepted: str, packed: bool) -> None:
    """A long body is gzip for a request that accepts it, and says so; its length is that of what is sent."""
    hand = full_hand(tmp_path)
    plain, reply = listed(hand), listed(hand, ("accept-encoding", accepted))
    assert header(plain, "content-encoding") is None
    assert header(reply, "content-encoding") == ("gzip" if packed else None)
    assert header(reply, "vary") == ("accept-encoding" if packed else None)
    assert header(reply, "content-length") == str(len(reply.body))
    body = json.loads(gzip.decompress(reply.body) if packed else reply.body)
    assert body["data"] == content(plain)["data"]
    assert (len(reply.body) < len(plain.body)) == packed


def test_short_answers_are_packed_only_on_request(tmp_path: Path) -> None:
    """A short body goes out as it is, unless the scenario packs everything."""
    for extra, packed in (("", False), ("service: {gzip: always}", True)):
        hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING", extra=extra))
        reply = hand.ask("GET", "/api/v1/tasks/nobody", headers=(KEY, TAKES_GZIP))
        assert (header(reply, "content-encoding") == "gzip") == packed


def test_the_same_answer_is_packed_into_the_same_bytes(tmp_path: Path) -> None:
    """Packing adds no time of its own to an answer."""
    first, second = (listed(full_hand(tmp_path), TAKES_GZIP) for _ in range(2))
    assert first.body == second.body
    assert first.body[4:8] == bytes(4), "where gzip keeps a time (RFC 1952, 2.3)"


def test_the_vendors_proxies_leave_their_headers(tmp_path: Path) -> None:
    """Every `dashscope` answer, errors too, carries them: its id is the body's, its times are the world's."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    hand.now_s = 2.5
    for reply in (
        hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY, ASYNC), body=BODY),
        hand.ask("GET", "/api/v1/tasks/nobody"),
        hand.ask("GET", "/api/v1/nowhere"),
    ):
        assert header(reply, "server") == "istio-envoy"
        assert header(reply, "x-request-id") == content(reply)["request_id"]
        assert header(reply, "req-arrive-time") == header(reply, "resp-start-time") == "1750000002500"
        assert header(reply, "x-envoy-upstream-service-time") == header(reply, "req-cost-time") == "3", "milliseconds"
    gateway = hand.ask("GET", f"{TASKS['aisa']}/nobody")
    assert header(gateway, "server") is None


def test_json_has_the_type_that_its_route_gives_it(tmp_path: Path) -> None:
    """The vendor's task routes name a charset, in errors too; its creates and the gateway do not."""
    hand = Hand.on(lifecycle_scenario(tmp_path, "SUCCEEDED"))
    task_type, plain = "application/json;charset=UTF-8", "application/json"
    assert (
        header(hand.ask("POST", BASES["dashscope"] + VIDEO, headers=(KEY, ASYNC), body=BODY), "content-type") == plain
    )
    assert header(hand.ask("GET", "/api/v1/tasks/nobody"), "content-type") == task_type
    assert header(hand.ask("GET", "/api/v1/tasks", "page_no=0"), "content-type") == task_type
    assert header(hand.cancel("nobody"), "content-type") == task_type
    assert header(hand.ask("GET", f"{TASKS['aisa']}/nobody"), "content-type") == plain


def call_of(method: str = "GET", *headers: tuple[str, str], packs_from_bytes: int = WORTH_PACKING_BYTES) -> Call:
    """A request for a task on its way."""
    request = Request(method, "/api/v1/tasks/t1", "", headers, b"", "")
    found = route("GET", "/api/v1/tasks/t1", "")
    return Call(request, found, Moment(0.0, 1_750_000_000.0), "an-id", packs_from_bytes)


@pytest.mark.parametrize(("size", "packed"), [(1_399, False), (1_400, True), (1_401, True)])
def test_a_body_is_packed_from_its_size_on(size: int, packed: bool) -> None:
    """1,400 bytes are worth packing, one less is not."""
    reply = plain_reply(call_of("GET", TAKES_GZIP), 200, b"x" * size, [])
    assert (header(reply, "content-encoding") == "gzip") == packed
    assert (gzip.decompress(reply.body) if packed else reply.body) == b"x" * size


def test_what_is_packed_already_is_left_alone() -> None:
    """A body that comes with a `content-encoding` of its own goes out as it is."""
    reply = plain_reply(call_of("GET", TAKES_GZIP), 200, b"x" * 5_000, [("content-encoding", "br")])
    assert (header(reply, "content-encoding"), header(reply, "vary"), len(reply.body)) == ("br", None, 5_000)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_some_answers_never_have_a_body(status: int) -> None:
    """204, 205 and 304 have neither a body nor its length, whatever was to be said (RFC 9110)."""
    reply = plain_reply(call_of("GET", TAKES_GZIP), status, b"x" * 5_000, [("x-trace", "1")])
    assert (reply.status, reply.body) == (status, b"")
    assert (header(reply, "content-length"), header(reply, "content-encoding")) == (None, None)
    assert (header(reply, "date"), header(reply, "x-trace")) == ("Sun, 15 Jun 2025 15:06:40 GMT", "1")


def test_a_head_is_told_the_length_of_what_it_is_not_sent(tmp_path: Path) -> None:
    """The answer to a HEAD has the headers of the GET, its length too, and no body; errors as well."""
    body = b"x" * 10
    get, head = (plain_reply(call_of(method), 200, body, []) for method in ("GET", "HEAD"))
    assert (get.headers, get.body, head.body) == (head.headers, body, b"")
    assert header(head, "content-length") == "10"
    hand = Hand.on(lifecycle_scenario(tmp_path, "RUNNING"))
    missing = hand.ask("HEAD", "/w/w1/assets/x.mp4", headers=())
    assert (missing.status, missing.body, header(missing, "content-type")) == (404, b"", "application/xml")
    assert int(header(missing, "content-length") or "0") > 0


def test_the_last_of_two_headers_of_one_name_counts() -> None:
    """What an answer says itself goes before what is said for all, such as the `Date`."""
    reply = plain_reply(call_of(), 200, b"", [("date", "yesterday"), ("x-a", "1"), ("x-a", "2")])
    assert [pair for pair in reply.headers if pair[0] in ("date", "x-a")] == [("date", "yesterday"), ("x-a", "2")]


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (None, {"code": "C", "message": "M", "request_id": "an-id"}),
        ("nested", {"error": {"type": "rate_limit_error", "code": "C", "message": "M", "request_id": "an-id"}}),
        ("code_and_text", {"code": "C", "error": "M", "request_id": "an-id"}),
        ("text", {"error": "M"}),
        ("retryable", {"error": {"code": "C", "message": "M", "retryable": True}}),
    ],
)
def test_an_error_takes_the_shape_and_the_headers_of_a_scripted_answer(
    shape: ErrorShape | None, body: dict[str, Any]
) -> None:
    """Shape, content type and headers of a scripted answer are those of the error, and else the dialect's own; the
    `Retry-After` is sent, and known to the journal."""
    like = ScriptedAnswer("status", 1, shape=shape, content_type="text/x", headers=(("x-trace", "7"),))
    answer = error(call_of(), 429, "C", "M", fault="f", hint=RetryAfter("9", 9.0), like=like, task_id="t")
    assert (answer.fault, answer.retry_after, answer.task_id, answer.committed, answer.told) == (
        *("f", "9", "t"),
        False,
        None,
    )
    reply = answer.reply
    assert not isinstance(reply, Drop)
    assert (reply.status, content(reply)) == (429, body)
    assert [header(reply, name) for name in ("content-type", "retry-after", "x-trace")] == ["text/x", "9", "7"]


def test_an_error_without_words_has_those_of_its_status() -> None:
    """Code and sentence of an error are those of its status in the dialect, no `Retry-After` is made up, and a hint
    without a text is none."""
    for hint in (None, RetryAfter(None, 3.0)):
        answer = error(call_of(), 429, None, None, hint=hint)
        assert (answer.retry_after, answer.fault, answer.task_id) == (None, None, None)
        reply = answer.reply
        assert not isinstance(reply, Drop)
        assert (header(reply, "retry-after"), header(reply, "content-type")) == (None, "application/json;charset=UTF-8")
        assert content(reply) == {
            "code": "Throttling.RateQuota",
            "message": "Requests rate limit exceeded, please try again later.",
            "request_id": "an-id",
        }


def test_what_is_left_of_a_limit_is_told_once_and_to_who_hears_it() -> None:
    """Limit, rest and the whole second of unix time of the next pass go with an answer; what a fault tells in their
    place stays, and a cut has none."""
    window = RateWindow(2, 60.0)
    call = call_of()._replace(now=Moment(10.5, 1_750_000_000.5))
    plain = Answer(plain_reply(call, 200, b"", []), fault="f", told="RUNNING")
    assert window.admit(10.5)
    told = limit_headers(call, plain, window)
    assert (told.fault, told.told) == ("f", "RUNNING")
    assert not isinstance(told.reply, Drop)
    assert not isinstance(plain.reply, Drop)
    assert told.reply.headers == (
        *plain.reply.headers,
        ("x-ratelimit-limit-requests", "2"),
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-reset-requests", "1750000061"),
    )
    own = Answer(plain_reply(call, 200, b"", [("x-ratelimit-limit-requests", "5")]))
    assert limit_headers(call, own, window) is own
    cut = Answer(Drop("after_commit", "reset"))
    assert limit_headers(call, cut, window) is cut


def test_an_error_of_the_asset_host_is_xml() -> None:
    """Code, sentence and the id of the answer stand in an error as object stores write it, whose host is the fake."""
    reply = xml_reply(call_of(), 404, "NoSuchKey", "No such key.")
    assert (reply.status, header(reply, "content-type")) == (404, "application/xml")
    assert reply.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>NoSuchKey</Code>\n'
        "  <Message>No such key.</Message>\n  <RequestId>an-id</RequestId>\n  <HostId>fake</HostId>\n</Error>\n"
    )
