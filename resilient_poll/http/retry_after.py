"""Read ``Retry-After`` as RFC 9110 (10.2.3) means it, and refuse what nobody can honour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["RetryAfter", "read_date", "read_retry_after"]

LONGEST_RETRY_AFTER_S = 7 * 24 * 3600.0
"""Longer hints are junk: no quota of the services known here returns later than in a week."""

_SECONDS = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")  # 15 digits: what a float holds exactly.
_DATE = re.compile(r"[A-Z][a-z]{2,8},? .{6,40}")
_LEAP_SECOND = re.compile(r"(?<=:[0-5][0-9]):60\b")  # After the minutes: minute 60 exists nowhere.
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """What an answer's ``Retry-After`` says.

    Attributes:
        seconds: How long to stay away, counted from the answer; None if it says nothing
            that can be honoured.
        ignored: Why a value that was there is not in ``seconds``.
    """

    seconds: float | None = None
    ignored: str | None = None


def read_retry_after(values: Sequence[str], dates: Sequence[str], now_wall_s: float) -> RetryAfter:
    """Read the hint of one answer.

    A number is seconds; a decimal is read too, since services send it. A date is
    compared with the answer's own ``Date``, so that a client whose clock is wrong waits
    rightly; without one, with the client's clock. A date in the past means "now".

    Args:
        values: All values of the answer's ``Retry-After`` header.
        dates: All values of its ``Date`` header.
        now_wall_s: The client's clock, in seconds since 1970.

    Returns:
        The hint, or why it is ignored. An answer without the header gives neither.
    """
    if not values:
        return RetryAfter()
    if len(values) > 1:
        return _ignored(", ".join(values), "is several values")
    value = values[0].strip()
    if _SECONDS.fullmatch(value):
        return _within_reason(value, float(value))
    at_wall_s = read_date(value)
    if at_wall_s is None:
        return _ignored(value, "is neither seconds nor a date")
    answered_wall_s = read_date(dates[0].strip()) if len(dates) == 1 else None
    base_wall_s = now_wall_s if answered_wall_s is None else answered_wall_s
    if _LEAP_SECOND.search(value):
        at_wall_s += 1.0  # Rather a second late than one early.
    return _within_reason(value, max(0.0, at_wall_s - base_wall_s))


def _within_reason(value: str, seconds: float) -> RetryAfter:
    if seconds > LONGEST_RETRY_AFTER_S:
        return _ignored(value, f"is longer than {LONGEST_RETRY_AFTER_S / 86400:g} days")
    return RetryAfter(seconds=seconds)


def _ignored(value: str, what: str) -> RetryAfter:
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return RetryAfter(ignored=f"Retry-After {shown!r} {what}")


def read_date(value: str) -> float | None:
    """Return an HTTP date in seconds since 1970, or None if it is none."""
    # The shape is checked first: the standard library's reader makes dates of odder things.
    if not _DATE.fullmatch(value) or value.count(":") != 2:
        return None
    # A leap second exists on the wire and not in datetime; it counts as the second before, by which nobody who asks
    # how long ago an answer was comes too early.
    try:
        moment = parsedate_to_datetime(_LEAP_SECOND.sub(":59", value))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)  # asctime form: RFC 9110 says UTC.
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
