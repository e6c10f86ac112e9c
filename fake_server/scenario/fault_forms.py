"""The table of faults: which keys each has, on which routes it strikes, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from fake_server.faults.model import (
    BODY_FORMS,
    DRIFTS,
    HINT_FORMS,
    REDIRECTS,
    ROUTE_KINDS,
    AssetCut,
    ClockSkew,
    DuplicatedCreate,
    ExpiredAsset,
    Headers,
    Hint,
    Latency,
    LostCreate,
    RateHeaders,
    Redirect,
    SchemaDrift,
    StaleRead,
    Status,
    UnknownAfterCreate,
    Wire,
)
from fake_server.scenario import fields as of
from fake_server.scenario.fields import Field
from fake_server.wire.errors import SHAPES
from fake_server.wire.messages import WireFault, WireFaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fake_server.faults.model import Effect, RouteKind
    from fake_server.wire.messages import DropWhen

Values = dict[str, Any]

# Larger numbers than these are typing errors.
LARGEST_ORDINAL = 1_000_000
LARGEST_SIGMA = 5.0
MOST_INTERIM = 10_000
LARGEST_BYTES = 10_000_000
LONGEST_TEXT = 100_000
WIRE_KINDS: tuple[str, ...] = get_args(WireFaultKind)

BOTH: tuple[DropWhen, ...] = ("before_commit", "after_commit")
AFTER: tuple[DropWhen, ...] = ("after_commit",)


@dataclass(frozen=True, slots=True)
class FaultForm:
    """How one fault is written.

    Args:
        what: What happens, in a few words for the page on scenarios.
        make: Makes its effect of what was read.
        fields: Its own keys.
        required: Those that must be there.
        one_of: Keys of which exactly one must be there.
        keys_of: By the value of `kind`: the keys that go with it, of those that go with some only.
        on: The routes on which it may strike; by default it strikes on all of them.
        whens: Before or after the commit; the first is the default.
    """

    what: str
    make: Callable[[Values], Effect]
    fields: Mapping[str, Field] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    keys_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on: tuple[RouteKind, ...] = ROUTE_KINDS
    whens: tuple[DropWhen, ...] = AFTER


COMMON_FIELDS: dict[str, Field] = {
    "name": of.matching(r"[a-z0-9][a-z0-9_-]{0,63}", "a name of small letters, digits, - and _"),
    "on": of.choices((*ROUTE_KINDS, "any")),
    "nth": of.integers(1, LARGEST_ORDINAL, 100),
    "first": of.integer(1, LARGEST_ORDINAL),
    "every_nth": of.integer(1, LARGEST_ORDINAL),
    "probability": of.number(1),
    "window": of.window(),
    "task": of.task(),
    "times": of.integer(1, LARGEST_ORDINAL),
    "must_fire": of.flag(),
}
# Of these at most one.
COUNTED = ("nth", "first", "every_nth")

_HINT_FIELDS: dict[str, Field] = {
    "retry_after": of.duration(),
    "form": of.choice(HINT_FORMS),
    "header": of.header_value(),
}
_RATE_FIELDS: dict[str, Field] = {
    "limit": of.integer(0, LARGEST_ORDINAL),
    "remaining": of.integer(0, LARGEST_ORDINAL),
    "reset": of.duration(),
    "form": of.choice(("epoch", "seconds")),
}
_RATE = of.section(_RATE_FIELDS, "a mapping such as {limit: 60, remaining: 0, reset: 12s}")


def _hint(values: Values) -> Hint | None:
    if not any(key in values for key in _HINT_FIELDS):
        return None
    return Hint(values.get("retry_after"), values.get("form", "seconds"), values.get("header"))


def _rate(values: Values) -> RateHeaders | None:
    rate = values.get("rate_headers")
    if rate is None:
        return None
    return RateHeaders(**{("reset_s" if key == "reset" else key): value for key, value in rate.items()})


def _status(values: Values) -> Status:
    body, content_type = values.get("body", "dialect"), values.get("content_type")
    if "text" in values:
        body = str(values["text"]).encode("utf-8", "replace")
        content_type = content_type or "text/plain; charset=utf-8"
    return Status(
        status=values["status"],
        body=body,
        codes=values.get("code", {}),
        message=values.get("message"),
        shape=values.get("shape"),
        content_type=content_type,
        headers=values.get("headers", ()),
        hint=_hint(values),
        rate=_rate(values),
    )


def _latency(values: Values) -> Latency:
    if "fixed" in values:
        return Latency(values["fixed"], values["fixed"])
    if "uniform" in values:
        return Latency(values["uniform"].get("from", 0.0), values["uniform"]["to"])
    return Latency(median_s=values["log_normal"]["median"], sigma=values["log_normal"].get("sigma", 0.5))


def _headers(values: Values) -> Headers:
    return Headers(values.get("headers", ()), values.get("content_type"), _hint(values), _rate(values))


def _wire(values: Values) -> Wire:
    options = {"after_bytes": "after_bytes", "every": "every_s", "for": "for_s", "count": "count"}
    return Wire(WireFault(values["kind"], **{options[key]: values[key] for key in options if key in values}))


def _skew(values: Values) -> ClockSkew:
    return ClockSkew(values["ahead"] if "ahead" in values else -values["behind"])


FAULT_FORMS: dict[str, FaultForm] = {
    "status": FaultForm(
        "another answer: any status, any body",
        _status,
        {
            "status": of.integer(200, 599),
            "body": of.either(of.choice(BODY_FORMS), of.document()),
            "text": of.text("a text", LONGEST_TEXT),
            "code": of.codes(),
            "message": of.text("a sentence", 1_000),
            "shape": of.choice(SHAPES),
            "content_type": of.header_value(),
            "headers": of.header_table(),
            **_HINT_FIELDS,
            "rate_headers": _RATE,
        },
        required=("status",),
        whens=BOTH,
    ),
    "redirect": FaultForm(
        "a redirect: to the same URL, to a host that does not exist, or without a `Location`",
        lambda values: Redirect(values.get("status", 307), values.get("to", "other_host")),
        {"status": of.integer(300, 308), "to": of.choice(REDIRECTS)},
        whens=BOTH,
    ),
    "latency": FaultForm(
        "the answer comes late, what was asked for was done at once; or, `before_commit`, the request comes late, and "
        "is carried out then, whoever has given up on it",
        _latency,
        {
            "fixed": of.duration(),
            "uniform": of.section(
                {"from": of.duration(), "to": of.duration()}, "a mapping such as {from: 100ms, to: 2s}", ("to",)
            ),
            "log_normal": of.section(
                {"median": of.duration(), "sigma": of.number(LARGEST_SIGMA)},
                "a mapping such as {median: 200ms, sigma: 0.5}",
                ("median",),
            ),
        },
        one_of=("fixed", "uniform", "log_normal"),
        whens=("after_commit", "before_commit"),
    ),
    "headers": FaultForm(
        "the true answer with other headers",
        _headers,
        {
            "headers": of.header_table(),
            "content_type": of.header_value(),
            **_HINT_FIELDS,
            "rate_headers": _RATE,
        },
    ),
    "schema_drift": FaultForm(
        "the true answer with another schema",
        lambda values: SchemaDrift(values["kind"], values.get("word", "MIGRATING")),
        {"kind": of.choice(DRIFTS), "word": of.matching(r"[A-Za-z][A-Za-z0-9_]{0,63}", "a status word")},
        required=("kind",),
        keys_of={"unknown_status": ("word",)},
        on=("create", "query", "list", "cancel", "quotas"),
    ),
    "wire": FaultForm(
        "the answer is spoilt on its way; before the commit it is a 503 that is spoilt",
        _wire,
        {
            "kind": of.choice(WIRE_KINDS),
            "after_bytes": of.integer(0, LARGEST_BYTES),
            "every": of.duration(above_zero=True),
            "for": of.duration(above_zero=True),
            "count": of.integer(1, MOST_INTERIM),
        },
        required=("kind",),
        keys_of={
            "reset": ("after_bytes",),
            "close": ("after_bytes",),
            "stall": ("after_bytes", "for"),
            "drip": ("every",),
            "continue_storm": ("count",),
        },
        whens=("after_commit", "before_commit"),
    ),
    "lost_create": FaultForm(
        "a create is carried out and never answered",
        lambda values: LostCreate(values.get("how", "reset")),
        {"how": of.choice(("reset", "close"))},
        on=("create",),
    ),
    "duplicated_create": FaultForm(
        "one create makes two tasks, both billed; the answer names the first",
        lambda values: DuplicatedCreate(),  # noqa: ARG005 - one signature for all
        on=("create",),
    ),
    "stale_read": FaultForm(
        "a query is answered from the state of a while ago",
        lambda values: StaleRead(values.get("age", 5.0)),
        {"age": of.duration(above_zero=True)},
        on=("query",),
    ),
    "unknown_after_create": FaultForm(
        "the service does not know a new task yet: for a time from its create, or for a number of its queries",
        lambda values: UnknownAfterCreate(values.get("for"), values.get("polls")),
        {"for": of.duration(above_zero=True), "polls": of.integer(1, LARGEST_ORDINAL)},
        one_of=("for", "polls"),
        on=("query",),
    ),
    "clock_skew": FaultForm(
        "the service's clock is ahead or behind: `Date`, timestamps and dates in `Retry-After`",
        _skew,
        {"ahead": of.duration(above_zero=True), "behind": of.duration(above_zero=True)},
        one_of=("ahead", "behind"),
    ),
    "expired_asset": FaultForm(
        "an asset's URL has expired before its time: 403",
        lambda values: ExpiredAsset(),  # noqa: ARG005 - as above
        on=("asset",),
        whens=("before_commit",),
    ),
    "asset_cut": FaultForm(
        "the connection ends in the middle of an asset",
        lambda values: AssetCut(),  # noqa: ARG005 - as above
        on=("asset",),
    ),
}


def keys_of_form(form: FaultForm) -> dict[str, Field]:
    """All keys of a fault but `fault` itself, its own first."""
    whens = {"when": of.choice(form.whens)} if len(form.whens) > 1 else {}
    words = ROUTE_KINDS if form.on == ROUTE_KINDS else form.on
    on = {"on": of.choices((*words, "any"))} if len(form.on) > 1 else {"on": of.choices(form.on)}
    return {**form.fields, **whens, **COMMON_FIELDS, **on}
