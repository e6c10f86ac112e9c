"""Read error bodies in all their documented shapes, and JSON from outside in general."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from resilient_poll.dashscope.wire.dialects import DIALECTS, Dialect
from resilient_poll.error_kinds import Cause

__all__ = [
    "ErrorBody",
    "read_any_error_body",
    "read_error_body",
    "read_object",
    "request_id_of",
    "text_of",
    "word_of",
]

_EVERY_SHAPE = frozenset().union(*(dialect.error_shapes for dialect in DIALECTS.values()))

_LONGEST_TEXT = 2000  # A message is for people; more than a screenful helps nobody.
_LONGEST_WORD = 200  # Codes, statuses and ids are below 100; all that is kept must fit into a resume token.


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says.

    Attributes:
        code: The service's code.
        message: Its explanation.
        request_id: The request's id.
        says_retryable: Whether it calls the error retryable, if it says so. It is shown, and decides nothing.
    """

    code: str | None
    message: str | None
    request_id: str | None
    says_retryable: bool | None = None

    def __str__(self) -> str:
        return str(Cause(code=self.code, message=self.message, says_retryable=self.says_retryable))


def read_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body holds, or None if it holds anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # also: not UTF-8, a number of 5,000 digits, 100,000 brackets
        return None
    return value if isinstance(value, dict) else None


def text_of(value: object) -> str | None:
    """Return a text from outside, shortened and on one line; None if it is empty or no text."""
    return _cleaned(value, _LONGEST_TEXT)


def word_of(value: object) -> str | None:
    """Return a code, status or id from outside like :func:`text_of`, but short enough to keep."""
    return _cleaned(value, _LONGEST_WORD)


def _cleaned(value: object, longest: int) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    shown = value if len(value) <= longest else value[:longest] + "…"
    # It will be logged and printed: no line of its own, no terminal's command, no half of a character.
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else " " for character in shown)


def request_id_of(body: dict[str, Any] | None) -> str | None:
    """Return the request's id from an answer, wherever the dialects put it."""
    if body is None:
        return None
    error = body.get("error")
    inside = error.get("request_id") if isinstance(error, dict) else None
    return word_of(body.get("request_id")) or word_of(inside)


def read_error_body(body: bytes, dialect: Dialect) -> ErrorBody | None:
    """Return what an error body says, or None if it is not one of the dialect's.

    A body that is not the dialect's came from something else on the way (a proxy, a
    firewall), which does not know whether the service got the request.

    Args:
        body: The answer's body.
        dialect: Whose shapes count.
    """
    found = read_object(body)
    return None if found is None else _in_shapes(found, dialect.error_shapes)


def read_any_error_body(body: bytes) -> ErrorBody:
    """Return what an error body says in any shape that is known: for what is shown, and where no money hangs on it.

    Args:
        body: The answer's body.

    Returns:
        What it says; nothing, if it is no JSON object or says nothing.
    """
    found = read_object(body)
    said = None if found is None else _in_shapes(found, _EVERY_SHAPE)
    return said or ErrorBody(None, None, request_id_of(found))


def _in_shapes(found: dict[str, Any], shapes: frozenset[str]) -> ErrorBody | None:
    request_id = request_id_of(found)
    error = found.get("error")
    if "nested" in shapes and isinstance(error, dict):
        # An object under "error", with code and message; some have a type or "retryable" too.
        code, message = word_of(error.get("code")), text_of(error.get("message"))
        return ErrorBody(code, message, request_id, _flag(error.get("retryable"))) if code or message else None
    if "text" in shapes and text_of(error) is not None:
        # {"error": "text"} and {"code", "error": "text", "request_id"}
        return ErrorBody(word_of(found.get("code")), text_of(error), request_id, _flag(found.get("retryable")))
    message = text_of(found.get("message"))
    has_text_instead = message is None and text_of(error) is not None
    if "flat" in shapes and word_of(found.get("code")) is not None and not has_text_instead:
        # Code and message at the top.
        return ErrorBody(word_of(found.get("code")), message, request_id, _flag(found.get("retryable")))
    return None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
