"""What may be sent again, how long to wait before it, and how often all of it may happen."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import Backoff, ConfigurationError, RetryBudget
from resilient_poll.transports.rules import marks
from resilient_poll.transports.rules.refusals import LONGEST_REFUSAL_BYTES, Refusal, read_refusal
from resilient_poll.transports.rules.repeating import (
    REFUSED_STATUSES,
    RETRY_STATUSES,
    SAFE_METHODS,
    Happened,
    Kind,
    may_repeat,
    why_not,
)

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "QUERY"]
STATUSES = [None, 200, 402, 404, 425, 429, 500, 503]
words = st.sampled_from(["code", "error", "type", "billing", "a"])
bodies = st.recursive(words | st.none(), lambda inner: st.dictionaries(words, inner, max_size=3), max_leaves=6)


def nothing_is_taken_up_twice() -> None:
    """Fail if the rules repeat anything that may have been taken up; all combinations are tried."""
    happenings = [
        Happened(kind, status, refusal, is_broken)
        for kind, status, refusal, is_broken in product(Kind, STATUSES, Refusal, [False, True])
    ]
    marks = [None, "never", "allowed"]
    for method, mark, has_key, happened, is_whole in product(METHODS, marks, [False, True], happenings, [False, True]):
        is_harmless = may_repeat(method=method, mark=mark, has_idempotency_key=has_key)
        if why_not(happened, is_harmless=is_harmless, mark=mark, is_replayable=is_whole) is not None:
            continue
        assert mark != "never"
        assert is_whole
        assert happened.refusal is not Refusal.MONEY
        assert happened.kind is not Kind.OURS
        if method.upper() not in {"GET", "HEAD", "OPTIONS"} and not has_key and mark is None:
            was_refused = happened.kind is Kind.ANSWERED and happened.status in {425, 429}
            assert happened.kind is Kind.NOT_SENT or (was_refused and not happened.is_body_broken)


def test_nothing_is_repeated_that_may_have_been_taken_up() -> None:
    """What changes something is repeated only if it was not sent, was refused, has a key, or its caller allows it."""
    nothing_is_taken_up_twice()


def test_a_status_that_is_taken_for_a_refusal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that repeats a POST after a 503 is caught by the property."""
    wrong = frozenset({*REFUSED_STATUSES, 503})
    monkeypatch.setattr("resilient_poll.transports.rules.repeating.REFUSED_STATUSES", wrong)
    with pytest.raises(AssertionError):
        nothing_is_taken_up_twice()


@pytest.mark.parametrize("status", sorted(RETRY_STATUSES))
def test_a_get_is_repeated_after_each_of_these(status: int) -> None:
    """A safe request is asked again after every status that may pass."""
    assert why_not(Happened(Kind.ANSWERED, status), is_harmless=True, mark=None, is_replayable=True) is None


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"error": {"message": "You exceeded your quota", "type": "insufficient_quota"}}, Refusal.MONEY),
        ({"error": {"code": "insufficient_quota"}}, Refusal.MONEY),
        ({"code": "BillingHardLimitReached"}, Refusal.MONEY),
        ({"error": "insufficient_balance"}, Refusal.MONEY),
        ({"error": {"code": "rate_limit_exceeded", "message": "add a payment method to increase it"}}, Refusal.RATE),
        ({"error": "Too many requests; see your billing page"}, Refusal.RATE),
        ({"code": 429}, Refusal.RATE),
        ([], Refusal.RATE),
        ("insufficient_quota", Refusal.RATE),
    ],
)
def test_a_refusal_for_money_is_known_by_its_code(said: object, refusal: Refusal) -> None:
    """A 429 is about money only if a code of its says so; prose that mentions billing says nothing."""
    assert read_refusal(429, json.dumps(said).encode()) is refusal


def test_these_are_safe_and_these_were_not_taken_up() -> None:
    """Safe are the methods that RFC 9110 calls so, and a 425 and a 429 alone say that a request was not taken up."""
    assert sorted(SAFE_METHODS) == ["GET", "HEAD", "OPTIONS", "TRACE"]
    assert sorted(REFUSED_STATUSES) == [425, 429]


MONEY_CODES = [
    *("insufficient_quota", "Insufficient-Balance", "InsufficientFunds", "insufficient credit", "BillingHardLimit"),
    *("payment_required", "Arrearage", "AccountOverdue", "balance_exhausted", "CreditsDepleted", "funds_not_enough"),
    *("balance-too-low", "OutOfCredit"),
]


@pytest.mark.parametrize("code", MONEY_CODES)
@pytest.mark.parametrize("name", ["code", "type", "reason", "status"])
def test_a_code_for_money_is_known_wherever_it_stands(name: str, code: str) -> None:
    """Every spelling is known in each of the fields for codes, down to the third level and no deeper."""
    said: object = {name: code}
    for level in range(1, 5):
        expected = Refusal.MONEY if level <= 3 else Refusal.RATE
        assert read_refusal(429, json.dumps(said).encode()) is expected, level
        said = {"error": said}


def test_a_refusal_is_read_up_to_its_longest() -> None:
    """A body of 64 KiB is read for its code, and one byte more is not."""
    body = b'{"code": "insufficient_quota"}'.ljust(65_536)
    assert read_refusal(429, body) is Refusal.MONEY
    assert read_refusal(429, body + b" ") is Refusal.RATE


@pytest.mark.parametrize("timeout_s", [0.5, 1, 1e9])
def test_any_time_above_nothing_can_be_asked_for(timeout_s: float) -> None:
    """A request may ask for any total time above zero, half a second as well, and for none by saying nothing."""
    assert marks.timeout_mark({marks.TIMEOUT_S: timeout_s}) == timeout_s
    assert marks.timeout_mark({}) is None


@pytest.mark.parametrize("timeout_s", [0, 0.0, -1, True, "5", float("nan")])
def test_no_time_at_all_is_refused(timeout_s: object) -> None:
    """A total time that is none is refused, and nothing was sent."""
    with pytest.raises(ConfigurationError, match=r"seconds above 0, not .*; nothing was sent"):
        marks.timeout_mark({marks.TIMEOUT_S: timeout_s})


def test_the_names_of_the_marks_stay() -> None:
    """What requests and transports tell each other keeps its names from release to release, as callers write them."""
    names = ["repeat", "timeout_s", "key", "attempts", "task_id", "submit_id", "told", "deadline_s"]
    told = [marks.REPEAT, marks.TIMEOUT_S, marks.KEY, marks.ATTEMPTS, marks.TASK_ID, marks.SUBMIT_ID, marks.TOLD]
    assert [*told, marks.DEADLINE_S] == [f"resilient_poll.{name}" for name in names]


def test_only_a_429_is_read() -> None:
    """A 402 is about money whatever it says, and other answers refuse nothing that waiting or paying would mend."""
    body = b'{"code": "insufficient_quota"}'
    assert read_refusal(402, b"") is Refusal.MONEY
    assert read_refusal(503, body) is Refusal.NONE
    assert read_refusal(429, body + b" " * LONGEST_REFUSAL_BYTES) is Refusal.RATE


@given(st.binary(max_size=200) | bodies.map(json.dumps).map(str.encode))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    """Whatever the body of a 429 is, it is about the rate or about money."""
    assert read_refusal(429, body) in {Refusal.RATE, Refusal.MONEY}


def test_a_deep_body_breaks_nothing() -> None:
    """A body nested deeper than any reader goes is about the rate."""
    assert read_refusal(429, b'{"error":' * 9000 + b"1" + b"}" * 9000) is Refusal.RATE


@given(
    first_s=st.floats(0.001, 10),
    longest_s=st.floats(0.001, 100),
    spread=st.floats(0, 1),
    failures=st.integers(1, 5000),
    draw=st.floats(0, 1),
    asked_s=st.none() | st.floats(0, 1e6),
)
def test_a_pause_is_never_cut_nor_longer_than_asked(
    first_s: float, longest_s: float, spread: float, failures: int, draw: float, asked_s: float | None
) -> None:
    """A pause is never below what the server asked for, and beyond both that and the cap by the spread only."""
    pause_s = Backoff(first_s, longest_s, spread).pause_s(failures, draw, asked_s)
    assert pause_s >= (asked_s or 0.0)
    assert pause_s <= max(longest_s, (asked_s or 0.0) + first_s) * (1 + 1e-9)
    if asked_s is None:
        assert pause_s >= min(first_s, longest_s) * (1 - spread) * (1 - 1e-9)


def test_pauses_double_and_stay_spread_at_the_cap() -> None:
    """Pauses double up to the cap, and at the cap two draws still differ."""
    backoff = Backoff(1.0, 8.0, 0.5)
    assert [backoff.pause_s(failures, 0.0) for failures in range(1, 7)] == [1, 2, 4, 8, 8, 8]
    assert backoff.pause_s(9, 1.0) == 4.0


@given(
    share=st.sampled_from([0.0, 0.1, 0.25, 1.0]),
    floor_per_s=st.sampled_from([0.0, 0.1, 2.0]),
    reserve=st.sampled_from([0.0, 1.0, 10.0]),
    steps=st.lists(st.tuples(st.sampled_from(["first", "retry"]), st.floats(0, 5)), max_size=200),
)
def test_a_budget_is_never_overdrawn(
    share: float, floor_per_s: float, reserve: float, steps: list[tuple[str, float]]
) -> None:
    """In every stretch of time retries stay within the share, the floor and the reserve."""
    budget, now_s = RetryBudget(share, floor_per_s, reserve), 100.0
    history: list[tuple[float, int, int]] = []
    for kind, gap_s in steps:
        now_s += gap_s
        if kind == "first":
            budget.note_first()
            history.append((now_s, 1, 0))
        else:
            history.append((now_s, 0, int(budget.take(now_s))))
    for start in range(len(history)):
        firsts = retries = 0
        for at_s, first, retry in history[start:]:
            firsts, retries = firsts + first, retries + retry
            # The floor also flowed in since the last retry before the stretch, but never beyond the reserve.
            assert retries <= share * firsts + floor_per_s * (at_s - history[start][0]) + reserve + 1e-6


def test_a_budget_allows_a_share_and_a_floor() -> None:
    """Ten first attempts allow one retry at a share of a tenth, and ten seconds one at a floor of a tenth a second."""
    budget = RetryBudget(0.1, 0.1, 1.0)
    assert budget.left == 1.0
    assert [budget.take(0.0), budget.take(0.0)] == [True, False]
    for _ in range(10):
        budget.note_first()
    assert [budget.take(0.0), budget.take(0.0), budget.take(9.9), budget.take(10.1)] == [True, False, False, True]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Backoff(first_s=0),
        lambda: Backoff(longest_s=float("inf")),
        lambda: Backoff(spread=1.1),
        lambda: RetryBudget(share=-0.1),
        lambda: RetryBudget(floor_per_s=float("nan")),
    ],
)
def test_settings_without_sense_are_refused(make: object) -> None:
    """A setting that makes no sense is refused where it is made."""
    assert callable(make)
    with pytest.raises(ConfigurationError):
        make()
