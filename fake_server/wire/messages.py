"""What goes into the engine and what comes out of it: plain values, no sockets.

What is made anew for every request is a tuple, here and in the engine: as unchangeable as a frozen dataclass, and
made in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

DropWhen = Literal["before_commit", "after_commit"]
DropHow = Literal["reset", "close"]


class Request(NamedTuple):
    """One HTTP request, already read in full.

    Args:
        method: The verb, in capitals.
        path: The decoded path from the root, with the dialect's base (`/api/v1/tasks/…`).
        query: The query string without its question mark; may be empty.
        headers: Names and values in the order received; names in any case.
        body: The whole body.
        origin: Scheme and host under which the client reached us, such as `http://127.0.0.1:8000`;
            URLs in answers start with it.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    origin: str

    def header(self, name: str) -> str | None:
        """The first value of a header, or None; `name` is in lower case."""
        for header_name, value in self.headers:
            if header_name.lower() == name:
                return value
        return None


class Reply(NamedTuple):
    """One HTTP answer, complete."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """No answer: the connection is cut.

    Args:
        when: Whether the engine had already done what was asked (`after_commit`) or not. The engine has
            acted on it; whoever holds the socket only cuts the wire.
        how: `reset` is a true TCP reset, `close` an orderly end without an answer.
    """

    when: DropWhen
    how: DropHow
