"""``X-RateLimit-*``: how much of a minute's quota is left, as far as the service says. Pure.

There is no standard in force for these headers (the IETF's draft names others). Read here:
``X-RateLimit-Limit-Requests``, ``-Remaining-Requests`` and ``-Reset-Requests``, a time in
seconds since 1970, and the same for tokens: as several gateways send them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from resilient_poll.http.retry_after import read_date

__all__ = ["RateLimit", "read_rate_limit"]

LONGEST_WINDOW_S = 3600.0
"""Windows are minutes; a reset that lies further ahead is a clock that is wrong."""
_COUNT = re.compile(r"[0-9]{1,12}")
_MOMENT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the service said of one quota, with one answer.

    Attributes:
        limit: How many requests a window admits.
        remaining: How many are left of it.
        resets_in_s: Seconds from the answer until the window is over; None if that is not said readably.
    """

    limit: int | None
    remaining: int | None
    resets_in_s: float | None


def read_rate_limit(
    header: Callable[[str], tuple[str, ...]], now_wall_s: float, *, quota: str = "requests"
) -> RateLimit | None:
    """Read what an answer's headers say of a quota.

    Args:
        header: Returns all values of a header by its name in lower case.
        now_wall_s: The client's clock, in seconds since 1970, for answers without a ``Date``
            of their own: the reset is a time of the service's clock.
        quota: ``"requests"`` or ``"tokens"``.

    Returns:
        What they say; None if they say nothing that can be read.
    """
    limit = _read(header(f"x-ratelimit-limit-{quota}"), _COUNT)
    remaining = _read(header(f"x-ratelimit-remaining-{quota}"), _COUNT)
    reset = _read(header(f"x-ratelimit-reset-{quota}"), _MOMENT)
    if limit is None and remaining is None:
        return None
    dates = header("date")
    answered_wall_s = read_date(dates[0].strip()) if len(dates) == 1 else None
    since_s = now_wall_s if answered_wall_s is None else answered_wall_s
    resets_in_s = None if reset is None else max(0.0, float(reset) - since_s)
    if resets_in_s is not None and resets_in_s > LONGEST_WINDOW_S:
        resets_in_s = None
    return RateLimit(None if limit is None else int(limit), None if remaining is None else int(remaining), resets_in_s)


def _read(values: tuple[str, ...], pattern: re.Pattern[str]) -> str | None:
    # One plain number: two that differ say nothing, and float() would read "1_0", "1e3" and "nan" too.
    value = values[0].strip() if len(values) == 1 else ""
    return value if pattern.fullmatch(value) else None
