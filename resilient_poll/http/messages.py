"""A request and an answer as plain values, the same for every HTTP library."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Answer", "ExchangeFailed", "HttpRequest"]

LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
"""A status answer is a few hundred bytes. More than this is not read: memory is the caller's."""
LONGEST_PAID_ANSWER_BYTES = 64 * 1024 * 1024
"""The answer to a create may hold what was paid for, images as text say, and giving that up loses it."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to send as it stands: nothing is added to it but what HTTP needs.

    Attributes:
        method: The method, in capitals.
        url: The absolute URL.
        headers: Names and values, in order. Kept out of the repr: one is the key.
        body: The body, or None for none.
        task_id: Which task it is about, if it is about one.
        submit_id: Which submit it is of, if it is of one and somebody hears of it.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    task_id: str | None = field(default=None, repr=False, compare=False)
    submit_id: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read to its end.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case and values, in order, repeated ones too.
        body: The body after content decoding.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> tuple[str, ...]:
        """Return all values of a header, in order; the name in lower case."""
        return tuple(value for key, value in self.headers if key == name)


class ExchangeFailed(Exception):
    """A request that brought no answer. It never leaves the package.

    Args:
        reason: What went wrong, in one clause without secrets.
        surely_not_sent: Whether the service surely did not get the whole request.
    """

    def __init__(self, reason: str, *, surely_not_sent: bool) -> None:
        self.reason = reason
        self.surely_not_sent = surely_not_sent
        super().__init__(reason)
