"""What an answer that is no result says: its error, when to come back, and where the key in it went; by hand."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest

from resilient_poll.dashscope.wire.dialects import AISA, DASHSCOPE, DIALECTS
from resilient_poll.dashscope.wire.error_bodies import (
    ErrorBody,
    read_any_error_body,
    read_error_body,
    request_id_of,
    text_of,
    word_of,
)
from resilient_poll.dashscope.wire.error_catalogue import classify, is_spent_quota
from resilient_poll.dashscope.wire.redaction import (
    answer_without_key,
    cut_text_without_key,
    mentions_key,
    text_without_key,
)
from resilient_poll.dashscope.wire.translate import translate_create, translate_query
from resilient_poll.error_kinds import ErrorKind, TryAgain
from resilient_poll.http.messages import Answer
from resilient_poll.machine.observations import LostAnswer, Refused, StatusSeen, Throttled, Unreachable, Unreadable
from tests.dashscope.wire_bodies import NOW_S, TASK_ID, answer
from tests.support.tables import each_case

# NOW_S is 2026-03-01 12:00:00 UTC.
AT_12_00_40 = "Sun, 01 Mar 2026 12:00:40 GMT"
AT_11_59_30 = "Sun, 01 Mar 2026 11:59:30 GMT"


@each_case(
    "read, longest",
    [(text_of, 2000), (word_of, 200)],
)
def test_what_is_too_long_is_cut_with_a_mark(read: Any, longest: int) -> None:
    """A text of at most 2,000 characters, and a word of at most 200, stays whole; a longer one ends in an ellipsis."""
    assert read("x" * longest) == "x" * longest
    assert read("x" * (longest + 1)) == "x" * longest + "…"
    assert read("\n" * (longest + 1)) == " " * longest + "…"
    assert [read(empty) for empty in ("", None, 5, ["x"])] == [None] * 4


# Body; what it says in the gateway's words, and in the vendor's; None where it is not theirs.
NESTED = ErrorBody("E", "why", "r1", True)
SHAPES: list[tuple[dict[str, Any], ErrorBody | None, ErrorBody | None]] = [
    ({"error": {"code": "E", "message": "why", "request_id": "r1", "retryable": True}}, NESTED, None),
    ({"error": {"code": "E"}, "request_id": "r2"}, ErrorBody("E", None, "r2"), None),
    ({"error": {"message": "why", "retryable": False}}, ErrorBody(None, "why", None, False), None),
    ({"error": {"retryable": True}}, None, None),
    ({"error": "why"}, ErrorBody(None, "why", None), None),
    ({"error": "why", "retryable": True}, ErrorBody(None, "why", None, True), None),
    ({"error": "why", "retryable": False}, ErrorBody(None, "why", None, False), None),
    ({"error": "why", "retryable": "yes"}, ErrorBody(None, "why", None), None),
    ({"code": "E", "error": "why", "request_id": "r1"}, ErrorBody("E", "why", "r1"), None),
    ({"code": "E", "message": "why", "request_id": "r1"}, None, ErrorBody("E", "why", "r1")),
    ({"code": "E", "message": "why", "retryable": True}, None, ErrorBody("E", "why", None, True)),
    ({"code": "E", "message": "why", "retryable": False}, None, ErrorBody("E", "why", None, False)),
    ({"code": "E", "message": "why", "error": "or so"}, ErrorBody("E", "or so", None), ErrorBody("E", "why", None)),
    ({"code": "E"}, None, ErrorBody("E", None, None)),
    ({"message": "why"}, None, None),
]


@each_case("body, gateways, vendors", SHAPES)
def test_an_error_is_read_in_its_dialects_shapes_only(
    body: dict[str, Any], gateways: ErrorBody | None, vendors: ErrorBody | None
) -> None:
    """Each shape is its own dialect's, with code, text, id and hint in their places; any is read where it is shown."""
    sent = json.dumps(body).encode()
    assert read_error_body(sent, AISA) == gateways
    assert read_error_body(sent, DASHSCOPE) == vendors
    assert read_any_error_body(sent) == (gateways or vendors or ErrorBody(None, None, request_id_of(body)))


@each_case(
    "message, kind, try_again",
    [
        ("Your token-plan is used up until Monday", ErrorKind.QUOTA, TryAgain.NO),
        ("allocated quota exceeded", ErrorKind.QUOTA, TryAgain.LATER),
    ],
)
def test_a_spent_plan_is_told_by_its_message(message: str, kind: ErrorKind, try_again: TryAgain) -> None:
    """A throttle whose message names the token plan does not pass within a wait, nor does a code of its family."""
    code = "Throttling.AllocationQuota"
    assert classify("dashscope", code, message, 429) == (kind, try_again)
    assert classify("dashscope", f"{code}.New", message, 429) == (ErrorKind.UNLISTED, try_again)
    assert is_spent_quota("dashscope", code, message, 429) is (try_again is TryAgain.NO)


def test_an_id_cannot_become_another_path() -> None:
    """Whatever an id holds stays one segment of the path."""
    assert DASHSCOPE.status_path("a/../b?c#d") == "/tasks/a%2F..%2Fb%3Fc%23d"
    assert DASHSCOPE.cancel_path("a/../b?c#d") == "/tasks/a%2F..%2Fb%3Fc%23d/cancel"
    assert AISA.status_path("a/b") == "/services/aigc/tasks/a%2Fb"


def seen_by(asked: str, status: int, headers: tuple[tuple[str, str], ...], dialect: str = "dashscope") -> Any:
    error = {"code": "E", "message": "why"}
    body = {"output": {"task_id": TASK_ID, "task_status": "RUNNING"}} if status == 200 else error
    came = answer(status, body if dialect == "dashscope" or status == 200 else {"error": error}, headers)
    if asked == "create":
        return translate_create(came, DIALECTS[dialect], NOW_S)
    return translate_query(came, DIALECTS[dialect], TASK_ID, NOW_S)


# Who says when to come back: what was asked, the HTTP status, what it means.
HINTING = [
    ("create", 429, Throttled),
    ("create", 400, Refused),
    ("create", 500, LostAnswer),
    ("create", 409, LostAnswer),
    ("query", 429, Throttled),
    ("query", 404, Refused),
    ("query", 408, Unreachable),
    ("query", 425, Unreachable),
    ("query", 503, Unreachable),
    ("query", 200, StatusSeen),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@each_case("asked, status, kind", HINTING)
def test_every_answer_says_when_to_come_back(dialect: str, asked: str, status: int, kind: type[Any]) -> None:
    """A date to come back at counts from the answer's own date, else from my clock, also on a proxy's page."""
    for headers, retry_after_s, why in [
        ((("retry-after", "7"),), 7.0, None),
        ((("retry-after", AT_12_00_40),), 40.0, None),
        ((("retry-after", AT_12_00_40), ("date", AT_11_59_30)), 70.0, None),
        ((("retry-after", AT_11_59_30),), 0.0, None),
        ((("retry-after", "soon"),), None, "Retry-After 'soon' is neither seconds nor a date"),
        ((), None, None),
    ]:
        seen = seen_by(asked, status, headers, dialect)
        assert type(seen) is kind
        assert (seen.retry_after_s, seen.retry_after_ignored) == (retry_after_s, why)
        if status != 200:
            page = answer(status, b"<html>", headers)
            query = translate_query(page, DIALECTS[dialect], TASK_ID, NOW_S)
            of_page: Any = translate_create(page, DIALECTS[dialect], NOW_S) if asked == "create" else query
            assert type(of_page) is (LostAnswer if asked == "create" else kind)
            assert (of_page.retry_after_s, of_page.retry_after_ignored) == (retry_after_s, why)


@pytest.mark.parametrize("dialect", DIALECTS)
@each_case("asked, status, kind", [case for case in HINTING if case[1] != 200])
def test_every_error_is_passed_on_whole(dialect: str, asked: str, status: int, kind: type[Any]) -> None:
    """What an answer says of its error, its id and its hint included, is in what becomes of it."""
    error = {"code": "E", "message": "why", "request_id": "r7", "retryable": False}
    came = answer(status, {"error": error} if dialect == "aisa" else error)
    query = translate_query(came, DIALECTS[dialect], TASK_ID, NOW_S)
    seen = translate_create(came, DIALECTS[dialect], NOW_S) if asked == "create" else query
    assert type(seen) is kind
    said = (seen.request_id, seen.http_status, seen.code, seen.message, seen.says_retryable)  # type: ignore[attr-defined]
    assert said == ("r7", status, "E", "why", False)


@each_case(
    "hint, seconds",
    [("20", 20.0), (formatdate(NOW_S + 30, usegmt=True), 30.0), ("soon", None)],
)
def test_a_create_that_cannot_be_read_keeps_its_retry_after(hint: str, seconds: float | None) -> None:
    """Where a create's answer is cut the Retry-After beside it holds: seconds, or a date by this clock."""
    cut = Answer(200, (("retry-after", hint),), b'{"output": {"task_')
    doubt = translate_create(cut, DASHSCOPE, NOW_S)
    assert isinstance(doubt, LostAnswer)
    assert doubt.retry_after_s == seconds
    assert (doubt.retry_after_ignored is None) == (seconds is not None)


@each_case(
    "output, reason",
    [
        ({}, "HTTP 200 without a status"),
        ({"task_status": 5}, "HTTP 200 without a status"),
        ({"task_status": "RUNNING", "task_id": "t-2"}, "an answer about another task ('t-2')"),
        ({"task_status": "RUNNING", "task_id": "x" * 99}, f"an answer about another task ('{'x' * 79})"),
    ],
)
def test_an_answer_that_cannot_be_read_can_be_asked_about(output: dict[str, Any], reason: str) -> None:
    """What cannot be read keeps its request's id, by which the service's support finds it."""
    seen = translate_query(answer(200, {"output": output, "request_id": "r1"}), DASHSCOPE, TASK_ID, NOW_S)
    assert seen == Unreadable(request_id="r1", reason=reason)


@each_case(
    "output, rest, said",
    [
        ({"code": "A", "message": "a", "error": {"code": "B", "message": "b"}}, {}, ("A", "a")),
        ({"error": {"code": "B", "message": "b"}}, {"error": {"code": "C", "message": "c"}}, ("B", "b")),
        ({}, {"error": {"code": "C", "message": "c"}, "code": "D", "message": "d"}, ("C", "c")),
        ({"code": "A", "error": "in words"}, {}, ("A", "in words")),
        ({"error": "in words"}, {"message": "said at the top"}, (None, "said at the top")),
        ({"error": "in words"}, {}, (None, "in words")),
        ({"message": "a"}, {"message": "d"}, (None, "a")),
    ],
)
def test_the_task_s_own_words_come_first(output: dict[str, Any], rest: dict[str, Any], said: tuple[Any, Any]) -> None:
    """Of several reasons of a failure the one nearest to the task counts, and a message before an error's bare text."""
    body = {"output": {"task_id": TASK_ID, "task_status": "FAILED", **output}, **rest}
    seen = translate_query(answer(200, body), AISA, TASK_ID, NOW_S)
    assert isinstance(seen, StatusSeen)
    assert (seen.code, seen.message) == said


# The key.

KEY = "sk-canary-key-0123456789"
ODD_KEYS = ['sk-canary"key-0123456789', "sk-canary'key-0123456789", "sk-canary\\key-0123456789"]


@each_case("key", [KEY, *ODD_KEYS])
def test_one_odd_letter_hides_no_key(key: str) -> None:
    """A key with one quote or one backslash is found as it is, in a repr, in JSON and in both."""
    for way in (str, repr, json.dumps, lambda text: json.dumps(repr(text))):
        said, clean = (f"bad {what} '\"" for what in (key, "[api key]"))  # With both quotes each way has one spelling.
        assert text_without_key(way(said), key) == way(clean)


@each_case("key", [KEY, *ODD_KEYS])
@each_case("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_no_encoding_of_json_hides_the_key(key: str, encoding: str) -> None:
    """A body is searched as it will be read: in each encoding of JSON, and with every letter escaped."""
    said = f"bad {key} here"
    spelt = '{"message": "' + "".join(f"\\u{ord(letter):04x}" for letter in said) + '"}'
    for text in (json.dumps({"message": said}), spelt):
        clean = answer_without_key(Answer(401, (("x-said", said),), text.encode(encoding)), key)
        assert json.loads(clean.body) == {"message": "bad [api key] here"}
        assert clean.headers == (("x-said", "bad [api key] here"),)


@each_case("body", [b"", b"\0\1\2", b"<html>", '{"message": "no"}'.encode("utf-16"), b'{"message": "a\\u0062"}', b"[]"])
def test_a_body_without_the_key_stays_as_it_came(body: bytes) -> None:
    """Not a byte of a body that does not hold the key is changed."""
    assert answer_without_key(Answer(200, (), body), KEY).body == body


@each_case("size", range(8, 25))
def test_a_piece_of_twelve_letters_is_a_secret(size: int) -> None:
    """Of a key that was cut, twelve letters and more are taken out, and fewer, which other texts have too, stay."""
    assert cut_text_without_key(f"bad {KEY[:size]}", KEY) == ("bad [api key]" if size >= 12 else f"bad {KEY[:size]}")


def test_a_key_of_eight_letters_is_a_secret() -> None:
    """A key of eight letters is taken out; what is shorter is no key, and ordinary words have it."""
    assert text_without_key("bad sk-45678", "sk-45678") == "bad [api key]"
    assert text_without_key("bad sk-4567", "sk-4567") == "bad sk-4567"


class Said(Exception):
    """An error whose words, whose repr and whose arguments are three things."""

    def __init__(self, words: str, shown: str, given: str) -> None:
        super().__init__(given)
        self.words, self.shown = words, shown

    def __str__(self) -> str:
        return self.words

    def __repr__(self) -> str:
        return self.shown


def test_all_that_an_error_says_is_looked_at() -> None:
    """An error mentions the key that is in its words, its repr or its arguments: reporters print all three."""
    for said in ((KEY, "", ""), ("", KEY, ""), ("", "", KEY)):
        assert mentions_key(Said(*said), KEY)
    assert not mentions_key(Said("a", "b", "c"), KEY)


def test_half_a_letter_stops_no_search() -> None:
    """A body whose text holds half of a letter, as a text that was cut may, is searched and passed on like others."""
    halved = Answer(401, (), b'{"message": "\\ud800 ' + KEY.encode() + b'"}')
    assert json.loads(answer_without_key(halved, KEY).body) == {"message": "\ud800 [api key]"}
