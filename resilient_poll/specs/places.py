"""Where something is in an answer: in its body, in a header, or the HTTP status itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.specs.acceptors import Reply
from resilient_poll.specs.expressions import Search, compiled

__all__ = ["Hint", "InBody", "InHeader", "InHttpStatus", "Place", "find", "place_of", "word_of"]

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110 (5.6.2): what a header's name is made of.
_UNITS = {"s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class InBody:
    """What a JMESPath expression finds in the body; names with dots between them are such an expression.

    Attributes:
        path: The expression.

    Raises:
        ConfigurationError: It is none.
    """

    path: str
    _search: Search = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_search", compiled(self.path, "a place in the body"))

    def find(self, reply: Reply) -> Any:
        """Return what is there, or None; ValueError where the expression cannot be applied."""
        return self._search(reply.body)


@dataclass(frozen=True, slots=True)
class InHeader:
    """The value of a header.

    Attributes:
        name: Its name; letter case does not matter.

    Raises:
        ConfigurationError: No header can have that name.
    """

    name: str

    def __post_init__(self) -> None:
        given: object = self.name  # Types are hints at run time: a file holds anything.
        if not isinstance(given, str) or not _TOKEN.fullmatch(given):
            raise ConfigurationError(f"no header can be named {given!r:.80}")
        object.__setattr__(self, "name", given.lower())

    def find(self, reply: Reply) -> Any:
        """Return its value, or None; of several the last."""
        found = reply.header(self.name)
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class InHttpStatus:
    """The HTTP status itself, for services that say by 202 that an operation goes on."""

    def find(self, reply: Reply) -> Any:
        """Return it."""
        return reply.http_status


Place = InBody | InHeader | InHttpStatus


@dataclass(frozen=True, slots=True)
class Hint:
    """Where an answer says how long to stay away.

    Attributes:
        place: Where; a text is a path in the body.
        unit: ``s``, as HTTP has it, where a date is read too, or ``ms``.

    Raises:
        ConfigurationError: It makes no sense.
    """

    place: Place | str
    unit: str = "s"

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", place_of(self.place))
        if self.unit not in _UNITS:
            raise ConfigurationError(f"a hint's unit is among {', '.join(_UNITS)}, not {self.unit!r:.40}")

    def values(self, reply: Reply) -> tuple[str, ...]:
        """Return what it says, as the values of a ``Retry-After`` would say it."""
        place = self.place
        if isinstance(place, InHeader) and self.unit == "s":
            return reply.header(place.name)
        found = find(place, reply)
        if found is None:
            return ()
        try:
            number = float(found)
        except (TypeError, ValueError, OverflowError):
            return (str(found)[:200],)
        seconds = number * _UNITS[self.unit]
        return (f"{seconds:.3f}",)


def place_of(given: object) -> Place:
    """Return a place; a text is a path in the body.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(given, str):
        return InBody(given)
    if isinstance(given, InBody | InHeader | InHttpStatus):
        return given
    raise ConfigurationError(f"a place in an answer is a path, InBody, InHeader or InHttpStatus, not {given!r:.80}")


def find(place: Place | str | None, reply: Reply) -> Any:
    """Return what is at a place of an answer, or None where nothing is.

    Raises:
        ValueError: The expression cannot be applied to the answer.
    """
    return None if place is None else place_of(place).find(reply)


def word_of(found: object) -> str | None:
    """Return a text, number or truth value that was found as a word; None for anything else."""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        return str(found) if abs(found) < 10**18 else None
    return found if isinstance(found, str) and found else None
