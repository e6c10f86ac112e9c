"""What may be sent again: by the request, by what happened, and by what is left.

A request that changes something is repeated only if it surely was not taken up: it never
left, or it was refused for its rate. A lost answer is not that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from resilient_poll.transports.rules.marks import Repeat
from resilient_poll.transports.rules.refusals import Refusal

__all__ = ["REFUSED_STATUSES", "RETRY_STATUSES", "SAFE_METHODS", "Happened", "Kind", "may_repeat", "why_not"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Those that change nothing (RFC 9110, 9.2.1)."""
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that a later attempt may not get: too slow, too early, too many, and faults of a server or of what stands
before it."""
REFUSED_STATUSES = frozenset({425, 429})
"""Answers that say that the request was not taken up (RFC 8470, 5.2; RFC 6585, 4).

A 503 says it too where the service itself sends it, and a proxy sends the same after the service had the request."""


class Kind(Enum):
    """What became of an attempt."""

    ANSWERED = auto()
    NOT_SENT = auto()
    """It failed before the service can have had the whole request."""
    LOST = auto()
    """It failed, and the service may have had the request."""
    OURS = auto()
    """It failed in a way that says nothing of the network, or that another attempt would not change."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of an attempt, and what it says.

    Attributes:
        kind: What became of it.
        status: The HTTP status, if there was an answer.
        refusal: What the answer refuses for.
        is_body_broken: Whether an answer came whose body broke off.
    """

    kind: Kind
    status: int | None = None
    refusal: Refusal = Refusal.NONE
    is_body_broken: bool = False


def may_repeat(*, method: str, mark: str | None, has_idempotency_key: bool) -> bool:
    """Return whether a request does no harm when it is taken up twice.

    Args:
        method: Its method.
        mark: What it says itself; see :data:`.REPEAT`.
        has_idempotency_key: Whether it has a key by which the service knows a repetition.
    """
    if mark is not None:
        return mark == Repeat.ALLOWED
    return method.upper() in SAFE_METHODS or has_idempotency_key


def why_not(
    happened: Happened,
    *,
    is_harmless: bool,
    mark: str | None,
    is_replayable: bool,
    statuses: Collection[int] = RETRY_STATUSES,
) -> str | None:
    """Return why a request is not sent again, in one clause, or None if it may be.

    Args:
        happened: What became of the last attempt.
        is_harmless: What :func:`may_repeat` says of the request.
        mark: What the request says itself.
        is_replayable: Whether its body can be sent once more.
        statuses: Which answers are worth another attempt.
    """
    if not _is_worth_it(happened, statuses):
        return "another attempt would bring the same"
    if happened.refusal is Refusal.MONEY:
        return "it was refused for money, which no waiting mends"
    if mark == Repeat.NEVER:
        return "the request says that it is sent once"
    if not is_replayable:
        return "its body can be read once only"
    if is_harmless or happened.kind is Kind.NOT_SENT:
        return None
    if happened.kind is Kind.ANSWERED and not happened.is_body_broken and happened.status in REFUSED_STATUSES:
        return None
    return "it may have been taken up, and the service has no key to know a repetition by"


def _is_worth_it(happened: Happened, statuses: Collection[int]) -> bool:
    if happened.kind is Kind.OURS:
        return False
    if happened.kind is Kind.ANSWERED:
        return happened.is_body_broken or happened.status in statuses
    return True
