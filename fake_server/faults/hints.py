"""`Retry-After` and rate headers in every form, right and wrong."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fake_server.wire.bodies import http_date

if TYPE_CHECKING:
    from fake_server.faults.model import Hint, HintForm, RateHeaders

# A year and more than a machine's word: a client that believes it never comes again.
HUGE_WAIT = "99999999999999999999"
# Past dates are this long ago.
PAST_S = 3_600.0


class Spelt(NamedTuple):
    """A `Retry-After` as sent.

    Args:
        values: One value for each header of the name.
        wait_s: Seconds from now that a client which reads it stays away; None where none can be read.
    """

    values: tuple[str, ...]
    wait_s: float | None


def spell(hint: Hint, wall_s: float) -> Spelt:
    """Spell a hint.

    Args:
        hint: What to say.
        wall_s: The present in the service's wall seconds, on which dates are counted from the whole second.
    """
    if hint.text is not None:
        return Spelt((hint.text,), hint.wait_s)
    wait_s, form = hint.wait_s or 0.0, hint.form
    if form == "none":
        return Spelt((), None)
    if form == "seconds":
        # A delay is a whole number (RFC 9110, 10.2.3).
        return Spelt((str(math.ceil(wait_s)),), float(math.ceil(wait_s)))
    if form in ("http-date", "rfc850-date", "asctime-date"):
        until_s = math.floor(wall_s) + math.ceil(wait_s)
        return Spelt((_date(form, until_s),), until_s - wall_s)
    if form == "twice":
        # Which of the two counts is told nowhere; nobody need wait longer than the shorter.
        return Spelt((str(math.ceil(wait_s)), str(math.ceil(wait_s) * 2)), float(math.ceil(wait_s)))
    return Spelt((_wrong(form, wait_s, wall_s),), None)


def _date(form: HintForm, until_s: float) -> str:
    """A date in one of the three forms that recipients must read (RFC 9110, 5.6.7)."""
    usual = http_date(until_s)
    name, _, rest = usual.partition(", ")
    day, month, year, clock = rest.removesuffix(" GMT").split(" ")
    if form == "rfc850-date":
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        long_name = next(word for word in names if word.startswith(name))
        return f"{long_name}, {day}-{month}-{year[2:]} {clock} GMT"
    if form == "asctime-date":
        return f"{name} {month} {int(day):2d} {clock} {year}"
    return usual


def _wrong(form: HintForm, wait_s: float, wall_s: float) -> str:
    """A value that no recipient need understand."""
    if form == "fraction":
        return f"{wait_s + 0.5:.1f}"
    if form == "negative":
        return f"-{max(1, math.ceil(wait_s))}"
    if form == "past-date":
        return http_date(wall_s - PAST_S)
    if form == "iso-date":
        moment = datetime.fromtimestamp(0, tz=UTC) + timedelta(seconds=math.floor(wall_s) + math.ceil(wait_s))
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if form == "epoch":
        return str(math.floor(wall_s) + math.ceil(wait_s))
    if form == "unit":
        return f"{math.ceil(wait_s)}s"
    return {"words": "soon", "empty": "", "huge": HUGE_WAIT}[form]


def rate_headers(rate: RateHeaders, wall_s: float) -> list[tuple[str, str]]:
    """The headers that tell what is left of a limit; times are rounded up to whole seconds."""
    reset_s = rate.reset_s + (wall_s if rate.form == "epoch" else 0.0)
    return [
        ("x-ratelimit-limit-requests", str(rate.limit)),
        ("x-ratelimit-remaining-requests", str(rate.remaining)),
        ("x-ratelimit-reset-requests", str(math.ceil(reset_s))),
    ]
