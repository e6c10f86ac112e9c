"""The rules of the middleware on grids and on courses that a fixed number draws."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.http.headroom import Headroom
from resilient_poll.transports.rules import (
    backoff,
    breaker,
    budget,
    checks,
    deadlines,
    headroom,
    line,
    marks,
    origins,
    rates,
    refusals,
    repeating,
)
from tests.support.written import shown

HERE = Path(__file__).parent
ODD: tuple[Any, ...] = (-1, 0, 0.5, 1, 1.0, 2, 1.5, True, "1", None, float("inf"), float("nan"))


def of(call: Callable[[], Any]) -> str:
    """Return what a call gave, or the error with which it refused."""
    try:
        return shown(call())
    except ConfigurationError as error:
        return f"{type(error).__name__}: {error}"


def drawn(number: int) -> Random:
    """Return the draws of a course."""
    return Random(number)  # noqa: S311  # a course, no secret


def settings() -> Iterator[str]:
    """Which settings are refused, and with which words."""
    for value in ODD:
        yield f"{value!r} seconds: {of(lambda: checks.check_seconds('x', value))}"  # noqa: B023  # called at once
        yield f"{value!r} or none: {of(lambda: checks.check_seconds('x', value, is_zero_allowed=True))}"  # noqa: B023
        yield f"{value!r} share: {of(lambda: checks.check_share('x', value))}"  # noqa: B023  # called at once
        yield f"{value!r} or none: {of(lambda: checks.check_share('x', value, is_zero_allowed=True))}"  # noqa: B023
        yield f"{value!r} count: {of(lambda: checks.check_count('x', value))}"  # noqa: B023  # called at once
        yield f"{value!r} or none: {of(lambda: checks.check_count('x', value, least=0))}"  # noqa: B023  # as above
    makers: dict[str, Callable[..., Any]] = {
        "failure_share slow_share slow_call_s least_calls window_s open_s probes": breaker.BreakerPolicy,
        "share floor_per_s reserve": budget.RetryBudget,
        "first_s longest_s spread": backoff.Backoff,
        "slow_below longest_s": headroom.HeadroomPolicy,
        "count window_s burst": lambda **given: rates.Rate(**{"count": 1, "window_s": 1.0, **given}),
        "places longest": lambda **given: line.Line(**{"places": 1, "longest": 1, **given}),
    }
    for names, make in makers.items():
        yield repr(make())
        for name, value in itertools.product(names.split(), (-1, 0, 0.5, True)):
            yield f"{name}={value!r}: {of(lambda: repr(make(**{name: value})))}"  # noqa: B023  # called at once
    yield f"{of(lambda: rates.Rate(2, 1.0, 3))} {of(lambda: rates.Rate(2, 1.0, 2))}"
    yield f"{rates.Rate.per_second(3)} {rates.Rate.per_minute(3, burst=2)} {rates.Rate.per_second(3, burst=2)}"
    yield f"{[rates.Rate(count, 6.0, burst).gap_s for count in (1, 3, 6) for burst in range(1, count + 1)]}"


def breakers() -> Iterator[str]:
    """Breakers under drawn results, and what one call says."""
    for number in range(14):
        chance, now_s = drawn(number), 0.0
        policy = breaker.BreakerPolicy(
            failure_share=chance.choice([0.25, 0.5, 1.0]),
            slow_share=chance.choice([0.25, 0.5]),
            slow_call_s=2.0,
            least_calls=chance.choice([1, 4, 10]),
            window_s=chance.choice([3.0, 30.0]),
            open_s=chance.choice([1.0, 5.0]),
            probes=chance.choice([1, 3]),
        )
        own, out = breaker.Breaker(policy), []
        yield f"# {shown(policy)}"
        for _ in range(70):
            answer, move = own.admit(now_s)
            if isinstance(answer, breaker.Admitted):
                out.append(answer)
            told = [shown(now_s), shown(answer), shown(move), own.state.value, str(own.generation)]
            if out and chance.random() < 0.7:
                kinds = [breaker.CallResult.WELL, breaker.CallResult.WELL, *breaker.CallResult]
                result = chance.choice(kinds)
                moved = own.note(out.pop(chance.randrange(len(out))), result, now_s)
                told += [result.value, shown(moved), own.state.value]
            yield " ".join(told)
            now_s += chance.choice([0.0, 0.1, 0.3, 0.9, 2.0, 5.0 if chance.random() < 0.3 else 0.2])
        yield f"{own!r}"
    for slow_s, status, took_s in itertools.product((None, 2.0), (None, 200, 404, 429, 499, 500, 503), (1.9, 2.0, 2.1)):
        policy = breaker.BreakerPolicy(slow_call_s=slow_s)
        yield f"{slow_s} {status} {took_s}: {breaker.judge_call(status, took_s, policy)}"


def pauses() -> Iterator[str]:
    """Pauses, budgets and time-outs."""
    for own in (backoff.Backoff(), backoff.Backoff(3.0, 2.0, 1.0), backoff.Backoff(1.0, 1e300, 0.0)):
        for failures, draw, asked_s in itertools.product(
            (1, 2, 3, 7, 60, 61, 62, 2000), (0.0, 0.5, 1.0), (None, 0.1, 9.0)
        ):
            yield f"{shown(own)} {failures} {draw} {asked_s}: {own.pause_s(failures, draw, asked_s)!r}"
    for number in range(5):
        chance, now_s = drawn(100 + number), 10.0
        kept = budget.RetryBudget(
            chance.choice([0.0, 0.1, 0.34]), chance.choice([0.0, 0.1, 2.0]), chance.choice([1, 3.0])
        )
        for _ in range(40):
            if chance.random() < 0.5:
                kept.note_first()
                yield f"first {kept.left:.9f}"
            else:
                yield f"{shown(now_s)} {kept.take(now_s)} {kept.left:.9f}"
            now_s += chance.choice([0.0, 0.5, 3.0, -1.0])
    exact = budget.RetryBudget(0.1, 0.0, 1.0)
    yield f"{exact.take(0.0)} {[exact.note_first() for _ in range(10)]} {exact.take(0.0)} {exact.left!r} {exact!r}"
    for first, second in itertools.product((None, 1.0, 2.0), repeat=2):
        yield f"{first} {second}: {deadlines.earlier(first, second)}"
    timeouts: tuple[dict[str, Any] | None, ...] = (
        None,
        {},
        dict.fromkeys(("connect", "read", "write", "pool"), 2.0),
        *(
            {**dict.fromkeys(("connect", "read", "write", "pool"), 2.0), kind: odd}
            for kind in ("connect", "read", "write", "pool")
            for odd in (None, 9.0)
        ),
    )
    for asked, left_s in itertools.product(timeouts, (1.0, 2.0, 5.0)):
        yield f"{asked} {left_s}: {deadlines.are_within(asked, left_s)} {deadlines.cut_timeouts(asked, left_s)}"


def lines() -> Iterator[str]:
    """Rates, throttles by headroom, lines before places, and states by origin."""
    for number in range(6):
        chance, now_s = drawn(200 + number), 5.0
        bucket = rates.Bucket(rates.Rate(*chance.choice([(1, 1.0, 1), (5, 2.0, 1), (5, 3.0, 4)])))
        for _ in range(20):
            yield f"{shown(now_s)} {bucket.earliest_s(now_s):.6f} {bucket.reserve(now_s):.6f}"
            now_s += chance.choice([0.0, 0.1, 0.5, 4.0])
    for number in range(10):
        chance, now_s = drawn(300 + number), 5.0
        throttle = headroom.Throttle(headroom.HeadroomPolicy(slow_below=chance.choice([0.2, 0.5]), longest_s=30.0))
        for _ in range(30):
            if chance.random() < 0.4:
                said = chance.choice(
                    [
                        None,
                        Headroom(
                            limit=10,
                            remaining=chance.choice([0, 1, 2, 5, 10]),
                            resets_in_s=chance.choice([1.0, 9.0, 99.0]),
                        ),
                        Headroom(limit=None, remaining=chance.choice([0, 3]), resets_in_s=chance.choice([2.0, 3.5])),
                        Headroom(limit=10, remaining=None, resets_in_s=3.0),
                        Headroom(limit=10, remaining=3, resets_in_s=None),
                    ]
                )
                throttle.note(said, now_s)
                yield f"{shown(now_s)} heard {shown(said)} {throttle!r}"
            else:
                yield f"{shown(now_s)} {throttle.earliest_s(now_s):.6f} {throttle.reserve(now_s):.6f} {throttle!r}"
            now_s += chance.choice([0.0, 0.0, 0.1, 1.0, 4.0])
    for number in range(4):
        chance = drawn(400 + number)
        places = line.Line(chance.choice([1, 3]), chance.choice([0, 2, 9]))
        tickets = [line.Ticket() for _ in range(6)]
        inside: set[int] = set()
        for _ in range(40):
            at = chance.randrange(6)
            if at in inside:
                inside.discard(at)
                woken = places.leave(tickets[at])
                told = f"leaves, {tickets.index(woken) if woken else None} follows"
            elif joined := places.join(tickets[at]):
                inside.add(at)
                told = f"joins {joined}"
            else:
                told = "is turned away"
            has = [number for number, ticket in enumerate(tickets) if ticket.has_place]
            yield f"{at} {told}: {has} {places.taken} {places.waiting} {places.is_idle} {places!r}"
    made: list[int] = []
    kept: origins.PerOrigin[int] = origins.PerOrigin(lambda: made.append(0) or len(made), lambda state: state % 2 == 0)
    for scope in range(1003):
        kept.of(scope)
        if scope == 900:
            kept.of(1)
    yield f"{len(kept)} {len(made)} {[kept.of(scope) for scope in (1, 0, 3, 1002, 2)]} {len(made)}"
    everything: origins.PerOrigin[int] = origins.PerOrigin(lambda: 0)
    for scope in range(1001):
        everything.of(scope)
        if scope >= 998:
            yield f"{len(everything)}"
    throttle = headroom.Throttle()
    for remaining, resets_s, now_s in (
        (0, 4.0, 0.0),
        (5, 2.0, 0.0),
        (3, 2.0, 2.0),
        (4, 3.0, 2.5),
        (0, 1.0, 3.0),
        (1, 0.0, 4.0),
    ):
        throttle.note(Headroom(limit=10, remaining=remaining, resets_in_s=resets_s), now_s)
        told = [throttle.reserve(now_s) for _ in range(2)]
        yield f"{remaining} {resets_s} {now_s}: {told} {throttle!r} {throttle.reserve(now_s + 4.0)} {throttle!r}"


CODES = (
    *(
        "insufficient_quota",
        "insufficient balance",
        "INSUFFICIENT-FUND",
        "insufficientcredit",
        "billing",
        "Payment",
        "x",
    ),
    *(
        "arrears",
        "overdue",
        "balance_exhausted",
        "credits depleted",
        "funds_not_enough",
        "balance too low",
        "rate_limit",
    ),
    *(
        "out_of_credit",
        "fund-too_low",
        "quota",
        "insufficient",
        "y" * 100 + "billing",
        "y" * 93 + "billing",
        "y" * 94 + "billing",
    ),
)


def repetitions() -> Iterator[str]:
    """What may be sent again, what a refusal is about, and what a request says itself."""
    for code in CODES:
        for body in ({"code": code}, {"error": code}, {"error": {"error": {"type": code}}}, {"message": code}):
            yield f"{code[-20:]} {list(body)}: {refusals.read_refusal(429, json.dumps(body).encode()).name}"
    deep: Any = {"code": "billing"}
    for depth in range(5):
        for name in ("code", "type", "reason", "status", "other"):
            inner = json.loads(json.dumps(deep).replace("code", name))
            yield f"{depth} {name}: {refusals.read_refusal(429, json.dumps(inner).encode()).name}"
        deep = {"error": deep}
    for status, body in itertools.product(
        (200, 400, 402, 403, 428, 429, 430, 503), (b"", b"{", b"[]", b'{"code": 7}', b'"billing"')
    ):
        yield f"{status} {body!r}: {refusals.read_refusal(status, body).name}"
    for size in (64 * 1024, 64 * 1024 + 1):
        body = b'{"code": "billing", "x": "' + b"x" * (size - 28) + b'"}'
        yield f"{len(body) - 64 * 1024} {refusals.read_refusal(429, body).name}"
    methods = ("GET", "head", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH")
    for method, mark, has_key in itertools.product(methods, (None, "never", "allowed"), (True, False)):
        may = repeating.may_repeat(method=method, mark=mark, has_idempotency_key=has_key)
        yield f"{method} {mark} {has_key}: {may}"
    for kind, status, refusal, broken in itertools.product(
        repeating.Kind, (None, 200, 404, 408, 425, 429, 500, 501, 502, 503, 504), refusals.Refusal, (True, False)
    ):
        happened = repeating.Happened(kind, status, refusal, broken)
        reasons = [
            repeating.why_not(happened, is_harmless=harmless, mark=mark, is_replayable=replayable)
            for harmless, mark, replayable in itertools.product(
                (True, False), (None, "never", "allowed"), (True, False)
            )
        ]
        last_words = " ".join((reason or "YES").split()[-1] for reason in reasons)
        yield f"{kind.name} {status} {refusal.name} {broken}: {last_words}"
    happened = repeating.Happened(repeating.Kind.ANSWERED, 500)
    yield f"{repeating.why_not(happened, is_harmless=True, mark=None, is_replayable=True, statuses=[501])} {happened}"
    for said in (None, "never", "allowed", "often", 7, True):
        yield f"{said!r}: {of(lambda: marks.repeat_mark({marks.REPEAT: said}))}"  # noqa: B023  # called at once
    for asked in (None, 1, 2.5, 0, -1, True, "1", float("nan")):
        yield f"{asked!r}: {of(lambda: marks.timeout_mark({marks.TIMEOUT_S: asked}))}"  # noqa: B023  # called at once
    yield f"{[getattr(marks, name) for name in marks.__all__ if name.isupper()]} {marks.repeat_mark({})}"


DECISIONS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "breakers": breakers,
    "pauses": pauses,
    "lines": lines,
    "repetitions": repetitions,
}
