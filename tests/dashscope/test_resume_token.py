"""Resume tokens: they bring a task back, hold no secret, and are refused where they would mean another."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resilient_poll import DashScope, SnapshotError
from resilient_poll.dashscope.resume_token import PREFIX, read_token, write_token
from resilient_poll.dashscope.settings import Settings, resolve_settings
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.dashscope.wire.error_bodies import word_of
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.observations import StatusSeen
from resilient_poll.machine.task_record import TaskRecord, after_status

KEY = "sk-canary-key-0123456789"
NOW = Instant(100.0, 1_772_366_400.0)
TASK_ID = "11111111-2222-3333-4444-555555555555"


def settings(dialect: str = "dashscope", base_url: str = "https://host.test/api/v1", key: str = KEY) -> Settings:
    return resolve_settings(dialect=dialect, api_key=key, base_url=base_url, headers=None, environ={})


def decoded(token: str) -> dict[str, Any]:
    packed = token.removeprefix(PREFIX)
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return found


def encoded(content: object) -> str:
    return PREFIX + base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


WORDS = st.sampled_from(["PENDING", "RUNNING", "FAILED", "CANCELED", "UNKNOWN", "SUCCEEDED", "NEW WORD"])
OUTSIDE = st.text(max_size=400) | st.just("\U0001f600" * 5000) | st.just("\ud800")


@given(
    task_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}", fullmatch=True).filter(lambda i: "\n" not in i),
    statuses=st.lists(WORDS | OUTSIDE, max_size=4),
    code=OUTSIDE,
    request_id=OUTSIDE,
    later_s=st.floats(0, 1e7),
)
def test_a_token_brings_back_the_task(
    task_id: str, statuses: list[str], code: str, request_id: str, later_s: float
) -> None:
    """Whatever a service said of a task, its token is read again, later and elsewhere, as the same task."""
    record = TaskRecord.accepted(task_id, LIFECYCLE, NOW, status="PENDING", request_id=word_of(request_id))
    for status in statuses:
        if (word := word_of(status)) is not None:
            seen = StatusSeen(status=word, code=word_of(code), request_id=word_of(request_id))
            record, _ = after_status(record, seen, LIFECYCLE, NOW)
    token = write_token(record, settings(), NOW)
    assert token.isascii()
    assert token.isprintable()
    back = read_token(token, settings(), Instant(5.0, NOW.wall_s + later_s))
    for name in ("task_id", "phase", "billing", "status", "code", "request_id", "seen", "has_run", "polls"):
        assert getattr(back, name) == getattr(record, name), name
    assert back.accepted_at is not None
    assert record.accepted_at is not None
    assert back.accepted_at.wall_s == pytest.approx(record.accepted_at.wall_s)


def test_a_token_holds_no_key_and_no_url() -> None:
    """Decoded to its last byte, a token names neither key nor host nor path."""
    for dialect in ("aisa", "dashscope"):
        for base_url in ("https://host.test/api/v1", "https://ws-42.cn-beijing.maas.test/api/v1"):
            chosen = settings(dialect, base_url)
            token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), chosen, NOW)
            text = json.dumps(decoded(token))
            for secret in (KEY, "host.test", "maas.test", "ws-42", "api/v1", "http", "Bearer"):
                assert secret not in text
                assert secret not in token
            assert TASK_ID in text


@pytest.mark.parametrize(
    "other",
    [
        settings("aisa"),
        settings(base_url="https://other.test/api/v1"),
        settings(base_url="http://host.test/api/v1"),
        settings(base_url="https://host.test:8443/api/v1"),
        settings(base_url="https://host.test/api/v2"),
    ],
    ids=["dialect", "host", "scheme", "port", "path"],
)
def test_a_token_is_refused_elsewhere(other: Settings) -> None:
    """Against another dialect, host, scheme, port or path, where its id would mean nothing, a token is an error."""
    token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), settings(), NOW)
    with pytest.raises(SnapshotError, match="another service"):
        read_token(token, other, NOW)


def test_a_token_outlives_a_key() -> None:
    """A key that was replaced makes no token useless: every key of an account sees its tasks."""
    token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), settings(), NOW)
    assert read_token(token, settings(key="sk-another-key-99999"), NOW).task_id == TASK_ID


VALID = decoded(write_token(TaskRecord.accepted(TASK_ID, LIFECYCLE, NOW, status="RUNNING"), settings(), NOW))
_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def refuses_or_reads(token: str) -> None:
    try:
        record = read_token(token, settings(), NOW)
    except SnapshotError:
        return
    assert record.task_id
    assert "/" not in record.task_id


@given(st.text() | st.text(alphabet="abcXYZ019-_=", max_size=80).map(lambda text: PREFIX + text))
@example(PREFIX)
@example(PREFIX + "\u00e9")
@example(PREFIX + "A" * 100_000)
@example(encoded([]))
@example(encoded(None))
@example(PREFIX + base64.urlsafe_b64encode(b"[" * 9000).decode())
@example(PREFIX + base64.urlsafe_b64encode(b"\xff\xfe{}").decode())
def test_garbage_is_refused(token: str) -> None:
    """Any text at all is a SnapshotError or a task, and never anything else."""
    refuses_or_reads(token)


@given(st.sampled_from(sorted(VALID["task"])), _junk)
@example("task_id", "../../quotas")
@example("task_id", "a\nb")
@example("version", 2)
@example("polls", 10**400)
@example("accepted_at", float("nan"))
@example("earlier_s", {"RUNNING": -1})
@example("earlier_s", {"NEW": 1e400})
@example("phase", [])
@example("billing", {})
def test_a_damaged_field_is_refused(name: str, junk: object) -> None:
    """A token in which one field is something else is a SnapshotError or still a task, and never anything else."""
    refuses_or_reads(encoded(VALID | {"task": VALID["task"] | {name: junk}}))


@given(st.sampled_from(["dialect", "origin", "task"]), _junk)
def test_a_damaged_envelope_is_refused(name: str, junk: object) -> None:
    """A token whose dialect, origin or task is something else is refused."""
    with pytest.raises(SnapshotError):
        read_token(encoded(VALID | {name: junk}), settings(), NOW)


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_token_that_was_cut_is_refused(start: int, end: int) -> None:
    """A token that lost characters when it was copied is refused, not read as half a task."""
    token = encoded(VALID)
    cut = token[: len(token) - 1 - end % (len(token) - len(PREFIX) - 1)]
    with pytest.raises(SnapshotError):
        read_token(cut, settings(), NOW)
    if start:
        with pytest.raises(SnapshotError):
            read_token(token[start:], settings(), NOW)


def test_the_client_takes_a_token_where_it_takes_an_id() -> None:
    """``client.task`` goes on from a token of its own service, and refuses one of another before anything is sent."""
    with (
        DashScope(dialect="dashscope", api_key=KEY, base_url="http://a.test") as one,
        DashScope(dialect="dashscope", api_key=KEY, base_url="http://b.test") as other,
    ):
        token = one.task(TASK_ID).resume_token
        assert one.task(token).id == TASK_ID
        with pytest.raises(SnapshotError):
            other.task(token)


def labelled(label: str | None, key: str = KEY, base_url: str = "https://host.test/api/v1") -> Settings:
    return resolve_settings(
        dialect="dashscope", api_key=key, base_url=base_url, headers=None, environ={}, account=label
    )


@given(
    st.text(min_size=1, max_size=20).filter(str.isprintable), st.text(min_size=1, max_size=20).filter(str.isprintable)
)
def test_a_token_of_another_account_is_refused(one: str, other: str) -> None:
    """Made under one label, a token is read under that one only, with any key, and never under another or none."""
    token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), labelled(one), NOW)
    assert read_token(token, labelled(one, key="sk-rotated"), NOW).task_id == TASK_ID
    for wrong in {other, None} - {one}:
        with pytest.raises(SnapshotError, match="another account"):
            read_token(token, labelled(wrong), NOW)


def test_a_token_of_no_account_is_anybody_s() -> None:
    """Made without a label, as tokens were before there were labels, a token is read under any label and under none."""
    token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), labelled(None), NOW)
    assert "account" not in decoded(token)
    for label in (None, "studio"):
        assert read_token(token, labelled(label), NOW).task_id == TASK_ID


def test_a_token_does_not_say_whose_it_is() -> None:
    """The label cannot be read in a token, and is another mark at each origin."""
    here, there = labelled("studio"), labelled("studio", base_url="https://other.test/api/v1")
    token = write_token(TaskRecord.known_by_id(TASK_ID, NOW), here, NOW)
    assert "studio" not in json.dumps(decoded(token))
    assert here.account_mark != there.account_mark


@given(_junk.filter(lambda junk: junk != labelled("studio").account_mark))
def test_a_damaged_account_is_refused(junk: object) -> None:
    """A token whose account is something else is refused, by a client with a label and by one without."""
    content = decoded(write_token(TaskRecord.known_by_id(TASK_ID, NOW), labelled("studio"), NOW))
    for label in ("studio", *([None] if junk is not None else [])):
        with pytest.raises(SnapshotError):
            read_token(encoded(content | {"account": junk}), labelled(label), NOW)
