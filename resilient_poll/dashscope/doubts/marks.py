"""What the ledger keeps of a request so that its task can be told from others later: marks, not the prompt. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from resilient_poll.ledger.entry import Namespace

__all__ = ["MAKES", "PROMPT", "PROMPT_START", "SHOWN_LATER", "UNSEEN", "marks_of", "prompt_marks"]

PROMPT, PROMPT_START, ASKED, UNSEEN, MAKES = "prompt_mark", "prompt_start_mark", "asked", "unseen", "makes"
"""The names of the marks among what an entry says about its request."""

START_CHARACTERS = 40
"""A service may cut a long prompt before it repeats it, but hardly as short as this: whose beginnings differ are
two prompts, and whose beginnings agree may be one."""
SHOWN_LATER = ("size", "resolution", "duration", "n", "ratio", "fps", "audio", "seed")
"""Parameters that some finished tasks' answers repeat, in ``usage`` or beside the result."""
_TELLING_NOTHING = frozenset({"prompt", "negative_prompt", "prompt_extend", "watermark"})
"""What no answer shows, and what alone hardly tells two requests of one prompt apart."""
_LONGEST_VALUE = 40
_LONGEST_NAME = 60
_MOST_NAMES = 20


def marks_of(namespace: Namespace, key: str, body: bytes | None, *, is_synchronous: bool = False) -> dict[str, str]:
    """Return the marks of a request: short texts that are no secret and do not hold the prompt.

    The prompt's digests are salted by the key, so that equal prompts of two keys have no mark in common.

    Args:
        namespace: Of whom.
        key: The idempotency key.
        body: What is sent.
        is_synchronous: Whether it makes a result in the place of a task.
    """
    if is_synchronous:
        return {MAKES: "result"}  # There is no task to be found.
    try:
        sent = json.loads(body or b"null")
    except ValueError:
        return {}
    given, parameters = _mapping(sent, "input"), _mapping(sent, "parameters")
    marks: dict[str, str] = {}
    if isinstance(prompt := given.get("prompt"), str) and prompt.strip():
        marks[PROMPT], marks[PROMPT_START] = prompt_marks(namespace, key, prompt)
    asked = {name: parameters[name] for name in SHOWN_LATER if _is_short(parameters.get(name))}
    if asked:
        marks[ASKED] = json.dumps(asked, separators=(",", ":"))
    unseen = [f"input.{name}" for name in _telling(given)]
    unseen += [f"parameters.{name}" for name in _telling(parameters) if name not in asked]
    if unseen:
        marks[UNSEEN] = json.dumps([name[:_LONGEST_NAME] for name in unseen[:_MOST_NAMES]], separators=(",", ":"))
    return marks


def prompt_marks(namespace: Namespace, key: str, prompt: str) -> tuple[str, str]:
    """Return the marks of a prompt and of its beginning; how it is broken into lines and words does not count.

    Args:
        namespace: Of whom.
        key: The idempotency key, which salts them.
        prompt: The prompt.
    """
    words = " ".join(prompt.split())
    name = json.dumps([namespace.origin, namespace.dialect, namespace.account, key]).encode()
    salt = hashlib.sha256(name).digest()

    def mark(text: str) -> str:
        # JSON, as half of a surrogate pair has no bytes of its own.
        return hashlib.blake2b(json.dumps(text).encode(), key=salt, digest_size=16).hexdigest()

    return mark(words), mark(words[:START_CHARACTERS].rstrip())


def _telling(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what says something, and is not known to tell nothing."""
    for name, value in values.items():
        if name not in _TELLING_NOTHING and value not in (None, "", [], {}):
            yield name


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_VALUE and value.isprintable()
    return isinstance(value, bool | int | float) and abs(value) < 1e15


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    inside = value.get(name) if isinstance(value, Mapping) else None
    return inside if isinstance(inside, Mapping) else {}
