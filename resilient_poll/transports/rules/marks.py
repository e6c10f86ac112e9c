"""What a request can tell the transports, and they it: the names in ``request.extensions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from resilient_poll.errors import ConfigurationError

__all__ = [
    "ATTEMPTS",
    "DEADLINE_S",
    "KEY",
    "REPEAT",
    "SUBMIT_ID",
    "TASK_ID",
    "TIMEOUT_S",
    "TOLD",
    "Attempt",
    "Repeat",
    "repeat_mark",
    "timeout_mark",
]

REPEAT: Final = "resilient_poll.repeat"
"""``"never"``: send this once, and do not cut it once it is under way. ``"allowed"``: the caller knows that twice does
no harm."""
TIMEOUT_S: Final = "resilient_poll.timeout_s"
"""A total time for this one request, in seconds; the shorter one of this and the transport's counts."""
KEY: Final = "resilient_poll.key"
"""A text that tells apart what shares an origin: an account, a tenant, a model."""
ATTEMPTS: Final = "resilient_poll.attempts"
"""Set by a :class:`RetryTransport`: a list of :class:`Attempt`, one more after each attempt."""
TASK_ID: Final = "resilient_poll.task_id"
"""Which task a request is about: its events carry it."""
SUBMIT_ID: Final = "resilient_poll.submit_id"
"""Which submit a request is of, while there is no task: its events carry it."""
TOLD: Final = "resilient_poll.told"
"""Set by a :class:`RetryTransport` that told a listener of an attempt, so that no client beneath which it lies tells of
the same one."""
DEADLINE_S: Final = "resilient_poll.deadline_s"
"""Set between our own transports: the instant by which the caller wants to hear, in monotonic seconds."""


class Repeat:
    """What a request says of being sent again."""

    NEVER: Final = "never"
    ALLOWED: Final = "allowed"


class Attempt(NamedTuple):
    """One sending of a request. A tuple, as one is made for every request.

    Attributes:
        number: Which, from 1. ``number - 1`` is OpenTelemetry's ``http.request.resend_count``.
        started_s: When, in monotonic seconds.
        took_s: For how many seconds, until the answer's head or the failure.
        status: The answer's HTTP status, if one came.
        failure: What went wrong instead, in one clause.
        waited_s: How many seconds were waited before it.
    """

    number: int
    started_s: float
    took_s: float
    status: int | None
    failure: str | None
    waited_s: float


def repeat_mark(extensions: Mapping[str, Any]) -> str | None:
    """Return what a request says of being sent again, if anything.

    Args:
        extensions: The request's.

    Raises:
        ConfigurationError: It says something that nobody understands; nothing was sent.
    """
    mark = extensions.get(REPEAT)
    if mark is None or mark == Repeat.NEVER or mark == Repeat.ALLOWED:
        return mark
    raise ConfigurationError(f"the extension {REPEAT!r} is 'never' or 'allowed', not {mark!r:.40}; nothing was sent")


def timeout_mark(extensions: Mapping[str, Any]) -> float | None:
    """Return the total time that a request asks for itself, if any.

    Args:
        extensions: The request's.

    Raises:
        ConfigurationError: It is no number of seconds above zero; nothing was sent.
    """
    timeout_s = extensions.get(TIMEOUT_S)
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
        raise ConfigurationError(
            f"the extension {TIMEOUT_S!r} is seconds above 0, not {timeout_s!r:.40}; nothing was sent"
        )
    return float(timeout_s)
