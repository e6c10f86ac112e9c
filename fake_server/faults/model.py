"""What can go wrong on purpose: an effect, the requests that it strikes, and what a run must have used up.

The order in which faults act is fixed: admission, refuse, delay, commit, replace, wire. Of two faults that would
decide the same thing the first in the file wins; latencies add up, and headers are set one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from fake_server.wire.messages import WireFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_server.wire.errors import ErrorShape
    from fake_server.wire.messages import DropHow, DropWhen

RouteKind = Literal["create", "query", "list", "cancel", "asset", "quotas"]
ROUTE_KINDS: tuple[RouteKind, ...] = get_args(RouteKind)

FaultName = Literal[
    "status",
    "redirect",
    "latency",
    "headers",
    "schema_drift",
    "wire",
    "lost_create",
    "duplicated_create",
    "stale_read",
    "unknown_after_create",
    "clock_skew",
    "expired_asset",
    "asset_cut",
]

BodyForm = Literal["dialect", "alien", "empty", "html", "malformed"]
BODY_FORMS: tuple[BodyForm, ...] = get_args(BodyForm)
Drift = Literal["missing_output", "number_for_string", "unknown_status", "extra_fields"]
DRIFTS: tuple[Drift, ...] = get_args(Drift)
RedirectTo = Literal["itself", "other_host", "nowhere"]
REDIRECTS: tuple[RedirectTo, ...] = get_args(RedirectTo)
HintForm = Literal[
    # Right: RFC 9110, 10.2.3 and the three spellings of a date that 5.6.7 has recipients read.
    "seconds",
    "http-date",
    "rfc850-date",
    "asctime-date",
    # Wrong, and seen or to be feared: nobody can be held to what they say.
    "fraction",
    "negative",
    "past-date",
    "iso-date",
    "epoch",
    "unit",
    "words",
    "empty",
    "huge",
    "twice",
    "none",
]
HINT_FORMS: tuple[HintForm, ...] = get_args(HintForm)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests a fault strikes: every condition must hold.

    What is counted for `nth`, `first` and `every_nth` are the requests that passed admission and fit `on`, `task` and
    `window`, whatever other faults did to them.

    Args:
        on: The routes.
        nth: Only these of them, from 1; empty for no such limit.
        first: Only the first so many; None for no such limit.
        every_nth: Only each so-manieth; None for no such limit.
        probability: How likely each is struck, from 0 (inert) to 1.
        from_s: From when on, in seconds since the world began.
        until_s: Until when (excluded).
        task: Only requests about this task: its number in order of creation, from 1, or its id.
        times: How often it strikes at most; None for no limit.
    """

    on: tuple[RouteKind, ...] = ROUTE_KINDS
    nth: tuple[int, ...] = ()
    first: int | None = None
    every_nth: int | None = None
    probability: float = 1.0
    from_s: float = 0.0
    until_s: float = math.inf
    task: int | str | None = None
    times: int | None = None

    @property
    def needed(self) -> int:
        """How often it must strike to count as used up."""
        if self.probability < 1:
            return 1
        bounds = [self.times, self.first, len(self.nth) or None]
        return min((bound for bound in bounds if bound is not None), default=1)


@dataclass(frozen=True, slots=True)
class Hint:
    """A `Retry-After` to send.

    Args:
        wait_s: What it asks for, in the client's own seconds; None where only `text` says it.
        form: How it says it.
        text: The value spelt out instead.
    """

    wait_s: float | None = None
    form: HintForm = "seconds"
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """`X-RateLimit-*-Requests`: how many, how many are left, and when more (seconds from now).

    Args:
        limit: The number allowed.
        remaining: The number left.
        reset_s: Seconds from now until one more may pass.
        form: Whether that is told as unix time or as a number of seconds.
    """

    limit: int = 60
    remaining: int = 0
    reset_s: float = 60.0
    form: Literal["epoch", "seconds"] = "epoch"


@dataclass(frozen=True, slots=True)
class Status:
    """Another answer: any status, any body.

    Args:
        status: The HTTP status.
        body: The form of its body, or the bytes themselves.
        codes: The error code per dialect, where one is named.
        message: The error sentence, where one is named.
        shape: The error shape; None for the dialect's own.
        content_type: Instead of the body's own.
        headers: Extra headers.
        hint: The `Retry-After` to send, if any.
        rate: The rate headers to send, if any.
    """

    status: int = 200
    body: BodyForm | bytes = "dialect"
    codes: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    shape: ErrorShape | None = None
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    hint: Hint | None = None
    rate: RateHeaders | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect: to the very same URL, to another host (which no name server knows), or without a `Location`."""

    status: int = 307
    to: RedirectTo = "other_host"


@dataclass(frozen=True, slots=True)
class Latency:
    """An answer that comes late, in seconds: what was asked for was done when the request arrived.

    Before the commit it is the request that comes late, and is carried out then, also if its client has left.

    Args:
        low_s: The least; with `high_s` equal to it the delay is fixed.
        high_s: The most (uniform between both).
        median_s: The median of a log-normal delay; None for a uniform one.
        sigma: Its spread: the standard deviation of the logarithm.
    """

    low_s: float = 0.0
    high_s: float = 0.0
    median_s: float | None = None
    sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Headers:
    """The true answer with other headers: a wrong content type, a `Retry-After` on a success, rate headers."""

    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = None
    hint: Hint | None = None
    rate: RateHeaders | None = None


@dataclass(frozen=True, slots=True)
class SchemaDrift:
    """The true answer with another schema; `word` is the status of `unknown_status`."""

    kind: Drift
    word: str = "MIGRATING"


@dataclass(frozen=True, slots=True)
class Wire:
    """The answer spoilt on its way."""

    wire: WireFault


@dataclass(frozen=True, slots=True)
class LostCreate:
    """A create that is carried out and never answered."""

    how: DropHow = "reset"


@dataclass(frozen=True, slots=True)
class DuplicatedCreate:
    """One create request that makes two tasks; the answer names the first."""


@dataclass(frozen=True, slots=True)
class StaleRead:
    """A query that is answered from the state of so many seconds ago."""

    age_s: float = 5.0


@dataclass(frozen=True, slots=True)
class UnknownAfterCreate:
    """A task that the service does not know yet: for so many seconds from its create, or so many of its polls."""

    for_s: float | None = None
    polls: int | None = None


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """A service whose clock is ahead by so many seconds (behind, if negative): `Date`, timestamps, dates in hints."""

    ahead_s: float


@dataclass(frozen=True, slots=True)
class ExpiredAsset:
    """An asset whose URL has expired before its time."""


@dataclass(frozen=True, slots=True)
class AssetCut:
    """An asset of which only a half arrives before the connection ends."""


Effect = (
    Status
    | Redirect
    | Latency
    | Headers
    | SchemaDrift
    | Wire
    | LostCreate
    | DuplicatedCreate
    | StaleRead
    | UnknownAfterCreate
    | ClockSkew
    | ExpiredAsset
    | AssetCut
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        name: What kind it is.
        effect: What it does.
        selection: To which requests.
        when: Before the commit the request is not carried out, after it it is, and only the answer is spoilt.
        must_fire: Whether a run in which it was not used up proves nothing.
        label: The name that the file gives it, if any.
        line: Where it stands in its file, from 1; 0 for one that stands in none.
        origin: Where it comes from, if not from the scenario: `armed`, `chaos light`.
    """

    name: FaultName
    effect: Effect
    selection: Selection = Selection()
    when: DropWhen = "before_commit"
    must_fire: bool = True
    label: str | None = None
    line: int = 0
    origin: str = ""

    @property
    def needs_socket(self) -> bool:
        """Whether nothing without a socket can show it faithfully."""
        return isinstance(self.effect, Wire | LostCreate | AssetCut)

    def describe(self) -> str:
        """A few words for the journal and for reports: what it is, and where it stands."""
        place = ", ".join(part for part in (self.origin, f"line {self.line}" if self.line else "") if part)
        words = [self.label] if self.label else [self.name, _detail(self.effect), self._turn()]
        what = " ".join(word for word in words if word)
        return f"{what} ({place})" if place else what

    def _turn(self) -> str:
        """Before or after the commit, where it is not as usual."""
        usual = "after_commit" if isinstance(self.effect, Wire | Latency) else "before_commit"
        return self.when if isinstance(self.effect, Status | Redirect | Wire | Latency) and self.when != usual else ""

    def rule(self) -> str:
        """What its chance is drawn by: its label, or all that it says; where it stands plays no role."""
        return self.label or _canonical(self)


def _detail(effect: Effect) -> str:
    """The word that tells one fault of a kind from another."""
    if isinstance(effect, Status | Redirect):
        return str(effect.status)
    if isinstance(effect, SchemaDrift):
        return effect.kind
    return effect.wire.kind if isinstance(effect, Wire) else ""


def _canonical(fault: Fault) -> str:
    """A spelling of a fault's content that is the same in every process."""
    return f"{fault.name}|{fault.when}|{_spelt(fault.effect)}|{_spelt(fault.selection)}"


def _spelt(value: Any) -> str:
    """Every field that says more than its default: a release that adds a field moves no draw."""
    parts = []
    for each in fields(value):
        inner = getattr(value, each.name)
        if inner == each.default or inner == {}:
            continue
        shown = sorted(inner.items()) if isinstance(inner, dict) else inner
        parts.append(f"{each.name}={_spelt(inner) if is_dataclass(inner) else repr(shown)}")
    return ",".join(parts)
