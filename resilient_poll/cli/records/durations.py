"""Moments and durations as they are typed and shown. Pure."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import click

__all__ = ["moment_of", "moment_option", "short_duration"]

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that a text means.

    Args:
        text: ISO 8601 with a time zone; a date, which begins at midnight in UTC; or how long ago: ``90s``,
            ``30m``, ``6h``, ``1d``.
        now: The time.

    Raises:
        ValueError: It is neither; the error says what is wrong.
    """
    if match := _DURATION.fullmatch(text.strip()):
        with suppress(OverflowError):
            return now - timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])
        raise ValueError(f"{text!r} is longer ago than there are dates")
    if _DATE.fullmatch(text.strip()):
        with suppress(ValueError):
            return datetime.combine(date.fromisoformat(text.strip()), datetime.min.time(), UTC)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r:.80} is neither a time such as 2026-11-22T08:00+01:00 nor how long ago, such as 6h"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone: add Z for UTC, or an offset such as +08:00")
    return moment


def moment_option(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Read an option's moment."""
    try:
        return None if value is None else moment_of(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def short_duration(seconds: float) -> str:
    """Return a duration in at most six characters: ``3.2s``, ``5m08s``, ``2h05m``, ``3d04h``."""
    whole = round(max(0.0, seconds))
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
