"""What an answer means, by a list of acceptors: the model of botocore's waiters and of Smithy's.

The first acceptor that matches an answer decides. Sources: the waiter specification of Smithy 2.0
(``smithy.waiters#waitable``) for the five matchers, and the 649 waiters that botocore ships for what they mean in
practice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.specs.expressions import compiled

__all__ = ["Acceptor", "Matcher", "Reply", "State", "first_match", "is_whole"]


class State(StrEnum):
    """What a matching acceptor says of the operation."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRY = "retry"


class Matcher(StrEnum):
    """What of an answer an acceptor looks at."""

    PATH = "path"
    """What an expression finds is the expected value."""
    PATH_ANY = "pathAny"
    """An expression finds a list, and one of it is the expected value."""
    PATH_ALL = "pathAll"
    """An expression finds a list that is not empty, and all of it are the expected value."""
    STATUS = "status"
    """The HTTP status."""
    ERROR = "error"
    """The service's error code; ``true`` for any error, ``false`` for none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of a service, read.

    Attributes:
        body: What it says, as JSON would have it.
        http_status: Its HTTP status, if it has one.
        error_code: The service's error code; None where it is no error.
        message: The explanation of an error.
        headers: Names in lower case and values, in order.
        is_readable: False where the body is no JSON, and so was not read.
    """

    body: Any = None
    http_status: int | None = None
    error_code: str | None = None
    message: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_readable: bool = True

    def header(self, name: str) -> tuple[str, ...]:
        """Return all values of a header, in order; the name in lower case."""
        return tuple(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class Acceptor:
    """One line of the list.

    Attributes:
        state: What a match says.
        matcher: What is looked at.
        expected: What it must be.
        argument: The JMESPath expression of the matchers that have one.

    Raises:
        ConfigurationError: It makes no sense, or the expression is none.
    """

    state: State
    matcher: Matcher
    expected: Any
    argument: str | None = None
    _search: Callable[[Any], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        has_path = self.matcher in {Matcher.PATH, Matcher.PATH_ANY, Matcher.PATH_ALL}
        if has_path != (self.argument is not None):
            raise ConfigurationError(f"{self}: {'an' if has_path else 'no'} argument belongs to this matcher")
        if self.matcher is Matcher.STATUS and not is_whole(self.expected):
            raise ConfigurationError(f"{self}: an HTTP status is a whole number")
        if self.matcher is Matcher.ERROR and not isinstance(self.expected, str | bool):
            raise ConfigurationError(f"{self}: an error is a code, true for any, or false for none")
        object.__setattr__(self, "_search", compiled(self.argument, self) if self.argument is not None else _nothing)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Acceptor:
        """Read one from a mapping with ``state``, ``matcher``, ``expected`` and perhaps ``argument``.

        Raises:
            ConfigurationError: It is none.
        """
        given: object = row  # Types are hints at run time: a file holds anything.
        if not isinstance(given, Mapping) or not {"state", "matcher", "expected"} <= set(given):
            raise ConfigurationError(f"an acceptor has a state, a matcher and what is expected, not {row!r:.200}")
        try:
            state, matcher = State(row["state"]), Matcher(row["matcher"])
        except ValueError as error:
            words = ", ".join([*State, *Matcher])
            raise ConfigurationError(f"an acceptor's state and matcher are among {words}: {error}") from None
        return cls(state, matcher, row["expected"], row.get("argument"))

    def __str__(self) -> str:
        looked_at = f" {self.argument!r}" if self.argument is not None else ""
        return f"{self.state} where {self.matcher}{looked_at} is {self.expected!r}"

    def matches(self, reply: Reply) -> bool:
        """Tell whether it matches an answer.

        Raises:
            ValueError: The expression cannot be applied to the answer: it has other types than it should.
        """
        is_error = reply.error_code is not None
        match self.matcher:
            case Matcher.STATUS:
                return bool(reply.http_status == self.expected)
            case Matcher.ERROR if isinstance(self.expected, bool):
                return is_error is self.expected
            case Matcher.ERROR:
                return bool(reply.error_code == self.expected)
            case _ if is_error:
                return False  # The body of an error is not the body that the expression is about.
            case Matcher.PATH:
                return _same(self._search(reply.body), self.expected)
            case _:
                found = self._search(reply.body)
                if not isinstance(found, list) or not found:
                    return False
                enough = any if self.matcher is Matcher.PATH_ANY else all
                return enough(_same(one, self.expected) for one in found)


def first_match(acceptors: Sequence[Acceptor], reply: Reply) -> Acceptor | None:
    """Return the acceptor that decides what an answer means, or None.

    Raises:
        ValueError: An expression before it cannot be applied to the answer.
    """
    return next((acceptor for acceptor in acceptors if acceptor.matches(reply)), None)


def _same(found: object, expected: object) -> bool:
    # In Python, 1 is True; in JSON it is not.
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


def is_whole(value: object) -> bool:
    """Tell whether a value of a file is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _nothing(body: Any) -> None:
    del body
