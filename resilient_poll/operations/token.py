"""Resume tokens of declared operations: one line of text without a key.

A token names the declaration, carries a mark of the origin, and a URL only if the service named one
that its id does not make.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from resilient_poll.errors import SnapshotError
from resilient_poll.machine import snapshot
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["PREFIX", "Kept", "mark_of", "read_token", "relative", "write_token"]

PREFIX = "rpo1."
_LONGEST_TOKEN = 32 * 1024  # Some 500 characters, and three URLs of at most 8,192.
_URLS = ("status", "result", "cancel")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a token holds beside the record: URLs that the service named, by what they are for."""

    status: str | None = None
    result: str | None = None
    cancel: str | None = None

    def urls(self) -> tuple[str, ...]:
        """Return those that there are."""
        return tuple(url for url in (self.status, self.result, self.cancel) if url is not None)


def mark_of(origin: str) -> str:
    """Return a short hash of an origin: it tells origins apart and names none."""
    return blake2b(origin.encode(), digest_size=8).hexdigest()


def write_token(name: str, home: str, record: TaskRecord, kept: Kept, now: Instant) -> str:
    """Return the token of an operation.

    Args:
        name: The declaration's.
        home: The origin that it belongs to.
        record: What is known of it.
        kept: The URLs that the service named.
        now: When.
    """
    content: dict[str, Any] = {"spec": name, "origin": mark_of(home), "task": snapshot.take(record, now)}
    # Of its own origin only the path: a token names no host that it need not name.
    for what in _URLS:
        if (url := getattr(kept, what)) is not None:
            content[what] = relative(url, home)
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def relative(url: str, home: str) -> str:
    """Return a URL without its origin, if that is home."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if f"{parts.scheme}://{parts.hostname}:{port}" != home:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def read_token(token: object, name: str, home: str, now: Instant) -> tuple[TaskRecord, Kept]:
    """Return what a token holds. Its URLs come from outside: they are to be checked like those of an answer.

    Args:
        token: What :func:`write_token` returned.
        name: The declaration that it will be used with.
        home: The origin that it will be used against.
        now: When.

    Raises:
        SnapshotError: It cannot be read, or belongs to another declaration or origin; nothing was sent.
    """
    content = _decode(token)
    if content.get("spec") != name:
        raise SnapshotError(
            f"this resume token belongs to another operation than {name!r}: use the declaration that made it. "
            "Nothing was sent"
        )
    if content.get("origin") != mark_of(home):
        raise SnapshotError(
            f"this resume token belongs to another origin than {home}: use a client with the base_url of the one that "
            "made it. Nothing was sent"
        )
    task = content.get("task")
    if not isinstance(task, dict):
        raise SnapshotError("this resume token is damaged: it holds no task")
    urls = {what: content.get(what) for what in _URLS}
    if not all(url is None or isinstance(url, str) for url in urls.values()):
        raise SnapshotError("this resume token is damaged: its URL is no text")
    return snapshot.restore(task, now), Kept(**urls)


def _decode(token: object) -> dict[str, Any]:
    if not isinstance(token, str) or not token.startswith(PREFIX) or len(token) > _LONGEST_TOKEN:
        raise SnapshotError(f"this is no resume token of a declared operation: one begins with {PREFIX!r}")
    packed = token.removeprefix(PREFIX)
    try:
        content = json.loads(base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise SnapshotError(
            "this resume token is damaged: it cannot be decoded; was it cut when it was copied?"
        ) from None
    if not isinstance(content, dict):
        raise SnapshotError("this resume token is damaged: it holds no task")
    return content
