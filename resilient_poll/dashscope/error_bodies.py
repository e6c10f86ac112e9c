"""Read error bodies in all their documented shapes, and JSON from outside in general."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from resilient_poll.dashscope.dialects import Dialect

__all__ = ["ErrorBody", "read_error_body", "read_object", "request_id_of", "text_of", "word_of"]

_LONGEST_TEXT = 2000  # A message is for people; more than a screenful helps nobody.
_LONGEST_WORD = 200  # Codes, statuses and ids are below 100; all that is kept must fit into a resume token.


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says.

    Attributes:
        code: The service's code.
        message: Its explanation.
        request_id: The request's id.
    """

    code: str | None
    message: str | None
    request_id: str | None


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
    if found is None:
        return None
    request_id = request_id_of(found)
    error = found.get("error")
    if "nested" in dialect.error_shapes and isinstance(error, dict):
        # An object under "error", with code and message; some have a type or "retryable" too.
        code, message = word_of(error.get("code")), text_of(error.get("message"))
        return ErrorBody(code, message, request_id) if code or message else None
    if "text" in dialect.error_shapes and text_of(error) is not None:
        # {"error": "text"} and {"code", "error": "text", "request_id"}
        return ErrorBody(word_of(found.get("code")), text_of(error), request_id)
    if "flat" in dialect.error_shapes and word_of(found.get("code")) is not None:
        # Code and message at the top.
        return ErrorBody(word_of(found.get("code")), text_of(found.get("message")), request_id)
    return None
