"""How much of a quota is left, in the several spellings that services use. Pure.

Read here, in this order: ``X-RateLimit-{Limit,Remaining,Reset}-Requests``, the same
without a tail, and ``RateLimit-{Limit,Remaining,Reset}`` of the IETF's earlier drafts. A
reset is seconds from now, a time since 1970 where the number can be nothing else, or a
duration such as ``1m30s`` or ``250ms``. :mod:`.rate_limits` reads one service family's
headers more strictly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from resilient_poll.http.rate_limits import LONGEST_WINDOW_S
from resilient_poll.http.retry_after import read_date

__all__ = ["Headroom", "read_headroom"]

_SPELLINGS = ("x-ratelimit-{}-requests", "x-ratelimit-{}", "ratelimit-{}")
_COUNT = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,5})m(?!s))?(?:(?P<s>[0-9]{1,6}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,9})ms)?"
)
_A_MOMENT = 1e9
"""Numbers from here on (September 2001) are a time since 1970: no window lasts thirty years."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """What an answer says of its quota.

    Attributes:
        limit: How many requests a window admits.
        remaining: How many are left of it.
        resets_in_s: Seconds until the window is over; None if that is not said readably.
    """

    limit: int | None
    remaining: int | None
    resets_in_s: float | None


def read_headroom(header: Callable[[str], tuple[str, ...]], now_wall_s: float) -> Headroom | None:
    """Read what an answer's headers say of its quota.

    Args:
        header: Returns all values of a header by its name in lower case.
        now_wall_s: The client's clock in seconds since 1970, for answers without a ``Date``.

    Returns:
        What they say; None if they say nothing that can be read.
    """
    for spelling in _SPELLINGS:
        remaining = _one(header(spelling.format("remaining")), _COUNT)
        if remaining is None:
            continue
        limit = _one(header(spelling.format("limit")), _COUNT)
        resets_in_s = _reset(header(spelling.format("reset")), header("date"), now_wall_s)
        return Headroom(None if limit is None else int(limit), int(remaining), resets_in_s)
    return None


def _reset(values: tuple[str, ...], dates: tuple[str, ...], now_wall_s: float) -> float | None:
    number = _one(values, _NUMBER)
    if number is not None:
        seconds = float(number)
        if seconds >= _A_MOMENT:
            answered_wall_s = read_date(dates[0].strip()) if len(dates) == 1 else None
            seconds = max(0.0, seconds - (now_wall_s if answered_wall_s is None else answered_wall_s))
        return seconds if seconds <= LONGEST_WINDOW_S else None
    duration = _one(values, _DURATION)
    if not duration:
        return None
    parts = _DURATION.fullmatch(duration)
    assert parts is not None  # noqa: S101  # it matched a line above
    found = {name: float(value) for name, value in parts.groupdict(default="0").items()}
    seconds = found["h"] * 3600 + found["m"] * 60 + found["s"] + found["ms"] / 1000
    return seconds if seconds <= LONGEST_WINDOW_S else None


def _one(values: tuple[str, ...], pattern: re.Pattern[str]) -> str | None:
    # One plain value: two that differ say nothing.
    value = values[0].strip() if len(values) == 1 else ""
    return value if pattern.fullmatch(value) else None
