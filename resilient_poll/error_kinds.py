"""What an error code means: a kind, whether trying again makes sense, and a clause for people.

Which code means what is a service's own table; here are only the words that all of them share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

__all__ = ["Cause", "Classify", "ErrorKind", "Portable", "SafeToSubmitAgain", "TryAgain", "advice", "within"]


class Portable(Exception):
    """An error that can be copied, and carried to another process, whatever its constructor wants."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), dict(self.__dict__)


def _made_again(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    return kind.__new__(kind, *args)


class ErrorKind(StrEnum):
    """What sort of trouble a service reports."""

    REFUSED = "refused"
    """Refused for good: no change that is known would help."""
    MONEY = "money"
    """Out of money: a balance, a bill, a purchase or a price limit."""
    QUOTA = "quota"
    """An allowance is used up: it comes back with its period, or has to be raised or freed."""
    THROTTLED = "throttled"
    """Too many requests at the moment."""
    CONTENT_POLICY = "content_policy"
    """What was asked for, or what came of it, is not allowed to be made."""
    BAD_INPUT = "bad_input"
    """The request, or something it points to, cannot be used."""
    ACCESS = "access"
    """The key, or what it is allowed to do."""
    NOT_FOUND = "not_found"
    """A model, workspace or address that is not there."""
    CONFLICT = "conflict"
    """An earlier request stands in the way."""
    UPSTREAM = "upstream"
    """A fault at the service, or behind it."""
    TIMED_OUT = "timed_out"
    """The service did not finish in its own time."""
    UNLISTED = "unlisted"
    """A code that no table lists, or none at all."""


class SafeToSubmitAgain(StrEnum):
    """Whether the same submit can be sent again without paying twice. Only ``YES`` is true in an ``if``."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        return self is SafeToSubmitAgain.YES


class TryAgain(StrEnum):
    """Whether it makes sense to send the same thing again. Only ``YES`` is true in an ``if``.

    It is about the submit, and never promises more than ``safe_to_submit_again`` allows. Where only a
    question was refused (a poll, a cancel, a list) or the call itself made no sense, it is about asking again.
    """

    YES = "yes"
    """At once."""
    LATER = "later"
    """After a pause, as it is: ``come_back_in_s`` seconds where that is known."""
    AFTER_A_CHANGE = "after_a_change"
    """Not as it is: the input, the key or the account has to be changed first, which ``kind`` tells."""
    NO = "no"
    """Not at all: it would be refused again, or would pay for the same thing twice."""
    UNKNOWN = "unknown"
    """Nobody here knows: a person has to read the message, or look at the service, first."""

    def __bool__(self) -> bool:
        return self is TryAgain.YES


def within(safe: SafeToSubmitAgain, try_again: TryAgain) -> TryAgain:
    """Return how much of "try again" is left where a new submit may pay twice: never more than "nobody knows"."""
    if safe is SafeToSubmitAgain.YES or try_again is TryAgain.NO:
        return try_again
    return TryAgain.NO if safe is SafeToSubmitAgain.NO else TryAgain.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why the service says that something went wrong.

    Attributes:
        code: Its error code, if it gave one.
        message: Its explanation, if it gave one.
        http_status: The HTTP status, if there was one.
        says_retryable: Whether it calls this retryable itself, if it says so. It is shown and never
            followed: such a hint does not mean that nothing was accepted.
        kind: What sort of trouble it is; None where no table was asked.
        try_again: Whether sending it again makes sense, as far as the code tells.
    """

    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    says_retryable: bool | None = None
    kind: ErrorKind | None = None
    try_again: TryAgain = TryAgain.UNKNOWN

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.code, self.message) if part)
        if self.says_retryable is None:
            return said
        hint = f"the service calls it {'' if self.says_retryable else 'not '}retryable"
        return f"{said}; {hint}" if said else hint


Classify = Callable[[str | None, str | None, int | None], tuple[ErrorKind, TryAgain]]
"""A service's table: from code, message and HTTP status to what they mean."""

_NAMES: Mapping[ErrorKind, str] = MappingProxyType(
    {
        ErrorKind.REFUSED: "Refused for good",
        ErrorKind.MONEY: "A matter of money",
        ErrorKind.QUOTA: "A quota is used up",
        ErrorKind.THROTTLED: "Too many requests",
        ErrorKind.CONTENT_POLICY: "Content policy",
        ErrorKind.BAD_INPUT: "Bad input",
        ErrorKind.ACCESS: "No access",
        ErrorKind.NOT_FOUND: "Not found",
        ErrorKind.CONFLICT: "An earlier request stands in the way",
        ErrorKind.UPSTREAM: "A fault at the service",
        ErrorKind.TIMED_OUT: "The service ran out of its own time",
        ErrorKind.UNLISTED: "No code that is listed here",
    }
)
_CHANGES: Mapping[ErrorKind, str] = MappingProxyType(
    {
        ErrorKind.MONEY: "pay, or raise the limit on the price",
        ErrorKind.QUOTA: "raise or free the quota",
        ErrorKind.CONTENT_POLICY: "change the input",
        ErrorKind.BAD_INPUT: "mend the input",
        ErrorKind.ACCESS: "mend the key or its permissions",
        ErrorKind.NOT_FOUND: "mend the name or the address",
    }
)
_INSTEAD: Mapping[ErrorKind, str] = MappingProxyType(
    {
        ErrorKind.REFUSED: "the same again would be refused as well",
        ErrorKind.QUOTA: "the message says when it returns",
        ErrorKind.CONFLICT: "look at what became of that one",
    }
)


def advice(kind: ErrorKind, try_again: TryAgain, again: str) -> str:
    """Return what to do about an error, as a sentence.

    Args:
        kind: What sort of trouble it is.
        try_again: Whether trying again makes sense.
        again: What trying again would be, as in "submit again".
    """
    what = {
        TryAgain.YES: f"{again} at once",
        TryAgain.LATER: f"{again} later",
        TryAgain.AFTER_A_CHANGE: f"{_CHANGES.get(kind, 'change what the message names')}, then {again}",
        TryAgain.NO: _INSTEAD.get(kind, f"it makes no sense to {again}"),
        TryAgain.UNKNOWN: "read the message and decide" if kind is ErrorKind.UNLISTED else "",
    }[try_again]
    return f"{_NAMES[kind]}{': ' if what else ''}{what}."
